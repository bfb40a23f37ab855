//! `label add`, `label remove`, `label list` and `label list-all`. Each change is one step in the rig, so that two at the
//! same time lose nothing.

use super::Screen;
use crate::api;
use crate::args::{Label, LabelVerb, Labelled};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue;
use crate::text;
use beadrig::wire::rig::UpdateBead;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Done {
    status: &'static str,
    issue_id: String,
    label: String,
}

#[derive(Serialize)]
struct Counted<'a> {
    label: &'a str,
    count: u64,
}

pub(super) fn label(
    args: &Label,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match &args.verb {
        LabelVerb::Add(args) => change(args, true, screen, connect),
        LabelVerb::Remove(args) => change(args, false, screen, connect),
        LabelVerb::List { id } => list(id, screen, &connect()?),
        LabelVerb::ListAll => list_all(screen, &connect()?),
    }
}

fn change(
    args: &Labelled,
    add: bool,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let Some((label, ids)) = args.words.split_last() else {
        return Err(Failure::fatal("label cannot be empty"));
    };
    let label = label.trim();
    if label.is_empty() {
        return Err(Failure::fatal("label cannot be empty"));
    }
    let one = vec![label.to_owned()];
    let change = if add {
        UpdateBead { add_labels: one, ..UpdateBead::default() }
    } else {
        UpdateBead { remove_labels: one, ..UpdateBead::default() }
    };
    let client = connect()?;
    let mut done = Vec::new();
    for id in ids {
        match api::update(&client, id, &change) {
            Ok(bead) => done.push(bead.id),
            Err(failure) if failure.kind == Kind::NotFound => {
                writeln!(screen.err, "Error resolving {id}: {}", text::clean(&failure.message))?;
            }
            Err(failure) => return Err(failure),
        }
    }
    if done.is_empty() {
        return Err(Failure::told());
    }
    let status = if add { "added" } else { "removed" };
    if screen.json {
        let done: Vec<_> = done
            .into_iter()
            .map(|issue_id| Done { status, issue_id, label: label.to_owned() })
            .collect();
        return Ok(issue::print(screen.out, &done)?);
    }
    let (verb, to) = if add { ("Added", "to") } else { ("Removed", "from") };
    for id in done {
        screen.line(&format!("✓ {verb} label '{}' {to} {id}", text::line(label)))?;
    }
    Ok(())
}

fn list(id: &str, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let bead = api::bead(client, id).map_err(|failure| failure.while_resolving(id))?;
    if screen.json {
        return Ok(issue::print(screen.out, &bead.labels)?);
    }
    if bead.labels.is_empty() {
        return screen.line(&format!("{} has no labels", bead.id));
    }
    screen.line(&format!("Labels for {}:", bead.id))?;
    for label in &bead.labels {
        screen.line(&format!("  - {}", text::line(label)))?;
    }
    Ok(())
}

fn list_all(screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for bead in api::beads(client, "", usize::MAX)? {
        for label in bead.labels {
            *counts.entry(label).or_default() += 1;
        }
    }
    if screen.json {
        let counted: Vec<_> =
            counts.iter().map(|(label, count)| Counted { label, count: *count }).collect();
        return Ok(issue::print(screen.out, &counted)?);
    }
    if counts.is_empty() {
        return screen.line("No labels found");
    }
    screen.line(&format!("All labels ({} unique):", counts.len()))?;
    for (label, count) in &counts {
        screen.line(&format!("  {}  ({count} issues)", text::line(label)))?;
    }
    Ok(())
}
