//! The protocol between a rig and the container service, in both directions. Each request says in the header
//! [`super::PROTOCOL_HEADER`] which version it is in, and so does what the container answers.
//!
//! Rig to container (bearer: the town's container token), camel case as Gastown's container has it:
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /health` (no token) | | 200 [`Health`] |
//! | `POST /agents/start` | [`StartAgent`] | 201 started, 200 already so: [`AgentStatus`]; else [`Problem`] |
//! | `POST /agents/:id/stop` | [`StopAgent`] | 200 [`Stopped`]; 404 |
//! | `POST /agents/:id/message` | [`Message`] | 200 `{"sent":true}`; 404; 409 not running |
//! | `GET /agents/:id/status` | | 200 [`AgentStatus`]; 404 |
//! | `GET /agents?rigId=R` | | 200 [`AgentList`] |
//! | `GET /agents/:id/events?after=N&limit=L` | | 200 [`EventPage`]; 404 |
//! | the same, `Accept: text/event-stream` | | 200 a stream of [`Event`]s, resumed by `Last-Event-ID`; 204 all was read |
//! | `POST /git/merge` | [`super::merge::MergeRequest`] | 202; else [`Problem`] |
//!
//! Container to rig (same token), snake case as Gastown's rig has it:
//!
//! | request | body | answer (in the envelope) |
//! |---|---|---|
//! | `POST /api/rigs/:rig/heartbeats` | [`Heartbeats`] | 200 [`Verdicts`] |
//! | `POST /api/rigs/:rig/agents/:id/completed` | [`ExitReport`] | 200; 409 `stale_attempt`, 404: never send it again |

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::merge::{GitWork, LandingVerdict, MergeAtWork};

/// A token that neither `Debug` nor a log line shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token itself; never to be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Asks for a process. Idempotent by (`agent_id`, `attempt`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StartAgent {
    /// [`super::PROTOCOL`] of the sender.
    pub protocol: u32,
    /// Who.
    pub agent_id: String,
    /// For which rig; reports go there.
    pub rig_id: String,
    /// In which town.
    pub town_id: String,
    /// On what.
    pub bead_id: String,
    /// The fencing token: a larger one replaces a smaller one, never the reverse.
    pub attempt: i64,
    /// The name of this run for people and logs, 12 hex digits.
    pub job_id: String,
    /// The agent's role: `polecat`, ….
    pub role: String,
    /// The agent's name.
    pub name: String,
    /// The agent's identity, unique in the rig.
    pub identity: String,
    /// The command and its arguments. `{prompt}`, `{title}`, `{bead_id}`, `{agent_id}`, `{rig_id}`,
    /// `{job_id}`, `{attempt}`, `{model}` and `{workdir}` are replaced inside each argument.
    pub command: Vec<String>,
    /// What the agent is told.
    pub prompt: String,
    /// The bead's title.
    pub title: String,
    /// Which model, if the command takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The agent's own token for the rig API.
    pub session_token: Secret,
    /// The run is ended after this long, in seconds.
    pub time_limit_s: u64,
    /// The repository that it works in, if the rig has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitWork>,
    /// More for the agent's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
}

/// Where a process is in its life.
///
/// ```text
/// starting --spawned--> running --asked to stop, or out of time--> stopping --gone--> exited
///     |                    +----------------- gone ------------------------------------^
///     +--could not be spawned--> failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Registered, not spawned yet.
    Starting,
    /// Its process is up.
    Running,
    /// Its process group was told to end.
    Stopping,
    /// Its process group is gone.
    Exited,
    /// There never was a process.
    Failed,
}

impl Phase {
    /// Whether nothing of it runs any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Exited | Self::Failed)
    }
}

/// What the container knows of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Who.
    pub agent_id: String,
    /// For which rig.
    pub rig_id: String,
    /// On what.
    pub bead_id: String,
    /// Which run.
    pub attempt: i64,
    /// The run's name.
    pub job_id: String,
    /// Where it is in its life.
    pub status: Phase,
    /// Whether it stands still until the rig takes a heartbeat again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// RFC 3339.
    pub started_at: String,
    /// The last output of the process, RFC 3339.
    pub last_activity_at: String,
    /// How it ended: [`ExitReport::reason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_reason: Option<String>,
    /// The exit code, if it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The last lines of its output, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tail: Option<String>,
}

/// Every run of a rig that the container knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentList {
    /// Changes with each start of the service.
    pub boot_id: String,
    /// [`super::PROTOCOL`] of the sender.
    pub protocol: u32,
    /// The runs, one an agent.
    pub agents: Vec<AgentStatus>,
}

/// Answer of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`, or `draining` while the service ends: it takes no more work.
    pub status: String,
    /// Changes with each start of the service.
    pub boot_id: String,
    /// [`super::PROTOCOL`] of the sender.
    pub protocol: u32,
    /// Runs that are not over.
    pub agents: u64,
    /// How many there may be at once.
    pub capacity: u64,
    /// Since the service started, in milliseconds.
    pub uptime: u64,
    /// The number that its town gave it at its start, if a town did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<i64>,
}

/// As much of [`Health`] as every version of it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// See [`Health::protocol`].
    pub protocol: u32,
    /// See [`Health::incarnation`].
    #[serde(default)]
    pub incarnation: Option<i64>,
}

/// Asks for the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StopAgent {
    /// Only this run; without it, whichever there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// Why, for the exit report; `stopped` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of a stop: the ladder (TERM, grace, KILL) has begun, or there is nothing left to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// True: it will be gone, or is.
    pub stopped: bool,
    /// Where it is now.
    pub status: Phase,
}

/// A line for the agent's standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Message {
    /// The text.
    pub prompt: String,
}

/// One line of output or one event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Grows by one; the cursor.
    pub id: u64,
    /// `stdout`, `stderr` or `status`.
    pub event: String,
    /// The line, or the new status.
    pub data: String,
    /// RFC 3339.
    pub timestamp: String,
}

/// A page of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<Event>,
}

/// Why the container did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// One sentence.
    pub error: String,
    /// `invalid`, `unauthorized`, `not_found`, `stale_attempt`, `not_running`, `capacity`, `spawn_failed`,
    /// `protocol`. Only `capacity` (status 503) says that the same request may work later.
    pub code: String,
}

/// That these runs are alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Heartbeats {
    /// [`super::PROTOCOL`] of the sender.
    pub protocol: u32,
    /// Changes with each start of the service.
    pub boot_id: String,
    /// Every run of this rig that is not over.
    pub agents: Vec<Heartbeat>,
    /// Every merge of this rig that is not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merges: Vec<MergeAtWork>,
}

/// That one run is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Heartbeat {
    /// Who.
    pub agent_id: String,
    /// Which run.
    pub attempt: i64,
    /// The run's name.
    pub job_id: String,
    /// The last output of the process, RFC 3339.
    pub last_activity_at: String,
}

/// What the rig says to [`Heartbeats`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdicts {
    /// One for each run that was named.
    pub verdicts: Vec<Verdict>,
    /// One for each merge that was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merges: Vec<LandingVerdict>,
}

/// What the rig says to one [`Heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// Who.
    pub agent_id: String,
    /// Which run.
    pub attempt: i64,
    /// What to do with it.
    pub verdict: Advice,
}

/// What the container does with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// It is the current one: go on.
    Ok,
    /// It is wanted no more: end it by the ladder, and report.
    Stop,
    /// Another run is current, or nobody knows it: kill it at once.
    Stale,
}

/// How a run ended. Sent until it is answered with 2xx, 404 or 409.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExitReport {
    /// `completed` when the command exited with 0, else `failed`. It never closes a bead.
    pub status: Outcome,
    /// `exited`, `signal`, `timeout`, `idle`, `memory`, `processes`, `stopped`, `stale`, `spawn_failed`,
    /// `interrupted` (the service ended), `lost` (the service was killed; `shutdown` and nothing came before
    /// these), or the reason of the stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which run; an agent's own token says it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// The exit code, if it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Changes with each start of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The last lines of its output, at most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tail: Option<String>,
    /// What the run cost, in millionths of a dollar, if its agent said so: the last line of its standard output that
    /// is JSON with `total_cost_usd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd_micros: Option<i64>,
    /// The agent's own name for what it did, for its `--resume`, where it said one (`session_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// Whether the command succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Exit code 0.
    Completed,
    /// Anything else.
    Failed,
}
