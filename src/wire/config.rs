//! What a rig sets for itself, over the wire. A change is an object with some of these keys: what is absent stays,
//! what is null is the deployment's again. What was read may be sent back and changes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::merge::{Gate, MergeStrategy};

/// What holds for a rig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigView {
    /// Which rig.
    pub rig_id: String,
    /// Its town: the rigs of a town share its container.
    pub town: String,
    /// Where its repository is; without one, nothing is merged.
    pub git_url: Option<String>,
    /// What is merged into; null: the default branch of the remote.
    pub default_branch: Option<String>,
    /// What the names of its beads begin with.
    pub prefix: String,
    /// The command an agent is, word by word; a text with quotes as in a shell may be sent too.
    pub agent_command: Vec<String>,
    /// Handed to the command as `{model}`.
    pub agent_model: Option<String>,
    /// Whether beads are claimed.
    pub dispatch_enabled: bool,
    /// Agents at work at once.
    pub max_agents: u32,
    /// Runs of a bead in 24 h.
    pub max_attempts: usize,
    /// Waits after the first, second, … run that failed, in milliseconds; the last one repeats.
    pub back_off_ms: Vec<i64>,
    /// Between ticks while there is work, in milliseconds.
    pub active_alarm_ms: i64,
    /// Between ticks while there is none, in milliseconds; 0: never.
    pub idle_alarm_ms: i64,
    /// A run may take so long, in seconds.
    pub run_timeout_s: u32,
    /// What is done with a branch that passed.
    pub merge_strategy: MergeStrategy,
    /// What must succeed before anything lands, at most 10; a gate that names no time has 600 s.
    pub merge_gates: Vec<Gate>,
    /// Whether the gates run all at once instead of in order.
    pub merge_gates_parallel: bool,
    /// An agent that was silent for this long is told so, in milliseconds.
    pub gupp_ms: i64,
    /// A bead for agents on which nothing moved for longer is blocked, in milliseconds.
    pub reaper_ms: i64,
    /// What the runs of a bead may cost together, in dollars, as a text such as `2.50`; `0`: no bound.
    pub max_budget_usd: String,
    /// The agents' environment, masked. What is sent replaces all of it; a masked value keeps the stored one.
    pub env_vars: BTreeMap<String, String>,
    /// The keys that are the rig's own, not the deployment's.
    pub overridden: Vec<String>,
    /// The keys that its town sets for all of its rigs, as the rig was told when it started an agent last.
    #[serde(default)]
    pub of_town: Vec<String>,
}
