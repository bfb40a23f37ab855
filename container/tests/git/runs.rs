//! Runs in worktrees: made whatever is left over, and kept whatever ends them.

use std::path::PathBuf;

use beadrig::wire::container::{Advice, ExitReport};
use serde_json::json;

use crate::remote::{Remote, commit, git, in_repo, ran, try_git};
use crate::town::{Town, until};

const COMMIT: &str =
    "echo $BEADRIG_ATTEMPT >> log; git add log; git commit -qm \"run $BEADRIG_ATTEMPT\"";

fn home(town: &Town) -> PathBuf {
    let rig = std::fs::read_dir(town.data.path().join("git/r1")).unwrap();
    rig.map(|entry| entry.unwrap().path()).next().unwrap()
}

/// The worktree of the only branch.
fn tree(town: &Town) -> PathBuf {
    let trees = std::fs::read_dir(home(town).join("trees")).unwrap();
    trees.map(|entry| entry.unwrap().path()).next().unwrap()
}

fn tail(report: &ExitReport) -> &str {
    report.output_tail.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn an_agent_works_in_a_worktree_of_its_branch_under_its_own_name() {
    let (town, remote) = (Town::new().await, Remote::new());
    let script = format!(
        "{COMMIT}; pwd; echo $BEADRIG_WORKDIR; cat $BEADRIG_PROMPT_FILE; git status --short"
    );
    let report = ran(&town, in_repo(&remote, "a1", 1, &script)).await;
    assert_eq!(report.exit_code, Some(0));
    let said = town.said("a1").await;
    let dir = tree(&town).canonicalize().unwrap().display().to_string();
    assert_eq!(said[..2], [dir.clone(), dir]);
    assert_eq!(said[2..], ["read the hostname of {title}", "git: pushed gt/a1/b-a1"]);
    let author = git(&remote.path(), &["log", "-1", "--format=%an <%ae> %cn", "gt/a1/b-a1"]);
    assert_eq!(author, "Toast (beadrig) <Toast-polecat-r1@beadrig.local> Toast (beadrig)");
    assert_eq!(remote.at("gt/a1/b-a1^"), remote.at("main"));
}

#[tokio::test]
async fn what_was_not_committed_is_pushed_to_a_ref_that_names_the_attempt_however_the_run_ended() {
    let town = Town::with(&[("HEARTBEAT_MS", "50")]).await;
    let remote = Remote::new();
    let script = "echo new > new; echo changed > base; echo ignored > x.o; echo '*.o' > .gitignore; \
                  echo up; sleep 600";
    for (agent, end) in [("a1", "stop"), ("a2", "time"), ("a3", "stale")] {
        let mut request = in_repo(&remote, agent, 7, script);
        if end == "time" {
            request["timeLimitS"] = json!(1);
        }
        let (status, _) = town.post("/agents/start", request).await;
        assert_eq!(status, 201);
        town.hears(agent, "up").await;
        match end {
            "stop" => drop(town.post(&format!("/agents/{agent}/stop"), json!({})).await),
            "stale" => town.rig.advise(agent, Advice::Stale),
            _ => {}
        }
        let report = town.report(agent, 7).await;
        let name = format!("refs/beadrig/wip/b-{agent}/7");
        assert!(
            tail(&report).contains(&format!("what was not committed is kept in {name}")),
            "{report:?}"
        );
        assert_eq!(remote.file(&name, "new").as_deref(), Some("new"), "{end}");
        assert_eq!(remote.file(&name, "base").as_deref(), Some("changed"), "{end}");
        assert_eq!(remote.file(&name, "x.o"), None, "{end}");
        assert_eq!(remote.at(&format!("{name}^")), remote.at("main"));
        // No empty branch.
        assert_eq!(remote.at(&format!("gt/{agent}/b-{agent}")), None);
    }
}

#[tokio::test]
async fn incident_57_a_service_that_is_told_to_end_saves_the_work_of_three_busy_agents_first() {
    let (mut town, remote) = (Town::new().await, Remote::new());
    for agent in ["a1", "a2", "a3"] {
        // The same commit in all three, to the second.
        let date =
            "export GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z";
        let script = format!("{date}; {COMMIT}; echo loose > loose; echo up; sleep 600");
        let (status, _) = town.post("/agents/start", in_repo(&remote, agent, 1, &script)).await;
        assert_eq!(status, 201);
        town.hears(agent, "up").await;
    }
    town.service.take().unwrap().shutdown().await;
    for agent in ["a1", "a2", "a3"] {
        let reports = town.rig.reports(agent);
        assert_eq!(
            remote.file(&format!("gt/{agent}/b-{agent}"), "log").as_deref(),
            Some("1"),
            "{reports:?}"
        );
        let loose = remote.file(&format!("refs/beadrig/wip/b-{agent}/1"), "loose");
        assert_eq!(loose.as_deref(), Some("loose"));
    }
}

#[tokio::test]
async fn the_next_run_of_a_bead_goes_on_here_and_on_another_disk() {
    let remote = Remote::new();
    let town = Town::new().await;
    ran(&town, in_repo(&remote, "a1", 1, &format!("{COMMIT}; echo loose > loose"))).await;
    let report = ran(&town, in_repo(&remote, "a1", 2, &format!("cat loose; {COMMIT}"))).await;
    assert!(tail(&report).contains("goes on in the worktree of gt/a1/b-a1"), "{report:?}");
    assert!(tail(&report).contains("\nloose\n"), "{report:?}");
    assert_eq!(remote.file("gt/a1/b-a1", "log").as_deref(), Some("1\n2"));
    let elsewhere = Town::new().await;
    let script = format!("cat loose && rm loose; {COMMIT}");
    let report = ran(&elsewhere, in_repo(&remote, "a1", 3, &script)).await;
    assert!(
        tail(&report).contains("brought back what attempt 2 had not committed\nloose"),
        "{report:?}"
    );
    assert_eq!(remote.file("gt/a1/b-a1", "log").as_deref(), Some("1\n2\n3"));
    // And back, where the branch is older than on the remote.
    ran(&town, in_repo(&remote, "a1", 4, COMMIT)).await;
    assert_eq!(remote.file("gt/a1/b-a1", "log").as_deref(), Some("1\n2\n3\n4"));
}

#[tokio::test]
async fn what_was_deleted_and_not_committed_is_deleted_again_and_what_is_outdated_is_not_brought_back()
 {
    let remote = Remote::new();
    ran(&Town::new().await, in_repo(&remote, "a1", 1, "rm base; echo 1 > one")).await;
    let report = ran(&Town::new().await, in_repo(&remote, "a1", 2, "ls")).await;
    assert!(tail(&report).contains("had not committed\none\ngit: "), "{report:?}");
    ran(&Town::new().await, in_repo(&remote, "a1", 3, &format!("git add -A; {COMMIT}"))).await;
    let report = ran(&Town::new().await, in_repo(&remote, "a1", 4, "ls; git status --short")).await;
    assert!(tail(&report).ends_with("git: goes on with gt/a1/b-a1\nlog\none"), "{report:?}");
}

#[tokio::test]
async fn incident_54_whatever_is_left_over_the_worktree_is_made() {
    let (town, remote) = (Town::new().await, Remote::new());
    ran(&town, in_repo(&remote, "a1", 1, COMMIT)).await;
    let tree = tree(&town);
    // The directory is gone, the branch is not.
    std::fs::remove_dir_all(&tree).unwrap();
    let report = ran(&town, in_repo(&remote, "a1", 2, COMMIT)).await;
    assert_eq!(report.exit_code, Some(0), "{report:?}");
    // A directory that is no worktree.
    std::fs::remove_dir_all(&tree).unwrap();
    std::fs::create_dir_all(tree.join("sub")).unwrap();
    let report = ran(&town, in_repo(&remote, "a1", 3, COMMIT)).await;
    assert_eq!(report.exit_code, Some(0), "{report:?}");
    // Left in the middle of a merge, on another branch, with the lock of a git that was killed.
    git(&tree, &["checkout", "--quiet", "-b", "elsewhere", "HEAD~1"]);
    std::fs::write(tree.join("log"), "otherwise\n").unwrap();
    git(&tree, &["commit", "--quiet", "--all", "-m", "otherwise"]);
    assert!(!try_git(&tree, &["merge", "gt/a1/b-a1"]).0);
    let own = git(&tree, &["rev-parse", "--absolute-git-dir"]);
    std::fs::write(PathBuf::from(&own).join("index.lock"), "").unwrap();
    let report = ran(&town, in_repo(&remote, "a1", 4, COMMIT)).await;
    assert!(
        tail(&report)
            .contains("what an earlier run left is kept in refs/beadrig/wip/b-a1/before-4")
    );
    assert_eq!(remote.file("gt/a1/b-a1", "log").as_deref(), Some("1\n2\n3\n4"));
    // Half a clone.
    std::fs::remove_file(home(&town).join("repo.git/HEAD")).unwrap();
    let report = ran(&town, in_repo(&remote, "a1", 5, COMMIT)).await;
    assert_eq!(report.exit_code, Some(0), "{report:?}");
    assert_eq!(remote.file("gt/a1/b-a1", "log").as_deref(), Some("1\n2\n3\n4\n5"));
}

#[tokio::test]
async fn what_somebody_else_pushed_is_never_overwritten_and_what_was_here_is_kept() {
    let (town, remote) = (Town::new().await, Remote::new());
    ran(&town, in_repo(&remote, "a1", 1, COMMIT)).await;
    let script = format!("echo up; read -r line; git fetch -q; {COMMIT}");
    let (status, _) = town.post("/agents/start", in_repo(&remote, "a1", 2, &script)).await;
    assert_eq!(status, 201);
    town.hears("a1", "up").await;
    let clone = remote.clone();
    git(&clone, &["checkout", "--quiet", "gt/a1/b-a1"]);
    commit(&clone, "theirs", "theirs\n");
    git(&clone, &["push", "--quiet"]);
    let theirs = remote.at("gt/a1/b-a1");
    town.post("/agents/a1/message", json!({"prompt": "go"})).await;
    let report = town.report("a1", 2).await;
    assert!(
        tail(&report).contains("gt/a1/b-a1 was changed on the remote by somebody else"),
        "{report:?}"
    );
    assert_eq!(remote.at("gt/a1/b-a1"), theirs);
    assert_eq!(remote.file("refs/beadrig/wip/b-a1/2", "log").as_deref(), Some("1\n2"));
}

#[tokio::test]
async fn hooks_of_a_repository_are_not_run_by_the_service_and_large_files_are_not_fetched() {
    let (town, remote) = (Town::new().await, Remote::new());
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n";
    let clone = remote.clone();
    std::fs::write(clone.join(".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n")
        .unwrap();
    commit(&clone, "large.bin", pointer);
    git(&clone, &["push", "--quiet", "origin", "main"]);
    let mark = remote.path().join("ran");
    // The agent plants hooks and a filter where the service's own git would find them.
    let plant = format!(
        "cmp large.bin <(printf '%s' \"$POINTER\") && echo same; common=$(git rev-parse --git-common-dir); \
         mkdir -p $common/hooks; for hook in post-checkout pre-push post-commit pre-merge-commit post-merge \
         reference-transaction; do printf '#!/bin/sh\\ntouch {0}\\n' > $common/hooks/$hook; chmod +x $common/hooks/$hook; \
         done; rm -f {0}; echo loose > loose",
        mark.display()
    );
    let mut request = in_repo(&remote, "a1", 1, &plant);
    request["command"] = json!(["/bin/bash", "-c", plant]);
    request["envVars"] = json!({"POINTER": pointer});
    let report = ran(&town, request).await;
    assert!(tail(&report).contains("same"), "{report:?}");
    let report = ran(&town, in_repo(&remote, "a2", 1, "echo x > x")).await;
    assert!(tail(&report).contains("is kept in"), "{report:?}");
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_remote_that_does_not_answer_holds_up_neither_a_stop_nor_the_service() {
    let town = Town::new().await;
    // It accepts and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut request = crate::town::start("a1", 1, "true");
    let url = format!("http://{}/a.git", silent.local_addr().unwrap());
    request["git"] = json!({"url": url, "branch": "gt/a1/b-a1"});
    let (status, body) = town.post("/agents/start", request.clone()).await;
    assert_eq!((status.as_u16(), &body["status"]), (201, &json!("starting")));
    let (status, body) = town.post("/agents/start", request).await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("starting")));
    until(async || if town.processes().is_empty() { Err("no git yet") } else { Ok(()) }).await;
    town.post("/agents/a1/stop", json!({"reason": "enough"})).await;
    let report = town.report("a1", 1).await;
    assert_eq!(report.reason.as_deref(), Some("enough"));
    town.nothing_is_left().await;
}

#[tokio::test]
async fn incidents_33_34_a_default_branch_that_is_not_there_is_said_with_the_one_that_is() {
    let (town, remote) = (Town::new().await, Remote::with_default("trunk"));
    let mut request = in_repo(&remote, "a1", 1, "true");
    request["git"]["defaultBranch"] = json!("main");
    let report = ran(&town, request).await;
    assert_eq!(report.reason.as_deref(), Some("spawn_failed"));
    assert!(tail(&report).contains("the remote has no branch main; its default branch is trunk"));
    let mut request = in_repo(&remote, "a1", 2, "true");
    for branch in ["trunk", "../up", "a b", "-x"] {
        request["git"]["branch"] = json!(branch);
        request["git"]["defaultBranch"] = json!("trunk");
        let (status, body) = town.post("/agents/start", request.clone()).await;
        assert_eq!((status.as_u16(), &body["code"]), (400, &json!("invalid")), "{branch}");
    }
}
