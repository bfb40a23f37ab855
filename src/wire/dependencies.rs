//! Dependencies, what is blocked, and the audit, as the rig API has them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rig::BeadView;

/// The types that hold a bead up until the other one is closed. To bd 1.0.2 the second is the first by another name.
pub const HOLDING: [&str; 2] = ["blocks", "conditional-blocks"];

/// Whether a dependency of this type holds a bead up.
pub fn holds_up(kind: &str) -> bool {
    HOLDING.contains(&kind)
}

/// Has a bead depend on another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddDependency {
    /// On which.
    pub depends_on: String,
    /// `blocks` (without it) and `conditional-blocks` hold the bead up until the other is closed; `parent-child`,
    /// `related`, `discovered-from`, or any other of 1 to 50 characters do not.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// What a bead depends on, and what depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dependencies {
    /// Its parent, and what it depends on, oldest first.
    pub dependencies: Vec<DependencyView>,
    /// What depends on it, oldest first, and its children.
    pub dependents: Vec<DependencyView>,
}

/// A dependency, with what is known of the bead at its other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DependencyView {
    /// The other bead.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its status; what blocks does so until it is closed.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::bead::Status::ALL.map(crate::bead::Status::as_str))))]
    pub status: String,
    /// See [`AddDependency::kind`].
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was added; for a parent, when the child was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}

/// A bead that waits for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlockedBead {
    /// Which.
    #[serde(flatten)]
    pub bead: BeadView,
    /// For which: what blocks it or one of its ancestors and is not closed, oldest first.
    pub blocked_by: Vec<String>,
}

/// A line of the audit, in Gastown's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventView {
    /// Grows; the cursor for `after`.
    pub seq: i64,
    /// The same as text.
    pub id: String,
    /// To which bead it happened.
    pub bead_id: String,
    /// The agent that did it; null when no agent did, or one that was deleted since.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Who did it: an agent, a person, or a part of the rig.
    pub actor: String,
    /// `created`, `updated`, `assigned`, `hooked`, `status_changed`, `closed`, `dependency_added`, ….
    pub event_type: String,
    /// What it was.
    pub old_value: Option<String>,
    /// What it is.
    pub new_value: Option<String>,
    /// More: `fields` of an update, `type` of a dependency; words for people are under `message`.
    pub metadata: Map<String, Value>,
    /// When.
    pub created_at: String,
}
