//! The rig API as functions: one route each. Must never print.

use crate::client::{Client, encode};
use crate::failure::{Failure, Kind};
use beadrig::wire::exchange::{ExportPage, ImportBatch, ImportReport};
use beadrig::wire::rig::{AddNote, BeadView, CloseBead, CreateBead, RigStatus, UpdateBead};
use std::collections::HashSet;
use ureq::http::Method;

/// The most the API gives at once.
const PAGE: usize = 1000;

/// Makes a bead.
pub fn create(client: &Client, bead: &CreateBead) -> Result<BeadView, Failure> {
    client.send(&Method::POST, "/beads", bead)
}

/// One bead with its notes.
pub fn bead(client: &Client, id: &str) -> Result<BeadView, Failure> {
    client.get(&path(id, "")).map_err(|failure| in_words_of_bd(failure, id))
}

/// Changes a bead.
pub fn update(client: &Client, id: &str, change: &UpdateBead) -> Result<BeadView, Failure> {
    let answer = client.send(&Method::PATCH, &path(id, ""), change);
    // With a parent in it, the rig alone knows which of the two is not there.
    let names_another = matches!(change.parent, Some(Some(_)));
    answer.map_err(|failure| if names_another { failure } else { in_words_of_bd(failure, id) })
}

/// Closes a bead.
pub fn close(client: &Client, id: &str, why: &CloseBead) -> Result<BeadView, Failure> {
    let answer = client.send(&Method::POST, &path(id, "/close"), why);
    answer.map_err(|failure| in_words_of_bd(failure, id))
}

/// Reopens a bead.
pub fn reopen(client: &Client, id: &str, why: &CloseBead) -> Result<BeadView, Failure> {
    let answer = client.send(&Method::POST, &path(id, "/reopen"), why);
    answer.map_err(|failure| in_words_of_bd(failure, id))
}

/// What the rig is doing.
pub fn status(client: &Client) -> Result<RigStatus, Failure> {
    client.get("/status")
}

/// All beads that a query gives, page by page, or the first `enough`. A bead made meanwhile moves the rest down by
/// one, so that one may come twice; it is given once.
pub fn beads(client: &Client, query: &str, enough: usize) -> Result<Vec<BeadView>, Failure> {
    let mut seen = HashSet::new();
    let mut beads: Vec<BeadView> = Vec::new();
    for page in 0.. {
        let limit = PAGE.min(enough);
        let got: Vec<BeadView> =
            client.get(&format!("/beads?{query}limit={limit}&offset={}", page * PAGE))?;
        let last = got.len() < limit;
        beads.extend(got.into_iter().filter(|bead| seen.insert(bead.id.clone())));
        if last || beads.len() >= enough {
            break;
        }
    }
    Ok(beads)
}

/// Appends a note.
pub fn add_note(client: &Client, id: &str, text: &str) -> Result<BeadView, Failure> {
    let note = AddNote { text: text.to_owned() };
    let answer = client.send(&Method::POST, &path(id, "/notes"), &note);
    answer.map_err(|failure| in_words_of_bd(failure, id))
}

/// Sends lines of a file.
pub fn import(client: &Client, batch: &ImportBatch) -> Result<ImportReport, Failure> {
    client.send(&Method::POST, "/import", batch)
}

/// A part of all beads, after one of them.
pub fn export(client: &Client, after: Option<&str>) -> Result<ExportPage, Failure> {
    client.get(&format!("/export?after={}", encode(after.unwrap_or_default())))
}

fn path(id: &str, rest: &str) -> String {
    format!("/beads/{}{rest}", encode(id))
}

fn in_words_of_bd(failure: Failure, id: &str) -> Failure {
    if failure.kind == Kind::NotFound { Failure::not_found(id) } else { failure }
}
