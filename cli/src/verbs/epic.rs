//! `epic status` and `epic close-eligible`.

use super::Screen;
use crate::api;
use crate::args::{Epic, EpicVerb};
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::{self, Issue, Shape};
use crate::text;
use beadrig::wire::rig::{BeadView, CloseBead};
use serde::Serialize;

/// An epic and how far it is.
struct Progress {
    epic: BeadView,
    total: usize,
    closed: usize,
}

/// bd's shape of it.
#[derive(Serialize)]
struct Shown<'a> {
    epic: Issue<'a>,
    total_children: usize,
    closed_children: usize,
    eligible_for_close: bool,
}

impl Progress {
    fn is_done(&self) -> bool {
        self.total > 0 && self.total == self.closed
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            epic: Issue::new(&self.epic, Shape::Plain),
            total_children: self.total,
            closed_children: self.closed,
            eligible_for_close: self.is_done(),
        }
    }
}

pub(super) fn epic(args: &Epic, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    match &args.verb {
        EpicVerb::Status { eligible_only } => {
            let mut epics = all(client)?;
            epics.retain(|it| it.is_done() || !eligible_only);
            status(&epics, screen)
        }
        EpicVerb::CloseEligible { dry_run, reason } => {
            let mut epics = all(client)?;
            epics.retain(Progress::is_done);
            close(&epics, *dry_run, reason, screen, client)
        }
    }
}

fn all(client: &Client) -> Result<Vec<Progress>, Failure> {
    let mut epics = Vec::new();
    for epic in api::beads(client, "exclude_status=closed&type=epic&", usize::MAX)? {
        let children = api::children(client, &epic.id)?;
        let closed = children.iter().filter(|it| it.status == "closed").count();
        epics.push(Progress { epic, total: children.len(), closed });
    }
    Ok(epics)
}

fn status(epics: &[Progress], screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        let shown: Vec<_> = epics.iter().map(Progress::shown).collect();
        return Ok(issue::print(screen.out, &shown)?);
    }
    if epics.is_empty() {
        return screen.line("No open epics found");
    }
    for it in epics {
        let percent = (it.closed * 100).checked_div(it.total).unwrap_or(0);
        let mark = if it.is_done() { "✓" } else { "○" };
        screen.line(&format!("{mark} {} {}", it.epic.id, text::line(&it.epic.title)))?;
        let (closed, total) = (it.closed, it.total);
        screen.line(&format!("   Progress: {closed}/{total} children closed ({percent}%)"))?;
        if it.is_done() {
            screen.line("   Eligible for closure")?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
struct Closed<'a> {
    closed: &'a [String],
    count: usize,
    reason: &'a str,
}

fn close(
    epics: &[Progress],
    dry_run: bool,
    reason: &str,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    if epics.is_empty() {
        if screen.json {
            return Ok(issue::print(screen.out, &[(); 0])?);
        }
        return screen.line("No epics eligible for closure");
    }
    if dry_run {
        if screen.json {
            return status(epics, screen);
        }
        screen.line(&format!("Would close {} epic(s) with reason {reason:?}:", epics.len()))?;
        return epics.iter().try_for_each(|it| {
            screen.line(&format!("  - {}: {}", it.epic.id, text::line(&it.epic.title)))
        });
    }
    let why =
        CloseBead { reason: Some(reason.to_owned()), unless_blocked: true, ..CloseBead::default() };
    let mut closed = Vec::new();
    for it in epics {
        match api::close(client, &it.epic.id, &why) {
            Ok(bead) => closed.push(bead.id),
            Err(failure) => {
                let message = text::clean(&failure.message);
                writeln!(screen.err, "Error closing {}: {message}", it.epic.id)?;
            }
        }
    }
    if closed.is_empty() {
        return Err(Failure::told());
    }
    if screen.json {
        let done = Closed { closed: &closed, count: closed.len(), reason };
        return Ok(issue::print(screen.out, &done)?);
    }
    screen.line(&format!("✓ Closed {} epic(s) with reason {reason:?}", closed.len()))?;
    closed.iter().try_for_each(|id| screen.line(&format!("  - {id}")))
}
