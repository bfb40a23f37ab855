//! The table `note`.

use serde::Deserialize;

use super::{Sql, SqlError, Store};
use crate::id::Millis;

/// A dated line on a bead.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Note {
    /// Who wrote it.
    pub author: String,
    /// When.
    pub at: Millis,
    /// What.
    pub text: String,
}

impl<S: Sql> Store<S> {
    /// A bead's notes, oldest first.
    pub fn notes(&self, bead: &str) -> Result<Vec<Note>, SqlError> {
        self.all(
            "SELECT json_array(author, at, text)
             FROM note
             WHERE bead = ?
             ORDER BY n",
            &[bead.into()],
        )
    }

    /// Appends a note and answers how many there are now.
    pub fn add_note(
        &self,
        bead: &str,
        author: &str,
        now: Millis,
        text: &str,
    ) -> Result<i64, SqlError> {
        let n = self.number(
            "INSERT INTO note (bead, n, author, at, text)
             SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4 FROM note WHERE bead = ?1
             RETURNING n",
            &[bead.into(), author.into(), now.into(), text.into()],
        )?;
        Ok(n.unwrap_or(0))
    }
}
