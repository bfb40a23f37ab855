//! The table `refused_call`: a ring of what was refused. A flood of refusals must cost a bounded number of rows.

use serde::Deserialize;

use super::{Sql, SqlError, Store};
use crate::id::Millis;
use crate::limits;

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RefusedCall {
    /// Grows by one; the cursor.
    pub seq: i64,
    /// When.
    pub at: Millis,
    /// `operator`, `container` or `agent`.
    pub caller: String,
    /// Who.
    pub caller_id: String,
    /// `GET`, `POST`, ….
    pub method: String,
    /// What followed `/api/rigs/:rigId`, without the query.
    pub path: String,
    /// 4xx.
    pub status: u16,
    /// Why.
    pub code: String,
}

impl<S: Sql> Store<S> {
    /// Writes a refusal down (its `seq` is given here). Of a minute only so many are kept; the next one says `more`,
    /// and the rest of that minute costs one question and no row.
    pub fn add_refused_call(&self, call: &RefusedCall) -> Result<(), SqlError> {
        let seq = self.number(
            "INSERT INTO refused_call (at, caller, caller_id, method, path, status, code)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, CASE WHEN EXISTS (
                 SELECT 1 FROM refused_call WHERE seq = last.seq + 1 - ?9 AND at >= ?8)
                 THEN 'more' ELSE ?7 END
             FROM (SELECT coalesce(max(seq), 0) AS seq FROM refused_call) AS last
             WHERE NOT EXISTS (SELECT 1 FROM refused_call WHERE seq = last.seq - ?9 AND at >= ?8)
             RETURNING seq",
            &[
                call.at.into(),
                (&call.caller).into(),
                (&call.caller_id).into(),
                (&call.method).into(),
                (&call.path).into(),
                i64::from(call.status).into(),
                (&call.code).into(),
                (call.at.0 - call.at.0.rem_euclid(MINUTE_MS)).into(),
                limits::REFUSED_CALLS_A_MINUTE.into(),
            ],
        )?;
        let Some(past) = seq.map(|seq| seq - limits::REFUSED_CALLS_MAX).filter(|it| *it > 0) else {
            return Ok(());
        };
        self.run("DELETE FROM refused_call WHERE seq = ?", &[past.into()])?;
        Ok(())
    }

    /// What was refused after this cursor, oldest first.
    pub fn refused_calls(&self, after: i64, limit: u32) -> Result<Vec<RefusedCall>, SqlError> {
        self.all(
            "SELECT json_array(seq, at, caller, caller_id, method, path, status, code)
             FROM refused_call
             WHERE seq > ?
             ORDER BY seq
             LIMIT ?",
            &[after.into(), limit.into()],
        )
    }
}

const MINUTE_MS: i64 = 60_000;
