//! An agent: a worker that the rig knows, and its state.
//!
//! What an agent does is not stored with it. Its hook is the bead that names it (`bead.hooked_by`), its state
//! follows from its live attempt, so that the two can never disagree:
//!
//! | live attempt | state | on the wire |
//! |---|---|---|
//! | none | idle | `idle` |
//! | claimed, starting | starting | `idle`, as Gastown's clients expect |
//! | running | working | `working` |
//! | stopping | stopping | `stopping` |
//!
//! Only the scheduler starts an attempt; only an accepted report of that attempt makes it run.
//!
//! What somebody said of it is stored, as its [`Mark`]. A marked agent is neither chosen nor started, and shows
//! its mark in place of its state:
//!
//! ```text
//!              blocked (by a person, or by itself)
//!     none ------------------------------------------> blocked --+
//!      ^  |---stalled (by the patrol)----> stalled --------------+--died (a person says so)--> dead
//!      |  +------------------------------------------------------+                               |
//!      +----cleared, by a person ----------------------------------------------------------------+
//! ```
//!
//! `stalled` also ends by itself: when the bead that it stalled on is reopened, closed, deleted or given to another.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::attempt;
use crate::id::Millis;
use crate::refusal::Refusal;

/// What an agent is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Does beads.
    Polecat,
    /// Reviews and merges.
    Refinery,
    /// Talks with people.
    Mayor,
    /// The patrol; never a process.
    Witness,
}

impl Role {
    /// The role as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polecat => "polecat",
            Self::Refinery => "refinery",
            Self::Mayor => "mayor",
            Self::Witness => "witness",
        }
    }

    /// Reads a role.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let all = [Self::Polecat, Self::Refinery, Self::Mayor, Self::Witness];
        all.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            let names = all.map(Self::as_str).join(", ");
            Refusal::invalid("role", format!("{text:?} is not one of {names}"))
        })
    }
}

/// An agent's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Has no process, and none is asked for.
    Idle,
    /// A process is asked for.
    Starting,
    /// Its process is alive.
    Working,
    /// Its process is wanted no more.
    Stopping,
}

impl State {
    /// The state that follows from the live attempt.
    pub fn of(live: Option<attempt::State>) -> Self {
        use attempt::State as A;
        match live {
            None => Self::Idle,
            Some(A::Claimed | A::Starting) => Self::Starting,
            Some(A::Running) => Self::Working,
            Some(A::Stopping) => Self::Stopping,
            Some(A::Done | A::Exited | A::Failed | A::Timeout | A::Lost | A::Interrupted) => {
                Self::Idle
            }
        }
    }

    /// The state as Gastown's clients know it.
    pub fn on_the_wire(self) -> &'static str {
        match self {
            Self::Idle | Self::Starting => "idle",
            Self::Working => "working",
            Self::Stopping => "stopping",
        }
    }
}

/// What was said of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It cannot go on; what it holds stays with it while its process lives.
    Blocked,
    /// It is given up: it holds nothing and counts nowhere.
    Dead,
    /// The patrol saw no progress for too long.
    Stalled,
}

/// What can be said of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkEvent {
    /// It cannot go on.
    Blocked,
    /// It makes no progress.
    Stalled,
    /// It is given up.
    Died,
    /// All is well with it.
    Cleared,
}

/// Something that cannot be said of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an agent that is {0} cannot be {1}; set it idle first")]
pub struct IllegalMark(&'static str, MarkEvent);

impl fmt::Display for MarkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "blocked",
            Self::Stalled => "stalled",
            Self::Died => "given up",
            Self::Cleared => "cleared",
        })
    }
}

impl Mark {
    /// The mark after `event`.
    pub fn after(mark: Option<Self>, event: MarkEvent) -> Result<Option<Self>, IllegalMark> {
        use MarkEvent as E;
        match (mark, event) {
            (_, E::Cleared) => Ok(None),
            (_, E::Died) => Ok(Some(Self::Dead)),
            (Some(Self::Dead), E::Blocked | E::Stalled) => {
                Err(IllegalMark(Self::Dead.as_str(), event))
            }
            (None | Some(Self::Blocked | Self::Stalled), E::Blocked) => Ok(Some(Self::Blocked)),
            (None | Some(Self::Blocked | Self::Stalled), E::Stalled) => Ok(Some(Self::Stalled)),
        }
    }

    /// The mark as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Dead => "dead",
            Self::Stalled => "stalled",
        }
    }
}

/// An agent as it is stored. The order of the fields is the order of the columns in `store::agents`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in migrations/0001_init.sql")]
pub struct Agent {
    pub id: String,
    pub role: Role,
    pub name: String,
    pub identity: String,
    pub created_at: Millis,
    pub mark: Option<Mark>,
    pub used_at: Option<Millis>,
}

/// The names that polecats get, in this order; then `Polecat-21`, ….
pub const NAMES: [&str; 20] = [
    "Toast", "Maple", "Birch", "Shadow", "Copper", "Ember", "Frost", "Sage", "Flint", "Cedar",
    "Dusk", "Slate", "Thorn", "Drift", "Spark", "Onyx", "Moss", "Rust", "Wren", "Quartz",
];
