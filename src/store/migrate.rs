//! Brings the schema up to date.
//!
//! A Durable Object refuses `PRAGMA user_version`, so the applied migrations are rows of our own. An object is
//! built anew for nearly every tick, so a schema that is current must cost one statement.

use super::{Sql, SqlError, Store};

/// Every migration ever shipped, in order. Append only; never edit one.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_init.sql"),
    include_str!("../../migrations/0002_dependencies.sql"),
    include_str!("../../migrations/0003_agents_mail.sql"),
    include_str!("../../migrations/0004_reviews_molecules.sql"),
    include_str!("../../migrations/0005_surface.sql"),
    include_str!("../../migrations/0006_patrol.sql"),
    include_str!("../../migrations/0007_merging.sql"),
    include_str!("../../migrations/0008_boot.sql"),
    include_str!("../../migrations/0009_exchange.sql"),
    include_str!("../../migrations/0010_conditional.sql"),
];

impl<S: Sql> Store<S> {
    pub(super) fn migrate(&self, migrations: &[&str]) -> Result<(), SqlError> {
        // Fails on a database that has no tables yet, and only there.
        let applied = if let Ok(version) = self.number("SELECT max(version) FROM migration", &[]) {
            version.unwrap_or(0)
        } else {
            self.sql.script(
                    "CREATE TABLE IF NOT EXISTS migration (version INTEGER NOT NULL PRIMARY KEY) STRICT",
                )?;
            self.number("SELECT max(version) FROM migration", &[])?.unwrap_or(0)
        };
        for (version, script) in (1i64..).zip(migrations).filter(|(version, _)| applied < *version)
        {
            self.sql.atomically(|| {
                self.sql.script(script)?;
                self.run("INSERT INTO migration (version) VALUES (?)", &[version.into()])?;
                Ok::<_, SqlError>(())
            })?;
        }
        Ok(())
    }
}
