//! Which beads a list shows: in part the rig is asked for them, the rest is looked at here.

use super::{fields, update};
use crate::args::Filters;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::issue::priority_number;
use crate::query::metadata_is;
use crate::when;
use beadrig::bead::Status;
use beadrig::wire::rig::BeadView;
use jiff::{Timestamp, Zoned};
use std::fmt::Write as _;

/// A span of time, open at both ends.
#[derive(Default)]
struct Span {
    after: Option<String>,
    before: Option<String>,
}

impl Span {
    fn new(name: &str, after: Option<&String>, before: Option<&String>) -> Result<Self, Failure> {
        let read = |end: &str, text: Option<&String>| {
            Ok::<_, Failure>(fields::time(&format!("--{name}-{end}"), text)?.flatten())
        };
        Ok(Self { after: read("after", after)?, before: read("before", before)? })
    }

    /// RFC 3339 in UTC with milliseconds sorts as text.
    fn has(&self, time: Option<&String>) -> bool {
        match time {
            Some(time) => {
                self.after.as_ref().is_none_or(|after| time > after)
                    && self.before.as_ref().is_none_or(|before| time < before)
            }
            None => self.after.is_none() && self.before.is_none(),
        }
    }

    fn is_open(&self) -> bool {
        self.after.is_none() && self.before.is_none()
    }
}

/// Filters, read and checked.
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct Filter {
    status: Vec<String>,
    not_status: Vec<&'static str>,
    assignee: Option<String>,
    no_assignee: bool,
    kind: Option<String>,
    labels: Vec<String>,
    any_label: Vec<String>,
    no_label: Vec<String>,
    no_labels: bool,
    title: Option<String>,
    description: Option<String>,
    empty_description: bool,
    notes: Option<String>,
    external: Option<String>,
    pub(super) ids: Vec<String>,
    parent: Option<String>,
    no_parent: bool,
    priority: Option<u8>,
    most_urgent: u8,
    least_urgent: u8,
    spans: [Span; 4],
    metadata: Vec<(String, String)>,
    metadata_key: Option<String>,
}

impl Filter {
    /// With no status named, `hidden` is left out.
    pub(super) fn new(args: &Filters, hidden: &[&'static str]) -> Result<Self, Failure> {
        let priority = |text: &Option<String>| text.as_deref().map(fields::priority).transpose();
        let lower = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
        let mut status = fields::labels(&args.status);
        let all = status.iter().any(|it| it == "all");
        if all {
            status.clear();
        }
        status.iter().try_for_each(|it| known(it))?;
        let not_status = if all || !status.is_empty() { Vec::new() } else { hidden.to_vec() };
        let mut due = Span::new("due", args.due_after.as_ref(), args.due_before.as_ref())?;
        if args.overdue {
            due.before = Some(format!("{:.3}", Timestamp::now()));
        }
        Ok(Self {
            status,
            not_status,
            assignee: args.assignee.clone(),
            no_assignee: args.no_assignee,
            kind: args.kind.as_deref().map(fields::kind),
            labels: fields::labels(&args.label),
            any_label: fields::labels(&args.label_any),
            no_label: fields::labels(&args.exclude_label),
            no_labels: args.no_labels,
            title: lower(&args.title),
            description: lower(&args.desc_contains),
            empty_description: args.empty_description,
            notes: lower(&args.notes_contains),
            external: lower(&args.external_contains),
            ids: fields::labels(&args.id),
            parent: args.parent.clone(),
            no_parent: args.no_parent,
            priority: priority(&args.priority)?,
            most_urgent: priority(&args.priority_min)?.unwrap_or(0),
            least_urgent: priority(&args.priority_max)?.unwrap_or(4),
            spans: [
                Span::new("created", args.created_after.as_ref(), args.created_before.as_ref())?,
                Span::new("updated", args.updated_after.as_ref(), args.updated_before.as_ref())?,
                Span::new("closed", args.closed_after.as_ref(), args.closed_before.as_ref())?,
                due,
            ],
            metadata: args
                .metadata_field
                .iter()
                .map(|text| metadata_field(text))
                .collect::<Result<_, _>>()?,
            metadata_key: args.has_metadata_key.clone(),
        })
    }

    /// With the parent named in full, where a part of its name was given.
    pub(super) fn in_full(self, client: &Client) -> Result<Self, Failure> {
        let parent = self.parent.as_deref().map(|id| update::full_id(client, id)).transpose();
        let parent = parent.map_err(|failure| failure.while_resolving("parent"))?;
        Ok(Self { parent, ..self })
    }

    /// What the rig filters, each with the `&` that follows.
    pub(super) fn query(&self) -> String {
        let mut query = String::new();
        let mut add = |key: &str, value: &str| {
            write!(query, "{key}={}&", encode(value)).expect("a string takes everything");
        };
        if !self.status.is_empty() {
            add("status", &self.status.join(","));
        } else if !self.not_status.is_empty() {
            add("exclude_status", &self.not_status.join(","));
        }
        if let Some(name) = &self.assignee {
            add("assignee", name);
        }
        if let Some(kind) = &self.kind {
            add("type", kind);
        }
        if let Some(number) = self.priority {
            add("priority", &number.to_string());
        }
        // One narrows the pages; the others are looked for here.
        if let Some(label) = self.labels.first() {
            add("label", label);
        }
        query
    }

    /// Whether the rig's part is all there is.
    pub(super) fn is_the_rigs(&self) -> bool {
        self.labels.len() <= 1
            && self.any_label.is_empty()
            && self.no_label.is_empty()
            && !(self.no_labels || self.no_assignee || self.empty_description || self.no_parent)
            && self.title.is_none()
            && self.description.is_none()
            && self.notes.is_none()
            && self.external.is_none()
            && self.ids.is_empty()
            && self.parent.is_none()
            && (self.most_urgent, self.least_urgent) == (0, 4)
            && self.spans.iter().all(Span::is_open)
            && self.metadata.is_empty()
            && self.metadata_key.is_none()
    }

    /// Whether notes must be read, which lists do not have.
    pub(super) fn asks_for_notes(&self) -> bool {
        self.notes.is_some()
    }

    /// Whether the rig would give it: for beads that came by name.
    pub(super) fn takes_as_the_rig(&self, bead: &BeadView) -> bool {
        let named = self.status.is_empty() || self.status.contains(&bead.status);
        named
            && !self.not_status.contains(&bead.status.as_str())
            && self.assignee.as_ref().is_none_or(|name| bead.assignee.as_ref() == Some(name))
            && self.kind.as_ref().is_none_or(|kind| bead.kind == *kind)
            && self.priority.is_none_or(|wanted| priority_number(&bead.priority) == wanted)
    }

    /// Whether it is one of these, of what the rig gave.
    pub(super) fn takes(&self, bead: &BeadView) -> bool {
        let has = |label: &String| bead.labels.contains(label);
        let full = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        let priority = priority_number(&bead.priority);
        !(self.no_assignee && full(&bead.assignee))
            && self.labels.iter().skip(usize::from(self.ids.is_empty())).all(has)
            && (self.any_label.is_empty() || self.any_label.iter().any(has))
            && !self.no_label.iter().any(has)
            && (!self.no_labels || bead.labels.is_empty())
            && contains(Some(&bead.title), self.title.as_ref())
            && contains(bead.body.as_ref(), self.description.as_ref())
            && contains(bead.external_ref.as_ref(), self.external.as_ref())
            && !(self.empty_description && full(&bead.body))
            && (self.ids.is_empty() || self.ids.contains(&bead.id))
            && self.parent.as_ref().is_none_or(|parent| bead.parent.as_ref() == Some(parent))
            && !(self.no_parent && full(&bead.parent))
            && (self.most_urgent..=self.least_urgent).contains(&priority)
            && self.takes_times(bead)
            && self.metadata.iter().all(|(key, value)| metadata_is(bead, key, value))
            && self.metadata_key.as_ref().is_none_or(|key| bead.metadata.contains_key(key))
    }

    fn takes_times(&self, bead: &BeadView) -> bool {
        let times = [
            Some(&bead.created_at),
            Some(&bead.updated_at),
            bead.closed_at.as_ref(),
            bead.due_at.as_ref(),
        ];
        self.spans.iter().zip(times).all(|(span, time)| span.has(time))
    }

    /// Whether its notes are some of these.
    pub(super) fn takes_notes(&self, notes: &str) -> bool {
        contains(Some(&notes.to_owned()), self.notes.as_ref())
    }
}

fn contains(text: Option<&String>, part: Option<&String>) -> bool {
    part.is_none_or(|part| text.is_some_and(|text| text.to_lowercase().contains(part.as_str())))
}

/// `key=value`.
fn metadata_field(text: &str) -> Result<(String, String), Failure> {
    let (key, value) =
        text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            Failure::fatal(format!("invalid --metadata-field: expected key=value, got {text:?}"))
        })?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Refuses what is no status, in bd's words.
pub(super) fn known(status: &str) -> Result<(), Failure> {
    let names = Status::ALL.map(Status::as_str);
    if names.contains(&status) {
        return Ok(());
    }
    let names = names.join(", ");
    Err(Failure::fatal(format!("invalid status {status:?} (built-in: {names})")))
}

/// The time so long ago.
pub(super) fn days_ago(days: u16) -> Result<String, Failure> {
    let ago = when::read("--days", &format!("-{days}d"), &Zoned::now())?;
    ago.ok_or_else(|| Failure::fatal("--days must be at least 1"))
}
