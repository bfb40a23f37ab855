//! The real SQLite in memory, with the limits of production, and what can go wrong with it.
//!
//! Savepoints are the time machine: one around the whole seed, one that may be "yesterday", one around each thing
//! that the rig does, so that a crash can take back what the disk never got. Those of the rig are inside.

use std::cell::Cell;
use std::rc::Rc;

use beadrig::store::{Sql, SqlError, Value};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter, types};

/// Statements that stay prepared: more than the store has.
const STATEMENTS: usize = 512;

/// The database of the one rig there is.
pub(crate) struct SimSql {
    conn: Connection,
    /// Writes that still succeed; then the disk is full, or was for one write.
    pub(crate) writes_left: Cell<Option<u32>>,
    /// Whether the disk stays full.
    pub(crate) stays_full: Cell<bool>,
    /// How often a write was refused.
    pub(crate) refused: Cell<u64>,
    /// Statements that ran.
    pub(crate) statements: Cell<u64>,
}

/// What each life of the rig opens.
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Rc<SimSql>);

impl SimSql {
    pub(crate) fn open() -> Result<Self, rusqlite::Error> {
        let conn = Connection::open_in_memory()?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "cache_size", -65_536)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        // Else whatever is bound to a column of a partial index has its statement compiled anew, each time.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_LENGTH, 2_000_000),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        ] {
            conn.set_limit(limit, value)?;
        }
        Ok(Self {
            conn,
            writes_left: Cell::new(None),
            stays_full: Cell::new(false),
            refused: Cell::new(0),
            statements: Cell::new(0),
        })
    }

    /// Marks a point to come back to.
    pub(crate) fn mark(&self, name: &str) {
        self.must(&format!("SAVEPOINT {name}"));
    }

    /// Keeps what was done since the mark.
    pub(crate) fn keep(&self, name: &str) {
        self.must(&format!("RELEASE {name}"));
    }

    /// Takes back what was done since the mark.
    pub(crate) fn take_back(&self, name: &str) {
        self.must(&format!("ROLLBACK TO {name}"));
        self.must(&format!("RELEASE {name}"));
    }

    fn must(&self, sql: &str) {
        let done = self.conn.prepare_cached(sql).and_then(|mut it| it.execute(()));
        assert!(done.is_ok(), "{sql}: {done:?}");
    }

    fn may_write(&self) -> Result<(), SqlError> {
        match self.writes_left.get() {
            None => Ok(()),
            Some(0) => {
                self.refused.set(self.refused.get() + 1);
                if !self.stays_full.get() {
                    self.writes_left.set(None);
                }
                Err(SqlError::Refused("database or disk is full".to_owned()))
            }
            Some(n) => {
                self.writes_left.set(Some(n - 1));
                Ok(())
            }
        }
    }
}

impl Sql for Handle {
    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, SqlError> {
        let db = &self.0;
        db.statements.set(db.statements.get() + 1);
        let mut stmt = db.conn.prepare_cached(sql).map_err(refused)?;
        if !stmt.readonly() && !sql.starts_with("DELETE") {
            db.may_write()?;
        }
        stmt.query_map(params_from_iter(args.iter().map(Arg)), |row| row.get(0))
            .and_then(|rows| rows.map(|value| value.map(read)).collect())
            .map_err(refused)
    }

    fn script(&self, sql: &str) -> Result<(), SqlError> {
        self.0.conn.execute_batch(sql).map_err(refused)
    }

    fn atomically<T, E: From<SqlError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.mark("rig");
        let done = work();
        match &done {
            Ok(_) => self.0.keep("rig"),
            Err(_) => self.0.take_back("rig"),
        }
        done
    }
}

struct Arg<'a>(&'a Value);

impl ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(n) => ValueRef::Integer(*n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn read(value: types::Value) -> Value {
    match value {
        types::Value::Integer(n) => Value::Integer(n),
        types::Value::Text(text) => Value::Text(text),
        // The schema has nothing else.
        types::Value::Null | types::Value::Real(_) | types::Value::Blob(_) => Value::Null,
    }
}

fn refused(err: rusqlite::Error) -> SqlError {
    SqlError::Refused(err.to_string())
}
