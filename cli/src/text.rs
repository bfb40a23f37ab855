//! Beads and rigs for people. What comes from a rig may have been written by anyone, an agent too, so control
//! characters never reach the terminal.

use crate::issue::{Comment, priority_number};
use crate::when;
use beadrig::wire::dependencies::{Dependencies, DependencyView};
use beadrig::wire::rig::{AgentView, BeadView, RigStatus};
use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

/// What the terminal can do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Colours.
    pub color: bool,
    /// Columns; none where lines may be as long as they like.
    pub width: Option<usize>,
}

/// The few colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// Of little interest.
    Dim,
    /// A heading.
    Bold,
    /// All is well.
    Green,
    /// It waits.
    Yellow,
    /// It is broken.
    Red,
}

impl Style {
    /// Paints, where there are colours.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Dim => 2,
            Paint::Bold => 1,
            Paint::Green => 32,
            Paint::Yellow => 33,
            Paint::Red => 31,
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Without control characters, but with its lines.
pub fn clean(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(bad) { text.replace(bad, "").into() } else { text.into() }
}

/// On one line.
pub fn line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `✓ Closed rig-a1b — Fix the parser`.
pub fn about(bead: &BeadView) -> String {
    format!("{} — {}", bead.id, line(&bead.title))
}

/// Why it does not move and what to do, if there is something to say.
pub fn trouble(bead: &BeadView, style: Style) -> Option<String> {
    if let Some(failure) = &bead.failure {
        let text = format!("{}: {}", label(&bead.status), line(&failure.message));
        return Some(style.paint(Paint::Red, &text));
    }
    let waiting = bead.waiting.as_ref()?;
    let until =
        waiting.until.as_deref().map(|time| format!(" (until {})", when::show_exactly(time)));
    let text = format!("Waiting: {}{}", line(&waiting.message), until.unwrap_or_default());
    Some(style.paint(Paint::Yellow, &text))
}

fn label(status: &str) -> &'static str {
    match status {
        "blocked" => "Blocked",
        "failed" => "Failed",
        _ => "Failure",
    }
}

/// A whole bead.
pub fn bead(bead: &BeadView, style: Style) -> String {
    let mut out = format!("{}\n", style.paint(Paint::Bold, &about(bead)));
    if let Some(trouble) = trouble(bead, style) {
        writeln!(out, "{trouble}").expect("a string takes everything");
    }
    out.push('\n');
    let dated = |time: &Option<String>| time.as_deref().map(when::show);
    let closed = bead.closed_at.as_deref().map(|time| match &bead.close_reason {
        Some(reason) => format!("{}: {}", when::show(time), line(reason)),
        None => when::show(time),
    });
    let facts = [
        ("Status", Some(style.paint(status_paint(&bead.status), &bead.status))),
        ("Priority", Some(format!("P{} ({})", priority_number(&bead.priority), bead.priority))),
        ("Type", Some(bead.kind.clone())),
        ("Assignee", bead.assignee.clone()),
        ("Agent", bead.assignee_agent_id.clone()),
        ("Attempts", (bead.attempts > 0).then(|| format!("{} in the last 24 h", bead.attempts))),
        ("Parent", bead.parent.clone()),
        ("Labels", (!bead.labels.is_empty()).then(|| bead.labels.join(", "))),
        ("External", bead.external_ref.clone()),
        ("Due", dated(&bead.due_at)),
        ("Deferred", dated(&bead.defer_until)),
        ("Created", Some(format!("{} by {}", when::show(&bead.created_at), bead.created_by))),
        ("Updated", Some(when::show(&bead.updated_at))),
        ("Started", dated(&bead.started_at)),
        ("Closed", closed),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            // The status alone is painted by us; the rest may hold anything.
            let value = if name == "Status" { value } else { line(&value) };
            writeln!(out, "{} {value}", style.paint(Paint::Dim, &format!("{name:<9}")))
                .expect("a string takes everything");
        }
    }
    let texts = [
        ("DESCRIPTION", &bead.body),
        ("DESIGN", &bead.design),
        ("ACCEPTANCE CRITERIA", &bead.acceptance_criteria),
    ];
    for (name, text) in texts {
        if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
            section(&mut out, name, clean(text).trim_end(), style);
        }
    }
    if !bead.metadata.is_empty() {
        let text = serde_json::to_string_pretty(&bead.metadata).unwrap_or_default();
        section(&mut out, "METADATA", &clean(&text), style);
    }
    notes(&mut out, bead, style);
    out
}

/// One line: what it is, how urgent, how it is.
pub fn brief(bead: &BeadView, style: Style) -> String {
    let priority = priority_number(&bead.priority);
    let status = style.paint(status_paint(&bead.status), &bead.status);
    format!("{} [{status}] P{priority} {}: {}", bead.id, line(&bead.kind), line(&bead.title))
}

/// The bead at the other end of a dependency.
pub fn linked(it: &DependencyView) -> String {
    format!("  {}: {} ({}) via {}", line(&it.id), line(&it.title), it.status, line(&it.kind))
}

/// What a bead depends on, and what depends on it.
pub fn around(around: &Dependencies, style: Style) -> String {
    let mut out = String::new();
    let lists = [("DEPENDS ON", &around.dependencies), ("NEEDED BY", &around.dependents)];
    for (name, links) in lists {
        if !links.is_empty() {
            let lines: Vec<_> = links.iter().map(linked).collect();
            section(&mut out, name, &lines.join("\n"), style);
        }
    }
    out
}

/// What was said about a bead.
pub fn comments(comments: &[Comment], style: Style) -> String {
    let said: Vec<(&str, &str, &str)> =
        comments.iter().map(|it| (&*it.created_at, &*it.author, &*it.text)).collect();
    let mut out = String::new();
    if !said.is_empty() {
        section(&mut out, "COMMENTS", &dated(&said, style), style);
    }
    out
}

/// Each under its head, so that a text of many lines is one text.
fn dated(said: &[(&str, &str, &str)], style: Style) -> String {
    let lines: Vec<_> = said
        .iter()
        .map(|(at, author, text)| {
            let head = style.paint(Paint::Dim, &format!("{} {}", when::show(at), line(author)));
            format!("{head}\n  {}", clean(text.trim_end()).replace('\n', "\n  "))
        })
        .collect();
    lines.join("\n")
}

fn section(out: &mut String, name: &str, text: &str, style: Style) {
    write!(out, "\n{}\n{text}\n", style.paint(Paint::Bold, name))
        .expect("a string takes everything");
}

fn notes(out: &mut String, bead: &BeadView, style: Style) {
    let notes = bead.notes.as_deref().unwrap_or_default();
    if notes.is_empty() {
        return;
    }
    let said: Vec<(&str, &str, &str)> =
        notes.iter().map(|it| (&*it.at, &*it.author, &*it.text)).collect();
    section(out, "NOTES", &dated(&said, style), style);
}

fn status_paint(status: &str) -> Paint {
    match status {
        "in_progress" | "in_review" => Paint::Green,
        "blocked" | "failed" => Paint::Red,
        "deferred" => Paint::Yellow,
        "closed" => Paint::Dim,
        _ => Paint::Plain,
    }
}

/// One line for each bead. The title comes last and is cut to what the terminal has left.
pub fn table(beads: &[BeadView], style: Style) -> String {
    let rows: Vec<[String; 6]> = beads
        .iter()
        .map(|bead| {
            let priority = format!("P{}", priority_number(&bead.priority));
            let assignee = cut(&line(bead.assignee.as_deref().unwrap_or("-")), 16);
            [
                line(&bead.id),
                priority,
                line(&bead.status),
                line(&bead.kind),
                assignee,
                line(&bead.title),
            ]
        })
        .collect();
    let head = ["ID", "P", "STATUS", "TYPE", "ASSIGNEE", "TITLE"];
    let mut widths = head.map(UnicodeWidthStr::width);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let before: usize = widths[..5].iter().map(|width| width + 2).sum();
    let left = style.width.map_or(usize::MAX, |width| width.saturating_sub(before).max(10));
    let mut out = style.paint(
        Paint::Dim,
        &row(&head.map(str::to_owned), &widths, left, |_, cell| cell.to_owned()),
    );
    out.push('\n');
    for cells in &rows {
        let paint = |column: usize, cell: &str| match column {
            2 => style.paint(status_paint(&cells[2]), cell),
            _ => cell.to_owned(),
        };
        out.push_str(&row(cells, &widths, left, paint));
        out.push('\n');
    }
    out
}

fn row(
    cells: &[String; 6],
    widths: &[usize; 6],
    left: usize,
    paint: impl Fn(usize, &str) -> String,
) -> String {
    let mut out = String::new();
    for (column, cell) in cells[..5].iter().enumerate() {
        out.push_str(&paint(column, cell));
        out.push_str(&" ".repeat(widths[column] - cell.width() + 2));
    }
    out + &cut(&cells[5], left)
}

/// At most so wide, with an ellipsis where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    text.chars().take_while(fits).collect::<String>() + "…"
}

/// What a rig is doing.
pub fn rig(rig: &RigStatus, style: Style) -> String {
    let beads: Vec<_> =
        rig.beads.iter().map(|(status, count)| format!("{count} {}", line(status))).collect();
    let mut beads = if beads.is_empty() { "none".into() } else { beads.join(", ") };
    if rig.more_finished {
        beads.push_str(", and older ones");
    }
    let busy = rig.agents.iter().filter(|agent| agent.current_hook_bead_id.is_some()).count();
    let mut out = format!("{}\n", style.paint(Paint::Bold, &format!("Rig {}", line(&rig.rig_id))));
    let mut fact = |name: &str, value: &str| {
        writeln!(out, "{} {value}", style.paint(Paint::Dim, &format!("{name:<9}")))
            .expect("a string takes everything");
    };
    fact("Beads", &beads);
    fact("Agents", &format!("{busy} of {} at work", rig.max_agents));
    for agent in &rig.agents {
        fact("", &format!("  {}", one_agent(agent)));
    }
    let off = "off: no bead is handed to an agent until it is switched on";
    let dispatch = if rig.dispatch_enabled { "on".into() } else { style.paint(Paint::Yellow, off) };
    fact("Dispatch", &dispatch);
    if let Some(breaker) = &rig.breaker {
        fact("Breaker", &style.paint(Paint::Yellow, &line(&breaker.message)));
    }
    fact(
        "Next tick",
        &rig.next_tick_at.as_deref().map_or("none: nothing to do".into(), when::show_exactly),
    );
    out
}

fn one_agent(agent: &AgentView) -> String {
    let mut out = format!("{} ({}) {}", line(&agent.name), agent.role, agent.status);
    if let Some(bead) = &agent.current_hook_bead_id {
        write!(out, " on {}", line(bead)).expect("a string takes everything");
    }
    if let Some(attempt) = &agent.attempt {
        let reason = attempt
            .reason
            .as_deref()
            .map(|reason| format!(": {}", line(reason)))
            .unwrap_or_default();
        write!(out, ", attempt {} {}{reason}", attempt.number, attempt.state)
            .expect("a string takes everything");
    }
    if let Some(time) = &agent.last_activity_at {
        write!(out, ", last active {}", when::show_exactly(time))
            .expect("a string takes everything");
    }
    out
}
