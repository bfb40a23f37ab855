//! A bead as bd prints it in JSON: bd's keys in bd's order, absent when empty, so that bd's readers can read it.
//! Beyond them only `failure` and `waiting`. Must never change a value, only its shape.

use beadrig::wire::rig::{BeadView, Failure, Waiting};
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Which keys a verb adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `create`, `update`, `note`, ….
    Plain,
    /// `show`: with the parent.
    Detail,
    /// `list`: with the parent and the counts.
    Listed,
}

/// bd's order.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
pub struct Issue<'a> {
    id: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    design: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acceptance_criteria: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    status: &'a str,
    priority: u8,
    issue_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<&'a str>,
    created_at: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    created_by: &'a str,
    updated_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    defer_until: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_ref: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    labels: &'a [String],
    #[serde(flatten)]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<&'a Waiting>,
}

/// Always 0 until a rig tells dependencies.
#[derive(Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
struct Counts {
    dependency_count: u32,
    dependent_count: u32,
    comment_count: u32,
}

impl<'a> Issue<'a> {
    /// The same bead in bd's words.
    pub fn new(bead: &'a BeadView, shape: Shape) -> Self {
        Self {
            id: &bead.id,
            title: &bead.title,
            description: full(bead.body.as_ref()),
            design: full(bead.design.as_ref()),
            acceptance_criteria: full(bead.acceptance_criteria.as_ref()),
            notes: notes(bead),
            status: &bead.status,
            priority: priority_number(&bead.priority),
            issue_type: &bead.kind,
            assignee: full(bead.assignee.as_ref()),
            created_at: &bead.created_at,
            created_by: &bead.created_by,
            updated_at: &bead.updated_at,
            started_at: full(bead.started_at.as_ref()),
            closed_at: full(bead.closed_at.as_ref()),
            close_reason: full(bead.close_reason.as_ref()),
            due_at: full(bead.due_at.as_ref()),
            defer_until: full(bead.defer_until.as_ref()),
            external_ref: full(bead.external_ref.as_ref()),
            metadata: &bead.metadata,
            labels: &bead.labels,
            counts: (shape == Shape::Listed).then(Counts::default),
            parent: full(bead.parent.as_ref()).filter(|_| shape != Shape::Plain),
            failure: bead.failure.as_ref(),
            waiting: bead.waiting.as_ref(),
        }
    }
}

fn full(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// bd keeps one string; who wrote what when is in the text output.
fn notes(bead: &BeadView) -> Option<String> {
    let texts: Vec<_> = bead.notes.as_deref()?.iter().map(|note| note.text.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// The rig names priorities, bd counts them. What neither knows is in the middle.
pub fn priority_number(name: &str) -> u8 {
    match name {
        "critical" => 0,
        "high" => 1,
        "low" => 3,
        "backlog" => 4,
        _ => 2,
    }
}

/// Prints as bd's encoder does: two spaces, and `<`, `>`, `&` and the two line separators escaped, which can stand
/// in strings only.
pub fn print(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    let text = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    writeln!(out, "{text}")
}
