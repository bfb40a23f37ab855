//! Beads that are deleted, told as stories: text in, text out, on a real SQLite.
//!
//! The language is in `support/story.rs`. `UPDATE_EXPECT=1 cargo test --test removal` writes what happens today.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::settings::Settings;
use expect_test::{Expect, expect};
use support::story;

#[track_caller]
fn check(script: &str, expect: Expect) {
    let settings = Settings { idle_alarm_ms: 0, ..Settings::default() };
    expect.assert_eq(&story::tell_with(settings, script));
}

#[test]
fn a_deleted_blocker_frees_and_a_deleted_parent_leaves_its_children() {
    check(
        "
        loose e1 an epic
        loose b1 the gate
        bead b2 a part
        ann parent b2 e1
        ann needs e1 b1
        why b2
        ann delete b1
        show b2
        ann needs b2 e1
        ann delete e1
        ann delete e1
        show b2
        tick
        ",
        expect![[r#"
            loose e1 an epic
            loose b1 the gate
            bead b2 a part
            ann parent b2 e1
                b2 updated by ann
            ann needs e1 b1
                e1 dependency_added by ann b1
            why b2
                waits for b1 to be closed
            ann delete b1
                e1 dependency_removed by ann b1 -> nothing
                b1 deleted by ann
            show b2
                open attempts=0 waiting=queued
            ann needs b2 e1
                refused: 409 conflict Bead b2 depends on e1 already, with type parent-child; remove that first
            ann delete e1
                b2 dependency_removed by ann e1 -> nothing
                e1 deleted by ann
            ann delete e1
                refused: 404 not_found Bead e1 not found
            show b2
                open attempts=0 waiting=queued
            tick
                b2 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b2
                b2 note: dispatched: job=<job>
        "#]],
    );
}

#[test]
fn a_bead_that_is_deleted_at_work_calls_its_run_off() {
    check(
        "
        bead b1 first
        tick
        Toast delete b1
        ann delete b1
        Toast note b1 half done
        Toast close b1
        Toast done
        beats
        tick
        exits Toast 137
        exits Toast 137
        bead b2 second
        tick
        Toast close b2
        ",
        expect![[r#"
            bead b1 first
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            Toast delete b1
                refused: 403 forbidden an agent may not do this; leave it to a person
            ann delete b1
                b1 deleted by ann
            Toast note b1 half done
                b1 stale_attempt by Toast #1
                refused: 409 stale_attempt attempt #1 of agent Toast is over; stop
            Toast close b1
                refused: 404 not_found Bead b1 not found
            Toast done
                refused: 409 stale_attempt attempt #1 of agent Toast is over; stop
            beats
                Toast #1: stop
            tick
                stop Toast #1
            exits Toast 137
                b1 agent_exited: attempt #1: exited with code 137
            exits Toast 137
            bead b2 second
            tick
                b2 note: auto-dispatcher claimed at 00:00:00.001Z
                start Toast #2 on b2
                b2 note: dispatched: job=<job>
            Toast close b2
                b2 closed by Toast in_progress -> closed
        "#]],
    );
}

#[test]
fn a_bead_that_waits_for_room_is_deleted() {
    check(
        "
        bead b1 first
        container full
        tick
        ann delete b1
        next
        tick
        ",
        expect![[r#"
            bead b1 first
            container full
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 waiting_for_container: 10 of 10 agents run
            ann delete b1
                b1 deleted by ann
            next
                never
            tick
        "#]],
    );
}
