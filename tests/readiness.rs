//! What waits for what, told as stories: text in, text out, on a real SQLite.
//!
//! The language is in `support/story.rs`. `UPDATE_EXPECT=1 cargo test --test readiness` writes what happens today.

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
fn a_bead_waits_until_its_blocker_is_closed() {
    check(
        "
        loose b1 decide on a name
        bead b2 write it down
        ann needs b2 b1
        show b2
        why b2
        tick
        next
        ready
        blocked
        ann hook b2
        ann close b1
        next
        show b2
        blocked
        tick
        ",
        expect![[""]],
    );
}

#[test]
fn failed_blocks_still_and_what_is_closed_blocks_again_when_it_is_reopened() {
    check(
        "
        bead b1 first
        bead b2 second
        ann needs b2 b1
        ann status b1 blocked
        show b2
        ann close b1
        show b2
        ann reopen b1
        show b2
        next
        ann frees b2 b1
        show b2
        ",
        expect![[""]],
    );
}

#[test]
fn what_blocks_a_parent_blocks_all_below_it() {
    check(
        "
        bead b1 the gate
        loose e1 an epic
        loose e2 a part of it
        bead b2 a piece of the part
        ann parent e2 e1
        ann parent b2 e2
        ann needs e1 b1
        why b2
        blocked
        ann unparent e2
        show b2
        ann parent e2 e1
        show b2
        ann close e1
        show b2
        ann close b1
        show b2
        tick
        ",
        expect![[""]],
    );
}

#[test]
fn only_blocks_gates() {
    check(
        "
        bead b1 first
        loose b2 second
        ann needs b1 b2 related
        show b1
        ann needs b1 b2
        ann frees b1 b2
        ann needs b1 b2 parent-child
        show b1
        ann needs b1 b2 discovered-from
        ann frees b1 b2
        ann frees b1 b2
        ",
        expect![[""]],
    );
}

#[test]
fn circles_are_refused_with_the_way_around() {
    check(
        "
        bead b1 first
        bead b2 second
        bead b3 third
        ann needs b1 b1
        ann parent b1 b1
        ann needs b1 nothing
        ann parent b1 nothing
        ann needs b2 b1
        ann needs b3 b2
        ann needs b1 b3
        ann parent b1 b3
        ann needs b1 b3 related
        ann parent b1 b3
        ann frees b1 b3
        ann frees b3 b2
        ann parent b1 b3
        ann needs b3 b2
        ",
        expect![[""]],
    );
}

#[test]
fn a_bead_that_gets_blocked_while_it_runs_runs_on_and_then_waits() {
    check(
        "
        loose b1 first
        bead b2 second
        tick
        ann needs b2 b1
        show b2
        exits Toast 1
        show b2
        wait 1h
        tick
        next
        ann close b1
        tick
        ",
        expect![[""]],
    );
}

#[test]
fn six_blockers_are_named_by_five() {
    check(
        "
        bead b bead
        loose b1 one
        loose b2 two
        loose b3 three
        loose b4 four
        loose b5 five
        loose b6 six
        ann needs b b1
        ann needs b b2
        ann needs b b3
        ann needs b b4
        ann needs b b5
        ann needs b b6
        why b
        ",
        expect![[""]],
    );
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
        expect![[""]],
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
        expect![[""]],
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
        expect![[""]],
    );
}

#[test]
fn what_is_deferred_comes_back_when_its_time_has_come() {
    check(
        "
        bead b1 first
        ann shelve b1 1h
        show b1
        ready
        next
        tick
        wait 1h
        tick
        show b1
        tick
        ann status b1 deferred
        tick
        ",
        expect![[""]],
    );
}

#[test]
fn a_person_s_own_bead_stays_deferred() {
    check(
        "
        bead b1 first
        ann assign b1 bob
        ann shelve b1 1h
        next
        wait 2h
        tick
        show b1
        ",
        expect![[""]],
    );
}
