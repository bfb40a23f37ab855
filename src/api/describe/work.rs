//! Sling, configuration, the review queue, molecules and convoys.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Body, Data, Described, Query, asked, change, get, list, number, of, text};
use crate::wire::config::ConfigView;
use crate::wire::convoy::{ConvoyView, CreateConvoy};
use crate::wire::merge::{Landing, LandingVerdicts};
use crate::wire::molecule::{Advance, Advanced, CreateMolecule, CurrentStep, MoleculeView};
use crate::wire::review::{CompleteReview, ReviewView, SubmitReview, Submitted};
use crate::wire::sling::{Sling, Slung};
use crate::wire::town::{Track, Tracked};

/// Some of the keys of [`ConfigView`]; null takes one back.
pub(super) fn some_keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "description": "some of the keys of the answer; null takes one back" })
}

const REVIEW_QUERY: &[Query] = &[
    text("status", "only in this state"),
    number("limit", "how many, 100 without it and 1,000 at most"),
    number("offset", "how many to leave out"),
];

const CONVOY_QUERY: &[Query] = &[
    number("limit", "how many, 100 without it and at most"),
    number("offset", "how many to leave out"),
];

/// The routes.
pub(super) const ALL: &[Described] = &[
    change(
        "POST /sling",
        "Makes a bead and gives it to a free agent, in one step.",
        Body::Required(of::<Sling>),
        201,
        Data::Of(of::<Slung>),
    ),
    get("GET /config", "Shows what holds for the rig, secrets masked.", of::<ConfigView>),
    change(
        "PATCH /config",
        "Sets something for the rig; null gives it back to the deployment.",
        Body::Required(some_keys),
        200,
        Data::Of(of::<ConfigView>),
    ),
    change(
        "POST /review-queue",
        "Hands in a branch; the same open one again is answered with its entry.",
        Body::Required(of::<SubmitReview>),
        201,
        Data::Of(of::<Submitted>),
    ),
    asked(get("GET /review-queue", "Lists reviews.", list::<ReviewView>), REVIEW_QUERY),
    get("GET /review-queue/:id", "Shows a review.", of::<ReviewView>),
    change(
        "POST /review-queue/landing",
        "Asks whether merges may land now; what was taken back meanwhile is stale.",
        Body::Required(of::<Landing>),
        200,
        Data::Of(of::<LandingVerdicts>),
    ),
    change(
        "POST /review-queue/:id/complete",
        "Says what came of a merge; a second time changes nothing.",
        Body::Required(of::<CompleteReview>),
        200,
        Data::Word("completed"),
    ),
    change(
        "POST /molecules",
        "Gives a bead steps to be done in.",
        Body::Required(of::<CreateMolecule>),
        201,
        Data::Of(of::<MoleculeView>),
    ),
    get(
        "GET /agents/:id/molecule/current",
        "Shows the step that the agent's bead is at.",
        of::<CurrentStep>,
    ),
    change(
        "POST /agents/:id/molecule/advance",
        "Says that the step is done.",
        Body::Required(of::<Advance>),
        200,
        Data::Of(of::<Advanced>),
    ),
    change(
        "POST /convoys",
        "Tracks several beads as one order.",
        Body::Required(of::<CreateConvoy>),
        201,
        Data::Of(of::<ConvoyView>),
    ),
    asked(get("GET /convoys", "Lists convoys, newest first.", list::<ConvoyView>), CONVOY_QUERY),
    get("GET /convoys/:id", "Shows a convoy.", of::<ConvoyView>),
    change(
        "POST /tracked",
        "Says how beads are; the rig's town asks it for its convoys.",
        Body::Required(of::<Track>),
        200,
        Data::Of(list::<Tracked>),
    ),
];
