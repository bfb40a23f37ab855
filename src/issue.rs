//! An issue as `bd` and `br` write it, one in a line of `issues.jsonl`: its keys and their order, what may be left out,
//! and when two of them say the same. Shared by the rig and the command. It must never know a bead, and never lose a key.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use crate::id::Millis;

/// One issue: JSON as it stands in the line.
pub type Issue = Map<String, Value>;

/// bd's order; keys that are not here follow in the order of their names.
pub const KEYS: [&str; 33] = [
    "id",
    "title",
    "description",
    "design",
    "acceptance_criteria",
    "notes",
    "spec_id",
    "status",
    "priority",
    "issue_type",
    "assignee",
    "owner",
    "estimated_minutes",
    "created_at",
    "created_by",
    "updated_at",
    "started_at",
    "closed_at",
    "close_reason",
    "closed_by_session",
    "due_at",
    "defer_until",
    "external_ref",
    "source_system",
    "metadata",
    "compaction_level",
    "compacted_at",
    "compacted_at_commit",
    "original_size",
    "labels",
    "dependencies",
    "comments",
    "sender",
];

/// The order within a dependency and a comment.
pub const INNER_KEYS: [&str; 10] = [
    "id",
    "issue_id",
    "depends_on_id",
    "type",
    "author",
    "text",
    "created_at",
    "created_by",
    "metadata",
    "thread_id",
];

/// Those of an issue that are times.
pub(crate) const TIMES: [&str; 6] =
    ["created_at", "updated_at", "started_at", "closed_at", "due_at", "defer_until"];

/// What follows from the rest.
const DERIVED: [&str; 5] =
    ["_type", "dependency_count", "dependent_count", "comment_count", "parent"];

/// The text of a field; none if it is absent or no text.
pub fn text<'a>(issue: &'a Issue, key: &str) -> Option<&'a str> {
    issue.get(key).and_then(Value::as_str)
}

/// A time of an issue.
pub fn time(issue: &Issue, key: &str) -> Option<Millis> {
    Millis::parse(text(issue, key)?)
}

/// The records of an issue under a key: dependencies or comments.
pub fn records<'a>(issue: &'a Issue, key: &str) -> impl Iterator<Item = &'a Issue> {
    issue.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// The same issue with bd's defaults said, and without what is empty or follows from the rest.
#[must_use]
pub fn normal(mut issue: Issue) -> Issue {
    issue.retain(|key, value| !DERIVED.contains(&key.as_str()) && !is_empty(value));
    issue.entry("status").or_insert_with(|| "open".into());
    issue.entry("issue_type").or_insert_with(|| "task".into());
    // Go's zero.
    issue.entry("priority").or_insert_with(|| 0.into());
    for (key, other) in [("updated_at", "created_at"), ("created_at", "updated_at")] {
        if let (false, Some(at)) = (issue.contains_key(key), issue.get(other).cloned()) {
            issue.insert(key.to_owned(), at);
        }
    }
    if text(&issue, "status") == Some("closed") && !issue.contains_key("closed_at") {
        let last = time(&issue, "created_at").max(time(&issue, "updated_at"));
        if let Some(at) = last {
            issue.insert("closed_at".to_owned(), at.plus(1_000).to_string().into());
        }
    }
    if let Some(Value::Array(labels)) = issue.get_mut("labels") {
        labels.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        labels.dedup();
    }
    for key in ["dependencies", "comments"] {
        for record in issue.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(record) = record {
                record.retain(|_, value| !is_empty(value));
            }
        }
    }
    issue
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What an issue says, whichever way it says it: equal for two that say the same. Times count to the millisecond,
/// which is what a rig keeps of its own; sets have no order; the names of comments are each program's own.
#[must_use]
pub fn canonical(issue: &Issue) -> Issue {
    let mut issue = normal(issue.clone());
    for key in TIMES {
        at_millisecond(&mut issue, key);
    }
    for (key, own) in [("dependencies", "issue_id"), ("comments", "id")] {
        let Some(Value::Array(list)) = issue.get_mut(key) else { continue };
        for record in list.iter_mut().filter_map(Value::as_object_mut) {
            record.remove(own);
            record.remove("issue_id");
            at_millisecond(record, "created_at");
        }
        // By their text, in which keys are sorted.
        list.sort_by_cached_key(ToString::to_string);
        list.dedup();
    }
    issue
}

fn at_millisecond(record: &mut Issue, key: &str) {
    if let Some(at) = time(record, key) {
        record.insert(key.to_owned(), at.0.into());
    }
}

/// Whether two issues say the same.
pub fn same(one: &Issue, other: &Issue) -> bool {
    canonical(one) == canonical(other)
}

/// The place of an issue in bd's file: the most urgent first, of those the newest. A key, so that times are read once
/// an issue and not once a comparison.
pub fn place(issue: &Issue) -> (i64, Reverse<Option<Millis>>, String) {
    (
        issue.get("priority").and_then(Value::as_i64).unwrap_or(0),
        Reverse(time(issue, "created_at")),
        text(issue, "id").unwrap_or_default().to_owned(),
    )
}

/// A line of `issues.jsonl` without its newline: bd's order of keys, and bd's escapes.
pub fn line(issue: &Issue) -> String {
    let mut out = String::new();
    write_ordered(&mut out, issue, &KEYS);
    for (plain, escaped) in [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ] {
        // They can stand in texts only.
        if out.contains(plain) {
            out = out.replace(plain, escaped);
        }
    }
    out
}

fn write_ordered(out: &mut String, map: &Issue, order: &[&str]) {
    let place = |key: &str| order.iter().position(|it| *it == key).unwrap_or(order.len());
    // A map has its keys in the order of their names, and the sort leaves those of one place as they are.
    let mut entries: Vec<_> = map.iter().map(|(key, value)| (place(key), key, value)).collect();
    entries.sort_by_key(|(place, ..)| *place);
    out.push('{');
    for (n, (_, key, value)) in entries.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        match (key.as_str(), value) {
            ("dependencies" | "comments", Value::Array(list)) => {
                out.push('[');
                for (n, it) in list.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    match it {
                        Value::Object(record) => write_ordered(out, record, &INNER_KEYS),
                        other => out.push_str(&other.to_string()),
                    }
                }
                out.push(']');
            }
            (_, value) => out.push_str(&value.to_string()),
        }
    }
    out.push('}');
}

/// A line that is no issue, and what it is.
pub fn not_an_issue(line: &Issue) -> Option<String> {
    match text(line, "_type") {
        None | Some("issue") if text(line, "status") == Some("tombstone") => {
            Some("a tombstone: the issue was deleted".to_owned())
        }
        None | Some("issue") if line.contains_key("id") => None,
        None => Some("no issue: it has no id".to_owned()),
        Some("issue") => Some("no issue: it has no id".to_owned()),
        Some(kind) => Some(format!("a {kind}, which a rig does not keep")),
    }
}

/// What identifies a comment wherever it is.
pub(crate) fn comment_key(comment: &Issue) -> Value {
    let at = time(comment, "created_at").map(|at| at.0);
    json!([text(comment, "author").unwrap_or_default(), at, text(comment, "text")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(value: Value) -> Issue {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_line_has_the_order_and_the_escapes_of_bd() {
        let it = issue(json!({
            "zeta": 1, "status": "open", "title": "a < b & c\u{2028}", "id": "x-1", "alpha": [1.5],
            "dependencies": [{"type": "blocks", "issue_id": "x-1", "depends_on_id": "x-2"}],
        }));
        assert_eq!(
            line(&it),
            r#"{"id":"x-1","title":"a \u003c b \u0026 c\u2028","status":"open","dependencies":[{"issue_id":"x-1","depends_on_id":"x-2","type":"blocks"}],"alpha":[1.5],"zeta":1}"#
        );
    }

    #[test]
    fn two_that_say_the_same_are_the_same_however_they_say_it() {
        let one = issue(json!({
            "id": "x", "title": "t", "created_at": "2026-01-01T00:00:00.123456789Z", "priority": 0,
            "labels": ["b", "a"], "comment_count": 3, "assignee": "",
            "comments": [{"id": 1, "issue_id": "x", "author": "a", "text": "t", "created_at": "2026-01-01T00:00:00Z"}],
        }));
        let other = issue(json!({
            "id": "x", "title": "t", "created_at": "2026-01-01T01:00:00.123+01:00", "status": "open",
            "issue_type": "task", "labels": ["a", "b", "a"],
            "comments": [{"id": "u-u", "author": "a", "text": "t", "created_at": "2026-01-01T00:00:00.000Z"}],
        }));
        assert!(same(&one, &other));
        let third = issue(json!({"id": "x", "title": "T"}));
        assert!(!same(&one, &third));
    }

    #[test]
    fn what_is_closed_was_closed_some_time() {
        let it =
            issue(json!({"id": "x", "status": "closed", "updated_at": "2026-01-01T00:00:00Z"}));
        assert_eq!(text(&normal(it), "closed_at"), Some("2026-01-01T00:00:01.000Z"));
    }
}
