//! `update`, `assign` and `priority`.

use super::{Screen, each, fields, filter, named};
use crate::api;
use crate::args::{Assign, Priority, Update};
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::Shape;
use crate::text;
use crate::touched;
use beadrig::wire::rig::UpdateBead;
use serde_json::{Map, Value};

pub(super) fn assign(
    args: &Assign,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let name = Some(args.name.trim()).filter(|name| !name.is_empty());
    let change = UpdateBead { assignee: Some(name.map(str::to_owned)), ..UpdateBead::default() };
    let bead = api::update(client, &args.id, &change)
        .map_err(|failure| failure.while_resolving(&args.id))?;
    touched::remember(client.settings(), &bead.id);
    if screen.json {
        return screen.object(&bead);
    }
    match name {
        Some(name) => {
            screen.line(&format!("✓ Assigned {} to {}", text::line(name), text::about(&bead)))?;
        }
        None => screen.line(&format!("✓ Unassigned {}", bead.id))?,
    }
    screen.trouble(&bead)
}

pub(super) fn priority(
    args: &Priority,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let number = fields::priority(&args.priority)?;
    let change = UpdateBead { priority: Some(number.into()), ..UpdateBead::default() };
    let client = connect()?;
    let bead = api::update(&client, &args.id, &change)
        .map_err(|failure| failure.while_resolving(&args.id))?;
    touched::remember(client.settings(), &bead.id);
    if screen.json {
        return screen.object(&bead);
    }
    screen.line(&format!("✓ Set priority of {} to P{number}", text::about(&bead)))
}

/// The whole name of the bead that a part of it means.
pub(super) fn full_id(client: &Client, id: &str) -> Result<String, Failure> {
    api::bead(client, id).map(|bead| bead.id)
}

pub(super) fn update(
    args: &Update,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    if args.notes.is_some() {
        return Err(Failure::fatal("a rig's notes are appended, never replaced")
            .hint("use --append-notes TEXT"));
    }
    let mut change = change(args)?;
    args.fields.warn(screen)?;
    let note = args.append_notes.as_deref().filter(|note| !note.trim().is_empty());
    if change == UpdateBead::default() && note.is_none() && !args.claim {
        return screen.line("No updates specified");
    }
    let client = connect()?;
    let ids = named(&args.ids, &client)?;
    if let Some(Some(parent)) = &mut change.parent {
        *parent = full_id(&client, parent)
            .map_err(|failure| failure.while_resolving(&format!("parent {parent}")))?;
    }
    let plain = UpdateBead::default();
    each(&ids, "updating", Some(Shape::Plain), &client, screen, |id, screen| {
        let mut bead = None;
        if args.claim {
            bead = Some(api::claim(&client, id)?);
        }
        // The note first: an agent that gives its bead away with the change may not write on it any more.
        if let Some(note) = note {
            bead = Some(api::add_note(&client, id, note)?);
        }
        let bead = match bead {
            Some(bead) if change == plain => bead,
            // With a parent in it the rig must be told both names in full.
            _ if change.parent.is_some() => api::update(&client, &full_id(&client, id)?, &change)?,
            _ => api::update(&client, id, &change)?,
        };
        if screen.json {
            return Ok(bead);
        }
        screen.line(&format!("✓ Updated issue: {}", text::about(&bead)))?;
        screen.trouble(&bead)?;
        Ok(bead)
    })
}

fn change(args: &Update) -> Result<UpdateBead, Failure> {
    let fields = &args.fields;
    let title = args.title.as_deref().map(str::trim);
    if title == Some("") {
        return Err(Failure::fatal("title cannot be empty"));
    }
    if let Some(status) = &args.status {
        filter::known(status)?;
    }
    let defer_until = fields::time("--defer", fields.defer.as_ref())?;
    // What is put off until a time is deferred, as in bd, unless something else is said.
    let put_off = matches!(defer_until, Some(Some(_))).then(|| "deferred".to_owned());
    Ok(UpdateBead {
        title: title.map(str::to_owned),
        kind: fields.kind.as_deref().map(fields::kind),
        status: args.status.clone().or(put_off),
        reason: None,
        body: fields::emptied(fields.description()?.as_ref()),
        design: fields::emptied(fields.design()?.as_ref()),
        acceptance_criteria: fields::emptied(fields.acceptance.as_ref()),
        priority: fields.priority.as_deref().map(fields::priority).transpose()?.map(Into::into),
        assignee: fields::emptied(fields.assignee.as_ref()),
        parent: fields::emptied(fields.parent.as_ref()),
        labels: args.set_labels.as_deref().map(fields::labels),
        add_labels: fields::labels(&args.add_label),
        remove_labels: fields::labels(&args.remove_label),
        metadata: metadata(args)?,
        external_ref: fields::emptied(fields.external_ref.as_ref()),
        due_at: fields::time("--due", fields.due.as_ref())?,
        defer_until,
    })
}

/// The rig merges: a key that is null goes.
fn metadata(args: &Update) -> Result<Option<Map<String, Value>>, Failure> {
    if let Some(text) = &args.fields.metadata {
        return fields::metadata(text).map(Some);
    }
    let mut edits = Map::new();
    for edit in &args.set_metadata {
        let (key, value) = fields::metadata_edit(edit)?;
        edits.insert(key, value);
    }
    edits.extend(args.unset_metadata.iter().map(|key| (key.trim().to_owned(), Value::Null)));
    Ok((!edits.is_empty()).then_some(edits))
}
