//! `dep add`, `dep remove`, `dep list` and `dep cycles`. What may be linked the rig decides; its words become bd's here.

use super::read::{self, PARENT_CHILD};
use super::{Screen, tree};
use crate::api;
use crate::args::{Dep, DepVerb, Direction, Link, LinkRemoval, Links};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue;
use crate::text;
use beadrig::wire::rig::BeadView;
use serde::Serialize;

/// The type that gates.
const BLOCKS: &str = "blocks";

/// What a change of dependencies answers, in bd's order.
#[derive(Serialize)]
struct Done<'a> {
    status: &'a str,
    issue_id: &'a str,
    depends_on_id: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
}

/// The same of `dep X --blocks Y`.
#[derive(Serialize)]
struct Blocks<'a> {
    status: &'a str,
    blocker_id: &'a str,
    blocked_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

pub(super) fn dep(
    args: &Dep,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match (&args.verb, &args.blocker, &args.blocks) {
        (Some(DepVerb::Add(link)), ..) => add(link, screen, &connect()?),
        (Some(DepVerb::Remove(link)), ..) => remove(link, screen, &connect()?),
        (Some(DepVerb::List(links)), ..) => list(links, screen, &connect()?),
        (Some(DepVerb::Tree(args)), ..) => tree::tree(args, screen, &connect()?),
        (Some(DepVerb::Cycles), ..) => cycles(screen),
        (None, Some(by), Some(waits)) => blocks(by, waits, screen, &connect()?),
        _ => Err(Failure::fatal("nothing to do").hint(
            "say `dep add ID DEPENDS_ON`, or `dep ID --blocks ID`; `dep --help` has the rest",
        )),
    }
}

fn add(args: &Link, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let other = args.blocked_by.as_ref().or(args.depends_on.as_ref());
    let other = other.ok_or_else(|| Failure::fatal("no dependency given"))?;
    let kind = args.kind.trim();
    if kind.is_empty() || kind.chars().count() > 50 {
        return Err(Failure::fatal(format!(
            "invalid dependency type {kind:?}: must be non-empty and at most 50 characters"
        )));
    }
    let (bead, other) = (bead(client, &args.id)?, bead(client, other)?);
    link(client, &bead, &other, kind)?;
    if screen.json {
        let (issue_id, depends_on_id) = (&*bead.id, &*other.id);
        let done = Done { status: "added", issue_id, depends_on_id, kind: Some(kind) };
        return Ok(issue::print(screen.out, &done)?);
    }
    let (one, other) = (named(&bead), named(&other));
    screen.line(&format!("✓ Added dependency: {one} depends on {other} ({})", text::line(kind)))
}

fn blocks(by: &str, waits: &str, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let (waits, by) = (bead(client, waits)?, bead(client, by)?);
    link(client, &waits, &by, BLOCKS)?;
    if screen.json {
        let done =
            Blocks { status: "added", blocker_id: &by.id, blocked_id: &waits.id, kind: BLOCKS };
        return Ok(issue::print(screen.out, &done)?);
    }
    let (by, waits) = (named(&by), named(&waits));
    screen.line(&format!("✓ Added dependency: {by} blocks {waits}"))
}

/// One of the two.
fn bead(client: &Client, id: &str) -> Result<BeadView, Failure> {
    api::bead(client, id).map_err(|failure| failure.while_resolving(&format!("issue ID {id}")))
}

/// `rig-a1b (Fix the parser)`
fn named(bead: &BeadView) -> String {
    format!("{} ({})", bead.id, text::line(&bead.title))
}

/// Has one depend on the other; bd's words for what cannot be.
pub(super) fn link(
    client: &Client,
    bead: &BeadView,
    other: &BeadView,
    kind: &str,
) -> Result<(), Failure> {
    let epic = |bead: &BeadView| bead.kind == "epic";
    if kind == BLOCKS && bead.id != other.id && epic(bead) != epic(other) {
        // bd's rule: an epic waits for its children, and not for tasks beside them.
        return Err(Failure::refused(if epic(bead) {
            "epics can only block other epics, not tasks"
        } else {
            "tasks can only block other tasks, not epics"
        }));
    }
    match api::add_dependency(client, &bead.id, &other.id, kind) {
        Ok(_) => Ok(()),
        Err(failure) if failure.kind == Kind::Refused => {
            Err(in_words_of_bd(failure, bead, other, kind))
        }
        Err(failure) => Err(failure),
    }
}

fn in_words_of_bd(failure: Failure, bead: &BeadView, other: &BeadView, kind: &str) -> Failure {
    let (id, on) = (&bead.id, &other.id);
    let said = failure.message.clone();
    let words = if id == on {
        "cannot add self-dependency".to_owned()
    } else if said.contains("would wait for itself") {
        "adding dependency would create a cycle".to_owned()
    } else if bead.parent.as_ref() == Some(on) {
        format!(
            "cannot add dependency: {id} is already a child of {on}. Children inherit dependency on parent completion \
             via hierarchy. Adding an explicit dependency would create a deadlock"
        )
    } else if let Some((_, there)) = said.split_once("already, with type ") {
        let there = there.split(';').next().unwrap_or(there);
        format!(
            "dependency {id} -> {on} already exists with type {there:?} (requested {kind:?}); remove it first with \
             'bd dep remove' then re-add"
        )
    } else {
        return failure;
    };
    Failure { message: words, ..failure }.hint(said)
}

fn remove(args: &LinkRemoval, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let other = bead(client, &args.depends_on);
    let bead = bead(client, &args.id)?;
    // One that came with a file may name what is not here, such as `external:…`.
    let (id, other, missing) = match other {
        Ok(other) => (other.id.clone(), named(&other), None),
        Err(failure) if failure.kind == Kind::NotFound => {
            (args.depends_on.clone(), text::line(&args.depends_on), Some(failure))
        }
        Err(failure) => return Err(failure),
    };
    match (api::remove_dependency(client, &bead.id, &id), missing) {
        (Err(Failure { kind: Kind::NotFound, .. }), Some(missing)) => return Err(missing),
        (removed, _) => removed?,
    }
    if screen.json {
        let (issue_id, depends_on_id) = (&*bead.id, &*id);
        let done = Done { status: "removed", issue_id, depends_on_id, kind: None };
        return Ok(issue::print(screen.out, &done)?);
    }
    let one = named(&bead);
    screen.line(&format!("✓ Removed dependency: {one} no longer depends on {other}"))
}

fn list(args: &Links, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let id = bead(client, &args.id)?.id;
    let around = api::dependencies(client, &id)?;
    let up = args.direction == Direction::Up;
    let mut links = if up { around.dependents } else { around.dependencies };
    links.retain(|it| args.kind.as_ref().is_none_or(|kind| it.kind == *kind));
    let ids: Vec<&str> = links.iter().map(|it| it.id.as_str()).collect();
    let beads = api::named(client, &ids)?.into_iter().map(|it| (it.id.clone(), it)).collect();
    if screen.json {
        return Ok(issue::print(screen.out, &read::linked(&links, &beads))?);
    }
    if links.is_empty() {
        return screen.line(&match (&args.kind, up) {
            (None, true) => format!("No issues depend on {id}"),
            (None, false) => format!("{id} has no dependencies"),
            (Some(kind), true) => format!("No issues depend on {id} with type '{kind}'"),
            (Some(kind), false) => format!("{id} has no dependencies of type '{kind}'"),
        });
    }
    let what = if up { "Issues that depend on" } else { "Dependencies of" };
    screen.line(&format!("{what} {id}:"))?;
    for it in &links {
        let priority =
            beads.get(&it.id).map_or(2, |it: &BeadView| issue::priority_number(&it.priority));
        screen.line(&format!(
            "  {}: {} [P{priority}] ({}) via {}",
            text::line(&it.id),
            text::line(&it.title),
            it.status,
            text::line(&it.kind)
        ))?;
    }
    Ok(())
}

/// A rig refuses each step that would make one.
fn cycles(screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return Ok(issue::print(screen.out, &[(); 0])?);
    }
    screen.line("✓ No dependency cycles detected")
}

/// `TYPE:ID`, `ID`, and which of the two waits.
pub(super) struct Wanted {
    pub(super) kind: String,
    pub(super) other: String,
    /// The other one waits for the new bead.
    pub(super) swapped: bool,
}

impl Wanted {
    /// One entry of `--deps`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (kind, other) = match text.split_once(':') {
            None => (BLOCKS, text),
            Some((kind, other)) => (kind.trim(), other.trim()),
        };
        if other.is_empty() || kind.is_empty() {
            return Err(format!("invalid dependency format '{text}', expected 'type:id' or 'id'"));
        }
        let swapped = text.contains(':') && kind == BLOCKS;
        let kind = match kind {
            "depends-on" | "blocked-by" => BLOCKS,
            kind => kind,
        };
        Ok(Self { kind: kind.to_owned(), other: other.to_owned(), swapped })
    }

    /// Adds it to a bead that was just made.
    pub(super) fn add(&self, client: &Client, new: &BeadView) -> Result<(), Failure> {
        let other = api::bead(client, &self.other)?;
        if self.kind == PARENT_CHILD {
            return api::add_dependency(client, &new.id, &other.id, PARENT_CHILD).map(|_| ());
        }
        let (one, two) = if self.swapped { (&other, new) } else { (new, &other) };
        link(client, one, two, &self.kind)
    }
}
