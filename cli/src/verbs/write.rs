//! `note`, `close` and `reopen`.

use super::{Screen, each, fields};
use crate::api;
use crate::args::{Close, Note, Reopen, Why};
use crate::client::Client;
use crate::failure::Failure;
use crate::issue::Shape;
use crate::text;
use beadrig::wire::rig::CloseBead;

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
    let bead = api::add_note(&connect()?, &args.id, &text)?;
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
    let why = CloseBead { reason: Some(reason.clone()), agent_id: None };
    let client = connect()?;
    each(&args.ids, "closing", Shape::Plain, screen, |id, screen| {
        let bead = api::close(&client, id, &why)?;
        if screen.json {
            return Ok(bead);
        }
        screen.line(&format!("✓ Closed {}: {}", text::about(&bead), text::line(&reason)))?;
        Ok(bead)
    })
}

pub(super) fn reopen(
    args: &Reopen,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let why = CloseBead { reason: reason(&args.why)?, agent_id: None };
    let client = connect()?;
    each(&args.ids, "reopening", Shape::Plain, screen, |id, screen| {
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
