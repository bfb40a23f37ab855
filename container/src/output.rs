//! What one run has said: a ring of events, bounded in lines and in bytes.
//!
//! The pipes write to it directly, not through the owner of all agents: a chatty agent must never be in the way
//! of another one's stop. The lock is held for a push or a copy, never across an await.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use beadrig::id::Millis;
use beadrig::wire::container::Event;

use crate::limits::{EVENT_OVERHEAD_BYTES, RING_BYTES_MAX, RING_LINES_MAX, TAIL_BYTES_MAX};

/// The output and the status changes of one run.
#[derive(Debug)]
pub struct Output(Mutex<Ring>);

#[derive(Debug)]
struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
    next_id: u64,
    last_activity: Millis,
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The process.
    Stdout,
    /// The process.
    Stderr,
    /// The service.
    Status,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Status => "status",
        }
    }
}

impl Output {
    /// Nothing yet; the first event will have this id, for ids go on over the runs of an agent.
    pub fn new(first_id: u64, now: Millis) -> Self {
        let ring =
            Ring { events: VecDeque::new(), bytes: 0, next_id: first_id, last_activity: now };
        Self(Mutex::new(ring))
    }

    /// Adds an event; the oldest ones make room.
    pub fn push(&self, source: Source, data: String, now: Millis) {
        let mut ring = self.ring();
        if source != Source::Status {
            ring.last_activity = now;
        }
        ring.bytes += cost(&data);
        let (id, event) = (ring.next_id, source.name().to_owned());
        ring.next_id += 1;
        ring.events.push_back(Event { id, event, data, timestamp: now.to_string() });
        while ring.events.len() > RING_LINES_MAX || ring.bytes > RING_BYTES_MAX {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= cost(&oldest.data);
        }
    }

    /// The events after a cursor, oldest first.
    pub fn page(&self, after: u64, limit: usize) -> Vec<Event> {
        let ring = self.ring();
        ring.events.iter().filter(|event| event.id > after).take(limit).cloned().collect()
    }

    /// The id of the next event.
    pub fn next_id(&self) -> u64 {
        self.ring().next_id
    }

    /// When the process last said something.
    pub fn last_activity(&self) -> Millis {
        self.ring().last_activity
    }

    /// Adds what the service itself has to say to what the process said.
    pub fn note(&self, lines: Vec<String>) {
        for line in lines {
            self.push(Source::Stderr, line, crate::clock::now());
        }
    }

    /// The end of what the process said; nothing if it said nothing.
    pub fn tail(&self) -> Option<String> {
        let ring = self.ring();
        let said = ring.events.iter().filter(|event| event.event != Source::Status.name());
        let mut lines = VecDeque::new();
        let mut room = TAIL_BYTES_MAX;
        for event in said.rev() {
            let line = end_of(&event.data, room);
            lines.push_front(line);
            if line.len() < event.data.len() || room <= line.len() + 1 {
                break;
            }
            room -= line.len() + 1;
        }
        (!lines.is_empty()).then(|| lines.make_contiguous().join("\n"))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(data: &str) -> usize {
    data.len() + EVENT_OVERHEAD_BYTES
}

/// The last bytes of a text, whole characters only.
fn end_of(text: &str, bytes: usize) -> &str {
    let from =
        (text.len().saturating_sub(bytes)..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(lines: impl IntoIterator<Item = String>) -> Output {
        let output = Output::new(1, Millis(0));
        for line in lines {
            output.push(Source::Stdout, line, Millis(1));
        }
        output
    }

    #[test]
    fn ids_grow_by_one_and_are_the_cursor() {
        let output = filled((1..=4).map(|n| n.to_string()));
        let ids: Vec<_> = output.page(1, 2).into_iter().map(|event| event.id).collect();
        assert_eq!(ids, [2, 3]);
        assert_eq!(output.page(4, 9), []);
        assert_eq!(output.next_id(), 5);
    }

    #[test]
    fn the_ring_is_bounded_in_lines_and_in_bytes() {
        let short = filled((0..2000).map(|n| n.to_string()));
        let kept = short.page(0, usize::MAX);
        assert_eq!((kept.len(), kept[0].id), (RING_LINES_MAX, 1501));
        let long = filled((0..400).map(|_| "x".repeat(8192)));
        let bytes: usize = long.page(0, usize::MAX).iter().map(|event| event.data.len()).sum();
        assert!(bytes <= RING_BYTES_MAX);
        assert!(bytes > RING_BYTES_MAX - 4 * 8192);
    }

    #[test]
    fn the_tail_is_the_end_of_what_the_process_said() {
        let output = filled(["one".to_owned(), "two".to_owned()]);
        output.push(Source::Status, "exited".to_owned(), Millis(9));
        assert_eq!(output.tail().as_deref(), Some("one\ntwo"));
        assert_eq!(output.last_activity(), Millis(1));
        assert_eq!(filled([]).tail(), None);
        for line in ["ä".repeat(9000), "xyz".repeat(9000), "y\n".repeat(10)] {
            let tail = filled((0..3000).map(|_| line.clone())).tail().unwrap();
            assert!(
                tail.len() <= TAIL_BYTES_MAX && tail.len() > TAIL_BYTES_MAX - 30,
                "{}",
                tail.len()
            );
        }
    }
}
