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

use serde::{Deserialize, Serialize};

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

/// An agent as it is stored. The order of the fields is the order of the columns in `store::agents`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the columns are described in migrations/0001_init.sql")]
pub struct Agent {
    pub id: String,
    pub role: Role,
    pub name: String,
    pub identity: String,
    pub created_at: Millis,
}

/// The names that polecats get, in this order; then `Polecat-21`, ….
pub const NAMES: [&str; 20] = [
    "Toast", "Maple", "Birch", "Shadow", "Copper", "Ember", "Frost", "Sage", "Flint", "Cedar",
    "Dusk", "Slate", "Thorn", "Drift", "Spark", "Onyx", "Moss", "Rust", "Wren", "Quartz",
];
