//! Towns and rigs as a user's directory has them, and what a rig is told when it is registered. Names as in Gastown.

use serde::{Deserialize, Serialize};

use super::dependencies::EventView;

/// Makes a town.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateTown {
    /// 1 to 64 characters.
    pub name: String,
    /// Of a town whose container is there already, such as `local`; without it a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A town.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TownView {
    /// Its name in paths.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whose it is.
    pub owner_user_id: String,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}

/// Makes a rig.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateRig {
    /// In which town.
    pub town_id: String,
    /// 1 to 64 characters.
    pub name: String,
    /// Where its repository is, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_url: Option<String>,
    /// What is merged into; `main` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// Of a rig that is or was there already; without it a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A rig of a town.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TownRigView {
    /// Its name in paths: `/api/rigs/<id>/…`.
    pub id: String,
    /// In which town.
    pub town_id: String,
    /// Its name for people.
    pub name: String,
    /// Where its repository is.
    pub git_url: Option<String>,
    /// What is merged into.
    pub default_branch: String,
    /// When it was registered.
    pub created_at: String,
    /// When that was changed last.
    pub updated_at: String,
}

/// A line of the audit of one of a town's rigs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TownEventView {
    /// What happened.
    #[serde(flatten)]
    pub event: EventView,
    /// In which rig.
    pub rig_id: String,
    /// Its name for people.
    pub rig_name: String,
}

/// A rig that did not answer, so that its events are not in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MissingRig {
    /// Which.
    pub rig_id: String,
    /// Its name for people.
    pub rig_name: String,
    /// Why.
    pub error: String,
}

/// What a rig is told by the directory that it is registered in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Register {
    /// Whose directory.
    pub user_id: String,
    /// Its town, and so the container that it has.
    pub town_id: String,
    /// Where its repository is; null leaves it as it is.
    #[serde(default)]
    pub git_url: Option<String>,
    /// What is merged into; null leaves it as it is.
    #[serde(default)]
    pub default_branch: Option<String>,
}
