//! Without its rig a run stands still: the rig may have given the work to others.

use beadrig::wire::container::{Advice, AgentStatus, Phase};
use serde_json::json;

use crate::town::{Town, start, until};

const SETTINGS: [(&str, &str); 2] = [("HEARTBEAT_MS", "50"), ("LEASE_MS", "400")];

/// Works and has a grandchild in another session that works too.
const BUSY: &str = "echo up; setsid sh -c 'while :; do echo g >> ../trace; sleep 0.02; done' & \
                    while :; do echo a >> ../trace; sleep 0.02; done";

async fn suspended(town: &Town, agent: &str, wanted: bool) -> AgentStatus {
    until(async || {
        let status = town.status(agent).await;
        if status.suspended == wanted { Ok(status) } else { Err(status) }
    })
    .await
}

fn trace(town: &Town) -> u64 {
    std::fs::metadata(town.workdir("trace")).map_or(0, |file| file.len())
}

async fn works(town: &Town) {
    let before = trace(town);
    until(async || if trace(town) > before + 4 { Ok(()) } else { Err(trace(town)) }).await;
}

/// Waits until it writes nothing for a while; the orders are on their way when the status says it.
async fn stands_still(town: &Town) {
    until(async || {
        let before = trace(town);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        if trace(town) == before { Ok(()) } else { Err("it works") }
    })
    .await;
}

#[tokio::test]
async fn a_run_whose_rig_is_silent_is_suspended_whole_and_goes_on_when_it_is_back() {
    let town = Town::with(&SETTINGS).await;
    town.run("a1", 1, BUSY).await;
    town.hears("a1", "up").await;
    works(&town).await;
    town.rig.hang("r1");
    let status = suspended(&town, "a1", true).await;
    assert_eq!(status.status, Phase::Running);
    stands_still(&town).await;
    town.rig.wake("r1");
    assert_eq!(suspended(&town, "a1", false).await.status, Phase::Running);
    works(&town).await;
    let (_, page) = town.get("/agents/a1/events").await;
    assert!(page.to_string().contains("\"suspended\""), "{page}");
}

#[tokio::test]
async fn a_silent_rig_suspends_its_own_runs_alone() {
    let town = Town::with(&SETTINGS).await;
    town.run("a1", 1, "exec sleep 600").await;
    let mut other = start("a2", 1, "exec sleep 600");
    other["rigId"] = json!("r2");
    town.post("/agents/start", other).await;
    town.rig.hang("r1");
    suspended(&town, "a1", true).await;
    assert!(!town.status("a2").await.suspended);
}

#[tokio::test]
async fn a_suspended_run_can_be_stopped_and_hears_the_term() {
    let town = Town::with(&[SETTINGS[0], SETTINGS[1], ("GRACE_MS", "30000")]).await;
    town.run("a1", 1, "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done").await;
    town.hears("a1", "up").await;
    town.rig.hang("r1");
    suspended(&town, "a1", true).await;
    let (status, body) = town.post("/agents/a1/stop", json!({})).await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("stopping")));
    let status = town.phase("a1", Phase::Exited).await;
    assert_eq!((status.exit_reason.as_deref(), status.exit_code), (Some("stopped"), Some(7)));
    assert!(!status.suspended);
    town.nothing_is_left().await;
}

#[tokio::test]
async fn a_suspended_run_that_is_stale_is_killed_when_the_rig_says_so() {
    let town = Town::with(&[SETTINGS[0], SETTINGS[1], ("GRACE_MS", "3600000")]).await;
    town.run("a1", 1, BUSY).await;
    town.hears("a1", "up").await;
    town.rig.hang("r1");
    suspended(&town, "a1", true).await;
    stands_still(&town).await;
    let before = trace(&town);
    town.rig.advise("a1", Advice::Stale);
    town.rig.wake("r1");
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("stale"), Some(9)));
    assert_eq!(trace(&town), before, "it never ran again");
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn the_time_limit_does_not_count_while_a_run_is_suspended() {
    let town = Town::with(&SETTINGS).await;
    let mut request = start("a1", 1, "exec sleep 600");
    request["timeLimitS"] = json!(3);
    town.post("/agents/start", request).await;
    town.rig.hang("r1");
    suspended(&town, "a1", true).await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert!(town.status("a1").await.suspended, "its three seconds have not passed");
    town.rig.wake("r1");
    assert_eq!(town.report("a1", 1).await.reason.as_deref(), Some("timeout"));
}
