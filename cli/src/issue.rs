//! A bead as bd prints it in JSON: bd's keys in bd's order, absent when empty, so that bd's readers can read it.
//! Beyond them only `failure` and `waiting`. Must never change a value, only its shape.

use beadrig::wire::details::{BeadDetails, DependencyRecord};
use beadrig::wire::rig::{BeadView, Failure, NoteView, Waiting};
use serde::{Deserialize, Serialize};
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

/// A comment, as bd and the rig have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// A text; in old versions of bd a number.
    pub id: Value,
    /// On which bead.
    pub issue_id: String,
    /// Whose words.
    pub author: String,
    /// The words.
    pub text: String,
    /// When.
    pub created_at: String,
}

/// A dependency as bd records it.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    issue_id: &'a str,
    depends_on_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    created_by: &'a str,
}

impl<'a> Record<'a> {
    /// Of this bead.
    pub fn new(issue_id: &'a str, record: &'a DependencyRecord) -> Self {
        Self {
            issue_id,
            depends_on_id: &record.depends_on,
            kind: &record.kind,
            created_at: &record.created_at,
            created_by: &record.created_by,
        }
    }
}

/// `dependencies` is two things in bd: records in lists, whole issues in `show`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Links<'a> {
    /// In lists.
    Records(Vec<Record<'a>>),
    /// In `show`.
    Issues(Vec<Issue<'a>>),
}

impl Links<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Records(records) => records.is_empty(),
            Self::Issues(issues) => issues.is_empty(),
        }
    }
}

/// How far an epic is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Progress {
    /// How many children it has.
    pub epic_total_children: usize,
    /// How many of them are closed.
    pub epic_closed_children: usize,
    /// Whether all are, and there are some.
    pub epic_closeable: bool,
}

/// What a blocked bead waits for.
#[derive(Debug, Serialize)]
pub struct BlockedBy<'a> {
    /// How many.
    pub blocked_by_count: usize,
    /// Which.
    pub blocked_by: &'a [String],
}

/// bd's order.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
pub struct Issue<'a> {
    /// Its name.
    pub id: &'a str,
    pub(crate) title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) design: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acceptance_criteria: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notes: Option<String>,
    pub(crate) status: &'a str,
    pub(crate) priority: u8,
    pub(crate) issue_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assignee: Option<&'a str>,
    pub(crate) created_at: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) created_by: &'a str,
    pub(crate) updated_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) closed_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) close_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) defer_until: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external_ref: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) labels: &'a [String],
    /// What it depends on.
    #[serde(skip_serializing_if = "Links::is_empty")]
    pub dependencies: Links<'a>,
    /// What depends on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependents: Vec<Self>,
    /// What was said about it.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub comments: &'a [Comment],
    /// As what it is named in another's `dependencies` or `dependents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependency_type: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) counts: Option<Counts>,
    /// What a blocked one waits for.
    #[serde(flatten)]
    pub blocked: Option<BlockedBy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<&'a str>,
    /// How far an epic is.
    #[serde(flatten)]
    pub progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<&'a Waiting>,
}

/// What only blocks is counted, as in bd.
#[derive(Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
pub(crate) struct Counts {
    dependency_count: u64,
    dependent_count: u64,
    comment_count: u64,
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
            notes: bead.notes.as_deref().and_then(notes),
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
            dependencies: Links::Records(Vec::new()),
            dependents: Vec::new(),
            comments: &[],
            dependency_type: None,
            blocked: None,
            progress: None,
            counts: (shape == Shape::Listed).then(Counts::default),
            parent: full(bead.parent.as_ref()).filter(|_| shape != Shape::Plain),
            failure: bead.failure.as_ref(),
            waiting: bead.waiting.as_ref(),
        }
    }

    /// As a list shows it, with what belongs to it.
    pub fn listed(bead: &'a BeadView, details: Option<&'a BeadDetails>) -> Self {
        let issue = Self::new(bead, Shape::Listed);
        let Some(details) = details else { return issue };
        let records = details.dependencies.iter().map(|it| Record::new(&bead.id, it)).collect();
        Self {
            notes: notes(&details.notes),
            dependencies: Links::Records(records),
            counts: Some(Counts {
                dependency_count: details.dependency_count,
                dependent_count: details.dependent_count,
                comment_count: details.comment_count,
            }),
            ..issue
        }
    }
}

fn full(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// bd keeps one string; who wrote what when is in the text output.
fn notes(notes: &[NoteView]) -> Option<String> {
    let texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
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
