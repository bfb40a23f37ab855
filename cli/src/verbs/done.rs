//! `done`: an agent says that the work on its bead is done, and the rig decides whether that is merged or closed;
//! whoever is no agent closes the bead. Never asks anything after it was said: the agent's token ends with its run.

use super::{Screen, write};
use crate::api;
use crate::args::Close;
use crate::client::Client;
use crate::failure::Failure;
use crate::text;
use beadrig::wire::rig::Done;
use std::env;

pub(super) fn done(
    args: &Close,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let var = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (me, own) = (var("BEADRIG_AGENT_ID"), var("BEADRIG_BEAD_ID"));
    let (Some(me), Some(id)) = (me, own) else {
        return write::close(args, screen, connect);
    };
    // An agent that names none means its own.
    if !args.ids.is_empty() && args.ids != [id.as_str()] {
        return write::close(args, screen, connect);
    }
    let summary = write::reason(&args.why)?;
    api::done(&connect()?, &me, &Done { summary, ..Done::default() })?;
    if screen.json {
        return Ok(crate::issue::print(screen.out, &serde_json::json!({"id": id, "done": true}))?);
    }
    screen.line(&format!("✓ Done {}: it is handed in; stop now", text::clean(&id)))
}
