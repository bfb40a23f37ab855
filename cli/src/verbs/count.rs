//! `count` and `status`.

use super::{Screen, filter::Filter, list};
use crate::api;
use crate::args::{Count, Status};
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::{self, priority_number};
use crate::text;
use beadrig::wire::rig::{BeadView, RigStatus};
use serde_json::json;
use std::collections::BTreeMap;

/// Under which names a bead is counted.
type Names = fn(&BeadView) -> Vec<String>;

pub(super) fn count(
    args: &Count,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let groups: [(bool, Names); 5] = [
        (args.by_status, |bead| vec![bead.status.clone()]),
        (args.by_priority, |bead| vec![format!("P{}", priority_number(&bead.priority))]),
        (args.by_type, |bead| vec![bead.kind.clone()]),
        (args.by_assignee, |bead| vec![or(bead.assignee.as_ref(), "(unassigned)")]),
        (args.by_label, |bead| match bead.labels.as_slice() {
            [] => vec!["(no labels)".into()],
            labels => labels.to_vec(),
        }),
    ];
    let mut wanted = groups.into_iter().filter(|(wanted, _)| *wanted).map(|(_, group)| group);
    let group = wanted.next();
    if wanted.next().is_some() {
        return Err(Failure::fatal("only one --by-* flag can be specified"));
    }
    let filter = Filter::new(&args.filters, &[])?;
    let client = connect()?;
    let beads = list::found(&client, &filter.in_full(&client)?, usize::MAX)?;
    let total = beads.len();
    let Some(group) = group else {
        if screen.json {
            return Ok(issue::print(screen.out, &json!({ "count": total }))?);
        }
        return screen.line(&total.to_string());
    };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for name in beads.iter().flat_map(group) {
        *counts.entry(name).or_default() += 1;
    }
    if screen.json {
        return Ok(issue::print(screen.out, &Groups::new(total, &counts))?);
    }
    screen.line(&format!("Total: {total}\n"))?;
    for (name, count) in &counts {
        screen.line(&format!("{}: {count}", text::line(name)))?;
    }
    Ok(())
}

fn or(text: Option<&String>, none: &str) -> String {
    text.filter(|text| !text.is_empty()).map_or_else(|| none.to_owned(), Clone::clone)
}

/// In bd's order.
#[derive(serde::Serialize)]
struct Groups<'a> {
    total: usize,
    groups: Vec<Group<'a>>,
}

#[derive(serde::Serialize)]
struct Group<'a> {
    group: &'a str,
    count: u64,
}

impl<'a> Groups<'a> {
    fn new(total: usize, counts: &'a BTreeMap<String, u64>) -> Self {
        let groups = counts.iter().map(|(group, count)| Group { group, count: *count }).collect();
        Self { total, groups }
    }
}

pub(super) fn status(
    args: &Status,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let mut status = api::status(client)?;
    if !screen.json && !args.assigned {
        return Ok(write!(screen.out, "{}", text::rig(&status, screen.style))?);
    }
    let (mut ready, mut waiting) = (0, 0);
    if args.assigned {
        let me = client.name();
        let query = format!("assignee={}&", crate::client::encode(&me));
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for bead in api::beads(client, &query, usize::MAX)? {
            *counts.entry(bead.status).or_default() += 1;
        }
        status.beads = counts;
        ready = api::ready(client, &query, usize::MAX)?.len();
    } else if !args.no_blocked {
        ready = api::ready(client, "", usize::MAX)?.len();
        waiting = api::blocked(client)?.len();
    }
    let summary = Summary::new(&status, ready, waiting);
    if screen.json {
        return Ok(issue::print(screen.out, &summary)?);
    }
    let counts = &summary.summary;
    for (name, count) in [
        ("Total Issues", counts.total_issues),
        ("Open", counts.open_issues),
        ("In Progress", counts.in_progress_issues),
        ("Blocked", counts.blocked_issues),
        ("Closed", counts.closed_issues),
        ("Ready to Work", counts.ready_issues),
    ] {
        screen.line(&format!("{:<24}{count}", format!("{name}:")))?;
    }
    Ok(())
}

/// bd's `summary`, as far as a rig counts it, and then the rig's own words.
#[derive(serde::Serialize)]
struct Summary<'a> {
    summary: Counts,
    #[serde(flatten)]
    rig: &'a RigStatus,
}

#[derive(serde::Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
struct Counts {
    total_issues: u64,
    open_issues: u64,
    in_progress_issues: u64,
    closed_issues: u64,
    /// What was set so, and what waits for others.
    blocked_issues: u64,
    deferred_issues: u64,
    ready_issues: u64,
    pinned_issues: u64,
    in_review_issues: u64,
    failed_issues: u64,
}

impl<'a> Summary<'a> {
    fn new(rig: &'a RigStatus, ready: usize, waiting: usize) -> Self {
        let count = |status: &str| rig.beads.get(status).copied().unwrap_or(0);
        let summary = Counts {
            total_issues: rig.beads.values().sum(),
            open_issues: count("open"),
            in_progress_issues: count("in_progress"),
            closed_issues: count("closed"),
            blocked_issues: count("blocked") + u64::try_from(waiting).unwrap_or(u64::MAX),
            deferred_issues: count("deferred"),
            ready_issues: u64::try_from(ready).unwrap_or(u64::MAX),
            pinned_issues: 0,
            in_review_issues: count("in_review"),
            failed_issues: count("failed"),
        };
        Self { summary, rig }
    }
}
