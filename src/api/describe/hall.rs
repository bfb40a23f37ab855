//! A town's convoys, escalations, settings and container; the paths follow `/api/towns/:townId`.

use super::work::some_keys;
use super::{Body, Data, Described, Query, Shape, asked, change, get, list, number, of, text};
use crate::wire::container::{
    AgentList, AgentStatus, EventPage, Health, Message, StartAgent, StopAgent, Stopped,
};
use crate::wire::town::{BeadClosed, CreateTownConvoy, Join, TownConvoyView, TownEscalationView};
use crate::wire::town_config::TownConfigView;

const CONVOY_QUERY: &[Query] = &[
    number("limit", "how many, 20 without it and at most"),
    number("offset", "how many to leave out"),
];

const ESCALATION_QUERY: &[Query] =
    &[text("acknowledged", "`true` or `false`: only those that are, or are not")];

/// The routes that the town answers.
pub const ALL: &[Described] = &[
    change(
        "POST /convoys",
        "Tracks beads of several rigs of the town as one order.",
        Body::Required(of::<CreateTownConvoy>),
        201,
        Data::Of(of::<TownConvoyView>),
    ),
    asked(
        get(
            "GET /convoys",
            "Lists the town's convoys, newest first; rigs that do not answer are in `missing`.",
            list::<TownConvoyView>,
        ),
        CONVOY_QUERY,
    ),
    change(
        "POST /convoys/bead-closed",
        "Says that a bead of a convoy was closed; answers how the convoy is, and changes nothing.",
        Body::Required(of::<BeadClosed>),
        200,
        Data::Of(of::<TownConvoyView>),
    ),
    get("GET /convoys/:id", "Shows a convoy of the town.", of::<TownConvoyView>),
    asked(
        get(
            "GET /escalations",
            "Lists the escalations of the town's rigs, newest first; rigs that do not answer are in `missing`.",
            list::<TownEscalationView>,
        ),
        ESCALATION_QUERY,
    ),
    change(
        "POST /escalations/:id/acknowledge",
        "Says that somebody looks after it.",
        Body::None,
        200,
        Data::Of(of::<TownEscalationView>),
    ),
    get(
        "GET /config",
        "Shows what is set for all rigs of the town, secrets masked.",
        of::<TownConfigView>,
    ),
    change(
        "PATCH /config",
        "Sets something for all rigs of the town; null gives it back to the deployment.",
        Body::Required(some_keys),
        200,
        Data::Of(of::<TownConfigView>),
    ),
    change(
        "PUT /rigs/:id",
        "Says that a rig is one of the town; a user's directory calls it.",
        Body::Optional(of::<Join>),
        200,
        Data::Word("joined"),
    ),
    change(
        "DELETE /rigs/:id",
        "Forgets a rig that is none of the town any more; a user's directory calls it.",
        Body::None,
        200,
        Data::Word("left"),
    ),
];

/// A route of the container service, as the town lets it through: no envelope.
pub struct Passed {
    /// `GET /agents`, what follows `/container`.
    pub route: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// The status when all is well.
    pub status: u16,
    /// What is sent.
    pub body: Body,
    /// What is answered.
    pub answer: Option<Shape>,
}

const fn passed(
    route: &'static str,
    about: &'static str,
    status: u16,
    body: Body,
    answer: Option<Shape>,
) -> Passed {
    Passed { route, about, status, body, answer }
}

/// The container service of the town.
pub const CONTAINER: &[Passed] = &[
    passed("GET /health", "Says how the container is.", 200, Body::None, Some(of::<Health>)),
    passed(
        "GET /agents",
        "Lists the runs in the container.",
        200,
        Body::None,
        Some(of::<AgentList>),
    ),
    passed(
        "POST /agents/start",
        "Starts a run; a rig does.",
        201,
        Body::Required(of::<StartAgent>),
        Some(of::<AgentStatus>),
    ),
    passed(
        "GET /agents/:id/status",
        "Shows an agent's run.",
        200,
        Body::None,
        Some(of::<AgentStatus>),
    ),
    passed(
        "GET /agents/:id/events",
        "Reads what an agent prints.",
        200,
        Body::None,
        Some(of::<EventPage>),
    ),
    passed(
        "POST /agents/:id/stop",
        "Ends an agent's run.",
        200,
        Body::Optional(of::<StopAgent>),
        Some(of::<Stopped>),
    ),
    passed(
        "POST /agents/:id/message",
        "Hands an agent a message.",
        200,
        Body::Required(of::<Message>),
        None,
    ),
    passed(
        "POST /destroy",
        "Ends the container, where the platform runs it.",
        200,
        Body::None,
        None,
    ),
];
