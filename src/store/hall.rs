//! The tables of a town: its rigs, its convoys, its settings. They are in a database of their own, with migrations of
//! their own, over the same seam.

use serde::Deserialize;

use super::{Sql, SqlError, Store, Value};
use crate::id::Millis;

/// Every migration ever shipped, in order. Append only; never edit one.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/hall/0001_init.sql")];

/// A rig that the town asks. The order of the fields is that of the columns below, here and in what follows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HallRig {
    /// Its name in paths.
    pub id: String,
    /// Its name for people, if it has one.
    pub name: Option<String>,
}

/// Beads of several rigs that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TownConvoy {
    /// Its name.
    pub id: String,
    /// One line.
    pub title: String,
    /// By whom it was made.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
    /// Its beads: the rig, the bead.
    pub beads: Vec<(String, String)>,
}

const CONVOY: &str = "SELECT json_array(c.id, c.title, c.created_by, c.created_at,
        json((SELECT json_group_array(json_array(rig_id, bead_id)) FROM convoy_bead WHERE convoy_id = c.id)))
    FROM convoy AS c";

/// Typed access to the tables.
pub struct HallBook<S>(Store<S>);

impl<S: Sql> HallBook<S> {
    /// Opens the book, bringing its schema up to date; one statement when it is.
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

    /// The rigs of the town, those that came first before the others; there are few.
    pub fn rigs(&self) -> Result<Vec<HallRig>, SqlError> {
        self.0.all("SELECT json_array(rig_id, name) FROM member ORDER BY joined_at, rig_id", &[])
    }

    /// Says that a rig is one of the town; without a name it keeps the one that it has.
    pub fn join(&self, rig: &str, name: Option<&str>, now: Millis) -> Result<(), SqlError> {
        let args: [Value; 3] = [rig.into(), name.into(), now.into()];
        self.0.run(
            "INSERT INTO member (rig_id, name, joined_at) VALUES (?, ?, ?)
             ON CONFLICT (rig_id) DO UPDATE SET name = excluded.name
             WHERE excluded.name IS NOT NULL AND excluded.name IS NOT member.name",
            &args,
        )?;
        Ok(())
    }

    /// Forgets a rig that is none of the town any more; its beads in convoys are asked for as before.
    pub fn leave(&self, rig: &str) -> Result<(), SqlError> {
        self.0.run("DELETE FROM member WHERE rig_id = ?", &[rig.into()])?;
        Ok(())
    }

    /// The convoy of this name.
    pub fn convoy(&self, id: &str) -> Result<Option<TownConvoy>, SqlError> {
        self.0.one(&format!("{CONVOY} WHERE c.id = ?"), &[id.into()])
    }

    /// Convoys, newest first: their names begin with the time.
    pub fn convoys(&self, limit: u32, offset: u32) -> Result<Vec<TownConvoy>, SqlError> {
        let args: [Value; 2] = [limit.into(), offset.into()];
        self.0.all(&format!("{CONVOY} ORDER BY c.id DESC LIMIT ? OFFSET ?"), &args)
    }

    /// Files a convoy, and forgets the oldest where there are more than so many.
    pub fn add_convoy(&self, convoy: &TownConvoy, max: u32) -> Result<(), SqlError> {
        self.0.run(
            "INSERT INTO convoy (id, title, created_by, created_at) VALUES (?, ?, ?, ?)",
            &[
                (&convoy.id).into(),
                (&convoy.title).into(),
                (&convoy.created_by).into(),
                convoy.created_at.into(),
            ],
        )?;
        self.0.run(
            "INSERT OR IGNORE INTO convoy_bead (convoy_id, rig_id, bead_id)
             SELECT ?, value ->> 0, value ->> 1 FROM json_each(?)",
            &[(&convoy.id).into(), super::to_json(&convoy.beads)],
        )?;
        self.0.run(
            "DELETE FROM convoy WHERE id IN (SELECT id FROM convoy ORDER BY id DESC LIMIT -1 OFFSET ?)",
            &[max.into()],
        )?;
        Ok(())
    }

    /// What is set for all rigs of the town, by name; not to be shown as it is.
    pub fn settings(&self) -> Result<std::collections::BTreeMap<String, String>, SqlError> {
        let rows: Vec<(String, String)> =
            self.0.all("SELECT json_array(name, value) FROM setting ORDER BY name", &[])?;
        Ok(rows.into_iter().collect())
    }

    /// Sets something for all rigs of the town; none removes.
    pub fn set(&self, name: &str, value: Option<&str>) -> Result<(), SqlError> {
        match value {
            Some(value) => self.0.run(
                "INSERT INTO setting (name, value) VALUES (?, ?)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                &[name.into(), value.into()],
            )?,
            None => self.0.run("DELETE FROM setting WHERE name = ?", &[name.into()])?,
        };
        Ok(())
    }

    /// Forgets all of it.
    pub fn clear(&self) -> Result<(), SqlError> {
        for table in ["convoy_bead", "convoy", "member", "setting"] {
            self.0.run(&format!("DELETE FROM {table}"), &[])?;
        }
        Ok(())
    }
}
