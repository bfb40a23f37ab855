//! Which commit of a branch is merged: here and on the remote there can be two.

use super::command::GitError;
use super::repo::Repo;
use super::save::wip_of;
use crate::limits::MERGE_SEARCH_MAX;

/// Where a branch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tip {
    /// At this commit.
    At(String),
    /// Nowhere.
    Missing,
    /// Here at one commit, on the remote at another, and neither contains the other.
    Apart,
}

/// Takes the commit that contains the other. One that was rewritten here counts as containing what it was.
pub(super) async fn tip(repo: &Repo, branch: &str) -> Result<Tip, GitError> {
    let local = repo.tip(&format!("refs/heads/{branch}")).await?;
    let remote = repo.tip(&format!("refs/remotes/origin/{branch}")).await?;
    Ok(match (local, remote) {
        (None, None) => Tip::Missing,
        (Some(one), None) | (None, Some(one)) => Tip::At(one),
        (Some(local), Some(remote)) if repo.contains(&remote, &local).await? => Tip::At(remote),
        (Some(local), Some(remote)) => {
            if repo.contains(&local, &remote).await? || repo.was_here(branch, &remote).await? {
                Tip::At(local)
            } else {
                Tip::Apart
            }
        }
    })
}

/// What a merge commit says of itself, so that one that landed is found again.
pub(super) fn trailer(entry: &str) -> String {
    format!("Beadrig-Review: {entry}")
}

/// The merge commit of a review, if it has landed: its report may have been lost.
pub(super) async fn landed(
    repo: &Repo,
    target: &str,
    entry: &str,
) -> Result<Option<String>, GitError> {
    let grep = format!("--grep=^{}$", trailer(entry).replace('.', "\\."));
    let most = format!("--max-count={MERGE_SEARCH_MAX}");
    // Of the newest commits only; the filter comes after the bound.
    let newest = ["rev-list", "--first-parent", &most, target];
    let oldest = repo.run(&newest).await?;
    let range = match oldest.lines().nth(MERGE_SEARCH_MAX - 1) {
        Some(oldest) => format!("{oldest}..{target}"),
        None => target.to_owned(),
    };
    let found = ["log", "--first-parent", "--max-count=1", "--format=%H", &grep, &range];
    let found = repo.run(&found).await?;
    Ok(Some(found.trim().to_owned()).filter(|found| !found.is_empty()))
}

/// Where uncommitted work of a bead is kept here, for the message that says that there is nothing to merge.
pub(super) async fn kept(repo: &Repo, bead: &str) -> Result<Option<String>, GitError> {
    let under = wip_of(bead);
    let arguments =
        ["for-each-ref", "--count=1", "--sort=-creatordate", "--format=%(refname)", &under];
    let found = repo.run(&arguments).await?;
    Ok(Some(found.trim().to_owned()).filter(|found| !found.is_empty()))
}
