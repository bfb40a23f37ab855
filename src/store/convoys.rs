//! The table `convoy`, and the beads that belong to each, counted when asked for.

use serde::Deserialize;

use super::{Sql, SqlError, Store, Value};
use crate::id::Millis;

/// A convoy with its beads counted. The order of the fields is that of the columns below.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Convoy {
    /// Its name.
    pub id: String,
    /// One line.
    pub title: String,
    /// By whom it was made.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
    /// Its beads.
    pub total: u64,
    /// Of these, how many are closed.
    pub closed: u64,
    /// When the last one of those was closed.
    pub last_closed_at: Option<Millis>,
    /// Those that do not move without a person.
    pub stranded: Vec<String>,
}

const ROW: &str = "SELECT json_array(c.id, c.title, c.created_by, c.created_at, count(b.id),
        count(b.closed_at), max(b.closed_at),
        json_group_array(b.id) FILTER (WHERE b.status IN ('failed', 'blocked')))
    FROM convoy AS c
    LEFT JOIN bead AS b ON b.convoy = c.id";

impl<S: Sql> Store<S> {
    /// The convoy of this name.
    pub fn convoy(&self, id: &str) -> Result<Option<Convoy>, SqlError> {
        self.one(&format!("{ROW} WHERE c.id = ? GROUP BY c.id"), &[id.into()])
    }

    /// Convoys, newest first: their names begin with the time.
    pub fn convoys(&self, limit: u32, offset: u32) -> Result<Vec<Convoy>, SqlError> {
        let args: [Value; 2] = [limit.into(), offset.into()];
        self.all(
            &format!(
                "{ROW} WHERE c.id IN (SELECT id FROM convoy ORDER BY id DESC LIMIT ? OFFSET ?)
                 GROUP BY c.id
                 ORDER BY c.id DESC"
            ),
            &args,
        )
    }

    /// How these beads are: their status, and when they were closed; what is not there is left out.
    pub fn tracked(
        &self,
        beads: &[String],
    ) -> Result<Vec<(String, String, Option<Millis>)>, SqlError> {
        self.all(
            "SELECT json_array(id, status, closed_at)
             FROM bead
             WHERE id IN (SELECT value FROM json_each(?))
             ORDER BY id",
            &[super::to_json(&beads)],
        )
    }

    /// Files a convoy; its beads are named on the beads.
    pub fn add_convoy(&self, id: &str, title: &str, by: &str, now: Millis) -> Result<(), SqlError> {
        self.run(
            "INSERT INTO convoy (id, title, created_by, created_at) VALUES (?, ?, ?, ?)",
            &[id.into(), title.into(), by.into(), now.into()],
        )?;
        Ok(())
    }
}
