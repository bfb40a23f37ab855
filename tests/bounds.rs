//! The bound on the runs of a bead, and everything that was ever tried to get around it.
//! `UPDATE_EXPECT=1 cargo test --test bounds` writes what happens today.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::command::Command;
use beadrig::limits;
use beadrig::wire::container::{ExitReport, Outcome, StartAgent};
use expect_test::expect;
use serde_json::json;
use support::{TestRig, agent, container, story};

const MINUTE: i64 = 60_000;

fn report(attempt: i64, reason: &str) -> ExitReport {
    ExitReport {
        status: Outcome::Failed,
        reason: Some(reason.to_owned()),
        attempt: Some(attempt),
        exit_code: Some(1),
        signal: None,
        boot_id: None,
        output_tail: None,
        cost_usd_micros: None,
        session_id: None,
    }
}

/// What is done to a bead after each of its runs: by its agent, by a person, or by a program of theirs.
type Way = fn(&mut TestRig, &StartAgent);

fn over(rig: &mut TestRig, start: &StartAgent) {
    let said =
        Command::Exited(container(), start.agent_id.clone(), report(start.attempt, "exited"));
    // An agent that was deleted has no run that could be over.
    drop(rig.apply(said));
}

/// Every way there is to have a bead run again, short of reopening it.
const WAYS: [(&str, Way); 9] = [
    ("it dies", over),
    ("its agent reports a shutdown that never was", |rig, start| {
        let said = Command::Exited(
            agent(start),
            start.agent_id.clone(),
            report(start.attempt, "shutdown"),
        );
        rig.apply(said).unwrap();
    }),
    ("its agent lets go of it", |rig, start| {
        let path = format!("/agents/{}/hook", start.agent_id);
        assert_eq!(rig.call(&agent(start), "DELETE", &path, "").0, 200);
        over(rig, start);
    }),
    ("a person unhooks it", |rig, start| {
        assert_eq!(rig.operator("DELETE", &format!("/agents/{}/hook", start.agent_id), "").0, 200);
        over(rig, start);
    }),
    ("a person sets its agent dead", |rig, start| {
        let path = format!("/agents/{}/status", start.agent_id);
        assert_eq!(rig.operator("PATCH", &path, r#"{"status":"dead"}"#).0, 200);
        over(rig, start);
    }),
    ("a person deletes its agent", |rig, start| {
        assert_eq!(rig.operator("DELETE", &format!("/agents/{}", start.agent_id), "").0, 200);
        over(rig, start);
    }),
    ("a person takes it back and hands it out again", |rig, start| {
        let path = format!("/beads/{}", start.bead_id);
        assert_eq!(rig.operator("PATCH", &path, r#"{"assignee":""}"#).0, 200);
        assert_eq!(rig.operator("PATCH", &path, r#"{"assignee":"agent"}"#).0, 200);
        over(rig, start);
    }),
    ("a person sets it open while it runs", |rig, start| {
        let path = format!("/beads/{}", start.bead_id);
        assert_eq!(rig.operator("PATCH", &path, r#"{"status":"open"}"#).0, 200);
        over(rig, start);
    }),
    ("a person defers it and opens it", |rig, start| {
        let path = format!("/beads/{}", start.bead_id);
        assert_eq!(rig.operator("PATCH", &path, r#"{"status":"deferred"}"#).0, 200);
        assert_eq!(rig.operator("PATCH", &path, r#"{"status":"open"}"#).0, 200);
        over(rig, start);
    }),
];

#[test]
fn no_way_but_a_reopen_gets_around_five_runs_in_a_day() {
    for (name, way) in WAYS {
        let mut rig = TestRig::new();
        let id = rig.assigned("again and again");
        let mut runs = 0;
        // A day but for an hour, and every back-off is over at each tick.
        for _ in 0..23 * 4 {
            rig.pass(15 * MINUTE);
            rig.schedule();
            for start in rig.accept() {
                runs += 1;
                way(&mut rig, &start);
            }
        }
        assert_eq!(runs, 5, "{name}");
        let told = rig.tell(&id);
        assert_eq!(told, "failed attempts=5 failure=attempts_exhausted", "{name}");
        // And there it stays, whatever the day.
        rig.pass(limits::ATTEMPT_WINDOW_MS);
        rig.schedule();
        assert_eq!(rig.starts.len(), 0, "{name}");
    }
}

/// One way after the other: no mixture does what none of them does.
#[test]
fn nor_does_any_mixture_of_ways() {
    for first in 0..WAYS.len() {
        let mut rig = TestRig::new();
        rig.assigned("again and again");
        let mut runs = 0;
        for _ in 0..23 * 4 {
            rig.pass(15 * MINUTE);
            rig.schedule();
            for start in rig.accept() {
                WAYS[(first + runs) % WAYS.len()].1(&mut rig, &start);
                runs += 1;
            }
        }
        assert_eq!(runs, 5, "from {}", WAYS[first].0);
    }
}

/// Only a person begins anew, and it is said.
#[test]
fn an_agent_cannot_reopen_and_a_person_who_does_is_in_the_audit() {
    let mut rig = TestRig::new();
    let id = rig.assigned("once more");
    rig.schedule();
    let start = rig.accept().remove(0);
    let me = agent(&start);
    let path = format!("/beads/{id}");
    for body in [r#"{"status":"open"}"#, r#"{"status":"deferred"}"#, r#"{"assignee":"agent"}"#] {
        let (status, answer) = rig.call(&me, "PATCH", &path, body);
        assert!(status == 403 || answer["data"]["attempts"] == 1, "{body}: {answer}");
    }
    assert_eq!(rig.call(&me, "POST", &format!("{path}/reopen"), "").0, 403);
    assert_eq!(rig.call(&container(), "POST", &format!("{path}/reopen"), "").0, 403);
    assert_eq!(rig.call(&me, "PATCH", &format!("{path}/status"), r#"{"status":"blocked"}"#).0, 200);
    // Its token is void by now.
    assert_ne!(rig.call(&me, "POST", &format!("{path}/reopen"), "").0, 200);
    assert_eq!(rig.operator("POST", &format!("{path}/reopen"), "").0, 200);
    assert_eq!(rig.tell(&id), "open attempts=0 waiting=queued");
    let events = rig.engine.store.events_of(&id).unwrap();
    let resets: Vec<_> = events.iter().filter(|it| it.event == "attempts_reset").collect();
    let [reset] = resets[..] else { panic!("{events:?}") };
    let said = "ann reopened it: 1 attempts, 0 losses and 0 USD count no more";
    assert_eq!((reset.actor.as_str(), reset.data.as_deref()), ("ann", Some(said)));
}

/// Where a limit stops something, the bead says which, since when, and what ends it.
#[test]
fn a_bead_that_a_bound_stopped_says_which_and_what_to_do() {
    let told = story::tell(
        "
        bead b1 fix the parser
        tick
        exits Toast 1
        why b1
        wait 10m
        tick
        exits Toast 1
        wait 10m
        tick
        exits Toast 1
        wait 10m
        tick
        exits Toast 1
        wait 10m
        tick
        exits Toast 1
        ann hook b1
        ",
    );
    let end: Vec<&str> = told.lines().skip_while(|it| !it.contains("gave up")).collect();
    expect![[r#"
            b1 note: gave up after 5 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked…
            b1 status_changed: attempts_exhausted: gave up after 5 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked)
        ann hook b1
            refused: 409 conflict Bead b1 has used its 5 attempts; reopen it to try again"#]].assert_eq(&end.join("\n"));
    let mut rig = TestRig::new();
    let id = rig.assigned("lost");
    for n in 1..=limits::LOSSES_MAX {
        rig.pass(15 * MINUTE);
        rig.schedule();
        let start = rig.accept().remove(0);
        let said = report(start.attempt, "shutdown");
        rig.apply(Command::Exited(container(), start.agent_id, said)).unwrap();
        let failed = n == limits::LOSSES_MAX;
        assert_eq!(rig.bead(&id)["status"] == "blocked", failed, "{n}");
    }
    let failure = rig.bead(&id)["failure"].clone();
    assert_eq!(failure["code"], json!("lost_too_often"));
    assert_eq!(failure["message"], "lost 10 times in 24 h, the last time: the container shut down");
}
