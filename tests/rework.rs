//! What becomes of work that cannot be merged, and whose bead is in no queue: who gets it back, and who does not.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::command::{Command, StartAnswer};
use beadrig::wire::merge::MergeAtWork;
use serde_json::json;
use support::{TestRig, agent, container};

/// A rig with a repository.
fn with_git() -> TestRig {
    let mut rig = TestRig::new();
    operator(&mut rig, "PATCH", "/config", r#"{"git_url": "https://example.org/o/r.git"}"#);
    rig
}

#[track_caller]
fn operator(rig: &mut TestRig, method: &str, path: &str, body: &str) -> serde_json::Value {
    let (status, mut answer) = rig.operator(method, path, body);
    assert!(status < 300, "{method} {path}: {answer}");
    answer["data"].take()
}

/// A bead that a person hooked to an agent, which has said that it is done; answers it, and the agent.
fn handed_in_by_hand(rig: &mut TestRig) -> (String, String) {
    let bead = operator(rig, "POST", "/beads", r#"{"title": "by hand"}"#);
    let bead = bead["id"].as_str().unwrap().to_owned();
    let agent = operator(rig, "POST", "/agents/get-or-create", r#"{"role": "polecat"}"#);
    let agent = agent["id"].as_str().unwrap().to_owned();
    let body = json!({"bead_id": bead}).to_string();
    operator(rig, "POST", &format!("/agents/{agent}/hook"), &body);
    hand_in(rig, &bead);
    (bead, agent)
}

/// The run of this bead begins, says that it is done, and ends.
fn hand_in(rig: &mut TestRig, bead: &str) {
    rig.schedule();
    let start = rig.accept().remove(0);
    assert_eq!(start.bead_id, bead);
    rig.pass(1);
    let path = format!("/agents/{}/done", start.agent_id);
    assert_eq!(rig.call(&agent(&start), "POST", &path, "{}").0, 200);
    let report = json!({"status": "completed", "attempt": start.attempt, "exit_code": 0});
    let path = format!("/agents/{}/completed", start.agent_id);
    assert_eq!(rig.call(&container(), "POST", &path, &report.to_string()).0, 200);
    assert_eq!(rig.tell(bead), "in_review attempts=1");
}

/// The merge is begun, and does not work; then the rig has its next tick.
fn conflicts(rig: &mut TestRig) {
    let moment = rig.moment();
    let effects = rig.engine.process_review_queue(moment);
    rig.take(effects);
    let entry = rig.merges.remove(0).entries.remove(0);
    let merge = MergeAtWork { entry_id: entry.entry_id.clone(), attempt: entry.attempt };
    rig.apply(Command::MergeAnswered(vec![merge], StartAnswer::Accepted)).unwrap();
    let body =
        json!({"status": "conflict", "message": "both changed it", "attempt": entry.attempt});
    let path = format!("/review-queue/{}/complete", entry.entry_id);
    assert_eq!(rig.call(&container(), "POST", &path, &body.to_string()).0, 200);
    rig.pass(100);
    rig.schedule();
}

#[test]
fn work_of_a_bead_that_was_hooked_by_hand_goes_back_to_its_agent() {
    let mut rig = with_git();
    let (bead, agent) = handed_in_by_hand(&mut rig);
    conflicts(&mut rig);
    let start = rig.accept().remove(0);
    assert_eq!((start.bead_id, start.agent_id), (bead, agent));
}

#[test]
fn a_bead_that_was_taken_back_while_it_was_merged_is_run_by_no_agent_again() {
    for to in [json!(null), json!("bob")] {
        let mut rig = with_git();
        let bead = rig.assigned("taken back");
        hand_in(&mut rig, &bead);
        let path = format!("/beads/{bead}");
        operator(&mut rig, "PATCH", &path, &json!({"assignee": to}).to_string());
        assert_eq!(rig.tell(&bead), "in_review attempts=1", "what is done may still be merged");
        conflicts(&mut rig);
        assert_eq!(rig.starts.len(), 0, "nobody takes it again");
        let notes = rig.notes(&bead);
        assert!(notes.contains("nobody takes it by itself: it was taken back"), "{notes}");
        // Until it is handed out again.
        operator(&mut rig, "PATCH", &path, r#"{"assignee": "agent", "acceptance_criteria": "x"}"#);
        rig.schedule();
        assert_eq!(rig.starts.len(), 1);
    }
}

#[test]
fn while_dispatch_is_paused_no_agent_is_started_for_work_that_cannot_be_merged() {
    let mut rig = with_git();
    let (bead, agent) = handed_in_by_hand(&mut rig);
    operator(&mut rig, "POST", "/pause", r#"{"reason": "the disk is full"}"#);
    conflicts(&mut rig);
    assert_eq!(rig.starts.len(), 0);
    let notes = rig.notes(&bead);
    assert!(notes.contains("nobody takes it by itself: dispatch is paused by ann"), "{notes}");
    // A person may, also while it is paused.
    let body = json!({"bead_id": bead}).to_string();
    operator(&mut rig, "POST", &format!("/agents/{agent}/hook"), &body);
    rig.schedule();
    assert_eq!(rig.starts.len(), 1);
}

#[test]
fn no_agent_is_started_for_work_that_cannot_be_merged_while_its_bead_waits_for_another() {
    let mut rig = with_git();
    let (bead, _) = handed_in_by_hand(&mut rig);
    let other = operator(&mut rig, "POST", "/beads", r#"{"title": "first"}"#);
    let body = json!({"depends_on": other["id"]}).to_string();
    operator(&mut rig, "POST", &format!("/beads/{bead}/dependencies"), &body);
    conflicts(&mut rig);
    assert_eq!(rig.starts.len(), 0);
    let (notes, other) = (rig.notes(&bead), other["id"].as_str().unwrap());
    let said = format!("nobody takes it by itself: it waits for {other} to be closed");
    assert!(notes.contains(&said), "{notes}");
}
