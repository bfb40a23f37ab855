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
        expect![[r#"
            loose b1 decide on a name
            bead b2 write it down
            ann needs b2 b1
                b2 dependency_added by ann b1
            show b2
                open attempts=0 waiting=blocked_by
            why b2
                waits for b1 to be closed
            tick
            next
                never
            ready
                b1
            blocked
                b2 b1
            ann hook b2
                refused: 409 conflict Bead b2 waits for b1 to be closed
            ann close b1
                b1 closed by ann open -> closed
            next
                00:00:30.000Z
            show b2
                open attempts=0 waiting=queued
            blocked
            tick
                b2 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b2
                b2 note: dispatched: job=<job>
        "#]],
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
        expect![[r#"
            bead b1 first
            bead b2 second
            ann needs b2 b1
                b2 dependency_added by ann b1
            ann status b1 blocked
                b1 status_changed by ann open -> blocked
            show b2
                open attempts=0 waiting=blocked_by
            ann close b1
                b1 closed by ann blocked -> closed
            show b2
                open attempts=0 waiting=queued
            ann reopen b1
                b1 status_changed by ann closed -> open
            show b2
                open attempts=0 waiting=blocked_by
            next
                00:00:30.000Z
            ann frees b2 b1
                b2 dependency_removed by ann b1 -> nothing
            show b2
                open attempts=0 waiting=queued
        "#]],
    );
}

#[test]
fn a_bead_that_failed_blocks_still() {
    let script = "
        bead b1 first
        bead b2 second
        ann needs b2 b1
        tick
        exits Toast 1
        show b1
        show b2
        tick
        next
        ";
    let settings = Settings { idle_alarm_ms: 0, max_attempts: 1, ..Settings::default() };
    expect![[r#"
        bead b1 first
        bead b2 second
        ann needs b2 b1
            b2 dependency_added by ann b1
        tick
            b1 note: auto-dispatcher claimed at 00:00:00.000Z
            start Toast #1 on b1
            b1 note: dispatched: job=<job>
        exits Toast 1
            b1 agent_exited: attempt #1: exited with code 1
            b1 note: gave up after 1 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked…
            b1 status_changed: attempts_exhausted: gave up after 1 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked)
        show b1
            failed attempts=1 failure=attempts_exhausted
        show b2
            open attempts=0 waiting=blocked_by
        tick
        next
            never
    "#]].assert_eq(&story::tell_with(settings, script));
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
        expect![[r#"
            bead b1 the gate
            loose e1 an epic
            loose e2 a part of it
            bead b2 a piece of the part
            ann parent e2 e1
                e2 updated by ann
            ann parent b2 e2
                b2 updated by ann
            ann needs e1 b1
                e1 dependency_added by ann b1
            why b2
                waits for b1 to be closed
            blocked
                e1 b1
                e2 b1
                b2 b1
            ann unparent e2
                e2 updated by ann
            show b2
                open attempts=0 waiting=queued
            ann parent e2 e1
                e2 updated by ann
            show b2
                open attempts=0 waiting=blocked_by
            ann close e1
                e1 closed by ann open -> closed
            show b2
                open attempts=0 waiting=blocked_by
            ann close b1
                b1 closed by ann open -> closed
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
        expect![[r#"
            bead b1 first
            loose b2 second
            ann needs b1 b2 related
                b1 dependency_added by ann b2
            show b1
                open attempts=0 waiting=queued
            ann needs b1 b2
                refused: 409 conflict Bead b1 depends on b2 already, with type related; remove that first
            ann frees b1 b2
                b1 dependency_removed by ann b2 -> nothing
            ann needs b1 b2 parent-child
                b1 dependency_added by ann b2
            show b1
                open attempts=0 waiting=queued
            ann needs b1 b2 discovered-from
                refused: 409 conflict Bead b1 depends on b2 already, with type parent-child; remove that first
            ann frees b1 b2
                b1 dependency_removed by ann b2 -> nothing
            ann frees b1 b2
                refused: 404 not_found Bead b1 does not depend on b2
        "#]],
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
        expect![[r#"
            bead b1 first
            bead b2 second
            bead b3 third
            ann needs b1 b1
                refused: 409 conflict Bead b1 cannot depend on itself
            ann parent b1 b1
                refused: 409 conflict Bead b1 cannot be its own parent
            ann needs b1 nothing
                refused: 404 not_found Bead nothing not found
            ann parent b1 nothing
                refused: 404 not_found Bead nothing not found
            ann needs b2 b1
                b2 dependency_added by ann b1
            ann needs b3 b2
                b3 dependency_added by ann b2
            ann needs b1 b3
                refused: 409 conflict Bead b1 would wait for itself: b1 -> b3 -> b2 -> b1; remove one of these steps first
            ann parent b1 b3
                refused: 409 conflict Bead b1 would wait for itself: b1 -> b3 -> b2 -> b1; remove one of these steps first
            ann needs b1 b3 related
                b1 dependency_added by ann b3
            ann parent b1 b3
                refused: 409 conflict Bead b1 depends on b3 already, with type related; remove that first
            ann frees b1 b3
                b1 dependency_removed by ann b3 -> nothing
            ann frees b3 b2
                b3 dependency_removed by ann b2 -> nothing
            ann parent b1 b3
                b1 updated by ann
            ann needs b3 b2
                refused: 409 conflict Bead b3 would wait for itself: b3 -> b2 -> b1 -> b3; remove one of these steps first
        "#]],
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
        expect![[r#"
            loose b1 first
            bead b2 second
            tick
                b2 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b2
                b2 note: dispatched: job=<job>
            ann needs b2 b1
                b2 dependency_added by ann b1
            show b2
                in_progress attempts=1
            exits Toast 1
                b2 agent_exited: attempt #1: exited with code 1
                b2 note: attempt 1 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:00:…
            show b2
                open attempts=1 waiting=blocked_by
            wait 1h
            tick
            next
                never
            ann close b1
                b1 closed by ann open -> closed
            tick
                b2 note: auto-dispatcher claimed at 01:00:00.000Z
                start Toast #2 on b2
                b2 note: dispatched: job=<job>
        "#]],
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
        expect![[r#"
            bead b bead
            loose b1 one
            loose b2 two
            loose b3 three
            loose b4 four
            loose b5 five
            loose b6 six
            ann needs b b1
                b dependency_added by ann b1
            ann needs b b2
                b dependency_added by ann b2
            ann needs b b3
                b dependency_added by ann b3
            ann needs b b4
                b dependency_added by ann b4
            ann needs b b5
                b dependency_added by ann b5
            ann needs b b6
                b dependency_added by ann b6
            why b
                waits for b1, b2, b3, b4, b5 and 1 more to be closed
        "#]],
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
        expect![[r#"
            bead b1 first
            ann shelve b1 1h
                b1 status_changed by ann open -> deferred
                b1 updated by ann
            show b1
                deferred attempts=0 waiting=deferred
            ready
            next
                00:05:00.000Z
            tick
            wait 1h
            tick
                b1 status_changed: deferred until 01:00:00.000Z
            show b1
                open attempts=0 waiting=queued
            tick
                b1 note: auto-dispatcher claimed at 01:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            ann status b1 deferred
                b1 status_changed by ann in_progress -> deferred
                b1 updated by ann
            tick
                stop Toast #1
        "#]],
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
        expect![[r#"
            bead b1 first
            ann assign b1 bob
                b1 assigned by ann agent -> bob
            ann shelve b1 1h
                b1 status_changed by ann open -> deferred
                b1 updated by ann
            next
                never
            wait 2h
            tick
            show b1
                deferred attempts=0
        "#]],
    );
}
