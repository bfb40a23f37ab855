//! The trace of refused calls: what an operator looks at when an agent says that it may not. It must not cost more than
//! a few rows a minute, whoever asks how often.

use super::{Answer, Call, Request};
use crate::command::{Error, Moment};
use crate::engine::Engine;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{RefusedCall, Sql, SqlError};
use crate::token::Caller;
use crate::wire::rig;

/// Writes a refusal down, if it is one that somebody will ask about: not every mistyped name, but whoever may not,
/// comes too late, or wants too much. Whoever has no token does not come so far.
pub(super) fn trace<S: Sql>(
    engine: &Engine<S>,
    moment: Moment,
    request: &Request<'_>,
    refusal: &Refusal,
) -> Result<(), SqlError> {
    let traced = match refusal.code {
        Code::Forbidden
        | Code::StaleAttempt
        | Code::IdempotencyMismatch
        | Code::Protocol
        | Code::TooLarge
        | Code::LimitReached => true,
        Code::Invalid
        | Code::NotFound
        | Code::Unauthorized
        | Code::Conflict
        | Code::Exists
        | Code::MethodNotAllowed
        | Code::ObjectUnavailable
        | Code::NotConfigured => false,
    };
    // Of a rig that was deleted nothing is kept.
    if !traced || engine.store.deleted_at()?.is_some() {
        return Ok(());
    }
    let (caller, id) = match &request.caller {
        Caller::Operator { actor } => ("operator", actor),
        Caller::Container { town } => ("container", town),
        Caller::Agent(claims) => ("agent", &claims.agent_id),
    };
    let cut = |text: &str| text.chars().take(limits::REFUSED_PATH_CHARS_MAX).collect();
    engine.store.add_refused_call(&RefusedCall {
        seq: 0,
        at: moment.now,
        caller: caller.to_owned(),
        caller_id: id.to_owned(),
        method: request.method.to_owned(),
        path: cut(request.path),
        status: refusal.code.status(),
        code: refusal.code.name().to_owned(),
    })
}

/// `GET /refusals`, by `after` and `limit`.
pub(super) fn list<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let (mut after, mut limit) = (0, limits::PAGE_ROWS);
    for (key, value) in call.query() {
        let number = || value.parse::<u32>();
        match key.as_str() {
            "after" => after = number().map_err(|_| not_a_number())?,
            "limit" => limit = number().map_err(|_| not_a_number())?.min(limits::PAGE_ROWS_MAX),
            _ => {}
        }
    }
    let calls = call.engine.store.refused_calls(after.into(), limit)?;
    let shown = calls.into_iter().map(|it| rig::RefusedCall {
        seq: it.seq,
        at: it.at.to_string(),
        caller: it.caller,
        caller_id: it.caller_id,
        method: it.method,
        path: it.path,
        status: it.status,
        code: it.code,
    });
    Ok(Answer::ok(&shown.collect::<Vec<_>>()))
}

fn not_a_number() -> Refusal {
    Refusal::invalid("after and limit", "must be non-negative integers")
}
