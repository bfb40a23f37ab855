//! What is set for all rigs of a town, over the wire. Names and bounds are Gastown's. A change is an object with some of
//! these keys: what is absent stays, what is null is the deployment's again. What was read may be sent back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is set for all rigs of a town; null where the deployment's setting holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TownConfigView {
    /// The agents' environment, masked. What is sent replaces all of it; a masked value keeps the stored one.
    pub env_vars: BTreeMap<String, String>,
    /// What the agents reach repositories with.
    pub git_auth: GitAuth,
    /// Handed to the agents' command as `{model}`.
    pub default_model: Option<String>,
    /// Agents of a rig at work at once, 1 to 20.
    pub max_polecats_per_rig: Option<u32>,
    /// Between ticks while there is work, in seconds, 5 to 600.
    pub alarm_interval_active: Option<u32>,
    /// Between ticks while there is none, in seconds, 30 to 3,600.
    pub alarm_interval_idle: Option<u32>,
}

/// What the agents reach repositories with: they find it as `GIT_TOKEN`, `GITLAB_TOKEN` and `GITLAB_INSTANCE_URL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitAuth {
    /// Masked.
    pub github_token: Option<String>,
    /// Masked.
    pub gitlab_token: Option<String>,
    /// The address of a GitLab of one's own.
    pub gitlab_instance_url: Option<String>,
}

/// What a rig is told of its town's settings; it has secrets in it, and goes nowhere else.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TownLayer {
    /// Whose they are: a rig that moved does not use them any more.
    pub town_id: String,
    /// By the names that they have in a rig, as an environment would have them.
    pub settings: BTreeMap<String, String>,
    /// For the agents' environment.
    pub env_vars: BTreeMap<String, String>,
}

impl std::fmt::Debug for TownLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.env_vars.keys().collect();
        f.debug_struct("TownLayer")
            .field("town_id", &self.town_id)
            .field("settings", &self.settings)
            .field("env_vars", &names)
            .finish()
    }
}
