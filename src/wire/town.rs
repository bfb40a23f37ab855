//! What a town says of its rigs together: convoys and escalations. Names as in Gastown, where Gastown has them.

use serde::{Deserialize, Serialize};

/// Makes a convoy of beads of several rigs of a town.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateTownConvoy {
    /// One line.
    pub title: String,
    /// 1 to 100.
    pub beads: Vec<RigBead>,
    /// Who made it; without it, the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

/// A bead of one of a town's rigs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RigBead {
    /// In which rig.
    pub rig_id: String,
    /// Which.
    pub bead_id: String,
}

/// A convoy of a town.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TownConvoyView {
    /// Its name.
    pub id: String,
    /// One line.
    pub title: String,
    /// `active`, or `landed` while all of its beads are closed.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["active", "landed"])))]
    pub status: String,
    /// Its beads; those that were deleted are not counted.
    pub total_beads: u64,
    /// Of these, how many are closed.
    pub closed_beads: u64,
    /// Those that are failed or blocked, and wait for a person.
    pub stranded: Vec<RigBead>,
    /// The rigs that did not answer: their beads are counted as not closed.
    pub unanswered: Vec<String>,
    /// By whom it was made.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// When its last bead was closed; only while it is landed.
    pub landed_at: Option<String>,
}

/// Says that a bead of a convoy was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BeadClosed {
    /// Of which convoy.
    pub convoy_id: String,
    /// Which.
    pub bead_id: String,
}

/// What a town asks a rig: how these beads are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Track {
    /// The town that asks; a rig of another one refuses.
    pub town_id: String,
    /// Which beads.
    pub bead_ids: Vec<String>,
}

/// How a bead is. One that is not there is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tracked {
    /// Which.
    pub bead_id: String,
    /// Its status.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::bead::Status::ALL.map(crate::bead::Status::as_str))))]
    pub status: String,
    /// When it was closed.
    pub closed_at: Option<String>,
}

/// An escalation of one of a town's rigs, in Gastown's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TownEscalationView {
    /// Its name in the town: `<rig>:<bead>`.
    pub id: String,
    /// From which rig.
    pub source_rig_id: String,
    /// The name of that rig for people, if it has one.
    pub rig_name: Option<String>,
    /// Who asked for help: an agent, a person, or a part of the rig.
    pub source_agent_id: Option<String>,
    /// Its bead in that rig.
    pub bead_id: String,
    /// The status of that bead.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::bead::Status::ALL.map(crate::bead::Status::as_str))))]
    pub status: String,
    /// `low`, `medium`, `high` or `critical`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::escalation::Severity::ALL.map(crate::escalation::Severity::as_str))))]
    pub severity: String,
    /// What it is about, for programs.
    pub category: Option<String>,
    /// What it says: its title, and below it what more there is.
    pub message: String,
    /// Whether somebody said that they saw it.
    pub acknowledged: bool,
    /// How often it was raised because nobody did.
    pub re_escalation_count: i64,
    /// When it was reported first.
    pub created_at: String,
    /// When somebody said that they saw it.
    pub acknowledged_at: Option<String>,
}

/// Says that a rig is one of the town; a user's directory calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Join {
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
