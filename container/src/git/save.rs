//! What a run leaves: its commits on its branch, and what it did not commit in a ref of its own.
//!
//! ```text
//! refs/heads/<branch>                    pushed, if the remote's is contained in it, or was once ours
//! refs/beadrig/wip/<bead>/<attempt>      pushed: a commit of all that is not committed, on top of the rest
//! ```
//!
//! The worktree stays as it is, so that the next run here finds it so; the refs are for when this disk is gone, and go
//! from the remote when the bead has landed.
//! It must never overwrite what somebody else pushed.

use std::path::Path;

use super::command::{GitError, disk};
use super::names;
use super::repo::{Push, Repo, remove_locks};
use super::said::Pushed;
use super::worktree::Want;

/// Where what is not committed goes.
fn wip(bead: &str, what: &str) -> String {
    format!("{}{}", wip_of(bead), names::ref_part(what))
}

/// What the names of all such refs of a bead begin with.
pub(super) fn wip_of(bead: &str) -> String {
    format!("refs/beadrig/wip/{}/", names::ref_part(bead))
}

/// Keeps all of a run that is over; says in lines what came of it.
pub(super) async fn save(repo: &Repo, dir: &Path, want: &Want) -> Result<Vec<String>, GitError> {
    let Some(own) = repo.own_dir(dir) else {
        return Ok(vec!["git: the worktree is gone, nothing of it can be kept".to_owned()]);
    };
    remove_locks(&own).map_err(disk("cleared of locks", &own))?;
    let branch = &want.branch;
    let name = format!("refs/heads/{branch}");
    let local = repo.tip(&name).await?;
    let remote = repo.remote_tip(&name).await?;
    let (push, is_foreign) = plan(repo, branch, local.as_deref(), remote).await?;
    let mut pushes: Vec<Push> = push.into_iter().collect();
    let kept = is_foreign.then_some(local.as_deref()).flatten();
    let loose = uncommitted(repo, dir, &own, want, local.as_deref(), kept).await?;
    if let Some(commit) = loose {
        let to = wip(&want.bead, &want.attempt.to_string());
        repo.run(&["update-ref", &to, &commit]).await?;
        pushes.push(Push { commit: Some(commit), to, expected: None });
    }
    if pushes.is_empty() {
        return Ok(Vec::new());
    }
    let results = repo.push(&pushes).await?;
    let mut notes = Vec::new();
    if is_foreign {
        notes.push(format!("git: {branch} was changed on the remote by somebody else"));
    }
    for (Push { to, .. }, result) in pushes.iter().zip(results) {
        let is_branch = *to == name;
        notes.push(match result {
            Pushed::Done if is_branch => format!("git: pushed {branch}"),
            Pushed::Done => format!("git: what was not committed is kept in {to}"),
            Pushed::Moved(why) | Pushed::Refused(why) => {
                format!("git: the remote did not take {to}: {}", names::one_line(&why))
            }
        });
    }
    Ok(notes)
}

/// How the branch is pushed, if there is anything to push; and whether it may not be, because it is not ours.
async fn plan(
    repo: &Repo,
    branch: &str,
    local: Option<&str>,
    remote: Option<String>,
) -> Result<(Option<Push>, bool), GitError> {
    let Some(local) = local else { return Ok((None, false)) };
    let push = |expected| Push {
        commit: Some(local.to_owned()),
        to: format!("refs/heads/{branch}"),
        expected,
    };
    let Some(remote) = remote else {
        // Another bead's branch does not count: two agents can make the very same commit.
        let others = ["--not", "--exclude=origin/gt/*", "--remotes=origin"];
        let own = [&["rev-list", "--max-count=1", local], &others[..]].concat();
        let has_own = !repo.run(&own).await?.trim().is_empty() && local != repo.root().await?;
        return Ok((has_own.then(|| push(None)), false));
    };
    if remote == local {
        return Ok((None, false));
    }
    let object = ["cat-file", "-e", &remote];
    let is_known = repo.ask(&object).await?.code == Some(0);
    if is_known && (repo.contains(local, &remote).await? || repo.was_here(branch, &remote).await?) {
        return Ok((Some(push(Some(remote))), false));
    }
    let is_behind = is_known && repo.contains(&remote, local).await?;
    Ok((None, !is_behind))
}

/// A commit of all that is in the worktree, if it says more than what is pushed anyway.
async fn uncommitted(
    repo: &Repo,
    dir: &Path,
    own: &Path,
    want: &Want,
    local: Option<&str>,
    kept: Option<&str>,
) -> Result<Option<String>, GitError> {
    // An index beside the agent's, so that the worktree stays as it is.
    let index = own.join("beadrig-index");
    let copied = std::fs::copy(own.join("index"), &index);
    if copied.is_err() {
        let _ = std::fs::remove_file(&index);
    }
    let beside = repo.clone().with("GIT_INDEX_FILE", &index.to_string_lossy());
    // What cannot be read is left out; the rest is worth keeping.
    beside.ask_in(dir, &["add", "--all", "--ignore-errors"]).await?;
    let tree = beside.run_in(dir, &["write-tree"]).await;
    let _ = std::fs::remove_file(&index);
    let tree = tree?.trim().to_owned();
    let head = repo.ask_in(dir, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await?;
    let head = (head.code == Some(0)).then(|| head.out.trim().to_owned());
    let is_on_branch = match (&head, local) {
        (Some(head), Some(local)) => repo.contains(local, head).await?,
        (head, _) => head.is_none(),
    };
    let before = match &head {
        Some(head) => repo.run(&["rev-parse", &format!("{head}^{{tree}}")]).await?,
        None => repo.run(&["mktree"]).await?,
    };
    if tree == before.trim() && is_on_branch && kept.is_none() {
        return Ok(None);
    }
    let message = format!(
        "Work in progress on {}\n\nAs attempt {} left it, on {}.",
        names::one_line(&want.bead),
        want.attempt,
        want.branch
    );
    let mut arguments = vec!["commit-tree", tree.as_str(), "-m", &message];
    let parents =
        head.as_deref().into_iter().chain(kept.filter(|kept| head.as_deref() != Some(*kept)));
    for parent in parents {
        arguments.extend(["-p", parent]);
    }
    Ok(Some(repo.run(&arguments).await?.trim().to_owned()))
}

/// Puts what the last run had not committed into a new worktree, if it was on top of the same commit.
pub(super) async fn bring_back(
    repo: &Repo,
    dir: &Path,
    want: &Want,
    start: &str,
) -> Option<String> {
    let under = wip_of(&want.bead);
    // From another disk. Without an answer there may still be something here.
    if let Err(error) = repo.fetch_refs(&format!("{under}*")).await {
        tracing::warn!(%error, "work in progress cannot be fetched");
    }
    let listed = repo.run(&["for-each-ref", "--format=%(refname)", &under]).await.ok()?;
    let attempts = listed.lines().filter_map(|name| name.strip_prefix(&under)?.parse::<i64>().ok());
    let last = attempts.filter(|attempt| *attempt < want.attempt).max()?;
    let name = format!("{under}{last}");
    let before = repo.tip(&format!("{name}^")).await.ok()??;
    if before != start {
        return None;
    }
    let restore = ["restore", "--quiet", "--worktree", "--source", &name, "--", ":/"];
    Some(match repo.run_in(dir, &restore).await {
        Ok(_) => format!("git: brought back what attempt {last} had not committed"),
        Err(error) => format!("git: what attempt {last} had not committed is in {name}: {error}"),
    })
}

/// Keeps, here, what an unusable worktree still has; says where.
pub(super) async fn keep_leftovers(
    repo: &Repo,
    dir: &Path,
    want: &Want,
    label: &str,
) -> Option<String> {
    let own = repo.own_dir(dir)?;
    let name = format!("refs/heads/{}", want.branch);
    let keep = async {
        remove_locks(&own).map_err(disk("cleared of locks", &own))?;
        let local = repo.tip(&name).await?;
        let Some(commit) = uncommitted(repo, dir, &own, want, local.as_deref(), None).await? else {
            return Ok(None);
        };
        keep_commit(repo, &want.bead, label, &commit).await.map(Some)
    };
    match keep.await {
        Ok(kept) => kept.map(|kept| format!("git: what an earlier run left is kept in {kept}")),
        Err(error) => {
            let error: GitError = error;
            Some(format!("git: what an earlier run left cannot be kept: {error}"))
        }
    }
}

/// Keeps a commit, here, under the name of its bead.
pub(super) async fn keep_commit(
    repo: &Repo,
    bead: &str,
    label: &str,
    commit: &str,
) -> Result<String, GitError> {
    let to = wip(bead, label);
    repo.run(&["update-ref", &to, commit]).await?;
    Ok(to)
}
