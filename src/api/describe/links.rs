//! Dependencies, readiness, the audit.

use super::{Body, Data, Described, Query, asked, change, get, list, number, of, text};
use crate::wire::dependencies::{
    AddDependency, BlockedBead, Dependencies, DependencyView, EventView,
};
use crate::wire::details::BeadDetails;
use crate::wire::rig::BeadView;

const NAMED: &[Query] = &[text("ids", "of which beads: names with commas, 100 at most")];

const PART: &[Query] = &[text("part", "a part of a name, behind its prefix")];

const PAGE: &[Query] = &[
    number("limit", "how many, 100 without it and 1,000 at most"),
    number("offset", "how many to leave out"),
];

const QUEUE_QUERY: &[Query] = &[
    text("type", "only this type"),
    text("assignee", "only this assignee"),
    text("assignee_agent_id", "only what this agent holds, or held last"),
    text("label", "only with this label"),
    text("priority", "only this priority: a name or 0 to 4"),
    number("limit", "how many, 100 without it and 1,000 at most"),
    number("offset", "how many to leave out"),
];

const EVENT_QUERY: &[Query] = &[
    text("since", "only what came after this time, RFC 3339"),
    number("after", "only what came after this `seq`"),
    text("bead_id", "only of this bead"),
    number("limit", "how many, 100 without it and 1,000 at most"),
];

/// The routes.
pub(super) const ALL: &[Described] = &[
    change(
        "DELETE /beads/:id",
        "Deletes a bead and all that belongs to it; its children live on.",
        Body::None,
        200,
        Data::Word("deleted"),
    ),
    asked(
        get("GET /beads/:id/children", "Lists a bead's children, oldest first.", list::<BeadView>),
        PAGE,
    ),
    get(
        "GET /beads/:id/dependencies",
        "Shows what a bead depends on, and what depends on it.",
        of::<Dependencies>,
    ),
    change(
        "POST /beads/:id/dependencies",
        "Makes a bead depend on another; `blocks` and a parent's blockers keep it from agents.",
        Body::Required(of::<AddDependency>),
        201,
        Data::Of(of::<DependencyView>),
    ),
    change(
        "DELETE /beads/:id/dependencies/:other",
        "Takes a dependency away.",
        Body::None,
        200,
        Data::Word("deleted"),
    ),
    asked(
        get("GET /ready", "Lists beads that could be taken, most urgent first.", list::<BeadView>),
        QUEUE_QUERY,
    ),
    asked(
        get("GET /blocked", "Lists beads that wait for others.", list::<BlockedBead>),
        QUEUE_QUERY,
    ),
    asked(
        get(
            "GET /details",
            "Shows what belongs to many beads: what they depend on, counts, notes; as many as fit, so ask again for the rest.",
            list::<BeadDetails>,
        ),
        NAMED,
    ),
    asked(
        get("GET /names", "Lists names that a part of one may mean, 20 at most.", list::<String>),
        PART,
    ),
    asked(get("GET /events", "Reads the audit, oldest first.", list::<EventView>), EVENT_QUERY),
];
