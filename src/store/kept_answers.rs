//! The table `kept_answer`: what was answered under an Idempotency-Key. It must stay bounded in rows and in time.

use serde::Deserialize;

use super::{Sql, SqlError, Store};
use crate::id::Millis;
use crate::limits;

/// An answer that may be given again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeptAnswer {
    /// When it was given first.
    pub at: Millis,
    /// Of the body of the request.
    pub hash: String,
    /// 2xx.
    pub status: u16,
    /// None: it was too large.
    pub body: Option<String>,
}

impl<S: Sql> Store<S> {
    /// What was answered under this name, unless it is too old.
    pub fn kept_answer(&self, name: &str, now: Millis) -> Result<Option<KeptAnswer>, SqlError> {
        self.one(
            "SELECT json_array(at, hash, status, body)
             FROM kept_answer
             WHERE name = ? AND at > ?",
            &[name.into(), oldest(now).into()],
        )
    }

    /// Keeps an answer. Each one that is kept takes at most two old ones away, so that no call pays for many.
    pub fn keep_answer(&self, name: &str, answer: &KeptAnswer) -> Result<(), SqlError> {
        let seq = self.number(
            "INSERT OR REPLACE INTO kept_answer (name, at, hash, status, body)
             VALUES (?, ?, ?, ?, ?)
             RETURNING seq",
            &[
                name.into(),
                answer.at.into(),
                (&answer.hash).into(),
                i64::from(answer.status).into(),
                answer.body.as_ref().into(),
            ],
        )?;
        let ring = seq.unwrap_or(0) - limits::KEPT_ANSWERS_MAX;
        self.run(
            "DELETE FROM kept_answer WHERE seq IN (
                 SELECT seq
                 FROM (SELECT seq, at FROM kept_answer ORDER BY seq LIMIT 2)
                 WHERE at <= ? OR seq <= ?)",
            &[oldest(answer.at).into(), ring.into()],
        )?;
        Ok(())
    }
}

fn oldest(now: Millis) -> Millis {
    now.plus(-limits::KEPT_ANSWER_MS)
}
