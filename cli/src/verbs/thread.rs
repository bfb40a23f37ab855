//! `show --thread`: a conversation of beads that answer each other (`replies-to`), from its first one on, by time.

use super::Screen;
use crate::api;
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::Shape;
use crate::text::{self, Paint};
use crate::when;
use beadrig::wire::rig::BeadView;
use std::collections::{HashMap, HashSet};

/// More than anybody reads; each costs two questions.
const BEADS_MAX: usize = 1000;
/// As deep as it is drawn.
const DEPTH_MAX: usize = 5;

const REPLIES_TO: &str = "replies-to";

pub(super) fn show(id: &str, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let start = api::bead(client, id)
        .map_err(|failure| failure.while_resolving(&format!("message {id}")))?;
    let root = root(start.id, client)?;
    let (mut ids, mut answers) = (vec![root.clone()], HashMap::new());
    let mut seen = HashSet::from([root.clone()]);
    let mut next = 0;
    while let Some(id) = ids.get(next).cloned() {
        next += 1;
        for reply in api::dependencies(client, &id)?.dependents {
            if reply.kind == REPLIES_TO && ids.len() < BEADS_MAX && seen.insert(reply.id.clone()) {
                answers.insert(reply.id.clone(), id.clone());
                ids.push(reply.id);
            }
        }
    }
    if ids.len() == BEADS_MAX {
        screen.warn(&format!("only {BEADS_MAX} messages are shown"))?;
    }
    let named: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut beads = api::named(client, &named)?;
    beads.sort_by(|one, other| (&one.created_at, &one.id).cmp(&(&other.created_at, &other.id)));
    if screen.json {
        return screen.array(&beads, Shape::Plain);
    }
    let title = beads.iter().find(|it| it.id == root).map_or("", |it| it.title.as_str());
    screen.line(&format!("\n📬 Thread: {}", text::line(title)))?;
    screen.line(&"─".repeat(66))?;
    for bead in &beads {
        one(bead, &answers, screen)?;
    }
    screen.line(&format!("Total: {} messages in thread\n", beads.len()))
}

/// The first one: what is answered, and what that answers.
fn root(mut id: String, client: &Client) -> Result<String, Failure> {
    let mut seen = HashSet::from([id.clone()]);
    loop {
        let above = api::dependencies(client, &id)?.dependencies;
        match above.into_iter().find(|it| it.kind == REPLIES_TO) {
            Some(it) if seen.len() < BEADS_MAX && seen.insert(it.id.clone()) => id = it.id,
            _ => return Ok(id),
        }
    }
}

fn one(
    bead: &BeadView,
    answers: &HashMap<String, String>,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let above = |id: &String| answers.get(id);
    let depth = std::iter::successors(above(&bead.id), |id| above(id)).take(DEPTH_MAX).count();
    let indent = "  ".repeat(depth);
    let mark = if bead.status == "closed" { "✓" } else { "📧" };
    let time = screen.style.paint(Paint::Dim, &when::show(&bead.created_at));
    screen.line(&format!("{indent}{mark} {} {time}", bead.id))?;
    let to = bead.assignee.as_deref().filter(|name| !name.is_empty());
    let to = to.map(|name| format!("  To: {}", text::line(name))).unwrap_or_default();
    screen.line(&format!("{indent}  From: {}{to}", text::line(&bead.created_by)))?;
    if let Some(other) = above(&bead.id) {
        screen.line(&format!("{indent}  Re: {other}"))?;
    }
    screen.line(&format!("{indent}  Subject: {}", text::line(&bead.title)))?;
    for line in bead.body.as_deref().unwrap_or_default().lines() {
        screen.line(&format!("{indent}  {}", text::clean(line)))?;
    }
    screen.line("")
}
