//! What a field may hold. A refusal names the field, what it holds wrong, and what it takes.

use serde_json::{Map, Value};

use crate::bead::{PRIORITIES, Status};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};

pub(crate) fn title(text: &str) -> Result<String, Refusal> {
    let title = text.trim();
    let chars = title.chars().count();
    if title.is_empty() {
        return Err(Refusal::invalid("title", "is required"));
    }
    if chars > limits::TITLE_CHARS_MAX {
        let max = limits::TITLE_CHARS_MAX;
        return Err(Refusal::invalid(
            "title",
            format!("must be {max} characters or less (got {chars})"),
        ));
    }
    no_control("title", title)?;
    Ok(title.to_owned())
}

/// A long text; a blank one is none.
pub(super) fn text(field: &str, text: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    bytes(field, text.len(), limits::TEXT_BYTES_MAX)?;
    Ok(Some(text))
}

/// A short text on one line; a blank one is none.
pub(super) fn word(field: &str, text: Option<String>) -> Result<Option<String>, Refusal> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .map(|text| name(field, &text))
        .transpose()
}

/// A short text on one line that must be there.
pub(crate) fn name(field: &str, text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    let chars = text.chars().count();
    if text.is_empty() {
        return Err(Refusal::invalid(field, "is required"));
    }
    if chars > limits::NAME_CHARS_MAX {
        let max = limits::NAME_CHARS_MAX;
        return Err(Refusal::invalid(
            field,
            format!("must be {max} characters or less (got {chars})"),
        ));
    }
    no_control(field, text)?;
    Ok(text.to_owned())
}

pub(super) fn note(text: &str) -> Result<&str, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid("text", "is empty; write what the note shall say"));
    }
    bytes("text", text.len(), limits::NOTE_BYTES_MAX)?;
    Ok(text)
}

pub(super) fn subject(text: &str) -> Result<String, Refusal> {
    let (subject, max) = (text.trim(), limits::SUBJECT_CHARS_MAX);
    let chars = subject.chars().count();
    if subject.is_empty() {
        return Err(Refusal::invalid("subject", "is required"));
    }
    if chars > max {
        let problem = format!("must be {max} characters or less (got {chars})");
        return Err(Refusal::invalid("subject", problem));
    }
    no_control("subject", subject)?;
    Ok(subject.to_owned())
}

pub(super) fn mail_body(text: &str) -> Result<&str, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid("body", "is required"));
    }
    bytes("body", text.len(), limits::MAIL_BYTES_MAX)?;
    Ok(text)
}

/// What an agent says of what it did, and how many bytes that is.
pub(super) fn event_data(data: &Value) -> Result<usize, Refusal> {
    let size = serde_json::to_string(data).map_or(usize::MAX, |text| text.len());
    bytes("data", size, limits::AGENT_EVENT_BYTES_MAX)?;
    Ok(size)
}

/// A reason or a summary: cut, never refused, for what it belongs to must happen.
pub(super) fn reason(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    (!text.is_empty()).then(|| cut(text, limits::REASON_BYTES_MAX))
}

/// The first bytes of a text, whole characters only.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

pub(super) fn id(field: &str, text: &str) -> Result<String, Refusal> {
    let fits = !text.is_empty()
        && text.len() <= limits::ID_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fits {
        return Ok(text.to_owned());
    }
    let max = limits::ID_CHARS_MAX;
    Err(Refusal::invalid(
        field,
        format!(
            "must be 1 to {max} letters, digits, '-', '_' and '.', and begin with a letter or digit"
        ),
    ))
}

/// A name or a number, as Gastown's and `bd`'s clients send them.
pub(super) fn priority(value: &Value) -> Result<u8, Refusal> {
    let number = match value {
        Value::Number(n) => n.as_u64().and_then(|n| u8::try_from(n).ok()),
        Value::String(text) => PRIORITIES
            .iter()
            .position(|name| text.eq_ignore_ascii_case(name))
            .and_then(|n| u8::try_from(n).ok())
            .or_else(|| text.trim_start_matches(['P', 'p']).parse().ok()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|n| usize::from(*n) < PRIORITIES.len()).ok_or_else(|| {
        Refusal::invalid(
            "priority",
            format!("must be 0 to 4 or one of {} (got {value})", PRIORITIES.join(", ")),
        )
    })
}

pub(super) fn status(text: &str) -> Result<Status, Refusal> {
    Status::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        Refusal::invalid("status", format!("{text:?} is not one of {}", known.join(", ")))
    })
}

pub(super) fn labels(labels: Vec<String>) -> Result<Vec<String>, Refusal> {
    let mut clean = Vec::new();
    for label in labels {
        clean.push(name("labels", &label)?);
    }
    clean.sort();
    clean.dedup();
    if clean.len() > limits::LABELS_MAX {
        return Err(Refusal::invalid("labels", format!("may be {} at most", limits::LABELS_MAX)));
    }
    Ok(clean)
}

pub(super) fn metadata(map: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    json("metadata", &map)?;
    Ok(map)
}

/// Any JSON that is not too large to keep.
pub(super) fn json(field: &str, value: &impl serde::Serialize) -> Result<(), Refusal> {
    let size = serde_json::to_string(value).map_or(usize::MAX, |text| text.len());
    bytes(field, size, limits::JSON_BYTES_MAX)
}

pub(super) fn time(field: &str, text: Option<String>) -> Result<Option<Millis>, Refusal> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    Millis::parse(text.trim()).map(Some).ok_or_else(|| {
        Refusal::invalid(
            field,
            format!("must be a time such as 2026-01-31T12:00:00Z (got {text:?})"),
        )
    })
}

pub(super) fn bytes(field: &str, size: usize, max: usize) -> Result<(), Refusal> {
    if size > max {
        let message = format!("{field} has {size} bytes, it may have {max}");
        return Err(Refusal::new(Code::TooLarge, message));
    }
    Ok(())
}

fn no_control(field: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().any(char::is_control) {
        return Err(Refusal::invalid(field, "must be one line without control characters"));
    }
    Ok(())
}
