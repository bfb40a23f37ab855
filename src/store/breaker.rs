//! The table `breaker`: one row, read with what else each tick wants to know (see `config`).

use super::{Sql, SqlError, Store, to_json};
use crate::breaker::Breaker;

/// The row as JSON, in the order of the fields of [`Breaker`]; all of it absent while nothing fails.
pub(super) const ROW: &str =
    "(SELECT json_array(json(failures), why, opened_at, probe_at) FROM breaker)";

impl<S: Sql> Store<S> {
    /// Whether the rig's starts fail.
    pub fn breaker(&self) -> Result<Breaker, SqlError> {
        Ok(self.standing()?.breaker.clone().unwrap_or_default())
    }

    /// Writes the breaker as it is now.
    pub fn save_breaker(&self, it: &Breaker) -> Result<(), SqlError> {
        self.forget_standing();
        self.run(
            "INSERT INTO breaker (one, failures, why, opened_at, probe_at) VALUES (1, ?, ?, ?, ?)
             ON CONFLICT (one) DO UPDATE SET failures = excluded.failures, why = excluded.why,
                 opened_at = excluded.opened_at, probe_at = excluded.probe_at",
            &[
                to_json(&it.failures),
                it.why.as_ref().into(),
                it.opened_at.into(),
                it.probe_at.into(),
            ],
        )?;
        Ok(())
    }
}
