//! The Durable Object of a town as one thing: it carries requests to the core, and what the core asks of rigs to those.
//!
//! Rigs are asked at once, so many at a time, each with a deadline; one that does not answer keeps no other back. What
//! comes from a rig comes from inside, under a path that the front door lets nobody have.

use futures_util::{StreamExt as _, stream};
use worker::{DurableObject, Env, Method, Request, Response, Result, State, durable_object};

use super::config;
use super::http::{self, answer, moment};
use super::peers::{self, ANSWER_MS, Credentials};
use super::rig::{guarded, platform, say_fault};
use super::sql::DurableSql;
use crate::api;
use crate::hall::{self, RigCall, Todo};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::HallBook;
use crate::token::Secrets;

/// What a rig asks before it starts an agent: `/layer/<rig>`.
pub(super) const LAYER: &str = "/layer/";

/// A town.
#[durable_object(fetch)]
pub struct Hall {
    env: Env,
    opened: std::result::Result<Opened, String>,
}

/// What is needed to answer.
struct Opened {
    hall: hall::Hall<DurableSql>,
    secrets: Secrets,
}

impl DurableObject for Hall {
    fn new(state: State, env: Env) -> Self {
        let opened = open(&state, &env);
        Self { env, opened }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        guarded(self.answer(req)).await
    }
}

fn open(state: &State, env: &Env) -> std::result::Result<Opened, String> {
    let secrets = config::secrets(env)?;
    let town = state.id().name().ok_or("the object has no name")?;
    let book = HallBook::open(DurableSql::open(state)).map_err(|err| err.to_string())?;
    Ok(Opened { hall: hall::Hall { book, town }, secrets })
}

impl Hall {
    async fn answer(&self, mut req: Request) -> std::result::Result<Response, Refusal> {
        let opened = self.opened.as_ref();
        let opened = opened.map_err(|err| Refusal::new(Code::NotConfigured, err.clone()))?;
        let url = req.url().map_err(|err| Refusal::new(Code::Invalid, err.to_string()))?;
        if let Some(rig) = url.path().strip_prefix(LAYER) {
            return layer(opened, rig);
        }
        let caller = http::caller(&req, &opened.secrets)?;
        let credentials = Credentials::of(&req);
        let known = http::header(&req, "if-none-match");
        let body = http::body(&mut req).await?;
        // /api/towns/<town>/<what follows>
        let path = format!("/{}", url.path().splitn(5, '/').nth(4).unwrap_or_default());
        let method = req.inner().method();
        let request = hall::Request {
            method: &method,
            path: &path,
            query: url.query().unwrap_or_default(),
            body: &body,
            caller,
        };
        let mut response = match hall::handle(&opened.hall, moment(), &request) {
            Todo::Answer(response) => response,
            Todo::Ask(calls, then) => {
                let said = self.ask(&credentials, calls).await;
                opened.hall.answered(moment(), then, &said)
            }
        };
        if let Some(fault) = &response.fault {
            say_fault(fault);
        }
        let read = if method == "HEAD" { "GET" } else { &method };
        api::tag(read, known.as_deref(), &mut response);
        http::respond(response, &method).map_err(platform)
    }

    async fn ask(&self, by: &Credentials, calls: Vec<RigCall>) -> Vec<(String, hall::Said)> {
        let asked = stream::iter(calls).map(|call| async move {
            let method = if call.method == "GET" { Method::Get } else { Method::Post };
            let what = (method, call.path.as_str(), ANSWER_MS);
            let said = peers::rig(&call.rig).ask(&self.env, by, what, call.body).await;
            (call.rig, said)
        });
        asked.buffer_unordered(limits::RIGS_AT_ONCE).collect().await
    }
}

/// What is set for the rigs of the town; a rig that asks is one of them.
fn layer(opened: &Opened, rig: &str) -> std::result::Result<Response, Refusal> {
    let fault = |err: crate::command::Error| {
        say_fault(&format!("layer for {rig}: {err}"));
        Refusal::new(Code::ObjectUnavailable, "the town's settings cannot be read")
    };
    let layer = opened.hall.layer_for(rig, moment().now).map_err(fault)?;
    let body = serde_json::to_string(&layer).map_err(|err| platform(err.into()))?;
    answer(200, &body).map_err(platform)
}
