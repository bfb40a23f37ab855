//! Several beads at once, with what ties them: all of them or none.
//!
//! ```text
//! all that is named is there --> each is made, nobody's --> tied --> given to whom they are for
//!                                   | one is refused
//!                                   '--> those that were made are deleted again
//! ```
//!
//! Nobody takes one before all stand, as each gets its assignee last. What cannot be deleted again (an agent may not,
//! or the rig is away) is named: it is there, and nobody's.

use super::Screen;
use crate::api;
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::{text, touched};
use beadrig::wire::rig::{BeadView, CreateBead, UpdateBead};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Beads of one file: each is a request or three, so that this is half a minute at most.
pub(super) const BEADS_MAX: usize = 500;
/// Ties of one file, for the same reason.
pub(super) const TIES_MAX: usize = 2000;
/// Bytes of a file with beads: five hundred of them with two thousand letters each.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is to be made.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) beads: Vec<New>,
    pub(super) ties: Vec<Tie>,
}

/// One of the beads.
#[derive(Debug)]
pub(super) struct New {
    /// For messages: its key or its title.
    pub(super) name: String,
    pub(super) bead: CreateBead,
    /// Metadata that is the id of another one.
    pub(super) refs: Vec<(String, usize)>,
}

/// One bead depends on another.
#[derive(Debug)]
pub(super) struct Tie {
    pub(super) bead: End,
    pub(super) on: End,
    pub(super) kind: String,
}

/// A bead that is to be made, or one that is there.
#[derive(Clone, Debug)]
pub(super) enum End {
    New(usize),
    There(String),
}

/// A text that a person wrote, whole.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::fatal(format!("cannot access file: {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let name = path.display();
        return Err(Failure::fatal(format!("{name} has more than {FILE_BYTES_MAX} bytes"))
            .hint("split it, or write an issues.jsonl and import that"));
    }
    Ok(text)
}

/// Makes all of it, or nothing. The last one is remembered as touched.
pub(super) fn make(
    plan: &Plan,
    client: &Client,
    screen: &mut Screen<'_>,
) -> Result<Vec<BeadView>, Failure> {
    let (beads, ties) = (plan.beads.len(), plan.ties.len());
    if beads > BEADS_MAX || ties > TIES_MAX {
        return Err(Failure::fatal(format!(
            "{beads} issues and {ties} dependencies are too many at once: {BEADS_MAX} and {TIES_MAX} are the most"
        ))
        .hint("split it, or write an issues.jsonl and import that"));
    }
    let there = there(plan, client)?;
    let mut made = Vec::new();
    match all(plan, &there, client, &mut made) {
        Ok(()) => {
            if let Some(last) = made.last() {
                touched::remember(client.settings(), &last.id);
            }
            Ok(made)
        }
        Err(failure) => Err(undone(failure, &made, client, screen)?),
    }
}

/// The whole names of the beads that are there already; each must be.
fn there(plan: &Plan, client: &Client) -> Result<HashMap<String, String>, Failure> {
    let parents = plan.beads.iter().filter_map(|new| new.bead.parent.as_ref());
    let ends = plan.ties.iter().flat_map(|tie| [&tie.bead, &tie.on]).filter_map(|end| match end {
        End::There(id) => Some(id),
        End::New(_) => None,
    });
    let mut there = HashMap::new();
    for id in parents.chain(ends) {
        if !there.contains_key(id) {
            let bead = api::bead(client, id)
                .map_err(|failure| failure.while_resolving(&format!("issue ID {id}")))?;
            there.insert(id.clone(), bead.id);
        }
    }
    Ok(there)
}

fn all(
    plan: &Plan,
    there: &HashMap<String, String>,
    client: &Client,
    made: &mut Vec<BeadView>,
) -> Result<(), Failure> {
    let of = |name: &str| {
        let name = text::line(name);
        move |failure: Failure| Failure {
            message: format!("{name:?}: {}", failure.message),
            ..failure
        }
    };
    for new in &plan.beads {
        let parent = new.bead.parent.as_ref().and_then(|id| there.get(id).cloned());
        let bead = CreateBead { assignee: None, parent, ..new.bead.clone() };
        made.push(api::create(client, &bead).map_err(of(&new.name))?);
    }
    for (n, new) in plan.beads.iter().enumerate().filter(|(_, new)| !new.refs.is_empty()) {
        let id_of = |(key, other): &(String, usize)| (key.clone(), Value::from(&*made[*other].id));
        let metadata: Map<String, Value> = new.refs.iter().map(id_of).collect();
        let change = UpdateBead { metadata: Some(metadata), ..UpdateBead::default() };
        made[n] = api::update(client, &made[n].id, &change).map_err(of(&new.name))?;
    }
    for tie in &plan.ties {
        let (bead, on) = (id(&tie.bead, made, there), id(&tie.on, made, there));
        api::add_dependency(client, bead, on, &tie.kind).map_err(of(&format!(
            "{} -> {}",
            name(&tie.bead, plan),
            name(&tie.on, plan)
        )))?;
    }
    for (n, new) in plan.beads.iter().enumerate().filter(|(_, new)| new.bead.assignee.is_some()) {
        let change =
            UpdateBead { assignee: Some(new.bead.assignee.clone()), ..UpdateBead::default() };
        made[n] = api::update(client, &made[n].id, &change).map_err(of(&new.name))?;
    }
    Ok(())
}

fn id<'a>(end: &'a End, made: &'a [BeadView], there: &'a HashMap<String, String>) -> &'a str {
    match end {
        End::New(n) => &made[*n].id,
        End::There(id) => there.get(id).map_or(id, |id| id),
    }
}

fn name<'a>(end: &'a End, plan: &'a Plan) -> &'a str {
    match end {
        End::New(n) => &plan.beads[*n].name,
        End::There(id) => id,
    }
}

/// Deletes what was made, the last first, and says what came of it.
fn undone(
    failure: Failure,
    made: &[BeadView],
    client: &Client,
    screen: &mut Screen<'_>,
) -> Result<Failure, Failure> {
    let mut left = Vec::new();
    for bead in made.iter().rev() {
        match api::delete(client, &bead.id) {
            Err(error) if error.kind != Kind::NotFound => {
                if left.is_empty() {
                    screen.warn(&format!("cannot delete {} again: {error}", bead.id))?;
                }
                left.push(bead.id.as_str());
            }
            _ => {}
        }
    }
    let rest = if left.is_empty() {
        "nothing was created".to_owned()
    } else {
        left.reverse();
        format!("these were created and are nobody's: {}", left.join(" "))
    };
    let hint = failure.hint.map_or_else(String::new, |hint| format!("; {hint}"));
    Ok(Failure { kind: Kind::Fatal, message: failure.message, hint: Some(format!("{rest}{hint}")) })
}
