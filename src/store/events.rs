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

    /// Appends many lines in one statement.
    pub fn add_events(&self, events: &[BeadEvent]) -> Result<(), SqlError> {
        if events.is_empty() {
            return Ok(());
        }
        let before = self.number("SELECT max(seq) FROM bead_event", &[])?.unwrap_or(0);
        let rows: Vec<_> = events
            .iter()
            .map(|it| (&it.bead, it.at, &it.actor, &it.event, &it.old, &it.new, &it.data))
            .collect();
        self.in_bulk(
            "INSERT INTO bead_event (bead, at, actor, event, old, new, data)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
             FROM json_each(?)",
            &rows,
        )?;
        let after = before + i64::try_from(events.len()).unwrap_or(i64::MAX);
        if before / limits::EVENTS_CUT_EVERY != after / limits::EVENTS_CUT_EVERY {
            self.run(
                "DELETE FROM bead_event WHERE seq <= ?",
                &[(after - limits::EVENTS_MAX).into()],
            )?;
        }
        Ok(())
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

    /// The last line of a bead's audit.
    pub fn last_event_of(&self, bead: &str) -> Result<Option<BeadEvent>, SqlError> {
        self.one(
            "SELECT json_array(seq, bead, at, actor, event, old, new, data)
             FROM bead_event
             WHERE bead = ?
             ORDER BY seq DESC
             LIMIT 1",
            &[bead.into()],
        )
    }

    /// When a person last opened a bead again, so that what went before counts no more.
    pub fn opened_anew(&self, bead: &str) -> Result<Option<Millis>, SqlError> {
        let at = self.number(
            "SELECT at
             FROM bead_event
             WHERE bead = ? AND event = 'attempts_reset'
             ORDER BY seq DESC
             LIMIT 1",
            &[bead.into()],
        )?;
        Ok(at.map(Millis))
    }

    /// The audit of the rig or of one bead after a line, oldest first, and of each whether an agent did it.
    pub fn events(
        &self,
        bead: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(BeadEvent, bool)>, SqlError> {
        let mut args: Vec<Value> = vec![after.into()];
        let of = bead.map_or("", |bead| {
            args.push(bead.into());
            "AND bead = ?"
        });
        args.push(limit.into());
        let found: Vec<(BeadEvent, i64)> = self.all(
            &format!(
                "SELECT json_array(json_array(seq, bead, at, actor, event, old, new, data),
                        EXISTS (SELECT 1 FROM agent WHERE agent.id = bead_event.actor))
                 FROM bead_event
                 WHERE seq > ? {of}
                 ORDER BY seq
                 LIMIT ?"
            ),
            &args,
        )?;
        Ok(found.into_iter().map(|(event, agent)| (event, agent != 0)).collect())
    }

    /// How far the audit had come at a time: looked for by halves, for lines are written in the order of their times;
    /// so that a time long ago costs no more than one just now.
    pub fn last_event_until(&self, at: Millis) -> Result<i64, SqlError> {
        let newest = self.number("SELECT max(seq) FROM bead_event", &[])?;
        let (mut low, mut high) = (0, newest.unwrap_or(0));
        while low < high {
            let middle = low + (high - low + 1) / 2;
            // The last line of the lower half, if that was later. Numbers are missing where beads were deleted.
            let later = self.number(
                "SELECT CASE WHEN at > ? THEN seq END
                 FROM bead_event
                 WHERE seq > ? AND seq <= ?
                 ORDER BY seq DESC
                 LIMIT 1",
                &[at.into(), low.into(), middle.into()],
            )?;
            match later {
                Some(seq) => high = seq - 1,
                None => low = middle,
            }
        }
        Ok(low)
    }
}
