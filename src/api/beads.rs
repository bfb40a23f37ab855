//! Beads over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::command::{Command, Error, Reply};
use crate::refusal::Refusal;
use crate::store::Sql;
use crate::wire::rig::{AddNote, BeadView, CloseBead, CreateBead, SetStatus, UpdateBead};

pub(super) fn create<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let fields: CreateBead = call.body()?;
    match call.apply(Command::CreateBead(call.by(), Box::new(fields)))? {
        Reply::Bead(bead) => {
            let view = call.engine.bead_view(*bead, call.now())?;
            // A new bead has no notes to ask for.
            Ok(Answer::created(&BeadView { notes: Some(Vec::new()), ..view }))
        }
        _ => Ok(Answer::word("created")),
    }
}

pub(super) fn list<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.list_beads(&call.query(), call.now())?))
}

pub(super) fn get<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.bead_with_notes(&call.param(0), call.now())?))
}

pub(super) fn update<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let change: UpdateBead = call.body()?;
    changed(call, Command::UpdateBead(call.by(), call.param(0), Box::new(change)))
}

pub(super) fn set_status<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let set: SetStatus = call.body()?;
    call.same_agent(set.agent_id.as_deref())?;
    let change = UpdateBead { status: Some(set.status), ..UpdateBead::default() };
    changed(call, Command::UpdateBead(call.by(), call.param(0), Box::new(change)))
}

pub(super) fn add_note<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let note: AddNote = call.body()?;
    let answer = changed(call, Command::AddNote(call.by(), call.param(0), note.text))?;
    Ok(Answer { status: 201, ..answer })
}

pub(super) fn close<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let close: CloseBead = call.body_or_default()?;
    let reason = reason(call)?;
    if close.unless_blocked {
        // Nothing comes between this and the change: a call is answered in one go.
        call.engine.may_be_closed(&call.param(0))?;
    }
    changed(call, Command::CloseBead(call.by(), call.param(0), reason))
}

pub(super) fn reopen<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let reason = reason(call)?;
    changed(call, Command::ReopenBead(call.by(), call.param(0), reason))
}

fn reason<S: Sql>(call: &Call<'_, S>) -> Result<Option<String>, Refusal> {
    let close: CloseBead = call.body_or_default()?;
    call.same_agent(close.agent_id.as_deref())?;
    Ok(close.reason)
}

/// Carries out a change of a bead and answers the bead with its notes.
pub(super) fn changed<S: Sql>(call: &Call<'_, S>, command: Command) -> Result<Answer, Error> {
    match call.apply(command)? {
        Reply::Bead(bead) => Ok(Answer::ok(&call.engine.with_notes(*bead, call.now())?)),
        _ => Ok(Answer::word("done")),
    }
}
