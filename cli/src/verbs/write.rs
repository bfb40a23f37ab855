//! `note`, `close` and `reopen`.

use super::{Screen, each, fields, named};
use crate::api;
use crate::args::{Close, Note, Reopen, Why};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue::{self, Issue, Shape};
use crate::text;
use crate::touched;
use beadrig::wire::dependencies::holds_up;
use beadrig::wire::rig::{BeadView, CloseBead};
use serde::Serialize;

pub(super) fn note(
    args: &Note,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let text = match (&args.file, args.stdin) {
        (Some(path), _) => fields::file(path)?,
        (None, true) => fields::stdin()?,
        (None, false) if args.text.is_empty() => {
            return Err(Failure::fatal(
                "no note text provided (use positional args, --stdin, or --file)",
            ));
        }
        (None, false) => args.text.join(" "),
    };
    if text.trim().is_empty() {
        return Err(Failure::fatal("note text is empty"));
    }
    let client = connect()?;
    let bead = api::add_note(&client, &args.id, &text)
        .map_err(|failure| failure.while_resolving(&args.id))?;
    touched::remember(client.settings(), &bead.id);
    if screen.json {
        screen.object(&bead)
    } else {
        screen.line(&format!("✓ Note added to {}", text::about(&bead)))
    }
}

pub(super) fn close(
    args: &Close,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let reason = reason(&args.why)?.unwrap_or_else(|| "Closed".into());
    let why = CloseBead {
        reason: Some(reason.clone()),
        unless_blocked: !args.force,
        ..CloseBead::default()
    };
    let client = connect()?;
    let ids = named(&args.ids, &client)?;
    let more = args.suggest_next || args.claim_next;
    let mut closed = Vec::new();
    let shape = Some(Shape::Plain).filter(|_| !more);
    let done = each(&ids, "closing", shape, &client, screen, |id, screen| {
        let bead = api::close(&client, id, &why)?;
        closed.push(bead.clone());
        if screen.json {
            return Ok(bead);
        }
        screen.line(&format!("✓ Closed {}: {}", text::about(&bead), text::line(&reason)))?;
        Ok(bead)
    });
    if closed.is_empty() || !more {
        return done;
    }
    if args.suggest_next {
        suggest(&closed, screen, &client)?;
    } else {
        claim_next(&closed, screen, &client)?;
    }
    done
}

/// What `--json` prints after a close that looks for more.
#[derive(Serialize)]
struct Next<'a> {
    closed: Vec<Issue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unblocked: Option<Vec<Issue<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<Issue<'a>>,
}

fn plain(beads: &[BeadView]) -> Vec<Issue<'_>> {
    beads.iter().map(|bead| Issue::new(bead, Shape::Plain)).collect()
}

/// Shows what waited for these beads and waits for nothing any more.
fn suggest(closed: &[BeadView], screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let mut waited = Vec::new();
    for bead in closed {
        let dependents = api::dependencies(client, &bead.id)?.dependents;
        waited.extend(dependents.into_iter().filter(|it| holds_up(&it.kind)).map(|it| it.id));
    }
    let waited: Vec<&str> = waited.iter().map(String::as_str).collect();
    let mut unblocked = Vec::new();
    if !waited.is_empty() {
        unblocked = api::ready(client, "", usize::MAX)?;
        unblocked.retain(|bead| waited.contains(&bead.id.as_str()));
    }
    if screen.json {
        let (closed, unblocked) = (plain(closed), Some(plain(&unblocked)));
        return Ok(issue::print(screen.out, &Next { closed, unblocked, claimed: None })?);
    }
    if !unblocked.is_empty() {
        screen.line("\nNewly unblocked:")?;
    }
    unblocked.iter().try_for_each(|bead| screen.line(&format!("  • {}", text::about(bead))))
}

/// Takes the most urgent bead that is ready and nobody's.
fn claim_next(
    closed: &[BeadView],
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let mut claimed = None;
    for bead in api::ready(client, "", usize::MAX)? {
        if bead.assignee.as_deref().is_some_and(|name| !name.is_empty()) {
            continue;
        }
        match api::claim(client, &bead.id) {
            Err(Failure { kind: Kind::Claimed, .. }) => {}
            other => {
                claimed = Some(other?);
                break;
            }
        }
    }
    if screen.json {
        let claimed = claimed.as_ref().map(|bead| Issue::new(bead, Shape::Plain));
        let next = Next { closed: plain(closed), unblocked: None, claimed };
        return Ok(issue::print(screen.out, &next)?);
    }
    match claimed {
        Some(bead) => screen.line(&format!("✓ Claimed issue: {}", text::about(&bead))),
        None => screen.line("No ready work to claim"),
    }
}

pub(super) fn reopen(
    args: &Reopen,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let why = CloseBead { reason: reason(&args.why)?, ..CloseBead::default() };
    let client = connect()?;
    each(&args.ids, "reopening", Some(Shape::Plain), &client, screen, |id, screen| {
        let bead = api::reopen(&client, id, &why)?;
        if screen.json {
            return Ok(bead);
        }
        let reason = why
            .reason
            .as_deref()
            .map(|reason| format!(": {}", text::line(reason)))
            .unwrap_or_default();
        screen.line(&format!("↻ Reopened {}{reason}", bead.id))?;
        screen.trouble(&bead)?;
        Ok(bead)
    })
}

pub(super) fn reason(why: &Why) -> Result<Option<String>, Failure> {
    let text = match (&why.reason, &why.reason_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => Some(fields::file(path)?),
        (None, None) => None,
    };
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}
