//! The table of routes: what is matched, who may come, what answers. It decides nothing else.

use std::marker::PhantomData;

use super::{
    Answer, Call, agents, beads, crew, dependencies, details, dispatch, escalations, exchange,
    health, mail, refusals, registration, status, work,
};
use crate::command::Error;
use crate::refusal::{Code, Refusal};
use crate::store::Sql;

/// Who may use a route. The operator may use all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody else.
    Operator,
    /// Agents of the rig; what they may change is decided with the change.
    Rig,
    /// The agent that the path names.
    OwnAgent,
    /// The container of the rig's town.
    Container,
    /// The container, and the agent that the path names: what is said about its run.
    Report,
}

/// One route.
pub struct Route<S: 'static> {
    /// `GET`, `POST`, ….
    pub method: &'static str,
    /// What follows `/api/rigs/:rigId`; a part that begins with a colon stands for anything.
    pub path: &'static str,
    /// Who may come.
    pub access: Access,
    /// What answers.
    pub answer: fn(&Call<'_, S>) -> Result<Answer, Error>,
}

/// Holds the table.
pub struct Routes<S>(PhantomData<S>);

const fn route<S>(
    method: &'static str,
    path: &'static str,
    access: Access,
    answer: fn(&Call<'_, S>) -> Result<Answer, Error>,
) -> Route<S> {
    Route { method, path, access, answer }
}

impl<S: Sql + 'static> Routes<S> {
    /// Every route of a rig. Of two that match, the first answers.
    pub const ALL: &'static [Route<S>] = &[
        route("POST", "/beads", Access::Rig, beads::create),
        route("GET", "/beads", Access::Rig, beads::list),
        route("GET", "/beads/:id", Access::Rig, beads::get),
        route("PATCH", "/beads/:id", Access::Rig, beads::update),
        route("PATCH", "/beads/:id/status", Access::Rig, beads::set_status),
        route("POST", "/beads/:id/notes", Access::Rig, beads::add_note),
        route("POST", "/beads/:id/comments", Access::Rig, exchange::add_comment),
        route("GET", "/beads/:id/comments", Access::Rig, exchange::comments),
        route("POST", "/beads/:id/close", Access::Rig, beads::close),
        route("POST", "/beads/:id/reopen", Access::Rig, beads::reopen),
        route("POST", "/beads/:id/claim", Access::Rig, dispatch::claim),
        route("DELETE", "/beads/:id", Access::Operator, dependencies::delete),
        route("GET", "/beads/:id/children", Access::Rig, dependencies::children),
        route("GET", "/beads/:id/dependencies", Access::Rig, dependencies::list),
        route("POST", "/beads/:id/dependencies", Access::Rig, dependencies::add),
        route("DELETE", "/beads/:id/dependencies/:other", Access::Rig, dependencies::remove),
        route("GET", "/ready", Access::Rig, dependencies::ready),
        route("GET", "/blocked", Access::Rig, dependencies::blocked),
        route("GET", "/events", Access::Rig, dependencies::events),
        route("GET", "/details", Access::Rig, details::list),
        route("GET", "/names", Access::Rig, details::names),
        route("POST", "/import", Access::Operator, exchange::import),
        route("GET", "/export", Access::Operator, exchange::export),
        route("POST", "/agents", Access::Operator, agents::register),
        route("GET", "/agents", Access::Rig, agents::list),
        route("POST", "/agents/get-or-create", Access::Operator, agents::get_or_create),
        route("GET", "/agents/:id", Access::Rig, agents::get),
        route("POST", "/agents/:id/hook", Access::OwnAgent, agents::hook),
        route("DELETE", "/agents/:id/hook", Access::OwnAgent, agents::unhook),
        route("POST", "/agents/:id/checkpoint", Access::OwnAgent, agents::checkpoint),
        route("POST", "/agents/:id/heartbeat", Access::OwnAgent, agents::heartbeat),
        route("POST", "/agents/:id/done", Access::OwnAgent, agents::done),
        route("POST", "/agents/:id/completed", Access::Report, agents::completed),
        route("DELETE", "/agents/:id", Access::Operator, crew::delete),
        route("PATCH", "/agents/:id/status", Access::OwnAgent, crew::set_status),
        route("GET", "/agents/:id/prime", Access::OwnAgent, crew::prime),
        route("GET", "/agents/:id/checkpoint", Access::OwnAgent, crew::checkpoint),
        route("GET", "/agents/:id/events", Access::OwnAgent, crew::events),
        route("POST", "/agent-events", Access::Rig, crew::append_events),
        route("POST", "/mail", Access::Rig, mail::send),
        route("GET", "/agents/:id/mail", Access::OwnAgent, mail::read),
        route("POST", "/agents/:id/mail/ack", Access::OwnAgent, mail::ack),
        route("POST", "/escalations", Access::Rig, escalations::create),
        route("GET", "/escalations", Access::Rig, escalations::list),
        route("POST", "/escalations/:id/acknowledge", Access::Operator, escalations::acknowledge),
        route("POST", "/heartbeats", Access::Container, agents::heartbeats),
        route("POST", "/sling", Access::Operator, work::sling),
        route("GET", "/dispatch", Access::Rig, dispatch::show),
        route("POST", "/pause", Access::Operator, dispatch::pause),
        route("POST", "/resume", Access::Operator, dispatch::resume),
        route("POST", "/agent-dispatch", Access::Operator, dispatch::dispatch),
        route("GET", "/agent-status", Access::Operator, dispatch::status),
        route("GET", "/config", Access::Operator, work::config),
        route("PATCH", "/config", Access::Operator, work::patch_config),
        route("POST", "/review-queue", Access::Rig, work::submit_review),
        route("GET", "/review-queue", Access::Rig, work::list_reviews),
        route("GET", "/review-queue/:id", Access::Rig, work::review),
        route("POST", "/review-queue/landing", Access::Container, work::landing),
        route("POST", "/review-queue/:id/complete", Access::Container, work::complete_review),
        route("POST", "/molecules", Access::Rig, work::create_molecule),
        route("GET", "/agents/:id/molecule/current", Access::OwnAgent, work::current_step),
        route("POST", "/agents/:id/molecule/advance", Access::OwnAgent, work::advance),
        route("POST", "/convoys", Access::Operator, work::create_convoy),
        route("GET", "/convoys", Access::Rig, work::list_convoys),
        route("GET", "/convoys/:id", Access::Rig, work::convoy),
        route("POST", "/tracked", Access::Operator, work::tracked),
        route("GET", "/status", Access::Rig, status),
        route("GET", "/health", Access::Rig, health),
        route("GET", "/refusals", Access::Operator, refusals::list),
        route("PUT", "/registration", Access::Operator, registration::register),
        route("DELETE", "/everything", Access::Operator, registration::delete_everything),
    ];
}

/// The route of a request and what its path leaves open: 404 for a path that is none, 405 for a method that the
/// path does not have.
pub(super) fn find<S: Sql + 'static>(
    method: &str,
    segments: &[String],
) -> Result<(&'static Route<S>, Vec<String>), Refusal> {
    let mut others = Vec::new();
    for route in Routes::<S>::ALL {
        match params(route.path, segments) {
            Some(params) if route.method == method => return Ok((route, params)),
            Some(_) => others.push(route.method),
            None => {}
        }
    }
    if others.is_empty() {
        return Err(Refusal::new(Code::NotFound, "Not found"));
    }
    others.dedup();
    let message = format!("{method} is not allowed here, but {}", others.join(", "));
    Err(Refusal::new(Code::MethodNotAllowed, message))
}

/// The methods of a path, for `Allow`.
pub(super) fn allowed<S: Sql + 'static>(segments: &[String]) -> String {
    let routes = Routes::<S>::ALL.iter().filter(|it| params(it.path, segments).is_some());
    let mut methods: Vec<&str> = routes.map(|it| it.method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.join(", ")
}

pub(crate) fn params(path: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut parts = path.trim_start_matches('/').split('/');
    let mut params = Vec::new();
    for segment in segments {
        match parts.next()? {
            part if part.starts_with(':') => params.push(segment.clone()),
            part if part == segment => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(params)
}
