//! Flag values as the rig takes them, with bd's words for what cannot be meant.

use super::Screen;
use crate::args::Fields;
use crate::failure::Failure;
use crate::when;
use jiff::Zoned;
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

/// `2` or `P2`.
pub(super) fn priority(text: &str) -> Result<u8, Failure> {
    let digits = text.trim().trim_start_matches(['p', 'P']);
    match digits.parse() {
        Ok(number @ 0..=4) if digits.len() == 1 && text.trim().len() <= 2 => Ok(number),
        _ => Err(Failure::fatal(format!(
            "invalid priority {text:?} (expected 0-4 or P0-P4, not words like high/medium/low)"
        ))),
    }
}

/// bd's short names for types.
pub(super) fn kind(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    match lower.as_str() {
        "enhancement" | "feat" => "feature",
        "dec" | "adr" => "decision",
        "investigation" | "timebox" => "spike",
        "user-story" => "story",
        "ms" => "milestone",
        other => other,
    }
    .to_owned()
}

/// Trimmed, without empty ones.
pub(super) fn labels(labels: &[String]) -> Vec<String> {
    labels
        .iter()
        .map(|label| label.trim())
        .filter(|label| !label.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An object, or `@file` with one.
pub(super) fn metadata(text: &str) -> Result<Map<String, Value>, Failure> {
    let text = match text.strip_prefix('@') {
        Some(path) => file(Path::new(path))?,
        None => text.to_owned(),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::fatal("invalid JSON in --metadata: must be an object")),
        Err(_) => Err(Failure::fatal("invalid JSON in --metadata: must be valid JSON")),
    }
}

/// `key=value`; numbers and booleans are kept as such.
pub(super) fn metadata_edit(text: &str) -> Result<(String, Value), Failure> {
    let (key, value) =
        text.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or_else(|| {
            Failure::fatal(format!("invalid --set-metadata {text:?}: expected key=value"))
        })?;
    let value = match serde_json::from_str(value) {
        Ok(plain @ (Value::Number(_) | Value::Bool(_))) => plain,
        _ => value.into(),
    };
    Ok((key.trim().to_owned(), value))
}

/// None: not given. Some(None): given, and empty.
#[expect(clippy::option_option, reason = "absent and emptied are two things on the wire too")]
pub(super) fn emptied(text: Option<&String>) -> Option<Option<String>> {
    text.map(|text| Some(text.clone()).filter(|text| !text.is_empty()))
}

/// A time; see [`emptied`].
#[expect(clippy::option_option, reason = "absent and emptied are two things on the wire too")]
pub(super) fn time(flag: &str, text: Option<&String>) -> Result<Option<Option<String>>, Failure> {
    text.map(|text| when::read(flag, text, &Zoned::now())).transpose()
}

impl Fields {
    /// As text or from a file.
    pub(super) fn design(&self) -> Result<Option<String>, Failure> {
        match &self.design_file {
            Some(path) => file(path).map(Some),
            None => Ok(self.design.clone()),
        }
    }

    /// Says which of its flags come to nothing.
    pub(super) fn warn(&self, screen: &mut Screen<'_>) -> Result<(), Failure> {
        for flag in self.foreign.given() {
            screen.warn(&format!("a rig keeps nothing of the kind: {flag} is ignored"))?;
        }
        Ok(())
    }

    /// From wherever it was said to come.
    pub(super) fn description(&self) -> Result<Option<String>, Failure> {
        match (&self.description, &self.body_file, self.stdin) {
            (Some(text), ..) if text != "-" => Ok(Some(text.clone())),
            (None, Some(path), _) => file(path).map(Some),
            (None, None, false) => Ok(None),
            _ => stdin().map(Some),
        }
    }
}

/// A file, `-` for stdin, without the newline that ends it.
pub(super) fn file(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        return stdin();
    }
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::fatal(format!("failed to read file {}: {error}", path.display()))
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// All of it, without the newline that ends it.
pub(super) fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::fatal(format!("failed to read from stdin: {error}")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
