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
//! | `http` | bodies with a bound, answers, deadlines |
//! | `sql` | a Durable Object's SQLite as the store's seam |

#[cfg(feature = "bench")]
mod bench;
mod config;
mod http;
mod perform;
mod rig;
mod sql;
mod town;

use worker::{Context, Env, Request, Response, Result, event};

use crate::refusal::{Code, Refusal};
use crate::token::Caller;
use http::{answer, refuse};

/// The front door.
#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    match forward(req, &env).await {
        Ok(response) => Ok(response),
        Err(refusal) => refuse(&refusal),
    }
}

async fn forward(req: Request, env: &Env) -> std::result::Result<Response, Refusal> {
    let path = req.path();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if segments == ["health"] {
        return answer(200, r#"{"status":"ok"}"#).map_err(unreachable_object);
    }
    let (binding, name) = match segments.as_slice() {
        ["api", "rigs", rig, _, ..] => ("RIG", *rig),
        ["api", "towns", town, "container", _, ..] => ("TOWN_CONTAINER", *town),
        #[cfg(any(feature = "bench", feature = "faults"))]
        ["__bench" | "__fault", "rigs", rig, _, ..] => ("RIG", *rig),
        _ => return Err(Refusal::new(Code::NotFound, "Not found")),
    };
    // The rest of the environment is for the objects, which read it once.
    let secrets = config::secrets(env).map_err(|err| Refusal::new(Code::NotConfigured, err))?;
    let caller = http::caller(&req, &secrets)?;
    if binding == "TOWN_CONTAINER" && !matches!(caller, Caller::Operator { .. }) {
        return Err(Refusal::new(Code::Forbidden, "only the operator may speak to the container"));
    }
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !fits {
        let message = format!("{name:?} is no name: 1 to 64 letters, digits, '-' and '_'");
        return Err(Refusal::new(Code::Invalid, message));
    }
    let object = env.durable_object(binding).and_then(|namespace| namespace.get_by_name(name));
    object.map_err(unreachable_object)?.fetch_with_request(req).await.map_err(unreachable_object)
}

/// The object could not be reached or was reset under the request; what it was asked may have happened.
fn unreachable_object(err: worker::Error) -> Refusal {
    worker::console_error!("{}", serde_json::json!({"event": "fault", "detail": err.to_string()}));
    Refusal::new(Code::ObjectUnavailable, "the rig could not be reached; ask again")
}
