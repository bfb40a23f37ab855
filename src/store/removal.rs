//! What is left of a bead that is deleted: nothing but the run that still ends, and one line in the audit.

use super::{Sql, SqlError, Store};
use crate::bead::Bead;
use crate::id::Millis;

/// What belongs to a bead, in the order in which it goes.
const PURGE: [&str; 11] = [
    "DELETE FROM note WHERE bead = ?",
    // But for the line that says so, which keeps the numbers growing.
    "DELETE FROM bead_event WHERE bead = ? AND event <> 'deleted'",
    "DELETE FROM dependency WHERE bead = ?",
    "DELETE FROM dependency WHERE depends_on = ?",
    // These two are walked: they are short, forget what is old, and a bead is seldom deleted.
    "DELETE FROM review WHERE bead = ?",
    "DELETE FROM molecule WHERE bead = ?",
    "DELETE FROM escalation WHERE bead = ?",
    "DELETE FROM comment WHERE bead = ?",
    "DELETE FROM imported WHERE bead = ?",
    "DELETE FROM loose_dependency WHERE bead = ?",
    "DELETE FROM bead WHERE id = ?",
];

impl<S: Sql> Store<S> {
    /// Lets the children of a bead live on without a parent.
    pub fn orphan(&self, parent: &str, now: Millis) -> Result<(), SqlError> {
        self.run(
            "UPDATE bead SET parent = NULL, updated_at = ? WHERE parent = ?",
            &[now.into(), parent.into()],
        )?;
        Ok(())
    }

    /// Deletes a bead that has no children and all that belongs to it. A live run of it stays until it is over.
    pub fn delete_bead(&self, bead: &Bead) -> Result<(), SqlError> {
        self.forget_standing();
        // An attempt's number is never below the clock, so none of this bead's are older than the bead. What is
        // walked is what the rig ran since, and no more than it remembers. The newest of all stays: without it the
        // next number would be below one that was given, where the clock was set back.
        self.run(
            "DELETE FROM attempt
             WHERE number >= ? AND bead = ? AND ended_at IS NOT NULL AND number < (SELECT max(number) FROM attempt)",
            &[bead.created_at.into(), (&bead.id).into()],
        )?;
        for statement in PURGE {
            self.run(statement, &[(&bead.id).into()])?;
        }
        Ok(())
    }
}
