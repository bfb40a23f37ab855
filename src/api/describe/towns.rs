//! A user's towns and rigs; the paths follow `/api/users/:userId`.

use super::{Body, Data, Described, Query, asked, change, get, list, number, of, text};
use crate::wire::directory::{CreateRig, CreateTown, TownEventView, TownRigView, TownView};

const EVENT_QUERY: &[Query] = &[
    text("since", "only what came after this time, RFC 3339"),
    number("limit", "how many, 100 without it and 1,000 at most"),
];

/// The routes.
pub const ALL: &[Described] = &[
    change(
        "POST /towns",
        "Makes a town.",
        Body::Required(of::<CreateTown>),
        201,
        Data::Of(of::<TownView>),
    ),
    get("GET /towns", "Lists a user's towns.", list::<TownView>),
    get("GET /towns/:id", "Shows a town.", of::<TownView>),
    change(
        "DELETE /towns/:id",
        "Deletes a town with all its rigs.",
        Body::None,
        200,
        Data::Word("deleted"),
    ),
    get("GET /towns/:id/rigs", "Lists a town's rigs.", list::<TownRigView>),
    asked(
        get(
            "GET /towns/:id/events",
            "Reads the audits of a town's rigs together; those that do not answer are in `missing`.",
            list::<TownEventView>,
        ),
        EVENT_QUERY,
    ),
    change(
        "POST /rigs",
        "Makes a rig in a town.",
        Body::Required(of::<CreateRig>),
        201,
        Data::Of(of::<TownRigView>),
    ),
    get("GET /rigs/:id", "Shows a rig.", of::<TownRigView>),
    change(
        "DELETE /rigs/:id",
        "Deletes a rig: its rows, its alarm, its runs.",
        Body::None,
        200,
        Data::Word("deleted"),
    ),
];
