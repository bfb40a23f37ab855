//! The rig as one of a town, and its end, over HTTP. A user's directory calls these; an operator may too.

use super::{Answer, Call};
use crate::command::{Command, Error};
use crate::engine::Engine;
use crate::refusal::{Code, Refusal};
use crate::store::Sql;

/// What a rig that was deleted still answers: its directory, and the container, which is told to end what still runs.
const AFTERWARDS: [&str; 3] = ["registration", "everything", "heartbeats"];

/// Refuses whoever wants something of a rig that was deleted.
pub(super) fn must_be_there<S: Sql>(engine: &Engine<S>, segments: &[String]) -> Result<(), Error> {
    let answered = matches!(segments, [only] if AFTERWARDS.contains(&only.as_str()));
    match engine.store.deleted_at()? {
        Some(at) if !answered => {
            let message = format!("Rig {} was deleted at {at}", engine.rig);
            Err(Refusal::new(Code::NotFound, message).into())
        }
        _ => Ok(()),
    }
}

pub(super) fn register<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    call.apply(Command::Register(call.by(), call.body()?))?;
    Ok(Answer::word("registered"))
}

pub(super) fn delete_everything<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    call.apply(Command::DeleteEverything(call.by()))?;
    Ok(Answer::word("deleted"))
}
