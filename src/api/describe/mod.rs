//! What each route takes and answers, for `openapi.json` and `docs/api.md`. It must say nothing that the handlers do
//! not do; a route without an entry fails a test.

mod crew;
mod dispatch;
mod exchange;
pub mod hall;
mod links;
mod registration;
pub mod towns;
mod work;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::wire::container::{ExitReport, Heartbeats, Verdicts};
use crate::wire::rig::{
    AddNote, AgentView, BeadView, Checkpoint, CloseBead, CreateBead, Done, GetOrCreateAgent,
    Health, HookBead, RefusedCall, RegisterAgent, RigStatus, SetStatus, UpdateBead,
};

/// Makes the schema of a type, and keeps what it refers to in the generator.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a caller may or must send.
#[derive(Clone, Copy)]
pub enum Body {
    /// Nothing.
    None,
    /// This, or nothing.
    Optional(Shape),
    /// This.
    Required(Shape),
}

/// What goes into the envelope.
#[derive(Clone, Copy)]
pub enum Data {
    /// This.
    Of(Shape),
    /// `{"<word>": true}`.
    Word(&'static str),
    /// This alone, without the envelope.
    Bare(Shape),
}

/// One parameter of a query string.
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// Whether it takes a whole number from 0.
    pub number: bool,
    /// What it does.
    pub about: &'static str,
}

/// One route.
pub struct Described {
    /// `GET /beads/:id`, as in [`Routes`](super::Routes).
    pub route: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// What the query may say.
    pub query: &'static [Query],
    /// What is sent.
    pub body: Body,
    /// The status when all is well.
    pub status: u16,
    /// Another one, when there was nothing left to do.
    pub also: Option<u16>,
    /// What is answered.
    pub data: Data,
}

fn of<T: JsonSchema>(into: &mut SchemaGenerator) -> Schema {
    into.subschema_for::<T>()
}

fn list<T: JsonSchema>(into: &mut SchemaGenerator) -> Schema {
    let items = into.subschema_for::<T>();
    json_schema!({ "type": "array", "items": items })
}

const fn text(name: &'static str, about: &'static str) -> Query {
    Query { name, number: false, about }
}

const fn number(name: &'static str, about: &'static str) -> Query {
    Query { name, number: true, about }
}

const fn get(route: &'static str, about: &'static str, data: Shape) -> Described {
    let (query, body) = (&[] as &[Query], Body::None);
    Described { route, about, query, body, status: 200, also: None, data: Data::Of(data) }
}

const fn asked(described: Described, query: &'static [Query]) -> Described {
    Described { query, ..described }
}

const fn change(
    route: &'static str,
    about: &'static str,
    body: Body,
    status: u16,
    data: Data,
) -> Described {
    Described { route, about, query: &[], body, status, also: None, data }
}

const BEAD: Data = Data::Of(of::<BeadView>);
const AGENT: Data = Data::Of(of::<AgentView>);

const BEAD_QUERY: &[Query] = &[
    text("ids", "the beads of these names and nothing else, with commas, 100 at most"),
    text("status", "only these, with commas"),
    text("exclude_status", "none of these, with commas"),
    text("type", "only this type"),
    text("assignee", "only this assignee; `agent` is the queue"),
    text("assignee_agent_id", "only what this agent holds, or held last"),
    text("label", "only with this label"),
    text("priority", "only this priority: a name or 0 to 4"),
    number("limit", "how many, 100 without it and 1,000 at most"),
    number("offset", "how many to leave out"),
];

const AGENT_QUERY: &[Query] =
    &[text("role", "only this role"), text("status", "only in this status")];

const REFUSED_QUERY: &[Query] = &[
    number("after", "only what came after this `seq`"),
    number("limit", "how many, 100 without it and 1,000 at most"),
];

/// Every route.
pub fn all() -> impl Iterator<Item = &'static Described> {
    [ALL, exchange::ALL, links::ALL, crew::ALL, work::ALL, dispatch::ALL, registration::ALL]
        .into_iter()
        .flatten()
}

/// Beads, agents, their runs, and the rig.
const ALL: &[Described] = &[
    change("POST /beads", "Makes a bead.", Body::Required(of::<CreateBead>), 201, BEAD),
    asked(get("GET /beads", "Lists beads, newest first.", list::<BeadView>), BEAD_QUERY),
    get("GET /beads/:id", "Shows a bead with its notes.", of::<BeadView>),
    change(
        "PATCH /beads/:id",
        "Changes a bead; a field that is absent is left as it is.",
        Body::Required(of::<UpdateBead>),
        200,
        BEAD,
    ),
    change(
        "PATCH /beads/:id/status",
        "Sets a bead's status, as Gastown's clients do.",
        Body::Required(of::<SetStatus>),
        200,
        BEAD,
    ),
    change(
        "POST /beads/:id/notes",
        "Appends a note to a bead.",
        Body::Required(of::<AddNote>),
        201,
        BEAD,
    ),
    change(
        "POST /beads/:id/close",
        "Closes a bead; a second time changes nothing.",
        Body::Optional(of::<CloseBead>),
        200,
        BEAD,
    ),
    change(
        "POST /beads/:id/reopen",
        "Opens a bead again that is closed, failed or blocked.",
        Body::Optional(of::<CloseBead>),
        200,
        BEAD,
    ),
    change("POST /agents", "Makes an agent.", Body::Required(of::<RegisterAgent>), 201, AGENT),
    asked(get("GET /agents", "Lists the agents.", list::<AgentView>), AGENT_QUERY),
    change(
        "POST /agents/get-or-create",
        "Answers a free agent of a role, and makes one if there is none.",
        Body::Required(of::<GetOrCreateAgent>),
        200,
        AGENT,
    ),
    get("GET /agents/:id", "Shows an agent.", of::<AgentView>),
    change(
        "POST /agents/:id/hook",
        "Hooks a bead to an agent, which is then started on it.",
        Body::Required(of::<HookBead>),
        200,
        Data::Word("hooked"),
    ),
    change(
        "DELETE /agents/:id/hook",
        "Takes its bead from an agent and ends its run.",
        Body::None,
        200,
        Data::Word("unhooked"),
    ),
    change(
        "POST /agents/:id/checkpoint",
        "Leaves something for the next run on the agent's bead.",
        Body::Required(of::<Checkpoint>),
        200,
        Data::Word("written"),
    ),
    change(
        "POST /agents/:id/heartbeat",
        "Says that the agent is alive.",
        Body::None,
        200,
        Data::Word("heartbeat"),
    ),
    change(
        "POST /agents/:id/done",
        "Says that the work on the hook is done.",
        Body::Optional(of::<Done>),
        200,
        Data::Word("done"),
    ),
    change(
        "POST /agents/:id/completed",
        "Says that a run is over; it never closes a bead.",
        Body::Required(of::<ExitReport>),
        200,
        Data::Word("completed"),
    ),
    change(
        "POST /heartbeats",
        "Says which runs of the container are alive, and answers what to do with each.",
        Body::Required(of::<Heartbeats>),
        200,
        Data::Of(of::<Verdicts>),
    ),
    get("GET /status", "Shows what the rig is doing.", of::<RigStatus>),
    get(
        "GET /health",
        "Says that the rig answers, and makes sure that it will wake.",
        of::<Health>,
    ),
    asked(
        get("GET /refusals", "Lists calls that were refused, oldest first.", list::<RefusedCall>),
        REFUSED_QUERY,
    ),
];
