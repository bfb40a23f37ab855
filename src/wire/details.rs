//! What belongs to beads besides themselves, for many at once; and the names that a part of one may mean.

use serde::{Deserialize, Serialize};

use super::rig::NoteView;

/// What belongs to a bead: what it depends on, how much depends on it, its notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BeadDetails {
    /// Which bead.
    pub id: String,
    /// Its parent, and what it depends on, oldest first.
    pub dependencies: Vec<DependencyRecord>,
    /// How many beads block it, open or not.
    pub dependency_count: u64,
    /// How many it blocks.
    pub dependent_count: u64,
    /// How many comments it has.
    #[serde(default)]
    pub comment_count: u64,
    /// Oldest first.
    pub notes: Vec<NoteView>,
}

/// A dependency without what is known of its beads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DependencyRecord {
    /// On which bead.
    pub depends_on: String,
    /// See [`AddDependency::kind`](super::dependencies::AddDependency::kind).
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was added; for a parent, when the child was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}
