//! What belongs to many beads at once: their dependencies, counts and notes; and names by a part of them. What is
//! read grows with the beads that are asked for, not with those there are.

use serde::Deserialize;

use super::beads::ROW;
use super::{Dependency, Sql, SqlError, Store, to_json};
use crate::bead::Bead;
use crate::id::Millis;
use crate::limits;

/// How much belongs to a bead. The order of the fields is the order of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Extent {
    /// Which.
    pub bead: String,
    /// The bead it is a part of.
    pub parent: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// By whom.
    pub created_by: String,
    /// How many beads block it.
    pub blockers: u64,
    /// How many beads it blocks.
    pub blocks: u64,
    /// How long its notes are together.
    pub note_bytes: u64,
    /// How many comments it has.
    pub comments: u64,
}

impl<S: Sql> Store<S> {
    /// The beads of these names, in that order; those that are not there are left out.
    pub fn beads_named(&self, ids: &[&str]) -> Result<Vec<Bead>, SqlError> {
        self.all(
            &format!(
                "SELECT {ROW}
                 FROM (SELECT key, value FROM json_each(?)) AS wanted
                 CROSS JOIN bead ON bead.id = wanted.value
                 ORDER BY wanted.key"
            ),
            &[to_json(&ids)],
        )
    }

    /// How much belongs to these beads, in the order in which they are named.
    pub fn extents(&self, ids: &[&str]) -> Result<Vec<Extent>, SqlError> {
        self.all(
            "SELECT json_array(b.id, b.parent, b.created_at, b.created_by,
                 (SELECT count(*) FROM dependency WHERE bead = b.id AND kind = 'blocks'),
                 (SELECT count(*) FROM dependency WHERE depends_on = b.id AND kind = 'blocks'),
                 (SELECT coalesce(sum(length(text)), 0) FROM note WHERE bead = b.id),
                 (SELECT count(*) FROM comment WHERE bead = b.id))
             FROM json_each(?) AS wanted CROSS JOIN bead AS b ON b.id = wanted.value
             ORDER BY wanted.key",
            &[to_json(&ids)],
        )
    }

    /// What these beads depend on, oldest first.
    pub fn dependencies_of(&self, ids: &[&str]) -> Result<Vec<Dependency>, SqlError> {
        self.all(
            "SELECT json_array(bead, depends_on, kind, created_at, created_by)
             FROM dependency
             WHERE bead IN (SELECT value FROM json_each(?))
             ORDER BY created_at, depends_on",
            &[to_json(&ids)],
        )
    }

    /// How many of a bead's children are not closed.
    pub fn open_child_count(&self, parent: &str) -> Result<i64, SqlError> {
        let count = self.number(
            "SELECT count(*) FROM bead WHERE parent = ? AND status <> 'closed'",
            &[parent.into()],
        )?;
        Ok(count.unwrap_or(0))
    }

    /// Names that begin with this prefix, a dash and this part; any bead's, by the index on names.
    pub fn names_beginning(&self, prefix: &str, part: &str) -> Result<Vec<String>, SqlError> {
        let from = format!("{prefix}-{part}");
        // What follows any name that begins so: names are ASCII.
        let to = format!("{from}\u{7f}");
        self.all(
            "SELECT json_quote(id) FROM bead WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            &[from.into(), to.into(), limits::NAMES_MAX.into()],
        )
    }

    /// Names that have this part behind their prefix: of what is not finished, and of the newest that is.
    pub fn names_with(&self, part: &str) -> Result<Vec<String>, SqlError> {
        self.all(
            "SELECT json_quote(id)
             FROM (SELECT id FROM bead WHERE finished = 0
                   UNION ALL
                   SELECT id
                   FROM (SELECT id FROM bead WHERE finished = 1 ORDER BY created_at DESC LIMIT ?))
             WHERE instr(substr(id, instr(id, '-') + 1), ?) > 0
             ORDER BY id
             LIMIT ?",
            &[limits::NAMES_LOOKED_THROUGH.into(), part.into(), limits::NAMES_MAX.into()],
        )
    }
}
