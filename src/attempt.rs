//! An attempt: one run of an agent on a bead, and its life.
//!
//! ```text
//!              asked                 alive
//!   claimed ----------> starting -----------> running
//!      ^                 |    |                 |  |
//!      +---no room-------+    |                 |  +--dismissed--> stopping --gone--> the outcome it was given
//!                             +--dismissed------|---------------->
//!        refused: failed      gone, lost:       exited, failed, timeout, lost, interrupted
//! ```
//!
//! The number of an attempt is the fencing token: everything that a run says carries it, and what another
//! than the live attempt says is refused. `claimed` means that the container had no room; the same number is
//! asked for again. An attempt that is over never changes again.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::Millis;

/// Where an attempt is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for room in the container.
    Claimed,
    /// The container was asked; its answer is not known yet.
    Starting,
    /// Its process was seen alive.
    Running,
    /// It is wanted no more; its process may still be there.
    Stopping,
    /// The agent said that it is done.
    Done,
    /// The process ended without saying so.
    Exited,
    /// There was no process: the start was refused.
    Failed,
    /// It took longer than it may.
    Timeout,
    /// The container lost it, or was lost itself.
    Lost,
    /// It was called off, or the container shut down.
    Interrupted,
}

/// What can happen to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The container is asked for a process.
    Asked,
    /// The container has no room.
    NoRoom,
    /// The process was seen alive: an answer, a heartbeat, a call with its token.
    Alive,
    /// It is wanted no more; it shall end in this state.
    Dismissed(State),
    /// Its process is gone, or never was; it ends in this state, unless it was dismissed before.
    Gone(State),
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an attempt that is {0} cannot be {1:?}")]
pub struct IllegalTransition(State, Event);

impl State {
    /// The state after `event`, and the state that a stopping attempt will end in.
    ///
    /// Reports are idempotent: what is said twice changes nothing the second time.
    pub fn after(
        self,
        outcome: Option<Self>,
        event: Event,
    ) -> Result<(Self, Option<Self>), IllegalTransition> {
        use Event as E;
        match (self, event) {
            (Self::Claimed | Self::Starting, E::Asked) => Ok((Self::Starting, None)),
            (Self::Claimed | Self::Starting, E::NoRoom) => Ok((Self::Claimed, None)),
            (Self::Claimed | Self::Starting | Self::Running, E::Alive) => Ok((Self::Running, None)),
            (Self::Stopping, E::Alive | E::NoRoom) => Ok((Self::Stopping, outcome)),
            // Nothing was started, so nothing need be stopped.
            (Self::Claimed, E::Dismissed(end)) if end.is_over() => Ok((end, None)),
            (Self::Starting | Self::Running, E::Dismissed(end)) if end.is_over() => {
                Ok((Self::Stopping, Some(end)))
            }
            (Self::Stopping, E::Dismissed(_)) => Ok((Self::Stopping, outcome)),
            (Self::Claimed | Self::Starting | Self::Running, E::Gone(end)) if end.is_over() => {
                Ok((end, None))
            }
            (Self::Stopping, E::Gone(end)) => Ok((outcome.unwrap_or(end), None)),
            (state, event) => Err(IllegalTransition(state, event)),
        }
    }

    /// Whether the run is over, for good.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Claimed | Self::Starting | Self::Running | Self::Stopping)
    }

    /// The state as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Exited => "exited",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An attempt as it is stored. The order of the fields is the order of the columns in `store::attempts`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in migrations/0001_init.sql")]
pub struct Attempt {
    pub number: i64,
    pub agent: String,
    pub bead: String,
    pub job: String,
    pub state: State,
    pub outcome: Option<State>,
    pub reason: Option<String>,
    pub exit_code: Option<i32>,
    pub asked_at: Millis,
    pub refusals: usize,
    pub retry_at: Option<Millis>,
    pub accepted_at: Option<Millis>,
    pub last_seen: Option<Millis>,
    pub last_activity: Option<Millis>,
    pub suspect_since: Option<Millis>,
    pub failed_asks: i64,
    pub stop_at: Option<Millis>,
    pub ended_at: Option<Millis>,
    pub unwatched_ms: i64,
    pub nudged_at: Option<Millis>,
    pub escalated_at: Option<Millis>,
    pub cost_micros: Option<i64>,
    pub boot: Option<String>,
}

impl Attempt {
    /// Whether a container service in this life may speak of it: the one that showed it alive first, or one that
    /// does not say which it is.
    pub fn is_of(&self, boot: Option<&str>) -> bool {
        let known = self.boot.as_deref();
        boot.is_none() || known.is_none() || known == boot || crate::mutant!(AnyBootIsTaken)
    }
}
