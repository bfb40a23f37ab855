//! The end of the service: asked for, or not.

use std::time::{Duration, Instant};

use beadrig::wire::container::{Outcome, Phase};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::program::Program;
use crate::town::{Town, start, until};

#[tokio::test]
async fn a_service_that_drains_tells_its_agents_takes_no_work_and_waits_for_them() {
    let mut town = Town::without_service(&[]).await;
    let mut program = Program::with(&mut town, &[("DRAIN_MS", "30000")]).await;
    // It saves when it is told, on the third line after it; a second agent hears nothing.
    let heeds =
        "echo up; read -r line; echo \"heard: $line\"; sleep 1; echo saved > ../saved; exit 0";
    town.run("heeds", 1, heeds).await;
    town.hears("heeds", "up").await;
    program.signal(Signal::SIGTERM);
    until(async || {
        let (_, health) = town.get("/health").await;
        if health["status"] == "draining" { Ok(()) } else { Err(health) }
    })
    .await;
    let (status, body) = town.start("late", 1, "true").await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("capacity")));
    assert!(body["error"].as_str().unwrap().contains("draining"), "{body}");
    let report = town.report("heeds", 1).await;
    assert_eq!((report.reason.as_deref(), report.exit_code), (Some("interrupted"), Some(0)));
    assert!(report.output_tail.unwrap().contains("commit and push what you have"));
    assert!(town.workdir("saved").exists());
    let ended = until(async || program.0.try_wait().ok().flatten().ok_or(())).await;
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn heartbeats_go_on_while_the_service_drains() {
    let mut town = Town::without_service(&[]).await;
    let settings = [("DRAIN_MS", "30000"), ("HEARTBEAT_MS", "50")];
    let program = Program::with(&mut town, &settings).await;
    town.run("slow", 1, "echo up; read -r line; sleep 600").await;
    town.hears("slow", "up").await;
    program.signal(Signal::SIGTERM);
    until(async || match town.status("slow").await.status {
        Phase::Stopping => Ok(()),
        other => Err(other),
    })
    .await;
    let before = town.rig.heartbeats().len();
    until(async || match town.rig.heartbeats().len() - before {
        0..3 => Err("too few heartbeats"),
        _ => Ok(()),
    })
    .await;
    program.signal(Signal::SIGTERM);
}

#[tokio::test]
async fn an_agent_that_does_not_listen_is_ended_after_the_drain_and_the_grace() {
    let mut town = Town::without_service(&[]).await;
    let settings = [("DRAIN_MS", "1000"), ("GRACE_MS", "500")];
    let mut program = Program::with(&mut town, &settings).await;
    town.run("deaf", 1, "trap '' TERM; echo up; while :; do sleep 0.05; done").await;
    town.hears("deaf", "up").await;
    let began = Instant::now();
    program.signal(Signal::SIGTERM);
    let report = town.report("deaf", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("interrupted"), Some(9)));
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    until(async || program.0.try_wait().ok().flatten().ok_or(())).await;
    assert_eq!(town.processes(), Vec::<String>::new());
}

/// A service that would wait for hours, and an agent that listens to nobody.
async fn patient() -> (Town, Program) {
    let mut town = Town::without_service(&[]).await;
    let settings = [("DRAIN_MS", "3600000"), ("GRACE_MS", "3600000")];
    let program = Program::with(&mut town, &settings).await;
    town.run("a1", 1, "trap '' TERM; echo up; setsid sleep 600 & while :; do sleep 0.05; done")
        .await;
    town.hears("a1", "up").await;
    (town, program)
}

#[tokio::test]
async fn a_service_is_gone_within_a_minute_of_one_signal_whatever_is_set_and_whoever_is_deaf() {
    let (town, mut program) = patient().await;
    // Its rig takes no reports either.
    town.rig.hang("r1");
    let began = Instant::now();
    program.signal(Signal::SIGTERM);
    let ended = loop {
        if let Some(ended) = program.0.try_wait().unwrap() {
            break ended;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "it is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(ended.code(), Some(0));
    assert!(began.elapsed() > Duration::from_secs(30), "the drain was waited for");
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once() {
    let (mut town, mut program) = patient().await;
    program.signal(Signal::SIGTERM);
    until(async || {
        let (_, health) = town.get("/health").await;
        if health["status"] == "draining" { Ok(()) } else { Err(health) }
    })
    .await;
    let began = Instant::now();
    program.signal(Signal::SIGTERM);
    let ended = until(async || program.0.try_wait().ok().flatten().ok_or(())).await;
    assert_eq!(ended.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // What left its group is ended by the next service.
    let program = Program::start(&mut town).await;
    assert_eq!(town.processes(), Vec::<String>::new());
    drop(program);
}

#[tokio::test]
async fn a_service_that_was_killed_with_ten_agents_leaves_nothing_and_its_rigs_learn_of_all_ten() {
    let mut town = Town::without_service(&[]).await;
    let program = Program::with(&mut town, &[("MAX_CONCURRENCY", "11")]).await;
    let script = "trap '' TERM HUP; setsid sleep 600 & echo up; while :; do sleep 0.2; done";
    for agent in 0..10 {
        let mut request = start(&format!("a{agent}"), 7, script);
        request["rigId"] = json!(format!("r{}", agent % 3));
        let (status, body) = town.post("/agents/start", request).await;
        assert_eq!(status, 201, "{body}");
    }
    for agent in 0..10 {
        town.hears(&format!("a{agent}"), "up").await;
    }
    // One is over and its report is on its way: its own end is told, not that it was lost.
    town.rig.hang("r9");
    let mut request = start("over", 3, "echo bye; exit 3");
    request["rigId"] = json!("r9");
    town.post("/agents/start", request).await;
    until(async || match town.status("over").await.exit_code {
        Some(3) => Ok(()),
        other => Err(other),
    })
    .await;
    program.signal(Signal::SIGKILL);
    drop(program);
    assert!(town.processes().len() >= 20);
    town.rig.wake("r9");
    let began = Instant::now();
    let program = Program::start(&mut town).await;
    assert_eq!(town.processes(), Vec::<String>::new());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for agent in 0..10 {
        let report = town.report(&format!("a{agent}"), 7).await;
        assert_eq!((report.reason.as_deref(), report.status), (Some("lost"), Outcome::Failed));
    }
    let over = town.report("over", 3).await;
    assert_eq!((over.reason.as_deref(), over.exit_code), (Some("exited"), Some(3)));
    assert_eq!(over.output_tail.as_deref(), Some("bye"));
    program.signal(Signal::SIGKILL);
    drop(program);
    // Told once: the life after that has nothing to say.
    let told = town.rig.reports("a0").len();
    let program = Program::start(&mut town).await;
    town.run("b1", 1, "true").await;
    town.report("b1", 1).await;
    assert_eq!(town.rig.reports("a0").len(), told);
    drop(program);
}
