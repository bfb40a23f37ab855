//! What one run has said: a ring of events, bounded in lines and in bytes.
//!
//! ```text
//! pipes --heard, push--> ring (the newest) --page--> who asks
//!                          |                 next--> who reads along: each at its own pace, from the ring
//!                          +-- after so many bytes: only counted, and the end kept until the run is over
//! ```
//!
//! The pipes write to it directly, not through the owner of all agents: a chatty agent must never be in the way
//! of another one's stop, nor a slow reader in the way of the agent. The lock is held for a push or a copy, never
//! across an await.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use beadrig::id::Millis;
use beadrig::wire::container::Event;
use tokio::sync::Notify;

use crate::jobs::result::Told;
use crate::limits::{
    EVENT_OVERHEAD_BYTES, OUTPUT_END_LINES_MAX, RING_BYTES_MAX, RING_LINES_MAX, TAIL_BYTES_MAX,
};

/// The output and the status changes of one run.
#[derive(Debug)]
pub struct Output {
    ring: Mutex<Ring>,
    /// Bytes that came out of the pipes.
    heard: AtomicU64,
    last_activity: AtomicI64,
    bytes_max: u64,
    told: Mutex<Told>,
    news: Notify,
}

/// The newest events. Their texts are one after the other in one piece of memory, which grows to its bound and no
/// further: a text of its own for each line, made by one thread and dropped by another, took twice as much.
#[derive(Debug)]
struct Ring {
    entries: VecDeque<Entry>,
    text: VecDeque<u8>,
    next_id: u64,
    /// Bytes of lines that went into the ring.
    taken: u64,
    rest: Rest,
    is_over: bool,
}

/// An event without its text.
#[derive(Debug)]
struct Entry {
    source: Source,
    length: usize,
    at: Millis,
}

/// What came after the run had said all that it may.
#[derive(Debug, Default)]
struct Rest {
    lines: u64,
    bytes: u64,
    /// The last of it.
    end: VecDeque<(Source, String, Millis)>,
    end_bytes: usize,
}

/// What somebody who reads along is handed.
#[derive(Debug, PartialEq, Eq)]
pub struct Next {
    /// Events that were gone before they were read.
    pub missed: u64,
    /// Oldest first.
    pub events: Vec<Event>,
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
    pub fn new(first_id: u64, now: Millis, bytes_max: u64) -> Self {
        let ring = Ring {
            entries: VecDeque::new(),
            text: VecDeque::new(),
            next_id: first_id,
            taken: 0,
            rest: Rest::default(),
            is_over: false,
        };
        Self {
            ring: Mutex::new(ring),
            heard: AtomicU64::new(0),
            last_activity: AtomicI64::new(now.0),
            bytes_max,
            told: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// The process has said something, a line or not.
    pub fn heard(&self, bytes: usize, now: Millis) {
        self.heard.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_activity.store(now.0, Ordering::Relaxed);
    }

    /// What the process said that it cost, and its session.
    pub fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for that in a line of its standard output.
    pub fn tells(&self, line: &[u8]) {
        if matches!(line.first(), Some(b'{' | b'[')) {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).hear(line);
        }
    }

    /// Adds an event; the oldest ones make room.
    pub fn push(&self, source: Source, data: String, now: Millis) {
        let mut ring = self.ring();
        if source == Source::Status {
            ring.add(source, &data, now);
        } else {
            ring.taken += data.len() as u64 + 1;
            if ring.taken > self.bytes_max {
                ring.rest.put(source, data, now);
            } else {
                ring.add(source, &data, now);
            }
        }
        drop(ring);
        self.news.notify_waiters();
    }

    /// The process says nothing any more: what was only counted is summed up, with its end.
    pub fn finish(&self, now: Millis) {
        let mut ring = self.ring();
        let Rest { lines, bytes, end, .. } = std::mem::take(&mut ring.rest);
        if lines > 0 {
            let said = format!(
                "… [{} bytes in {} lines cut: a run may say {} bytes]",
                bytes - end.iter().map(|(_, data, _)| data.len() as u64 + 1).sum::<u64>(),
                lines - end.len() as u64,
                self.bytes_max
            );
            ring.add(Source::Stderr, &said, now);
            for (source, data, at) in end {
                ring.add(source, &data, at);
            }
        }
        drop(ring);
        self.news.notify_waiters();
    }

    /// The run is over: nothing comes any more.
    pub fn close(&self) {
        self.ring().is_over = true;
        self.news.notify_waiters();
    }

    /// Whether a reader who has seen everything up to a cursor has seen everything there will be.
    pub fn is_read(&self, after: u64) -> bool {
        let ring = self.ring();
        ring.is_over && after.saturating_add(1) == ring.next_id
    }

    /// The events after a cursor, oldest first.
    pub fn page(&self, after: u64, limit: usize) -> Vec<Event> {
        self.ring().page(after, limit)
    }

    /// What comes after a cursor, as soon as there is something; nothing once the run is over.
    pub async fn next(&self, after: u64, limit: usize) -> Option<Next> {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // From here on nothing is overheard.
            news.as_mut().enable();
            {
                let ring = self.ring();
                let events = ring.page(after, limit);
                if let Some(first) = events.first() {
                    return Some(Next { missed: first.id - after - 1, events });
                }
                if ring.is_over {
                    return None;
                }
            }
            news.await;
        }
    }

    /// The id of the next event.
    pub fn next_id(&self) -> u64 {
        self.ring().next_id
    }

    /// How many bytes the process has said.
    pub fn said(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// When the process last said something.
    pub fn last_activity(&self) -> Millis {
        Millis(self.last_activity.load(Ordering::Relaxed))
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
        let mut lines = VecDeque::new();
        let mut room = TAIL_BYTES_MAX;
        let mut end = ring.text.len();
        for entry in ring.entries.iter().rev() {
            let whole = end - entry.length..end;
            end = whole.start;
            if entry.source == Source::Status {
                continue;
            }
            let data = ring.text(whole);
            let line = end_of(&data, room).to_owned();
            let (is_cut, length) = (line.len() < data.len(), line.len());
            lines.push_front(line);
            if is_cut || room <= length + 1 {
                break;
            }
            room -= length + 1;
        }
        (!lines.is_empty()).then(|| lines.make_contiguous().join("\n"))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn add(&mut self, source: Source, data: &str, at: Millis) {
        while self.entries.len() >= RING_LINES_MAX || self.cost(data) > RING_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.text.drain(..oldest.length);
        }
        // By itself it would grow to twice its bound.
        let bytes = (self.text.len() + data.len()).next_power_of_two().min(RING_BYTES_MAX);
        self.text.reserve_exact(bytes.saturating_sub(self.text.len()));
        self.text.extend(data.as_bytes());
        self.entries.push_back(Entry { source, length: data.len(), at });
        self.next_id += 1;
    }

    /// What it takes with one more.
    fn cost(&self, data: &str) -> usize {
        self.text.len() + data.len() + (self.entries.len() + 1) * EVENT_OVERHEAD_BYTES
    }

    fn page(&self, after: u64, limit: usize) -> Vec<Event> {
        // Ids have no gaps.
        let first = self.next_id - self.entries.len() as u64;
        let skip =
            usize::try_from(after.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        let skip = skip.min(self.entries.len());
        let mut end = self.entries.range(..skip).map(|entry| entry.length).sum();
        let wanted = self.entries.range(skip..).take(limit).zip(first + skip as u64..);
        let event = |(entry, id): (&Entry, u64)| {
            let start = end;
            end += entry.length;
            Event {
                id,
                event: entry.source.name().to_owned(),
                data: self.text(start..end),
                timestamp: entry.at.to_string(),
            }
        };
        wanted.map(event).collect()
    }

    fn text(&self, range: Range<usize>) -> String {
        let bytes: Vec<u8> = self.text.range(range).copied().collect();
        // Only whole texts were put in and only whole ones are taken out.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

impl Rest {
    fn put(&mut self, source: Source, data: String, at: Millis) {
        self.lines += 1;
        self.bytes += data.len() as u64 + 1;
        self.end_bytes += data.len() + 1;
        self.end.push_back((source, data, at));
        while self.end_bytes > TAIL_BYTES_MAX && self.end.len() > 1
            || self.end.len() > OUTPUT_END_LINES_MAX
        {
            let Some((_, oldest, _)) = self.end.pop_front() else { break };
            self.end_bytes -= oldest.len() + 1;
        }
    }
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
        let output = Output::new(1, Millis(0), u64::MAX);
        for line in lines {
            output.heard(line.len(), Millis(1));
            output.push(Source::Stdout, line, Millis(1));
        }
        output
    }

    #[test]
    fn ids_grow_by_one_and_are_the_cursor() {
        let output = filled((1..=4).map(|n| n.to_string()));
        let ids: Vec<_> = output.page(1, 2).into_iter().map(|event| event.id).collect();
        assert_eq!(ids, [2, 3]);
        assert_eq!((output.page(4, 9), output.page(u64::MAX, 9)), (vec![], vec![]));
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
        // Nor is there more memory than that behind it.
        for output in [short, long, filled((0..900).map(|_| "x".repeat(1000)))] {
            assert!(output.ring().text.capacity() <= RING_BYTES_MAX);
        }
    }

    #[test]
    fn whatever_went_through_the_ring_comes_out_as_it_was() {
        let line = |n: usize| "aä€".repeat(n * 7 % 900);
        let output = filled((0..3000).map(line));
        let page = output.page(0, usize::MAX);
        assert!(page.len() > 50, "{}", page.len());
        for event in page {
            assert_eq!(event.data, line(usize::try_from(event.id).unwrap() - 1));
        }
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

    #[test]
    fn what_a_run_says_beyond_its_bound_is_counted_and_its_end_is_kept() {
        let output = Output::new(1, Millis(0), 20);
        for line in ["first", "second"].into_iter().chain(std::iter::repeat_n("dropped", 5000)) {
            output.push(Source::Stdout, line.to_owned(), Millis(1));
        }
        output.push(Source::Stdout, "the end".to_owned(), Millis(2));
        let data = |output: &Output| -> Vec<String> {
            output.page(0, usize::MAX).into_iter().map(|event| event.data).collect()
        };
        assert_eq!(data(&output), ["first", "second"]);
        output.finish(Millis(3));
        let said = data(&output);
        assert_eq!(said[2], "… [39208 bytes in 4901 lines cut: a run may say 20 bytes]");
        assert_eq!((said.len(), said.last().unwrap().as_str()), (3 + 100, "the end"));
        assert!(output.tail().unwrap().ends_with("dropped\nthe end"));
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_what_it_has_missed() {
        let output = filled((0..2000).map(|n| n.to_string()));
        let next = output.next(7, 2).await.unwrap();
        assert_eq!((next.missed, next.events[0].id, next.events.len()), (1493, 1501, 2));
        let next = output.next(1502, 2).await.unwrap();
        assert_eq!((next.missed, next.events[0].id), (0, 1503));
        assert!(!output.is_read(2000));
        output.close();
        assert_eq!((output.next(2000, 2).await, output.is_read(2000)), (None, true));
    }

    #[tokio::test]
    async fn a_reader_waits_for_what_comes() {
        let output = std::sync::Arc::new(filled([]));
        let reader = tokio::spawn({
            let output = std::sync::Arc::clone(&output);
            async move { output.next(0, 9).await }
        });
        tokio::task::yield_now().await;
        output.push(Source::Stderr, "now".to_owned(), Millis(1));
        assert_eq!(reader.await.unwrap().unwrap().events[0].data, "now");
    }
}
