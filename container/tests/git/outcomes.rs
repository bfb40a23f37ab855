//! What can come of one branch: each outcome, on a real remote.

use beadrig::wire::container::Advice;
use beadrig::wire::merge::MergeReason;
use serde_json::json;

use crate::remote::{Remote, ask, commit, git, in_repo, merge, outcome, ran};
use crate::town::{Town, until};

#[tokio::test]
async fn a_branch_is_merged_with_a_commit_that_names_bead_and_agent_and_is_gone_afterwards() {
    let (town, remote) = (Town::new().await, Remote::new());
    let tip = remote.branch("gt/x", "x", "x\n");
    ask(&town, merge(&remote, &["gt/x"])).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!((report.status.as_str(), report.reason), ("merged", Some(MergeReason::Merged)));
    assert_eq!((report.attempt, report.commit_sha), (Some(1), remote.at("main")));
    assert_eq!(remote.file("main", "x").as_deref(), Some("x"));
    assert_eq!(remote.at("main^2"), Some(tip));
    let message = git(&remote.path(), &["log", "-1", "--format=%B", "main"]);
    for part in ["Merge b-x: make x", "Toast", "gt/x", "Beadrig-Review: e-x"] {
        assert!(message.contains(part), "{message}");
    }
    until(async || if remote.refs() == ["refs/heads/main"] { Ok(()) } else { Err(remote.refs()) })
        .await;
}

#[tokio::test]
async fn an_address_of_a_file_works_as_its_path_does() {
    let (town, remote) = (Town::new().await, Remote::new());
    let url = json!(format!("file://{}", remote.url()));
    let mut run = in_repo(&remote, "a1", 1, "echo x > x; git add x; git commit -qm x");
    run["git"]["url"] = url.clone();
    assert_eq!(ran(&town, run).await.exit_code, Some(0));
    let mut request = merge(&remote, &["gt/a1/b-a1"]);
    request["gitUrl"] = url;
    ask(&town, request).await;
    assert_eq!(outcome(&town, "e-b-a1").await.reason, Some(MergeReason::Merged));
    assert_eq!(remote.file("main", "x").as_deref(), Some("x"));
}

#[tokio::test]
async fn a_conflict_names_the_files_and_hunks_and_changes_nothing() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "base", "mine\n");
    remote.branch("main", "base", "theirs\n");
    let before = remote.at("main");
    ask(&town, merge(&remote, &["gt/x"])).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!((report.status.as_str(), report.reason), ("conflict", Some(MergeReason::Conflict)));
    for part in ["conflict in base", "mine", "theirs", "gt/x"] {
        assert!(report.message.contains(part), "{}", report.message);
    }
    assert_eq!(remote.at("main"), before);
    assert!(remote.at("gt/x").is_some());
}

#[tokio::test]
async fn a_red_gate_keeps_the_branch_out_and_says_what_it_printed() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    let mut request = merge(&remote, &["gt/x"]);
    request["gates"] = json!([
        {"name": "there", "command": "test -f x", "time_limit_s": 60},
        {"name": "tests", "command": "! test -f x || { echo 'x is wrong: s3cret'; exit 3; }", "time_limit_s": 60},
    ]);
    request["envVars"] = json!({"GIT_TOKEN": "s3cret"});
    let before = remote.at("main");
    ask(&town, request).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!((report.status.as_str(), report.reason), ("failed", Some(MergeReason::GateFailed)));
    assert_eq!(report.message, "gate tests failed with exit code 3\nx is wrong: ***");
    assert_eq!(remote.at("main"), before);
    assert!(town.rig.landings().is_empty());
}

#[tokio::test]
async fn a_gate_that_cannot_run_or_runs_too_long_is_a_failure_and_leaves_no_process() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    remote.branch("gt/y", "y", "y\n");
    let mut request = merge(&remote, &["gt/x"]);
    request["gates"] = json!([{"name": "lint", "command": "no-such-linter", "time_limit_s": 60}]);
    ask(&town, request).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!(report.reason, Some(MergeReason::GateFailed));
    assert!(
        report.message.starts_with("gate lint could not run: no such command"),
        "{}",
        report.message
    );
    assert!(report.message.ends_with("main fails it too"), "{}", report.message);
    let mut request = merge(&remote, &["gt/y"]);
    let command = "test -f y || exit 0; setsid sleep 600 & trap '' TERM; sleep 600";
    request["gates"] = json!([{"name": "slow", "command": command, "time_limit_s": 1}]);
    request["gates_parallel"] = json!(true);
    ask(&town, request).await;
    let report = outcome(&town, "e-y").await;
    assert_eq!(report.message, "gate slow was ended after 1 s");
    town.nothing_is_left().await;
}

#[tokio::test]
async fn a_gate_sees_the_rigs_variables_and_nothing_of_the_service() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    let mut request = merge(&remote, &["gt/x"]);
    let command = "test \"$WANTED\" = yes && ! env | grep -q 0123456789abcdef0123456789abcdef";
    request["gates"] = json!([{"name": "env", "command": command, "time_limit_s": 60}]);
    request["envVars"] = json!({"WANTED": "yes"});
    ask(&town, request).await;
    assert_eq!(outcome(&town, "e-x").await.reason, Some(MergeReason::Merged));
}

#[tokio::test]
async fn a_remote_that_refuses_the_push_again_and_again_is_reported_with_its_words() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    remote.hook(
        "update",
        "test \"$1\" = refs/heads/main && echo 'main is frozen' >&2 && exit 1; exit 0",
    );
    ask(&town, merge(&remote, &["gt/x"])).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!(report.reason, Some(MergeReason::PushRejected));
    assert!(report.message.contains("main is frozen"), "{}", report.message);
    assert!(remote.at("gt/x").is_some());
}

#[tokio::test]
async fn a_remote_that_is_not_there_and_a_target_that_is_not_there_are_told_apart() {
    let (town, remote) = (Town::new().await, Remote::with_default("trunk"));
    remote.branch("gt/x", "x", "x\n");
    let mut request = merge(&remote, &["gt/x"]);
    request["targetBranch"] = json!("main");
    ask(&town, request).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!(report.reason, Some(MergeReason::FetchFailed));
    assert_eq!(report.message, "the remote has no branch main; its default branch is trunk");
    let mut request = merge(&remote, &["gt/y"]);
    request["gitUrl"] = json!(format!("file://{}-gone", remote.url()));
    ask(&town, request).await;
    let report = outcome(&town, "e-y").await;
    assert_eq!(report.reason, Some(MergeReason::FetchFailed));
    assert!(report.message.starts_with("git fetch failed: "), "{}", report.message);
}

#[tokio::test]
async fn a_branch_that_was_never_pushed_or_has_nothing_new_is_said_to_be_so() {
    let (town, remote) = (Town::new().await, Remote::new());
    let clone = remote.clone();
    git(&clone, &["push", "--quiet", "origin", "main:gt/empty"]);
    ask(&town, merge(&remote, &["gt/missing", "gt/empty"])).await;
    let missing = outcome(&town, "e-missing").await;
    assert_eq!(missing.reason, Some(MergeReason::BranchMissing));
    assert_eq!(missing.message, "there is no branch gt/missing, neither on the remote nor here");
    let empty = outcome(&town, "e-empty").await;
    assert_eq!(empty.reason, Some(MergeReason::NothingToMerge));
    assert_eq!(empty.message, "gt/empty has no commit that main has not");
}

#[tokio::test]
async fn done_without_a_commit_says_where_the_uncommitted_work_is() {
    let (town, remote) = (Town::new().await, Remote::new());
    ran(&town, in_repo(&remote, "a1", 1, "echo forgotten > file")).await;
    ask(&town, merge(&remote, &["gt/a1/b-a1"])).await;
    let report = outcome(&town, "e-b-a1").await;
    assert_eq!(report.reason, Some(MergeReason::NothingToMerge));
    assert_eq!(report.message, "gt/a1/b-a1 has no commit that main has not");
    let mut request = merge(&remote, &["gt/a1/b-a1"]);
    request["entries"][0]["beadId"] = json!("b-a1");
    request["entries"][0]["attempt"] = json!(2);
    request["entries"][0]["entryId"] = json!("e-2");
    ask(&town, request).await;
    let report = outcome(&town, "e-2").await;
    assert!(
        report.message.ends_with("; what was not committed is kept in refs/beadrig/wip/b-a1/1"),
        "{}",
        report.message
    );
}

#[tokio::test]
async fn a_pull_request_is_left_to_a_person_with_its_branch_on_the_remote() {
    let (town, remote) = (Town::new().await, Remote::new());
    ran(&town, in_repo(&remote, "a1", 1, "echo x > x; git add x; git commit -qm x")).await;
    remote.branch("gt/red", "red", "red\n");
    let mut request = merge(&remote, &["gt/a1/b-a1", "gt/red"]);
    request["strategy"] = json!("pull_request");
    request["gates"] = json!([{"name": "g", "command": "! test -f red", "time_limit_s": 60}]);
    let before = remote.at("main");
    ask(&town, request).await;
    let report = outcome(&town, "e-b-a1").await;
    assert_eq!((report.status.as_str(), report.reason), ("pushed", Some(MergeReason::PullRequest)));
    assert_eq!((report.pr_url, report.commit_sha), (None, None));
    assert_eq!(outcome(&town, "e-red").await.reason, Some(MergeReason::GateFailed));
    assert_eq!(remote.at("main"), before);
    assert_eq!(remote.file("gt/a1/b-a1", "x").as_deref(), Some("x"));
}

#[tokio::test]
async fn a_rig_that_does_not_answer_lands_nothing() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    remote.branch("gt/y", "y", "y\n");
    town.rig.advise("e-x", Advice::Stale);
    let before = remote.at("main");
    ask(&town, merge(&remote, &["gt/x", "gt/y"])).await;
    // The one that is wanted no more is left out, and nothing is said of it.
    assert_eq!(outcome(&town, "e-y").await.reason, Some(MergeReason::Merged));
    assert_eq!(remote.file("main", "x"), None);
    assert_ne!(remote.at("main"), before);
    assert!(town.rig.completions().iter().all(|(_, entry, _)| entry != "e-x"));
    let tip = remote.branch("gt/z", "z", "z\n");
    let before = remote.at("main");
    town.rig.give_no_word();
    ask(&town, merge(&remote, &["gt/z"])).await;
    // Its report is taken by another route of the rig.
    let report = outcome(&town, "e-z").await;
    assert_eq!(report.reason, Some(MergeReason::ContainerFailed));
    assert!(
        report.message.starts_with("nothing lands without the rig's word"),
        "{}",
        report.message
    );
    assert_eq!((remote.at("main"), remote.at("gt/z")), (before, Some(tip)));
}

#[tokio::test]
async fn a_branch_that_two_have_changed_is_a_conflict_and_one_that_was_rewritten_here_is_not() {
    let (town, remote) = (Town::new().await, Remote::new());
    let script = "echo 1 > x; git add x; git commit -qm x; git push -q origin HEAD; git commit -q --amend -m better";
    ran(&town, in_repo(&remote, "a1", 1, script)).await;
    assert_eq!(git(&remote.path(), &["log", "-1", "--format=%s", "gt/a1/b-a1"]), "better");
    let clone = remote.clone();
    git(&clone, &["checkout", "--quiet", "-B", "gt/a1/b-a1", "origin/main"]);
    commit(&clone, "y", "y\n");
    git(&clone, &["push", "--quiet", "--force", "origin", "gt/a1/b-a1"]);
    ask(&town, merge(&remote, &["gt/a1/b-a1"])).await;
    let report = outcome(&town, "e-b-a1").await;
    assert_eq!(report.reason, Some(MergeReason::Conflict));
    assert!(
        report.message.contains("changed on the remote by somebody else"),
        "{}",
        report.message
    );
}
