//! Several merges: together, one after the other, at the same time, twice, and in between what others do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use beadrig::wire::container::Advice;
use beadrig::wire::merge::MergeReason::{Conflict, ContainerFailed, GateFailed, Merged};
use beadrig_container::Service;
use serde_json::json;

use crate::program::Program;
use crate::remote::{Remote, ask, commit, git, in_repo, merge, outcome, ran, reasons};
use crate::town::{Town, until};

/// A gate that counts its runs in a file and is red if there is a file `bad` in the tree.
fn counting(remote: &Remote) -> (serde_json::Value, PathBuf) {
    let count = remote.path().join("runs");
    let command = format!("echo run >> {}; ! ls | grep -q bad", count.display());
    (json!([{"name": "tests", "command": command, "time_limit_s": 60}]), count)
}

fn lines(path: &PathBuf) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn of_five_branches_with_one_bad_four_land_in_four_runs_of_the_gates() {
    let (town, remote) = (Town::new().await, Remote::new());
    for name in ["a", "b", "c-bad", "d", "e"] {
        remote.branch(&format!("gt/{name}"), name, name);
    }
    let (gates, count) = counting(&remote);
    let mut request = merge(&remote, &["gt/a", "gt/b", "gt/c-bad", "gt/d", "gt/e"]);
    request["gates"] = gates;
    ask(&town, request).await;
    let all = reasons(&town, &["e-a", "e-b", "e-c-bad", "e-d", "e-e"]).await;
    assert_eq!(all, [Merged, Merged, GateFailed, Merged, Merged]);
    for name in ["a", "b", "d", "e"] {
        assert_eq!(remote.file("main", name).as_deref(), Some(name));
    }
    assert_eq!(remote.file("main", "c-bad"), None);
    assert_eq!(lines(&count), 4);
    // One push for all of them.
    let subjects = git(&remote.path(), &["log", "--first-parent", "--format=%s", "main"]);
    let expected =
        ["Merge b-e: make e", "Merge b-d: make d", "Merge b-b: make b", "Merge b-a: make a"];
    assert_eq!(subjects.lines().take(4).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn what_the_runs_of_a_bead_had_not_committed_leaves_the_remote_when_it_has_landed() {
    let (town, remote) = (Town::new().await, Remote::new());
    for attempt in 1..=2 {
        let script = "echo x >> x; git add x; git commit -qm x; date +%N > loose";
        ran(&town, in_repo(&remote, "a1", attempt, script)).await;
    }
    ran(&town, in_repo(&remote, "a10", 1, "echo loose > loose")).await;
    let wip = ["a1/1", "a1/2", "a10/1"].map(|name| format!("refs/beadrig/wip/b-{name}"));
    assert!(wip.iter().all(|name| remote.refs().contains(name)), "{:?}", remote.refs());
    let mut request = merge(&remote, &["gt/a1/b-a1"]);
    request["entries"][0]["beadId"] = json!("b-a1");
    ask(&town, request).await;
    assert_eq!(outcome(&town, "e-b-a1").await.reason, Some(Merged));
    // That of another bead stays.
    let left = ["refs/beadrig/wip/b-a10/1", "refs/heads/main"];
    until(async || if remote.refs() == left { Ok(()) } else { Err(remote.refs()) }).await;
}

#[tokio::test]
async fn two_that_conflict_with_each_other_one_lands_and_the_other_is_told_even_if_the_first_is_bad()
 {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/a", "same", "a\n");
    remote.branch("gt/b", "same", "b\n");
    remote.branch("gt/c", "c", "c\n");
    ask(&town, merge(&remote, &["gt/a", "gt/b", "gt/c"])).await;
    assert_eq!(reasons(&town, &["e-a", "e-b", "e-c"]).await, [Merged, Conflict, Merged]);
    // What conflicts only with what does not land is no conflict.
    remote.branch("gt/x-bad", "other", "x\n");
    let clone = remote.clone();
    git(&clone, &["checkout", "--quiet", "gt/x-bad"]);
    commit(&clone, "bad", "bad");
    git(&clone, &["push", "--quiet"]);
    remote.branch("gt/y", "other", "y\n");
    let (gates, _) = counting(&remote);
    let mut request = merge(&remote, &["gt/x-bad", "gt/y"]);
    request["gates"] = gates;
    ask(&town, request).await;
    assert_eq!(reasons(&town, &["e-x-bad", "e-y"]).await, [GateFailed, Merged]);
    assert_eq!(remote.file("main", "other").as_deref(), Some("y"));
}

#[tokio::test]
async fn when_the_remote_moves_in_between_the_merge_is_done_again_on_top_and_checked_again() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    let clone = remote.clone();
    town.rig.before_landing(move || {
        commit(&clone, "between", "1\n");
        git(&clone, &["push", "--quiet", "origin", "main"]);
    });
    let (gates, count) = counting(&remote);
    let mut request = merge(&remote, &["gt/x"]);
    request["gates"] = gates;
    ask(&town, request).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!((report.reason, report.commit_sha), (Some(Merged), remote.at("main")));
    assert_eq!(remote.file("main", "between").as_deref(), Some("1"));
    assert_eq!(remote.file("main", "x").as_deref(), Some("x"));
    assert_eq!((lines(&count), town.rig.landings().len()), (2, 2));
}

#[tokio::test]
async fn the_same_request_twice_is_one_merge_and_an_older_one_is_refused() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    let mut request = merge(&remote, &["gt/x"]);
    request["entries"][0]["attempt"] = json!(2);
    ask(&town, request.clone()).await;
    ask(&town, request.clone()).await;
    outcome(&town, "e-x").await;
    ask(&town, request.clone()).await;
    // What is asked next is done next: nothing was in between.
    remote.branch("gt/y", "y", "y\n");
    ask(&town, merge(&remote, &["gt/y"])).await;
    outcome(&town, "e-y").await;
    assert_eq!(town.rig.completions().len(), 2);
    request["entries"][0]["attempt"] = json!(1);
    let (status, body) = town.post("/git/merge", request.clone()).await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("stale_attempt")), "{body}");
    // A newer one finds that it has landed.
    request["entries"][0]["attempt"] = json!(3);
    ask(&town, request).await;
    let all = until(async || {
        let all = town.rig.completions();
        if all.len() == 3 { Ok(all) } else { Err(all) }
    })
    .await;
    let (first, second) = (&all[0].2, &all[2].2);
    assert_eq!((first.attempt, second.attempt), (Some(2), Some(3)));
    assert_eq!((second.reason, &second.commit_sha), (Some(Merged), &first.commit_sha));
}

#[tokio::test]
async fn the_report_is_sent_until_it_is_taken() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    town.rig.will_answer("r1", &[500, 503]);
    ask(&town, merge(&remote, &["gt/x"])).await;
    assert_eq!(outcome(&town, "e-x").await.reason, Some(Merged));
}

#[tokio::test]
async fn a_merge_at_work_is_in_the_heartbeats_and_stale_ends_it_without_a_word() {
    let town = Town::with(&[("HEARTBEAT_MS", "50")]).await;
    let remote = Remote::new();
    remote.branch("gt/x", "x", "x\n");
    let before = remote.at("main");
    let mut request = merge(&remote, &["gt/x"]);
    request["gates"] = json!([{"name": "slow", "command": "sleep 600", "time_limit_s": 700}]);
    ask(&town, request.clone()).await;
    until(async || {
        let beats = town.rig.heartbeats();
        let named = beats.iter().flat_map(|(_, beats)| &beats.merges);
        let named = named.map(|merge| (merge.entry_id.as_str(), merge.attempt));
        if named.into_iter().any(|it| it == ("e-x", 1)) { Ok(()) } else { Err(beats.len()) }
    })
    .await;
    until(async || if town.processes().is_empty() { Err("no gate yet") } else { Ok(()) }).await;
    town.rig.advise("e-x", Advice::Stale);
    town.nothing_is_left().await;
    // The same name again is another start.
    town.rig.advise("e-x", Advice::Ok);
    request["entries"][0]["attempt"] = json!(2);
    request["gates"] = json!([]);
    ask(&town, request).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!((report.reason, report.attempt), (Some(Merged), Some(2)));
    assert_ne!(remote.at("main"), before);
    assert_eq!(town.rig.completions().len(), 1);
}

#[tokio::test]
async fn merges_of_two_rigs_run_at_the_same_time_and_those_of_one_target_in_order() {
    let (town, one, other) = (Town::new().await, Remote::new(), Remote::new());
    one.branch("gt/a", "a", "a\n");
    one.branch("gt/b", "b", "b\n");
    other.branch("gt/c", "c", "c\n");
    let go = one.path().join("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    let mut slow = merge(&one, &["gt/a"]);
    slow["gates"] = json!([{"name": "wait", "command": wait, "time_limit_s": 60}]);
    ask(&town, slow).await;
    ask(&town, merge(&one, &["gt/b"])).await;
    let mut request = merge(&other, &["gt/c"]);
    request["rigId"] = json!("r2");
    ask(&town, request).await;
    assert_eq!(outcome(&town, "e-c").await.reason, Some(Merged));
    assert_eq!(town.rig.completions().len(), 1);
    std::fs::write(go, "").unwrap();
    assert_eq!(reasons(&town, &["e-a", "e-b"]).await, [Merged, Merged]);
    let order: Vec<String> =
        town.rig.completions().into_iter().map(|(_, entry, _)| entry).collect();
    assert_eq!(order, ["e-c", "e-a", "e-b"]);
}

#[tokio::test]
async fn a_merge_waits_for_the_run_on_its_branch_and_has_all_of_its_commits() {
    let town = Town::with(&[("GRACE_MS", "30000")]).await;
    let remote = Remote::new();
    let script = "trap 'sleep 2; echo last > last; git add last; git commit -qm last; exit 0' TERM; \
                  echo first > first; git add first; git commit -qm first; echo up; while :; do sleep 0.05; done";
    let (status, _) = town.post("/agents/start", in_repo(&remote, "a1", 1, script)).await;
    assert_eq!(status, 201);
    town.hears("a1", "up").await;
    ask(&town, merge(&remote, &["gt/a1/b-a1"])).await;
    town.post("/agents/a1/stop", json!({})).await;
    assert_eq!(outcome(&town, "e-b-a1").await.reason, Some(Merged));
    assert_eq!(remote.file("main", "last").as_deref(), Some("last"));
    // The branch and its worktree are gone, there and here.
    until(async || if remote.refs() == ["refs/heads/main"] { Ok(()) } else { Err(remote.refs()) })
        .await;
    let home = std::fs::read_dir(town.data.path().join("git/r1")).unwrap().next().unwrap().unwrap();
    until(async || {
        let trees = std::fs::read_dir(home.path().join("trees")).unwrap().count();
        let merges = std::fs::read_dir(home.path().join("merge")).unwrap().count();
        if trees + merges == 0 { Ok(()) } else { Err((trees, merges)) }
    })
    .await;
}

#[tokio::test]
async fn incident_53_branches_of_an_empty_remote_have_a_first_commit_in_common_and_merge() {
    let (town, remote) = (Town::new().await, Remote::empty());
    for agent in ["a1", "a2"] {
        let script = format!("echo {agent} > {agent}; git add .; git commit -qm {agent}");
        let report = ran(&town, in_repo(&remote, agent, 1, &script)).await;
        assert_eq!(report.exit_code, Some(0), "{report:?}");
        if agent == "a1" {
            // Nothing but the branch was made.
            assert_eq!(remote.refs(), ["refs/heads/gt/a1/b-a1"]);
            git(&remote.path(), &["update-ref", "-d", "refs/heads/gt/a1/b-a1"]);
        }
    }
    git(&remote.path(), &["update-ref", "-d", "refs/heads/gt/a2/b-a2"]);
    ask(&town, merge(&remote, &["gt/a1/b-a1", "gt/a2/b-a2"])).await;
    assert_eq!(reasons(&town, &["e-b-a1", "e-b-a2"]).await, [Merged, Merged]);
    assert_eq!(remote.refs(), ["refs/heads/main"]);
    assert_eq!(remote.file("main", "a1").as_deref(), Some("a1"));
    assert_eq!(remote.file("main", "a2").as_deref(), Some("a2"));
}

#[tokio::test]
async fn a_default_branch_that_is_not_main_is_found_by_asking_the_remote() {
    let (town, remote) = (Town::new().await, Remote::with_default("trunk"));
    ran(&town, in_repo(&remote, "a1", 1, "cat base > copy; git add copy; git commit -qm copy"))
        .await;
    ask(&town, merge(&remote, &["gt/a1/b-a1"])).await;
    assert_eq!(
        outcome(&town, "e-b-a1").await.message.split(" as ").next(),
        Some("merged into trunk")
    );
    assert_eq!(remote.file("trunk", "copy").as_deref(), Some("base"));
    assert_eq!(remote.at("main"), None);
}

#[tokio::test]
async fn gastowns_request_for_one_branch_is_taken_and_its_callback_is_not_called() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    let request = json!({
        "rigId": "r1", "branch": "gt/x", "targetBranch": "main", "gitUrl": remote.url(),
        "entryId": "e-x", "beadId": "b-x", "agentId": "a1",
        "callbackUrl": "http://169.254.169.254/", "envVars": {"GIT_TOKEN": "x"},
    });
    let (status, body) = town.post("/git/merge", request).await;
    assert_eq!(
        (status.as_u16(), body),
        (202, json!({"status": "accepted", "message": "Merge started"}))
    );
    let report = outcome(&town, "e-x").await;
    assert_eq!((report.reason, report.attempt), (Some(Merged), None));
    let (status, body) = town.post("/git/merge", json!({"rigId": "r1", "branch": "gt/x"})).await;
    assert_eq!((status.as_u16(), &body["code"]), (400, &json!("invalid")), "{body}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_field() {
    let (town, remote) = (Town::new().await, Remote::new());
    for (pointer, value, said) in [
        ("/rigId", json!("../r2"), "rigId"),
        ("/gitUrl", json!("ext::sh -c id"), "gitUrl"),
        ("/targetBranch", json!("-x"), "targetBranch"),
        ("/entries", json!([]), "entries"),
        ("/entries/0/branch", json!("a..b"), "branch"),
        ("/entries/0/entryId", json!("a/../b"), "entryId"),
        ("/gates", json!([{"name": "x", "command": "", "time_limit_s": 1}]), "gates"),
        ("/gates", json!([{"name": "x", "command": "y", "time_limit_s": 0}]), "gates"),
        ("/envVars", json!({"A=B": "x"}), "envVars"),
        ("/protocol", json!(99), "protocol"),
    ] {
        let mut request = merge(&remote, &["gt/x"]);
        request["targetBranch"] = json!("main");
        request["gates"] = json!([]);
        request["envVars"] = json!({});
        *request.pointer_mut(pointer).unwrap() = value;
        let (status, body) = town.post("/git/merge", request).await;
        assert!(matches!(status.as_u16(), 400 | 409), "{pointer}: {status} {body}");
        assert!(body["error"].as_str().unwrap().contains(said), "{pointer}: {body}");
    }
}

#[tokio::test]
async fn a_merge_that_takes_longer_than_it_may_is_ended_with_all_that_it_started() {
    let (town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    let mut request = merge(&remote, &["gt/x"]);
    let command = "setsid sleep 600 & sleep 600";
    request["gates"] = json!([{"name": "slow", "command": command, "time_limit_s": 700}]);
    request["timeLimitS"] = json!(3);
    ask(&town, request.clone()).await;
    // The next one of the same branch has its turn.
    remote.branch("gt/y", "y", "y\n");
    ask(&town, merge(&remote, &["gt/y"])).await;
    assert_eq!(reasons(&town, &["e-x", "e-y"]).await, [ContainerFailed, Merged]);
    let report = outcome(&town, "e-x").await;
    assert!(report.message.contains("ended after 3 s"), "{}", report.message);
    assert_eq!(remote.file("main", "x"), None);
    town.nothing_is_left().await;
    let home = std::fs::read_dir(town.data.path().join("git/r1")).unwrap().next().unwrap().unwrap();
    until(async || {
        let trees = std::fs::read_dir(home.path().join("merge")).unwrap().count();
        if trees == 0 { Ok(()) } else { Err(trees) }
    })
    .await;
    request["timeLimitS"] = json!(0);
    request["entries"][0]["attempt"] = json!(2);
    let (status, body) = town.post("/git/merge", request).await;
    assert_eq!(status, 400);
    assert!(body["error"].as_str().unwrap().contains("timeLimitS"), "{body}");
}

#[tokio::test]
async fn a_remote_that_hangs_is_waited_for_no_longer_than_the_merge_may_take() {
    let bin = tempfile::tempdir().unwrap();
    let mut town = Town::without_service(&[]).await;
    let remote = Remote::new();
    // In place of ssh: the remote takes the connection, and says nothing.
    let ssh = bin.path().join("ssh");
    std::fs::write(&ssh, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _program = Program::start(&mut town, bin.path()).await;
    let mut request = merge(&remote, &["gt/x"]);
    request["gitUrl"] = json!("ssh://git@example.invalid/x.git");
    request["timeLimitS"] = json!(3);
    ask(&town, request).await;
    let report = outcome(&town, "e-x").await;
    assert_eq!(report.reason, Some(ContainerFailed));
    town.nothing_is_left().await;
}

#[tokio::test]
async fn a_service_that_ends_says_so_of_its_merges_and_the_next_one_clears_up_and_does_them() {
    let (mut town, remote) = (Town::new().await, Remote::new());
    remote.branch("gt/x", "x", "x\n");
    let mut request = merge(&remote, &["gt/x"]);
    let up = remote.path().join("up");
    let command = format!("touch {}; sleep 600", up.display());
    request["gates"] = json!([{"name": "slow", "command": command, "time_limit_s": 700}]);
    ask(&town, request.clone()).await;
    until(async || if up.exists() { Ok(()) } else { Err("no gate yet") }).await;
    town.service.take().unwrap().shutdown().await;
    let report = outcome(&town, "e-x").await;
    assert_eq!(report.reason, Some(ContainerFailed));
    town.nothing_is_left().await;
    let home = std::fs::read_dir(town.data.path().join("git/r1")).unwrap().next().unwrap().unwrap();
    std::fs::create_dir_all(home.path().join("merge/1")).unwrap();
    std::fs::write(home.path().join("merge/1/left"), "over").unwrap();
    std::fs::write(home.path().join("repo.git/packed-refs.lock"), "").unwrap();
    let service =
        tokio::time::timeout(Duration::from_secs(20), Service::start(town.config.clone()));
    let service = service.await.unwrap().unwrap();
    town.url = format!("http://{}", service.address());
    town.service = Some(service);
    assert!(!home.path().join("merge/1").exists());
    request["entries"][0]["attempt"] = json!(2);
    request["gates"] = json!([]);
    ask(&town, request).await;
    until(async || {
        let all = town.rig.completions();
        let found = all.iter().find(|(_, _, report)| report.attempt == Some(2));
        found.filter(|(_, _, report)| report.reason == Some(Merged)).map(drop).ok_or(all)
    })
    .await;
}
