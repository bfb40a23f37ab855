//! Merges over the wire, between a rig and its container service.
//!
//! | who asks | request | body | answer |
//! |---|---|---|---|
//! | rig | `POST /git/merge` | [`MergeRequest`], or Gastown's with one branch | 202; else `Problem` |
//! | container | `POST /api/rigs/:rig/review-queue/landing` | [`Landing`] | 200 [`LandingVerdicts`] |
//! | container | `POST /api/rigs/:rig/review-queue/:entry/complete` | `CompleteReview` | 200; 404, 409: never send it again |
//!
//! A merge is known by its entry and by how often that was started (`attempt`), so that the same request twice is
//! one merge, and what an older one says is refused. The container asks the rig before it pushes: work that was
//! taken back meanwhile does not land, and a container that is cut off from its rig lands nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The repository that a run works in. The container makes a worktree of `branch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GitWork {
    /// Where the repository is: `https://`, `ssh://`, `user@host:path`, `file://` or a path. Never with a password.
    pub url: String,
    /// The branch that work starts from and is merged into; the remote's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// The branch of the bead: `gt/<agent>/<bead>`, the same in each of its runs.
    pub branch: String,
}

/// What is done with a branch that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MergeStrategy {
    /// It is merged and pushed.
    #[default]
    Direct,
    /// It is pushed as it is; a person merges its pull request.
    PullRequest,
}

/// A command that must succeed before anything lands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// What it is called in messages.
    pub name: String,
    /// A line for `sh -c`, run in the merged tree.
    pub command: String,
    /// It is ended and counts as failed after this long, in seconds.
    pub time_limit_s: u64,
}

/// Asks for the merge of some branches into one. Answered at once; what comes of each entry is reported.
///
/// All are merged and checked together. If that fails, the container halves until it has found whose fault it is:
/// the good ones land, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MergeRequest {
    /// [`super::PROTOCOL`] of the sender.
    pub protocol: u32,
    /// For which rig; reports go there.
    pub rig_id: String,
    /// Where the repository is, as in [`GitWork`].
    pub git_url: String,
    /// What is merged into; the remote's default branch without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_branch: Option<String>,
    /// What is done with what passed.
    #[serde(default)]
    pub strategy: MergeStrategy,
    /// What must succeed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Whether the gates run all at once instead of in order.
    #[serde(default)]
    pub gates_parallel: bool,
    /// How long all of it may take, in seconds; what has no outcome then is ended and reported as `container_failed`.
    /// The container's own limit without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_s: Option<u64>,
    /// What is merged, in order; at least one.
    pub entries: Vec<MergeEntry>,
    /// The rig's variables: credentials (`GIT_TOKEN`) and what the gates need. Never logged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
}

/// One branch to be merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MergeEntry {
    /// The review.
    pub entry_id: String,
    /// How often its merge was started, this time included.
    pub attempt: i64,
    /// Whose work it is: the bead …
    pub bead_id: String,
    /// … its title …
    pub title: String,
    /// … and the agent's name.
    pub agent_name: String,
    /// Where the work is.
    pub branch: String,
}

/// A merge that the container is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MergeAtWork {
    /// The review.
    pub entry_id: String,
    /// Which start of it.
    pub attempt: i64,
}

/// Asks whether these may land now. Also sent with the heartbeats, so that the rig knows what is at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Landing {
    /// What would be pushed.
    pub entries: Vec<MergeAtWork>,
}

/// Whether they may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LandingVerdicts {
    /// One for each entry that was named.
    pub verdicts: Vec<LandingVerdict>,
}

/// Whether one may land.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LandingVerdict {
    /// The review.
    pub entry_id: String,
    /// Which start of it.
    pub attempt: i64,
    /// `ok`: it may. `stale`: it is wanted no more; leave it out and report nothing.
    pub verdict: super::container::Advice,
}

/// Why a branch did not land, or how it did: the fine print of `CompleteReview::status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MergeReason {
    /// `merged`: it is on the target branch.
    Merged,
    /// `pushed`: its branch is on the remote for a person to merge; `pr_url` is where.
    PullRequest,
    /// `conflict`: it does not go together with the target branch, or with what is merged before it.
    Conflict,
    /// `failed`: a gate failed, or could not run.
    GateFailed,
    /// `failed`: the remote refused the push, again and again.
    PushRejected,
    /// `failed`: the remote could not be read: unreachable, or the credentials are wrong.
    FetchFailed,
    /// `failed`: neither the remote nor the container has the branch.
    BranchMissing,
    /// `failed`: the branch has nothing that the target branch has not.
    NothingToMerge,
    /// `failed`: the container could not do it: no room on the disk, no git, an interruption.
    ContainerFailed,
}
