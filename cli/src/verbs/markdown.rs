//! `create --file`: bd's form of several issues in one text. Each `## Title` begins one; what follows it is the
//! description, and `### Section` says the rest. Only reads; what is made of it is in [`super::plan`].

use super::dep::Wanted;
use super::plan::{self, End, New, Plan, Tie};
use super::read::PARENT_CHILD;
use super::{Screen, fields};
use crate::args::Create;
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::priority_number;
use crate::{issue, text};
use beadrig::wire::rig::CreateBead;
use std::path::Path;

pub(super) fn create(
    path: &Path,
    args: &Create,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    if args.dry_run {
        return Err(Failure::fatal("--dry-run is not supported with --file flag"));
    }
    let is_markdown = path
        .extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("md") || it.eq_ignore_ascii_case("markdown"));
    if !is_markdown {
        return Err(in_file("invalid file type: only .md and .markdown files are supported"));
    }
    let text = plan::text(path)?;
    let plan = read(&text, screen)?;
    let client = connect()?;
    let made = plan::make(&plan, &client, screen)?;
    if screen.json {
        let issues: Vec<_> =
            made.iter().map(|bead| issue::Issue::new(bead, issue::Shape::Plain)).collect();
        return Ok(issue::print(screen.out, &issues)?);
    }
    if args.silent {
        return made.iter().try_for_each(|bead| screen.line(&bead.id));
    }
    screen.line(&format!("✓ Created {} issues from {}:", made.len(), path.display()))?;
    for bead in &made {
        let (priority, kind) = (priority_number(&bead.priority), text::line(&bead.kind));
        screen.line(&format!(
            "  {}: {} [P{priority}, {kind}]",
            bead.id,
            text::line(&bead.title)
        ))?;
        screen.trouble(bead)?;
    }
    Ok(())
}

fn in_file(what: &str) -> Failure {
    Failure::fatal(format!("parsing markdown file: {what}"))
}

/// What the text says.
pub(super) fn read(text: &str, screen: &mut Screen<'_>) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let mut section: Option<(String, Vec<&str>)> = None;
    for line in text.lines() {
        let title = heading(line, "##");
        if title.is_some() || heading(line, "###").is_some() {
            finish(section.take(), &mut plan, screen)?;
        }
        if let Some(title) = title {
            let bead = CreateBead {
                title: title.to_owned(),
                kind: Some("task".into()),
                ..CreateBead::default()
            };
            plan.beads.push(New { name: title.to_owned(), bead, refs: Vec::new() });
        } else if let Some(name) = heading(line, "###") {
            section = Some((name.to_lowercase(), Vec::new()));
        } else if let Some((_, lines)) = &mut section {
            lines.push(line);
        } else if let Some(new) = plan.beads.last_mut().filter(|_| !line.is_empty()) {
            // As in bd: until the first section, lines without those that are empty.
            let body = new.bead.body.get_or_insert_default();
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(line);
        }
    }
    finish(section, &mut plan, screen)?;
    if plan.beads.is_empty() {
        return Err(in_file("no issues found in markdown file (expected ## Issue Title format)"));
    }
    Ok(plan)
}

/// What follows so many `#` and a space.
fn heading<'a>(line: &'a str, marks: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(marks)?;
    let title = rest.trim();
    (rest.starts_with([' ', '\t']) && !title.is_empty()).then_some(title)
}

/// What a section says of the last bead; sections of other names say nothing, as in bd.
fn finish(
    section: Option<(String, Vec<&str>)>,
    plan: &mut Plan,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let Some((name, lines)) = section else { return Ok(()) };
    let n = plan.beads.len();
    let Some(new) = plan.beads.last_mut() else { return Ok(()) };
    let text = lines.join("\n");
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    let words = || text.split([',', ' ', '\n', '\t', '\r']).filter(|it| !it.is_empty());
    let bead = &mut new.bead;
    match name.as_str() {
        "priority" => match fields::priority(text) {
            Ok(number) => bead.priority = Some(number.into()),
            Err(_) => screen.warn(&format!(
                "invalid priority '{}' in '{}', using default P2",
                text::line(text),
                text::line(&bead.title)
            ))?,
        },
        "type" => bead.kind = Some(fields::kind(text)),
        "description" => bead.body = Some(text.to_owned()),
        "design" => bead.design = Some(text.to_owned()),
        "acceptance criteria" | "acceptance" => bead.acceptance_criteria = Some(text.to_owned()),
        "assignee" => bead.assignee = Some(text.to_owned()),
        "labels" => bead.labels = Some(words().map(str::to_owned).collect()),
        "dependencies" | "deps" => {
            for word in words() {
                let wanted = Wanted::read(word).map_err(|what| in_file(&what))?;
                if wanted.kind == PARENT_CHILD {
                    bead.parent = Some(wanted.other);
                    continue;
                }
                let (bead, on) = (End::New(n - 1), End::There(wanted.other));
                plan.ties.push(Tie { bead, on, kind: wanted.kind });
            }
        }
        _ => {}
    }
    Ok(())
}
