//! The table `config`, read together with what else each tick wants to know.
//!
//! It is kept once read: nobody but this store writes these rows, and an object is built anew for nearly every
//! tick, so that a tick pays one statement at most. Whatever writes them, and every transaction that is rolled
//! back, forgets what was read.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::everything::{PAUSED, PAUSED_ALL};
use super::merging::{Merging, merging};
use super::{Sql, SqlError, Store, breaker};
use crate::breaker::Breaker;
use crate::id::Millis;
use crate::wire::dispatch::{PauseView, Scope};

/// Who turned dispatch off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// When.
    pub at: Millis,
    /// Why.
    pub reason: Option<String>,
}

impl Pause {
    /// As it is shown.
    pub fn view(self, scope: Scope) -> PauseView {
        PauseView { scope, by: Some(self.by), at: Some(self.at.to_string()), reason: self.reason }
    }
}

/// What a rig sets for itself, and what its review queue wants of the tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Standing {
    /// By name; not to be shown as it is, for there are secrets in it.
    pub config: BTreeMap<String, String>,
    /// What the review queue wants of the tick.
    pub merging: Merging,
    /// Whether its starts fail; none: never did.
    pub breaker: Option<Breaker>,
}

impl<S: Sql> Store<S> {
    /// What the rig sets for itself, and what the review queue does.
    pub fn standing(&self) -> Result<Rc<Standing>, SqlError> {
        if let Some(known) = self.known().as_ref() {
            return Ok(Rc::clone(known));
        }
        let read = self.one(
            &format!(
                "SELECT json_array(
                    json((SELECT json_group_object(name, value) FROM config)),
                    {},
                    json({}))",
                merging(),
                breaker::ROW
            ),
            &[],
        )?;
        let standing = Rc::new(read.unwrap_or_default());
        *self.known() = Some(Rc::clone(&standing));
        Ok(standing)
    }

    /// What was read is not so any more, or may not be.
    pub(super) fn forget_standing(&self) {
        self.known().take();
    }

    fn known(&self) -> MutexGuard<'_, Option<Rc<Standing>>> {
        // What a panic left in it is whole: it is set in one step.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who turned dispatch off for the rig, or for the deployment.
    pub fn pause(&self, scope: Scope) -> Result<Option<Pause>, SqlError> {
        let standing = self.standing()?;
        let kept = paused(scope).and_then(|name| standing.config.get(name));
        kept.map(|json| serde_json::from_str(json))
            .transpose()
            .map_err(|err| SqlError::Unreadable(err.to_string()))
    }

    /// Writes who turned dispatch off; none: nobody.
    pub fn set_pause(&self, scope: Scope, pause: Option<&Pause>) -> Result<(), SqlError> {
        let Some(name) = paused(scope) else { return Ok(()) };
        let json = pause.map(|it| serde_json::to_string(it).expect("plain data"));
        self.set_config(name, json.as_deref())
    }

    /// Writes what the rig sets for itself; none removes.
    pub fn set_config(&self, name: &str, value: Option<&str>) -> Result<(), SqlError> {
        self.forget_standing();
        match value {
            Some(value) => self.run(
                "INSERT INTO config (name, value) VALUES (?, ?)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                &[name.into(), value.into()],
            )?,
            None => self.run("DELETE FROM config WHERE name = ?", &[name.into()])?,
        };
        Ok(())
    }
}

/// The row that holds it; a setting is no pause.
fn paused(scope: Scope) -> Option<&'static str> {
    match scope {
        Scope::Deployment => Some(PAUSED_ALL),
        Scope::Rig => Some(PAUSED),
        Scope::Setting => None,
    }
}
