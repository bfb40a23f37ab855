//! A review: a branch that waits to be merged, and its life.
//!
//! ```text
//!             started               merged
//!   pending ----------> running -------------> merged
//!     |  ^                 |  |-- conflict ---> conflict
//!     |  +---recovered-----+  +-- failed -----> failed
//!     +--- the same ends, at a person's word
//! ```
//!
//! `recovered`: a merge that was started and of which nothing was heard for too long. A review that is over never
//! changes again, whatever is reported later. A bead is `in_review` exactly while a review of it is open: the end
//! of a review always moves its bead, and a person who moves the bead ends the review (as `failed`).

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
    /// Nothing was heard of its merge; it shall be tried again.
    Recovered,
    /// It is over, in this state.
    Ended(State),
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a review that is {0} cannot be {1}")]
pub struct IllegalTransition(State, Event);

impl State {
    /// Every state, for listings.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Running, Self::Merged, Self::Conflict, Self::Failed];

    /// The state after `event`.
    pub fn after(self, event: Event) -> Result<Self, IllegalTransition> {
        use Event as E;
        match (self, event) {
            (Self::Pending, E::Started) => Ok(Self::Running),
            (Self::Running, E::Recovered) => Ok(Self::Pending),
            (Self::Pending | Self::Running, E::Ended(end)) if end.is_over() => Ok(end),
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
            Self::Recovered => f.write_str("recovered"),
            Self::Ended(state) => f.write_str(state.as_str()),
        }
    }
}

/// A review as it is stored. The order of the fields is the order of the columns in `store::reviews`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the columns are described in migrations/0004_reviews_molecules.sql"
)]
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
}
