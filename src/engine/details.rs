//! What belongs to many beads at once, names by a part of them, and whether a bead may be closed without force.
//! Reads only.

use std::collections::BTreeMap;

use super::Engine;
use super::links::PARENT_CHILD;
use crate::bead::Status;
use crate::command::Error;
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Extent, Sql};
use crate::wire::dependencies::holds_up;
use crate::wire::details::{BeadDetails, DependencyRecord};
use crate::wire::rig::{BeadView, NoteView};

impl<S: Sql> Engine<S> {
    /// The beads that a query's `ids` names, in that order; none for a name that is not there.
    pub(super) fn named(&self, ids: &str, now: Millis) -> Result<Vec<BeadView>, Error> {
        let ids = several(ids)?;
        let beads = self.store.beads_named(&ids)?;
        self.views(beads, now)
    }

    /// What belongs to the beads that a query's `ids` names, in that order, for as many as the answer has room for
    /// and at least one: whoever misses some asks for them again.
    pub fn details(&self, query: &[(String, String)]) -> Result<Vec<BeadDetails>, Error> {
        let ids = query.iter().find(|(key, _)| key == "ids").map_or("", |(_, ids)| ids.as_str());
        let mut room = limits::DETAILS_NOTE_BYTES_MAX;
        let mut extents = self.store.extents(&several(ids)?)?;
        let fits = extents.iter().enumerate().take_while(|(n, it)| {
            let fits = *n == 0 || it.note_bytes <= room;
            room = room.saturating_sub(it.note_bytes);
            fits
        });
        let fits = fits.count();
        extents.truncate(fits);
        let ids: Vec<&str> = extents.iter().map(|it| it.bead.as_str()).collect();
        let mut notes: BTreeMap<String, Vec<NoteView>> = BTreeMap::new();
        for it in self.store.notes_of(&ids)? {
            let view = NoteView { author: it.author, at: it.at.to_string(), text: it.text };
            notes.entry(it.bead).or_default().push(view);
        }
        let mut records: BTreeMap<String, Vec<DependencyRecord>> = BTreeMap::new();
        for it in self.store.dependencies_of(&ids)? {
            records.entry(it.bead).or_default().push(DependencyRecord {
                depends_on: it.depends_on,
                kind: it.kind,
                created_at: it.created_at.to_string(),
                created_by: it.created_by,
            });
        }
        let details = |it: Extent| {
            let mut dependencies: Vec<DependencyRecord> = parent_of(&it).into_iter().collect();
            dependencies.extend(records.remove(&it.bead).unwrap_or_default());
            BeadDetails {
                dependencies,
                dependency_count: it.blockers,
                dependent_count: it.blocks,
                comment_count: it.comments,
                notes: notes.remove(&it.bead).unwrap_or_default(),
                id: it.bead,
            }
        };
        Ok(extents.into_iter().map(details).collect())
    }

    /// The names that a query's `part` may mean, where it is none itself: of any bead whose name begins so, and of
    /// those not long finished that have it anywhere behind the prefix.
    pub fn names(&self, query: &[(String, String)]) -> Result<Vec<String>, Error> {
        let part = query.iter().find(|(key, _)| key == "part").map_or("", |(_, part)| part);
        let prefix = self.prefix()?;
        let part = part.strip_prefix(&format!("{prefix}-")).unwrap_or(part).to_lowercase();
        if part.len() > limits::ID_CHARS_MAX {
            let problem = format!("must have {} characters at most", limits::ID_CHARS_MAX);
            return Err(Refusal::invalid("part", problem).into());
        }
        // Nothing is a part of every name, and means none.
        if part.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = self.store.names_beginning(&prefix, &part)?;
        names.extend(self.store.names_with(&part)?);
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Refuses to close what still waits for others, and an epic with children that are not closed; in the words of
    /// `bd`, whose scripts read them.
    pub fn may_be_closed(&self, id: &str) -> Result<(), Error> {
        let bead = self.find_bead(id)?;
        if bead.status == Status::Closed {
            return Ok(());
        }
        let waits = |it: &crate::store::Linked| {
            holds_up(&it.dependency.kind) && it.status != Status::Closed
        };
        let blockers: Vec<String> = self
            .store
            .dependencies(&bead.id)?
            .into_iter()
            .filter(waits)
            .map(|it| it.dependency.depends_on)
            .collect();
        if !blockers.is_empty() {
            let message = format!(
                "cannot close {}: blocked by open issues [{}] (use --force to override)",
                bead.id,
                blockers.join(" ")
            );
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        if bead.kind != "epic" {
            return Ok(());
        }
        let open = self.store.open_child_count(&bead.id)?;
        if open == 0 {
            return Ok(());
        }
        let message = format!(
            "cannot close epic {}: {open} open child issue(s); close children first or use --force to override",
            bead.id
        );
        Err(Refusal::new(Code::Conflict, message).into())
    }
}

/// Names with commas, not more than an answer has room for.
fn several(ids: &str) -> Result<Vec<&str>, Refusal> {
    let ids: Vec<&str> = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if ids.len() > limits::DETAILS_BEADS_MAX {
        let problem = format!("must be {} names at most", limits::DETAILS_BEADS_MAX);
        return Err(Refusal::invalid("ids", problem));
    }
    Ok(ids)
}

/// A parent as a dependency; it is as old as the child.
fn parent_of(child: &Extent) -> Option<DependencyRecord> {
    child.parent.as_ref().map(|parent| DependencyRecord {
        depends_on: parent.clone(),
        kind: PARENT_CHILD.to_owned(),
        created_at: child.created_at.to_string(),
        created_by: child.created_by.clone(),
    })
}
