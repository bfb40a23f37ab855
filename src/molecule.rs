//! A molecule: the steps in which a bead is done, and its life.
//!
//! ```text
//!   active (step 0) --advanced--> active (step 1) -- … --advanced--> completed
//! ```
//!
//! It belongs to the bead, so that the next run goes on at the step where the last one was. That all steps are
//! done closes no bead: that is for its agent to say.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::Millis;

/// Where a molecule is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A step is to be done.
    Active,
    /// All steps are done.
    Completed,
}

/// What can happen to a molecule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The step that was to be done is done; whether it was the last one.
    Advanced {
        /// No step follows.
        last: bool,
    },
}

/// An event that cannot happen in a state. The text is Gastown's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Molecule is {0}, cannot advance")]
pub struct IllegalTransition(State);

impl State {
    /// The state after `event`.
    pub fn after(self, event: Event) -> Result<Self, IllegalTransition> {
        match (self, event) {
            (Self::Active, Event::Advanced { last: false }) => Ok(Self::Active),
            (Self::Active, Event::Advanced { last: true }) => Ok(Self::Completed),
            (Self::Completed, Event::Advanced { .. }) => Err(IllegalTransition(self)),
        }
    }

    /// The state as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed => "completed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One step: its title, and what is to be done.
pub type Step = (String, String);

/// A molecule as it is stored. The order of the fields is the order of the columns in `store::molecules`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the columns are described in migrations/0004_reviews_molecules.sql"
)]
pub struct Molecule {
    pub id: String,
    pub bead: String,
    pub steps: Vec<Step>,
    pub step: usize,
    pub state: State,
    pub created_at: Millis,
    pub updated_at: Millis,
}

impl Molecule {
    /// The step that is to be done; none when all are done.
    pub fn current(&self) -> Option<&Step> {
        self.steps.get(self.step)
    }
}
