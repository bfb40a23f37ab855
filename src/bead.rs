//! A bead, and its life.
//!
//! ```text
//!              hooked                   closed (by its agent, or by a person)
//!     open ------------> in_progress ------------------------------------------> closed
//!      ^  <------------      | |                                                   |
//!      |     released        | +--gave up (attempts used up)--> failed             |
//!      |  (attempt over)     +----stuck, or a person says so--> blocked            |
//!      +------------------- reopened, by a person only ----------+-----------------+
//! ```
//!
//! ```text
//!                    submitted                 closed (merged)
//!     in_progress -------------> in_review ------------------------> closed
//!     open   <-----sent back--------+ +---------stuck--------------> blocked
//!             (it cannot be merged as it is)
//! ```
//!
//! A bead is submitted when its agent is done with a branch that can be merged; see [`review`](crate::review).
//! `deferred` is set and left by people. One thing the rig does by itself: a bead for agents that is deferred until a
//! time is open again when the time has come.
//! Whoever is in `closed` or `failed` stays there until a person reopens it: no late report, no deleted agent
//! changes that.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::Millis;

/// The assignee that means "an agent of the rig takes it".
pub const SENTINEL: &str = "agent";

/// Where a bead is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody is at it.
    Open,
    /// An agent holds it, or a person said that they are at it.
    InProgress,
    /// Its work waits to be merged.
    InReview,
    /// It needs a person.
    Blocked,
    /// It is put off.
    Deferred,
    /// It is done.
    Closed,
    /// The rig gave it up.
    Failed,
}

/// What can happen to a bead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An agent took it.
    Hooked,
    /// Its run is over, and it shall be run again.
    Released,
    /// It ran as often as it may.
    GaveUp,
    /// It cannot go on without a person.
    Stuck,
    /// The time until which it was put off has come.
    Due,
    /// Its work waits to be merged.
    Submitted,
    /// Its work could not be merged as it is; it shall be worked on again.
    SentBack,
    /// It is done.
    Closed,
    /// A person gives it a status.
    Set(Status),
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a bead that is {status} cannot be {event}")]
pub struct IllegalTransition {
    status: Status,
    event: Event,
}

impl Status {
    /// Every status, for listings.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::InProgress,
        Self::InReview,
        Self::Blocked,
        Self::Deferred,
        Self::Closed,
        Self::Failed,
    ];

    /// The status after `event`.
    pub fn after(self, event: Event) -> Result<Self, IllegalTransition> {
        use Event as E;
        match (self, event) {
            (Self::Open | Self::InProgress, E::Hooked) => Ok(Self::InProgress),
            (Self::InProgress, E::Released) => Ok(Self::Open),
            (Self::Open | Self::InProgress, E::GaveUp) => Ok(Self::Failed),
            (Self::Open | Self::InProgress | Self::InReview, E::Stuck) => Ok(Self::Blocked),
            (Self::Deferred, E::Due) => Ok(Self::Open),
            (Self::Open | Self::InProgress | Self::InReview, E::Submitted) => Ok(Self::InReview),
            (Self::InReview, E::SentBack) => Ok(Self::Open),
            (_, E::Closed) => Ok(Self::Closed),
            // A rig gives up; a person closes, or leaves it open.
            (status, E::Set(Self::Failed)) => Err(IllegalTransition { status, event }),
            (_, E::Set(status)) => Ok(status),
            (status, event) => Err(IllegalTransition { status, event }),
        }
    }

    /// The status as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::InReview => "in_review",
            Self::Blocked => "blocked",
            Self::Deferred => "deferred",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }

    /// Reads a status.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the rig is done with it.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Closed | Self::Failed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hooked => f.write_str("hooked"),
            Self::Released => f.write_str("released"),
            Self::GaveUp => f.write_str("given up"),
            Self::Stuck => f.write_str("blocked by the rig"),
            Self::Due => f.write_str("due"),
            Self::Submitted => f.write_str("submitted for review"),
            Self::SentBack => f.write_str("sent back from review"),
            Self::Closed => f.write_str("closed"),
            Self::Set(status) => write!(f, "set to {status}"),
        }
    }
}

/// A bead as it is stored. The order of the fields is the order of the columns in `store::beads`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Bead {
    pub id: String,
    pub kind: String,
    pub status: Status,
    pub title: String,
    pub body: Option<String>,
    pub design: Option<String>,
    pub acceptance_criteria: Option<String>,
    pub priority: u8,
    pub assignee: Option<String>,
    pub assignee_agent_id: Option<String>,
    pub hooked_by: Option<String>,
    pub parent: Option<String>,
    pub labels: Vec<String>,
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub external_ref: Option<String>,
    pub due_at: Option<Millis>,
    pub defer_until: Option<Millis>,
    pub not_before: Option<Millis>,
    pub runs: Vec<Millis>,
    pub losses: Vec<Millis>,
    pub checkpoint: Option<serde_json::Value>,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub created_at: Millis,
    pub created_by: String,
    pub updated_at: Millis,
    pub started_at: Option<Millis>,
    pub closed_at: Option<Millis>,
    pub close_reason: Option<String>,
    pub blocked: bool,
    pub ties: Ties,
}

/// What a bead has to do with convoys, molecules and reviews, and what it cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Ties {
    /// The convoy that it belongs to.
    pub convoy: Option<String>,
    /// The steps that it is done in.
    pub molecule: Option<String>,
    /// Merges that sent its work back since a person last opened it.
    pub conflicts: u32,
    /// The branch that its work is on, the same in each of its runs.
    pub branch: Option<String>,
    /// Where its pull request is.
    pub pr_url: Option<String>,
    /// What its runs cost since a person last opened it, in millionths of a dollar.
    pub cost_micros: i64,
    /// Starts that failed through the container's fault.
    pub excused: Vec<Millis>,
}

impl Bead {
    /// Whether an agent of the rig shall take it.
    pub fn is_for_agents(&self) -> bool {
        self.assignee.as_deref() == Some(SENTINEL)
    }
}

/// The names of the priorities, from 0.
pub const PRIORITIES: [&str; 5] = ["critical", "high", "medium", "low", "backlog"];
