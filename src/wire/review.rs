//! The review queue over the wire.

use serde::{Deserialize, Serialize};

use super::merge::MergeReason;

/// Hands in a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubmitReview {
    /// Whose work it is; must be the caller, if the caller is an agent.
    pub agent_id: String,
    /// Of which bead.
    pub bead_id: String,
    /// Where the work is.
    pub branch: String,
    /// Its pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_url: Option<String>,
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// It is in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Submitted {
    /// True.
    pub submitted: bool,
    /// The review; the same for the same branch, as long as it is not over.
    pub entry_id: String,
}

/// Says what came of a merge. An entry in the body is ignored: the one in the path counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompleteReview {
    /// `merged`, `conflict` or `failed`; `pushed` if it was left to a person.
    pub status: String,
    /// For people.
    pub message: String,
    /// The merge commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<String>,
    /// Why; without it, what the status says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<MergeReason>,
    /// Which start of the merge it was; what an older one says is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// Where its pull request is, or can be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_url: Option<String>,
}

/// A review as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReviewView {
    /// Its name; names sort by age.
    pub id: String,
    /// Of which bead.
    pub bead_id: String,
    /// Whose work it is.
    pub agent_id: String,
    /// The run that handed it in.
    pub attempt: Option<i64>,
    /// Where the work is.
    pub branch: String,
    /// Its pull request.
    pub pr_url: Option<String>,
    /// What was done.
    pub summary: Option<String>,
    /// `pending`, `running`, `waiting` (for a person to merge it), `merged`, `conflict` or `failed`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::review::State::ALL.map(crate::review::State::as_str))))]
    pub status: String,
    /// Merges that were started.
    pub attempts: i64,
    /// When it was handed in.
    pub created_at: String,
    /// When its last merge was started.
    pub started_at: Option<String>,
    /// When it was over.
    pub finished_at: Option<String>,
    /// What came of it, for people.
    pub message: Option<String>,
    /// The merge commit.
    pub commit_sha: Option<String>,
    /// What it is merged into; null: the default branch of the remote.
    pub target_branch: Option<String>,
    /// When it is tried again, if it was put off.
    pub retry_at: Option<String>,
}
