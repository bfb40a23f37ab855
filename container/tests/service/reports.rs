//! What rigs are told, and when that ends.

use serde_json::json;

use crate::town::{Town, start, until};

#[tokio::test]
async fn a_report_is_sent_again_until_it_is_taken() {
    let town = Town::new().await;
    town.rig.will_answer("r1", &[500, 503, 401]);
    town.run("a1", 1, "true").await;
    town.report("a1", 1).await;
    let answered: Vec<_> = town.rig.reports("a1").iter().map(|sent| sent.answered).collect();
    assert_eq!(answered, [500, 503, 401, 200]);
    let reports = town.rig.reports("a1");
    assert!(reports.iter().all(|sent| sent.report == reports[0].report && sent.rig == "r1"));
}

#[tokio::test]
async fn a_report_that_the_rig_has_no_use_for_is_dropped() {
    let town = Town::new().await;
    town.rig.will_answer("r1", &[409, 404]);
    for agent in ["a1", "a2", "a3"] {
        town.run(agent, 1, "true").await;
        until(async || if town.rig.reports(agent).is_empty() { Err(()) } else { Ok(()) }).await;
    }
    let answered =
        |agent| town.rig.reports(agent).iter().map(|sent| sent.answered).collect::<Vec<_>>();
    assert_eq!((answered("a1"), answered("a2"), answered("a3")), (vec![409], vec![404], vec![200]));
}

#[tokio::test]
async fn a_report_that_cannot_be_taken_does_not_hold_up_the_others() {
    let town = Town::new().await;
    town.rig.will_answer("r1", &[500, 422]);
    town.run("a1", 1, "true").await;
    until(async || if town.rig.reports("a1").is_empty() { Err(()) } else { Ok(()) }).await;
    town.run("a2", 1, "true").await;
    town.report("a2", 1).await;
    town.report("a1", 1).await;
}

#[tokio::test]
async fn a_rig_that_hangs_delays_no_other() {
    let town = Town::with(&[("HEARTBEAT_MS", "50")]).await;
    town.rig.hang("r1");
    town.run("a1", 1, "true").await;
    let mut other = start("a2", 1, "exec sleep 600");
    other["rigId"] = json!("r2");
    town.post("/agents/start", other).await;
    until(async || match town.rig.heartbeats().len() {
        0..3 => Err("too few heartbeats"),
        _ => Ok(()),
    })
    .await;
    town.post("/agents/a2/stop", json!({})).await;
    town.report("a2", 1).await;
    assert_eq!(town.rig.reports("a1").len(), 0);
}

#[tokio::test]
async fn a_run_that_comes_up_is_announced_at_once() {
    let town = Town::new().await;
    town.run("a1", 7, "exec sleep 600").await;
    let (rig, beats) = until(async || town.rig.heartbeats().pop().ok_or(())).await;
    let status = town.status("a1").await;
    assert_eq!((rig.as_str(), beats.protocol, beats.agents.len()), ("r1", 1, 1));
    let beat = &beats.agents[0];
    assert_eq!(
        (beat.agent_id.as_str(), beat.attempt, beat.job_id.as_str()),
        ("a1", 7, "0123456789ab")
    );
    assert_eq!(beat.last_activity_at, status.last_activity_at);
    let (_, health) = town.get("/health").await;
    assert_eq!(json!(beats.boot_id), health["bootId"]);
}

#[tokio::test]
async fn a_report_says_what_the_run_cost_and_its_session_however_long_the_result_is() {
    let town = Town::new().await;
    let result = r#"{"type":"result","result":"'$(head -c 20000 /dev/zero | tr "\0" x)'","total_cost_usd":0.25,"session_id":"s-1"}"#;
    town.run("a1", 1, &format!("echo '{result}'; seq 3000; exit 3")).await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.exit_code, report.cost_usd_micros), (Some(3), Some(250_000)));
    assert_eq!(report.session_id.as_deref(), Some("s-1"));
    // One that is ended before its result has a session all the same; what it says of others is not its own.
    let script = r#"echo '{"type":"system","session_id":"s-2"}'; echo '{"total_cost_usd":9}' >&2; echo up; exec sleep 600"#;
    town.run("a1", 2, script).await;
    town.hears("a1", "up").await;
    town.post("/agents/a1/stop", json!({})).await;
    let report = town.report("a1", 2).await;
    assert_eq!((report.cost_usd_micros, report.session_id.as_deref()), (None, Some("s-2")));
}
