//! The table `dependency`, the tree that `bead.parent` makes, and the column `bead.blocked` that follows from both.
//!
//! `blocked` is never set by hand: whoever adds or removes a dependency, sets a parent or closes a bead has it
//! worked out anew here, from the rows, for the beads that may have changed.

use serde::Deserialize;

use super::{Sql, SqlError, Store, to_json};
use crate::bead::Status;
use crate::id::Millis;
use crate::limits;
use crate::wire::dependencies::HOLDING;

/// One bead waits for another, or has to do with it. The order of the fields is the order of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dependency {
    /// Which bead.
    pub bead: String,
    /// On which it depends.
    pub depends_on: String,
    /// `blocks`, `related`, `discovered-from`, ….
    pub kind: String,
    /// When it was added.
    pub created_at: Millis,
    /// By whom.
    pub created_by: String,
}

/// A dependency, seen from one end: with what is known of the bead at the other.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Linked {
    /// The dependency itself.
    pub dependency: Dependency,
    /// The other bead's title.
    pub title: String,
    /// The other bead's status.
    pub status: Status,
}

/// A bead that waits, and one that it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Blocker {
    /// Which waits.
    pub bead: String,
    /// For which.
    pub blocker: String,
}

/// A row as JSON, in the order of the fields of [`Dependency`].
const ROW: &str = "json_array(d.bead, d.depends_on, d.kind, d.created_at, d.created_by)";

/// What holds a bead up until the other one is closed, as a list of SQL's.
fn holding() -> String {
    format!("('{}')", HOLDING.join("', '"))
}

impl<S: Sql> Store<S> {
    /// The dependency of one bead on another.
    pub fn dependency(&self, bead: &str, depends_on: &str) -> Result<Option<Dependency>, SqlError> {
        self.one(
            &format!("SELECT {ROW} FROM dependency AS d WHERE bead = ? AND depends_on = ?"),
            &[bead.into(), depends_on.into()],
        )
    }

    /// What a bead depends on, oldest first.
    pub fn dependencies(&self, bead: &str) -> Result<Vec<Linked>, SqlError> {
        self.all(
            &format!(
                "SELECT json_array({ROW}, b.title, b.status)
                 FROM dependency AS d JOIN bead AS b ON b.id = d.depends_on
                 WHERE d.bead = ?
                 ORDER BY d.created_at, d.depends_on"
            ),
            &[bead.into()],
        )
    }

    /// What depends on a bead, oldest first.
    pub fn dependents(&self, bead: &str) -> Result<Vec<Linked>, SqlError> {
        self.all(
            &format!(
                "SELECT json_array({ROW}, b.title, b.status)
                 FROM dependency AS d JOIN bead AS b ON b.id = d.bead
                 WHERE d.depends_on = ?
                 ORDER BY d.created_at, d.bead"
            ),
            &[bead.into()],
        )
    }

    /// On how many beads a bead depends, and how many depend on it.
    pub fn dependency_counts(&self, bead: &str, other: &str) -> Result<(usize, usize), SqlError> {
        let counts = self.one(
            "SELECT json_array(
                 (SELECT count(*) FROM dependency WHERE bead = ?),
                 (SELECT count(*) FROM dependency WHERE depends_on = ?))",
            &[bead.into(), other.into()],
        )?;
        Ok(counts.unwrap_or_default())
    }

    /// Files a dependency that is not there yet; whether some bead waits for nothing any more.
    pub fn add_dependency(&self, new: &Dependency) -> Result<bool, SqlError> {
        self.run(
            "INSERT INTO dependency (bead, depends_on, kind, created_at, created_by)
             VALUES (?, ?, ?, ?, ?)",
            &[
                (&new.bead).into(),
                (&new.depends_on).into(),
                (&new.kind).into(),
                new.created_at.into(),
                (&new.created_by).into(),
            ],
        )?;
        self.gate_anew(&[&new.bead])
    }

    /// Forgets a dependency; whether some bead waits for nothing any more.
    pub fn remove_dependency(&self, bead: &str, depends_on: &str) -> Result<bool, SqlError> {
        self.run(
            "DELETE FROM dependency WHERE bead = ? AND depends_on = ?",
            &[bead.into(), depends_on.into()],
        )?;
        self.gate_anew(&[bead])
    }

    /// What each of these beads waits for, its own and its ancestors'.
    pub fn blockers(&self, beads: &[&str]) -> Result<Vec<Blocker>, SqlError> {
        let holding = holding();
        if beads.is_empty() {
            return Ok(Vec::new());
        }
        self.all(
            &format!(
                "WITH RECURSIVE up (bead, id, n) AS (
                     SELECT value, value, 0 FROM json_each(?)
                     UNION ALL
                     SELECT up.bead, b.parent, up.n + 1
                     FROM up JOIN bead AS b ON b.id = up.id
                     WHERE b.parent IS NOT NULL AND up.n < {depth})
                 SELECT json_array(bead, blocker)
                 FROM (SELECT DISTINCT up.bead AS bead, blocker.id AS blocker, blocker.rowid AS row
                       FROM up
                       JOIN dependency AS d ON d.bead = up.id AND d.kind IN {holding}
                       JOIN bead AS blocker ON blocker.id = d.depends_on AND blocker.status <> 'closed')
                 ORDER BY bead, row",
                depth = limits::PARENT_DEPTH_MAX
            ),
            &[to_json(&beads)],
        )
    }

    /// Every step from a bead along which it waits, directly or not: to what blocks it, and to its parent. At
    /// most one more than [`limits::DEPENDENCY_WALK_MAX`].
    pub fn waits_for(&self, bead: &str) -> Result<Vec<(String, String)>, SqlError> {
        let holding = holding();
        let max = i64::try_from(limits::DEPENDENCY_WALK_MAX + 1).unwrap_or(i64::MAX);
        self.all(
            &format!(
                "WITH RECURSIVE step (a, b) AS (
                 SELECT NULL, ?
                 UNION
                 SELECT d.bead, d.depends_on
                 FROM step JOIN dependency AS d ON d.bead = step.b AND d.kind IN {holding}
                 UNION
                 SELECT child.id, child.parent
                 FROM step JOIN bead AS child ON child.id = step.b AND child.parent IS NOT NULL
                 LIMIT ?)
             SELECT json_array(a, b) FROM step WHERE a IS NOT NULL"
            ),
            &[bead.into(), max.into()],
        )
    }

    /// How many ancestors a bead has, and how many generations are below it; neither counts on beyond the bound.
    pub fn generations(&self, bead: &str) -> Result<(usize, usize), SqlError> {
        let depth = limits::PARENT_DEPTH_MAX;
        let counts = self.one(
            &format!(
                "WITH RECURSIVE
                     up (id, n) AS (
                         SELECT ?1, 0
                         UNION ALL
                         SELECT b.parent, up.n + 1 FROM up JOIN bead AS b ON b.id = up.id
                         WHERE b.parent IS NOT NULL AND up.n <= {depth}),
                     down (id, n) AS (
                         SELECT ?1, 0
                         UNION
                         SELECT b.id, down.n + 1 FROM down JOIN bead AS b ON b.parent = down.id
                         WHERE down.n <= {depth})
                 SELECT json_array((SELECT max(n) FROM up), (SELECT max(n) FROM down))"
            ),
            &[bead.into()],
        )?;
        Ok(counts.unwrap_or_default())
    }

    /// The names of a bead's children.
    pub fn child_ids(&self, parent: &str) -> Result<Vec<String>, SqlError> {
        self.all(
            "SELECT json_quote(id) FROM bead WHERE parent = ? ORDER BY created_at",
            &[parent.into()],
        )
    }

    /// How many children a bead has.
    pub fn child_count(&self, parent: &str) -> Result<usize, SqlError> {
        let count = self.number("SELECT count(*) FROM bead WHERE parent = ?", &[parent.into()])?;
        Ok(count.and_then(|n| usize::try_from(n).ok()).unwrap_or(0))
    }

    /// The names of the beads that a bead blocks, or would if it were open.
    pub fn blocked_by(&self, bead: &str) -> Result<Vec<String>, SqlError> {
        let holding = holding();
        self.all(
            &format!(
                "SELECT json_quote(bead) FROM dependency WHERE depends_on = ? AND kind IN {holding}"
            ),
            &[bead.into()],
        )
    }

    /// Works out anew whether these beads and all below them are blocked; whether one of them is no more.
    ///
    /// The `+` keeps SQLite from making an index of all dependencies of that kind for each of these beads.
    pub fn gate_anew(&self, beads: &[&str]) -> Result<bool, SqlError> {
        let holding = holding();
        if beads.is_empty() || crate::mutant!(NothingIsBlocked) {
            return Ok(false);
        }
        let now: Vec<(String, u8)> = self.all(
            &format!(
                "WITH RECURSIVE tree (id) AS (
                     SELECT value FROM json_each(?)
                     UNION
                     SELECT child.id FROM tree JOIN bead AS child ON child.parent = tree.id)
                 UPDATE bead SET blocked = NOT blocked
                 WHERE id IN (SELECT id FROM tree) AND blocked <> EXISTS (
                     WITH RECURSIVE up (id, n) AS (
                         SELECT bead.id, 0
                         UNION ALL
                         SELECT b.parent, up.n + 1 FROM up JOIN bead AS b ON b.id = up.id
                         WHERE b.parent IS NOT NULL AND up.n < {depth})
                     SELECT 1
                     FROM up
                     JOIN dependency AS d ON d.bead = up.id AND +d.kind IN {holding}
                     JOIN bead AS blocker ON blocker.id = d.depends_on
                     WHERE blocker.status <> 'closed')
                 RETURNING json_array(id, blocked)",
                depth = limits::PARENT_DEPTH_MAX
            ),
            &[to_json(&beads)],
        )?;
        Ok(now.iter().any(|(_, blocked)| *blocked == 0))
    }
}
