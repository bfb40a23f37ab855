//! `show` and `history`.

use super::{Screen, each, list, thread, watching};
use crate::api;
use crate::args::{History, Show};
use crate::client::{Client, encode};
use crate::failure::{Failure, Kind};
use crate::issue::{self, Comment, Issue, Links, Progress, Shape};
use crate::{text, touched, when};
use beadrig::wire::dependencies::{Dependencies, DependencyView, EventView};
use beadrig::wire::rig::BeadView;
use serde_json::json;
use std::collections::HashMap;
use std::env;

/// The type that a parent and a child have.
pub(super) const PARENT_CHILD: &str = "parent-child";

/// A bead and all that `show` shows of it.
struct Whole {
    bead: BeadView,
    around: Dependencies,
    others: HashMap<String, BeadView>,
    comments: Vec<Comment>,
}

pub(super) fn show(args: &Show, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    if args.as_of.is_some() {
        return Err(Failure::fatal("--as-of needs a database with versions, and a rig has none")
            .hint("`history ID` shows what happened to a bead"));
    }
    let mut ids: Vec<String> = args.ids.iter().chain(&args.id).cloned().collect();
    match (args.current, ids.is_empty()) {
        (true, false) => {
            return Err(Failure::fatal("--current cannot be combined with explicit issue IDs"));
        }
        (true, true) => ids.push(current(client)?),
        (false, true) => {
            return Err(Failure::fatal(
                "at least one issue ID is required (use positional args, --id flag, or --current)",
            ));
        }
        (false, false) => {}
    }
    if args.watch && ids.len() != 1 {
        return Err(Failure::fatal("watch mode requires exactly one issue ID"));
    }
    if args.watch {
        let mut last = None;
        let dated = || {
            let at = Some(api::bead(client, &ids[0])?.updated_at);
            Ok(std::mem::replace(&mut last, at.clone()) != at)
        };
        return watching::watch(client, screen, dated, |screen| shown(args, &ids, screen, client));
    }
    shown(args, &ids, screen, client)
}

/// What whoever calls is at, in bd's order. What bd calls hooked is the bead that an agent was started on.
fn current(client: &Client) -> Result<String, Failure> {
    let own = env::var("BEADRIG_BEAD_ID").ok().filter(|id| !id.is_empty());
    if let Some(own) = own {
        return Ok(own);
    }
    let query = format!("status=in_progress&assignee={}&", encode(&client.name()));
    let mut beads = api::beads(client, &query, usize::MAX)?;
    list::sort(&mut beads, None, false);
    let first = beads.into_iter().next().map(|bead| bead.id);
    first.or_else(|| touched::recall(client.settings())).ok_or_else(|| {
        Failure::fatal(
            "no current issue found (no in-progress, hooked, or recently touched issues)",
        )
    })
}

fn shown(
    args: &Show,
    ids: &[String],
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    if args.thread {
        return thread::show(&ids[0], screen, client);
    }
    if args.children {
        return children(ids, screen, client);
    }
    let mut wholes = Vec::new();
    let mut first = true;
    let shown = each(ids, "fetching", None, client, screen, |id, screen| {
        let bead = api::bead(client, id)?;
        if args.short && !screen.json {
            screen.line(&text::brief(&bead, screen.style))?;
            return Ok(bead);
        }
        let whole = whole(client, bead.clone(), screen.json)?;
        if screen.json {
            wholes.push(whole);
            return Ok(bead);
        }
        if !std::mem::take(&mut first) {
            screen.line(&format!("\n{}\n", "─".repeat(60)))?;
        }
        if !args.refs {
            write!(screen.out, "{}", text::bead(&bead, screen.style))?;
            write!(screen.out, "{}", text::around(&whole.around, screen.style))?;
            write!(screen.out, "{}", text::comments(&whole.comments, screen.style))?;
            return Ok(bead);
        }
        screen.line(&format!("References to {}:", bead.id))?;
        for it in &whole.around.dependents {
            screen.line(&text::linked(it))?;
        }
        Ok(bead)
    });
    if screen.json && !wholes.is_empty() {
        let issues: Vec<_> = wholes.iter().map(Whole::issue).collect();
        issue::print(screen.out, &issues)?;
    }
    if let (true, Err(Failure { kind: Kind::Told, .. })) = (screen.json, &shown) {
        // bd's readers find this on stdout.
        issue::print(screen.out, &json!({ "error": "no issues found matching the provided IDs" }))?;
    }
    shown
}

fn whole(client: &Client, bead: BeadView, json: bool) -> Result<Whole, Failure> {
    let around = api::dependencies(client, &bead.id)?;
    let comments = api::comments(client, &bead.id)?;
    let ids: Vec<&str> =
        around.dependencies.iter().chain(&around.dependents).map(|it| it.id.as_str()).collect();
    let others = if json { api::named(client, &ids)? } else { Vec::new() };
    let others = others.into_iter().map(|bead| (bead.id.clone(), bead)).collect();
    Ok(Whole { bead, around, others, comments })
}

impl Whole {
    fn issue(&self) -> Issue<'_> {
        let progress = (self.bead.kind == "epic").then(|| {
            let children = || self.around.dependents.iter().filter(|it| it.kind == PARENT_CHILD);
            let (total, closed) =
                (children().count(), children().filter(|it| it.status == "closed").count());
            Progress {
                epic_total_children: total,
                epic_closed_children: closed,
                epic_closeable: total > 0 && total == closed,
            }
        });
        Issue {
            dependencies: Links::Issues(linked(&self.around.dependencies, &self.others)),
            dependents: linked(&self.around.dependents, &self.others),
            comments: &self.comments,
            progress,
            ..Issue::new(&self.bead, Shape::Detail)
        }
    }
}

/// The beads at the other ends, as issues.
pub(super) fn linked<'a>(
    links: &'a [DependencyView],
    beads: &'a HashMap<String, BeadView>,
) -> Vec<Issue<'a>> {
    links
        .iter()
        .filter_map(|it| {
            let bead = beads.get(&it.id)?;
            Some(Issue { dependency_type: Some(&it.kind), ..Issue::new(bead, Shape::Plain) })
        })
        .collect()
}

fn children(ids: &[String], screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let mut all = Vec::new();
    for id in ids {
        let parent = api::bead(client, id)?;
        all.extend(api::children(client, &parent.id)?);
    }
    if screen.json {
        return screen.array(&all, Shape::Detail);
    }
    if all.is_empty() { screen.line("No children found.") } else { screen.table(&all) }
}

pub(super) fn history(
    args: &History,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let bead = api::bead(client, &args.id)?;
    let mut events = api::events(client, &bead.id)?;
    events.reverse();
    if args.limit > 0 {
        events.truncate(args.limit);
    }
    if screen.json {
        let events: Vec<_> = events.iter().map(Event::new).collect();
        return Ok(issue::print(screen.out, &events)?);
    }
    if events.is_empty() {
        return screen.line(&format!("No history found for issue {}", bead.id));
    }
    for event in &events {
        let line = told(event);
        screen.line(&text::cut(&line, screen.style.width.unwrap_or(usize::MAX)))?;
    }
    Ok(())
}

/// One line of the audit for people.
fn told(event: &EventView) -> String {
    let change = match (&event.old_value, &event.new_value) {
        (Some(old), Some(new)) => format!(" {old} → {new}"),
        (None, Some(new)) => format!(" {new}"),
        (Some(old), None) => format!(" {old} →"),
        (None, None) => String::new(),
    };
    let said = event.metadata.get("message").and_then(|it| it.as_str());
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    let line = format!("{} {}{change}{said}", event.actor, event.event_type);
    format!("{}  {}", when::show_exactly(&event.created_at), text::line(&line))
}

/// bd's shape of a line of the audit.
#[derive(serde::Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
struct Event<'a> {
    id: &'a str,
    issue_id: &'a str,
    event_type: &'a str,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_value: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_value: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    created_at: &'a str,
}

impl<'a> Event<'a> {
    fn new(event: &'a EventView) -> Self {
        Self {
            id: &event.id,
            issue_id: &event.bead_id,
            event_type: &event.event_type,
            actor: &event.actor,
            old_value: event.old_value.as_ref(),
            new_value: event.new_value.as_ref(),
            comment: event.metadata.get("message").and_then(|it| it.as_str()),
            created_at: &event.created_at,
        }
    }
}
