//! Whole lives of beads, agents and runs: text in, text out, on a real SQLite.
//!
//! The language is in `support/story.rs`. `UPDATE_EXPECT=1 cargo test --test lives` writes what happens today.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::settings::Settings;
use expect_test::{Expect, expect};
use support::story;

#[track_caller]
fn check(script: &str, expect: Expect) {
    expect.assert_eq(&story::tell(script));
}

#[test]
fn an_assigned_bead_is_done_and_closed() {
    check(
        "
        bead b1 fix the parser
        show b1
        tick
        Toast note b1 half done
        Toast close b1
        show b1
        exits Toast 0
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            show b1
                open attempts=0 waiting=queued
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            Toast note b1 half done
            Toast close b1
                b1 closed by Toast in_progress -> closed
            show b1
                closed attempts=1
            exits Toast 0
                b1 agent_exited: attempt #1: exited with code 0
            show b1
                closed attempts=1
        "#]],
    );
}

#[test]
fn done_without_a_branch_closes_the_bead_and_may_be_said_twice() {
    check(
        "
        bead b1 fix the parser
        tick
        Toast done
        Toast done
        Toast note b1 one more thing
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            Toast done
                b1 closed by Toast in_progress -> closed
            Toast done
            Toast note b1 one more thing
                b1 stale_attempt by Toast #1
                refused: 409 stale_attempt attempt #1 of agent Toast is over; stop
            show b1
                closed attempts=1
        "#]],
    );
}

#[test]
fn an_agent_that_dies_is_started_again_with_its_checkpoint() {
    check(
        "
        bead b1 fix the parser
        tick
        Toast checkpoint step 3
        exits Toast 3
        show b1
        tick
        wait 30s
        tick
        show b1
        old Toast note b1 I am not dead
        Toast close b1
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            Toast checkpoint step 3
                b1 checkpointed by Toast
            exits Toast 3
                b1 agent_exited: attempt #1: exited with code 3
                b1 note: attempt 1 of 5: exited with code 3 without closing the bead (last output: thread 'main' panicked); next try at 00:00:…
            show b1
                open attempts=1 waiting=back_off
            tick
            wait 30s
            tick
                b1 note: auto-dispatcher claimed at 00:00:30.000Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=2
            old Toast note b1 I am not dead
                b1 stale_attempt by Toast #1
                refused: 409 stale_attempt attempt #1 of agent Toast is over; attempt #2 is current
            Toast close b1
                b1 closed by Toast in_progress -> closed
            show b1
                closed attempts=2
        "#]],
    );
}

#[test]
fn a_bead_whose_agent_always_dies_is_started_five_times_and_says_why_it_stopped() {
    check(
        "
        bead b1 fix the parser
        tick
        exits Toast 1
        wait 30s
        tick
        exits Toast 1
        wait 1m
        tick
        exits Toast 1
        wait 2m
        tick
        exits Toast 1
        wait 5m
        tick
        exits Toast 1
        show b1
        wait 24h
        tick
        show b1
        ann reopen b1
        show b1
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #1: exited with code 1
                b1 note: attempt 1 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:00:…
            wait 30s
            tick
                b1 note: auto-dispatcher claimed at 00:00:30.000Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #2: exited with code 1
                b1 note: attempt 2 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:01:…
            wait 1m
            tick
                b1 note: auto-dispatcher claimed at 00:01:30.000Z
                start Toast #3 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #3: exited with code 1
                b1 note: attempt 3 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:03:…
            wait 2m
            tick
                b1 note: auto-dispatcher claimed at 00:03:30.000Z
                start Toast #4 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #4: exited with code 1
                b1 note: attempt 4 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:08:…
            wait 5m
            tick
                b1 note: auto-dispatcher claimed at 00:08:30.000Z
                start Toast #5 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #5: exited with code 1
                b1 note: gave up after 5 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked…
                b1 status_changed: attempts_exhausted: gave up after 5 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked)
            show b1
                failed attempts=5 failure=attempts_exhausted
            wait 24h
            tick
            show b1
                failed attempts=0 failure=attempts_exhausted
            ann reopen b1
                b1 attempts_reset by ann 5 -> 0
                b1 status_changed by ann failed -> open
            show b1
                open attempts=0 waiting=queued
            tick
                b1 note: auto-dispatcher claimed at 2026-01-02T00:08:30.000Z
                start Toast #6 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn a_start_that_is_refused_rolls_back_with_its_reason() {
    check(
        "
        bead b1 fix the parser
        container refuses
        tick
        show b1
        container up
        wait 29s
        tick
        wait 1s
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            container refuses
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 agent_exited: attempt #1: start refused: no such command
                b1 note: attempt 1 of 5: start refused: no such command; next try at 00:00:30.000Z
            show b1
                open attempts=1 waiting=back_off
            container up
            wait 29s
            tick
            wait 1s
            tick
                b1 note: auto-dispatcher claimed at 00:00:30.000Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=2
        "#]],
    );
}

#[test]
fn a_container_without_room_costs_no_attempts() {
    check(
        "
        bead b1 fix the parser
        container full
        tick
        show b1
        wait 5s
        tick
        wait 15s
        tick
        show b1
        container up
        wait 30s
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            container full
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 waiting_for_container: 10 of 10 agents run
            show b1
                in_progress attempts=0 waiting=container_unavailable
            wait 5s
            tick
                start Toast #1 on b1
            wait 15s
            tick
                start Toast #1 on b1
            show b1
                in_progress attempts=0 waiting=container_unavailable
            container up
            wait 30s
            tick
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn an_answer_that_never_comes_starts_no_second_process() {
    check(
        "
        bead b1 fix the parser
        container mute
        tick
        show b1
        wait 10s
        tick
        beats
        show b1
        container up
        wait 30s
        tick
        Toast close b1
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            container mute
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 start_unknown: no answer
            show b1
                in_progress attempts=1
            wait 10s
            tick
                start Toast #1 on b1
                b1 start_unknown: no answer
            beats
                b1 agent_spawned by Toast #1
                Toast #1: ok
            show b1
                in_progress attempts=1
            container up
            wait 30s
            tick
            Toast close b1
                b1 closed by Toast in_progress -> closed
            show b1
                closed attempts=1
        "#]],
    );
}

#[test]
fn a_start_that_got_through_counts_although_the_container_was_full_when_asked_again() {
    check(
        "
        bead b1 fix the parser
        container mute
        tick
        container full
        wait 10s
        tick
        show b1
        beats
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            container mute
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 start_unknown: no answer
            container full
            wait 10s
            tick
                start Toast #1 on b1
                b1 waiting_for_container: 10 of 10 agents run
            show b1
                in_progress attempts=0 waiting=container_unavailable
            beats
                b1 agent_spawned by Toast #1
                Toast #1: ok
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn a_run_that_ended_before_anyone_knew_that_it_had_begun_counts() {
    check(
        "
        bead b1 fix the parser
        container mute
        tick
        container full
        wait 10s
        tick
        exits Toast 1
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            container mute
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 start_unknown: no answer
            container full
            wait 10s
            tick
                start Toast #1 on b1
                b1 waiting_for_container: 10 of 10 agents run
            exits Toast 1
                b1 agent_exited: attempt #1: exited with code 1
                b1 note: attempt 1 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:00:…
            show b1
                open attempts=1 waiting=back_off
        "#]],
    );
}

#[test]
fn a_start_that_the_container_never_got_is_tried_again_after_its_deadline() {
    check(
        "
        bead b1 fix the parser
        container deaf
        tick
        wait 30s
        tick
        show b1
        wait 31s
        tick
        show b1
        container up
        wait 30s
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            container deaf
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 start_unknown: no answer
            wait 30s
            tick
                start Toast #1 on b1
                b1 start_unknown: no answer
            show b1
                in_progress attempts=1
            wait 31s
            tick
                start Toast #1 on b1
                b1 start_unknown: no answer
                b1 agent_exited: attempt #1: the container did not start it within 60 s
                b1 note: attempt 1 of 5: the container did not start it within 60 s; next try at 00:01:31.002Z
            show b1
                open attempts=1 waiting=back_off
            container up
            wait 30s
            tick
                b1 note: auto-dispatcher claimed at 00:01:31.002Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=2
        "#]],
    );
}

#[test]
fn an_exit_whose_report_is_lost_is_seen_by_the_patrol() {
    check(
        "
        bead b1 fix the parser
        tick
        wait 30s
        dies Toast 3
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            wait 30s
            dies Toast 3
            tick
                b1 agent_exited: attempt #1: exited with code 3
                b1 note: attempt 1 of 5: exited with code 3 without closing the bead; next try at 00:01:00.001Z
            show b1
                open attempts=1 waiting=back_off
        "#]],
    );
}

#[test]
fn a_container_that_was_restarted_loses_runs_but_no_attempts() {
    check(
        "
        bead b1 fix the parser
        tick
        wait 30s
        container forgets
        tick
        show b1
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            wait 30s
            container forgets
            tick
                b1 agent_exited: attempt #1: the container does not know it any more
                b1 note: run lost: the container does not know it any more
            show b1
                open attempts=0 waiting=queued
            tick
                b1 note: auto-dispatcher claimed at 00:00:30.001Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn a_silent_container_is_given_up_after_three_minutes_and_three_questions() {
    check(
        "
        bead b1 fix the parser
        tick
        container down
        wait 60s
        tick
        wait 30s
        tick
        wait 90s
        tick
        wait 89s
        tick
        wait 1s
        tick
        show b1
        container up
        wait 30s
        tick
        show b1
        beats
        old Toast note b1 still here
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            container down
            wait 60s
            tick
            wait 30s
            tick
                b1 agent_suspect: the container does not answer
            wait 90s
            tick
            wait 89s
            tick
            wait 1s
            tick
                b1 agent_exited: attempt #1: the container has not answered for 180 s
                b1 note: run lost: the container has not answered for 180 s
            show b1
                open attempts=0 waiting=queued
            container up
            wait 30s
            tick
                b1 note: auto-dispatcher claimed at 00:05:00.005Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
            beats
                Toast #1: stale
                Toast #2: ok
            old Toast note b1 still here
                b1 stale_attempt by Toast #1
                refused: 409 stale_attempt attempt #1 of agent Toast is over; attempt #2 is current
        "#]],
    );
}

#[test]
fn the_rigs_own_sleep_makes_nobody_late() {
    check(
        "
        bead b1 fix the parser
        tick
        wait 20m
        container down
        tick
        container up
        wait 30s
        tick
        show b1
        container down
        tick
        wait 91s
        tick
        wait 91s
        container up
        tick
        container down
        wait 91s
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            wait 20m
            container down
            tick
                b1 agent_suspect: the container does not answer
            container up
            wait 30s
            tick
            show b1
                in_progress attempts=1
            container down
            tick
            wait 91s
            tick
                b1 agent_suspect: the container does not answer
            wait 91s
            container up
            tick
            container down
            wait 91s
            tick
                b1 agent_suspect: the container does not answer
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn a_run_that_takes_too_long_is_ended_and_blocks_its_bead() {
    check(
        "
        bead b1 fix the parser
        tick
        wait 45m
        tick
        wait 3m
        tick
        tick
        dies Toast 143
        wait 1s
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            wait 45m
            tick
            wait 3m
            tick
                b1 agent_stopping: took too long
            tick
                stop Toast #1
            dies Toast 143
            wait 1s
            tick
                stop Toast #1
                b1 agent_exited: attempt #1: exited with code 143
                b1 note: the run took longer than 2700 s and was ended. Mend the cause, then reopen the bead
                b1 status_changed: timed_out: the run took longer than 2700 s and was ended
            show b1
                blocked attempts=1 failure=timed_out
        "#]],
    );
}

#[test]
fn a_bead_waits_and_says_why() {
    check(
        "
        loose b1 fix the parser
        tick
        show b1
        ann criteria b1 it works
        ann defer b1 1h
        tick
        show b1
        wait 1h
        tick
        show b1
        ",
        expect![[r#"
            loose b1 fix the parser
            tick
            show b1
                open attempts=0 waiting=no_acceptance_criteria
            ann criteria b1 it works
                b1 updated by ann
            ann defer b1 1h
                b1 updated by ann
            tick
            show b1
                open attempts=0 waiting=deferred
            wait 1h
            tick
                b1 note: auto-dispatcher claimed at 01:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn the_most_urgent_is_taken_first_then_the_oldest_and_never_more_than_there_are_slots() {
    let settings = Settings { max_agents: 2, ..Settings::default() };
    let script = "
        bead b1 first
        wait 1ms
        bead b2 second
        wait 1ms
        bead b3 third
        ann priority b3 0
        tick
        show b2
        Toast close b3
        tick
        exits Toast 0
        exits Toast 0
        tick
        show b2
        ";
    expect![[r#"
        bead b1 first
        wait 1ms
        bead b2 second
        wait 1ms
        bead b3 third
        ann priority b3 0
            b3 updated by ann
        tick
            b3 note: auto-dispatcher claimed at 00:00:00.002Z
            b1 note: auto-dispatcher claimed at 00:00:00.002Z
            start Toast #1 on b3
            b3 note: dispatched: job=<job>
            start Maple #2 on b1
            b1 note: dispatched: job=<job>
        show b2
            open attempts=0 waiting=no_capacity
        Toast close b3
            b3 closed by Toast in_progress -> closed
        tick
        exits Toast 0
            b3 agent_exited: attempt #1: exited with code 0
        exits Toast 0
        tick
            b2 note: auto-dispatcher claimed at 00:00:00.003Z
            start Toast #3 on b2
            b2 note: dispatched: job=<job>
        show b2
            in_progress attempts=1
    "#]]
    .assert_eq(&story::tell_with(settings, script));
}

#[test]
fn a_bead_that_is_taken_back_stays_with_the_person() {
    check(
        "
        bead b1 fix the parser
        tick
        ann assign b1
        show b1
        Toast note b1 almost
        tick
        dies Toast 143
        wait 30s
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            ann assign b1
                b1 status_changed by ann in_progress -> open
                b1 assigned by ann agent -> nothing
            show b1
                open attempts=1
            Toast note b1 almost
                b1 stale_attempt by Toast #1
                refused: 409 stale_attempt attempt #1 of agent Toast is over; stop
            tick
                stop Toast #1
            dies Toast 143
            wait 30s
            tick
                stop Toast #1
                b1 agent_exited: attempt #1: exited with code 143
            show b1
                open attempts=1
        "#]],
    );
}

#[test]
fn a_bead_that_a_person_closes_stays_closed_whatever_the_agent_says_late() {
    check(
        "
        bead b1 fix the parser
        tick
        ann close b1
        Toast close b1
        Toast done
        exits Toast 1
        show b1
        ann close b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            ann close b1
                b1 closed by ann in_progress -> closed
            Toast close b1
            Toast done
                b1 stale_attempt by Toast #1
                refused: 409 stale_attempt attempt #1 of agent Toast is over; stop
            exits Toast 1
                b1 agent_exited: attempt #1: exited with code 1
            show b1
                closed attempts=1
            ann close b1
        "#]],
    );
}

#[test]
fn an_agent_out_of_its_rails_blocks_its_bead_and_no_other() {
    check(
        "
        bead b1 fix the parser
        bead b2 fix the lexer
        tick
        Toast blocked b2
        Toast assign b1 agent
        Toast blocked b1
        exits Toast 0
        show b1
        show b2
        ",
        expect![[r#"
            bead b1 fix the parser
            bead b2 fix the lexer
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                b2 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
                start Maple #2 on b2
                b2 note: dispatched: job=<job>
            Toast blocked b2
                refused: 403 forbidden agent Toast does not hold bead b2
            Toast assign b1 agent
                refused: 403 forbidden an agent may not assign work to `agent`; leave that to a person
            Toast blocked b1
                b1 status_changed by Toast in_progress -> blocked
            exits Toast 0
                b1 agent_exited: attempt #1: exited with code 0
            show b1
                blocked attempts=1
            show b2
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn a_bead_hooked_by_hand_stays_on_its_hook_when_its_run_fails() {
    check(
        "
        loose b1 fix the parser
        ann assign b1 ann
        ann hook b1
        ann hook b1
        tick
        exits Toast 1
        show b1
        wait 30s
        tick
        ann unhook Toast
        show b1
        ",
        expect![[r#"
            loose b1 fix the parser
            ann assign b1 ann
                b1 assigned by ann agent -> ann
            ann hook b1
                b1 hooked by ann Toast
            ann hook b1
                refused: 409 conflict Bead b1 is hooked by agent Toast; unhook it there first
            tick
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #1: exited with code 1
                b1 note: attempt 1 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:00:…
            show b1
                in_progress attempts=1 waiting=back_off
            wait 30s
            tick
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            ann unhook Toast
                b1 unhooked by ann Toast -> nothing
            show b1
                open attempts=2
        "#]],
    );
}

#[test]
fn a_dispatch_that_is_off_claims_nothing() {
    let settings = Settings { dispatch_enabled: false, ..Settings::default() };
    let script = "
        bead b1 fix the parser
        tick
        show b1
        ";
    expect![[r#"
        bead b1 fix the parser
        tick
        show b1
            open attempts=0 waiting=dispatch_paused
    "#]]
    .assert_eq(&story::tell_with(settings, script));
}
