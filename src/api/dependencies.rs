//! Dependencies, lists by readiness, deletion and the audit over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::command::{Command, Error};
use crate::store::Sql;
use crate::wire::dependencies::AddDependency;

pub(super) fn add<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let new: AddDependency = call.body()?;
    let other = new.depends_on.clone();
    call.apply(Command::AddDependency(call.by(), call.param(0), new))?;
    Ok(Answer::created(&call.engine.dependency(&call.param(0), &other)?))
}

pub(super) fn remove<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    call.apply(Command::RemoveDependency(call.by(), call.param(0), call.param(1)))?;
    Ok(Answer::word("deleted"))
}

pub(super) fn list<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.dependencies(&call.param(0))?))
}

pub(super) fn children<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.children(&call.param(0), &call.query(), call.now())?))
}

pub(super) fn ready<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.ready(&call.query(), call.now())?))
}

pub(super) fn blocked<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.blocked(&call.query(), call.now())?))
}

pub(super) fn delete<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    call.apply(Command::DeleteBead(call.by(), call.param(0)))?;
    Ok(Answer::word("deleted"))
}

pub(super) fn events<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.events(&call.query())?))
}
