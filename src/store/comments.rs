//! The table `comment`.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{Sql, SqlError, Store, to_json};
use crate::id::Millis;

/// Something said about a bead. The order of the fields is the order of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Comment {
    /// On which.
    pub bead: String,
    /// Its name.
    pub id: String,
    /// Who said it.
    pub author: String,
    /// When.
    pub at: Millis,
    /// What.
    pub text: String,
    /// Of one that was imported: what the file said and the other fields do not hold.
    pub kept: Map<String, Json>,
}

impl<S: Sql> Store<S> {
    /// The comments on these beads, of each bead oldest first.
    pub fn comments(&self, beads: &[&str]) -> Result<Vec<Comment>, SqlError> {
        self.all(
            "SELECT json_array(bead, id, author, at, text, json(kept))
             FROM comment
             WHERE bead IN (SELECT value FROM json_each(?))
             ORDER BY bead, at, n",
            &[to_json(&beads)],
        )
    }

    /// Appends comments.
    pub fn add_comments(&self, new: &[Comment]) -> Result<(), SqlError> {
        // In the order given: the number of each counts on from those that its bead has and those before it.
        let rows: Vec<_> = new
            .iter()
            .enumerate()
            .map(|(n, it)| {
                (
                    &it.bead,
                    n,
                    &it.id,
                    &it.author,
                    it.at,
                    &it.text,
                    Json::from(it.kept.clone()).to_string(),
                )
            })
            .collect();
        self.in_bulk(
            "INSERT INTO comment (bead, n, id, author, at, text, kept)
             SELECT value ->> 0,
                    coalesce((SELECT max(n) FROM comment WHERE bead = value ->> 0), 0) + 1 + (value ->> 1),
                    value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
             FROM json_each(?)",
            &rows,
        )
    }
}
