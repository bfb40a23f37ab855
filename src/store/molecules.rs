//! The table `molecule`. Which bead has which is kept on the bead.

use super::{Sql, SqlError, Store, to_json};
use crate::molecule::Molecule;

impl<S: Sql> Store<S> {
    /// The molecule of this name.
    pub fn molecule(&self, id: &str) -> Result<Option<Molecule>, SqlError> {
        self.one(
            "SELECT json_array(id, bead, json(steps), step, state, created_at, updated_at)
             FROM molecule
             WHERE id = ?",
            &[id.into()],
        )
    }

    /// Files a molecule.
    pub fn add_molecule(&self, molecule: &Molecule) -> Result<(), SqlError> {
        self.run(
            "INSERT INTO molecule (id, bead, steps, step, state, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            &[
                (&molecule.id).into(),
                (&molecule.bead).into(),
                to_json(&molecule.steps),
                i64::try_from(molecule.step).unwrap_or(i64::MAX).into(),
                molecule.state.as_str().into(),
                molecule.created_at.into(),
                molecule.updated_at.into(),
            ],
        )?;
        Ok(())
    }

    /// Writes how far a molecule is.
    pub fn save_molecule(&self, molecule: &Molecule) -> Result<(), SqlError> {
        self.run(
            "UPDATE molecule SET step = ?, state = ?, updated_at = ? WHERE id = ?",
            &[
                i64::try_from(molecule.step).unwrap_or(i64::MAX).into(),
                molecule.state.as_str().into(),
                molecule.updated_at.into(),
                (&molecule.id).into(),
            ],
        )?;
        Ok(())
    }
}
