//! `delete`: shows what would go, and deletes only with `--force`, as in bd.

use super::{Screen, fields};
use crate::api;
use crate::args::Delete;
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue;
use crate::text;
use beadrig::wire::rig::BeadView;
use serde::Serialize;
use std::collections::{HashSet, VecDeque};

/// A bead that goes, and how many ties go with it.
struct Going {
    bead: BeadView,
    links: Vec<(String, String)>,
    dependents: Vec<String>,
}

/// What was deleted: bd has one name for one bead, and a list for several.
#[derive(Serialize)]
#[serde(untagged)]
enum Deleted<'a> {
    One {
        deleted: &'a str,
        dependencies_removed: usize,
        references_updated: usize,
    },
    Several {
        deleted: &'a [String],
        deleted_count: usize,
        dependencies_removed: usize,
        references_updated: usize,
        orphaned_issues: &'a [String],
    },
}

/// What would be.
#[derive(Serialize)]
struct Preview<'a> {
    dry_run: bool,
    would_delete: &'a [String],
    dependencies_removed: usize,
    orphaned_issues: &'a [String],
}

pub(super) fn delete(
    args: &Delete,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let mut ids = args.ids.clone();
    if let Some(path) = &args.from_file {
        let text = fields::file(path)?;
        let lines = text.lines().map(str::trim);
        ids.extend(lines.filter(|it| !it.is_empty() && !it.starts_with('#')).map(str::to_owned));
    }
    if ids.is_empty() {
        return Err(Failure::fatal("no issue IDs provided"));
    }
    let client = connect()?;
    let going = all(&ids, args.cascade, &client)?;
    let names: Vec<String> = going.iter().map(|it| it.bead.id.clone()).collect();
    // A tie between two that go is one.
    let links = going.iter().flat_map(|it| &it.links).collect::<HashSet<_>>().len();
    let orphans: Vec<String> = going
        .iter()
        .flat_map(|it| it.dependents.iter().cloned())
        .filter(|id| !names.contains(id))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    if !args.force || args.dry_run {
        return preview(&going, &names, links, &orphans, args, screen);
    }
    for name in &names {
        api::delete(&client, name)?;
    }
    if screen.json {
        let deleted = match names.as_slice() {
            [deleted] if args.ids.len() == 1 && !args.cascade => {
                Deleted::One { deleted, dependencies_removed: links, references_updated: 0 }
            }
            deleted => Deleted::Several {
                deleted,
                deleted_count: deleted.len(),
                dependencies_removed: links,
                references_updated: 0,
                orphaned_issues: &orphans,
            },
        };
        return Ok(issue::print(screen.out, &deleted)?);
    }
    for name in &names {
        screen.line(&format!("✓ Deleted {name}"))?;
    }
    screen.line(&format!("  Removed {links} dependency link(s)"))
}

/// The beads that go; with `cascade` all that depends on them too.
fn all(ids: &[String], cascade: bool, client: &Client) -> Result<Vec<Going>, Failure> {
    let (mut going, mut missing) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut left: VecDeque<String> = ids.iter().cloned().collect();
    while let Some(id) = left.pop_front() {
        let bead = match api::bead(client, &id) {
            Err(failure) if failure.kind == Kind::NotFound => {
                missing.push(id);
                continue;
            }
            bead => bead?,
        };
        if !seen.insert(bead.id.clone()) {
            continue;
        }
        let around = api::dependencies(client, &bead.id)?;
        let on = around.dependencies.iter().map(|it| (bead.id.clone(), it.id.clone()));
        let by = around.dependents.iter().map(|it| (it.id.clone(), bead.id.clone()));
        let links = on.chain(by).collect();
        let dependents: Vec<String> = around.dependents.into_iter().map(|it| it.id).collect();
        if cascade {
            left.extend(dependents.iter().cloned());
        }
        going.push(Going { bead, links, dependents });
    }
    match missing.as_slice() {
        [] => Ok(going),
        [id] if ids.len() == 1 => Err(Failure::fatal(format!("issue {id} not found"))),
        ids => Err(Failure::fatal(format!("issues not found: {}", ids.join(", ")))),
    }
}

fn preview(
    going: &[Going],
    names: &[String],
    links: usize,
    orphans: &[String],
    args: &Delete,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    if screen.json {
        let preview = Preview {
            dry_run: true,
            would_delete: names,
            dependencies_removed: links,
            orphaned_issues: orphans,
        };
        return Ok(issue::print(screen.out, &preview)?);
    }
    screen.line("DELETE PREVIEW\n\nIssues to delete:")?;
    for it in going {
        screen.line(&format!("  {}: {}", it.bead.id, text::line(&it.bead.title)))?;
    }
    if links > 0 {
        screen.line(&format!("\nDependency links to remove: {links}"))?;
    }
    if !orphans.is_empty() {
        screen.line(&format!("Would orphan: {}", orphans.join(" ")))?;
    }
    if args.dry_run {
        return screen.line("\n(Dry-run mode - no changes made)");
    }
    let cascade = if args.cascade { " --cascade" } else { "" };
    screen.line("\nThis operation cannot be undone!")?;
    screen.line(&format!(
        "To proceed, run: {} delete {}{cascade} --force",
        screen.name,
        names.join(" ")
    ))
}
