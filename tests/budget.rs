//! What runs cost and what a bead may cost; and the agents that nobody needs any more.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::command::Command;
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::{AgentList, ExitReport, Outcome, StartAgent};
use serde_json::{Value, json};
use support::{TestRig, agent, container};

fn ended(attempt: i64, cost: Option<i64>, output: &str) -> ExitReport {
    ExitReport {
        status: Outcome::Failed,
        reason: Some("exited".to_owned()),
        attempt: Some(attempt),
        exit_code: Some(1),
        signal: None,
        boot_id: None,
        output_tail: Some(output.to_owned()),
        cost_usd_micros: cost,
        session_id: Some("s-1".to_owned()),
    }
}

/// One run of a bead that ends in an error and cost so much.
fn run(rig: &mut TestRig, cost: Option<i64>, output: &str) {
    rig.pass(700_000);
    rig.schedule();
    let start = rig.accept().remove(0);
    let report = ended(start.attempt, cost, output);
    rig.apply(Command::Exited(container(), start.agent_id, report)).unwrap();
}

#[test]
fn a_bead_whose_runs_cost_what_they_may_is_not_started_again() {
    let mut rig = TestRig::new();
    let id = rig.assigned("dear");
    run(&mut rig, Some(2_400_000), "");
    assert_eq!(rig.tell(&id), "open attempts=1 waiting=back_off");
    assert_eq!(rig.bead(&id)["cost_usd"], "2.40");
    // Only the container says what a run cost: what is in its output is not looked at.
    run(&mut rig, Some(2_610_000), r#"{"type":"result","total_cost_usd":9}"#);
    assert_eq!(rig.tell(&id), "blocked attempts=2 failure=budget");
    let bead = rig.bead(&id);
    let said = "budget: its runs cost 5.01 USD, 5 USD of MAX_BUDGET_USD";
    assert_eq!(bead["failure"]["message"], said);
    rig.pass(90_000_000);
    rig.schedule();
    assert_eq!(rig.starts.len(), 0);
    // A person opens it again, and that is said.
    assert_eq!(rig.operator("POST", &format!("/beads/{id}/reopen"), "").0, 200);
    let events = rig.engine.store.events_of(&id).unwrap();
    let exited = events.iter().find(|it| it.event == "agent_exited").unwrap();
    let said = exited.data.as_deref().unwrap();
    assert!(said.ends_with(": exited with code 1, 2.40 USD, session s-1"), "{said}");
    assert_eq!(rig.bead(&id).get("cost_usd"), None);
    let reset = events.iter().find(|it| it.event == "attempts_reset").unwrap();
    let said = "ann reopened it: 2 attempts, 0 losses and 5.01 USD count no more";
    assert_eq!(reset.data.as_deref(), Some(said));
    rig.schedule();
    assert_eq!(rig.starts.len(), 1);
}

#[test]
fn a_rig_and_a_bead_may_have_a_budget_of_their_own() {
    let mut rig = TestRig::new();
    assert_eq!(rig.operator("PATCH", "/config", r#"{"max_budget_usd": 0.5}"#).0, 200);
    assert_eq!(rig.operator("GET", "/config", "").1["data"]["max_budget_usd"], "0.50");
    let id = rig.assigned("cheap");
    run(&mut rig, Some(500_000), "");
    assert_eq!(rig.tell(&id), "blocked attempts=1 failure=budget");
    let body = json!({"title": "more", "assignee": "agent", "acceptance_criteria": "works",
        "metadata": {"max_budget_usd": 2}});
    let id = rig.operator("POST", "/beads", &body.to_string()).1["data"]["id"].clone();
    run(&mut rig, Some(1_900_000), "");
    assert_eq!(rig.tell(id.as_str().unwrap()), "open attempts=1 waiting=back_off");
    run(&mut rig, Some(200_000), "");
    let bead = rig.bead(id.as_str().unwrap());
    let said = "budget: its runs cost 2.10 USD, 2 USD of its own max_budget_usd";
    assert_eq!(bead["failure"]["message"], said);
    // 0 is no bound.
    assert_eq!(rig.operator("PATCH", "/config", r#"{"max_budget_usd": "0"}"#).0, 200);
    let id = rig.assigned("no bound");
    run(&mut rig, Some(900_000_000), "");
    assert_eq!(rig.tell(&id), "open attempts=1 waiting=back_off");
    assert_eq!(rig.operator("PATCH", "/config", r#"{"max_budget_usd": "-1"}"#).0, 400);
}

/// One run that the patrol ends, for its container knows nothing of it any more.
fn given_up(rig: &mut TestRig) -> StartAgent {
    rig.pass(700_000);
    rig.schedule();
    let start = rig.accept().remove(0);
    rig.pass(60_000);
    let empty = AgentList { boot_id: "b".to_owned(), protocol: PROTOCOL, agents: Vec::new() };
    rig.patrol(Some(&empty));
    let ended = rig.engine.store.attempt(start.attempt).unwrap().unwrap();
    assert!(ended.ended_at.is_some(), "{ended:?}");
    start
}

/// What comes of a report that is late.
fn told(rig: &mut TestRig, of: &StartAgent, cost: Option<i64>) -> (u16, Value) {
    let body = serde_json::to_string(&ended(of.attempt, cost, "")).unwrap();
    rig.call(&container(), "POST", &format!("/agents/{}/completed", of.agent_id), &body)
}

fn cost_events(rig: &TestRig, bead: &str) -> Vec<String> {
    let events = rig.engine.store.events_of(bead).unwrap();
    events.into_iter().filter(|it| it.event == "agent_cost").filter_map(|it| it.data).collect()
}

#[test]
fn what_a_run_cost_is_charged_once_also_when_it_is_told_after_the_patrol_has_ended_it() {
    let mut rig = TestRig::new();
    let id = rig.assigned("dear");
    let first = given_up(&mut rig);
    assert_eq!(rig.bead(&id).get("cost_usd"), None);
    assert_eq!(told(&mut rig, &first, Some(2_000_000)).0, 200);
    assert_eq!(rig.bead(&id)["cost_usd"], "2");
    // Sent again, for the answer was lost; and with another figure.
    for cost in [2_000_000, 9_000_000] {
        assert_eq!(told(&mut rig, &first, Some(cost)).0, 200);
    }
    assert_eq!(rig.bead(&id)["cost_usd"], "2");
    assert_eq!(cost_events(&rig, &id).len(), 1);
    // While the next run is at work: nothing else of the late one counts.
    let second = given_up(&mut rig);
    rig.pass(700_000);
    rig.schedule();
    let third = rig.accept().remove(0);
    assert_eq!((&third.agent_id, &third.bead_id), (&second.agent_id, &id));
    // The agent itself says nothing of its cost.
    let body = serde_json::to_string(&ended(second.attempt, Some(1), "")).unwrap();
    let path = format!("/agents/{}/completed", second.agent_id);
    assert_ne!(rig.call(&agent(&second), "POST", &path, &body).0, 200);
    assert_eq!(told(&mut rig, &second, None).0, 409, "it says nothing that is wanted");
    assert_eq!(told(&mut rig, &second, Some(3_000_000)).0, 200);
    assert_eq!(told(&mut rig, &second, Some(3_000_000)).0, 409);
    assert_eq!(rig.bead(&id)["cost_usd"], "5");
    assert_eq!(rig.bead(&id)["status"], "in_progress", "the run that is at work goes on");
    let said = format!("attempt {}: 3 USD, told after its end", second.attempt);
    assert_eq!(cost_events(&rig, &id)[1], said);
    // It was the last one.
    rig.apply(Command::Exited(container(), third.agent_id, ended(third.attempt, None, "")))
        .unwrap();
    assert_eq!(rig.tell(&id), "blocked attempts=1 failure=budget");
}

#[test]
fn a_late_cost_that_uses_the_budget_up_stops_the_next_run_and_a_reopened_bead_does_not_pay_it() {
    let mut rig = TestRig::new();
    let id = rig.assigned("dear");
    let first = given_up(&mut rig);
    assert_eq!(told(&mut rig, &first, Some(6_000_000)).0, 200);
    rig.pass(700_000);
    rig.schedule();
    assert_eq!(rig.starts.len(), 0);
    assert_eq!(rig.bead(&id)["failure"]["code"], "budget");
    assert_eq!(rig.operator("POST", &format!("/beads/{id}/reopen"), "").0, 200);
    let second = given_up(&mut rig);
    rig.operator("POST", &format!("/beads/{id}/close"), "");
    assert_eq!(rig.operator("POST", &format!("/beads/{id}/reopen"), "").0, 200);
    assert_eq!(told(&mut rig, &second, Some(6_000_000)).0, 200);
    assert_eq!(rig.bead(&id).get("cost_usd"), None);
    let said = cost_events(&rig, &id);
    assert!(said[1].ends_with("not counted, for the bead was reopened since"), "{said:?}");
    // A figure that is no cost is none, and a silly one is cut.
    let third = given_up(&mut rig);
    for cost in [Some(-1), Some(0), None] {
        assert_eq!(told(&mut rig, &third, cost).0, 200);
    }
    assert_eq!(cost_events(&rig, &id).len(), 2);
    assert_eq!(told(&mut rig, &third, Some(i64::MAX)).0, 200);
    assert_eq!(rig.bead(&id)["cost_usd"], "1000000");
}

#[test]
fn an_agent_that_had_no_run_for_a_month_is_forgotten_and_one_that_holds_a_bead_is_not() {
    const DAY: i64 = 86_400_000;
    let mut rig = TestRig::new();
    let bead = rig.assigned("short");
    rig.schedule();
    let start = rig.accept().remove(0);
    rig.operator("POST", &format!("/beads/{bead}/close"), "");
    rig.apply(Command::Exited(container(), start.agent_id, ended(start.attempt, None, "")))
        .unwrap();
    // Held back: its bead is put off by a back-off of its own.
    let made = rig.operator("POST", "/agents", r#"{"role":"mayor","name":"m","identity":"m"}"#);
    assert_eq!(made.0, 201);
    let names =
        |rig: &mut TestRig| rig.operator("GET", "/agents", "").1["data"].as_array().unwrap().len();
    rig.pass(29 * DAY);
    rig.schedule();
    assert_eq!(names(&mut rig), 2);
    rig.pass(2 * DAY);
    rig.schedule();
    assert_eq!(names(&mut rig), 1, "the mayor stays");
    // One that is used stays.
    rig.assigned("long");
    for _ in 0..3 {
        rig.schedule();
        rig.accept();
        rig.pass(20 * DAY);
    }
    assert_eq!(names(&mut rig), 2);
}
