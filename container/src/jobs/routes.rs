//! The routes of jobs, with the bodies of `claude-agent-service`: `detail` says what is wrong.
//!
//! It decides nothing: it reads a request, asks the jobs, and writes the answer.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path as FilePath, PathBuf};

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, Request, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use beadrig::id::Millis;
use beadrig::token;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Jobs;
use super::capture::{STDERR, STDOUT};
use super::life::Status;
use super::request;
use super::result::usd;
use super::store::{Job, StoreError, Submitted};
use crate::connections::{NoBody, Whole};
use crate::limits::{BODY_BYTES_MAX, BODY_MS_MAX, JOB_STDERR_BYTES_MAX, JOB_STDOUT_BYTES_MAX};
use crate::server::{Shared, json as answer, shown};

impl FromRef<Shared> for Jobs {
    fn from_ref(shared: &Shared) -> Self {
        shared.jobs.clone()
    }
}

/// The routes.
pub(crate) fn router(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/execute", post(execute))
        .route("/jobs/{id}", get(job))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(shared.clone(), guard))
}

/// A refusal on its way out.
fn refuse(status: StatusCode, detail: impl Into<Value>) -> Response {
    answer(status, &json!({"detail": detail.into()}))
}

fn unavailable(error: StoreError) -> Response {
    tracing::error!(%error, "a request for a job fails");
    refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{error}: try again later"))
}

async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let shown = shown(request.headers());
    if shown.is_some_and(|shown| token::same(shown, shared.token.expose())) {
        return next.run(request).await;
    }
    let detail = if shown.is_some() { "Invalid token" } else { "Missing bearer token" };
    ([(WWW_AUTHENTICATE, "Bearer")], refuse(StatusCode::UNAUTHORIZED, detail)).into_response()
}

async fn wrong_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

async fn execute(State(jobs): State<Jobs>, headers: HeaderMap, Whole(body): Whole) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(NoBody::TooLate) => {
            let detail = format!("The body did not come within {} s", BODY_MS_MAX / 1000);
            return refuse(StatusCode::REQUEST_TIMEOUT, detail);
        }
        Err(NoBody::Bad(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("The body has more than {BODY_BYTES_MAX} bytes");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, detail);
        }
        Err(NoBody::Bad(error)) => return refuse(error.status(), error.body_text()),
    };
    let read = request::parse(&body).and_then(|asked| {
        let header = headers.get("idempotency-key").map(axum::http::HeaderValue::as_bytes);
        Ok((request::key(header, &asked)?, asked))
    });
    let (key, asked) = match read {
        Ok(read) => read,
        Err(problems) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, problems),
    };
    if jobs.is_closing() {
        let detail = "The service is ending: try again when it is back";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, detail);
    }
    match jobs.submit(key, asked).await {
        Ok((id, Submitted::New)) => accepted(&id, Status::Queued),
        Ok((_, Submitted::Known { id, status })) => accepted(&id, status),
        Ok((_, Submitted::Full)) => refuse(StatusCode::TOO_MANY_REQUESTS, "Queue full"),
        Ok((_, Submitted::OtherRequest)) => {
            let said =
                "Value error, this idempotency key belongs to another request: take a new one";
            let problem =
                json!({"type": "value_error", "loc": ["header", "idempotency-key"], "msg": said});
            refuse(StatusCode::UNPROCESSABLE_ENTITY, vec![problem])
        }
        Err(error) => unavailable(error),
    }
}

fn accepted(id: &str, status: Status) -> Response {
    answer(StatusCode::ACCEPTED, &json!({"job_id": id, "status": status.name()}))
}

/// Callers of the first version take any status but `running` for an end: `?v=1` calls `queued` so too.
#[derive(Default, Deserialize)]
struct Version {
    v: Option<String>,
}

async fn job(
    State(jobs): State<Jobs>,
    id: Result<Path<String>, PathRejection>,
    version: Result<Query<Version>, QueryRejection>,
) -> Response {
    let not_found = || refuse(StatusCode::NOT_FOUND, "Job not found");
    let Ok(Path(id)) = id else { return not_found() };
    let job = match jobs.0.store.job(id).await {
        Ok(Some(job)) => job,
        Ok(None) => return not_found(),
        Err(error) => return unavailable(error),
    };
    let first = version.is_ok_and(|Query(version)| version.v.as_deref() == Some("1"));
    let status = match job.status {
        Status::Queued if first => Status::Running,
        status => status,
    };
    let dir = jobs.0.dir.join(&job.id);
    // A text of many megabytes is in memory some times over; nobody needs many of them at once.
    let Ok(_permit) = jobs.0.readers.acquire().await else { return not_found() };
    let shown = spawn_blocking(move || show(&job, status, &dir)).await;
    match shown.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(job) => answer(StatusCode::OK, &job),
        // Its files went a moment before its row does.
        Err(error) if error.kind() == io::ErrorKind::NotFound => not_found(),
        Err(error) => {
            refuse(StatusCode::SERVICE_UNAVAILABLE, format!("The output cannot be read: {error}"))
        }
    }
}

/// A job on the wire. A key is not there until it has a value; `finished_at` is there exactly when it is over.
#[derive(Serialize)]
struct Shown {
    status: &'static str,
    prompt: String,
    agent: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    metadata: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    said: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_epoch: Option<f64>,
}

#[derive(Serialize)]
struct Said {
    output: Vec<String>,
    stderr: String,
    /// How many bytes are missing at the end of `output`.
    #[serde(skip_serializing_if = "is_none")]
    output_cut_bytes: i64,
    /// How many bytes are missing at the end of `stderr`.
    #[serde(skip_serializing_if = "is_none")]
    stderr_cut_bytes: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(bytes: &i64) -> bool {
    *bytes == 0
}

fn show(job: &Job, status: Status, dir: &FilePath) -> io::Result<Shown> {
    let said = if job.status.is_over() { Some(said(job, dir)?) } else { None };
    let metadata = job.request.metadata.as_deref().and_then(|it| serde_json::from_str(it).ok());
    Ok(Shown {
        status: status.name(),
        prompt: job.request.prompt.clone(),
        agent: job.request.agent.clone(),
        created_at: time(job.created_at),
        started_at: job.started_at.map(time),
        metadata: metadata.unwrap_or_default(),
        exit_code: job.end.exit_code,
        said,
        error: job.end.error.clone(),
        cost_usd: job.end.cost_micros.map(usd),
        session_id: job.end.session_id.clone(),
        finished_at: job.finished_at.map(time),
        #[allow(clippy::cast_precision_loss, reason = "milliseconds are below 2^53")]
        finished_epoch: job.finished_at.map(|at| at as f64 / 1e3),
    })
}

fn said(job: &Job, dir: &FilePath) -> io::Result<Said> {
    // One that never had a place, or no disk, has no files.
    let read = |name, max| match read(dir.join(name), max) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && job.end.exit_code.is_none() => {
            Ok(String::new())
        }
        read => read,
    };
    let output = read(STDOUT, JOB_STDOUT_BYTES_MAX)?;
    Ok(Said {
        output: output.split_inclusive('\n').map(ToOwned::to_owned).collect(),
        stderr: read(STDERR, JOB_STDERR_BYTES_MAX)?,
        output_cut_bytes: job.end.stdout_cut,
        stderr_cut_bytes: job.end.stderr_cut,
    })
}

fn read(path: PathBuf, max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// As Python's `isoformat` has it: microseconds, and `+00:00` for UTC.
fn time(ms: i64) -> String {
    let text = Millis(ms).to_string();
    format!("{}000+00:00", text.trim_end_matches('Z'))
}

/// The fields of `GET /health` that this has besides the service's own.
#[derive(Serialize)]
pub(crate) struct Fullness {
    /// Whether the next one has to wait.
    busy: bool,
    /// Agents and jobs that run.
    active: u64,
    /// Jobs that wait.
    queued: u64,
}

impl Fullness {
    /// How full it is.
    pub(crate) async fn of(jobs: &Jobs, agents: u64, capacity: u64) -> Self {
        let active = agents + jobs.running() as u64;
        // Agents are looked after all the same when jobs cannot be counted.
        let queued = jobs.queued().await.unwrap_or_default();
        Self { busy: active >= capacity, active, queued }
    }
}
