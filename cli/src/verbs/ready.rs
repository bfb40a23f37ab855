//! `ready` and `blocked`.

use super::{Screen, fields, list, update};
use crate::api;
use crate::args::{Blocked, Ready, ReadyOrder};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue::{self, BlockedBy, Issue, Shape};
use crate::text;
use beadrig::wire::rig::BeadView;
use jiff::{Timestamp, ToSpan as _};
use std::cmp::Ordering;

/// What is no work for somebody who looks for some, unless it is asked for.
const NO_WORK: [&str; 7] = ["merge-request", "gate", "molecule", "message", "agent", "role", "rig"];
/// And what a rig makes for people.
const NO_WORK_OF_A_RIG: [&str; 2] = ["merge_request", "escalation"];

pub(super) fn ready(
    args: &Ready,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let filter = list::narrowed(args)?;
    let client = connect()?;
    let filter = filter.in_full(&client)?;
    let query = filter.query();
    let mut beads = api::ready(&client, &query, usize::MAX)?;
    let excluded: Vec<String> = args.exclude_type.iter().map(|kind| fields::kind(kind)).collect();
    beads.retain(|bead| {
        let hidden =
            NO_WORK.contains(&bead.kind.as_str()) || NO_WORK_OF_A_RIG.contains(&bead.kind.as_str());
        filter.takes(bead) && !(hidden && args.kind.is_none()) && !excluded.contains(&bead.kind)
    });
    put_in_order(&mut beads, args.sort)?;
    if args.claim {
        return claim(&beads, screen, &client);
    }
    let all = beads.len();
    beads.truncate(if args.limit == 0 { usize::MAX } else { args.limit });
    if screen.json {
        screen.listed(&beads, &client)?;
    } else if beads.is_empty() {
        screen.line("No ready work found")?;
    } else {
        screen.table(&beads)?;
    }
    if all > beads.len() && !screen.quiet {
        writeln!(
            screen.err,
            "Showing {} of {all} ready issues. Use --limit 0 for all, or --limit N to raise the cap.",
            beads.len()
        )?;
    }
    Ok(())
}

/// The first that nobody else takes meanwhile.
fn claim(beads: &[BeadView], screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    for bead in beads {
        match api::claim(client, &bead.id) {
            Err(Failure { kind: Kind::Claimed, .. }) => {}
            Err(failure) => return Err(failure),
            Ok(bead) if screen.json => return screen.listed(&[bead], client),
            Ok(bead) => {
                return screen.line(&format!("✓ Claimed issue: {}", text::about(&bead)));
            }
        }
    }
    if screen.json {
        screen.array(&[], Shape::Listed)
    } else {
        screen.line("No ready work to claim")
    }
}

fn put_in_order(beads: &mut [BeadView], order: ReadyOrder) -> Result<(), Failure> {
    let oldest = |one: &BeadView, other: &BeadView| {
        one.created_at.cmp(&other.created_at).then_with(|| one.id.cmp(&other.id))
    };
    match order {
        ReadyOrder::Priority => list::sort(beads, None, false),
        ReadyOrder::Oldest => beads.sort_by(oldest),
        ReadyOrder::Hybrid => {
            let since = Timestamp::now()
                .checked_sub(48.hours())
                .map_err(|error| Failure::fatal(error.to_string()))?;
            let since = format!("{since:.3}");
            list::sort(beads, None, false);
            beads.sort_by(|one, other| match (one.created_at > since, other.created_at > since) {
                // What is new stays by priority: the sort is stable.
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => oldest(one, other),
            });
        }
    }
    Ok(())
}

pub(super) fn blocked(
    args: &Blocked,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let parent = args.parent.as_deref().map(|id| update::full_id(client, id)).transpose()?;
    let mut found = api::blocked(client)?;
    found.retain(|it| parent.is_none() || it.bead.parent == parent);
    if screen.json {
        let issues: Vec<_> = found
            .iter()
            .map(|it| Issue {
                blocked: Some(BlockedBy {
                    blocked_by_count: it.blocked_by.len(),
                    blocked_by: &it.blocked_by,
                }),
                ..Issue::new(&it.bead, Shape::Plain)
            })
            .collect();
        return Ok(issue::print(screen.out, &issues)?);
    }
    if found.is_empty() {
        return screen.line("No blocked issues");
    }
    for it in &found {
        let priority = issue::priority_number(&it.bead.priority);
        let id = text::line(&it.bead.id);
        screen.line(&format!("[P{priority}] {id}: {}", text::line(&it.bead.title)))?;
        let (count, names) = (it.blocked_by.len(), text::line(&it.blocked_by.join(" ")));
        screen.line(&format!("  Blocked by {count} open dependencies: [{names}]"))?;
    }
    Ok(())
}
