//! Escalations: beads that ask people for help.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rig::BeadView;

/// Asks for help.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Escalate {
    /// One line.
    pub title: String,
    /// More.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// As of a bead; without it, what the severity makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Value>,
    /// An object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// `low`, `medium`, `high` or `critical`; without it, what the priority makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What it is about, for programs: while one of a cause is open there is no second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// An escalation as the API shows it: its bead, and more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EscalationView {
    /// Its bead.
    #[serde(flatten)]
    pub bead: BeadView,
    /// `low`, `medium`, `high` or `critical`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::escalation::Severity::ALL.map(crate::escalation::Severity::as_str))))]
    pub severity: String,
    /// What it is about, for programs.
    pub cause: Option<String>,
    /// How often it was reported.
    pub count: i64,
    /// Whether somebody said that they saw it.
    pub acknowledged: bool,
    /// When.
    pub acknowledged_at: Option<String>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// How often it was raised because nobody did.
    pub re_escalation_count: i64,
    /// When that is looked at next.
    pub next_escalation_at: Option<String>,
}
