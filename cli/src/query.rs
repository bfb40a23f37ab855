//! bd's query language: what an expression says of a bead. `status=open AND (priority<=1 OR label=urgent)`.
//!
//! ```text
//! text --parse--> Expr --check--> Test --takes--> whether it is one of these
//! ```
//!
//! What a term means is worked out once, in [`Test`], so that a bad value is refused before the rig is asked. Must
//! never ask the rig itself: which statuses can come out at all is told, so that the rig is asked for no others.

mod parse;
mod term;

pub use parse::parse;
pub use term::{Target, metadata_is};

use crate::failure::Failure;
use jiff::Zoned;
use std::fmt;
use term::Term;

/// An expression as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `field op value`.
    Is {
        /// In small letters, but for the key in `metadata.<key>`.
        field: String,
        /// How.
        op: Op,
        /// With what.
        value: String,
    },
    /// Both.
    And(Box<Self>, Box<Self>),
    /// At least one.
    Or(Box<Self>, Box<Self>),
    /// Not this.
    Not(Box<Self>),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is { field, op, value } => write!(f, "{field}{op}{value}"),
            Self::And(one, other) => write!(f, "({one} AND {other})"),
            Self::Or(one, other) => write!(f, "({one} OR {other})"),
            Self::Not(it) => write!(f, "NOT {it}"),
        }
    }
}

impl Expr {
    /// Whether a term is about this field.
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::Is { field, .. } => field == name,
            Self::And(one, other) | Self::Or(one, other) => one.names(name) || other.names(name),
            Self::Not(it) => it.names(name),
        }
    }

    /// What it means now, or which term means nothing.
    pub fn check(&self, now: &Zoned) -> Result<Test, Failure> {
        let both = |one: &Self, other: &Self| {
            Ok::<_, Failure>((Box::new(one.check(now)?), Box::new(other.check(now)?)))
        };
        Ok(match self {
            Self::Is { field, op, value } => Test::Is(Term::new(field, *op, value, now)?),
            Self::And(one, other) => {
                let (one, other) = both(one, other)?;
                Test::And(one, other)
            }
            Self::Or(one, other) => {
                let (one, other) = both(one, other)?;
                Test::Or(one, other)
            }
            Self::Not(it) => Test::Not(Box::new(it.check(now)?)),
        })
    }
}

/// An expression whose terms are understood.
#[derive(Debug)]
pub enum Test {
    /// A term.
    Is(Term),
    /// Both.
    And(Box<Self>, Box<Self>),
    /// At least one.
    Or(Box<Self>, Box<Self>),
    /// Not this.
    Not(Box<Self>),
}

impl Test {
    /// Whether it is true of a bead.
    pub fn takes(&self, target: &Target<'_>) -> bool {
        match self {
            Self::Is(term) => term.takes(target),
            Self::And(one, other) => one.takes(target) && other.takes(target),
            Self::Or(one, other) => one.takes(target) || other.takes(target),
            Self::Not(it) => !it.takes(target),
        }
    }

    /// Whether it can be true of any bead in this status: `None` where that depends on more than the status.
    pub fn of_status(&self, status: &str) -> Option<bool> {
        match self {
            Self::Is(term) => term.of_status(status),
            Self::And(one, other) => match (one.of_status(status), other.of_status(status)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(one, other) => match (one.of_status(status), other.of_status(status)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(it) => it.of_status(status).map(|it| !it),
        }
    }

    /// The assignee that every bead has of whom it is true, where it says one.
    pub fn assignee(&self) -> Option<&str> {
        match self {
            Self::Is(term) => term.assignee(),
            Self::And(one, other) => one.assignee().or_else(|| other.assignee()),
            Self::Or(..) | Self::Not(_) => None,
        }
    }
}
