//! The seam between the rig and whichever SQLite holds it.

use thiserror::Error;

use crate::id::Millis;

/// A SQLite the rig can use: a Durable Object's, or one of a test.
///
/// It is synchronous on purpose: with no `await` inside, a command cannot be interleaved with another.
pub trait Sql {
    /// Runs one statement and returns the first column of its rows.
    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, SqlError>;

    /// Runs a script of statements that return nothing.
    fn script(&self, sql: &str) -> Result<(), SqlError>;

    /// Runs `work` in a transaction, rolled back when it fails. Never nested.
    fn atomically<T, E: From<SqlError>>(&self, work: impl FnOnce() -> Result<T, E>)
    -> Result<T, E>;
}

/// A value in a column or in a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number that JavaScript can hold too: within 2^53.
    Integer(i64),
    /// Words.
    Text(String),
}

impl Value {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Null | Self::Integer(_) => 8,
        }
    }
}

/// Why the database did not do what it was asked. A fault of ours or of the machine, never of the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SqlError {
    /// The engine refused the statement.
    #[error("database: {0}")]
    Refused(String),
    /// A row holds something that the code does not know.
    #[error("unreadable row: {0}")]
    Unreadable(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Self {
        Self::Integer(n.into())
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Self {
        Self::Integer(n.into())
    }
}

impl From<Millis> for Value {
    fn from(at: Millis) -> Self {
        Self::Integer(at.0)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
