//! What belongs to many beads at once, and names by a part of them, over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::command::Error;
use crate::store::Sql;

pub(super) fn list<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.details(&call.query())?))
}

pub(super) fn names<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.names(&call.query())?))
}
