//! How processes end: whole, whatever they do against it.

use beadrig::wire::container::{Advice, Outcome, Phase};
use serde_json::json;

use crate::town::{Town, start, until};

#[tokio::test]
async fn an_agent_that_ignores_term_goes_with_its_grandchild() {
    let town = Town::new().await;
    let script =
        "trap '' TERM; (trap '' TERM; sleep 600; echo no) & echo up; while :; do sleep 0.05; done";
    town.run("a1", 1, script).await;
    town.hears("a1", "up").await;
    let (status, body) = town.post("/agents/a1/stop", json!({"reason": "gupp"})).await;
    assert_eq!((status.as_u16(), body), (200, json!({"stopped": true, "status": "stopping"})));
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("gupp"), Some(9)));
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn an_agent_that_heeds_term_has_the_grace_to_finish() {
    let town = Town::with(&[("GRACE_MS", "30000")]).await;
    town.run("a1", 1, "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        .await;
    town.hears("a1", "up").await;
    town.post("/agents/a1/stop", json!(null)).await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.status, report.reason.as_deref()), (Outcome::Completed, Some("stopped")));
    assert_eq!(report.exit_code, Some(0));
    assert!(report.output_tail.is_some_and(|tail| tail.ends_with("saved")));
    let (status, body) = town.post("/agents/a1/stop", json!({})).await;
    assert_eq!((status.as_u16(), body), (200, json!({"stopped": true, "status": "exited"})));
}

#[tokio::test]
async fn a_suspended_agent_dies_too() {
    let town = Town::with(&[("GRACE_MS", "30000")]).await;
    town.run("a1", 1, "trap 'exit 7' TERM; echo up; kill -STOP $$; while :; do sleep 0.05; done")
        .await;
    town.hears("a1", "up").await;
    town.post("/agents/a1/stop", json!({})).await;
    assert_eq!(town.report("a1", 1).await.exit_code, Some(7));
    town.nothing_is_left().await;
}

#[tokio::test]
async fn an_agent_that_exits_leaves_nobody_in_its_group_or_out_of_it() {
    let town = Town::new().await;
    town.run("a1", 1, "sleep 600 & setsid sleep 600 & (trap '' TERM HUP; sleep 600) & exit 0")
        .await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.status, report.reason.as_deref()), (Outcome::Completed, Some("exited")));
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_is_out_of_time_is_ended() {
    let town = Town::new().await;
    let mut request = start("a1", 1, "trap '' TERM; sleep 600 & while :; do sleep 0.05; done");
    request["timeLimitS"] = json!(1);
    let (status, body) = town.post("/agents/start", request).await;
    assert_eq!(status, 201, "{body}");
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("timeout"), Some(9)));
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_signal_from_elsewhere_is_reported() {
    let town = Town::new().await;
    town.run("a1", 1, "kill -SEGV $$").await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("signal"), Some(11)));
    assert_eq!((report.status, report.exit_code), (Outcome::Failed, None));
}

#[tokio::test]
async fn a_stale_run_is_killed_at_once() {
    let town = Town::with(&[("GRACE_MS", "3600000"), ("HEARTBEAT_MS", "50")]).await;
    town.run("a1", 1, "trap '' TERM; echo up; sleep 600 & while :; do sleep 0.05; done").await;
    town.hears("a1", "up").await;
    town.rig.advise("a1", Advice::Stale);
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("stale"), Some(9)));
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_is_wanted_no_more_is_stopped_by_the_ladder() {
    let town = Town::with(&[("GRACE_MS", "3600000"), ("HEARTBEAT_MS", "50")]).await;
    town.run("a1", 1, "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done").await;
    town.hears("a1", "up").await;
    town.rig.advise("a1", Advice::Stop);
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.exit_code), (Some("stopped"), Some(0)));
}

#[tokio::test]
async fn a_message_reaches_the_standard_input() {
    let town = Town::new().await;
    town.run("a1", 1, "while read -r line; do echo \"heard $line\"; done").await;
    let (status, body) = town.post("/agents/a1/message", json!({"prompt": "GUPP_CHECK"})).await;
    assert_eq!((status.as_u16(), body), (200, json!({"sent": true})));
    town.hears("a1", "heard GUPP_CHECK").await;
    town.post("/agents/a1/stop", json!({})).await;
    town.phase("a1", Phase::Exited).await;
    let (status, body) = town.post("/agents/a1/message", json!({"prompt": "?"})).await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("not_running")));
    let (status, body) = town.post("/agents/a2/message", json!({"prompt": "?"})).await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn an_agent_that_reads_nothing_is_in_nobodys_way() {
    let town = Town::new().await;
    town.run("a1", 1, "exec sleep 600").await;
    let long = json!({"prompt": "x".repeat(100_000)});
    until(async || {
        let (status, body) = town.post("/agents/a1/message", long.clone()).await;
        if status == 503 { Ok(()) } else { Err(body) }
    })
    .await;
    town.run("a2", 1, "true").await;
    town.report("a2", 1).await;
    town.post("/agents/a1/stop", json!({})).await;
    town.report("a1", 1).await;
}

#[tokio::test]
async fn placeholders_are_filled_after_splitting_and_only_once() {
    let town = Town::new().await;
    let mut request = start("a1", 1, "");
    let words = [
        "/bin/sh",
        "-c",
        "printf '%s\\n' \"$@\"",
        "sh",
        "{prompt}",
        "t={title};",
        "{bead_id}/{attempt}",
        "{no}",
    ];
    request["command"] = json!(words);
    town.post("/agents/start", request).await;
    town.report("a1", 1).await;
    let filled = ["read the hostname of {title}", "t=a {prompt};", "b-a1/1", "{no}"];
    assert_eq!(town.said("a1").await, filled);
}
