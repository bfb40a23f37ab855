//! The rig API as functions: one route each. A bead may be named by a part of its name that no other has, as in bd; the
//! rig is asked for what it means only when it has no bead of that very name. Must never print.

use crate::client::{Client, Part, encode};
use crate::failure::{Failure, Kind};
use crate::issue::Comment;
use beadrig::wire::dependencies::{
    AddDependency, BlockedBead, Dependencies, DependencyView, EventView,
};
use beadrig::wire::details::BeadDetails;
use beadrig::wire::exchange::{ImportBatch, ImportReport};
use beadrig::wire::rig::{AddNote, BeadView, CloseBead, CreateBead, Done, RigStatus, UpdateBead};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::{HashMap, HashSet};
use ureq::http::Method;

/// The most the API gives at once.
const PAGE: usize = 1000;
/// The most beads that one call names.
const NAMED: usize = 100;

/// Makes a bead.
pub fn create(client: &Client, bead: &CreateBead) -> Result<BeadView, Failure> {
    client.send(&Method::POST, "/beads", bead)
}

/// One bead with its notes.
pub fn bead(client: &Client, id: &str) -> Result<BeadView, Failure> {
    found(client, id, |id| client.get(&path(id, "")))
}

/// Changes a bead. A parent must be named in full: the rig alone knows which of the two is not there.
pub fn update(client: &Client, id: &str, change: &UpdateBead) -> Result<BeadView, Failure> {
    if matches!(change.parent, Some(Some(_))) {
        return client.send(&Method::PATCH, &path(id, ""), change);
    }
    found(client, id, |id| client.send(&Method::PATCH, &path(id, ""), change))
}

/// Takes a bead for whoever calls, unless somebody was faster.
pub fn claim(client: &Client, id: &str) -> Result<BeadView, Failure> {
    let claimed = found(client, id, |id| client.act(&Method::POST, &path(id, "/claim")));
    claimed.map_err(|failure| match failure.kind {
        Kind::Refused => Failure { kind: Kind::Claimed, ..failure },
        _ => failure,
    })
}

/// Closes a bead.
pub fn close(client: &Client, id: &str, why: &CloseBead) -> Result<BeadView, Failure> {
    found(client, id, |id| client.send(&Method::POST, &path(id, "/close"), why))
}

/// Says that the work of an agent is done.
pub fn done(client: &Client, agent: &str, done: &Done) -> Result<(), Failure> {
    let said = client.send(&Method::POST, &format!("/agents/{}/done", encode(agent)), done);
    said.map(|_: serde_json::Value| ())
}

/// Reopens a bead.
pub fn reopen(client: &Client, id: &str, why: &CloseBead) -> Result<BeadView, Failure> {
    found(client, id, |id| client.send(&Method::POST, &path(id, "/reopen"), why))
}

/// Deletes a bead that is named in full.
pub fn delete(client: &Client, id: &str) -> Result<(), Failure> {
    client.act::<IgnoredAny>(&Method::DELETE, &path(id, "")).map(|_| ())
}

/// What a bead depends on, and what depends on it.
pub fn dependencies(client: &Client, id: &str) -> Result<Dependencies, Failure> {
    found(client, id, |id| client.get(&path(id, "/dependencies")))
}

/// Has a bead depend on another, both named in full.
pub fn add_dependency(
    client: &Client,
    id: &str,
    other: &str,
    kind: &str,
) -> Result<DependencyView, Failure> {
    let new = AddDependency { depends_on: other.to_owned(), kind: Some(kind.to_owned()) };
    client.send(&Method::POST, &path(id, "/dependencies"), &new)
}

/// Takes a dependency away, both named in full.
pub fn remove_dependency(client: &Client, id: &str, other: &str) -> Result<(), Failure> {
    let path = path(id, &format!("/dependencies/{}", encode(other)));
    client.act::<IgnoredAny>(&Method::DELETE, &path).map(|_| ())
}

/// A bead's comments; none from a rig that knows none.
pub fn comments(client: &Client, id: &str) -> Result<Vec<Comment>, Failure> {
    match client.get(&path(id, "/comments")) {
        Err(failure) if failure.kind == Kind::NotFound => Ok(Vec::new()),
        answer => answer,
    }
}

/// Adds a comment.
pub fn comment(
    client: &Client,
    id: &str,
    text: &str,
    author: Option<&str>,
) -> Result<Comment, Failure> {
    #[derive(Serialize)]
    struct New<'a> {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        author: Option<&'a str>,
    }
    let new = New { text, author };
    found(client, id, |id| client.send(&Method::POST, &path(id, "/comments"), &new))
}

/// A bead's audit, oldest first.
pub fn events(client: &Client, id: &str) -> Result<Vec<EventView>, Failure> {
    let (mut events, mut after): (Vec<EventView>, i64) = (Vec::new(), 0);
    loop {
        let query = format!("/events?bead_id={}&after={after}&limit={PAGE}", encode(id));
        let got: Vec<EventView> = client.get(&query)?;
        let last = got.len() < PAGE;
        after = got.last().map_or(after, |it| it.seq);
        events.extend(got);
        if last {
            return Ok(events);
        }
    }
}

/// Sets something for the rig.
pub fn configure(client: &Client, patch: &serde_json::Value) -> Result<(), Failure> {
    client.send::<IgnoredAny>(&Method::PATCH, "/config", patch).map(|_| ())
}

/// What the rig is doing.
pub fn status(client: &Client) -> Result<RigStatus, Failure> {
    client.get("/status")
}

/// All beads that a query gives, page by page, or the first `enough`.
pub fn beads(client: &Client, query: &str, enough: usize) -> Result<Vec<BeadView>, Failure> {
    pages(client, "/beads", query, enough, |bead: &BeadView| bead.id.clone())
}

/// What could be begun, the most urgent first.
pub fn ready(client: &Client, query: &str, enough: usize) -> Result<Vec<BeadView>, Failure> {
    pages(client, "/ready", query, enough, |bead: &BeadView| bead.id.clone())
}

/// What waits for others.
pub fn blocked(client: &Client) -> Result<Vec<BlockedBead>, Failure> {
    pages(client, "/blocked", "", usize::MAX, |it: &BlockedBead| it.bead.id.clone())
}

/// A bead's children, oldest first.
pub fn children(client: &Client, id: &str) -> Result<Vec<BeadView>, Failure> {
    let from = path(id, "/children");
    pages(client, &from, "", usize::MAX, |bead: &BeadView| bead.id.clone())
}

/// All rows, page by page, or the first `enough`. A bead made meanwhile moves the rest down by one, so that one may come
/// twice; it is given once.
fn pages<T: DeserializeOwned>(
    client: &Client,
    from: &str,
    query: &str,
    enough: usize,
    name: impl Fn(&T) -> String,
) -> Result<Vec<T>, Failure> {
    let mut seen = HashSet::new();
    let mut rows: Vec<T> = Vec::new();
    for page in 0.. {
        let limit = PAGE.min(enough);
        let got: Vec<T> =
            client.get(&format!("{from}?{query}limit={limit}&offset={}", page * limit))?;
        let last = got.len() < limit;
        rows.extend(got.into_iter().filter(|row| seen.insert(name(row))));
        if last || rows.len() >= enough {
            break;
        }
    }
    Ok(rows)
}

/// The beads of these names, as far as they are there.
pub fn named(client: &Client, ids: &[&str]) -> Result<Vec<BeadView>, Failure> {
    let mut beads = Vec::new();
    for ids in ids.chunks(NAMED) {
        beads.extend(client.get::<Vec<_>>(&format!("/beads?ids={}", joined(ids)))?);
    }
    Ok(beads)
}

/// What belongs to these beads. The rig answers as much as fits; the rest is asked for again.
pub fn details(client: &Client, ids: &[&str]) -> Result<HashMap<String, BeadDetails>, Failure> {
    let mut all = HashMap::new();
    for ids in ids.chunks(NAMED) {
        let mut left = ids;
        while !left.is_empty() {
            let got: Vec<BeadDetails> = client.get(&format!("/details?ids={}", joined(left)))?;
            let last = got.last().and_then(|it| left.iter().position(|id| *id == it.id));
            // A bead that was deleted meanwhile is left out; so are all, where nothing comes.
            left = &left[last.map_or(left.len(), |last| last + 1)..];
            all.extend(got.into_iter().map(|it| (it.id.clone(), it)));
        }
    }
    Ok(all)
}

/// Appends a note.
pub fn add_note(client: &Client, id: &str, text: &str) -> Result<BeadView, Failure> {
    let note = AddNote { text: text.to_owned() };
    found(client, id, |id| client.send(&Method::POST, &path(id, "/notes"), &note))
}

fn joined(ids: &[&str]) -> String {
    ids.iter().map(|id| encode(id)).collect::<Vec<_>>().join(",")
}

/// Sends lines of a file.
pub fn import(client: &Client, batch: &ImportBatch) -> Result<ImportReport, Failure> {
    client.send(&Method::POST, "/import", batch)
}

/// A part of all beads, after one of them; an [`ExportPage`](beadrig::wire::exchange::ExportPage).
pub fn export(client: &Client, after: Option<&str>) -> Result<Part, Failure> {
    client.part(&format!("/export?after={}", encode(after.unwrap_or_default())))
}

fn path(id: &str, rest: &str) -> String {
    format!("/beads/{}{rest}", encode(id))
}

/// Asks for a bead of this name; if there is none, for the one bead that it is a part of the name of.
fn found<T>(
    client: &Client,
    id: &str,
    ask: impl Fn(&str) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match ask(id) {
        Err(failure) if failure.kind == Kind::NotFound => {}
        answer => return answer,
    }
    let names: Vec<String> = match client.get(&format!("/names?part={}", encode(id))) {
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::Refused) => Vec::new(),
        answer => answer?,
    };
    match names.as_slice() {
        [] => Err(Failure::not_found(id)),
        [name] if name == id => Err(Failure::not_found(id)),
        [name] => match ask(name) {
            Err(failure) if failure.kind == Kind::NotFound => Err(Failure::not_found(id)),
            answer => answer,
        },
        names => Err(Failure::ambiguous(id, names)),
    }
}
