//! The breaker of a rig: whether its starts fail so often that the container is at fault, and not the beads.
//!
//! ```text
//!                20 starts failed in 30 min
//!     closed ------------------------------------> open --+ probed: one start, then a wait of
//!       ^                                           |  ^  |   5 min, growing to 20 min
//!       +------ a start since then was accepted ----+  +--+
//! ```
//!
//! A failed start is one that was refused or never came up; that there is no room, or no container, is none. While
//! the breaker is open one start is let through at a time, and what fails then does not count against its bead, nor do
//! the starts that opened it. It never decides about a bead, and reads no clock.

use serde::Deserialize;

use crate::id::Millis;
use crate::limits;

/// The rig's starts, if they fail. The order of the fields is that of the columns in `store::breaker`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Breaker {
    /// The last starts that failed: when they were asked for, and of which bead.
    pub failures: Vec<(Millis, String)>,
    /// Why the last one failed.
    pub why: Option<String>,
    /// Since when it is open.
    pub opened_at: Option<Millis>,
    /// While it is open: when the next start is let through.
    pub probe_at: Option<Millis>,
}

/// What can happen to a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A start failed: when it was asked for, of which bead, and why.
    Failed(Millis, String, String),
    /// A start was accepted that was asked for at this time.
    Succeeded(Millis),
    /// A start is let through.
    Probed,
}

impl Breaker {
    /// The breaker after `event`. What is said for the second time changes nothing.
    #[must_use]
    pub fn after(&self, event: Event, now: Millis) -> Self {
        let mut next = self.clone();
        match (self.opened_at, event) {
            (None, Event::Failed(asked_at, bead, why)) => {
                next.failures.retain(|(at, _)| now.since(*at) < limits::BREAKER_WINDOW_MS);
                next.failures.push((asked_at, bead));
                next.why = Some(why);
                if next.failures.len() >= limits::BREAKER_FAILURES
                    && !crate::mutant!(BreakerStaysClosed)
                {
                    next.opened_at = Some(now);
                    next.probe_at = Some(now.plus(wait(0)));
                }
            }
            (Some(_), Event::Failed(_, _, why)) => next.why = Some(why),
            (Some(since), Event::Probed) => next.probe_at = Some(now.plus(wait(now.since(since)))),
            // One that was asked for before says nothing about what is since.
            (Some(since), Event::Succeeded(asked_at)) if asked_at >= since => {
                next = Self::default();
            }
            (None, Event::Probed) | (_, Event::Succeeded(_)) => {}
        }
        next
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.opened_at.is_some()
    }

    /// Whether a start may go now.
    pub fn lets_through(&self, now: Millis) -> bool {
        self.probe_at.is_none_or(|at| at <= now) || crate::mutant!(BreakerLetsAllThrough)
    }

    /// Whether the starts of other beads than this one fail too.
    pub fn is_not_only(&self, bead: &str, now: Millis) -> bool {
        self.failures
            .iter()
            .any(|(at, it)| it != bead && now.since(*at) < limits::BREAKER_WINDOW_MS)
    }

    /// What a bead that waits for it is told; none while it is closed.
    pub fn says(&self) -> Option<String> {
        let (since, probe) = (self.opened_at?, self.probe_at?);
        let why = self.why.as_deref().unwrap_or("no reason given");
        Some(format!(
            "breaker_open since {since}: {} starts failed in {} min, the last one: {why}; next probe at {probe}",
            limits::BREAKER_FAILURES,
            limits::BREAKER_WINDOW_MS / 60_000
        ))
    }
}

/// How long after a probe the next one is let through: a sixth of how long it has been open, within bounds.
fn wait(open_ms: i64) -> i64 {
    (open_ms / 6).clamp(limits::BREAKER_PROBE_MS, limits::BREAKER_PROBE_MAX_MS)
}
