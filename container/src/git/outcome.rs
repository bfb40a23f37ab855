//! What came of a merge, as it is reported.
//!
//! Pure. A message is for people: it names what is wrong and what to do.

use beadrig::wire::merge::MergeReason;
use beadrig::wire::review::CompleteReview;

use super::command::GitError;

/// What came of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why.
    pub reason: MergeReason,
    /// For people.
    pub message: String,
    /// The merge commit.
    pub commit: Option<String>,
    /// Where the pull request is, or can be made.
    pub pr_url: Option<String>,
}

impl Outcome {
    /// One that is only said.
    pub fn new(reason: MergeReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), commit: None, pr_url: None }
    }

    /// It is on the target branch.
    pub fn merged(target: &str, commit: &str, more: &str) -> Self {
        let short = commit.get(..12).unwrap_or(commit);
        let message = format!("merged into {target} as {short}{more}");
        Self { commit: Some(commit.to_owned()), ..Self::new(MergeReason::Merged, message) }
    }

    /// Git could not even look.
    pub fn of_error(error: &GitError) -> Self {
        let reason = match error {
            GitError::Failed { .. } | GitError::TimedOut { .. } | GitError::Refused(_) => {
                MergeReason::FetchFailed
            }
            GitError::NoGit(_) | GitError::TooOld(_) | GitError::TooMuch(_) | GitError::Disk(_) => {
                MergeReason::ContainerFailed
            }
        };
        Self::new(reason, error.to_string())
    }

    /// As it goes over the wire.
    pub fn report(self, attempt: Option<i64>) -> CompleteReview {
        let status = match self.reason {
            MergeReason::Merged => "merged",
            MergeReason::PullRequest => "pushed",
            MergeReason::Conflict => "conflict",
            MergeReason::GateFailed
            | MergeReason::PushRejected
            | MergeReason::FetchFailed
            | MergeReason::BranchMissing
            | MergeReason::NothingToMerge
            | MergeReason::ContainerFailed => "failed",
        };
        CompleteReview {
            status: status.to_owned(),
            message: self.message,
            commit_sha: self.commit,
            reason: Some(self.reason),
            attempt,
            pr_url: self.pr_url,
        }
    }
}
