//! What is set for all rigs of a town: it lies over the settings of the deployment, and under those of each rig. A rig
//! asks for it before it starts an agent, and keeps what it was told, so that no change needs to reach all rigs at once.
//!
//! There are secrets in it: nothing that leaves the town, but what its rigs ask for, shows more of one than its last
//! characters, and what is shown may be sent back without harm.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Hall;
use crate::command::Error;
use crate::engine::{check, secrets};
use crate::id::Millis;
use crate::limits;
use crate::refusal::Refusal;
use crate::store::{Sql, SqlError};
use crate::wire::town_config::{GitAuth, TownConfigView, TownLayer};

/// The numbers, as in Gastown: the name, the least, the most, the setting that it is for a rig, and how many of that.
const NUMBERS: [(&str, i64, i64, &str, i64); 3] = [
    ("max_polecats_per_rig", 1, 20, "max_agents", 1),
    ("alarm_interval_active", 5, 600, "active_alarm_ms", 1_000),
    ("alarm_interval_idle", 30, 3_600, "idle_alarm_ms", 1_000),
];

/// What `git_auth` has, and the variable that the agents find it in.
const GIT_AUTH: [(&str, &str); 3] = [
    ("github_token", "GIT_TOKEN"),
    ("gitlab_token", "GITLAB_TOKEN"),
    ("gitlab_instance_url", "GITLAB_INSTANCE_URL"),
];

/// Where a part of `git_auth` is kept.
fn row(part: &str) -> String {
    format!("git_auth.{part}")
}

impl<S: Sql> Hall<S> {
    /// What is set, secrets masked.
    pub fn config(&self) -> Result<TownConfigView, Error> {
        let kept = self.book.settings()?;
        let number = |name: &str| kept.get(name).and_then(|it| it.parse().ok());
        let masked = |part: &str| kept.get(&row(part)).map(|it| secrets::mask(it));
        let env_vars = env_vars(&kept)?;
        Ok(TownConfigView {
            env_vars: env_vars.into_iter().map(|(name, it)| (name, secrets::mask(&it))).collect(),
            git_auth: GitAuth {
                github_token: masked("github_token"),
                gitlab_token: masked("gitlab_token"),
                gitlab_instance_url: kept.get(&row("gitlab_instance_url")).cloned(),
            },
            default_model: kept.get("default_model").cloned(),
            max_polecats_per_rig: number("max_polecats_per_rig"),
            alarm_interval_active: number("alarm_interval_active"),
            alarm_interval_idle: number("alarm_interval_idle"),
        })
    }

    /// What a rig of the town is told: settings by the names that they have there, and variables.
    pub fn layer(&self) -> Result<TownLayer, Error> {
        let kept = self.book.settings()?;
        let mut settings = BTreeMap::new();
        if let Some(model) = kept.get("default_model") {
            settings.insert("agent_model".to_owned(), model.clone());
        }
        for (name, _, _, of_rig, times) in NUMBERS {
            if let Some(n) = kept.get(name).and_then(|it| it.parse::<i64>().ok()) {
                settings.insert(of_rig.to_owned(), (n * times).to_string());
            }
        }
        let mut env_vars = env_vars(&kept)?;
        for (part, variable) in GIT_AUTH {
            if let Some(value) = kept.get(&row(part)) {
                env_vars.insert(variable.to_owned(), value.clone());
            }
        }
        Ok(TownLayer { town_id: self.town.clone(), settings, env_vars })
    }

    /// As `layer`, for this rig, which is one of the town if there is room for it.
    pub fn layer_for(&self, rig: &str, now: Millis) -> Result<TownLayer, Error> {
        match self.book.atomically(|| self.join(rig, None, now)) {
            // It works without being asked for its escalations.
            Ok(()) | Err(Error::Refused(_)) => self.layer(),
            Err(fault) => Err(fault),
        }
    }

    /// Writes what is sent; what is absent stays, null removes.
    pub(super) fn patch_config(&self, patch: &Map<String, Value>) -> Result<(), Error> {
        let kept = self.book.settings()?;
        let mut changes: Vec<(String, Option<String>)> = Vec::new();
        for (name, value) in patch {
            match name.as_str() {
                "env_vars" => {
                    let vars = secrets::checked_env(value, &env_vars(&kept)?)?;
                    changes.push((name.clone(), vars));
                }
                "git_auth" => git_auth(value, &kept, &mut changes)?,
                "default_model" => {
                    let model = text(name, value)?.map(|it| check::name(name, &it)).transpose()?;
                    changes.push((name.clone(), model));
                }
                _ => changes.push((name.clone(), number(name, value)?)),
            }
        }
        self.book.atomically(|| {
            changes.iter().try_for_each(|(name, it)| self.book.set(name, it.as_deref()))
        })?;
        Ok(())
    }
}

fn env_vars(kept: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, SqlError> {
    let Some(json) = kept.get("env_vars") else { return Ok(BTreeMap::new()) };
    serde_json::from_str(json).map_err(|_| SqlError::Unreadable("env_vars".to_owned()))
}

/// Changes the parts that are sent; null for all takes all away.
fn git_auth(
    value: &Value,
    kept: &BTreeMap<String, String>,
    changes: &mut Vec<(String, Option<String>)>,
) -> Result<(), Error> {
    let sent = match value {
        Value::Null => {
            changes.extend(GIT_AUTH.iter().map(|(part, _)| (row(part), None)));
            return Ok(());
        }
        Value::Object(sent) => sent,
        _ => return Err(Refusal::invalid("git_auth", "must be an object").into()),
    };
    for (part, value) in sent {
        if GIT_AUTH.iter().all(|(it, _)| it != part) {
            let parts = GIT_AUTH.map(|(it, _)| it).join(", ");
            let message = format!("has {parts} alone");
            return Err(Refusal::invalid("git_auth", message).into());
        }
        let field = row(part);
        let new = match text(&field, value)? {
            Some(new) if part == "gitlab_instance_url" => Some(address(&field, new)?),
            Some(new) => Some(secrets::sent(&field, &new, kept.get(&field))?),
            None => None,
        };
        changes.push((field, new));
    }
    Ok(())
}

fn address(field: &str, text: String) -> Result<String, Refusal> {
    let host = ["https://", "http://"].iter().find_map(|it| text.strip_prefix(it));
    let plain = |host: &str| !host.is_empty() && !host.contains(['@', ' ', '\\']);
    let fits = text.len() <= limits::URL_BYTES_MAX
        && host.is_some_and(plain)
        && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits {
        return Ok(text);
    }
    Err(Refusal::invalid(field, "must be https://host, without credentials"))
}

/// A text; one that is null or empty is none.
fn text(name: &str, value: &Value) -> Result<Option<String>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.trim().to_owned()).filter(|it| !it.is_empty())),
        _ => Err(Refusal::invalid(name, "must be a text")),
    }
}

fn number(name: &str, value: &Value) -> Result<Option<String>, Refusal> {
    let Some((_, min, max, ..)) = NUMBERS.into_iter().find(|it| it.0 == name) else {
        let all = NUMBERS.map(|it| it.0).join(", ");
        let message =
            format!("is no setting of a town; there are env_vars, git_auth, default_model, {all}");
        return Err(Refusal::invalid(&check::cut(name, limits::ID_CHARS_MAX), message));
    };
    if value.is_null() {
        return Ok(None);
    }
    let n = value.as_i64().filter(|n| (min..=max).contains(n));
    let wrong = || Refusal::invalid(name, format!("must be a number from {min} to {max}"));
    Ok(Some(n.ok_or_else(wrong)?.to_string()))
}
