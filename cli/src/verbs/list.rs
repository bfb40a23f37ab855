//! `list`, `search` and `stale`: beads by flags, over all pages, sorted here.

use super::{Screen, filter, watching};
use crate::api;
use crate::args::{List, Search, SortKey, Stale};
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::{Shape, priority_number};
use beadrig::wire::rig::BeadView;
use filter::Filter;
use std::cmp::{Ordering, Reverse};

pub(super) fn list(
    args: &List,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let hidden: &[&'static str] = if args.all { &[] } else { &["closed"] };
    let only_open = args.ready && args.filters.status.is_empty();
    let hidden = if only_open { NOT_OPEN } else { hidden };
    let filter = Filter::new(&args.filters, hidden)?;
    let client = connect()?;
    let filter = filter.in_full(&client)?;
    if args.watch {
        let show = |screen: &mut Screen<'_>| listed(args, &filter, screen, &client);
        return watching::watch(&client, screen, || Ok(false), show);
    }
    listed(args, &filter, screen, &client)
}

fn listed(
    args: &List,
    filter: &Filter,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    // The rig gives the newest first: only then are its first ones ours. One more tells whether there are more.
    let as_given = args.sort == Some(SortKey::Created) && !args.reverse && filter.is_the_rigs();
    let enough = if as_given { limit.saturating_add(1) } else { usize::MAX };
    let mut beads = found(client, filter, enough)?;
    sort(&mut beads, args.sort, args.reverse);
    let all = beads.len();
    beads.truncate(limit);
    show(&beads, args.long, "No issues found.", screen, client)?;
    if all > beads.len() && !screen.json && !screen.quiet {
        writeln!(screen.err, "\nShowing {} issues (use --limit 0 for all)", beads.len())?;
    }
    Ok(())
}

const NOT_OPEN: &[&str] = &["in_progress", "in_review", "blocked", "deferred", "closed", "failed"];

pub(super) fn search(
    args: &Search,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let typed = args.words.join(" ");
    let words = if typed.is_empty() { args.query.clone().unwrap_or_default() } else { typed };
    if words.trim().is_empty() {
        return Err(Failure::fatal("search query is required"));
    }
    let filter = Filter::new(&args.filters, &[])?;
    let client = connect()?;
    let filter = filter.in_full(&client)?;
    let part = words.to_lowercase();
    let mut beads = found(&client, &filter, usize::MAX)?;
    beads.retain(|bead| {
        let body = bead.body.as_deref().unwrap_or_default();
        [&bead.title, &bead.id, body].iter().any(|text| text.to_lowercase().contains(&part))
    });
    sort(&mut beads, args.sort, args.reverse);
    beads.truncate(if args.limit == 0 { usize::MAX } else { args.limit });
    let none = format!("No issues found matching '{words}'");
    show(&beads, args.long, &none, screen, &client)
}

pub(super) fn stale(
    args: &Stale,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    if args.days < 1 {
        return Err(Failure::fatal("--days must be at least 1"));
    }
    let known = ["open", "in_progress", "blocked", "deferred"];
    if let Some(status) = args.status.as_deref().filter(|status| !known.contains(status)) {
        let known = known.join(", ");
        return Err(Failure::fatal(format!("invalid status '{status}'. Valid values: {known}")));
    }
    let before = filter::days_ago(args.days)?;
    let client = connect()?;
    let query = match &args.status {
        Some(status) => format!("status={status}&"),
        None => "exclude_status=closed,failed&".to_owned(),
    };
    let mut beads = api::beads(&client, &query, usize::MAX)?;
    beads.retain(|bead| bead.updated_at < before);
    beads.sort_by(|one, other| one.updated_at.cmp(&other.updated_at));
    beads.truncate(if args.limit == 0 { usize::MAX } else { args.limit });
    if screen.json {
        return screen.array(&beads, Shape::Plain);
    }
    if beads.is_empty() {
        return screen.line("No stale issues found (all active)");
    }
    screen.line(&format!("{} issues not updated in {}+ days", beads.len(), args.days))?;
    screen.table(&beads)
}

/// Every bead that the filter takes.
pub(super) fn found(
    client: &Client,
    filter: &Filter,
    enough: usize,
) -> Result<Vec<BeadView>, Failure> {
    let named: Vec<&str> = filter.ids.iter().map(String::as_str).collect();
    let mut beads = if named.is_empty() {
        api::beads(client, &filter.query(), enough)?
    } else {
        let mut beads = api::named(client, &named)?;
        beads.retain(|bead| filter.takes_as_the_rig(bead));
        beads
    };
    beads.retain(|bead| filter.takes(bead));
    if filter.asks_for_notes() {
        let notes = noted(client, &beads)?;
        beads.retain(|bead| notes.get(&bead.id).is_some_and(|notes| filter.takes_notes(notes)));
    }
    Ok(beads)
}

/// The notes of these beads, each bead's as one text.
pub(super) fn noted(
    client: &Client,
    beads: &[BeadView],
) -> Result<std::collections::HashMap<String, String>, Failure> {
    let ids: Vec<&str> = beads.iter().map(|bead| bead.id.as_str()).collect();
    let details = api::details(client, &ids)?;
    let text = |notes: &[beadrig::wire::rig::NoteView]| {
        notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>().join("\n")
    };
    Ok(details.into_iter().map(|(id, it)| (id, text(&it.notes))).collect())
}

/// As JSON with all that belongs to it, as a table, or each in full.
pub(super) fn show(
    beads: &[BeadView],
    long: bool,
    none: &str,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    if screen.json {
        return screen.listed(beads, client);
    }
    if beads.is_empty() {
        return screen.line(none);
    }
    if !long {
        return screen.table(beads);
    }
    for bead in beads {
        writeln!(screen.out, "{}", crate::text::bead(bead, screen.style))?;
    }
    Ok(())
}

/// bd's order: the key, and then by priority, newest first. RFC 3339 in UTC sorts as text.
pub(super) fn sort(beads: &mut [BeadView], key: Option<SortKey>, reverse: bool) {
    beads.sort_by(|one, other| {
        let first = by(key.unwrap_or(SortKey::Priority), one, other);
        let first = if reverse { first.reverse() } else { first };
        first
            .then_with(|| by(SortKey::Priority, one, other))
            .then_with(|| by(SortKey::Created, one, other))
            .then_with(|| one.id.cmp(&other.id))
    });
}

fn by(key: SortKey, one: &BeadView, other: &BeadView) -> Ordering {
    match key {
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
    }
}

/// The metadata and labels that `ready` narrows by, as the filters have them.
pub(super) fn narrowed(args: &crate::args::Ready) -> Result<Filter, Failure> {
    let filters = crate::args::Filters {
        assignee: args.assignee.clone().filter(|_| !args.unassigned),
        no_assignee: args.unassigned,
        kind: args.kind.clone(),
        label: args.label.clone(),
        label_any: args.label_any.clone(),
        exclude_label: args.exclude_label.clone(),
        parent: args.parent.clone(),
        priority: args.priority.clone(),
        metadata_field: args.metadata_field.clone(),
        has_metadata_key: args.has_metadata_key.clone(),
        ..crate::args::Filters::default()
    };
    Filter::new(&filters, &[])
}
