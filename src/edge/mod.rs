//! The Cloudflare glue: the only place that knows `worker`.
//!
//! The worker's front door identifies the caller and finds the object; it reads no body. The rules are in
//! [`api`](crate::api) and [`engine`](crate::engine); nothing here decides anything about beads.
//!
//! | module | holds |
//! |---|---|
//! | `config` | the environment, read once |
//! | `rig` | the Durable Object of a rig: requests and the alarm |
//! | `perform` | effects: asking the container, arming the alarm, telling |
//! | `town` | the Durable Object that owns a town's container |
//! | `container` | what `worker` lacks of the platform's container |
//! | `directory` | the Durable Object of a user's towns and rigs |
//! | `hall` | the Durable Object of a town as one thing |
//! | `peers` | asking other objects |
//! | `watchdog` | the Durable Object that looks after the rigs' alarms from outside |
//! | `http` | bodies with a bound, answers, deadlines |
//! | `sql` | a Durable Object's SQLite as the store's seam |

#[cfg(feature = "bench")]
mod bench;
mod config;
mod container;
mod directory;
mod hall;
mod http;
mod peers;
mod perform;
mod rig;
mod sql;
mod town;
mod watchdog;

use worker::{
    Context, Env, Method, Request, Response, Result, ScheduleContext, ScheduledEvent, event,
};

use crate::api;
use crate::refusal::{Code, Refusal};
use crate::settings::DEFAULT_RIG;
use crate::token::{Caller, Secrets};
use http::{answer, refuse};

/// The front door.
#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    let Some(origin) = http::header(&req, "origin") else { return answered(req, &env).await };
    // A page of another origin: the browser asks first whether it may.
    let allowed = env.var("CORS_ORIGIN").ok().map(|it| it.to_string().trim().to_owned());
    let allowed = allowed.as_deref().filter(|it| !it.is_empty());
    if req.method() == Method::Options
        && let Some(headers) = api::preflight(allowed, Some(&origin))
    {
        return with(Response::empty()?.with_status(204), headers);
    }
    with(answered(req, &env).await?, api::cors(allowed, Some(&origin)))
}

/// Every few minutes, by the platform's clock.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _ctx: ScheduleContext) {
    if let Err(err) = watchdog::round(&env).await {
        worker::console_error!(
            "{}",
            serde_json::json!({"event": "fault", "detail": format!("watchdog: {err}")})
        );
    }
}

async fn answered(req: Request, env: &Env) -> Result<Response> {
    match forward(req, env).await {
        Ok(response) => Ok(response),
        Err(refusal) => refuse(&refusal),
    }
}

/// An answer with more headers; those of an object's answer cannot be changed where they are.
fn with(response: Response, more: Vec<api::Header>) -> Result<Response> {
    if more.is_empty() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    for (name, value) in more {
        headers.set(name, &value)?;
    }
    Ok(response.with_headers(headers))
}

async fn forward(req: Request, env: &Env) -> std::result::Result<Response, Refusal> {
    let path = req.path();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let own = match segments.as_slice() {
        ["health"] => Some(r#"{"status":"ok"}"#),
        ["openapi.json"] => {
            http::caller(&req, &secrets(env)?)?;
            Some(api::OPENAPI)
        }
        _ => None,
    };
    if let Some(body) = own {
        return here(&req.inner().method(), body).map_err(unreachable_object);
    }
    let rig_of_query = query(&req, "rig").unwrap_or_else(|| DEFAULT_RIG.to_owned());
    let (binding, name) = match segments.as_slice() {
        ["api", "users", user, _, ..] => ("DIRECTORY", *user),
        ["api", "rigs", rig, _, ..] => ("RIG", *rig),
        ["api", "towns", town, "convoys" | "escalations" | "config" | "rigs", ..] => {
            ("HALL", *town)
        }
        ["api", "watchdog" | "pause" | "resume"] => ("WATCHDOG", watchdog::NAME),
        // What clients of the pollers call; they know of no rigs.
        ["api", "agent-dispatch" | "agent-status"] => ("RIG", rig_of_query.as_str()),
        ["api", "towns", town, "container", _, ..] => ("TOWN_CONTAINER", *town),
        #[cfg(any(feature = "bench", feature = "faults"))]
        ["__bench" | "__fault", "rigs", rig, _, ..] => ("RIG", *rig),
        _ => return Err(Refusal::new(Code::NotFound, "Not found")),
    };
    let caller = http::caller(&req, &secrets(env)?)?;
    if let (
        "TOWN_CONTAINER" | "DIRECTORY" | "HALL" | "WATCHDOG",
        Caller::Container { .. } | Caller::Agent(_),
    ) = (binding, &caller)
    {
        let message = match binding {
            "DIRECTORY" => crate::directory::FORBIDDEN,
            "HALL" => crate::hall::FORBIDDEN,
            "WATCHDOG" => "only the operator may do this",
            _ => "only the operator may speak to the container",
        };
        return Err(Refusal::new(Code::Forbidden, message));
    }
    let methods: &[&str] = if path == "/api/pause" { &["GET", "POST"] } else { &["POST"] };
    if binding == "WATCHDOG" && !methods.contains(&req.inner().method().as_str()) {
        return http::not_allowed(&req.inner().method(), &methods.join(", "))
            .map_err(unreachable_object);
    }
    let name = if binding == "DIRECTORY" { crate::directory::user(name)? } else { named(name)? };
    let object = env.durable_object(binding).and_then(|namespace| namespace.get_by_name(&name));
    object.map_err(unreachable_object)?.fetch_with_request(req).await.map_err(unreachable_object)
}

fn query(req: &Request, name: &str) -> Option<String> {
    let url = req.url().ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The name of an object in a path, if it is one.
fn named(name: &str) -> std::result::Result<String, Refusal> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        return Ok(name.to_owned());
    }
    let message = format!("{name:?} is no name: 1 to 64 letters, digits, '-' and '_'");
    Err(Refusal::new(Code::Invalid, message))
}

/// Who may call. The rest of the environment is for the objects, which read it once.
fn secrets(env: &Env) -> std::result::Result<Secrets, Refusal> {
    config::secrets(env).map_err(|err| Refusal::new(Code::NotConfigured, err))
}

/// What the worker answers by itself.
fn here(method: &str, body: &str) -> Result<Response> {
    match method {
        "GET" => answer(200, body),
        "HEAD" => answer(200, ""),
        method => http::not_allowed(method, "GET, HEAD"),
    }
}

/// The object could not be reached or was reset under the request; what it was asked may have happened.
fn unreachable_object(err: worker::Error) -> Refusal {
    worker::console_error!("{}", serde_json::json!({"event": "fault", "detail": err.to_string()}));
    Refusal::new(Code::ObjectUnavailable, "the rig could not be reached; ask again")
}
