//! One number of a run in two containers: the first that shows it alive has it, and the other's has to go.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::wire::PROTOCOL;
use beadrig::wire::container::{AgentList, StartAgent};
use serde_json::json;
use support::{TestRig, container};

/// A run that was asked for twice: nobody knows which of two containers has it.
fn asked_for_twice() -> (TestRig, String, StartAgent) {
    let mut rig = TestRig::new();
    let bead = rig.assigned("fix the parser");
    rig.schedule();
    rig.pass(15_000);
    rig.schedule();
    let starts = std::mem::take(&mut rig.starts);
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[0].attempt, starts[1].attempt);
    (rig, bead, starts[0].clone())
}

/// What the rig says to a heartbeat of this life of a service.
fn beat(rig: &mut TestRig, boot: &str, start: &StartAgent) -> String {
    let beats = json!({"protocol": PROTOCOL, "boot_id": boot, "agents": [{"agent_id": start.agent_id,
        "attempt": start.attempt, "job_id": start.job_id, "last_activity_at": rig.now.to_string()}]});
    let (status, said) = rig.call(&container(), "POST", "/heartbeats", &beats.to_string());
    assert_eq!(status, 200, "{said}");
    said["data"]["verdicts"][0]["verdict"].as_str().unwrap().to_owned()
}

fn exit(rig: &mut TestRig, boot: &str, reason: &str, start: &StartAgent) -> u16 {
    let report = json!({"status": "failed", "reason": reason, "attempt": start.attempt, "exit_code": 1,
        "boot_id": boot});
    let path = format!("/agents/{}/completed", start.agent_id);
    rig.call(&container(), "POST", &path, &report.to_string()).0
}

fn list(rig: &TestRig, boot: &str, start: &StartAgent) -> AgentList {
    let it = json!({"agentId": start.agent_id, "rigId": "demo", "beadId": start.bead_id,
        "attempt": start.attempt, "jobId": start.job_id, "status": "running",
        "startedAt": rig.now.to_string(), "lastActivityAt": rig.now.to_string()});
    let agents = serde_json::from_value(json!([it])).unwrap();
    AgentList { boot_id: boot.to_owned(), protocol: PROTOCOL, agents }
}

#[test]
fn a_run_that_two_containers_have_is_the_first_ones_and_the_other_has_to_kill_it() {
    let (mut rig, bead, start) = asked_for_twice();
    assert_eq!(beat(&mut rig, "one", &start), "ok");
    assert_eq!(beat(&mut rig, "two", &start), "stale");
    rig.pass(30_000);
    assert_eq!(beat(&mut rig, "one", &start), "ok");
    // That the other's process is killed is not the end of the run.
    assert_eq!(exit(&mut rig, "two", "stale", &start), 409);
    assert_eq!(rig.bead(&bead)["status"], "in_progress");
    assert_eq!(exit(&mut rig, "one", "exited", &start), 200);
    assert_eq!(rig.bead(&bead)["status"], "open");
}

#[test]
fn a_run_that_was_accepted_is_of_the_container_that_shows_it_first() {
    let (mut rig, bead, start) = asked_for_twice();
    rig.starts.push(start.clone());
    rig.accept();
    rig.pass(1_000);
    let seen = list(&rig, "two", &start);
    rig.patrol(Some(&seen));
    assert_eq!(beat(&mut rig, "one", &start), "stale");
    assert_eq!(beat(&mut rig, "two", &start), "ok");
    // The town asks another container now: it speaks of another process, so this one is lost to the rig.
    rig.pass(1_000);
    let seen = list(&rig, "one", &start);
    rig.patrol(Some(&seen));
    assert_eq!(rig.bead(&bead)["status"], "open");
    assert_eq!(beat(&mut rig, "two", &start), "stale");
}

#[test]
fn a_service_that_was_killed_is_spoken_for_by_its_next_life() {
    let (mut rig, bead, start) = asked_for_twice();
    assert_eq!(beat(&mut rig, "one", &start), "ok");
    assert_eq!(exit(&mut rig, "the next", "lost", &start), 200);
    assert_eq!(rig.bead(&bead)["status"], "open");
}

#[test]
fn a_container_that_does_not_say_which_life_it_is_in_is_believed() {
    let (mut rig, bead, start) = asked_for_twice();
    assert_eq!(beat(&mut rig, "", &start), "ok");
    assert_eq!(beat(&mut rig, "one", &start), "ok");
    assert_eq!(beat(&mut rig, "", &start), "ok");
    assert_eq!(exit(&mut rig, "", "exited", &start), 200);
    assert_eq!(rig.bead(&bead)["status"], "open");
}
