//! Merges of a service that is killed: the next one says of each what came of it, and nothing lands twice.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use beadrig::wire::container::Advice;
use beadrig::wire::merge::MergeReason;
use serde_json::{Value, json};

use crate::program::Program;
use crate::remote::{Remote, ask, git, merge, outcome, outcome_of};
use crate::town::{Town, until};

/// A merge of `gt/x` whose gate says that it is up, and does not end.
fn endless(remote: &Remote, dir: &Path) -> (Value, PathBuf) {
    remote.branch("gt/x", "x", "x\n");
    let mut request = merge(remote, &["gt/x"]);
    let up = dir.join("up");
    let command = format!("touch {}; exec sleep 600", up.display());
    request["gates"] = json!([{"name": "slow", "command": command, "time_limit_s": 700}]);
    (request, up)
}

async fn there(path: &Path) {
    until(async || if path.exists() { Ok(()) } else { Err(path.display().to_string()) }).await;
}

/// How many commits of the default branch are the merge of a review.
fn merges_of(remote: &Remote, entry: &str) -> usize {
    let of_it = format!("--grep=^Beadrig-Review: {entry}$");
    git(&remote.path(), &["log", "--format=%H", &of_it, "main"]).lines().count()
}

#[tokio::test]
async fn what_a_killed_service_was_merging_the_next_one_reports_until_the_rig_takes_it() {
    let bin = tempfile::tempdir().unwrap();
    let mut town = Town::without_service(&[]).await;
    let remote = Remote::new();
    let (mut request, up) = endless(&remote, bin.path());
    let program = Program::start(&mut town, bin.path()).await;
    ask(&town, request.clone()).await;
    there(&up).await;
    // One of the same target, which waits for its turn.
    remote.branch("gt/y", "y", "y\n");
    ask(&town, merge(&remote, &["gt/y"])).await;
    drop(program);
    // The kill came in the middle of a line.
    let mut journal = File::options().append(true).open(town.data.path().join("journal")).unwrap();
    journal.write_all(b"{\"merge_told\":{\"rig\":\"r1\",\"entry\":\"e-x\"").unwrap();
    town.rig.will_answer("r1", &[500, 503, 429]);
    let program = Program::start(&mut town, bin.path()).await;
    for entry in ["e-x", "e-y"] {
        let report = outcome_of(&town, entry, 1).await;
        assert_eq!(report.reason, Some(MergeReason::ContainerFailed), "{report:?}");
        assert!(report.message.contains("the service was killed"), "{}", report.message);
    }
    // A rig that has not heard it yet asks for the same start: it is not done behind its back.
    request["gates"] = json!([]);
    ask(&town, request.clone()).await;
    request["entries"][0]["attempt"] = json!(2);
    ask(&town, request).await;
    assert_eq!(outcome_of(&town, "e-x", 2).await.reason, Some(MergeReason::Merged));
    assert_eq!((town.rig.completions().len(), town.rig.landings().len()), (3, 1));
    assert_eq!(merges_of(&remote, "e-x"), 1);
    // What the rig knows is not told again.
    drop(program);
    let _program = Program::start(&mut town, bin.path()).await;
    remote.branch("gt/z", "z", "z\n");
    ask(&town, merge(&remote, &["gt/z"])).await;
    outcome(&town, "e-z").await;
    assert_eq!(town.rig.completions().len(), 4, "{:?}", town.rig.completions());
}

#[tokio::test]
async fn what_was_pushed_just_before_the_kill_is_found_and_not_merged_twice() {
    let bin = tempfile::tempdir().unwrap();
    let mut town = Town::without_service(&[]).await;
    let remote = Remote::new();
    remote.branch("gt/x", "x", "x\n");
    // The branch has moved, and whoever pushed does not hear of it.
    let up = bin.path().join("up");
    remote.hook("post-receive", &format!("touch {}; exec sleep 600", up.display()));
    let program = Program::start(&mut town, bin.path()).await;
    let mut request = merge(&remote, &["gt/x"]);
    ask(&town, request.clone()).await;
    there(&up).await;
    let landed = remote.at("main");
    drop(program);
    remote.hook("post-receive", "true");
    let _program = Program::start(&mut town, bin.path()).await;
    assert_eq!(outcome_of(&town, "e-x", 1).await.reason, Some(MergeReason::ContainerFailed));
    request["entries"][0]["attempt"] = json!(2);
    ask(&town, request).await;
    let report = outcome_of(&town, "e-x", 2).await;
    assert_eq!((report.reason, report.commit_sha), (Some(MergeReason::Merged), landed.clone()));
    assert_eq!((remote.at("main"), merges_of(&remote, "e-x")), (landed, 1));
}

#[tokio::test]
async fn what_came_of_a_merge_is_told_by_the_next_service_if_the_rig_did_not_take_it() {
    let bin = tempfile::tempdir().unwrap();
    let mut town = Town::without_service(&[]).await;
    let remote = Remote::new();
    remote.branch("gt/x", "x", "x\n");
    let program = Program::start(&mut town, bin.path()).await;
    town.rig.will_answer("r1", &[500; 1000]);
    ask(&town, merge(&remote, &["gt/x"])).await;
    let journal = town.data.path().join("journal");
    until(async || {
        let text = fs::read_to_string(&journal).unwrap();
        if text.contains("merge_ended") { Ok(()) } else { Err(text) }
    })
    .await;
    drop(program);
    assert_eq!(town.rig.completions().len(), 0);
    town.rig.will_answer("r1", &[]);
    let _program = Program::start(&mut town, bin.path()).await;
    let report = outcome_of(&town, "e-x", 1).await;
    assert_eq!((report.reason, report.commit_sha), (Some(MergeReason::Merged), remote.at("main")));
}

#[tokio::test]
async fn what_the_rig_gave_up_before_the_kill_is_not_reported_after_it() {
    let bin = tempfile::tempdir().unwrap();
    let mut town = Town::without_service(&[]).await;
    let remote = Remote::new();
    let (mut request, up) = endless(&remote, bin.path());
    let program = Program::start(&mut town, bin.path()).await;
    ask(&town, request.clone()).await;
    there(&up).await;
    fs::remove_file(&up).unwrap();
    // A newer start of the one, and another one that the rig wants no more when it is asked.
    request["entries"][0]["attempt"] = json!(2);
    ask(&town, request).await;
    there(&up).await;
    remote.branch("gt/y", "y", "y\n");
    let mut other = merge(&remote, &["gt/y"]);
    other["targetBranch"] = json!("main");
    town.rig.advise("e-y", Advice::Stale);
    ask(&town, other).await;
    until(async || if town.rig.landings().is_empty() { Err(()) } else { Ok(()) }).await;
    let journal = town.data.path().join("journal");
    until(async || {
        let text = fs::read_to_string(&journal).unwrap();
        if text.matches("merge_told").count() == 2 { Ok(()) } else { Err(text) }
    })
    .await;
    drop(program);
    let _program = Program::start(&mut town, bin.path()).await;
    assert_eq!(outcome_of(&town, "e-x", 2).await.reason, Some(MergeReason::ContainerFailed));
    assert_eq!(town.rig.completions().len(), 1, "{:?}", town.rig.completions());
}
