//! The table `bead_event`: the audit.

use serde::Deserialize;

use super::{Sql, SqlError, Store, Value};
use crate::id::Millis;
use crate::limits;

/// Something that happened to a bead.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BeadEvent {
    /// Grows; the cursor.
    pub seq: i64,
    /// To which.
    pub bead: String,
    /// When.
    pub at: Millis,
    /// Who did it.
    pub actor: String,
    /// `created`, `hooked`, `status_changed`, ….
    pub event: String,
    /// What it was.
    pub old: Option<String>,
    /// What it is.
    pub new: Option<String>,
    /// More, as JSON text.
    pub data: Option<String>,
}

impl<S: Sql> Store<S> {
    /// Appends to the audit; the oldest rows go when there are too many.
    pub fn add_event(&self, event: &BeadEvent) -> Result<(), SqlError> {
        let seq = self.number(
            "INSERT INTO bead_event (bead, at, actor, event, old, new, data)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             RETURNING seq",
            &[
                (&event.bead).into(),
                event.at.into(),
                (&event.actor).into(),
                (&event.event).into(),
                event.old.as_ref().into(),
                event.new.as_ref().into(),
                event.data.as_ref().into(),
            ],
        )?;
        match seq {
            Some(seq) if seq % limits::EVENTS_CUT_EVERY == 0 => {
                self.run(
                    "DELETE FROM bead_event WHERE seq <= ?",
                    &[(seq - limits::EVENTS_MAX).into()],
                )?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A bead's audit, oldest first.
    pub fn events_of(&self, bead: &str) -> Result<Vec<BeadEvent>, SqlError> {
        self.all(
            "SELECT json_array(seq, bead, at, actor, event, old, new, data)
             FROM bead_event
             WHERE bead = ?
             ORDER BY seq",
            &[bead.into()],
        )
    }

    /// The audit of the rig or of one bead after a line, oldest first.
    pub fn events(
        &self,
        bead: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<BeadEvent>, SqlError> {
        let mut args: Vec<Value> = vec![after.into()];
        let of = bead.map_or("", |bead| {
            args.push(bead.into());
            "AND bead = ?"
        });
        args.push(limit.into());
        self.all(
            &format!(
                "SELECT json_array(seq, bead, at, actor, event, old, new, data)
                 FROM bead_event
                 WHERE seq > ? {of}
                 ORDER BY seq
                 LIMIT ?"
            ),
            &args,
        )
    }

    /// The last line of the audit that is not after a time: walked back from the newest, past what came after it.
    pub fn last_event_until(&self, at: Millis) -> Result<i64, SqlError> {
        let seq = self.number(
            "SELECT seq FROM bead_event WHERE at <= ? ORDER BY seq DESC LIMIT 1",
            &[at.into()],
        )?;
        Ok(seq.unwrap_or(0))
    }
}
