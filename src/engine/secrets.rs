//! Variables for the environment of agents, and other secrets: what they may be, and how they are shown.
//!
//! Nothing here may put a secret into an error: what is refused is named by its field.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// All variables as they are kept, of which some are stored already: those that are sent, and no others. One that is
/// sent as it was shown stays as it is.
pub(crate) fn checked_env(
    value: &Value,
    stored: &BTreeMap<String, String>,
) -> Result<Option<String>, Refusal> {
    let sent = match value {
        Value::Null => return Ok(None),
        Value::Object(sent) => sent,
        _ => return Err(Refusal::invalid("env_vars", "must be an object of texts")),
    };
    let mut vars = BTreeMap::new();
    for (name, value) in sent.iter().filter(|(_, value)| !value.is_null()) {
        let field = format!("env_vars.{}", check::cut(name, limits::ID_CHARS_MAX));
        env_name(&field, name)?;
        let Some(text) = value.as_str() else {
            return Err(Refusal::invalid(&field, "must be a text"));
        };
        vars.insert(name.clone(), self::sent(&field, text, stored.get(name))?);
    }
    if vars.len() > limits::ENV_VARS_MAX {
        let message = format!("may be {} at most (got {})", limits::ENV_VARS_MAX, vars.len());
        return Err(Refusal::invalid("env_vars", message));
    }
    if vars.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_string(&vars).expect("plain data")))
}

/// A secret that is sent: what is stored, if it is sent as that is shown.
pub(crate) fn sent(field: &str, text: &str, stored: Option<&String>) -> Result<String, Refusal> {
    match stored.filter(|it| mask(it) == text) {
        Some(stored) => Ok(stored.clone()),
        None => env_value(field, text),
    }
}

fn env_name(field: &str, name: &str) -> Result<(), Refusal> {
    let fits = name.len() <= limits::NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !fits {
        let message = "must be named by letters, digits and '_', and not begin with a digit";
        return Err(Refusal::invalid(field, message));
    }
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("BEADRIG_") || upper.starts_with("GASTOWN_") {
        let message = "is reserved: names that begin with BEADRIG_ or GASTOWN_ are the rig's own";
        return Err(Refusal::invalid(field, message));
    }
    Ok(())
}

fn env_value(field: &str, text: &str) -> Result<String, Refusal> {
    let max = limits::CONFIG_VALUE_BYTES_MAX;
    if text.len() > max {
        let message = format!("{field} has {} bytes, it may have {max}", text.len());
        return Err(Refusal::new(Code::TooLarge, message));
    }
    if text.contains('\0') {
        return Err(Refusal::invalid(field, "must not hold a NUL"));
    }
    // What looks like a mask and is not that of what is stored would overwrite a secret with stars.
    if text.starts_with(MASK) {
        let message = "looks masked, and is not what is stored; send the value itself";
        return Err(Refusal::invalid(field, message));
    }
    Ok(text.to_owned())
}

const MASK: &str = "****";

/// A secret as it is shown: its last four characters, and those only where they are a small part of it.
pub(crate) fn mask(value: &str) -> String {
    let chars: Vec<char> = value.chars().collect();
    let shown = if chars.len() >= 8 { &chars[chars.len() - 4..] } else { &[] };
    format!("{MASK}{}", shown.iter().collect::<String>())
}
