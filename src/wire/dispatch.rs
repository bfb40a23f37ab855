//! The switch for auto-dispatch, and dispatch by hand, over the wire. The two routes that clients of the pollers know
//! (`/agent-dispatch`, `/agent-status`) keep their bodies, without the envelope.

use serde::{Deserialize, Serialize};

/// Who can turn dispatch off, the widest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// `POST /api/pause`: all rigs of the deployment.
    Deployment,
    /// `POST /api/rigs/:rig/pause`: this rig.
    Rig,
    /// `DISPATCH_ENABLED` of the deployment, or `dispatch_enabled` of the rig.
    Setting,
}

/// Turns dispatch off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PauseDispatch {
    /// Why, for whoever wonders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether beads are claimed, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DispatchView {
    /// Whether beads are claimed.
    pub enabled: bool,
    /// What has to be taken back before they are, the widest first.
    #[serde(default)]
    pub paused: Vec<PauseView>,
}

/// One hand on the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PauseView {
    /// What it covers.
    pub scope: Scope,
    /// Who; a setting has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Hands a bead to an agent now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DispatchTask {
    /// The bead.
    #[serde(rename = "taskId")]
    pub task_id: Option<String>,
}

/// Its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dispatched {
    /// 12 hexadecimal digits; the same again while it runs.
    pub job_id: String,
}

/// Whether a bead that is dispatched now would be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentStatusView {
    /// No agent is free, or the container has no room or does not answer.
    pub busy: bool,
    /// Why it is busy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Agents at work.
    pub active: u32,
    /// How many there may be.
    pub capacity: u32,
}
