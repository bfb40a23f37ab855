//! Agents, their output and mail, and escalations.

use super::{AGENT, Body, Data, Described, Query, asked, change, get, list, number, of, text};
use crate::wire::agents::{
    AckMail, Acknowledged, AgentEventView, AppendEvents, Appended, MailView, Prime, SendMail, Sent,
    SetAgentStatus,
};
use crate::wire::escalations::{Escalate, EscalationView};
use crate::wire::rig::Checkpoint;

const EVENT_QUERY: &[Query] = &[
    number("after_id", "only what came after this id"),
    number("limit", "how many, 200 without it and 1,000 at most"),
];

const MAIL_QUERY: &[Query] = &[
    text("ack", "`explicit`: nothing is marked as delivered"),
    text("peek", "`true`: nothing is marked as delivered"),
    text("include_delivered", "`true`: also what was delivered before"),
];

const ESCALATION_QUERY: &[Query] =
    &[text("acknowledged", "`true` or `false`: only those; `false` leaves out what is finished")];

/// The routes.
pub(super) const ALL: &[Described] = &[
    change(
        "DELETE /agents/:id",
        "Deletes an agent; its bead goes back, its run is ended.",
        Body::None,
        200,
        Data::Word("deleted"),
    ),
    change(
        "PATCH /agents/:id/status",
        "Sets an agent aside (`blocked`, `dead`) or takes it back (`idle`).",
        Body::Required(of::<SetAgentStatus>),
        200,
        AGENT,
    ),
    get(
        "GET /agents/:id/prime",
        "Shows an agent all it needs to begin: itself, its bead, its mail.",
        of::<Prime>,
    ),
    get(
        "GET /agents/:id/checkpoint",
        "Shows what the last run left on the agent's bead.",
        of::<Checkpoint>,
    ),
    asked(
        get("GET /agents/:id/events", "Reads an agent's output.", list::<AgentEventView>),
        EVENT_QUERY,
    ),
    change(
        "POST /agent-events",
        "Appends to an agent's output: one event, or `events`.",
        Body::Required(of::<AppendEvents>),
        201,
        Data::Of(of::<Appended>),
    ),
    change(
        "POST /mail",
        "Sends a mail to an agent.",
        Body::Required(of::<SendMail>),
        201,
        Data::Of(of::<Sent>),
    ),
    asked(
        get(
            "GET /agents/:id/mail",
            "Reads an agent's mail and marks it as delivered.",
            list::<MailView>,
        ),
        MAIL_QUERY,
    ),
    change(
        "POST /agents/:id/mail/ack",
        "Marks mails as delivered.",
        Body::Required(of::<AckMail>),
        200,
        Data::Of(of::<Acknowledged>),
    ),
    Described {
        also: Some(200),
        ..change(
            "POST /escalations",
            "Asks a person for help; the same open cause again is counted, and answered with 200.",
            Body::Required(of::<Escalate>),
            201,
            Data::Of(of::<EscalationView>),
        )
    },
    asked(
        get("GET /escalations", "Lists escalations, newest first.", list::<EscalationView>),
        ESCALATION_QUERY,
    ),
    change(
        "POST /escalations/:id/acknowledge",
        "Says that somebody looks after it.",
        Body::None,
        200,
        Data::Of(of::<EscalationView>),
    ),
];
