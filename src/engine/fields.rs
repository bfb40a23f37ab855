//! The fields of a bead that a caller may change: written, and named for the audit.

use super::beads::may_assign;
use super::check;
use crate::bead::Bead;
use crate::refusal::Refusal;
use crate::token::Caller;
use crate::wire::rig::UpdateBead;

/// Writes what is to change, all but the status.
pub(super) fn change(by: &Caller, bead: &mut Bead, change: UpdateBead) -> Result<(), Refusal> {
    if let Some(title) = change.title {
        bead.title = check::title(&title)?;
    }
    if let Some(kind) = change.kind {
        bead.kind = check::name("type", &kind)?;
    }
    if let Some(priority) = change.priority {
        bead.priority = check::priority(&priority)?;
    }
    for (field, new, old) in [
        ("body", change.body, &mut bead.body),
        ("design", change.design, &mut bead.design),
        ("acceptance_criteria", change.acceptance_criteria, &mut bead.acceptance_criteria),
    ] {
        if let Some(new) = new {
            *old = check::text(field, new)?;
        }
    }
    for (field, new, old) in [
        ("parent", change.parent, &mut bead.parent),
        ("external_ref", change.external_ref, &mut bead.external_ref),
    ] {
        if let Some(new) = new {
            *old = check::word(field, new)?;
        }
    }
    for (field, new, old) in [
        ("due_at", change.due_at, &mut bead.due_at),
        ("defer_until", change.defer_until, &mut bead.defer_until),
    ] {
        if let Some(new) = new {
            *old = check::time(field, new)?;
        }
    }
    if let Some(assignee) = change.assignee {
        bead.assignee = check::word("assignee", assignee)?;
        may_assign(by, bead.assignee.as_deref())?;
    }
    let mut labels = change.labels.unwrap_or_else(|| bead.labels.clone());
    labels.extend(change.add_labels);
    labels.retain(|label| !change.remove_labels.contains(label));
    bead.labels = check::labels(labels)?;
    if let Some(metadata) = change.metadata {
        for (key, value) in metadata {
            if value.is_null() {
                bead.metadata.remove(&key);
            } else {
                bead.metadata.insert(key, value);
            }
        }
        check::json("metadata", &bead.metadata)?;
    }
    Ok(())
}

/// The names of what a caller changed, but for the status and the assignee, which have lines of their own.
pub(super) fn changed(before: &Bead, after: &Bead) -> Vec<&'static str> {
    [
        ("title", before.title != after.title),
        ("type", before.kind != after.kind),
        ("body", before.body != after.body),
        ("design", before.design != after.design),
        ("acceptance_criteria", before.acceptance_criteria != after.acceptance_criteria),
        ("priority", before.priority != after.priority),
        ("parent", before.parent != after.parent),
        ("labels", before.labels != after.labels),
        ("metadata", before.metadata != after.metadata),
        ("external_ref", before.external_ref != after.external_ref),
        ("due_at", before.due_at != after.due_at),
        ("defer_until", before.defer_until != after.defer_until),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}
