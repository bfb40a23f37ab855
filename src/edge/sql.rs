//! A Durable Object's SQLite as [`Sql`].
//!
//! Only the raw cursor is used: the typed ones of `worker` 0.8 hang for ever when JavaScript throws.

use std::panic::AssertUnwindSafe;
#[cfg(feature = "bench")]
use std::sync::atomic::{AtomicU64, Ordering};

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::*;
use worker::{SqlStorage, SqlStorageValue, State};

use crate::store::{Sql, SqlError, Value};

pub(super) struct DurableSql {
    sql: SqlStorage,
    storage: JsStorage,
    #[cfg(feature = "bench")]
    pub(super) counted: Counted,
}

/// What was asked of the database since it was opened.
#[cfg(feature = "bench")]
#[derive(Default)]
pub(super) struct Counted {
    pub(super) statements: AtomicU64,
    pub(super) rows_read: AtomicU64,
    pub(super) rows_written: AtomicU64,
}

// `worker` 0.8 does not bind `transactionSync`.
#[wasm_bindgen]
extern "C" {
    type JsState;

    #[wasm_bindgen(method, getter)]
    fn storage(this: &JsState) -> JsStorage;

    type JsStorage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &JsStorage,
        work: &mut dyn FnMut() -> Result<(), JsValue>,
    ) -> Result<(), JsValue>;
}

impl DurableSql {
    pub(super) fn open(state: &State) -> Self {
        let raw: &JsValue = state.as_raw().as_ref();
        Self {
            sql: state.storage().sql(),
            storage: raw.unchecked_ref::<JsState>().storage(),
            #[cfg(feature = "bench")]
            counted: Counted::default(),
        }
    }

    #[cfg(feature = "bench")]
    fn count(&self, cursor: &worker::SqlCursor) {
        self.counted.statements.fetch_add(1, Ordering::Relaxed);
        self.counted.rows_read.fetch_add(cursor.rows_read() as u64, Ordering::Relaxed);
        self.counted.rows_written.fetch_add(cursor.rows_written() as u64, Ordering::Relaxed);
    }

    #[cfg(feature = "bench")]
    pub(super) fn database_size(&self) -> usize {
        self.sql.database_size()
    }
}

impl Sql for DurableSql {
    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, SqlError> {
        let args: Vec<SqlStorageValue> = args.iter().map(into_js).collect();
        let cursor = self.sql.exec(sql, args).map_err(refused)?;
        let mut rows = Vec::new();
        for row in cursor.raw() {
            // After an error the cursor repeats it for ever: stop at the first.
            let first = row.map_err(refused)?.into_iter().next();
            rows.push(from_js(first.unwrap_or(SqlStorageValue::Null))?);
        }
        #[cfg(feature = "bench")]
        self.count(&cursor);
        Ok(rows)
    }

    fn script(&self, sql: &str) -> Result<(), SqlError> {
        self.sql.exec(sql, None).map_err(refused)?;
        #[cfg(feature = "bench")]
        self.counted.statements.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn atomically<T, E: From<SqlError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut once = (Some(work), None);
        // A panic inside is thrown to JavaScript, which rolls back and throws on; `once` is then only dropped.
        let mut held = AssertUnwindSafe(&mut once);
        let thrown = self.storage.transaction_sync(&mut move || {
            let held = &mut held;
            let (work, outcome) = &mut ***held;
            let Some(work) = work.take() else { return Err(JsValue::from_str("called twice")) };
            let done = work();
            let verdict = if done.is_ok() { Ok(()) } else { Err(JsValue::from_str("rolled back")) };
            *outcome = Some(done);
            verdict
        });
        match (thrown, once.1) {
            (Ok(()), Some(done)) | (Err(_), Some(done @ Err(_))) => done,
            // A commit that failed, or a panic inside.
            (Err(err), _) => Err(SqlError::Refused(format!("{err:?}")).into()),
            (Ok(()), None) => {
                Err(SqlError::Refused("the transaction did not run".to_owned()).into())
            }
        }
    }
}

fn into_js(value: &Value) -> SqlStorageValue {
    match value {
        Value::Null => SqlStorageValue::Null,
        Value::Integer(n) => SqlStorageValue::Integer(*n),
        Value::Text(text) => SqlStorageValue::String(text.clone()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^53 come back as floats")]
fn from_js(value: SqlStorageValue) -> Result<Value, SqlError> {
    match value {
        SqlStorageValue::Null => Ok(Value::Null),
        SqlStorageValue::Integer(n) => Ok(Value::Integer(n)),
        SqlStorageValue::Float(n) if n.fract() == 0.0 => Ok(Value::Integer(n as i64)),
        SqlStorageValue::String(text) => Ok(Value::Text(text)),
        other => Err(SqlError::Unreadable(format!("unexpected value {other:?}"))),
    }
}

fn refused(err: worker::Error) -> SqlError {
    SqlError::Refused(err.to_string())
}
