//! What a rig sets about its merges: how they are done, and what must succeed first. A list of gates is checked as a
//! whole, each part by its name.

use serde_json::{Value, json};

use super::{Engine, check};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Sql, SqlError};
use crate::wire::merge::{Gate, MergeStrategy};

/// The settings of merges, by the names they have in the config.
pub(super) const OF_MERGES: [&str; 3] = ["merge_strategy", "merge_gates", "merge_gates_parallel"];

/// What holds for the merges of a rig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gates {
    pub(super) strategy: MergeStrategy,
    pub(super) list: Vec<Gate>,
    pub(super) parallel: bool,
}

impl Gates {
    /// How long a merge may take with them, in seconds.
    pub(super) fn merge_s(&self) -> u64 {
        let each = self.list.iter().map(|gate| gate.time_limit_s);
        let once: u64 = if self.parallel { each.max().unwrap_or(0) } else { each.sum() };
        limits::MERGE_GIT_S + once * limits::MERGE_GATE_RUNS
    }

    /// After how long a merge is taken back whose container says that it is at work, in milliseconds.
    pub(super) fn overtime_ms(&self) -> i64 {
        i64::try_from(self.merge_s()).unwrap_or(i64::MAX / 10_000) * 1_000 * limits::MERGE_OVERTIME
    }
}

impl<S: Sql> Engine<S> {
    /// What holds for the rig's merges.
    pub(super) fn gates(&self) -> Result<Gates, SqlError> {
        let standing = self.store.standing()?;
        let read = |name: &str| standing.config.get(name).map(String::as_str);
        let unreadable = |name: &str| SqlError::Unreadable(name.to_owned());
        let strategy = read("merge_strategy").map_or(Ok(MergeStrategy::Direct), |text| {
            strategy(text).ok_or_else(|| unreadable("merge_strategy"))
        })?;
        let list = read("merge_gates").map_or(Ok(Vec::new()), |text| {
            serde_json::from_str(text).map_err(|_| unreadable("merge_gates"))
        })?;
        Ok(Gates { strategy, list, parallel: read("merge_gates_parallel") == Some("true") })
    }
}

/// A setting of merges as it is kept; none is what holds without it.
pub(super) fn checked(name: &str, value: &Value) -> Result<Option<String>, Refusal> {
    match (name, value) {
        (_, Value::Null) => Ok(None),
        (_, Value::String(text)) if text.trim().is_empty() => Ok(None),
        ("merge_strategy", value) => {
            let found = value.as_str().and_then(|text| strategy(text.trim()));
            let found = found.ok_or_else(|| {
                Refusal::invalid(
                    name,
                    format!("is {}, but it takes direct or pull_request", got(value)),
                )
            })?;
            Ok((found != MergeStrategy::Direct).then(|| "pull_request".to_owned()))
        }
        ("merge_gates_parallel", value) => {
            let on = match value {
                Value::Bool(on) => Some(*on),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            };
            let on = on.ok_or_else(|| {
                Refusal::invalid(name, format!("is {}, but it takes true or false", got(value)))
            })?;
            Ok(on.then(|| "true".to_owned()))
        }
        (_, value) => {
            let gates = gates(value)?;
            if gates.is_empty() {
                return Ok(None);
            }
            Ok(Some(serde_json::to_string(&gates).expect("plain data")))
        }
    }
}

fn strategy(text: &str) -> Option<MergeStrategy> {
    match text {
        "direct" => Some(MergeStrategy::Direct),
        "pull_request" => Some(MergeStrategy::PullRequest),
        _ => None,
    }
}

fn gates(value: &Value) -> Result<Vec<Gate>, Refusal> {
    let max = limits::GATES_MAX;
    let Value::Array(items) = value else {
        let takes = "must be a list of gates, each {\"name\", \"command\", \"time_limit_s\"}";
        return Err(Refusal::invalid("merge_gates", takes));
    };
    if items.len() > max {
        let message = format!("may be {max} at most (got {})", items.len());
        return Err(Refusal::invalid("merge_gates", message));
    }
    let mut gates: Vec<Gate> = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let gate = gate(&format!("merge_gates[{n}]"), item)?;
        if gates.iter().any(|it| it.name == gate.name) {
            let message =
                format!("{:?} is there already; messages must tell them apart", gate.name);
            return Err(Refusal::invalid(&format!("merge_gates[{n}].name"), message));
        }
        gates.push(gate);
    }
    Ok(gates)
}

fn gate(field: &str, item: &Value) -> Result<Gate, Refusal> {
    let Value::Object(item) = item else {
        return Err(Refusal::invalid(field, "must be {\"name\", \"command\", \"time_limit_s\"}"));
    };
    if let Some(other) =
        item.keys().find(|key| !["name", "command", "time_limit_s"].contains(&key.as_str()))
    {
        let other = check::cut(other, limits::ID_CHARS_MAX);
        let message = format!("has {other:?}; a gate has name, command and time_limit_s");
        return Err(Refusal::invalid(field, message));
    }
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = check::name(&format!("{field}.name"), text("name"))?;
    let field_command = format!("{field}.command");
    let command = text("command").trim();
    let max = limits::CONFIG_VALUE_BYTES_MAX;
    if command.is_empty() {
        return Err(Refusal::invalid(&field_command, "is required: a line for `sh -c`"));
    }
    if command.len() > max {
        let message = format!("{field_command} has {} bytes, it may have {max}", command.len());
        return Err(Refusal::new(Code::TooLarge, message));
    }
    if command.contains('\0') {
        return Err(Refusal::invalid(&field_command, "must not hold a NUL"));
    }
    let limit = item.get("time_limit_s").filter(|it| !it.is_null());
    let default = json!(limits::GATE_S);
    let limit = limit.unwrap_or(&default);
    let max = limits::GATE_S_MAX;
    let time_limit_s = limit.as_u64().filter(|it| (1..=max).contains(it)).ok_or_else(|| {
        let message = format!("is {}, but it takes seconds from 1 to {max}", got(limit));
        Refusal::invalid(&format!("{field}.time_limit_s"), message)
    })?;
    Ok(Gate { name, command: command.to_owned(), time_limit_s })
}

fn got(value: &Value) -> String {
    check::cut(&value.to_string(), limits::ID_CHARS_MAX)
}
