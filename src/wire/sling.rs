//! Sling over the wire: work handed to an agent in one call.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rig::{AgentView, BeadView};

/// Makes a bead and hooks it to a free agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sling {
    /// One line, 1 to 500 characters.
    pub title: String,
    /// The description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// When it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance_criteria: Option<String>,
    /// A name (`high`) or a number (`1`); without it, `medium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Value>,
    /// Trimmed, sorted, each once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// An object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// The two as they are once hooked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Slung {
    /// In progress, with its agent.
    pub bead: BeadView,
    /// With the bead on its hook.
    pub agent: AgentView,
}
