//! Calls that are done once: an `Idempotency-Key` names a change, and whoever sends it again gets the first answer.
//! The answer is kept in the transaction of the change, so that there is never one without the other.
//!
//! Only what was done is kept: a refusal changed nothing, and may be otherwise the next time. Two equal calls at the
//! same time cannot be: an object is single-threaded, and nothing waits between the question and the answer. A call
//! without a key pays nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::Request;
use crate::command::Error;
use crate::engine::Engine;
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{KeptAnswer, Sql};
use crate::token::Caller;

/// What was answered, and whether it was answered before.
pub(super) struct Once {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) replayed: bool,
}

/// Does the work, or answers what was answered when it was done.
pub(super) fn done_once<S: Sql>(
    engine: &Engine<S>,
    now: Millis,
    request: &Request<'_>,
    work: impl Fn() -> Result<(u16, String), Error>,
) -> Result<Once, Error> {
    let fresh = |(status, body)| Once { status, body, replayed: false };
    let Some(key) = request.idempotency_key.filter(|_| request.method != "GET") else {
        return work().map(fresh);
    };
    let name = name(request, key)?;
    let hash = hash(request.body);
    let done = engine.store.atomically(|| {
        if let Some(kept) = engine.store.kept_answer(&name, now)?
            && !crate::mutant!(KeysAreIgnored)
        {
            return again(kept, &hash);
        }
        let (status, body) = work()?;
        let kept = (body.len() <= limits::KEPT_ANSWER_BYTES_MAX).then(|| body.clone());
        let answer = KeptAnswer { at: now, hash: hash.clone(), status, body: kept };
        engine.store.keep_answer(&name, &answer)?;
        Ok(fresh((status, body)))
    });
    match done {
        // What such a refusal writes into the audit went with the transaction: without one, it stays.
        Err(Error::Refused(refusal)) if refusal.code == Code::StaleAttempt => work().map(fresh),
        done => done,
    }
}

fn again(kept: KeptAnswer, hash: &str) -> Result<Once, Error> {
    if kept.hash != hash {
        let message = "this Idempotency-Key came before with another body; take a new key";
        return Err(Refusal::new(Code::IdempotencyMismatch, message).into());
    }
    let Some(body) = kept.body else {
        let message = format!(
            "done already at {}; its answer was too large to be kept: ask how it is now",
            kept.at
        );
        return Err(Refusal::new(Code::Conflict, message).into());
    };
    Ok(Once { status: kept.status, body, replayed: true })
}

/// Keys are a caller's own, and a route's.
fn name(request: &Request<'_>, key: &str) -> Result<String, Refusal> {
    let fits = (1..=limits::IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len())
        && key.bytes().all(|it| it.is_ascii_graphic());
    if !fits {
        let problem =
            format!("must be 1 to {} visible ASCII characters", limits::IDEMPOTENCY_KEY_CHARS_MAX);
        return Err(Refusal::invalid("Idempotency-Key", problem));
    }
    let caller = match &request.caller {
        Caller::Operator { .. } => "operator",
        Caller::Container { .. } => "container",
        Caller::Agent(claims) => &format!("agent {}", claims.agent_id),
    };
    Ok(format!("{caller}\n{} {}\n{key}", request.method, request.path))
}

/// 128 bits of SHA-256: nobody finds another body for it.
pub(super) fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..16])
}
