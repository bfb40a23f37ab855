//! The switch, dispatch by hand, and beads that people take: who gets what, and what is said to the others.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::command::{Command, StartAnswer};
use beadrig::id::Millis;
use beadrig::settings::Settings;
use beadrig::store::{Pause, Sql as _};
use beadrig::token::Caller;
use beadrig::wire::container::{AgentList, AgentStatus, Phase, StartAgent};
use serde_json::{Value, json};
use support::{START, TestRig};

fn rig(max_agents: u32) -> TestRig {
    TestRig::with(Settings { max_agents, ..Settings::default() })
}

fn bead(rig: &mut TestRig, fields: &Value) -> String {
    let mut body = json!({"title": "a bead", "acceptance_criteria": "it is done"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let (status, answer) = rig.operator("POST", "/beads", &body.to_string());
    assert_eq!(status, 201, "{answer}");
    answer["data"]["id"].as_str().unwrap().to_owned()
}

fn dispatch(rig: &mut TestRig, id: &str) -> (u16, Value) {
    rig.operator("POST", "/agent-dispatch", &json!({"taskId": id}).to_string())
}

fn person(n: u8) -> Caller {
    Caller::Operator { actor: format!("person {n}") }
}

fn busy(rig: &mut TestRig) -> Value {
    rig.operator("GET", "/agent-status", "").1["busy"].clone()
}

#[test]
fn a_paused_rig_claims_nothing_and_says_who_paused_it() {
    let mut rig = rig(5);
    let running = bead(&mut rig, &json!({"assignee": "agent"}));
    rig.schedule();
    rig.accept();
    let (status, paused) = rig.operator("POST", "/pause", r#"{"reason":"the disk is full"}"#);
    assert_eq!((status, &paused["data"]["enabled"]), (200, &json!(false)));
    // Who was first is remembered.
    rig.operator("POST", "/pause", r#"{"reason":"again"}"#);
    let waiting = bead(&mut rig, &json!({"assignee": "agent"}));
    rig.schedule();
    assert_eq!(rig.starts.len(), 0);
    assert_eq!(rig.bead(&running)["status"], "in_progress", "what runs goes on");
    let why = rig.bead(&waiting)["waiting"].clone();
    assert_eq!(why["reason"], "dispatch_paused");
    assert_eq!(
        why["message"],
        format!(
            "dispatch is paused by ann since {START} (the disk is full); take it back: beadrig resume"
        )
    );
    let status = rig.operator("GET", "/status", "").1["data"].clone();
    assert_eq!(
        (&status["dispatch_enabled"], &status["dispatch"]["paused"][0]["by"]),
        (&json!(false), &json!("ann"))
    );
    let (_, resumed) = rig.operator("POST", "/resume", "");
    assert_eq!(resumed["data"], json!({"enabled": true, "paused": []}));
    assert!(rig.wake.is_some(), "what waited is looked at soon");
    rig.schedule();
    assert_eq!(rig.accept()[0].bead_id, waiting);
}

#[test]
fn a_paused_rig_with_beads_that_wait_is_not_woken_for_them() {
    let mut rig = TestRig::with(Settings { idle_alarm_ms: 0, ..Settings::default() });
    rig.operator("POST", "/pause", "");
    bead(&mut rig, &json!({"assignee": "agent"}));
    rig.schedule();
    assert_eq!(rig.engine.next_wake(rig.now).unwrap(), None);
}

#[test]
fn the_pause_of_the_deployment_holds_whatever_a_rig_says() {
    let mut rig = rig(5);
    let pause = Pause { by: "ann".to_owned(), at: START, reason: None };
    rig.apply(Command::DeploymentPaused(Some(pause))).unwrap();
    let id = bead(&mut rig, &json!({"assignee": "agent"}));
    let (_, view) = rig.operator("POST", "/resume", "");
    assert_eq!(view["data"]["paused"][0]["scope"], "deployment");
    rig.schedule();
    assert_eq!(rig.bead(&id)["waiting"]["reason"], "dispatch_paused");
    rig.apply(Command::DeploymentPaused(None)).unwrap();
    rig.schedule();
    assert_eq!(rig.accept()[0].bead_id, id);
}

/// Bug 4 and the button beside the poller: what is dispatched by hand runs once.
#[test]
fn a_bead_that_is_dispatched_by_hand_runs_once_also_while_dispatch_is_paused() {
    let mut rig = rig(5);
    rig.operator("POST", "/pause", "");
    let id = bead(&mut rig, &json!({"assignee": "ann"}));
    let (status, first) = dispatch(&mut rig, &id);
    assert_eq!(status, 200, "{first}");
    let job = first["job_id"].as_str().unwrap().to_owned();
    assert!(job.len() == 12 && job.bytes().all(|b| b.is_ascii_hexdigit()), "{job}");
    assert_eq!(dispatch(&mut rig, &format!(" {id} ")), (200, first), "the same run");
    rig.schedule();
    let starts = rig.accept();
    assert!(starts.iter().all(|it| it.job_id == job && it.attempt == starts[0].attempt));
    let bead = rig.bead(&id);
    assert_eq!((&bead["assignee"], &bead["status"]), (&json!("agent"), &json!("in_progress")));
    let notes: Vec<&str> =
        bead["notes"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(notes, [format!("dispatched by ann at {START}"), format!("dispatched: job={job}")]);
}

#[test]
fn the_dispatcher_and_the_button_together_start_one_run() {
    let mut rig = rig(5);
    let id = bead(&mut rig, &json!({"assignee": "agent"}));
    rig.schedule();
    let job = rig.starts[0].job_id.clone();
    assert_eq!(dispatch(&mut rig, &id), (200, json!({"job_id": job})));
    rig.schedule();
    assert_eq!(
        rig.accept().iter().map(|it| it.attempt).collect::<std::collections::BTreeSet<_>>().len(),
        1
    );
}

#[test]
fn dispatch_by_hand_says_in_its_clients_words_what_is_wrong() {
    let mut rig = rig(1);
    let bare = rig.operator("POST", "/beads", r#"{"title":"x","acceptance_criteria":"  "}"#).1;
    let bare = bare["data"]["id"].as_str().unwrap().to_owned();
    let closed = bead(&mut rig, &json!({}));
    rig.operator("POST", &format!("/beads/{closed}/close"), "");
    let said = |answer: (u16, Value)| (answer.0, answer.1["error"].as_str().unwrap().to_owned());
    let post = |rig: &mut TestRig, body: &str| said(rig.operator("POST", "/agent-dispatch", body));
    assert_eq!(post(&mut rig, "{"), (400, "Invalid JSON body.".to_owned()));
    assert_eq!(post(&mut rig, "{}"), (400, "taskId is required.".to_owned()));
    assert_eq!(post(&mut rig, r#"{"taskId":" "}"#), (400, "taskId is required.".to_owned()));
    assert_eq!(said(dispatch(&mut rig, "rig-nope")), (400, "Bead rig-nope not found.".to_owned()));
    assert_eq!(
        said(dispatch(&mut rig, &bare)),
        (400, format!("Bead {bare} is missing acceptance criteria."))
    );
    assert_eq!(
        said(dispatch(&mut rig, &closed)),
        (409, format!("Bead {closed} is closed; reopen it first"))
    );
    let (one, two) = (bead(&mut rig, &json!({})), bead(&mut rig, &json!({})));
    assert_eq!(dispatch(&mut rig, &one).0, 200);
    assert_eq!(said(dispatch(&mut rig, &two)), (409, "Agent is busy".to_owned()));
    assert_eq!(rig.bead(&two)["status"], "open", "nothing is left behind");
}

/// Bug 3: a service that is down is not free.
#[test]
fn a_rig_whose_container_does_not_answer_is_busy() {
    let mut rig = rig(5);
    assert_eq!(busy(&mut rig), false);
    let id = bead(&mut rig, &json!({"assignee": "agent"}));
    rig.schedule();
    let start = rig.starts.remove(0);
    let answer = StartAnswer::NoRoom("no container".to_owned());
    rig.apply(Command::StartAnswered(start.agent_id, start.attempt, answer)).unwrap();
    assert_eq!(busy(&mut rig), true);
    assert_eq!(
        rig.operator("GET", "/agent-status", "").1,
        json!({"busy": true, "reason": "the container: no container", "active": 1, "capacity": 5})
    );
    rig.operator("POST", &format!("/beads/{id}/close"), "");
    assert_eq!(busy(&mut rig), false);
}

#[test]
fn a_rig_with_all_agents_at_work_is_busy() {
    let mut rig = rig(1);
    bead(&mut rig, &json!({"assignee": "agent"}));
    rig.schedule();
    rig.accept();
    assert_eq!(busy(&mut rig), true);
}

#[test]
fn of_ten_who_claim_a_bead_one_gets_it_and_nine_are_told_who() {
    let mut rig = rig(5);
    let id = bead(&mut rig, &json!({}));
    let path = format!("/beads/{id}/claim");
    let answers: Vec<(u16, Value)> =
        (0..10).map(|n| rig.call(&person(n), "POST", &path, "")).collect();
    assert_eq!(answers[0].0, 200);
    for (status, answer) in &answers[1..] {
        assert_eq!(
            (*status, answer["error"].as_str().unwrap()),
            (409, "issue already claimed by person 0")
        );
    }
    // Whoever has it may say so again.
    assert_eq!(rig.call(&person(0), "POST", &path, "").0, 200);
    let bead = rig.bead(&id);
    assert_eq!((&bead["assignee"], &bead["status"]), (&json!("person 0"), &json!("in_progress")));
}

#[test]
fn what_is_for_agents_or_closed_is_not_claimed_and_agents_claim_nothing() {
    let mut rig = rig(5);
    let queued = bead(&mut rig, &json!({"assignee": "agent"}));
    let (status, answer) = rig.operator("POST", &format!("/beads/{queued}/claim"), "");
    assert_eq!((status, answer["error"].as_str()), (409, Some("issue already claimed by agent")));
    let closed = bead(&mut rig, &json!({}));
    rig.operator("POST", &format!("/beads/{closed}/close"), "");
    assert_eq!(rig.operator("POST", &format!("/beads/{closed}/claim"), "").0, 409);
    rig.schedule();
    let start = rig.accept().remove(0);
    let own = support::agent(&start);
    assert_eq!(rig.call(&own, "POST", &format!("/beads/{queued}/claim"), "").0, 200, "it has it");
    let other = bead(&mut rig, &json!({}));
    assert_eq!(rig.call(&own, "POST", &format!("/beads/{other}/claim"), "").0, 403);
}

/// Off means no reaping either; what has stood still for too long is reaped once dispatch is on again.
#[test]
fn while_dispatch_is_paused_nothing_is_reaped() {
    let mut rig = rig(5);
    let (id, start) = at_work(&mut rig);
    rig.operator("POST", "/pause", "");
    let began = rig.now;
    stand_still(&mut rig, &start, began, 80);
    assert_eq!(rig.bead(&id)["status"], "in_progress", "{}", rig.notes(&id));
    rig.operator("POST", "/resume", "");
    stand_still(&mut rig, &start, began, 1);
    assert_eq!(rig.bead(&id)["status"], "blocked");
    assert!(rig.notes(&id).contains("reaper: no progress for 40m (threshold 30m) — blocking"));
}

/// Bug 10: a reaper that fell between its note and the status made the bead look fresh.
#[test]
fn a_reaping_that_fails_half_way_leaves_no_note_and_comes_in_the_next_tick() {
    let mut rig = rig(5);
    let (id, start) = at_work(&mut rig);
    let began = rig.now;
    let script = |rig: &TestRig, sql: &str| rig.engine.store.sql().script(sql).unwrap();
    script(
        &rig,
        "CREATE TRIGGER stuck BEFORE UPDATE OF status ON bead WHEN NEW.status = 'blocked'
         BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    );
    stand_still(&mut rig, &start, began, 70);
    assert_eq!(rig.bead(&id)["status"], "in_progress");
    assert!(!rig.notes(&id).contains("reaper:"), "{}", rig.notes(&id));
    script(&rig, "DROP TRIGGER stuck");
    stand_still(&mut rig, &start, began, 1);
    assert_eq!(rig.bead(&id)["status"], "blocked");
    assert_eq!(rig.notes(&id).matches("reaper: no progress for 35m").count(), 1);
}

/// The recipe of the pollers' runbook: `update -s open`, then `assign agent`.
#[test]
fn a_reaped_bead_is_armed_again_as_the_runbook_says() {
    let mut rig = rig(5);
    let (id, start) = at_work(&mut rig);
    let began = rig.now;
    stand_still(&mut rig, &start, began, 63);
    assert_eq!(rig.bead(&id)["status"], "blocked");
    // Its process is gone.
    rig.pass(60_000);
    let list = AgentList { boot_id: "b".to_owned(), protocol: 1, agents: vec![] };
    rig.patrol(Some(&list));
    let path = format!("/beads/{id}");
    for change in [json!({"status": "open"}), json!({"assignee": "agent"})] {
        let (status, answer) = rig.operator("PATCH", &path, &change.to_string());
        assert_eq!(status, 200, "{answer}");
    }
    rig.starts.clear();
    rig.schedule();
    let starts = rig.accept();
    assert_eq!((starts.len(), &starts[0].bead_id), (1, &id));
    assert!(starts[0].attempt > start.attempt);
    assert_eq!(rig.bead(&id)["status"], "in_progress");
}

/// The other one, for a bead at work: `assign ""`, then `update -s open`.
#[test]
fn a_bead_at_work_is_taken_back_as_the_runbook_says() {
    let mut rig = rig(5);
    let (id, start) = at_work(&mut rig);
    let path = format!("/beads/{id}");
    for change in [json!({"assignee": null}), json!({"status": "open"})] {
        let (status, answer) = rig.operator("PATCH", &path, &change.to_string());
        assert_eq!(status, 200, "{answer}");
    }
    let bead = rig.bead(&id);
    assert_eq!((&bead["status"], &bead["assignee"]), (&json!("open"), &Value::Null));
    rig.pass(60_000);
    rig.schedule();
    assert_eq!(rig.starts.len(), 0, "nobody takes it again");
    assert!(rig.stops.contains(&(start.agent_id, start.attempt)), "{:?}", rig.stops);
}

#[test]
fn who_takes_a_bead_from_an_agent_and_is_at_it_is_at_it_alone() {
    let mut rig = rig(5);
    let (id, start) = at_work(&mut rig);
    let change = json!({"assignee": "bob", "status": "in_progress"}).to_string();
    let (status, answer) = rig.operator("PATCH", &format!("/beads/{id}"), &change);
    assert_eq!(status, 200, "{answer}");
    rig.pass(60_000);
    rig.schedule();
    let bead = rig.bead(&id);
    assert_eq!((&bead["status"], &bead["assignee"]), (&json!("in_progress"), &json!("bob")));
    assert_eq!(rig.stops, [(start.agent_id, start.attempt)]);
    assert_eq!(rig.starts.len(), 0);
}

/// A bead whose agent is at work.
fn at_work(rig: &mut TestRig) -> (String, StartAgent) {
    let id = bead(rig, &json!({"assignee": "agent"}));
    rig.schedule();
    (id, rig.accept().remove(0))
}

/// So many looks, half a minute apart, at a process that prints nothing.
fn stand_still(rig: &mut TestRig, start: &StartAgent, since: Millis, looks: usize) {
    for _ in 0..looks {
        rig.pass(30_000);
        let agents = vec![status(start, since)];
        let list = AgentList { boot_id: "b".to_owned(), protocol: 1, agents };
        rig.patrol(Some(&list));
    }
}

/// A process that has printed nothing since.
fn status(start: &StartAgent, since: Millis) -> AgentStatus {
    AgentStatus {
        agent_id: start.agent_id.clone(),
        rig_id: start.rig_id.clone(),
        bead_id: start.bead_id.clone(),
        attempt: start.attempt,
        job_id: start.job_id.clone(),
        status: Phase::Running,
        suspended: false,
        started_at: since.to_string(),
        last_activity_at: since.to_string(),
        exit_reason: None,
        exit_code: None,
        output_tail: None,
    }
}
