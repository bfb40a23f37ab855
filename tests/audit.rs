//! Where in the audit a time is: found without walking, whatever lines are missing.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::id::Millis;
use beadrig::store::{BeadEvent, Sql};
use support::{START, TestRig};

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
