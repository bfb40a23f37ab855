//! An escalation: a bead that asks a person for help, and when it asks louder.
//!
//! ```text
//!     filed --4 h--> bump 1 --4 h--> bump 2 --4 h--> bump 3, and no more
//!       |              |               |
//!       +--------------+---------------+--acknowledged, or its bead is finished: no more
//! ```
//!
//! Each bump is one severity up. They keep to the hours since the escalation was filed, and a rig that slept
//! through several of them gives one: bumps must never come in a row.

use serde::{Deserialize, Serialize};

use crate::id::Millis;
use crate::limits;
use crate::refusal::Refusal;

/// How bad it is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It can wait.
    Low,
    /// Somebody should look.
    Medium,
    /// Work stands still.
    High,
    /// Something breaks.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The severity as stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads a severity.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Refusal::invalid("severity", format!("{text:?} is not one of {names}"))
        })
    }

    /// One up; there is nothing above critical.
    #[must_use]
    pub fn up(self) -> Self {
        match self {
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Critical => Self::Critical,
        }
    }

    /// The priority of a bead that is this bad.
    pub fn priority(self) -> u8 {
        match self {
            Self::Low => 3,
            Self::Medium => 2,
            Self::High => 1,
            Self::Critical => 0,
        }
    }

    /// How bad a bead of this priority is.
    pub fn of_priority(priority: u8) -> Self {
        match priority {
            0 => Self::Critical,
            1 => Self::High,
            2 => Self::Medium,
            _ => Self::Low,
        }
    }
}

/// When an escalation that had so many bumps is looked at next; none: not any more.
pub fn next_bump(created: Millis, bumps: i64, now: Millis) -> Option<Millis> {
    let step = limits::ESCALATION_BUMP_MS;
    let passed = now.since(created) / step;
    if crate::mutant!(BumpsInARow) {
        return (bumps < limits::ESCALATION_BUMPS_MAX).then(|| now.plus(180_000));
    }
    (bumps < limits::ESCALATION_BUMPS_MAX || crate::mutant!(BumpsWithoutEnd))
        .then(|| created.plus((passed + 1) * step))
}
