//! What is said of agents and to them: marks, mail, output, and what they are primed with.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::molecule::CurrentStep;
use super::rig::{AgentView, BeadView};

/// Says of an agent how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetAgentStatus {
    /// `idle`, `blocked` or `dead`; an agent may say `blocked` of itself.
    pub status: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Appends to what an agent printed and did: one event, or many at once in `events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppendEvents {
    /// Whose. Must be the caller, if the caller is an agent.
    pub agent_id: String,
    /// `output`, `tool`, …; with `data`, the only event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Any JSON; without it, `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Many, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<NewAgentEvent>>,
}

/// One of many events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewAgentEvent {
    /// `output`, `tool`, ….
    pub event_type: String,
    /// Any JSON; without it, `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// RFC 3339; without it, now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// An event as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentEventView {
    /// Grows by one an agent; the cursor for `after_id`.
    pub id: i64,
    /// Whose.
    pub agent_id: String,
    /// `output`, `tool`, ….
    pub event_type: String,
    /// More.
    pub data: Value,
    /// When it happened.
    pub created_at: String,
}

/// Sends a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SendMail {
    /// The caller, if the caller is an agent; otherwise an agent, `witness`, `mayor` or `operator`.
    pub from_agent_id: String,
    /// An agent of the rig.
    pub to_agent_id: String,
    /// One line, 1 to 200 characters.
    pub subject: String,
    /// Not blank, at most 16 KiB.
    pub body: String,
}

/// How an agent's mail is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadMail {
    /// Nothing is marked as delivered; whoever reads so says what it has with `mail/ack`.
    pub peek: bool,
    /// What was delivered is shown as well.
    pub include_delivered: bool,
}

/// Says which mails have come through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AckMail {
    /// Their ids.
    pub ids: Vec<String>,
}

/// A mail as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MailView {
    /// Its name among those of its reader.
    pub id: String,
    /// Who sent it.
    pub from_agent_id: String,
    /// Who it is for.
    pub to_agent_id: String,
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// Whether it had been read before this answer.
    pub delivered: bool,
    /// When it was sent.
    pub created_at: String,
    /// When it was read.
    pub delivered_at: Option<String>,
}

/// What an agent is told when it begins, and when it has forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Prime {
    /// Itself.
    pub agent: AgentView,
    /// What it holds.
    pub hooked_bead: Option<BeadView>,
    /// Its mail; this does not mark it as delivered.
    pub undelivered_mail: Vec<MailView>,
    /// The newest of what was given to it and is not finished.
    pub open_beads: Vec<BeadView>,
    /// What was left for it on its bead.
    pub checkpoint: Option<Value>,
    /// The step that its bead is at, if it is done in steps.
    pub current_step: Option<CurrentStep>,
}

/// Answer to [`AppendEvents`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Appended {
    /// True.
    pub appended: bool,
    /// How many, where many were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

/// Answer to [`SendMail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sent {
    /// True.
    pub sent: bool,
    /// The mail's name among those of its reader.
    pub id: String,
}

/// Answer to [`AckMail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acknowledged {
    /// How many of them were new.
    pub acknowledged: i64,
}
