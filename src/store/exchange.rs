//! Many beads at once, whole, from and to files: each question is asked for all of them, since a batch of five hundred
//! must not cost five hundred times what one costs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::beads::columns;
use super::{Dependency, Sql, SqlError, Store, Value, to_json};
use crate::bead::Bead;
use crate::id::Millis;
use crate::limits;

/// A note of a bead, with its place. The order of the fields is the order of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedNote {
    /// Of which bead.
    pub bead: String,
    /// Its place.
    pub n: i64,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub at: Millis,
    /// What.
    pub text: String,
}

/// A dependency with what its columns do not hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tie {
    /// The row.
    pub dependency: Dependency,
    /// What the file said besides.
    pub kept: Map<String, Json>,
}

/// A dependency that is not tied, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loose {
    /// Of which bead.
    pub bead: String,
    /// On what.
    pub depends_on: String,
    /// `blocks`, ….
    pub kind: String,
    /// As it came.
    pub whole: Map<String, Json>,
}

/// What a bead keeps of its line: for each key what the rig would say and what the file said.
pub type Kept = Map<String, Json>;

/// How many depend on a bead, and how many children it has; only of one that is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Around {
    /// Which bead.
    pub bead: String,
    /// Beads that depend on it.
    pub dependents: usize,
    /// Its children.
    pub children: usize,
}

impl<S: Sql> Store<S> {
    /// The names of the next beads of an export: as many as may be in a page, but no more text than that may have.
    pub fn export_ids(&self, after: &str, limit: u32) -> Result<Vec<String>, SqlError> {
        // One is always in it, however large.
        self.all(
            "SELECT json_quote(id)
             FROM (SELECT id, size, sum(size) OVER (ORDER BY id) AS upto
                   FROM (SELECT id,
                                coalesce(length(body), 0) + coalesce(length(design), 0)
                                + coalesce(length(acceptance_criteria), 0) + length(metadata)
                                + (SELECT coalesce(sum(length(text)), 0) FROM note WHERE note.bead = bead.id)
                                + (SELECT coalesce(sum(length(text)), 0) FROM comment WHERE comment.bead = bead.id)
                                + (SELECT coalesce(sum(length(kept)), 0) FROM imported WHERE imported.bead = bead.id)
                                AS size
                         FROM bead
                         WHERE id > ?
                         ORDER BY id
                         LIMIT ?))
             WHERE upto - size < ?
             ORDER BY id",
            &[after.into(), limit.into(), limits::EXPORT_PAGE_BYTES.into()],
        )
    }

    /// The notes of these beads, of each oldest first.
    pub fn notes_of(&self, ids: &[&str]) -> Result<Vec<PlacedNote>, SqlError> {
        self.all(
            "SELECT json_array(bead, n, author, at, text)
             FROM note
             WHERE bead IN (SELECT value FROM json_each(?))
             ORDER BY bead, n",
            &[to_json(&ids)],
        )
    }

    /// What these beads depend on.
    pub fn ties_of(&self, ids: &[&str]) -> Result<Vec<Tie>, SqlError> {
        self.all(
            "SELECT json_array(json_array(bead, depends_on, kind, created_at, created_by), json(kept))
             FROM dependency
             WHERE bead IN (SELECT value FROM json_each(?))
             ORDER BY bead, created_at, depends_on",
            &[to_json(&ids)],
        )
    }

    /// What these beads depend on and is not tied.
    pub fn loose_of(&self, ids: &[&str]) -> Result<Vec<Loose>, SqlError> {
        self.loose("bead", ids)
    }

    /// What depends on these beads and is not tied.
    pub fn loose_on(&self, ids: &[&str]) -> Result<Vec<Loose>, SqlError> {
        self.loose("depends_on", ids)
    }

    fn loose(&self, column: &str, ids: &[&str]) -> Result<Vec<Loose>, SqlError> {
        self.all(
            &format!(
                "SELECT json_array(bead, depends_on, kind, json(whole))
                 FROM loose_dependency
                 WHERE {column} IN (SELECT value FROM json_each(?))
                 ORDER BY bead, depends_on, kind"
            ),
            &[to_json(&ids)],
        )
    }

    /// What these beads keep of their lines.
    pub fn kept_of(&self, ids: &[&str]) -> Result<Vec<(String, Kept)>, SqlError> {
        self.all(
            "SELECT json_array(bead, json(kept))
             FROM imported
             WHERE bead IN (SELECT value FROM json_each(?))",
            &[to_json(&ids)],
        )
    }

    /// Which of these beads are there, and how much there is around each.
    pub fn around(&self, ids: &[&str]) -> Result<Vec<Around>, SqlError> {
        self.all(
            "SELECT json_array(id, (SELECT count(*) FROM dependency WHERE depends_on = id),
                    (SELECT count(*) FROM bead AS child WHERE child.parent = bead.id))
             FROM bead
             WHERE id IN (SELECT value FROM json_each(?))",
            &[to_json(&ids)],
        )
    }

    /// Files new beads, whose names are free. None has a parent, and nothing waits for it yet.
    pub fn add_beads(&self, beads: &[&Bead]) -> Result<(), SqlError> {
        let Some(first) = beads.first() else { return Ok(()) };
        let names: Vec<&str> = columns(first).iter().map(|(name, _)| *name).collect();
        let values: Vec<String> = (0..names.len()).map(|n| format!("value ->> {n}")).collect();
        let rows: Vec<Vec<Json>> = beads
            .iter()
            .map(|bead| columns(bead).into_iter().map(|(_, value)| json_of(value)).collect())
            .collect();
        self.in_bulk(
            &format!(
                "INSERT INTO bead ({}) SELECT {} FROM json_each(?)",
                names.join(", "),
                values.join(", ")
            ),
            &rows,
        )
    }

    /// Appends notes, each at its place.
    pub fn add_notes(&self, notes: &[PlacedNote]) -> Result<(), SqlError> {
        self.in_bulk(
            "INSERT INTO note (bead, n, author, at, text)
             SELECT value ->> 'bead', value ->> 'n', value ->> 'author', value ->> 'at', value ->> 'text'
             FROM json_each(?)",
            notes,
        )
    }

    /// Forgets the notes of a bead from a place on: only an import does, when a newer line says otherwise.
    pub fn forget_notes(&self, bead: &str, from: i64) -> Result<(), SqlError> {
        self.run("DELETE FROM note WHERE bead = ? AND n >= ?", &[bead.into(), from.into()])?;
        Ok(())
    }

    /// Files dependencies, or says of those that are there what is known of them now. Gates nothing anew.
    pub fn add_ties(&self, ties: &[Tie]) -> Result<(), SqlError> {
        let rows: Vec<_> = ties
            .iter()
            .map(|it| {
                let new = &it.dependency;
                let kept = Json::from(it.kept.clone()).to_string();
                (&new.bead, &new.depends_on, &new.kind, new.created_at, &new.created_by, kept)
            })
            .collect();
        self.in_bulk(
            "INSERT INTO dependency (bead, depends_on, kind, created_at, created_by, kept)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
             FROM json_each(?)
             WHERE true
             ON CONFLICT (bead, depends_on) DO UPDATE
             SET created_at = excluded.created_at, created_by = excluded.created_by, kept = excluded.kept",
            &rows,
        )
    }

    /// Forgets dependencies, each named by both ends. Gates nothing anew.
    pub fn forget_ties(&self, ties: &[(String, String)]) -> Result<(), SqlError> {
        self.in_bulk(
            "DELETE FROM dependency
             WHERE (bead, depends_on) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
            ties,
        )
    }

    /// Gives beads their parents. Gates nothing anew.
    pub fn set_parents(&self, parents: &[(String, Option<String>)]) -> Result<(), SqlError> {
        self.in_bulk(
            "UPDATE bead SET parent = given.value ->> 1
             FROM json_each(?) AS given
             WHERE bead.id = given.value ->> 0",
            parents,
        )
    }

    /// Keeps dependencies that are not tied.
    pub fn add_loose(&self, loose: &[Loose]) -> Result<(), SqlError> {
        let rows: Vec<_> = loose
            .iter()
            .map(|it| {
                (&it.bead, &it.depends_on, &it.kind, Json::from(it.whole.clone()).to_string())
            })
            .collect();
        self.in_bulk(
            "INSERT INTO loose_dependency (bead, depends_on, kind, whole)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
             FROM json_each(?)
             WHERE true
             ON CONFLICT (bead, depends_on, kind) DO UPDATE SET whole = excluded.whole",
            &rows,
        )
    }

    /// Forgets dependencies that are not tied: bead, other, kind.
    pub fn forget_loose(&self, loose: &[(String, String, String)]) -> Result<(), SqlError> {
        self.in_bulk(
            "DELETE FROM loose_dependency
             WHERE (bead, depends_on, kind) IN
                   (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))",
            loose,
        )
    }

    /// Keeps what lines say that beads do not; of one that keeps nothing the row goes.
    pub fn keep(&self, kept: &[(String, Kept)]) -> Result<(), SqlError> {
        let (some, none): (Vec<_>, Vec<_>) = kept.iter().partition(|(_, it)| !it.is_empty());
        let rows: Vec<_> =
            some.iter().map(|(bead, it)| (bead, Json::from(it.clone()).to_string())).collect();
        self.in_bulk(
            "INSERT INTO imported (bead, kept)
             SELECT value ->> 0, value ->> 1 FROM json_each(?)
             WHERE true
             ON CONFLICT (bead) DO UPDATE SET kept = excluded.kept",
            &rows,
        )?;
        let none: Vec<_> = none.iter().map(|(bead, _)| bead).collect();
        self.in_bulk("DELETE FROM imported WHERE bead IN (SELECT value FROM json_each(?))", &none)
    }

    /// Runs a statement that takes rows as JSON, as often as their size demands; not at all for none.
    pub(super) fn in_bulk(&self, sql: &str, rows: &[impl Serialize]) -> Result<(), SqlError> {
        let mut text = String::new();
        for row in rows {
            let row = serde_json::to_string(row).expect("plain data");
            if !text.is_empty() && text.len() + row.len() > limits::IMPORT_STATEMENT_BYTES {
                self.run(sql, &[Value::Text(format!("[{text}]"))])?;
                text.clear();
            }
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&row);
        }
        if !text.is_empty() {
            self.run(sql, &[Value::Text(format!("[{text}]"))])?;
        }
        Ok(())
    }
}

fn json_of(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(n) => n.into(),
        Value::Text(text) => text.into(),
    }
}
