//! The HTTP side: the protocol's table of routes, who may ask, and how a refusal is written down.
//!
//! It decides nothing: it reads a request, asks the owner of the agents, and writes the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRef, Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use beadrig::token;
use beadrig::wire::container::{
    AgentList, Health, Message, Problem, Secret, StartAgent, StopAgent,
};
use beadrig::wire::merge::{MergeEntry, MergeRequest, MergeStrategy};
use beadrig::wire::{PROTOCOL, PROTOCOL_HEADER};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::connections::{NoBody, Whole};
use crate::git::merger::Merger;
use crate::jobs::routes::Fullness;
use crate::jobs::{self, Jobs};
use crate::limits::{BODY_BYTES_MAX, BODY_MS_MAX, READERS_MAX, RING_LINES_MAX};
use crate::policy::Denial;
use crate::stream;
use crate::supervisor::Supervisor;

/// What the routes need.
#[derive(Clone)]
pub struct Shared {
    /// What callers must show.
    pub token: Secret,
    /// Changes with each start of the service.
    pub boot_id: Arc<str>,
    /// When that was.
    pub began: Instant,
    /// How many agents may run at once.
    pub capacity: usize,
    /// The number that the town gave this start.
    pub incarnation: Option<i64>,
    /// Places for those who read along.
    pub readers: Arc<Semaphore>,
    /// Who knows the agents.
    pub supervisor: Supervisor,
    /// The jobs.
    pub jobs: Jobs,
    /// Who does the merges.
    pub merger: Merger,
}

impl FromRef<Shared> for Supervisor {
    fn from_ref(shared: &Shared) -> Self {
        shared.supervisor.clone()
    }
}

/// The routes. Whoever has no token does not even learn which ones there are.
pub fn router(shared: Shared) -> Router {
    let health =
        Router::new().route("/health", get(health)).method_not_allowed_fallback(wrong_method);
    Router::new()
        .route("/agents/start", post(start))
        .route("/agents", get(list))
        .route("/agents/{id}/stop", post(stop))
        .route("/agents/{id}/message", post(message))
        .route("/agents/{id}/status", get(status))
        .route("/agents/{id}/events", get(events))
        .route("/git/merge", post(merge))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), guard))
        .merge(health)
        .merge(jobs::routes::router(&shared))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(versioned))
        .with_state(shared)
}

/// A refusal on its way out.
struct Refusal(StatusCode, Problem);

type Answer = Result<Response, Refusal>;

impl Refusal {
    fn new(status: StatusCode, code: &str, error: impl Into<String>) -> Self {
        Self(status, Problem { error: error.into(), code: code.to_owned() })
    }

    fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let status = match &denial {
            Denial::Invalid(_) => StatusCode::BAD_REQUEST,
            Denial::Protocol(_) | Denial::StaleAttempt { .. } | Denial::StaleMerge { .. } => {
                StatusCode::CONFLICT
            }
            Denial::NotRunning { .. } | Denial::InputClosed(_) => StatusCode::CONFLICT,
            Denial::NotFound(_) | Denial::NoSuchAttempt { .. } => StatusCode::NOT_FOUND,
            Denial::Held { .. }
            | Denial::Full(_)
            | Denial::NoRoom(_)
            | Denial::MergesFull(_)
            | Denial::Closing
            | Denial::InputFull(_) => StatusCode::SERVICE_UNAVAILABLE,
            Denial::SpawnFailed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Denial::Down => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, denial.code(), denial.to_string())
    }
}

async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if shown(request.headers()).is_some_and(|shown| token::same(shown, shared.token.expose())) {
        // Who says nothing of it speaks as it was before there was more than one.
        return match spoken(request.headers()) {
            Some(protocol) if protocol != PROTOCOL => {
                Refusal::from(Denial::Protocol(protocol)).into_response()
            }
            _ => next.run(request).await,
        };
    }
    let what = "this takes the container's token: Authorization: Bearer <token>";
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", what);
    ([(WWW_AUTHENTICATE, "Bearer")], refusal).into_response()
}

/// The token that a request shows.
pub(crate) fn shown(headers: &HeaderMap) -> Option<&str> {
    token::bearer(headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()))
}

/// Which version a request says that it is in; one that is no number is none that we speak.
fn spoken(headers: &HeaderMap) -> Option<u32> {
    let value = headers.get(PROTOCOL_HEADER)?;
    Some(value.to_str().ok().and_then(|value| value.trim().parse().ok()).unwrap_or(0))
}

async fn versioned(mut response: Response) -> Response {
    response.headers_mut().insert(PROTOCOL_HEADER, PROTOCOL.into());
    response
}

async fn unknown_route(request: Request) -> Refusal {
    let what = format!("there is nothing at {}", request.uri().path());
    Refusal::new(StatusCode::NOT_FOUND, "not_found", what)
}

async fn wrong_method(request: Request) -> Refusal {
    let what = format!("{} does not take {}", request.uri().path(), request.method());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", what)
}

async fn health(State(shared): State<Shared>) -> Answer {
    let (agents, is_draining) = shared.supervisor.health().await?;
    let uptime = shared.began.elapsed().as_millis();
    let health = Health {
        status: if is_draining { "draining" } else { "ok" }.to_owned(),
        boot_id: shared.boot_id.to_string(),
        protocol: PROTOCOL,
        agents: agents as u64,
        capacity: shared.capacity as u64,
        uptime: u64::try_from(uptime).unwrap_or(u64::MAX),
        incarnation: shared.incarnation,
    };
    let fullness = Fullness::of(&shared.jobs, health.agents, health.capacity).await;
    Ok(json(StatusCode::OK, &HealthWithJobs { health, fullness }))
}

/// Our own fields, and those that callers of the agent service look at.
#[derive(Serialize)]
struct HealthWithJobs {
    #[serde(flatten)]
    health: Health,
    #[serde(flatten)]
    fullness: Fullness,
}

async fn start(State(supervisor): State<Supervisor>, body: Whole) -> Answer {
    let bytes = whole(body)?;
    // Looked at first: another version may have other fields.
    let Spoken { protocol } = parse(&bytes)?;
    if protocol != PROTOCOL {
        return Err(Denial::Protocol(protocol).into());
    }
    let started = supervisor.start(parse::<StartAgent>(&bytes)?).await?;
    let status = if started.fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &started.status))
}

#[derive(Deserialize)]
struct Spoken {
    protocol: u32,
}

async fn stop(
    State(supervisor): State<Supervisor>,
    id: Result<Path<String>, PathRejection>,
    body: Whole,
) -> Answer {
    let bytes = whole(body)?;
    let stop: StopAgent = if bytes.is_empty() { StopAgent::default() } else { parse(&bytes)? };
    Ok(json(StatusCode::OK, &supervisor.stop(agent(id)?, stop).await?))
}

async fn message(
    State(supervisor): State<Supervisor>,
    id: Result<Path<String>, PathRejection>,
    body: Whole,
) -> Answer {
    let message: Message = parse(&whole(body)?)?;
    supervisor.message(agent(id)?, message).await?;
    Ok(json(StatusCode::OK, &serde_json::json!({"sent": true})))
}

async fn status(
    State(supervisor): State<Supervisor>,
    id: Result<Path<String>, PathRejection>,
) -> Answer {
    Ok(json(StatusCode::OK, &supervisor.status(agent(id)?).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfRig {
    rig_id: Option<String>,
}

async fn list(State(shared): State<Shared>, query: Result<Query<OfRig>, QueryRejection>) -> Answer {
    let Query(OfRig { rig_id }) = query.map_err(|error| Refusal::invalid(error.body_text()))?;
    let agents = shared.supervisor.list(rig_id).await?;
    let list = AgentList { boot_id: shared.boot_id.to_string(), protocol: PROTOCOL, agents };
    Ok(json(StatusCode::OK, &list))
}

#[derive(Deserialize)]
struct Cursor {
    after: Option<u64>,
    limit: Option<usize>,
}

async fn events(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<Cursor>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let Query(Cursor { after, limit }) =
        query.map_err(|error| Refusal::invalid(error.body_text()))?;
    if stream::is_wanted(&headers) {
        let last = stream::last_event(&headers).map_err(Refusal::invalid)?;
        let output = shared.supervisor.output(agent(id)?).await?;
        let place = shared.readers.try_acquire_owned().map_err(|_| {
            let what = format!("{READERS_MAX} readers of events are here: try again later");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "capacity", what)
        })?;
        return Ok(stream::answer(output, last.or(after).unwrap_or(0), place));
    }
    let limit = limit.unwrap_or(RING_LINES_MAX);
    let page = shared.supervisor.events(agent(id)?, after.unwrap_or(0), limit).await?;
    Ok(json(StatusCode::OK, &page))
}

async fn merge(State(shared): State<Shared>, body: Whole) -> Answer {
    let bytes = whole(body)?;
    let shape: MergeShape = parse(&bytes)?;
    let (request, has_numbers) = match shape.protocol {
        Some(PROTOCOL) => (parse::<MergeRequest>(&bytes)?, true),
        Some(other) => return Err(Denial::Protocol(other).into()),
        None => (parse::<OneMerge>(&bytes)?.into(), false),
    };
    shared.merger.submit(request, has_numbers)?;
    let answer = serde_json::json!({"status": "accepted", "message": "Merge started"});
    Ok(json(StatusCode::ACCEPTED, &answer))
}

#[derive(Deserialize)]
struct MergeShape {
    protocol: Option<u32>,
}

/// A merge as Gastown asks for it: one branch, no protocol.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneMerge {
    rig_id: String,
    branch: String,
    target_branch: String,
    git_url: String,
    entry_id: String,
    bead_id: String,
    agent_id: String,
    #[serde(default)]
    env_vars: BTreeMap<String, String>,
}

impl From<OneMerge> for MergeRequest {
    fn from(one: OneMerge) -> Self {
        let entry = MergeEntry {
            entry_id: one.entry_id,
            attempt: 0,
            bead_id: one.bead_id,
            title: String::new(),
            agent_name: one.agent_id,
            branch: one.branch,
        };
        Self {
            protocol: PROTOCOL,
            rig_id: one.rig_id,
            git_url: one.git_url,
            target_branch: Some(one.target_branch),
            strategy: MergeStrategy::Direct,
            time_limit_s: None,
            gates: Vec::new(),
            gates_parallel: false,
            entries: vec![entry],
            env_vars: one.env_vars,
        }
    }
}

fn agent(id: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    id.map(|Path(id)| id).map_err(|error| Refusal::invalid(error.body_text()))
}

fn whole(Whole(body): Whole) -> Result<Bytes, Refusal> {
    body.map_err(|why| match why {
        NoBody::TooLate => {
            let what = format!("the body did not come within {} s", BODY_MS_MAX / 1000);
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "invalid", what)
        }
        NoBody::Bad(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let what = format!("the body has more than {BODY_BYTES_MAX} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid", what)
        }
        NoBody::Bad(error) => Refusal::invalid(error.body_text()),
    })
}

/// Reads JSON; the refusal names the field.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        Refusal::invalid(format!("the body is not what this takes: {place}{}", error.into_inner()))
    })?;
    json.end()
        .map_err(|error| Refusal::invalid(format!("the body is not one JSON value: {error}")))?;
    Ok(read)
}

pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("application/json"));
    (status, headers, serde_json::to_vec(body).expect("plain data")).into_response()
}
