//! The worktree of a branch, for a run: made, or taken as the last run left it.
//!
//! ```text
//! directory is a worktree on its branch ------> as it is, brought up to the remote if nothing is lost by that
//! directory is anything else --kept in a ref--> removed --+
//! no directory ------------------------------------------+--> added on the branch
//!
//! the branch: here and on the remote  the one that contains the other; if neither, the remote's, ours kept
//!             on one side only        that one
//!             nowhere                 new, from the default branch; from the first commit if the remote is empty
//! ```
//!
//! A new worktree gets back what the last run had not committed, if that was on top of the same commit.
//! It must never throw away what is only here.

use std::path::Path;

use tokio::time::Instant;

use super::command::{GitError, disk};
use super::repo::{Repo, remove_locks, remove_tree};
use super::save;

/// What a run wants.
pub(super) struct Want {
    /// The branch that it works on.
    pub(super) branch: String,
    /// Where new work begins; the remote's default branch without it.
    pub(super) default_branch: Option<String>,
    /// On which bead.
    pub(super) bead: String,
    /// Which run.
    pub(super) attempt: i64,
}

/// Makes the worktree; what people should know of it is said in lines.
pub(super) async fn prepare(repo: &Repo, want: &Want) -> Result<Vec<String>, GitError> {
    let asked_at = Instant::now();
    let _lock = repo.lock().await;
    repo.ready(asked_at).await?;
    let dir = repo.tree(&want.branch);
    let mut notes = Vec::new();
    if is_usable(repo, &dir, &want.branch).await {
        notes.push(format!("git: goes on in the worktree of {}", want.branch));
        catch_up(repo, &dir, &want.branch).await?;
        return Ok(notes);
    }
    if dir.exists() {
        notes.extend(save::keep_leftovers(repo, &dir, want, &label(want)).await);
        remove_tree(&dir).await.map_err(disk("removed", &dir))?;
    }
    repo.run(&["worktree", "prune"]).await?;
    let start = start(repo, want, &mut notes).await?;
    let name = format!("refs/heads/{}", want.branch);
    repo.run(&["update-ref", "--create-reflog", &name, &start]).await?;
    let path = dir.to_string_lossy();
    // By force: an agent may have the branch checked out in its own worktree.
    let add = ["worktree", "add", "--quiet", "--no-checkout", "--force", &path, &want.branch];
    repo.run(&add).await?;
    repo.run_in(&dir, &["reset", "--quiet", "--hard"]).await?;
    notes.extend(save::bring_back(repo, &dir, want, &start).await);
    Ok(notes)
}

/// What is kept before a run is named after it.
fn label(want: &Want) -> String {
    format!("before-{}", want.attempt)
}

/// Whether a directory is a worktree on its branch, with nothing half done in it.
async fn is_usable(repo: &Repo, dir: &Path, branch: &str) -> bool {
    let Some(own) = repo.own_dir(dir) else { return false };
    if remove_locks(&own).is_err() {
        return false;
    }
    let half_done =
        ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"];
    if half_done.iter().any(|name| own.join(name).exists()) {
        return false;
    }
    let head = repo.run_in(dir, &["symbolic-ref", "--quiet", "HEAD"]).await;
    head.is_ok_and(|head| head.trim() == format!("refs/heads/{branch}"))
        && repo.run_in(dir, &["rev-parse", "--verify", "--quiet", "HEAD"]).await.is_ok()
        // A broken index shows here.
        && repo.run_in(dir, &["ls-files", "--unmerged"]).await.is_ok()
}

/// Takes what the remote's branch has more, if there is nothing here that it has not.
async fn catch_up(repo: &Repo, dir: &Path, branch: &str) -> Result<(), GitError> {
    let Some(remote) = repo.tip(&format!("refs/remotes/origin/{branch}")).await? else {
        return Ok(());
    };
    let local = repo.tip(&format!("refs/heads/{branch}")).await?;
    if local.as_ref() != Some(&remote) {
        // It refuses if that would lose something; then the agent sees both.
        repo.ask_in(dir, &["merge", "--quiet", "--ff-only", &remote]).await?;
    }
    Ok(())
}

/// The commit that the branch begins or goes on with.
async fn start(repo: &Repo, want: &Want, notes: &mut Vec<String>) -> Result<String, GitError> {
    let branch = &want.branch;
    let local = repo.tip(&format!("refs/heads/{branch}")).await?;
    let remote = repo.tip(&format!("refs/remotes/origin/{branch}")).await?;
    match (local, remote) {
        (Some(local), Some(remote)) => {
            if repo.contains(&remote, &local).await? {
                Ok(remote)
            } else if repo.contains(&local, &remote).await?
                || repo.was_here(branch, &remote).await?
            {
                Ok(local)
            } else {
                let kept = save::keep_commit(repo, &want.bead, &label(want), &local).await?;
                notes.push(format!(
                    "git: {branch} was changed on the remote; what was here is kept in {kept}"
                ));
                Ok(remote)
            }
        }
        (Some(one), None) | (None, Some(one)) => {
            notes.push(format!("git: goes on with {branch}"));
            Ok(one)
        }
        (None, None) => fresh(repo, want).await,
    }
}

async fn fresh(repo: &Repo, want: &Want) -> Result<String, GitError> {
    if repo.is_empty().await? {
        return repo.root().await;
    }
    let base = match &want.default_branch {
        Some(branch) => Some(branch.clone()),
        None => repo.default_branch().await?,
    };
    let base = base.ok_or_else(|| {
        GitError::Refused("the remote does not say which branch is its default: set one".to_owned())
    })?;
    match repo.tip(&format!("refs/remotes/origin/{base}")).await? {
        Some(tip) => Ok(tip),
        None => Err(no_such_branch(repo, &base).await),
    }
}

/// That the remote has no such branch, and which it has.
pub(super) async fn no_such_branch(repo: &Repo, branch: &str) -> GitError {
    let default = repo.default_branch().await.ok().flatten();
    let hint = default.map(|name| format!("; its default branch is {name}")).unwrap_or_default();
    GitError::Refused(format!("the remote has no branch {branch}{hint}"))
}
