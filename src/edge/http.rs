//! Bodies with a bound, answers, and deadlines. Shared by the objects; knows no routes.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use worker::{Date, Delay, Headers, Request, Response, ResponseBuilder, Result};

use crate::api;
use crate::command::Moment;
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::token::{Caller, Secrets};

/// Now, as the platform tells it: it stands still between two awaits.
pub(super) fn now() -> Millis {
    Millis(Date::now().as_millis().cast_signed())
}

/// Now, and some chance. Names are made of it, never secrets.
pub(super) fn moment() -> Moment {
    let now = now();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any bits will do")]
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    Moment { now, seed: (half() << 32) ^ half() ^ now.0.cast_unsigned() }
}

/// Who sent a request, by its headers.
pub(super) fn caller(req: &Request, secrets: &Secrets) -> std::result::Result<Caller, Refusal> {
    let (authorization, actor) = (header(req, "authorization"), header(req, "x-beadrig-actor"));
    secrets
        .caller(authorization.as_deref(), actor.as_deref(), now())
        .map_err(|err| Refusal::new(Code::Unauthorized, err.to_string()))
}

/// Reads a body, and stops reading where it is too long. One whose length is known comes in one piece: a stream costs
/// several crossings into JavaScript for each.
pub(super) async fn body(req: &mut Request) -> std::result::Result<Vec<u8>, Refusal> {
    let known = header(req, "content-length").and_then(|it| it.parse::<usize>().ok());
    match known {
        Some(0) => return Ok(Vec::new()),
        Some(length) if length > limits::REQUEST_BYTES_MAX => return Err(too_large()),
        Some(_) => {
            let body = req.bytes().await.map_err(|_| ended_early())?;
            return if body.len() > limits::REQUEST_BYTES_MAX {
                Err(too_large())
            } else {
                Ok(body)
            };
        }
        None => {}
    }
    let mut body = Vec::new();
    let Ok(mut stream) = req.stream() else { return Ok(body) };
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ended_early())?;
        if body.len() + chunk.len() > limits::REQUEST_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn ended_early() -> Refusal {
    Refusal::new(Code::Invalid, "the body ended early")
}

fn too_large() -> Refusal {
    let message = format!("the body has more than {} bytes", limits::REQUEST_BYTES_MAX);
    Refusal::new(Code::TooLarge, message)
}

/// A JSON answer.
pub(super) fn answer(status: u16, body: &str) -> Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .fixed(body.as_bytes().to_vec()))
}

/// What the core answers. What asks with HEAD, and what is known already, gets no body.
pub(super) fn respond(response: api::Response, method: &str) -> Result<Response> {
    let headers = Headers::new();
    for (name, value) in &response.headers {
        headers.set(name, value)?;
    }
    let bare = ResponseBuilder::new().with_status(response.status);
    if response.status == 304 {
        return Ok(bare.with_headers(headers).empty());
    }
    headers.set("content-type", "application/json")?;
    let bare = bare.with_headers(headers);
    if method == "HEAD" {
        return Ok(bare.empty());
    }
    Ok(bare.fixed(response.body.into_bytes()))
}

/// The path is there, the method is not.
pub(super) fn not_allowed(method: &str, allowed: &str) -> Result<Response> {
    let message = format!("{method} is not allowed here, but {allowed}");
    let mut response = api::refuse(&Refusal::new(Code::MethodNotAllowed, message));
    response.headers.push(("allow", allowed.to_owned()));
    respond(response, method)
}

/// One header of a request.
pub(super) fn header(req: &Request, name: &str) -> Option<String> {
    req.headers().get(name).ok().flatten()
}

/// A refusal as an answer.
pub(super) fn refuse(refusal: &Refusal) -> Result<Response> {
    let response = api::refuse(refusal);
    answer(response.status, &response.body)
}

/// Waits for something, but not for ever; none when the time is up.
pub(super) async fn within<T>(ms: u64, work: impl Future<Output = T>) -> Option<T> {
    let deadline = Delay::from(Duration::from_millis(ms));
    match select(pin!(work), pin!(deadline)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
