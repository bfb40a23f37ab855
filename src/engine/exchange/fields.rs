//! A bead as an issue, and an issue as a bead. What has no column, or is more exact than one, is `kept`.

use serde_json::{Map, Value, json};

use super::Whole;
use crate::bead::{Bead, Event, Status, Ties};
use crate::engine::{beads, check};
use crate::id::Millis;
use crate::issue::{self, Issue, text, time};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Comment, Dependency, Kept, PlacedNote, Tie};

/// The key in `kept` under which the dependency lies that is the bead's parent: `[parent, record]`.
pub(super) const PARENT: &str = "dependencies";

/// What a bead has a column or rows for; all other keys are only kept.
pub(super) const COLUMNS: [&str; 23] = [
    "id",
    "title",
    "description",
    "design",
    "acceptance_criteria",
    "notes",
    "status",
    "priority",
    "issue_type",
    "assignee",
    "created_at",
    "created_by",
    "updated_at",
    "started_at",
    "closed_at",
    "close_reason",
    "due_at",
    "defer_until",
    "external_ref",
    "metadata",
    "labels",
    "dependencies",
    "comments",
];

/// What the rig says of a bead, as its line said it where the rig would still say the same.
pub(super) fn say(whole: &Whole) -> Issue {
    let mut issue = plain(&whole.bead, &joined(&whole.notes));
    for (key, kept) in whole.kept.iter().filter(|(key, _)| *key != PARENT) {
        let (then, said) = (kept.get(0), kept.get(1).cloned().unwrap_or_default());
        if issue.get(key).unwrap_or(&Value::Null) == then.unwrap_or(&Value::Null) {
            put(&mut issue, key, said);
        }
    }
    let mut dependencies = Vec::new();
    if let Some(parent) = &whole.bead.parent {
        let kept = whole.kept.get(PARENT).filter(|it| it.get(0) == Some(&json!(parent)));
        dependencies.push(match kept.and_then(|it| it.get(1)) {
            Some(record) => record.clone(),
            None => Value::Object(family(&whole.bead, parent)),
        });
    }
    dependencies.extend(whole.ties.iter().map(|it| Value::Object(say_tie(it))));
    dependencies.extend(whole.loose.iter().map(|it| Value::Object(it.whole.clone())));
    let comments = whole.comments.iter().map(|it| Value::Object(say_comment(it))).collect();
    for (key, list) in [("dependencies", dependencies), ("comments", comments)] {
        if !list.is_empty() {
            issue.insert(key.to_owned(), Value::Array(list));
        }
    }
    issue
}

/// What the columns alone say.
pub(super) fn plain(bead: &Bead, notes: &str) -> Issue {
    let mut issue = Issue::new();
    let mut set = |key: &str, value: Value| put(&mut issue, key, value);
    set("id", bead.id.as_str().into());
    set("title", bead.title.as_str().into());
    set("description", bead.body.as_deref().into());
    set("design", bead.design.as_deref().into());
    set("acceptance_criteria", bead.acceptance_criteria.as_deref().into());
    set("notes", notes.into());
    set("status", word_of(bead.status).into());
    set("priority", bead.priority.into());
    // bd has no type of that name.
    set("issue_type", if bead.kind == "issue" { "task" } else { &bead.kind }.into());
    set("assignee", bead.assignee.as_deref().into());
    set("created_by", bead.created_by.as_str().into());
    set("close_reason", bead.close_reason.as_deref().into());
    set("external_ref", bead.external_ref.as_deref().into());
    set("metadata", bead.metadata.clone().into());
    set("labels", bead.labels.clone().into());
    for (key, at) in [
        ("created_at", Some(bead.created_at)),
        ("updated_at", Some(bead.updated_at)),
        ("started_at", bead.started_at),
        ("closed_at", bead.closed_at),
        ("due_at", bead.due_at),
        ("defer_until", bead.defer_until),
    ] {
        set(key, at.map(|at| at.to_string()).into());
    }
    issue
}

fn put(issue: &mut Issue, key: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if empty {
        issue.remove(key);
    } else {
        issue.insert(key.to_owned(), value);
    }
}

pub(super) fn joined(notes: &[PlacedNote]) -> String {
    notes.iter().map(|it| it.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// bd's word for a status; it knows no review and no giving up.
fn word_of(status: Status) -> &'static str {
    match status {
        Status::InReview => Status::InProgress.as_str(),
        Status::Failed => Status::Blocked.as_str(),
        status => status.as_str(),
    }
}

/// The status that stands for another program's word. What the rig does not know it must not start: that needs a
/// person. The word itself is kept.
fn status_of(word: &str) -> Status {
    match word {
        // On somebody's hook, elsewhere.
        "hooked" => Status::InProgress,
        // Put off until a person opens it.
        "pinned" | "draft" => Status::Deferred,
        word => match Status::parse(word) {
            Some(Status::InReview | Status::Failed) | None => Status::Blocked,
            Some(status) => status,
        },
    }
}

/// The dependency that a parent is, of a bead that came with none.
fn family(bead: &Bead, parent: &str) -> Issue {
    let mut record = Issue::new();
    put(&mut record, "issue_id", bead.id.as_str().into());
    put(&mut record, "depends_on_id", parent.into());
    put(&mut record, "type", "parent-child".into());
    put(&mut record, "created_at", bead.created_at.to_string().into());
    put(&mut record, "created_by", bead.created_by.as_str().into());
    record
}

fn plain_tie(it: &Dependency) -> Issue {
    let mut record = Issue::new();
    put(&mut record, "issue_id", it.bead.as_str().into());
    put(&mut record, "depends_on_id", it.depends_on.as_str().into());
    put(&mut record, "type", it.kind.as_str().into());
    put(&mut record, "created_at", it.created_at.to_string().into());
    put(&mut record, "created_by", it.created_by.as_str().into());
    record
}

pub(super) fn say_tie(it: &Tie) -> Issue {
    laid_over(plain_tie(&it.dependency), &it.kept)
}

/// A dependency as a row; what it says besides is kept.
pub(super) fn read_tie(
    bead: &str,
    depends_on: &str,
    kind: &str,
    record: &Issue,
    now: Millis,
) -> Tie {
    let dependency = Dependency {
        bead: bead.to_owned(),
        depends_on: depends_on.to_owned(),
        kind: kind.to_owned(),
        created_at: time(record, "created_at").unwrap_or(now),
        created_by: short(text(record, "created_by").unwrap_or_default()),
    };
    let kept = beyond(&plain_tie(&dependency), record);
    Tie { dependency, kept }
}

fn plain_comment(it: &Comment) -> Issue {
    let mut record = Issue::new();
    put(&mut record, "id", it.id.as_str().into());
    put(&mut record, "issue_id", it.bead.as_str().into());
    put(&mut record, "author", it.author.as_str().into());
    put(&mut record, "text", it.text.as_str().into());
    put(&mut record, "created_at", it.at.to_string().into());
    record
}

fn say_comment(it: &Comment) -> Issue {
    laid_over(plain_comment(it), &it.kept)
}

/// A comment as a row.
pub(super) fn read_comment(bead: &str, record: &Issue, now: Millis) -> Result<Comment, Refusal> {
    let said = text(record, "text")
        .ok_or_else(|| Refusal::invalid("comments", "has one without a text"))?;
    check::bytes("comments", said.len(), limits::IMPORT_TEXT_BYTES_MAX)?;
    let id = match record.get("id") {
        Some(Value::String(id)) => short(id),
        Some(Value::Number(id)) => id.to_string(),
        _ => String::new(),
    };
    let mut comment = Comment {
        bead: bead.to_owned(),
        id,
        author: short(text(record, "author").unwrap_or_default()),
        at: time(record, "created_at").unwrap_or(now),
        text: said.to_owned(),
        kept: Map::new(),
    };
    comment.kept = beyond(&plain_comment(&comment), record);
    Ok(comment)
}

/// What one record says and the other does not say; null for what it leaves out.
fn beyond(plain: &Issue, said: &Issue) -> Map<String, Value> {
    let more = said.iter().filter(|(key, value)| plain.get(*key) != Some(value));
    let less = plain.keys().filter(|key| !said.contains_key(*key));
    more.map(|(key, value)| (key.clone(), value.clone()))
        .chain(less.map(|key| (key.clone(), Value::Null)))
        .collect()
}

fn laid_over(mut plain: Issue, kept: &Map<String, Value>) -> Issue {
    for (key, value) in kept {
        put(&mut plain, key, value.clone());
    }
    plain
}

/// What a bead must keep so that it says all that its issue says.
pub(super) fn kept(bead: &Bead, notes: &str, issue: &Issue) -> Result<Kept, Refusal> {
    let plain = plain(bead, notes);
    let mut kept = Kept::new();
    for key in plain.keys().chain(issue.keys()) {
        let (rig, line) = (plain.get(key), issue.get(key));
        if rig != line && !["dependencies", "comments"].contains(&key.as_str()) {
            kept.insert(key.clone(), json!([rig, line]));
        }
    }
    let size = Value::from(kept.clone()).to_string().len();
    check::bytes("what has no place in a bead", size, limits::IMPORT_KEPT_BYTES_MAX)?;
    Ok(kept)
}

/// The first characters of a name, without what is none.
fn short(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(limits::NAME_CHARS_MAX).collect()
}

/// An issue as a bead: what is there becomes as the issue says, but for the parent. `said` is what the rig says now.
pub(super) fn read(
    issue: &Issue,
    there: Option<(&Bead, &Issue)>,
    now: Millis,
) -> Result<Bead, Refusal> {
    for key in issue::TIMES {
        if issue.contains_key(key) && time(issue, key).is_none() {
            let problem = format!("is no time such as 2026-01-31T12:00:00Z (got {})", issue[key]);
            return Err(Refusal::invalid(key, problem));
        }
    }
    let long = |key: &str| check::text(key, text(issue, key).map(str::to_owned));
    let word = |key: &str| text(issue, key).map(str::to_owned);
    let id = check::id("id", text(issue, "id").unwrap_or_default())?;
    let mut bead = there.map_or_else(|| empty(id, now), |(bead, _)| bead.clone());
    let stays = |key: &str| there.is_some_and(|(_, said)| said.get(key) == issue.get(key));
    if !stays("title") {
        bead.title = check::title(text(issue, "title").unwrap_or_default())?;
    }
    bead.body = long("description")?;
    bead.design = long("design")?;
    bead.acceptance_criteria = long("acceptance_criteria")?;
    bead.priority = priority(issue.get("priority"))?;
    if !stays("issue_type") {
        bead.kind = check::name("issue_type", text(issue, "issue_type").unwrap_or_default())?;
    }
    bead.assignee = check::word("assignee", word("assignee"))?;
    // A reference that is too long for a column is only kept.
    bead.external_ref = check::word("external_ref", word("external_ref")).unwrap_or_default();
    bead.labels = check::labels(labels(issue)?)?;
    bead.metadata = match issue.get("metadata") {
        Some(Value::Object(map)) => check::metadata(map.clone())?,
        _ => Map::new(),
    };
    bead.created_at = time(issue, "created_at").unwrap_or(now);
    bead.created_by = short(text(issue, "created_by").unwrap_or_default());
    bead.updated_at = time(issue, "updated_at").unwrap_or(now);
    bead.started_at = time(issue, "started_at");
    bead.due_at = time(issue, "due_at");
    bead.defer_until = time(issue, "defer_until");
    if !stays("status") {
        let status = status_of(text(issue, "status").unwrap_or_default());
        if status != bead.status {
            bead.status = match status {
                Status::Closed => bead.status.after(Event::Closed),
                other => bead.status.after(Event::Set(other)),
            }
            .map_err(|err| Refusal::new(Code::Conflict, err.to_string()))?;
            if status == Status::Open && there.is_some() {
                beads::start_anew(&mut bead);
            }
        }
    }
    let closed = bead.status == Status::Closed;
    bead.closed_at = closed.then(|| time(issue, "closed_at").unwrap_or(bead.updated_at));
    bead.close_reason = check::reason(text(issue, "close_reason").filter(|_| closed));
    Ok(bead)
}

fn priority(value: Option<&Value>) -> Result<u8, Refusal> {
    let number = value.and_then(Value::as_u64).filter(|n| *n <= 4);
    number.and_then(|n| u8::try_from(n).ok()).ok_or_else(|| {
        let got = value.cloned().unwrap_or_default();
        Refusal::invalid("priority", format!("must be between 0 and 4 (got {got})"))
    })
}

fn labels(issue: &Issue) -> Result<Vec<String>, Refusal> {
    let Some(list) = issue.get("labels") else { return Ok(Vec::new()) };
    let texts = list.as_array().map(|list| list.iter().map(Value::as_str).collect::<Vec<_>>());
    let texts: Option<Vec<String>> =
        texts.and_then(|list| list.into_iter().map(|it| it.map(str::to_owned)).collect());
    texts.ok_or_else(|| Refusal::invalid("labels", "must be a list of texts"))
}

fn empty(id: String, now: Millis) -> Bead {
    Bead {
        id,
        kind: String::new(),
        status: Status::Open,
        title: String::new(),
        body: None,
        design: None,
        acceptance_criteria: None,
        priority: 0,
        assignee: None,
        assignee_agent_id: None,
        hooked_by: None,
        parent: None,
        labels: Vec::new(),
        metadata: Map::new(),
        external_ref: None,
        due_at: None,
        defer_until: None,
        not_before: None,
        runs: Vec::new(),
        losses: Vec::new(),
        checkpoint: None,
        failure_code: None,
        failure_message: None,
        created_at: now,
        created_by: String::new(),
        updated_at: now,
        started_at: None,
        closed_at: None,
        close_reason: None,
        blocked: false,
        ties: Ties::default(),
    }
}
