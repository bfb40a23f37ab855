//! The switch and dispatch by hand over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::command::{Command, Error, Reply};
use crate::refusal::{Code, Refusal};
use crate::store::Sql;
use crate::wire::dispatch::{DispatchTask, Dispatched, PauseDispatch};

pub(super) fn pause<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let fields: PauseDispatch = call.body_or_default()?;
    call.apply(Command::Pause(call.by(), fields.reason))?;
    show(call)
}

pub(super) fn resume<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    call.apply(Command::Resume(call.by()))?;
    show(call)
}

pub(super) fn show<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.dispatch(&call.engine.effective()?)?))
}

/// `POST /agent-dispatch`, with the texts that its clients show.
pub(super) fn dispatch<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let task: DispatchTask = serde_json::from_slice(call.request.body)
        .map_err(|_| Refusal::new(Code::Invalid, "Invalid JSON body."))?;
    let id = task.task_id.unwrap_or_default();
    let id = id.trim();
    if id.is_empty() {
        return Err(Refusal::new(Code::Invalid, "taskId is required.").into());
    }
    match call.apply(Command::Dispatch(call.by(), id.to_owned()))? {
        Reply::Job(job_id) => Ok(Answer::bare(&Dispatched { job_id })),
        _ => Ok(Answer::word("dispatched")),
    }
}

/// `GET /agent-status`
pub(super) fn status<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::bare(&call.engine.agent_status()?))
}

/// `POST /beads/:id/claim`
pub(super) fn claim<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    super::beads::changed(call, Command::Take(call.by(), call.param(0)))
}
