//! The rig API: a request in, an answer and effects out. Pure, so that all of it can be tested natively; the
//! edge only carries it. Routes, bodies and envelope are Gastown's where Gastown has them.
//!
//! | who | may |
//! |---|---|
//! | operator | everything |
//! | agent | read; do things to itself and to the bead it holds, while its attempt is the live one; file beads |
//! | container | say which runs are alive, and which are over |

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::agent::Role;
use crate::command::{Command, Effect, Error, Moment, Outcome, Reply};
use crate::engine::Engine;
use crate::id::Millis;
use crate::refusal::{Code, Refusal};
use crate::store::Sql;
use crate::token::Caller;
use crate::wire::container::{ExitReport, Heartbeats, Verdict, Verdicts};
use crate::wire::rig as wire;
use crate::wire::{Envelope, PROTOCOL};

/// A request to one rig, by someone who was identified.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, ….
    pub method: &'a str,
    /// What follows `/api/rigs/<rig>` in the path, with its leading slash, still escaped.
    pub path: &'a str,
    /// The query string, without its question mark.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Who calls.
    pub caller: Caller,
    /// The alarm that is set, where the path [asks for it](wants_alarm).
    pub next_tick: Option<Millis>,
}

/// The answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// To be performed once the rows are durable.
    pub effects: Vec<Effect>,
    /// A fault, to be logged: its id is in the body, its text is not.
    pub fault: Option<String>,
}

/// Whether the answer to this path holds the time of the next tick.
pub fn wants_alarm(path: &str) -> bool {
    matches!(path, "/status" | "/health")
}

/// Answers a request.
pub fn handle<S: Sql>(engine: &Engine<S>, moment: Moment, request: &Request<'_>) -> Response {
    match answer(engine, moment, request) {
        Ok(response) => response,
        Err(Error::Refused(refusal)) => refuse(&refusal),
        Err(Error::Fault(err)) => fault(moment, &err.to_string()),
    }
}

/// A refusal as an answer.
pub fn refuse(refusal: &Refusal) -> Response {
    let body = Envelope::error(refusal.code.name(), &refusal.message);
    Response {
        status: refusal.code.status(),
        body: to_json(&body),
        effects: Vec::new(),
        fault: None,
    }
}

/// A fault as an answer: what went wrong stays in the log, under an id that the caller gets.
pub fn fault(moment: Moment, what: &str) -> Response {
    let id = format!("{:016x}", moment.seed);
    let error = format!("Internal server error (id {id}; the log has more under it)");
    Response {
        status: 500,
        body: to_json(&Envelope::error("internal", error)),
        effects: Vec::new(),
        fault: Some(format!("{id}: {what}")),
    }
}

fn answer<S: Sql>(
    engine: &Engine<S>,
    moment: Moment,
    request: &Request<'_>,
) -> Result<Response, Error> {
    let segments = segments(request.path)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    check_caller(engine, request, &segments)?;
    if request.method == "GET" {
        return read(engine, moment.now, request, &segments);
    }
    let (command, status) = command(request, &segments)?;
    let Outcome { reply, effects } = engine.apply(moment, command)?;
    let body = match (reply, segments.as_slice()) {
        (Reply::Bead(bead), ["beads"]) => {
            let view = engine.bead_view(*bead, moment.now)?;
            to_json(&Envelope::ok(wire::BeadView { notes: Some(Vec::new()), ..view }))
        }
        (Reply::Bead(bead), _) => to_json(&Envelope::ok(engine.with_notes(*bead, moment.now)?)),
        (Reply::Agent(member), _) => {
            to_json(&Envelope::ok(engine.agent_view(*member, moment.now)?))
        }
        (Reply::Verdicts(verdicts), _) => to_json(&Envelope::ok(Verdicts {
            verdicts: verdicts
                .into_iter()
                .map(|(beat, verdict)| Verdict {
                    agent_id: beat.agent_id,
                    attempt: beat.attempt,
                    verdict,
                })
                .collect(),
        })),
        (Reply::Done, segments) => to_json(&Envelope::ok(done(request.method, segments))),
    };
    Ok(Response { status, body, effects, fault: None })
}

/// Gastown's words for "it is done".
fn done(method: &str, segments: &[&str]) -> Value {
    match (method, segments.last().copied().unwrap_or_default()) {
        ("DELETE", "hook") => json!({"unhooked": true}),
        (_, "hook") => json!({"hooked": true}),
        (_, "checkpoint") => json!({"written": true}),
        (_, "heartbeat") => json!({"heartbeat": true}),
        (_, "completed") => json!({"completed": true}),
        _ => json!({"done": true}),
    }
}

fn read<S: Sql>(
    engine: &Engine<S>,
    now: Millis,
    request: &Request<'_>,
    segments: &[&str],
) -> Result<Response, Error> {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
    let mut effects = Vec::new();
    let body = match segments {
        ["beads"] => to_json(&Envelope::ok(engine.list_beads(&query, now)?)),
        ["beads", id] => to_json(&Envelope::ok(engine.bead_with_notes(id, now)?)),
        ["agents"] => to_json(&Envelope::ok(engine.list_agents(&query, now)?)),
        ["agents", id] => to_json(&Envelope::ok(engine.agent(id, now)?)),
        ["status"] => to_json(&Envelope::ok(engine.status(request.next_tick, now)?)),
        ["health"] => {
            // Whoever asks how the rig is also makes sure that it will wake.
            if let Some(at) = engine.next_wake(now)? {
                effects.push(Effect::WakeAt(at));
            }
            let next = request.next_tick.map(|at| at.to_string());
            to_json(&Envelope::ok(
                json!({"status": "ok", "protocol": PROTOCOL, "next_tick_at": next}),
            ))
        }
        _ => return Err(no_route(request.method, segments).into()),
    };
    Ok(Response { status: 200, body, effects, fault: None })
}

/// The command that a request is, and the status of its success.
fn command(request: &Request<'_>, segments: &[&str]) -> Result<(Command, u16), Error> {
    use Command as C;
    let by = || request.caller.clone();
    let body = request.body;
    let command = match (request.method, segments) {
        ("POST", ["beads"]) => {
            return Ok((C::CreateBead(by(), Box::new(parse::<wire::CreateBead>(body)?)), 201));
        }
        ("PATCH", ["beads", id]) => {
            C::UpdateBead(by(), id.to_string(), Box::new(parse::<wire::UpdateBead>(body)?))
        }
        ("PATCH", ["beads", id, "status"]) => {
            let set: wire::SetStatus = parse(body)?;
            same_agent(&request.caller, set.agent_id.as_deref())?;
            let change =
                wire::UpdateBead { status: Some(set.status), ..wire::UpdateBead::default() };
            C::UpdateBead(by(), id.to_string(), Box::new(change))
        }
        ("POST", ["beads", id, "notes"]) => {
            let note: wire::AddNote = parse(body)?;
            return Ok((C::AddNote(by(), id.to_string(), note.text), 201));
        }
        ("POST", ["beads", id, verb @ ("close" | "reopen")]) => {
            let close: wire::CloseBead = parse_or_default(body)?;
            same_agent(&request.caller, close.agent_id.as_deref())?;
            if *verb == "close" {
                C::CloseBead(by(), id.to_string(), close.reason)
            } else {
                C::ReopenBead(by(), id.to_string(), close.reason)
            }
        }
        ("POST", ["agents"]) => return Ok((C::RegisterAgent(parse(body)?), 201)),
        ("POST", ["agents", "get-or-create"]) => {
            let wanted: wire::GetOrCreateAgent = parse(body)?;
            let role = Role::parse(&wanted.role).ok_or_else(|| {
                Refusal::invalid("role", format!("{:?} is not a role", wanted.role))
            })?;
            C::GetOrCreateAgent(role)
        }
        ("POST", ["agents", id, "hook"]) => {
            let hook: wire::HookBead = parse(body)?;
            C::HookBead(by(), id.to_string(), hook.bead_id)
        }
        ("DELETE", ["agents", id, "hook"]) => C::UnhookBead(by(), id.to_string()),
        ("POST", ["agents", id, "checkpoint"]) => {
            let checkpoint: wire::Checkpoint = parse(body)?;
            C::Checkpoint(by(), id.to_string(), checkpoint.data)
        }
        ("POST", ["agents", id, "heartbeat"]) => C::Heartbeat(by(), id.to_string()),
        ("POST", ["agents", id, "done"]) => C::Done(by(), id.to_string(), parse_or_default(body)?),
        ("POST", ["agents", id, "completed"]) => {
            C::Exited(by(), id.to_string(), parse::<ExitReport>(body)?)
        }
        ("POST", ["heartbeats"]) => {
            let beats: Heartbeats = parse(body)?;
            if beats.protocol != PROTOCOL {
                let message = format!("protocol {} is not {PROTOCOL}", beats.protocol);
                return Err(Refusal::new(Code::Conflict, message).into());
            }
            C::Heartbeats(beats.agents)
        }
        (method, segments) => return Err(no_route(method, segments).into()),
    };
    Ok((command, 200))
}

/// Whether this caller may use this route at all.
fn check_caller<S: Sql>(
    engine: &Engine<S>,
    request: &Request<'_>,
    segments: &[&str],
) -> Result<(), Error> {
    let forbidden = |message: &str| Err(Refusal::new(Code::Forbidden, message).into());
    match &request.caller {
        Caller::Operator { .. } => Ok(()),
        Caller::Container { town } if *town != engine.settings.town => {
            forbidden("Token townId does not match the rig's town")
        }
        Caller::Container { .. } => match (request.method, segments) {
            ("POST", ["heartbeats"] | ["agents", _, "completed"]) => Ok(()),
            _ => forbidden("the container may only report on its runs"),
        },
        Caller::Agent(claims) => match (request.method, segments) {
            _ if claims.rig_id != engine.rig => forbidden("Token rigId does not match route"),
            ("POST", ["agents" | "heartbeats"] | ["agents", "get-or-create"]) => {
                forbidden("an agent may not make agents or speak for others")
            }
            ("POST" | "DELETE", ["agents", id, ..]) if *id != claims.agent_id => {
                forbidden("Token agentId does not match route")
            }
            ("GET", _) => Ok(engine.check_live(claims)?),
            _ => Ok(()),
        },
    }
}

fn same_agent(caller: &Caller, agent: Option<&str>) -> Result<(), Refusal> {
    match (caller, agent) {
        (Caller::Agent(claims), Some(agent)) if claims.agent_id != agent => {
            Err(Refusal::new(Code::Forbidden, "agent_id does not match authenticated agent"))
        }
        _ => Ok(()),
    }
}

/// 404 for a path that is none, 405 for a method that the path does not have.
fn no_route(method: &str, segments: &[&str]) -> Refusal {
    let methods = match segments {
        ["beads" | "agents"] => "GET, POST",
        ["beads", _] => "GET, PATCH",
        ["beads", _, "status"] => "PATCH",
        ["beads", _, "notes" | "close" | "reopen"] | ["heartbeats"] => "POST",
        ["agents", _, "hook"] => "POST, DELETE",
        ["agents", _, "checkpoint" | "heartbeat" | "done" | "completed"] => "POST",
        ["agents", _] | ["status" | "health"] => "GET",
        _ => return Refusal::new(Code::NotFound, "Not found"),
    };
    Refusal::new(Code::MethodNotAllowed, format!("{method} is not allowed here; {methods}"))
}

fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    path.trim_start_matches('/')
        .split('/')
        .map(|segment| {
            percent_encoding::percent_decode_str(segment)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| Refusal::invalid("path", "must be UTF-8"))
        })
        .collect()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // A list would be read as the fields in their order.
    if body.trim_ascii().first() != Some(&b'{') {
        return Err(Refusal::new(Code::Invalid, "Invalid request body: must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|err| {
        let path = err.path().to_string();
        let field =
            if matches!(path.as_str(), "." | "?") { String::new() } else { format!("{path}: ") };
        Refusal::new(Code::Invalid, format!("Invalid request body: {field}{}", err.inner()))
    })
}

/// As `parse`, for a body that may be left out.
fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { parse(body) }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}
