//! Comments, import and export over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::command::{Command, Error, Reply};
use crate::engine::comment_view;
use crate::store::Sql;
use crate::wire::exchange::{AddComment, CommentView, ImportBatch};

pub(super) fn add_comment<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let fields: AddComment = call.body()?;
    match call.apply(Command::AddComment(call.by(), call.param(0), fields))? {
        Reply::Comment(comment) => Ok(Answer::created(&comment_view(*comment))),
        _ => Ok(Answer::word("created")),
    }
}

pub(super) fn comments<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let comments = call.engine.comments(&call.param(0))?;
    Ok(Answer::ok(&comments.into_iter().map(comment_view).collect::<Vec<CommentView>>()))
}

pub(super) fn import<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let batch: ImportBatch = call.body()?;
    match call.apply(Command::Import(call.by(), batch))? {
        Reply::Imported(report) => Ok(Answer::ok(&report)),
        _ => Ok(Answer::word("done")),
    }
}

pub(super) fn export<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.export(&call.query())?))
}
