//! The switch, and dispatch by hand.

use super::{BEAD, Body, Data, Described, change, get, of};
use crate::wire::dispatch::{
    AgentStatusView, DispatchTask, DispatchView, Dispatched, PauseDispatch,
};

/// The routes.
pub(super) const ALL: &[Described] = &[
    change(
        "POST /beads/:id/claim",
        "Takes a bead for whoever calls, if it is nobody's; of many at the same time one gets it.",
        Body::None,
        200,
        BEAD,
    ),
    get(
        "GET /dispatch",
        "Shows whether beads are claimed, and who wants them not to be.",
        of::<DispatchView>,
    ),
    change(
        "POST /pause",
        "Has nothing claimed and nothing reaped any more; what runs goes on.",
        Body::Optional(of::<PauseDispatch>),
        200,
        Data::Of(of::<DispatchView>),
    ),
    change(
        "POST /resume",
        "Has beads claimed again.",
        Body::None,
        200,
        Data::Of(of::<DispatchView>),
    ),
    change(
        "POST /agent-dispatch",
        "Hands a bead to an agent now, also while dispatch is paused; one at work is answered with its job.",
        Body::Required(of::<DispatchTask>),
        200,
        Data::Bare(of::<Dispatched>),
    ),
    Described {
        data: Data::Bare(of::<AgentStatusView>),
        ..get(
            "GET /agent-status",
            "Says whether a bead that is dispatched now would be taken.",
            of::<AgentStatusView>,
        )
    },
];
