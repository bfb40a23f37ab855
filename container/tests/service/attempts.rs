//! Which run an agent has: at most one, the newest.

use beadrig::wire::container::{Outcome, Phase};
use beadrig_container::limits::ENDED_RUNS_MAX;
use serde_json::json;

use crate::town::{Town, start, until};

#[tokio::test]
async fn a_start_is_idempotent_by_attempt() {
    let town = Town::new().await;
    let (status, first) = town.start("a1", 1, "echo up; exec sleep 600").await;
    assert_eq!((status.as_u16(), &first["status"]), (201, &json!("running")));
    town.hears("a1", "up").await;
    let (status, again) = town.start("a1", 1, "echo twice").await;
    assert_eq!((status.as_u16(), &again["startedAt"]), (200, &first["startedAt"]));
    assert_eq!(town.processes().len(), 1);
}

#[tokio::test]
async fn two_same_starts_at_once_make_one_run() {
    let town = Town::new().await;
    let script = "echo run >> ../runs; exec sleep 600";
    let (one, other) = tokio::join!(town.start("a1", 1, script), town.start("a1", 1, script));
    let mut statuses = [one.0.as_u16(), other.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    assert_eq!(one.1["startedAt"], other.1["startedAt"]);
}

#[tokio::test]
async fn an_attempt_that_is_over_is_not_run_again() {
    let town = Town::new().await;
    town.run("a1", 1, "echo run >> ../runs; echo bye; exit 3").await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.status, report.reason.as_deref()), (Outcome::Failed, Some("exited")));
    assert_eq!((report.exit_code, report.output_tail.as_deref()), (Some(3), Some("bye")));
    let (status, body) = town.start("a1", 1, "echo run >> ../runs").await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("exited")));
    assert_eq!((&body["exitReason"], &body["exitCode"]), (&json!("exited"), &json!(3)));
    assert_eq!(body["outputTail"], json!("bye"));
    let runs = std::fs::read_to_string(town.workdir("runs")).unwrap();
    assert_eq!(runs, "run\n");
}

#[tokio::test]
async fn a_newer_attempt_begins_when_the_older_is_gone() {
    let town = Town::new().await;
    let stubborn = "trap '' TERM; echo up; while :; do echo old >> ../trace; sleep 0.01; done";
    town.run("a1", 1, stubborn).await;
    town.hears("a1", "up").await;
    let (status, body) = town.start("a1", 2, "echo new >> ../trace; exec sleep 600").await;
    assert_eq!((status.as_u16(), &body["status"]), (201, &json!("starting")));
    let (status, body) = town.start("a1", 2, "").await;
    assert_eq!((status.as_u16(), &body["attempt"]), (200, &json!(2)));
    town.phase("a1", Phase::Running).await;
    let trace = until(async || {
        let trace = std::fs::read_to_string(town.workdir("trace")).unwrap();
        if trace.contains("new") { Ok(trace) } else { Err(()) }
    })
    .await;
    assert!(trace.ends_with("old\nnew\n"), "{trace}");
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("stale"), Some(9)));
    assert_eq!(town.processes().len(), 1);
}

#[tokio::test]
async fn an_even_newer_attempt_takes_the_place_of_one_that_waits() {
    let town = Town::new().await;
    town.run("a1", 1, "trap '' TERM; echo up; while :; do sleep 0.01; done").await;
    town.hears("a1", "up").await;
    town.run("a1", 2, "echo two >> ../trace").await;
    town.run("a1", 3, "echo three >> ../trace").await;
    assert_eq!(town.report("a1", 2).await.reason.as_deref(), Some("stale"));
    assert_eq!(town.report("a1", 3).await.status, Outcome::Completed);
    assert_eq!(std::fs::read_to_string(town.workdir("trace")).unwrap(), "three\n");
}

#[tokio::test]
async fn a_run_that_waits_can_be_stopped_and_never_has_a_process() {
    let town = Town::new().await;
    town.run("a1", 1, "trap '' TERM; echo up; while :; do sleep 0.01; done").await;
    town.hears("a1", "up").await;
    town.run("a1", 2, "echo two >> ../trace").await;
    let (status, body) = town.post("/agents/a1/stop", json!({"attempt": 2})).await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("failed")));
    assert_eq!(town.report("a1", 2).await.reason.as_deref(), Some("stopped"));
    town.report("a1", 1).await;
    town.nothing_is_left().await;
    assert!(!town.workdir("trace").exists());
}

#[tokio::test]
async fn an_older_attempt_is_refused_also_when_the_newer_is_over() {
    let town = Town::new().await;
    town.run("a1", 5, "true").await;
    town.phase("a1", Phase::Exited).await;
    let (status, body) = town.start("a1", 4, "true").await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("stale_attempt")));
    assert_eq!(
        body["error"],
        json!("attempt 4 of agent a1 is over: attempt 5 has taken its place")
    );
}

#[tokio::test]
async fn a_full_service_takes_replacements_only() {
    let town = Town::with(&[("MAX_CONCURRENCY", "1")]).await;
    town.run("a1", 1, "exec sleep 600").await;
    let (status, body) = town.start("a2", 1, "true").await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("capacity")));
    town.run("a1", 2, "true").await;
    town.report("a1", 2).await;
    town.run("a2", 1, "true").await;
}

#[tokio::test]
async fn a_run_finds_its_directory_empty_but_for_the_prompt() {
    let town = Town::new().await;
    town.run("a1", 1, "mkdir -p deep/er; touch deep/er/file; chmod -R a-w deep").await;
    town.phase("a1", Phase::Exited).await;
    town.run("a1", 2, "ls -A; cat prompt.md; echo; pwd").await;
    town.phase("a1", Phase::Exited).await;
    let pwd = town.workdir("a1").to_str().unwrap().to_owned();
    assert_eq!(town.said("a1").await, ["prompt.md", "read the hostname of {title}", &pwd]);
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() {
    let town = Town::new().await;
    let mut request = start("a1", 1, "");
    request["command"] = json!(["no-such-agent", "{prompt}"]);
    let (status, body) = town.post("/agents/start", request.clone()).await;
    assert_eq!((status.as_u16(), &body["code"]), (422, &json!("spawn_failed")));
    assert_eq!(
        body["error"],
        json!("no-such-agent could not be started: No such file or directory (os error 2)")
    );
    let status = town.status("a1").await;
    assert_eq!(
        (status.status, status.exit_reason.as_deref()),
        (Phase::Failed, Some("spawn_failed"))
    );
    // After a replacement nobody waits for the answer any more: a report says it.
    town.run("a1", 2, "exec sleep 600").await;
    request["attempt"] = json!(3);
    let (status, body) = town.post("/agents/start", request).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(town.report("a1", 3).await.reason.as_deref(), Some("spawn_failed"));
    assert!(town.rig.reports("a1").iter().all(|sent| sent.report.attempt != Some(1)));
}

#[tokio::test]
async fn what_is_over_is_forgotten_in_the_end() {
    let town = Town::with(&[("MAX_CONCURRENCY", "300")]).await;
    for agent in 0..=ENDED_RUNS_MAX {
        town.run(&format!("a{agent}"), 1, "true").await;
        if agent == 0 {
            town.phase("a0", Phase::Exited).await;
        }
    }
    let known = until(async || {
        let (_, list) = town.get("/agents").await;
        let agents = list["agents"].as_array().unwrap();
        let live = agents.iter().filter(|agent| agent["status"] != "exited").count();
        if live == 0 { Ok(agents.len()) } else { Err(live) }
    })
    .await;
    assert_eq!(known, ENDED_RUNS_MAX);
    let (status, _) = town.get("/agents/a0/status").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_bead_given_on_to_another_agent_is_taken_from_the_one_that_had_it() {
    let town = Town::new().await;
    town.run("a1", 1, "trap '' TERM; echo up; while :; do sleep 0.01; done").await;
    town.hears("a1", "up").await;
    let mut request = start("a2", 2, "exec sleep 600");
    request["beadId"] = json!("b-a1");
    let (status, body) = town.post("/agents/start", request.clone()).await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("capacity")));
    assert_eq!(town.report("a1", 1).await.reason.as_deref(), Some("stale"));
    let (status, body) = town.post("/agents/start", request).await;
    assert_eq!((status.as_u16(), &body["status"]), (201, &json!("running")), "{body}");
    let mut late = start("a1", 1, "exec sleep 600");
    late["agentId"] = json!("a3");
    late["beadId"] = json!("b-a1");
    let (status, body) = town.post("/agents/start", late).await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("stale_attempt")));
}
