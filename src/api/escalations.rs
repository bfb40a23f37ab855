//! Escalations over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::command::{Command, Error, Reply};
use crate::store::Sql;

pub(super) fn create<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    answer(call, Command::Escalate(call.by(), Box::new(call.body()?)))
}

pub(super) fn list<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let query = call.query();
    // A town asks for its own alone: the rig may have moved since.
    if let Some((_, town)) = query.iter().find(|(key, _)| key == "town") {
        call.engine.must_be_in(town)?;
    }
    Ok(Answer::ok(&call.engine.list_escalations(&query, call.now())?))
}

pub(super) fn acknowledge<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    answer(call, Command::Acknowledge(call.by(), call.param(0)))
}

fn answer<S: Sql>(call: &Call<'_, S>, command: Command) -> Result<Answer, Error> {
    match call.apply(command)? {
        Reply::Escalation(it, new) => {
            let (bead, it) = *it;
            let view = call.engine.escalation_view(bead, it, call.now())?;
            Ok(Answer { status: if new { 201 } else { 200 }, ..Answer::ok(&view) })
        }
        _ => Ok(Answer::word("done")),
    }
}
