//! The end of a rig: every row goes, whatever table it is in, so that a table that is added later is not forgotten.
//!
//! Two rows of `config` stay: that the rig is deleted, and its town, whose container may still have a run to be told of.

use super::{Sql, SqlError, Store};
use crate::id::Millis;

/// The row of `config` that says when the rig was deleted.
const DELETED_AT: &str = "deleted_at";

/// The row of `config` that says in whose directory the rig is.
const OWNER: &str = "owner";

/// The row of `config` that holds what the town sets for all of its rigs.
pub(crate) const TOWN_LAYER: &str = "town_layer";

/// Rows of `config` that are no settings.
const MARKS: [&str; 5] = [DELETED_AT, OWNER, TOWN_LAYER, PAUSED, PAUSED_ALL];

/// The row of `config` that says who turned dispatch off …
pub(super) const PAUSED: &str = "paused";

/// … and the one that says it of the whole deployment.
pub(super) const PAUSED_ALL: &str = "paused_all";

/// Whether a row of `config` is something that the rig sets for itself.
pub(crate) fn is_setting(name: &str) -> bool {
    !MARKS.contains(&name)
}

impl<S: Sql> Store<S> {
    /// When the rig was deleted, if it was.
    pub fn deleted_at(&self) -> Result<Option<Millis>, SqlError> {
        let standing = self.standing()?;
        let Some(text) = standing.config.get(DELETED_AT) else { return Ok(None) };
        // Whatever it holds, the rig is deleted.
        Ok(Some(Millis(text.parse().unwrap_or_default())))
    }

    /// Whose directory the rig is in, if it is in one.
    pub fn owner(&self) -> Result<Option<String>, SqlError> {
        Ok(self.standing()?.config.get(OWNER).cloned())
    }

    /// Says whose directory the rig is in, and that it is there (again).
    pub fn set_owner(&self, user: &str) -> Result<(), SqlError> {
        self.set_config(DELETED_AT, None)?;
        self.set_config(OWNER, Some(user))
    }

    /// Deletes every row. It walks through all tables: once in the life of a rig.
    pub fn delete_everything(&self, now: Millis) -> Result<(), SqlError> {
        // Rows refer to each other; at the end of the transaction there are none.
        self.run("PRAGMA defer_foreign_keys = ON", &[])?;
        // The platform has tables of its own, which nobody may touch.
        let tables: Vec<Vec<String>> = self.all(
            "SELECT json_array(name)
             FROM sqlite_schema
             WHERE type = 'table' AND name NOT IN ('migration', 'config')
               AND substr(name, 1, 4) <> '_cf_' AND substr(name, 1, 7) <> 'sqlite_'",
            &[],
        )?;
        for table in tables.iter().flatten() {
            self.run(&format!("DELETE FROM \"{table}\""), &[])?;
        }
        self.run("DELETE FROM config WHERE name <> 'town'", &[])?;
        self.set_config(DELETED_AT, Some(&now.0.to_string()))
    }
}
