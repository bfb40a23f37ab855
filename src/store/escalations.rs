//! The table `escalation`: what makes a bead an escalation. Whether it is still open is the bead's to say.

use serde::Deserialize;

use super::{Sql, SqlError, Store, beads, to_json};
use crate::bead::Bead;
use crate::escalation::Severity;
use crate::id::Millis;
use crate::limits;

/// An escalation. The order of the fields is the order of the columns in `ROW`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Escalation {
    /// Its bead.
    pub bead: String,
    /// What it is about, for programs; one open escalation a cause.
    pub cause: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// When it was made.
    pub created_at: Millis,
    /// How often it was reported.
    pub count: i64,
    /// How often it was raised because nobody acknowledged it.
    pub bumps: i64,
    /// When that is looked at next.
    pub next_at: Option<Millis>,
    /// When somebody said that they saw it.
    pub acknowledged_at: Option<Millis>,
    /// Who.
    pub acknowledged_by: Option<String>,
}

/// An escalation about to be filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEscalation<'a> {
    /// Its bead.
    pub bead: &'a str,
    /// What it is about.
    pub cause: Option<&'a String>,
    /// How bad it is.
    pub severity: Severity,
    /// Now.
    pub created_at: Millis,
    /// When it is looked at next.
    pub next_at: Millis,
}

const ROW: &str = "json_array(e.bead, e.cause, e.severity, e.created_at, e.count, e.bumps, e.next_at, \
     e.acknowledged_at, e.acknowledged_by)";

impl<S: Sql> Store<S> {
    /// Files an escalation; the oldest that need nobody any more are forgotten, their beads stay.
    pub fn add_escalation(&self, new: &NewEscalation<'_>) -> Result<(), SqlError> {
        self.run(
            "INSERT INTO escalation (bead, cause, severity, created_at, next_at) VALUES (?, ?, ?, ?, ?)",
            &[
                new.bead.into(),
                new.cause.into(),
                new.severity.as_str().into(),
                new.created_at.into(),
                new.next_at.into(),
            ],
        )?;
        self.run(
            "DELETE FROM escalation
             WHERE seq <= (SELECT max(seq) FROM escalation) - ? AND next_at IS NULL",
            &[limits::ESCALATIONS_KEPT.into()],
        )?;
        Ok(())
    }

    /// The beads of these escalations, in no order.
    pub fn escalation_beads(&self, of: &[Escalation]) -> Result<Vec<Bead>, SqlError> {
        let ids: Vec<&str> = of.iter().map(|it| it.bead.as_str()).collect();
        self.all(
            &format!(
                "SELECT {} FROM bead WHERE id IN (SELECT value FROM json_each(?))",
                beads::ROW
            ),
            &[to_json(&ids)],
        )
    }

    /// The escalation of this bead.
    pub fn escalation(&self, bead: &str) -> Result<Option<Escalation>, SqlError> {
        self.one(&format!("SELECT {ROW} FROM escalation AS e WHERE e.bead = ?"), &[bead.into()])
    }

    /// The last escalation of this cause, if its bead is not finished.
    pub fn open_escalation(&self, cause: &str) -> Result<Option<Escalation>, SqlError> {
        self.one(
            &format!(
                "SELECT {ROW}
                 FROM escalation AS e
                 JOIN bead AS b ON b.id = e.bead AND b.finished = 0
                 WHERE e.seq = (SELECT max(seq) FROM escalation WHERE cause = ?)"
            ),
            &[cause.into()],
        )
    }

    /// Escalations, newest first: all, or those that were acknowledged, or those that want somebody: neither
    /// acknowledged nor finished. They are a bounded number, so that walking through them is.
    pub fn escalations(
        &self,
        acknowledged: Option<bool>,
        limit: u32,
    ) -> Result<Vec<Escalation>, SqlError> {
        let which = match acknowledged {
            None => "",
            Some(true) => "WHERE e.acknowledged_at IS NOT NULL",
            Some(false) => "WHERE e.acknowledged_at IS NULL AND b.finished = 0",
        };
        self.all(
            &format!(
                "SELECT {ROW}
                 FROM escalation AS e JOIN bead AS b ON b.id = e.bead {which}
                 ORDER BY e.seq DESC LIMIT ?"
            ),
            &[limit.into()],
        )
    }

    /// How many escalations wait to be acknowledged.
    pub fn escalations_waiting(&self) -> Result<i64, SqlError> {
        let count =
            self.number("SELECT count(*) FROM escalation WHERE next_at IS NOT NULL", &[])?;
        Ok(count.unwrap_or(0))
    }

    /// Writes all that may change of an escalation.
    pub fn save_escalation(&self, it: &Escalation) -> Result<(), SqlError> {
        self.run(
            "UPDATE escalation
             SET severity = ?, count = ?, bumps = ?, next_at = ?, acknowledged_at = ?, acknowledged_by = ?
             WHERE bead = ?",
            &[
                it.severity.as_str().into(),
                it.count.into(),
                it.bumps.into(),
                it.next_at.into(),
                it.acknowledged_at.into(),
                it.acknowledged_by.as_ref().into(),
                (&it.bead).into(),
            ],
        )?;
        Ok(())
    }
}
