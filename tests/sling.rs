//! Sling: many at once, up to the cap, and nothing left behind beyond it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeSet;

use beadrig::settings::Settings;
use serde_json::{Value, json};
use support::{TestRig, agent};

fn rig(max_agents: u32) -> TestRig {
    TestRig::with(Settings { max_agents, ..Settings::default() })
}

fn sling(rig: &mut TestRig, title: &str) -> (u16, Value) {
    rig.operator("POST", "/sling", &json!({"title": title}).to_string())
}

#[test]
fn incident_43_the_answer_shows_the_bead_in_progress_and_the_hook_set() {
    let mut rig = rig(5);
    let body = json!({"title": "fix it", "body": "all of it", "priority": "high", "labels": ["x"],
        "metadata": {"slung_by": "ann"}, "acceptance_criteria": "it works"});
    let (status, answer) = rig.operator("POST", "/sling", &body.to_string());
    assert_eq!(status, 201, "{answer}");
    let (bead, agent) = (&answer["data"]["bead"], &answer["data"]["agent"]);
    assert_eq!(
        [&bead["status"], &bead["priority"], &bead["labels"][0], &bead["metadata"]["slung_by"]],
        ["in_progress", "high", "x", "ann"]
    );
    assert_eq!(bead["assignee_agent_id"], agent["id"]);
    assert_eq!(agent["current_hook_bead_id"], bead["id"]);
    // Hooked and not yet accepted by the container.
    assert_eq!(agent["status"], "idle");
    let id = bead["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.bead(&id)["status"], "in_progress");
    assert!(rig.wake.is_some(), "the tick that starts it comes soon");
    rig.schedule();
    assert_eq!(rig.accept()[0].bead_id, id);
}

#[test]
fn trap_4_a_second_sling_before_the_first_tick_gets_an_agent_of_its_own() {
    let mut rig = rig(20);
    let mut seen = BTreeSet::new();
    for n in 0..20 {
        let (status, answer) = sling(&mut rig, &format!("bead {n}"));
        assert_eq!(status, 201, "{answer}");
        seen.insert(answer["data"]["agent"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen.len(), 20);
    rig.schedule();
    let beads: BTreeSet<String> = rig.accept().into_iter().map(|it| it.bead_id).collect();
    assert_eq!(beads.len(), 20);
}

/// For every cap and number: as many as there is room for, and no trace of the others.
#[test]
fn more_slings_than_agents_leave_nothing_behind() {
    for max in [1, 2, 5, 7] {
        for count in [0, 1, max - 1, max, max + 1, max + 9] {
            let mut rig = rig(max);
            let answers: Vec<(u16, Value)> =
                (0..count).map(|n| sling(&mut rig, &format!("bead {n}"))).collect();
            let taken: Vec<&Value> =
                answers.iter().filter(|(status, _)| *status == 201).map(|it| &it.1).collect();
            let agents: BTreeSet<&str> =
                taken.iter().map(|it| it["data"]["agent"]["id"].as_str().unwrap()).collect();
            let room = count.min(max) as usize;
            assert_eq!((taken.len(), agents.len()), (room, room), "{count} of {max}");
            for (status, refused) in answers.iter().filter(|(status, _)| *status != 201) {
                assert_eq!((*status, refused["code"].as_str()), (429, Some("limit_reached")));
                let said = refused["error"].as_str().unwrap();
                assert!(
                    said.starts_with(&format!("all {max} agents of the rig are at work; wait"))
                );
            }
            let beads = rig.operator("GET", "/beads", "").1["data"].as_array().unwrap().clone();
            assert_eq!(beads.len(), room, "no orphan");
            assert!(beads.iter().all(|bead| bead["status"] == "in_progress"));
            let crew = rig.operator("GET", "/agents", "").1["data"].as_array().unwrap().len();
            assert_eq!(crew, room);
        }
    }
}

#[test]
fn an_agent_that_is_done_takes_the_next_and_no_agent_may_sling() {
    let mut rig = rig(1);
    let first = sling(&mut rig, "first").1["data"]["bead"]["id"].as_str().unwrap().to_owned();
    rig.schedule();
    let start = rig.accept().remove(0);
    let (status, refused) = rig.call(&agent(&start), "POST", "/sling", r#"{"title":"more of me"}"#);
    assert_eq!((status, refused["code"].as_str()), (403, Some("forbidden")));
    // Trap 8: an agent whose process is still ending is not free.
    rig.operator("POST", &format!("/beads/{first}/close"), "");
    assert_eq!(sling(&mut rig, "second").0, 429);
    let report = json!({"status": "completed", "attempt": start.attempt, "exit_code": 0});
    let path = format!("/agents/{}/completed", start.agent_id);
    assert_eq!(rig.call(&support::container(), "POST", &path, &report.to_string()).0, 200);
    let (status, second) = sling(&mut rig, "second");
    assert_eq!((status, &second["data"]["agent"]["id"]), (201, &json!(start.agent_id)));
}

#[test]
fn what_is_wrong_with_a_sling_is_said_and_leaves_nothing() {
    let mut rig = rig(5);
    for body in [r#"{"title":" "}"#, "{}", r#"{"title":"x","priority":9}"#] {
        assert_eq!(rig.operator("POST", "/sling", body).0, 400, "{body}");
    }
    assert_eq!(rig.operator("GET", "/beads", "").1["data"], json!([]));
    assert_eq!(rig.operator("GET", "/agents", "").1["data"], json!([]));
}
