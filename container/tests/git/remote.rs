//! A bare repository as a remote, and somebody who works with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use beadrig::wire::merge::MergeReason;
use beadrig::wire::review::CompleteReview;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::town::{Town, start, until};

/// A remote with a default branch.
pub(crate) struct Remote {
    dir: TempDir,
    clones: AtomicU32,
}

/// Runs git as somebody; it must go well.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
    let (ok, said) = try_git(dir, arguments);
    assert!(ok, "git {arguments:?}: {said}");
    said
}

/// Runs git as somebody.
pub(crate) fn try_git(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let ran = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "Somebody"), ("GIT_AUTHOR_EMAIL", "somebody@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Somebody"), ("GIT_COMMITTER_EMAIL", "s@example.com")])
        .output()
        .unwrap();
    let text = if ran.status.success() { ran.stdout } else { ran.stderr };
    (ran.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
}

impl Remote {
    /// One without a commit.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet", "--bare", "-b", "main", "remote.git"]);
        Self { dir, clones: AtomicU32::new(0) }
    }

    /// One with a file `base` on its default branch.
    pub(crate) fn with_default(branch: &str) -> Self {
        let remote = Self::empty();
        git(&remote.path(), &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
        let clone = remote.clone();
        git(&clone, &["checkout", "--quiet", "-B", branch]);
        commit(&clone, "base", "base\n");
        git(&clone, &["push", "--quiet", "origin", branch]);
        remote
    }

    pub(crate) fn new() -> Self {
        Self::with_default("main")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("remote.git")
    }

    pub(crate) fn url(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// A fresh clone.
    pub(crate) fn clone(&self) -> PathBuf {
        let number = self.clones.fetch_add(1, Ordering::Relaxed);
        let clone = self.dir.path().join(format!("clone-{number}"));
        git(self.dir.path(), &["clone", "--quiet", &self.url(), clone.to_str().unwrap()]);
        clone
    }

    /// Pushes a branch that has one commit more than the default branch: a file with a text.
    pub(crate) fn branch(&self, branch: &str, file: &str, text: &str) -> String {
        let clone = self.clone();
        git(&clone, &["checkout", "--quiet", "-B", branch]);
        commit(&clone, file, text);
        git(&clone, &["push", "--quiet", "origin", branch]);
        git(&clone, &["rev-parse", "HEAD"])
    }

    /// What a ref is at.
    pub(crate) fn at(&self, name: &str) -> Option<String> {
        let (ok, said) = try_git(&self.path(), &["rev-parse", "--verify", "--quiet", name]);
        ok.then_some(said)
    }

    /// A file as a ref has it.
    pub(crate) fn file(&self, name: &str, file: &str) -> Option<String> {
        let (ok, said) = try_git(&self.path(), &["show", &format!("{name}:{file}")]);
        ok.then_some(said)
    }

    /// All refs.
    pub(crate) fn refs(&self) -> Vec<String> {
        let said = git(&self.path(), &["for-each-ref", "--format=%(refname)"]);
        said.lines().map(str::to_owned).collect()
    }

    /// Installs a hook that the remote itself runs.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let hooks = self.path().join("hooks");
        std::fs::create_dir_all(&hooks).unwrap();
        let hook = hooks.join(name);
        std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Writes a file and commits it.
pub(crate) fn commit(clone: &Path, file: &str, text: &str) {
    std::fs::write(clone.join(file), text).unwrap();
    git(clone, &["add", "--all"]);
    git(clone, &["commit", "--quiet", "-m", &format!("change {file}")]);
}

/// Asks to start a script of an agent in a repository.
pub(crate) fn in_repo(remote: &Remote, agent: &str, attempt: i64, script: &str) -> Value {
    let mut request = start(agent, attempt, script);
    request["git"] = json!({"url": remote.url(), "branch": format!("gt/{agent}/b-{agent}")});
    request
}

/// Runs a script in a repository to its end.
pub(crate) async fn ran(town: &Town, request: Value) -> beadrig::wire::container::ExitReport {
    let (agent, attempt) = (request["agentId"].as_str().unwrap().to_owned(), &request["attempt"]);
    let attempt = attempt.as_i64().unwrap();
    let (status, body) = town.post("/agents/start", request).await;
    assert_eq!(status, 201, "{body}");
    town.report(&agent, attempt).await
}

/// Asks for the merge of branches into the default branch; the entry of `gt/x` is `e-x`.
pub(crate) fn merge(remote: &Remote, branches: &[&str]) -> Value {
    let entries = branches.iter().map(|branch| {
        let name = branch.rsplit('/').next().unwrap();
        json!({
            "entryId": format!("e-{name}"),
            "attempt": 1,
            "beadId": format!("b-{name}"),
            "title": format!("make {name}"),
            "agentName": "Toast",
            "branch": branch,
        })
    });
    json!({
        "protocol": 1,
        "rigId": "r1",
        "gitUrl": remote.url(),
        "entries": entries.collect::<Vec<_>>(),
    })
}

/// Asks, and it is taken.
pub(crate) async fn ask(town: &Town, request: Value) {
    let (status, body) = town.post("/git/merge", request).await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["status"], "accepted");
}

/// Waits for what comes of a review.
pub(crate) async fn outcome(town: &Town, entry: &str) -> CompleteReview {
    until(async || {
        let all = town.rig.completions();
        let found = all.iter().find(|(_, other, _)| other == entry);
        found.map(|(_, _, report)| report.clone()).ok_or(all)
    })
    .await
}

/// Waits for what comes of one start of a review.
pub(crate) async fn outcome_of(town: &Town, entry: &str, attempt: i64) -> CompleteReview {
    until(async || {
        let all = town.rig.completions();
        let its =
            |it: &&(String, String, CompleteReview)| it.1 == entry && it.2.attempt == Some(attempt);
        all.iter().find(its).map(|(_, _, report)| report.clone()).ok_or(all.clone())
    })
    .await
}

/// Waits for the reasons of some reviews.
pub(crate) async fn reasons(town: &Town, entries: &[&str]) -> Vec<MergeReason> {
    let mut all = Vec::new();
    for entry in entries {
        all.push(outcome(town, entry).await.reason.unwrap());
    }
    all
}
