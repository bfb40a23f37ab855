//! What is said of agents, what they print, and what they are primed with, over HTTP. No rules: those are the
//! engine's.

use super::{Answer, Call};
use crate::command::{Command, Error, Reply};
use crate::store::Sql;
use crate::wire::agents::{AppendEvents, Appended};

pub(super) fn set_status<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    match call.apply(Command::SetAgentStatus(call.by(), call.param(0), call.body()?))? {
        Reply::Agent(member) => Ok(Answer::ok(&call.engine.agent_view(*member, call.now())?)),
        _ => Ok(Answer::word("done")),
    }
}

pub(super) fn delete<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    call.apply(Command::DeleteAgent(call.by(), call.param(0)))?;
    Ok(Answer::word("deleted"))
}

pub(super) fn prime<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.prime(&call.param(0), call.now())?))
}

pub(super) fn checkpoint<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.checkpoint_of(&call.param(0))?))
}

pub(super) fn events<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.agent_events(&call.param(0), &call.query())?))
}

pub(super) fn append_events<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let events: AppendEvents = call.body()?;
    let many = events.events.is_some();
    match call.apply(Command::AppendEvents(call.by(), events))? {
        Reply::Number(count) if many => {
            Ok(Answer::created(&Appended { appended: true, count: Some(count) }))
        }
        _ => Ok(Answer::created(&Appended { appended: true, count: None })),
    }
}
