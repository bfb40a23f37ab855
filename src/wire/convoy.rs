//! Convoys over the wire.

use serde::{Deserialize, Serialize};

/// Makes a convoy of beads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateConvoy {
    /// One line.
    pub title: String,
    /// 1 to 100.
    pub beads: Vec<ConvoyBead>,
}

/// A bead of a convoy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConvoyBead {
    /// Which.
    pub bead_id: String,
}

/// A convoy as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConvoyView {
    /// Its name.
    pub id: String,
    /// One line.
    pub title: String,
    /// `active`, or `landed` while all of its beads are closed.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["active", "landed"])))]
    pub status: String,
    /// Its beads.
    pub total_beads: u64,
    /// Of these, how many are closed.
    pub closed_beads: u64,
    /// Those that are failed or blocked, and wait for a person.
    pub stranded: Vec<String>,
    /// By whom it was made.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// When its last bead was closed; only while it is landed.
    pub landed_at: Option<String>,
}
