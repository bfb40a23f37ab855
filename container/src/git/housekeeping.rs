//! What grows in a clone: worktrees that nobody uses any more, and loose objects.
//!
//! It is done once a day, beside the work, when the clone is used. What a worktree has and nobody else keeps goes
//! into a ref before it is removed. It must never touch a branch that a run works on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::command::{GitError, disk};
use super::repo::{Repo, remove_tree};
use super::save;
use super::worktree::Want;
use crate::limits::{GIT_KEEP_HOUSE_S, GIT_UNUSED_S_MAX};

/// Begins it, if it is time.
pub(super) fn begin(repo: &Repo) {
    if !repo.is_time_to_clean(Duration::from_secs(GIT_KEEP_HOUSE_S)) {
        return;
    }
    let repo = repo.clone();
    tokio::spawn(async move {
        if let Err(error) = clean(&repo, Duration::from_secs(GIT_UNUSED_S_MAX)).await {
            tracing::warn!(%error, "a clone cannot be cleaned up");
        }
    });
}

/// Removes worktrees that were not used for this long, and packs objects if there are many.
async fn clean(repo: &Repo, unused: Duration) -> Result<(), GitError> {
    for tree in super::children(&repo.trees()).map_err(disk("read", &repo.trees()))? {
        let Some(own) = repo.own_dir(&tree) else { continue };
        if age(&own).is_some_and(|age| age >= unused) {
            remove(repo, &tree).await?;
        }
    }
    let pack = ["-c", "gc.auto=6700", "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"];
    repo.run(&pack).await.map(drop)
}

async fn remove(repo: &Repo, tree: &Path) -> Result<(), GitError> {
    let _lock = repo.lock().await;
    let head = repo.run_in(tree, &["symbolic-ref", "--quiet", "--short", "HEAD"]).await;
    // Without a branch it is one that a run has left so; its own directory says which it was for.
    let branch = head.unwrap_or_default().trim().to_owned();
    if repo.is_busy_tree(tree) {
        return Ok(());
    }
    let bead = branch.rsplit('/').next().unwrap_or_default().to_owned();
    let want = Want { branch, default_branch: None, bead, attempt: 0 };
    save::keep_leftovers(repo, tree, &want, "unused").await;
    remove_tree(tree).await.map_err(disk("removed", tree))?;
    repo.run(&["worktree", "prune"]).await.map(drop)
}

/// How long ago git did something in a worktree.
fn age(own: &Path) -> Option<Duration> {
    let changed =
        |name: &str| std::fs::metadata(PathBuf::from(own).join(name)).ok()?.modified().ok();
    let last = ["index", "HEAD", "logs/HEAD"].into_iter().filter_map(changed).max()?;
    SystemTime::now().duration_since(last).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::git::Git;
    use crate::git::command::Setting;
    use crate::git::worktree::prepare;

    #[tokio::test]
    async fn a_worktree_that_nobody_uses_is_removed_and_what_it_had_is_kept() {
        let data = tempfile::tempdir().unwrap();
        let remote = tempfile::tempdir().unwrap();
        let made = Command::new("git").args(["init", "-q", "--bare"]).arg(remote.path()).status();
        assert!(made.unwrap().success());
        let git = Arc::new(Git::new(data.path().canonicalize().unwrap().into_os_string()));
        let repo = git.repo("r1", remote.path().to_str().unwrap(), Setting::plain(&git));
        let want = |branch: &str| Want {
            branch: branch.to_owned(),
            default_branch: None,
            bead: "b-1".to_owned(),
            attempt: 1,
        };
        prepare(&repo, &want("gt/a/b-1")).await.unwrap();
        prepare(&repo, &want("gt/a/b-2")).await.unwrap();
        std::fs::write(repo.tree("gt/a/b-1").join("file"), "text").unwrap();
        clean(&repo, Duration::from_hours(1)).await.unwrap();
        assert!(repo.tree("gt/a/b-1").exists() && repo.tree("gt/a/b-2").exists());
        let busy = repo.occupy("gt/a/b-2");
        clean(&repo, Duration::ZERO).await.unwrap();
        assert!(!repo.tree("gt/a/b-1").exists() && repo.tree("gt/a/b-2").exists());
        let kept = repo.run(&["show", "refs/beadrig/wip/b-1/unused:file"]).await.unwrap();
        assert_eq!(kept, "text");
        assert!(repo.tip("refs/heads/gt/a/b-1").await.unwrap().is_some());
        drop(busy);
        clean(&repo, Duration::ZERO).await.unwrap();
        assert!(!repo.tree("gt/a/b-2").exists());
        assert!(!repo.is_time_to_clean(Duration::from_hours(1)), "the first use was the time");
        repo.ready(Instant::now()).await.unwrap();
    }
}
