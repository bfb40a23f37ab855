//! A bead that can never be run takes no turn from the others: one whose starts are all refused, one whose row cannot
//! be read, one that does not say when it is done. Each is the most urgent of a rig with one slot.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::command::{Command, StartAnswer};
use beadrig::limits;
use beadrig::settings::Settings;
use beadrig::store::Sql as _;
use serde_json::json;
use support::TestRig;

/// The beads that are to be done behind the poison.
const OTHERS: usize = 3;

/// How far apart the ticks are that somebody wants, in milliseconds.
const TICK_MS: i64 = 1_000;

fn rig() -> TestRig {
    TestRig::with(Settings { max_agents: 1, ..Settings::default() })
}

/// A bead for agents of a priority.
fn bead(rig: &mut TestRig, priority: u8, criteria: &str) -> String {
    rig.pass(1);
    let body = json!({"title": "a bead", "acceptance_criteria": criteria, "priority": priority,
        "assignee": "agent"});
    let (status, answer) = rig.operator("POST", "/beads", &body.to_string());
    assert_eq!(status, 201, "{answer}");
    answer["data"]["id"].as_str().unwrap().to_owned()
}

fn others(rig: &mut TestRig) -> Vec<String> {
    (0..OTHERS).map(|_| bead(rig, 4, "it is done")).collect()
}

/// Ticks for so many minutes, each time the rig wants one, in a container that refuses one bead and lets the agents of
/// all others close theirs at once. How many ticks there were.
fn live(rig: &mut TestRig, minutes: i64, refuses: Option<&str>) -> usize {
    let until = rig.now.plus(minutes * 60_000);
    let mut ticks = 0;
    while rig.now < until {
        rig.wake = None;
        rig.schedule();
        ticks += 1;
        for start in std::mem::take(&mut rig.starts) {
            let agent = start.agent_id.clone();
            let no = refuses == Some(&start.bead_id);
            let answer = if no {
                StartAnswer::Refused("no such command".to_owned())
            } else {
                StartAnswer::Accepted
            };
            rig.apply(Command::StartAnswered(agent.clone(), start.attempt, answer)).unwrap();
            if !no {
                let own = support::agent(&start);
                let closed = rig.call(&own, "POST", &format!("/beads/{}/close", start.bead_id), "");
                assert_eq!(closed.0, 200, "{}", closed.1);
                let over = json!({"attempt": start.attempt, "status": "completed",
                    "reason": "exited with code 0", "exit_code": 0});
                let path = format!("/agents/{agent}/completed");
                let said = rig.call(&support::container(), "POST", &path, &over.to_string());
                assert_eq!(said.0, 200, "{}", said.1);
            }
        }
        let next = rig.engine.next_wake(rig.now).unwrap();
        let next = [next, rig.wake].into_iter().flatten().min().unwrap();
        rig.now = next.max(rig.now.plus(TICK_MS));
    }
    ticks
}

/// Bug 13 of the pollers: they looked at the first 50 alone.
#[test]
fn two_hundred_beads_that_cannot_be_taken_hide_no_other() {
    let mut rig = rig();
    let (_, gate) = rig.operator("POST", "/beads", r#"{"title":"the gate"}"#);
    let gate = gate["data"]["id"].as_str().unwrap().to_owned();
    let tomorrow = rig.now.plus(24 * 60 * 60_000).to_string();
    for n in 0..200 {
        let mut body = json!({"title": "a bead", "priority": 0, "assignee": "agent"});
        match n % 4 {
            0 => {}
            1 => body["acceptance_criteria"] = json!(" "),
            2 => {
                body["acceptance_criteria"] = json!("it is done");
                body["dependencies"] = json!([{"depends_on": gate}]);
            }
            _ => {
                body["acceptance_criteria"] = json!("it is done");
                body["defer_until"] = json!(tomorrow);
            }
        }
        assert_eq!(rig.operator("POST", "/beads", &body.to_string()).0, 201);
    }
    let other = bead(&mut rig, 4, "it is done");
    rig.schedule();
    let taken: Vec<String> = rig.starts.iter().map(|it| it.bead_id.clone()).collect();
    assert_eq!(taken, [other]);
}

/// What stands in a column of a bead's row, as if a version of tomorrow had written it.
fn spoil(rig: &TestRig, id: &str, column: &str, text: &str) {
    let sql = format!("UPDATE bead SET {column} = ? WHERE id = ?");
    rig.engine.store.sql().run(&sql, &[text.into(), id.into()]).unwrap();
}

fn closed(rig: &mut TestRig, beads: &[String]) -> usize {
    beads.iter().filter(|id| rig.bead(id)["status"] == "closed").count()
}

#[test]
fn a_bead_whose_starts_are_all_refused_lets_the_others_go_and_stops_after_five() {
    let mut rig = rig();
    let poison = bead(&mut rig, 0, "it is done");
    let others = others(&mut rig);
    live(&mut rig, 10, Some(&poison));
    assert_eq!(closed(&mut rig, &others), OTHERS, "{}", rig.notes(&poison));
    live(&mut rig, 120, Some(&poison));
    let tried = rig.bead(&poison);
    assert_eq!((&tried["status"], &tried["attempts"]), (&json!("failed"), &json!(5)), "{tried:#}");
    let notes = tried["notes"].as_array().unwrap().len();
    assert!(notes <= 10, "two notes an attempt, and no more: {}", rig.notes(&poison));
}

#[test]
fn beads_whose_rows_cannot_be_read_let_the_others_go_and_run_when_they_are_mended() {
    for (column, text) in [("labels", "[7]"), ("labels", "no json"), ("runs", r#"["once"]"#)] {
        let mut rig = rig();
        // More than there are slots.
        let poison: Vec<String> = (0..3).map(|_| bead(&mut rig, 0, "it is done")).collect();
        for id in &poison {
            spoil(&rig, id, column, text);
        }
        let others = others(&mut rig);
        let ticks = live(&mut rig, 5, None);
        assert_eq!(closed(&mut rig, &others), OTHERS, "{column} = {text}");
        assert!(ticks < 60, "{ticks} ticks in five minutes for {column} = {text}");
        // Who mends the row need do nothing else.
        for id in &poison {
            spoil(&rig, id, column, "[]");
        }
        live(&mut rig, limits::UNREADABLE_MS / 60_000 + 1, None);
        assert_eq!(closed(&mut rig, &poison), 3, "{column} = {text}");
    }
}

#[test]
fn beads_that_do_not_say_when_they_are_done_are_never_claimed_and_hold_up_nobody() {
    let mut rig = rig();
    let poison: Vec<String> =
        ["", " ", "\t\n ", "\u{a0}\u{2003}"].map(|blank| bead(&mut rig, 0, blank)).into();
    let with = bead(&mut rig, 0, "it is done");
    let blanked =
        rig.operator("PATCH", &format!("/beads/{with}"), r#"{"acceptance_criteria":" "}"#);
    assert_eq!(blanked.0, 200, "{}", blanked.1);
    let others = others(&mut rig);
    live(&mut rig, 10, None);
    assert_eq!(closed(&mut rig, &others), OTHERS);
    for id in poison.iter().chain([&with]) {
        assert_eq!(rig.tell(id), "open attempts=0 waiting=no_acceptance_criteria");
        assert_eq!(rig.notes(id), "", "no note is made of nothing");
    }
}
