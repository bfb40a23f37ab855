//! The rig API: a request in, an answer and effects out. Pure, so that all of it can be tested natively; the
//! edge only carries it. Routes, bodies and envelope are Gastown's where Gastown has them.
//!
//! The routes are one table, [`Routes::ALL`]: what is matched, who may come, what answers. Whoever may not come
//! by the table never reaches the code behind it.
//!
//! | who | may |
//! |---|---|
//! | operator | everything |
//! | agent | read; do things to itself and to the bead it holds, while its attempt is the live one; file beads |
//! | container | say which runs are alive, and which are over |

mod agents;
mod beads;
mod body;
mod crew;
mod dependencies;
#[cfg(feature = "schema")]
pub mod describe;
mod details;
mod dispatch;
mod escalations;
mod exchange;
mod headers;
mod mail;
mod once;
#[cfg(feature = "schema")]
pub mod openapi;
mod refusals;
mod registration;
mod routes;
pub(crate) mod table;
mod work;

use std::cell::RefCell;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::command::{Command, Effect, Error, Moment, Reply};
use crate::engine::Engine;
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::Sql;
use crate::token::Caller;
use crate::wire::rig::Health;
use crate::wire::{Envelope, PROTOCOL};

pub(crate) use body::{parse, segments};
pub use headers::{Header, cors, preflight};
pub(crate) use routes::params;
pub use routes::{Access, Route, Routes};

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
    /// `Idempotency-Key`: a change is done once under it.
    pub idempotency_key: Option<&'a str>,
    /// `If-None-Match`: the answers that the caller has already.
    pub if_none_match: Option<&'a str>,
    /// The alarm that is set, where the path [asks for it](wants_alarm).
    pub next_tick: Option<Millis>,
}

/// The answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// JSON; of a 304 nothing.
    pub body: String,
    /// Besides the type of the body.
    pub headers: Vec<Header>,
    /// To be performed once the rows are durable.
    pub effects: Vec<Effect>,
    /// A fault, to be logged: its id is in the body, its text is not.
    pub fault: Option<String>,
}

/// Whether the answer to this path holds the time of the next tick.
pub fn wants_alarm(path: &str) -> bool {
    matches!(path, "/status" | "/health")
}

/// The API for programs that read descriptions; a test writes it.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// Refuses what a container says in another version of the protocol; `spoken` is what it says of it.
pub fn speaks(caller: &Caller, spoken: Option<&str>) -> Result<(), Refusal> {
    match (caller, spoken) {
        // A container of before the header says it in the body alone.
        (Caller::Container { .. }, Some(spoken))
            if spoken.trim() != PROTOCOL.to_string() && !crate::mutant!(AnyProtocolIsTaken) =>
        {
            let message = format!("protocol {spoken:?} is not {PROTOCOL}; roll out both parts");
            Err(Refusal::new(Code::Protocol, message))
        }
        _ => Ok(()),
    }
}

/// Answers a request. `HEAD` is `GET`, whose body the edge then leaves out.
pub fn handle<S: Sql + 'static>(
    engine: &Engine<S>,
    moment: Moment,
    request: &Request<'_>,
) -> Response {
    let method = if request.method == "HEAD" { "GET" } else { request.method };
    let request = &Request { method, ..request.clone() };
    let mut response = match answer(engine, moment, request) {
        Ok(response) => response,
        Err(Error::Refused(refusal)) => refuse_traced(engine, moment, request, &refusal),
        Err(Error::Fault(err)) => fault(moment, &err.to_string()),
    };
    tag(method, request.if_none_match, &mut response);
    response
}

/// Tags what a GET is answered, and leaves it out for whoever has it.
pub(crate) fn tag(method: &str, if_none_match: Option<&str>, response: &mut Response) {
    if method == "GET" && response.status == 200 {
        let etag = headers::etag(&response.body);
        if headers::is_known(&etag, if_none_match) {
            response.status = 304;
            response.body.clear();
        }
        response.headers.push(("etag", etag));
    }
}

/// Refuses a request of someone who was identified.
pub fn refuse_traced<S: Sql + 'static>(
    engine: &Engine<S>,
    moment: Moment,
    request: &Request<'_>,
    refusal: &Refusal,
) -> Response {
    if let Err(err) = refusals::trace(engine, moment, request, refusal) {
        return fault(moment, &err.to_string());
    }
    let mut response = refuse(refusal);
    if refusal.code == Code::MethodNotAllowed
        && let Ok(segments) = body::segments(request.path)
    {
        response.headers.push(("allow", routes::allowed::<S>(&segments)));
    }
    response
}

/// A refusal as an answer.
pub fn refuse(refusal: &Refusal) -> Response {
    let body = Envelope::error(refusal.code.name(), &refusal.message);
    Response {
        status: refusal.code.status(),
        body: to_json(&body),
        headers: Vec::new(),
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
        headers: Vec::new(),
        effects: Vec::new(),
        fault: Some(format!("{id}: {what}")),
    }
}

fn answer<S: Sql + 'static>(
    engine: &Engine<S>,
    moment: Moment,
    request: &Request<'_>,
) -> Result<Response, Error> {
    let segments = body::segments(request.path)?;
    if request.query.len() > limits::QUERY_BYTES_MAX {
        let problem = format!("may have {} bytes", limits::QUERY_BYTES_MAX);
        return Err(Refusal::invalid("query", problem).into());
    }
    registration::must_be_there(engine, &segments)?;
    let (route, params) = routes::find::<S>(request.method, &segments)?;
    may_come(engine, request, route.access, &params)?;
    let call = Call { engine, moment, request, params, effects: RefCell::default() };
    let done = once::done_once(engine, moment.now, request, || {
        let Answer { status, data, bare } = (route.answer)(&call)?;
        let body = if bare { data } else { format!(r#"{{"success":true,"data":{data}}}"#) };
        Ok((status, body))
    })?;
    let mut headers = Vec::new();
    if done.replayed {
        headers.push(("idempotency-replayed", "true".to_owned()));
    }
    let effects = call.effects.into_inner();
    Ok(Response { status: done.status, body: done.body, headers, effects, fault: None })
}

/// Whether this caller may use this route at all.
fn may_come<S: Sql>(
    engine: &Engine<S>,
    request: &Request<'_>,
    access: Access,
    params: &[String],
) -> Result<(), Error> {
    let forbidden = |message: &str| Err(Refusal::new(Code::Forbidden, message).into());
    match (&request.caller, access) {
        (Caller::Operator { .. }, _) => Ok(()),
        (Caller::Container { town }, _) if *town != engine.effective()?.town => {
            forbidden("Token townId does not match the rig's town")
        }
        (Caller::Container { .. }, Access::Container | Access::Report) => Ok(()),
        (Caller::Container { .. }, _) => forbidden("the container may only report on its runs"),
        (Caller::Agent(claims), _) if claims.rig_id != engine.rig => {
            forbidden("Token rigId does not match route")
        }
        (Caller::Agent(claims), _) if claims.town_id != engine.effective()?.town => {
            forbidden("Token townId does not match the rig's town")
        }
        (Caller::Agent(_), Access::Operator | Access::Container) => {
            forbidden("an agent may not do this; leave it to a person")
        }
        (Caller::Agent(claims), Access::OwnAgent | Access::Report)
            if params.first() != Some(&claims.agent_id) =>
        {
            forbidden("Token agentId does not match route")
        }
        // Whoever only reads is checked here; whoever changes something is checked with the change.
        (Caller::Agent(claims), _) if request.method == "GET" => engine.check_live(claims),
        (Caller::Agent(_), _) => Ok(()),
    }
}

/// A request that was matched and may come, on its way through its handler.
pub struct Call<'a, S> {
    engine: &'a Engine<S>,
    moment: Moment,
    request: &'a Request<'a>,
    params: Vec<String>,
    effects: RefCell<Vec<Effect>>,
}

/// What a handler answers: a status and what goes into the envelope, as JSON.
pub struct Answer {
    status: u16,
    data: String,
    /// Without the envelope, for clients that know none.
    bare: bool,
}

impl Answer {
    fn ok(data: &impl Serialize) -> Self {
        Self { status: 200, data: to_json(data), bare: false }
    }

    fn created(data: &impl Serialize) -> Self {
        Self { status: 201, data: to_json(data), bare: false }
    }

    fn bare(data: &impl Serialize) -> Self {
        Self { bare: true, ..Self::ok(data) }
    }

    /// Gastown's words for "it is done".
    fn word(word: &str) -> Self {
        let mut words = serde_json::Map::new();
        words.insert(word.to_owned(), Value::Bool(true));
        Self::ok(&words)
    }
}

impl<S: Sql> Call<'_, S> {
    fn now(&self) -> Millis {
        self.moment.now
    }

    fn by(&self) -> Caller {
        self.request.caller.clone()
    }

    /// A part of the path that the route leaves open, from 0.
    fn param(&self, n: usize) -> String {
        self.params.get(n).cloned().unwrap_or_default()
    }

    fn query(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.request.query.as_bytes()).into_owned().collect()
    }

    fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        body::parse(self.request.body)
    }

    /// As `body`, for one that may be left out.
    fn body_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if self.request.body.trim_ascii().is_empty() { Ok(T::default()) } else { self.body() }
    }

    /// Carries out a command and keeps its effects.
    fn apply(&self, command: Command) -> Result<Reply, Error> {
        let outcome = self.engine.apply(self.moment, command)?;
        self.effects.borrow_mut().extend(outcome.effects);
        Ok(outcome.reply)
    }

    /// Refuses an agent that names another in the body.
    fn same_agent(&self, agent: Option<&str>) -> Result<(), Refusal> {
        match (&self.request.caller, agent) {
            (Caller::Agent(claims), Some(agent)) if claims.agent_id != agent => {
                Err(Refusal::new(Code::Forbidden, "agent_id does not match authenticated agent"))
            }
            _ => Ok(()),
        }
    }
}

/// `GET /status`
fn status<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.status(call.request.next_tick, call.now())?))
}

/// `GET /health`: whoever asks how the rig is also makes sure that it will wake.
fn health<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    if let Some(at) = call.engine.next_wake(call.now())? {
        call.effects.borrow_mut().push(Effect::WakeAt(at));
    }
    Ok(Answer::ok(&Health {
        status: "ok".to_owned(),
        protocol: PROTOCOL,
        next_tick_at: call.request.next_tick.map(|at| at.to_string()),
    }))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}
