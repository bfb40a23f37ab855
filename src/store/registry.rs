//! The tables of a user's directory: `town` and `rig`. They are in a database of their own, with migrations of their
//! own, over the same seam.

use serde::Deserialize;

use super::{Sql, SqlError, Store, Value};
use crate::id::Millis;

/// Every migration ever shipped, in order. Append only; never edit one.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/directory/0001_init.sql")];

/// A town. The order of the fields is that of the columns below, here and in [`TownRig`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Town {
    /// Its name in paths.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it was changed last.
    pub updated_at: Millis,
}

/// A rig of a town.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TownRig {
    /// Its name in paths.
    pub id: String,
    /// In which town.
    pub town: String,
    /// Its name for people.
    pub name: String,
    /// Where its repository is.
    pub git_url: Option<String>,
    /// What is merged into.
    pub default_branch: String,
    /// When it was registered.
    pub created_at: Millis,
    /// When that was changed last.
    pub updated_at: Millis,
}

const TOWN: &str = "SELECT json_array(id, name, owner_user_id, created_at, updated_at) FROM town";

const RIG: &str = "SELECT json_array(id, town_id, name, git_url, default_branch, created_at, updated_at) FROM rig";

/// Typed access to the tables.
pub struct Registry<S>(Store<S>);

impl<S: Sql> Registry<S> {
    /// Opens the registry, bringing its schema up to date; one statement when it is.
    pub fn open(sql: S) -> Result<Self, SqlError> {
        Store::open_as(sql, MIGRATIONS).map(Self)
    }

    /// Runs `work` so that either all of its writes stay or none do.
    pub fn atomically<T, E: From<SqlError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.atomically(work)
    }

    /// The database underneath, for tests.
    pub fn sql(&self) -> &S {
        self.0.sql()
    }

    /// All towns, oldest first; there are few.
    pub fn towns(&self) -> Result<Vec<Town>, SqlError> {
        self.0.all(&format!("{TOWN} ORDER BY created_at, id"), &[])
    }

    /// The town of this id.
    pub fn town(&self, id: &str) -> Result<Option<Town>, SqlError> {
        self.0.one(&format!("{TOWN} WHERE id = ?"), &[id.into()])
    }

    /// Files a town.
    pub fn add_town(&self, town: &Town) -> Result<(), SqlError> {
        let args: [Value; 5] = [
            (&town.id).into(),
            (&town.name).into(),
            (&town.owner).into(),
            town.created_at.into(),
            town.updated_at.into(),
        ];
        self.0.run(
            "INSERT INTO town (id, name, owner_user_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            &args,
        )?;
        Ok(())
    }

    /// Forgets a town that has no rigs; answers whether it is gone.
    pub fn delete_town(&self, id: &str) -> Result<bool, SqlError> {
        self.0.run(
            "DELETE FROM town WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM rig WHERE town_id = ?1)",
            &[id.into()],
        )?;
        Ok(self.town(id)?.is_none())
    }

    /// The rigs of a town, oldest first; there are few.
    pub fn rigs(&self, town: &str) -> Result<Vec<TownRig>, SqlError> {
        self.0.all(&format!("{RIG} WHERE town_id = ? ORDER BY created_at, id"), &[town.into()])
    }

    /// The rig of this id.
    pub fn rig(&self, id: &str) -> Result<Option<TownRig>, SqlError> {
        self.0.one(&format!("{RIG} WHERE id = ?"), &[id.into()])
    }

    /// Files a rig.
    pub fn add_rig(&self, rig: &TownRig) -> Result<(), SqlError> {
        let args: [Value; 7] = [
            (&rig.id).into(),
            (&rig.town).into(),
            (&rig.name).into(),
            rig.git_url.as_ref().into(),
            (&rig.default_branch).into(),
            rig.created_at.into(),
            rig.updated_at.into(),
        ];
        self.0.run(
            "INSERT INTO rig (id, town_id, name, git_url, default_branch, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            &args,
        )?;
        Ok(())
    }

    /// Forgets a rig.
    pub fn delete_rig(&self, id: &str) -> Result<(), SqlError> {
        self.0.run("DELETE FROM rig WHERE id = ?", &[id.into()])?;
        Ok(())
    }
}
