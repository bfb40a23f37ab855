//! The rig's memory: one file per table over a small SQL seam.
//!
//! Every question is asked so that each row of the answer is one column of JSON: crossing from SQLite into
//! wasm costs by the value, not by the byte. SQL lives in this folder and nowhere else. Nothing here decides.

mod agent_events;
mod agents;
mod attempts;
mod beads;
mod breaker;
mod comments;
mod config;
mod convoys;
mod dependencies;
mod details;
mod due;
mod escalations;
mod events;
mod everything;
mod exchange;
mod hall;
mod kept_answers;
mod mail;
mod merging;
mod migrate;
mod molecules;
mod notes;
mod refused_calls;
mod registry;
mod removal;
mod reviews;
pub mod sql;

use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use serde::de::DeserializeOwned;

pub use agent_events::AgentEvent;
pub use agents::{Hooked, Member};
pub use attempts::NewAttempt;
pub use beads::BeadFilter;
pub use comments::Comment;
pub use config::{Pause, Standing};
pub use convoys::Convoy;
pub use dependencies::{Blocker, Dependency, Linked};
pub use details::Extent;
pub use due::{Deed, Due};
pub use escalations::{Escalation, NewEscalation};
pub use events::BeadEvent;
pub(crate) use everything::{TOWN_LAYER, is_setting};
pub use exchange::{Around, Kept, Loose, PlacedNote, Tie};
pub use hall::{HallBook, HallRig, TownConvoy};
pub use kept_answers::KeptAnswer;
pub use mail::{Mail, NewMail};
pub use merging::{AtWork, MergeRow, Merging};
pub use notes::Note;
pub use refused_calls::RefusedCall;
pub use registry::{Registry, Town, TownRig};
pub use sql::{Sql, SqlError, Value};

use crate::limits;

/// Typed access to the tables.
pub struct Store<S> {
    sql: S,
    /// Whether a transaction is open. Atomic, because a panic may pass by a `Cell` half-way.
    open: AtomicBool,
    /// What the rig set for itself, once it was read; a lock, for the same reason.
    standing: Mutex<Option<Rc<Standing>>>,
}

impl<S: Sql> Store<S> {
    /// Opens the store, bringing its schema up to date; one statement when it is.
    pub fn open(sql: S) -> Result<Self, SqlError> {
        Self::open_as(sql, migrate::MIGRATIONS)
    }

    /// As `open`, with the schema of these migrations.
    fn open_as(sql: S, migrations: &[&str]) -> Result<Self, SqlError> {
        let store = Self { sql, open: AtomicBool::new(false), standing: Mutex::default() };
        store.migrate(migrations)?;
        Ok(store)
    }

    /// Runs `work` so that either all of its writes stay or none do.
    ///
    /// Inside another `atomically` it is a part of that one, as a Durable Object cannot nest them: then what fails here
    /// must fail the outer one too.
    pub fn atomically<T, E: From<SqlError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.is_open() {
            return work();
        }
        self.open.store(true, Relaxed);
        let _closes = Closes(&self.open);
        let done = self.sql.atomically(work);
        if done.is_err() {
            self.forget_standing();
        }
        done
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    /// The database underneath, for tests and benchmarks.
    pub fn sql(&self) -> &S {
        &self.sql
    }

    /// Runs one statement within the limits of production, which a local runtime does not all enforce.
    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, SqlError> {
        if args.len() > limits::SQL_PARAMETERS_MAX {
            return Err(SqlError::Refused(format!("{} parameters", args.len())));
        }
        let longest = args.iter().map(Value::bytes).max().unwrap_or(0);
        if longest > limits::SQL_VALUE_BYTES_MAX {
            return Err(SqlError::Refused(format!("a value of {longest} bytes")));
        }
        self.sql.run(sql, args)
    }

    fn all<T: DeserializeOwned>(&self, sql: &str, args: &[Value]) -> Result<Vec<T>, SqlError> {
        self.run(sql, args)?.into_iter().map(decode).collect()
    }

    /// As `all`, but a row that cannot be read costs only itself.
    fn readable<T: DeserializeOwned>(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<(Vec<T>, Vec<SqlError>), SqlError> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for row in self.run(sql, args)? {
            match decode(row) {
                Ok(row) => good.push(row),
                Err(err) => bad.push(err),
            }
        }
        Ok((good, bad))
    }

    fn one<T: DeserializeOwned>(&self, sql: &str, args: &[Value]) -> Result<Option<T>, SqlError> {
        self.run(sql, args)?.into_iter().next().map(decode).transpose()
    }

    /// A single number; NULL is none.
    fn number(&self, sql: &str, args: &[Value]) -> Result<Option<i64>, SqlError> {
        match self.run(sql, args)?.into_iter().next() {
            Some(Value::Integer(n)) => Ok(Some(n)),
            Some(Value::Null) | None => Ok(None),
            Some(Value::Text(_)) => Err(SqlError::Unreadable("text for a number".to_owned())),
        }
    }
}

/// Says that the transaction is over, also when it panicked.
struct Closes<'a>(&'a AtomicBool);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

fn decode<T: DeserializeOwned>(row: Value) -> Result<T, SqlError> {
    match row {
        Value::Text(json) => {
            serde_json::from_str(&json).map_err(|err| SqlError::Unreadable(err.to_string()))
        }
        Value::Null | Value::Integer(_) => Err(SqlError::Unreadable("no JSON in a row".to_owned())),
    }
}

fn to_json(value: &impl serde::Serialize) -> Value {
    Value::Text(serde_json::to_string(value).expect("plain data"))
}
