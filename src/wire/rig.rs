//! The rig API's bodies: what people and agents send, and what they are answered.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::dispatch::DispatchView;
/// A bead as the API shows it. Keys that Gastown's clients know are always there, null when empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BeadView {
    /// `<prefix>-<base36>`.
    pub id: String,
    /// `issue`, `task`, `bug`, `feature`, `epic`, `chore`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// `open`, `in_progress`, `in_review`, `blocked`, `deferred`, `closed` or `failed`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::bead::Status::ALL.map(crate::bead::Status::as_str))))]
    pub status: String,
    /// One line.
    pub title: String,
    /// The description.
    pub body: Option<String>,
    /// How it shall be done.
    pub design: Option<String>,
    /// When it is done; an agent takes no bead without.
    pub acceptance_criteria: Option<String>,
    /// `critical`, `high`, `medium`, `low` or `backlog`.
    pub priority: String,
    /// Who takes it, free text; `agent` means that an agent of the rig does.
    pub assignee: Option<String>,
    /// The agent that holds it, or held it last.
    pub assignee_agent_id: Option<String>,
    /// The bead it is a part of.
    pub parent: Option<String>,
    /// Sorted.
    pub labels: Vec<String>,
    /// Whatever the caller wants to keep with it.
    pub metadata: Map<String, Value>,
    /// Its name elsewhere.
    pub external_ref: Option<String>,
    /// RFC 3339, as all times here.
    pub due_at: Option<String>,
    /// Not to be taken before.
    pub defer_until: Option<String>,
    /// Runs in the last 24 h that count against the bead.
    pub attempts: u32,
    /// What its runs cost since a person last opened it, in dollars, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
    /// The last change of a column or note.
    pub updated_at: String,
    /// When it first went in progress.
    pub started_at: Option<String>,
    /// When it was closed; only while it is.
    pub closed_at: Option<String>,
    /// Why it was closed; only while it is.
    pub close_reason: Option<String>,
    /// Why it is failed or blocked, where the rig did it.
    pub failure: Option<Failure>,
    /// Why it does not move, while it is assigned to `agent` and not at work.
    pub waiting: Option<Waiting>,
    /// The convoy that it belongs to.
    pub convoy_id: Option<String>,
    /// The steps that it is done in.
    pub molecule_id: Option<String>,
    /// The branch that its work is on, if it was begun in a rig with a repository.
    #[serde(default)]
    pub branch: Option<String>,
    /// Where its pull request is.
    #[serde(default)]
    pub pr_url: Option<String>,
    /// Oldest first. In the answer for one bead; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Vec<NoteView>>,
}

/// A dated line on a bead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoteView {
    /// Who wrote it.
    pub author: String,
    /// When.
    pub at: String,
    /// What.
    pub text: String,
}

/// What stopped a bead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// Stable, `snake_case`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Why a bead waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Waiting {
    /// Stable, `snake_case`: `no_acceptance_criteria`, `blocked_by`, `deferred`, `back_off`, `no_capacity`,
    /// `dispatch_paused`, `breaker_open`, `container_unavailable`, `no_agent`, `queued`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When it is looked at again, where a time is known.
    pub until: Option<String>,
}

/// Makes a bead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateBead {
    /// One line, 1 to 500 characters.
    pub title: String,
    /// Without it, `issue`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its name; without it the rig makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How it shall be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design: Option<String>,
    /// When it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance_criteria: Option<String>,
    /// A name (`high`) or a number (`1`); without it, `medium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Value>,
    /// Who takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// The bead it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Trimmed, sorted, each once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// An object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// Its name elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_until: Option<String>,
    /// What it depends on; all of them or none, and no bead without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<super::dependencies::AddDependency>,
}

/// Changes a bead: a field that is absent stays, a field that is null is emptied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateBead {
    /// One line, 1 to 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// See [`BeadView::kind`].
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// See [`BeadView::status`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The reason, where `status` is `closed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The description.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub body: Option<Option<String>>,
    /// How it shall be done.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub design: Option<Option<String>>,
    /// When it is done.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub acceptance_criteria: Option<Option<String>>,
    /// A name (`high`) or a number (`1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Value>,
    /// Who takes it; null or `""` takes it from whoever has it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub assignee: Option<Option<String>>,
    /// The bead it is a part of.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub parent: Option<Option<String>>,
    /// All of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Put to those it has, in one step with whatever else is changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_labels: Vec<String>,
    /// Taken from those it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_labels: Vec<String>,
    /// Merged key by key; a key that is null is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// Its name elsewhere.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<Option<String>>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Option<String>>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub defer_until: Option<Option<String>>,
}

/// Tells `null` (empty it) from absent (leave it).
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

/// Appends a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddNote {
    /// The text, not blank.
    pub text: String,
}

/// Closes or reopens a bead; Gastown's clients send `agent_id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CloseBead {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Must be the caller, if the caller is an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Of a close: refuses it while something that is not closed blocks the bead, or the bead is an epic with children
    /// that are not closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unless_blocked: bool,
}

/// Sets a bead's status, as Gastown's clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetStatus {
    /// See [`BeadView::status`].
    pub status: String,
    /// Must be the caller, if the caller is an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

/// An agent as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentView {
    /// Its id.
    pub id: String,
    /// `polecat`, `refinery`, `mayor` or `witness`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["polecat", "refinery", "mayor", "witness"])))]
    pub role: String,
    /// For people.
    pub name: String,
    /// Unique in the rig.
    pub identity: String,
    /// `idle`, `working`, `stopping`, `stalled`, `blocked` or `dead`. One that is hooked and not yet
    /// accepted by the container reads `idle`, as Gastown's clients expect.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["idle", "working", "stopping", "stalled", "blocked", "dead"])))]
    pub status: String,
    /// The bead it holds.
    pub current_hook_bead_id: Option<String>,
    /// Runs of its bead in the last 24 h that count.
    pub dispatch_attempts: u32,
    /// The current run, if there is one.
    pub attempt: Option<AttemptView>,
    /// The last sign of life of its process.
    pub last_activity_at: Option<String>,
    /// What it left for its next run.
    pub checkpoint: Option<Value>,
    /// When it was made.
    pub created_at: String,
}

/// One run of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttemptView {
    /// The fencing token.
    pub number: i64,
    /// The run's name in the container.
    pub job_id: String,
    /// `claimed`, `starting` or `running`; over: `done`, `exited`, `failed`, `timeout`, `lost`, `interrupted`.
    pub state: String,
    /// Why the container has not taken it yet, or why it ended.
    pub reason: Option<String>,
    /// When the container was first asked.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// What it cost, in dollars, once its end said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
}

/// Makes an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegisterAgent {
    /// See [`AgentView::role`].
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["polecat", "refinery", "mayor", "witness"])))]
    pub role: String,
    /// 1 to 64 characters.
    pub name: String,
    /// Unique in the rig.
    pub identity: String,
}

/// Gets an idle agent of a role, or makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetOrCreateAgent {
    /// See [`AgentView::role`].
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["polecat", "refinery", "mayor", "witness"])))]
    pub role: String,
}

/// Hooks a bead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookBead {
    /// Which.
    pub bead_id: String,
}

/// Says that the work on the hook is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Done {
    /// Where the work is; without it, the branch of the bead. It is ignored in a rig without a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Its pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_url: Option<String>,
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// Leaves something for the next run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checkpoint {
    /// Any JSON.
    pub data: Value,
}

/// What a rig is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RigStatus {
    /// Which rig.
    pub rig_id: String,
    /// How many beads there are in each status that occurs; of those that are finished the newest 10,000.
    pub beads: std::collections::BTreeMap<String, u64>,
    /// Whether so many finished ones were counted, so that there may be more.
    #[serde(default)]
    pub more_finished: bool,
    /// Its agents.
    pub agents: Vec<AgentView>,
    /// How many agents it may have at work.
    pub max_agents: u32,
    /// Whether beads are claimed.
    pub dispatch_enabled: bool,
    /// While the rig's starts fail: why nothing is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerView>,
    /// Who wants them not to be.
    pub dispatch: DispatchView,
    /// When the next tick is due; none: never.
    pub next_tick_at: Option<String>,
}

/// A rig whose starts fail so often that one is tried at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BreakerView {
    /// In words.
    pub message: String,
    /// Since when.
    pub open_since: String,
    /// When the next start is tried.
    pub next_probe_at: String,
}

/// The health of a rig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The version of the messages between a rig and its container service.
    pub protocol: u32,
    /// When the next tick is due; none: never.
    pub next_tick_at: Option<String>,
}

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedCall {
    /// Grows by one; the cursor.
    pub seq: i64,
    /// When.
    pub at: String,
    /// `operator`, `container` or `agent`.
    pub caller: String,
    /// The name that the operator gave, the town, or the agent's id.
    pub caller_id: String,
    /// `GET`, `POST`, ….
    pub method: String,
    /// What followed `/api/rigs/:rigId`, without the query.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// Why: a code of the API, or `more` when there were more in that minute than are kept.
    pub code: String,
}
