//! What a rig sets for itself: where its repository is, what its agents are, and settings that differ from those
//! of the deployment. A value is checked as the deployment's would be, and kept as its environment would have it.
//!
//! The environment of the agents holds secrets: nothing that leaves the rig but a start shows more of one than
//! its last characters, and what is shown may be sent back without harm.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::gates::{self, OF_MERGES};
use super::{Apply, Engine, actor, check, refs, secrets};
use crate::command::{Effect, Error, Reply, Tell};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::settings::{OF_A_RIG, Settings, dollars};
use crate::store::{Sql, SqlError, TOWN_LAYER, is_setting};
use crate::token::Caller;
use crate::wire::config::ConfigView;
use crate::wire::container::StartAgent;
use crate::wire::town_config::TownLayer;

/// What [`ConfigView`] shows and nobody can set; whoever sends it back means nothing by it.
const SHOWN: [&str; 3] = ["rig_id", "overridden", "of_town"];

impl<S: Sql> Engine<S> {
    /// The settings of the deployment, under those of the town, under what the rig has of its own.
    pub fn effective(&self) -> Result<Settings, SqlError> {
        let standing = self.store.standing()?;
        if standing.config.is_empty() {
            return Ok(self.settings.clone());
        }
        let layer = self.layer()?;
        let of_rig = |name: &str| {
            let name = name.to_ascii_lowercase();
            let of_town = || layer.as_ref().and_then(|it| it.settings.get(&name));
            standing.config.get(&name).or_else(of_town).cloned()
        };
        self.settings.with(of_rig).map_err(|err| SqlError::Unreadable(err.to_string()))
    }

    /// What the rig's town sets for all of its rigs, as it was told last.
    fn layer(&self) -> Result<Option<TownLayer>, SqlError> {
        let standing = self.store.standing()?;
        let Some(json) = standing.config.get(TOWN_LAYER) else { return Ok(None) };
        let layer: TownLayer = serde_json::from_str(json)
            .map_err(|_| SqlError::Unreadable("the settings of the town".to_owned()))?;
        let town = standing.config.get("town").unwrap_or(&self.settings.town);
        Ok(Some(layer).filter(|it| it.town_id == *town))
    }

    /// Whether this is what the rig was told of its town's settings last.
    pub fn knows_layer(&self, layer: &TownLayer) -> Result<bool, SqlError> {
        let known = self.layer()?.unwrap_or_default();
        Ok(known.settings == layer.settings && known.env_vars == layer.env_vars)
    }

    /// A start that was decided before the town's settings were asked for, with what they are now.
    pub fn with_layer(&self, start: &StartAgent) -> Result<StartAgent, SqlError> {
        let model = self.effective()?.agent_model;
        Ok(StartAgent { model, env_vars: self.env_vars()?, ..start.clone() })
    }

    /// The settings that hold for this rig; those of the deployment, and a fault, if its own cannot be read.
    pub(super) fn in_force(&self, step: &str, effects: &mut Vec<Effect>) -> Settings {
        self.effective().unwrap_or_else(|err| {
            effects.push(super::tick::fault(step, None, &err));
            self.settings.clone()
        })
    }

    fn configured(&self, name: &str) -> Result<Option<String>, SqlError> {
        Ok(self.store.standing()?.config.get(name).cloned())
    }

    /// Where the rig's repository is, if it has one.
    pub(super) fn git_url(&self) -> Result<Option<String>, SqlError> {
        self.configured("git_url")
    }

    /// What the rig merges into; the remote's own default branch without it.
    pub(super) fn default_branch(&self) -> Result<Option<String>, SqlError> {
        self.configured("default_branch")
    }

    /// What the names of the rig's beads begin with.
    pub(super) fn prefix(&self) -> Result<String, SqlError> {
        Ok(self.configured("prefix")?.unwrap_or_else(|| self.own_prefix()))
    }

    /// What the rig's town and the rig put into the environment of its agents. Secrets.
    pub(super) fn env_vars(&self) -> Result<BTreeMap<String, String>, SqlError> {
        let mut all = self.layer()?.unwrap_or_default().env_vars;
        all.append(&mut self.own_env()?);
        Ok(all)
    }

    /// What of that is the rig's own.
    fn own_env(&self) -> Result<BTreeMap<String, String>, SqlError> {
        let Some(json) = self.configured("env_vars")? else { return Ok(BTreeMap::new()) };
        serde_json::from_str(&json).map_err(|_| SqlError::Unreadable("env_vars".to_owned()))
    }

    /// What holds for this rig, and what of it is its own.
    pub fn config_view(&self) -> Result<ConfigView, Error> {
        let settings = self.effective()?;
        let env_vars = self.own_env()?;
        let layer = self.layer()?.unwrap_or_default();
        let of_town = layer.env_vars.keys().map(|name| format!("env_vars.{name}"));
        let of_town = layer.settings.keys().cloned().chain(of_town).collect();
        let merges = self.gates()?;
        Ok(ConfigView {
            rig_id: self.rig.clone(),
            town: settings.town,
            git_url: self.git_url()?,
            default_branch: self.default_branch()?,
            prefix: self.prefix()?,
            agent_command: settings.agent_command,
            agent_model: settings.agent_model,
            dispatch_enabled: settings.dispatch_enabled,
            max_agents: settings.max_agents,
            max_attempts: settings.max_attempts,
            back_off_ms: settings.back_off_ms,
            active_alarm_ms: settings.active_alarm_ms,
            idle_alarm_ms: settings.idle_alarm_ms,
            run_timeout_s: settings.run_timeout_s,
            merge_strategy: merges.strategy,
            merge_gates: merges.list,
            merge_gates_parallel: merges.parallel,
            gupp_ms: settings.gupp_ms,
            reaper_ms: settings.reaper_ms,
            max_budget_usd: dollars(settings.max_budget_micros),
            env_vars: env_vars.into_iter().map(|(name, it)| (name, secrets::mask(&it))).collect(),
            overridden: self
                .store
                .standing()?
                .config
                .keys()
                .filter(|it| is_setting(it))
                .cloned()
                .collect(),
            of_town,
        })
    }
}

impl<S: Sql> Apply<'_, S> {
    /// The settings that hold for this rig.
    pub(super) fn settings(&self) -> Result<Settings, SqlError> {
        self.engine.effective()
    }

    /// Writes what is sent and differs from what holds; null makes the deployment's hold again.
    pub(super) fn patch_config(
        &mut self,
        by: &Caller,
        patch: &Map<String, Value>,
    ) -> Result<Reply, Error> {
        let mut changed = Vec::new();
        for (name, value) in patch.iter().filter(|(name, _)| !SHOWN.contains(&name.as_str())) {
            let new = self.checked(name, value)?;
            let stored = self.engine.configured(name)?;
            // What holds already need not be said: it stays the deployment's.
            let same = match (&stored, &new) {
                (None, Some(new)) => self.is_default(name, new)?,
                (stored, new) => stored == new,
            };
            if !same {
                changed.push((name.as_str(), new));
            }
        }
        if changed.iter().any(|(name, _)| *name == "town") {
            self.may_move_by_hand()?;
        }
        for (name, value) in &changed {
            self.store().set_config(name, value.as_deref())?;
        }
        if !changed.is_empty() {
            let names: Vec<&str> = changed.iter().map(|(name, _)| *name).collect();
            self.effects.push(Effect::Tell(Tell {
                event: "config_changed".to_owned(),
                bead: None,
                actor: Some(actor(by).to_owned()),
                detail: Some(names.join(", ")),
            }));
            self.wake();
        }
        Ok(Reply::Done)
    }

    /// Takes what the town sets for all of its rigs.
    pub(super) fn set_layer(&mut self, layer: &TownLayer) -> Result<Reply, Error> {
        if layer.settings.is_empty() && layer.env_vars.is_empty() {
            self.store().set_config(TOWN_LAYER, None)?;
        } else {
            let json = serde_json::to_string(layer).expect("plain data");
            self.store().set_config(TOWN_LAYER, Some(&json))?;
            // What cannot be read must not be kept: it would stop the rig.
            let refused = |err: SqlError| Refusal::invalid("the town's config", err.to_string());
            self.engine.effective().map_err(refused)?;
        }
        self.effects.push(Effect::Tell(Tell {
            event: "town_config_changed".to_owned(),
            bead: None,
            actor: None,
            detail: Some(layer.settings.keys().cloned().collect::<Vec<_>>().join(", ")),
        }));
        Ok(Reply::Done)
    }

    /// A value as it is kept; none removes.
    pub(super) fn checked(&self, name: &str, value: &Value) -> Result<Option<String>, Error> {
        if name == "env_vars" {
            return Ok(secrets::checked_env(value, &self.engine.own_env()?)?);
        }
        if OF_MERGES.contains(&name) {
            return Ok(gates::checked(name, value)?);
        }
        let known =
            OF_A_RIG.contains(&name) || ["git_url", "default_branch", "prefix"].contains(&name);
        if !known {
            let (merges, all) = (OF_MERGES.join(", "), OF_A_RIG.join(", "));
            let message = format!(
                "is no setting of a rig; there are git_url, default_branch, prefix, env_vars, {merges}, {all}"
            );
            return Err(Refusal::invalid(&check::cut(name, limits::ID_CHARS_MAX), message).into());
        }
        let Some(text) = as_text(name, value)? else { return Ok(None) };
        let text = match name {
            "git_url" => refs::git_url(&text)?,
            "default_branch" => refs::branch(name, &text)?,
            "prefix" => prefix(&text)?,
            _ => {
                if name == "agent_model" {
                    check::name(name, &text)?;
                }
                let settings = self.with(name, &text)?;
                // Each value has one spelling, so that it is seen when nothing changes.
                match name {
                    "agent_command" => {
                        words(name, settings.agent_command.iter().map(String::as_str).collect())?
                    }
                    "back_off_ms" => joined(&settings.back_off_ms),
                    "max_budget_usd" => dollars(settings.max_budget_micros),
                    _ => text,
                }
            }
        };
        Ok(Some(text))
    }

    /// The deployment's settings with this one changed.
    fn with(&self, name: &str, text: &str) -> Result<Settings, Refusal> {
        let var = |it: &str| (it.to_ascii_lowercase() == name).then(|| text.to_owned());
        self.engine.settings.with(var).map_err(|err| {
            let got = check::cut(text, limits::ID_CHARS_MAX);
            Refusal::invalid(name, format!("is {got:?}, but it takes {}", err.takes()))
        })
    }

    fn is_default(&self, name: &str, text: &str) -> Result<bool, Error> {
        Ok(match name {
            "git_url" | "default_branch" | "env_vars" => false,
            // What holds without them is not kept.
            _ if OF_MERGES.contains(&name) => false,
            "prefix" => text == self.engine.own_prefix(),
            // What the town sets must be overridden even by what the deployment has.
            _ => {
                self.with(name, text)? == self.engine.settings
                    && self.engine.layer()?.is_none_or(|it| !it.settings.contains_key(name))
            }
        })
    }
}

/// A value as an environment would have it; one that is null or empty is none.
fn as_text(name: &str, value: &Value) -> Result<Option<String>, Refusal> {
    let wrong = || {
        let takes = match name {
            "agent_command" => "must be a text with quotes as in a shell, or a list of words",
            "back_off_ms" => "must be a list of 1 to 10 waits in milliseconds",
            _ => "must be a text, a number, true or false",
        };
        Refusal::invalid(name, takes)
    };
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Array(items) if items.is_empty() => return Err(wrong()),
        Value::Array(items) if name == "back_off_ms" => joined(items),
        Value::Array(items) if name == "agent_command" => {
            let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            self::words(name, words.ok_or_else(wrong)?)?
        }
        Value::Array(_) | Value::Object(_) => return Err(wrong()),
    };
    let max = limits::CONFIG_VALUE_BYTES_MAX;
    if text.len() > max {
        let message = format!("{name} has {} bytes, it may have {max}", text.len());
        return Err(Refusal::new(Code::TooLarge, message));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn joined(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A command as a shell has it.
fn words(name: &str, words: Vec<&str>) -> Result<String, Refusal> {
    shlex::try_join(words).map_err(|_| Refusal::invalid(name, "must not hold a NUL"))
}

fn prefix(text: &str) -> Result<String, Refusal> {
    let fits = (1..=8).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if fits {
        return Ok(text.to_owned());
    }
    Err(Refusal::invalid("prefix", "must be 1 to 8 lower-case letters and digits"))
}
