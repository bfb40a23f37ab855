//! What is said of agents, what becomes of their work then, and what they are primed with.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::agent::{Mark, MarkEvent};
use beadrig::command::{Command, StartAnswer};
use beadrig::limits;
use beadrig::store::{Sql, Value};
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::{AgentList, StartAgent};
use expect_test::expect;
use serde_json::json;
use support::{TestRig, agent, container};

/// A rig in which an agent works on a bead.
fn at_work() -> (TestRig, String, StartAgent) {
    let mut rig = TestRig::new();
    let bead = rig.assigned("mine");
    rig.schedule();
    let start = rig.accept().remove(0);
    (rig, bead, start)
}

fn set(rig: &mut TestRig, agent: &str, status: &str) -> (u16, serde_json::Value) {
    let body = json!({"status": status}).to_string();
    rig.operator("PATCH", &format!("/agents/{agent}/status"), &body)
}

fn polecat(rig: &mut TestRig) -> String {
    let (status, answer) = rig.operator("POST", "/agents/get-or-create", r#"{"role":"polecat"}"#);
    assert_eq!(status, 200, "{answer}");
    answer["data"]["id"].as_str().unwrap().to_owned()
}

fn hook(rig: &mut TestRig, agent: &str, bead: &str) -> (u16, serde_json::Value) {
    let body = json!({"bead_id": bead}).to_string();
    rig.operator("POST", &format!("/agents/{agent}/hook"), &body)
}

fn rows(rig: &TestRig, sql: &str) -> i64 {
    match rig.engine.store.sql().run(sql, &[]).unwrap().remove(0) {
        Value::Integer(n) => n,
        other => panic!("{other:?} is no number"),
    }
}

/// A container that was restarted: it answers, and knows no run.
fn restarted() -> AgentList {
    AgentList { boot_id: "b".to_owned(), protocol: PROTOCOL, agents: Vec::new() }
}

/// An agent that asked for help and then said that it is done was told that it is: the bead stayed blocked.
#[test]
fn who_set_its_bead_blocked_is_not_told_that_it_is_done() {
    let (mut rig, bead, start) = at_work();
    let me = agent(&start);
    let path = format!("/beads/{bead}");
    let (status, answer) = rig.call(&me, "PATCH", &path, r#"{"status":"blocked"}"#);
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = rig.call(&me, "POST", &format!("/agents/{}/done", start.agent_id), "{}");
    assert_eq!((status, answer["code"].as_str()), (409, Some("stale_attempt")), "{answer}");
    assert_eq!(rig.tell(&bead), "blocked attempts=1");
}

#[test]
fn who_set_its_bead_blocked_is_not_told_that_it_is_done_when_another_run_has_the_bead() {
    let (mut rig, bead, start) = at_work();
    let me = agent(&start);
    let path = format!("/beads/{bead}");
    assert_eq!(rig.call(&me, "PATCH", &path, r#"{"status":"blocked"}"#).0, 200);
    assert_eq!(rig.operator("POST", &format!("{path}/reopen"), "").0, 200);
    rig.schedule();
    assert_ne!(rig.accept()[0].agent_id, start.agent_id, "its process is still there");
    let (status, answer) = rig.call(&me, "POST", &format!("/agents/{}/done", start.agent_id), "{}");
    assert_eq!((status, answer["code"].as_str()), (409, Some("stale_attempt")), "{answer}");
    assert_eq!(rig.tell(&bead), "in_progress attempts=1");
}

/// Trap 1: a container that did not know an agent any more was taken for one that says nothing, so that an agent
/// that crashed stayed at work for ever.
#[test]
fn trap_1_an_agent_that_the_container_does_not_know_is_idle_and_its_work_goes_on() {
    let (mut rig, bead, start) = at_work();
    rig.pass(1);
    rig.patrol(Some(&restarted()));
    let path = format!("/agents/{}", start.agent_id);
    assert_eq!(rig.operator("GET", &path, "").1["data"]["status"], "idle");
    rig.schedule();
    assert_eq!(rig.accept().remove(0).bead_id, bead);
}

/// Trap 4: an agent that was hooked and not yet started was handed out a second time.
#[test]
fn trap_4_an_agent_that_is_hooked_is_not_handed_out_again_before_it_starts() {
    let mut rig = TestRig::new();
    let mut agents = Vec::new();
    for bead in ["demo-1", "demo-2"] {
        rig.operator("POST", "/beads", &json!({"title": "x", "id": bead}).to_string());
        agents.push(polecat(&mut rig));
        assert_eq!(hook(&mut rig, agents.last().unwrap(), bead).0, 200);
    }
    assert_ne!(agents[0], agents[1]);
}

#[test]
fn the_life_of_a_mark() {
    let marks = [None, Some(Mark::Blocked), Some(Mark::Stalled), Some(Mark::Dead)];
    let events = [MarkEvent::Blocked, MarkEvent::Stalled, MarkEvent::Died, MarkEvent::Cleared];
    let mut table = String::new();
    for mark in marks {
        for event in events {
            let name = |mark: Option<Mark>| mark.map_or("none", Mark::as_str);
            let after = Mark::after(mark, event).map_or("-", name);
            table.push_str(&format!("{:<8} {:<9} {after}\n", name(mark), event.to_string()));
        }
    }
    expect![[r#"
        none     blocked   blocked
        none     stalled   stalled
        none     given up  dead
        none     cleared   none
        blocked  blocked   blocked
        blocked  stalled   stalled
        blocked  given up  dead
        blocked  cleared   none
        stalled  blocked   blocked
        stalled  stalled   stalled
        stalled  given up  dead
        stalled  cleared   none
        dead     blocked   -
        dead     stalled   -
        dead     given up  dead
        dead     cleared   none
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_dead_agents_bead_is_open_again_with_its_runs_and_its_run_is_ended() {
    let (mut rig, bead, start) = at_work();
    let (status, answer) = set(&mut rig, &start.agent_id, "dead");
    assert_eq!((status, &answer["data"]["status"]), (200, &json!("dead")));
    assert_eq!(answer["data"]["current_hook_bead_id"], json!(null));
    let now = rig.bead(&bead);
    assert_eq!((&now["status"], &now["attempts"]), (&json!("open"), &json!(1)));
    expect![[r#"
        auto-dispatcher: auto-dispatcher claimed at 2026-01-01T00:00:00.000Z
        auto-dispatcher: dispatched: job=f82c15017975
        ann: set agent Toast dead; the bead is open again
    "#]]
    .assert_eq(&rig.notes(&bead));
    // Its token is void, another takes the bead, and its process is told to end.
    assert_eq!(rig.call(&agent(&start), "GET", "/beads", "").0, 409);
    rig.schedule();
    let next = rig.accept().remove(0);
    assert_eq!(next.bead_id, bead);
    assert_ne!(next.agent_id, start.agent_id);
    assert_eq!(rig.stops, [(start.agent_id.clone(), start.attempt)]);
    // Said twice it is said once.
    assert_eq!(set(&mut rig, &start.agent_id, "dead").0, 200);
    let (status, answer) = set(&mut rig, &start.agent_id, "blocked");
    assert_eq!(status, 409);
    expect!["an agent that is dead cannot be blocked; set it idle first"]
        .assert_eq(answer["error"].as_str().unwrap());
}

/// Incident 66: five dead polecats used up the cap for ever.
#[test]
fn incident_66_five_dead_polecats_leave_room_for_a_new_one_under_a_name_of_theirs() {
    let mut rig = TestRig::new();
    for n in 0..5 {
        let (bead, who) = (format!("demo-{n}"), polecat(&mut rig));
        rig.operator("POST", "/beads", &json!({"title": "x", "id": bead}).to_string());
        assert_eq!(hook(&mut rig, &who, &bead).0, 200);
    }
    let (status, answer) = rig.operator("POST", "/agents/get-or-create", r#"{"role":"polecat"}"#);
    assert_eq!((status, &answer["code"]), (429, &json!("limit_reached")));
    let all = rig.operator("GET", "/agents", "").1["data"].clone();
    for it in all.as_array().unwrap() {
        assert_eq!(set(&mut rig, it["id"].as_str().unwrap(), "dead").0, 200);
    }
    let bead = rig.assigned("work for the living");
    rig.schedule();
    let start = rig.accept().remove(0);
    assert_eq!((start.bead_id, start.name.as_str()), (bead, "Toast"));
    assert_eq!(start.identity, "polecat/Toast-2");
    let dead = rig.operator("GET", "/agents?status=dead", "").1;
    assert_eq!(dead["data"].as_array().unwrap().len(), 5);
}

#[test]
fn a_full_rig_forgets_its_oldest_dead_agent_for_a_new_one() {
    let mut rig = TestRig::new();
    for n in 0..limits::AGENTS_MAX {
        let body = json!({"role": "refinery", "name": "x", "identity": format!("x-{n}")});
        assert_eq!(rig.operator("POST", "/agents", &body.to_string()).0, 201);
    }
    let more = r#"{"role":"polecat","name":"y","identity":"y"}"#;
    let (status, answer) = rig.operator("POST", "/agents", more);
    assert_eq!(status, 429);
    expect!["The rig has 100 agents, which is as many as it may have; delete one, or set one dead"]
        .assert_eq(answer["error"].as_str().unwrap());
    let all = rig.operator("GET", "/agents", "").1["data"].clone();
    set(&mut rig, all[7]["id"].as_str().unwrap(), "dead");
    assert_eq!(rig.operator("POST", "/agents", more).0, 201);
    assert_eq!(
        rig.operator("GET", &format!("/agents/{}", all[7]["id"].as_str().unwrap()), "").0,
        404
    );
}

#[test]
fn a_marked_agent_is_neither_chosen_nor_hooked_nor_started() {
    let mut rig = TestRig::new();
    let who = polecat(&mut rig);
    rig.operator("POST", "/beads", r#"{"title":"x","id":"demo-1"}"#);
    set(&mut rig, &who, "blocked");
    assert_ne!(polecat(&mut rig), who);
    let (status, answer) = hook(&mut rig, &who, "demo-1");
    assert_eq!(status, 409);
    expect!["Agent WHO is blocked and takes no bead; set it idle, or hook another"]
        .assert_eq(&answer["error"].as_str().unwrap().replace(&who, "WHO"));
    set(&mut rig, &who, "idle");
    assert_eq!(hook(&mut rig, &who, "demo-1").0, 200);
    // Hooked and not begun: the bead is free again, and nothing is started.
    set(&mut rig, &who, "blocked");
    assert_eq!(rig.bead("demo-1")["status"], "open");
    rig.schedule();
    assert!(rig.starts.is_empty());
    let (status, answer) = set(&mut rig, &who, "working");
    assert_eq!(status, 400);
    expect![[r#"status "working" is not one of idle, blocked, dead"#]]
        .assert_eq(answer["error"].as_str().unwrap());
    assert_eq!(set(&mut rig, "nobody", "dead").0, 404);
}

#[test]
fn an_agent_that_is_set_aside_while_it_starts_keeps_no_bead_that_there_is_no_room_for() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("waits for room");
    rig.schedule();
    let start = rig.starts.remove(0);
    assert_eq!(set(&mut rig, &start.agent_id, "blocked").0, 200);
    let answer = StartAnswer::NoRoom("full".to_owned());
    rig.apply(Command::StartAnswered(start.agent_id.clone(), start.attempt, answer)).unwrap();
    rig.pass(limits::CAPACITY_BACK_OFF_MS[0]);
    for _ in 0..2 {
        rig.schedule();
    }
    let next = rig.accept().remove(0);
    assert_eq!((&next.bead_id, rig.tell(&bead)), (&bead, "in_progress attempts=1".to_owned()));
    assert_ne!(next.agent_id, start.agent_id);
}

#[test]
fn an_agent_that_says_it_is_blocked_keeps_what_it_works_on() {
    let (mut rig, bead, start) = at_work();
    let path = format!("/agents/{}/status", start.agent_id);
    let (status, answer) =
        rig.call(&agent(&start), "PATCH", &path, r#"{"status":"blocked","reason":"no network"}"#);
    assert_eq!((status, &answer["data"]["status"]), (200, &json!("blocked")));
    assert_eq!(rig.bead(&bead)["status"], "in_progress");
    for status in ["idle", "dead"] {
        let body = json!({"status": status}).to_string();
        assert_eq!(rig.call(&agent(&start), "PATCH", &path, &body).0, 403);
    }
    // When its run is over, the bead goes to another.
    let report = r#"{"status":"failed","reason":"exited","exit_code":1,"attempt":0}"#;
    let path = format!("/agents/{}/completed", start.agent_id);
    assert_eq!(rig.call(&agent(&start), "POST", &path, report).0, 200);
    rig.pass(30_000);
    rig.schedule();
    assert_ne!(rig.accept().remove(0).agent_id, start.agent_id);
}

#[test]
fn a_bead_that_was_hooked_by_hand_does_not_stay_with_an_agent_that_cannot_go_on() {
    let mut rig = TestRig::new();
    let who = polecat(&mut rig);
    rig.operator("POST", "/beads", r#"{"title":"x","id":"demo-1"}"#);
    hook(&mut rig, &who, "demo-1");
    rig.schedule();
    let start = rig.accept().remove(0);
    let path = format!("/agents/{who}/status");
    rig.call(&agent(&start), "PATCH", &path, r#"{"status":"blocked"}"#);
    let report = json!({"status": "failed", "reason": "exited", "attempt": start.attempt});
    rig.call(&container(), "POST", &format!("/agents/{who}/completed"), &report.to_string());
    assert_eq!(rig.bead("demo-1")["status"], "open");
    let notes = rig.notes("demo-1");
    expect!["witness: agent Toast is blocked; the bead is open again"]
        .assert_eq(notes.lines().last().unwrap());
}

/// Trap 13: what is taken from an agent's hook stays assigned and in progress, and keeps the alarm hot.
#[test]
fn trap_13_a_bead_that_leaves_a_hook_is_open_and_a_marked_agent_keeps_no_alarm_hot() {
    let (mut rig, bead, start) = at_work();
    assert_eq!(rig.operator("DELETE", &format!("/agents/{}/hook", start.agent_id), "").0, 200);
    assert_eq!(rig.bead(&bead)["status"], "open");
    rig.operator("PATCH", &format!("/beads/{bead}"), r#"{"assignee":""}"#);
    rig.pass(1);
    rig.patrol(Some(&restarted()));
    set(&mut rig, &start.agent_id, "blocked");
    let idle = rig.engine.settings.idle_alarm_ms;
    assert_eq!(rig.engine.next_wake(rig.now).unwrap(), Some(rig.now.plus(idle)));
}

/// Seen when Gastown's rig was run: a refused delete had cleared the assignee and the mail already.
#[test]
fn a_deleted_agent_leaves_its_bead_open_and_nothing_else() {
    let (mut rig, bead, start) = at_work();
    let who = start.agent_id.clone();
    rig.operator("POST", "/beads", r#"{"title":"x","id":"demo-1"}"#);
    let mail =
        json!({"from_agent_id": "operator", "to_agent_id": who, "subject": "s", "body": "b"});
    assert_eq!(rig.operator("POST", "/mail", &mail.to_string()).0, 201);
    let event = json!({"agent_id": who, "event_type": "output"});
    assert_eq!(rig.operator("POST", "/agent-events", &event.to_string()).0, 201);
    let (status, answer) = rig.operator("DELETE", &format!("/agents/{who}"), "");
    assert_eq!((status, &answer["data"]), (200, &json!({"deleted": true})));
    let now = rig.bead(&bead);
    assert_eq!((&now["status"], &now["attempts"]), (&json!("open"), &json!(1)));
    for table in ["agent", "mail", "agent_event"] {
        assert_eq!(rows(&rig, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(rows(&rig, "SELECT count(*) FROM attempt WHERE ended_at IS NULL"), 0);
    // What is heard of it later.
    let report = json!({"status": "completed", "reason": "exited", "attempt": start.attempt});
    let path = format!("/agents/{who}/completed");
    assert_eq!(rig.call(&container(), "POST", &path, &report.to_string()).0, 404);
    assert_eq!(rig.call(&agent(&start), "GET", "/beads", "").0, 409);
    assert_eq!(rig.operator("DELETE", &format!("/agents/{who}"), "").0, 404);
    let heard = json!({"protocol": 1, "boot_id": "b", "agents": [{"agent_id": who,
        "attempt": start.attempt, "job_id": "j", "last_activity_at": "2026-01-01T00:00:00Z"}]});
    let (_, verdicts) = rig.call(&container(), "POST", "/heartbeats", &heard.to_string());
    assert_eq!(verdicts["data"]["verdicts"][0]["verdict"], "stale");
    // The bead is done by another, and the name is free.
    rig.schedule();
    assert_eq!(rig.accept().remove(0).identity, "polecat/Toast");
}

#[test]
fn a_deleted_agents_finished_bead_stays_as_it_is() {
    let (mut rig, bead, start) = at_work();
    rig.operator("POST", &format!("/beads/{bead}/close"), "");
    let before = rig.bead(&bead);
    rig.pass(1_000);
    assert_eq!(rig.operator("DELETE", &format!("/agents/{}", start.agent_id), "").0, 200);
    assert_eq!(rig.bead(&bead), before);
    let late = Command::StartAnswered(start.agent_id, start.attempt, StartAnswer::Accepted);
    assert!(rig.apply(late).is_err());
    assert_eq!(rig.bead(&bead), before);
}

#[test]
fn an_agent_is_primed_with_itself_its_work_and_its_mail_which_stays_undelivered() {
    let (mut rig, bead, start) = at_work();
    let me = agent(&start);
    let path = |path: &str| format!("/agents/{}/{path}", start.agent_id);
    assert_eq!(rig.call(&me, "GET", &path("checkpoint"), "").1["data"], json!({"data": null}));
    rig.call(&me, "POST", &path("checkpoint"), r#"{"data":{"step":3}}"#);
    let mail = json!({"from_agent_id": "mayor", "to_agent_id": start.agent_id, "subject": "s", "body": "b"});
    rig.operator("POST", "/mail", &mail.to_string());
    for _ in 0..2 {
        let (status, prime) = rig.call(&me, "GET", &path("prime"), "");
        let prime = &prime["data"];
        assert_eq!(status, 200);
        assert_eq!(prime["agent"]["id"], start.agent_id.as_str());
        assert_eq!(prime["hooked_bead"]["id"], bead.as_str());
        assert_eq!(prime["undelivered_mail"][0]["subject"], "s");
        assert_eq!(prime["open_beads"][0]["id"], bead.as_str());
        assert_eq!(prime["checkpoint"], json!({"step": 3}));
        assert!(prime.as_object().unwrap()["current_step"].is_null());
    }
    assert_eq!(
        rig.call(&me, "GET", &path("checkpoint"), "").1["data"],
        json!({"data": {"step": 3}})
    );
    assert_eq!(rig.operator("GET", "/agents/nobody/prime", "").0, 404);
}

#[test]
fn being_primed_reads_nothing_of_ten_thousand_closed_beads() {
    let (mut rig, bead, start) = at_work();
    let past = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
        INSERT INTO bead (id, kind, status, title, priority, assignee_agent_id, created_at, created_by,
            updated_at, closed_at, finished)
        SELECT 'old-' || n, 'task', 'closed', 'old', 2, ?, n, 'ann', n, n, 1 FROM n";
    let store = rig.engine.store.sql();
    store.run(past, &[start.agent_id.as_str().into()]).unwrap();
    store.asked.borrow_mut().clear();
    store.statements.set(0);
    let path = format!("/agents/{}/prime", start.agent_id);
    let (_, prime) = rig.operator("GET", &path, "");
    let open = prime["data"]["open_beads"].as_array().unwrap();
    assert_eq!((open.len(), &open[0]["id"]), (1, &json!(bead)));
    let store = rig.engine.store.sql();
    assert!(store.statements.get() <= 8, "{}", store.statements.get());
    let mut plan: Vec<String> = store.asked.take().iter().flat_map(|sql| store.plan(sql)).collect();
    plan.sort();
    plan.dedup();
    expect![[r#"
        CO-ROUTINE (subquery-1)
        CO-ROUTINE page
        LIST SUBQUERY 1
        SCAN (subquery-1)
        SCAN json_each VIRTUAL TABLE INDEX 1:
        SCAN page
        SEARCH a USING PRIMARY KEY (id=?)
        SEARCH b USING INDEX bead_hook (hooked_by=?) LEFT-JOIN
        SEARCH bead USING INDEX bead_by_age (finished=?)
        SEARCH bead USING INDEX sqlite_autoindex_bead_1 (id=?)
        SEARCH bead USING INTEGER PRIMARY KEY (rowid=?)
        SEARCH mail USING PRIMARY KEY (to_agent=? AND delivered=?)
        SEARCH t USING INDEX attempt_live (agent=?) LEFT-JOIN
        USE TEMP B-TREE FOR ORDER BY"#]]
    .assert_eq(&plan.join("\n"));
}

#[test]
fn another_agents_token_is_refused_on_every_route_of_an_agent() {
    let mut rig = TestRig::new();
    rig.assigned("mine");
    rig.assigned("other");
    rig.schedule();
    let starts = rig.accept();
    let (me, them) = (agent(&starts[0]), starts[1].agent_id.as_str());
    let event = json!({"agent_id": them, "event_type": "output"}).to_string();
    let calls = [
        ("PATCH", format!("/agents/{them}/status"), r#"{"status":"blocked"}"#),
        ("DELETE", format!("/agents/{them}"), ""),
        ("DELETE", format!("/agents/{}", starts[0].agent_id), ""),
        ("GET", format!("/agents/{them}/prime"), ""),
        ("GET", format!("/agents/{them}/checkpoint"), ""),
        ("GET", format!("/agents/{them}/events"), ""),
        ("POST", "/agent-events".to_owned(), event.as_str()),
    ];
    for (method, path, body) in calls {
        assert_eq!(rig.call(&me, method, &path, body).0, 403, "{method} {path}");
        assert_eq!(rig.call(&container(), method, &path, body).0, 403, "{method} {path}");
    }
}
