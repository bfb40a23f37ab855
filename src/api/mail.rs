//! Mail over HTTP. No rules: those are the engine's.

use super::{Answer, Call};
use crate::command::{Command, Error, Reply};
use crate::engine::mail_view;
use crate::store::Sql;
use crate::wire::agents::{AckMail, Acknowledged, MailView, ReadMail, Sent};

pub(super) fn send<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    match call.apply(Command::SendMail(call.by(), call.body()?))? {
        Reply::Number(id) => Ok(Answer::created(&Sent { sent: true, id: id.to_string() })),
        _ => Ok(Answer::word("sent")),
    }
}

/// `?ack=explicit` and `?peek=true` mark nothing; old clients know neither, and what they read is delivered.
pub(super) fn read<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let query = call.query();
    let says =
        |name: &str, word: &str| query.iter().any(|(key, value)| key == name && value == word);
    let how = ReadMail {
        peek: says("ack", "explicit") || says("peek", "true"),
        include_delivered: says("include_delivered", "true"),
    };
    let mails = match call.apply(Command::ReadMail(call.by(), call.param(0), how))? {
        Reply::Mail(mails) => mails,
        _ => Vec::new(),
    };
    Ok(Answer::ok(&mails.into_iter().map(mail_view).collect::<Vec<MailView>>()))
}

pub(super) fn ack<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let ack: AckMail = call.body()?;
    match call.apply(Command::AckMail(call.by(), call.param(0), ack.ids))? {
        Reply::Number(count) => Ok(Answer::ok(&Acknowledged { acknowledged: count })),
        _ => Ok(Answer::word("acknowledged")),
    }
}
