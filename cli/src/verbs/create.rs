//! `create` and `q`.

use super::dep::Wanted;
use super::{Screen, fields, graph, markdown};
use crate::api;
use crate::args::Create;
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::{self, priority_number};
use crate::text;
use crate::touched;
use beadrig::wire::rig::{BeadView, CreateBead};

pub(super) fn create(
    args: &Create,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let titled = args.positional.is_some() || args.title.is_some();
    for (flag, given) in [("graph", args.graph.is_some()), ("file", args.file.is_some())] {
        if given && titled {
            return Err(Failure::fatal(format!("cannot specify both title and --{flag} flag")));
        }
    }
    if let Some(path) = &args.graph {
        return graph::create(path, args, screen, connect);
    }
    if let Some(path) = &args.file {
        return markdown::create(path, args, screen, connect);
    }
    let mut wanted = wanted(args)?;
    let asks_quietly = screen.json || args.silent;
    args.fields.warn(screen)?;
    if args.dry_run {
        return rehearse(&wanted, screen);
    }
    if wanted.body.is_none() && !asks_quietly {
        screen.warn("Creating issue without description.")?;
    }
    let client = connect()?;
    if let Some(parent) = &mut wanted.parent {
        inherit(&client, parent, args, &mut wanted.labels)?;
    }
    let mut bead = api::create(&client, &wanted)?;
    depend(args, &bead, screen, &client)?;
    if let Some(note) = args.notes.as_deref().filter(|note| !note.trim().is_empty()) {
        // The bead is there: a failure here would make a script create it again.
        match api::add_note(&client, &bead.id, note) {
            Ok(noted) => bead = noted,
            Err(failure) => {
                let id = &bead.id;
                let hint = failure
                    .hint
                    .clone()
                    .unwrap_or_else(|| format!("add it with `beadrig note {id}`"));
                screen.warn(&format!("{id} is created, but its note failed: {failure}; {hint}"))?;
            }
        }
    }
    touched::remember(client.settings(), &bead.id);
    told(&bead, args.silent, screen)
}

/// Names the parent in full, and takes its labels.
fn inherit(
    client: &Client,
    parent: &mut String,
    args: &Create,
    labels: &mut Option<Vec<String>>,
) -> Result<(), Failure> {
    let bead = api::bead(client, parent)
        .map_err(|failure| failure.while_resolving(&format!("parent {parent}")))?;
    *parent = bead.id;
    if !args.no_inherit_labels && !bead.labels.is_empty() {
        let labels = labels.get_or_insert_default();
        // The rig sorts them, and keeps each once.
        labels.extend(bead.labels);
    }
    Ok(())
}

/// Adds what it waits for. The bead is there: what cannot be is told, and no more, as in bd.
fn depend(
    args: &Create,
    bead: &BeadView,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let mut wanted: Vec<Result<Wanted, String>> =
        args.deps.iter().filter(|it| !it.trim().is_empty()).map(|it| Wanted::read(it)).collect();
    if let Some(other) = &args.waits_for {
        let kind = "waits-for".to_owned();
        wanted.push(Ok(Wanted { kind, other: other.clone(), swapped: false }));
    }
    for wanted in wanted {
        match wanted {
            Err(what) => screen.warn(&what)?,
            Ok(wanted) => {
                if let Err(failure) = wanted.add(client, bead) {
                    let (id, other) = (&bead.id, &wanted.other);
                    screen.warn(&format!("failed to add dependency {id} -> {other}: {failure}"))?;
                }
            }
        }
    }
    Ok(())
}

fn told(bead: &BeadView, silent: bool, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.object(bead);
    }
    if silent {
        return screen.line(&bead.id);
    }
    screen.line(&format!("✓ Created issue: {}", text::about(bead)))?;
    screen.line(&format!("  Priority: P{}", priority_number(&bead.priority)))?;
    screen.line(&format!("  Status: {}", bead.status))?;
    screen.trouble(bead)
}

fn wanted(args: &Create) -> Result<CreateBead, Failure> {
    let fields = &args.fields;
    let title = match (&args.positional, &args.title) {
        (Some(one), Some(other)) if one != other => {
            return Err(Failure::fatal(format!(
                "two titles: {one:?} as argument, {other:?} as --title"
            )));
        }
        (Some(title), _) | (None, Some(title)) => title.trim(),
        (None, None) => "",
    };
    if title.is_empty() {
        return Err(Failure::fatal("title required (or use --file to create from markdown)"));
    }
    let full = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let labels = fields::labels(&args.labels);
    Ok(CreateBead {
        title: title.to_owned(),
        kind: Some(fields::kind(fields.kind.as_deref().unwrap_or("task"))),
        id: full(&args.id),
        body: full(&fields.description()?),
        design: full(&fields.design()?),
        acceptance_criteria: full(&fields.acceptance),
        priority: fields.priority.as_deref().map(fields::priority).transpose()?.map(Into::into),
        assignee: full(&fields.assignee),
        parent: full(&fields.parent),
        labels: (!labels.is_empty()).then_some(labels),
        metadata: fields.metadata.as_deref().map(fields::metadata).transpose()?,
        external_ref: full(&fields.external_ref),
        due_at: fields::time("--due", fields.due.as_ref())?.flatten(),
        defer_until: fields::time("--defer", fields.defer.as_ref())?.flatten(),
        dependencies: Vec::new(),
    })
}

/// Asks nobody, so it works without a rig.
fn rehearse(wanted: &CreateBead, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        let mut object =
            serde_json::to_value(wanted).map_err(|error| Failure::fatal(error.to_string()))?;
        // bd's names, as far as they differ.
        if let Some(object) = object.as_object_mut() {
            for (ours, theirs) in [("type", "issue_type"), ("body", "description")] {
                if let Some(value) = object.remove(ours) {
                    object.insert(theirs.into(), value);
                }
            }
            object.insert("status".into(), "open".into());
            object.entry("priority").or_insert(2.into());
        }
        return Ok(issue::print(screen.out, &object)?);
    }
    screen.line(&format!("Would create issue: {}", text::line(&wanted.title)))?;
    screen
        .line(&format!("  Priority: P{}", wanted.priority.clone().unwrap_or_else(|| 2.into())))?;
    screen.line(&format!("  Type: {}", wanted.kind.as_deref().unwrap_or_default()))?;
    match &wanted.assignee {
        Some(name) => screen.line(&format!("  Assignee: {}", text::line(name))),
        None => Ok(()),
    }
}
