//! `list`. The rig filters by what it has an index for; the rest is filtered and sorted here, over all pages.

use super::{Screen, fields};
use crate::api;
use crate::args::{List, SortKey};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::issue::{Shape, priority_number};
use crate::text;
use beadrig::wire::rig::BeadView;
use std::cmp::{Ordering, Reverse};
use std::fmt::Write as _;

pub(super) fn list(
    args: &List,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let filter = Filter::new(args)?;
    let query = query(args)?;
    let client = connect()?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    // The rig gives the newest first: only then are its first ones ours. One more tells whether there are more.
    let as_given = args.sort == Some(SortKey::Created) && !args.reverse && filter.is_empty();
    let enough = if as_given { limit.saturating_add(1) } else { usize::MAX };
    let mut beads = api::beads(&client, &query, enough)?;
    beads.retain(|bead| filter.takes(bead));
    beads.sort_by(|one, other| order(args, one, other));
    let all = beads.len();
    beads.truncate(limit);
    if screen.json {
        return screen.array(&beads, Shape::Listed);
    }
    if beads.is_empty() {
        return screen.line("No issues found.");
    }
    write!(screen.out, "{}", text::table(&beads, screen.style))?;
    if all > beads.len() && !screen.quiet {
        writeln!(screen.err, "\nShowing {} issues (use --limit 0 for all)", beads.len())?;
    }
    Ok(())
}

/// What the rig filters, each with the `&` that follows.
fn query(args: &List) -> Result<String, Failure> {
    let mut query = String::new();
    let mut add = |key: &str, value: &str| {
        write!(query, "{key}={}&", encode(value)).expect("a string takes everything");
    };
    let statuses = fields::labels(&args.status);
    if statuses.is_empty() && !args.all {
        add("exclude_status", "closed");
    } else if !statuses.is_empty() && !statuses.iter().any(|status| status == "all") {
        add("status", &statuses.join(","));
    }
    if let Some(name) = &args.assignee {
        add("assignee", name);
    }
    if let Some(kind) = &args.kind {
        add("type", &fields::kind(kind));
    }
    if let Some(text) = &args.priority {
        add("priority", &fields::priority(text)?.to_string());
    }
    // One narrows the pages; the others are looked for here.
    if let Some(label) = fields::labels(&args.label).first() {
        add("label", label);
    }
    Ok(query)
}

/// What is filtered here.
struct Filter {
    labels: Vec<String>,
    any_label: Vec<String>,
    title: Option<String>,
    ids: Vec<String>,
    most_urgent: u8,
    least_urgent: u8,
}

impl Filter {
    fn new(args: &List) -> Result<Self, Failure> {
        let bound = |text: &Option<String>| text.as_deref().map(fields::priority).transpose();
        Ok(Self {
            labels: fields::labels(&args.label)
                .split_off(usize::from(!fields::labels(&args.label).is_empty())),
            any_label: fields::labels(&args.label_any),
            title: args.title.as_deref().map(str::to_lowercase),
            ids: fields::labels(&args.id),
            most_urgent: bound(&args.priority_min)?.unwrap_or(0),
            least_urgent: bound(&args.priority_max)?.unwrap_or(4),
        })
    }

    fn is_empty(&self) -> bool {
        self.labels.is_empty()
            && self.any_label.is_empty()
            && self.title.is_none()
            && self.ids.is_empty()
            && (self.most_urgent, self.least_urgent) == (0, 4)
    }

    fn takes(&self, bead: &BeadView) -> bool {
        let has = |label: &String| bead.labels.contains(label);
        let priority = priority_number(&bead.priority);
        self.labels.iter().all(has)
            && (self.any_label.is_empty() || self.any_label.iter().any(has))
            && self
                .title
                .as_ref()
                .is_none_or(|part| bead.title.to_lowercase().contains(part.as_str()))
            && (self.ids.is_empty() || self.ids.contains(&bead.id))
            && (self.most_urgent..=self.least_urgent).contains(&priority)
    }
}

/// bd's order: the key, and then by priority, newest first. RFC 3339 in UTC sorts as text.
fn order(args: &List, one: &BeadView, other: &BeadView) -> Ordering {
    let by = |key: SortKey| match key {
        SortKey::Priority => priority_number(&one.priority).cmp(&priority_number(&other.priority)),
        SortKey::Created => other.created_at.cmp(&one.created_at),
        SortKey::Updated => other.updated_at.cmp(&one.updated_at),
        // What is not closed comes last.
        SortKey::Closed => Reverse(&one.closed_at).cmp(&Reverse(&other.closed_at)),
        SortKey::Status => one.status.cmp(&other.status),
        SortKey::Id => one.id.cmp(&other.id),
        SortKey::Title => one.title.to_lowercase().cmp(&other.title.to_lowercase()),
        SortKey::Type => one.kind.cmp(&other.kind),
        SortKey::Assignee => one.assignee.cmp(&other.assignee),
    };
    let key = by(args.sort.unwrap_or(SortKey::Priority));
    let key = if args.reverse { key.reverse() } else { key };
    key.then_with(|| by(SortKey::Priority))
        .then_with(|| by(SortKey::Created))
        .then_with(|| one.id.cmp(&other.id))
}
