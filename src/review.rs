//! A review: a branch that waits to be merged, and its life.
//!
//! ```text
//!             started               merged
//!   pending ----------> running -------------> merged
//!     |  ^                 |  |-- conflict ---> conflict
//!     |  +----put back-----+  |-- failed -----> failed
//!     |                       +-- pushed -----> waiting (a person merges it)
//!     +--- the same, at a person's word            +--- merged, conflict, failed
//! ```
//!
//! Put back: there was no room for its merge, nothing was heard of it for too long, or it failed through no fault of
//! the branch. A review that is over never changes again, whatever is reported later. A bead is `in_review` exactly
//! while a review of it is open: the end of a review always moves its bead, and a person who moves the bead ends the
//! review (as `failed`).
//!
//! A merge is known by its review and by how often it was started (`attempts`): whatever an older one says is refused.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::Millis;

/// Where a review is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its merge.
    Pending,
    /// Its merge was started.
    Running,
    /// Its branch is pushed; a person merges it.
    Waiting,
    /// Its branch is merged.
    Merged,
    /// Its branch does not go together with the target.
    Conflict,
    /// It could not be merged for another reason, or was called off.
    Failed,
}

/// What can happen to a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its merge is started.
    Started,
    /// Its merge did not take place; it shall be tried again.
    PutBack,
    /// Its branch is where a person can merge it.
    Pushed,
    /// It is over, in this state.
    Ended(State),
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a review that is {0} cannot be {1}")]
pub struct IllegalTransition(State, Event);

impl State {
    /// Every state, for listings.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Waiting, Self::Merged, Self::Conflict, Self::Failed];

    /// The state after `event`.
    pub fn after(self, event: Event) -> Result<Self, IllegalTransition> {
        use Event as E;
        match (self, event) {
            (Self::Pending, E::Started) => Ok(Self::Running),
            (Self::Pending | Self::Running, E::PutBack) => Ok(Self::Pending),
            (Self::Pending | Self::Running, E::Pushed) => Ok(Self::Waiting),
            (Self::Pending | Self::Running | Self::Waiting, E::Ended(end)) if end.is_over() => {
                Ok(end)
            }
            (state, event) => Err(IllegalTransition(state, event)),
        }
    }

    /// Whether it never changes again.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Merged | Self::Conflict | Self::Failed)
    }

    /// The state as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Merged => "merged",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }

    /// Reads a state.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("started"),
            Self::PutBack => f.write_str("put back"),
            Self::Pushed => f.write_str("pushed"),
            Self::Ended(state) => f.write_str(state.as_str()),
        }
    }
}

/// A review as it is stored. The order of the fields is the order of the columns in `store::reviews`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in migrations/0007_merging.sql")]
pub struct Review {
    pub id: String,
    pub bead: String,
    pub agent: String,
    pub attempt: Option<i64>,
    pub branch: String,
    pub pr_url: Option<String>,
    pub summary: Option<String>,
    pub state: State,
    pub attempts: i64,
    pub created_at: Millis,
    pub started_at: Option<Millis>,
    pub finished_at: Option<Millis>,
    pub message: Option<String>,
    pub commit_sha: Option<String>,
    pub target: Option<String>,
    pub seen_at: Option<Millis>,
    pub not_before: Option<Millis>,
    pub asks: i64,
    pub refusals: usize,
    pub recoveries: i64,
    pub faults: usize,
    pub cleared: Option<i64>,
}

impl Review {
    /// When its merge last gave a sign of life.
    pub fn last_sign(&self) -> Option<Millis> {
        self.seen_at.max(self.started_at)
    }

    /// What it is merged into, for people.
    pub fn target_name(&self) -> &str {
        self.target.as_deref().unwrap_or("the default branch")
    }
}
