//! The audit: where in it a time is, found without walking, whatever lines are missing; and what may not fill it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::id::Millis;
use beadrig::store::{BeadEvent, Sql};
use support::{START, TestRig, agent};

#[test]
fn a_time_is_found_in_the_audit_by_halves() {
    let mut rig = TestRig::new();
    assert_eq!(rig.engine.store.last_event_until(Millis(i64::MAX)).unwrap(), 0, "an empty one");
    rig.operator("POST", "/beads", r#"{"title":"x","id":"demo-1"}"#);
    for n in 0..3_000_i64 {
        let event = BeadEvent {
            seq: 0,
            bead: "demo-1".to_owned(),
            // Several in one millisecond, and times in which nothing happens.
            at: START.plus(n / 3 * 7),
            actor: "ann".to_owned(),
            event: "updated".to_owned(),
            old: None,
            new: None,
            data: None,
        };
        rig.engine.store.add_event(&event).unwrap();
    }
    let sql = rig.engine.store.sql();
    // The oldest are cut off, and beads were deleted with their lines.
    sql.run("DELETE FROM bead_event WHERE seq < 500 OR (seq > 1000 AND seq % 11 < 8)", &[])
        .unwrap();
    let left = rig.engine.store.events(None, 0, u32::MAX).unwrap();
    let left: Vec<_> = left.into_iter().map(|(event, _)| event).collect();
    assert!(left.len() > 1_000);
    for ms in (-20..7_200).step_by(3) {
        let at = START.plus(ms);
        sql.steps.set(0);
        let found = rig.engine.store.last_event_until(at).unwrap();
        assert!(sql.steps.get() < 1_500, "{} steps", sql.steps.get());
        let after: Vec<i64> = left.iter().map(|it| it.seq).filter(|it| *it > found).collect();
        let later: Vec<i64> = left.iter().filter(|it| it.at > at).map(|it| it.seq).collect();
        assert_eq!(after, later, "after {ms} ms");
    }
}

/// A run that was given up and calls in a loop drove everything else out of the log.
#[test]
fn a_run_that_goes_on_after_its_end_is_told_once() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("mine");
    rig.schedule();
    let start = rig.accept().remove(0);
    let me = agent(&start);
    rig.operator("PATCH", &format!("/beads/{bead}"), r#"{"assignee":""}"#);
    let lines = |rig: &TestRig| {
        let all = rig.engine.store.events_of(&bead).unwrap();
        all.iter().filter(|it| it.event == "stale_attempt").count()
    };
    let note = format!("/beads/{bead}/notes");
    for _ in 0..200 {
        assert_eq!(rig.call(&me, "POST", &note, r#"{"text":"still here"}"#).0, 409);
        rig.pass(1_000);
    }
    assert_eq!(lines(&rig), 1);
    // Something happened since: it is told again.
    rig.operator("POST", &note, r#"{"text":"who is that?"}"#);
    rig.operator("PATCH", &format!("/beads/{bead}"), r#"{"title":"another"}"#);
    for _ in 0..200 {
        assert_eq!(rig.call(&me, "POST", &note, r#"{"text":"still here"}"#).0, 409);
    }
    assert_eq!(lines(&rig), 2);
}
