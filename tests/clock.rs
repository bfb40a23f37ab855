//! A clock that is set an hour forward or back: nobody is lost by it, and what is due comes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::command::{Command, StartAnswer};
use beadrig::id::Millis;
use beadrig::settings::Settings;
use expect_test::{Expect, expect};
use support::{TestRig, story};

const HOUR: i64 = 3_600_000;

#[track_caller]
fn check(script: &str, expect: Expect) {
    // Its time limit is by the clock, too: a run that has less than an hour left would be ended by this hour.
    let settings = Settings { run_timeout_s: 7_200, ..Settings::default() };
    expect.assert_eq(&story::tell_with(settings, script));
}

#[test]
fn an_hour_forward_loses_no_run_that_the_container_shows() {
    check(
        "
        bead b1 at work
        tick
        beats
        wait 1h
        tick
        show b1
        Toast close b1
        show b1
        ",
        expect![[r#"
            bead b1 at work
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            beats
                Toast #1: ok
            wait 1h
            tick
            show b1
                in_progress attempts=1
            Toast close b1
                b1 closed by Toast in_progress -> closed
            show b1
                closed attempts=1
        "#]],
    );
}

#[test]
fn an_hour_forward_while_the_container_is_away_is_no_silence_of_an_hour() {
    check(
        "
        bead b1 at work
        tick
        beats
        container down
        wait 100s
        tick
        wait 1h
        tick
        show b1
        container up
        wait 30s
        tick
        show b1
        Toast close b1
        show b1
        ",
        expect![[r#"
            bead b1 at work
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            beats
                Toast #1: ok
            container down
            wait 100s
            tick
                b1 agent_suspect: the container does not answer
            wait 1h
            tick
            show b1
                in_progress attempts=1
            container up
            wait 30s
            tick
            show b1
                in_progress attempts=1
            Toast close b1
                b1 closed by Toast in_progress -> closed
            show b1
                closed attempts=1
        "#]],
    );
}

#[test]
fn an_hour_back_loses_no_run_and_takes_no_sign_of_life_for_old() {
    check(
        "
        bead b1 at work
        tick
        beats
        wait -1h
        tick
        beats
        show b1
        container down
        tick
        wait 30s
        tick
        show b1
        container up
        tick
        Toast close b1
        show b1
        ",
        expect![[r#"
            bead b1 at work
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            beats
                Toast #1: ok
            wait -1h
            tick
            beats
                Toast #1: ok
            show b1
                in_progress attempts=1
            container down
            tick
            wait 30s
            tick
            show b1
                in_progress attempts=1
            container up
            tick
            Toast close b1
                b1 closed by Toast in_progress -> closed
            show b1
                closed attempts=1
        "#]],
    );
}

#[test]
fn an_hour_back_keeps_a_back_off_for_an_hour_at_most() {
    check(
        "
        bead b1 waits after a failure
        tick
        exits Toast 1
        show b1
        wait -1h
        tick
        show b1
        why b1
        wait 1h
        wait 30s
        tick
        Toast close b1
        show b1
        ",
        expect![[r#"
            bead b1 waits after a failure
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #1: exited with code 1
                b1 note: attempt 1 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:00:…
            show b1
                open attempts=1 waiting=back_off
            wait -1h
            tick
            show b1
                open attempts=1 waiting=back_off
            why b1
                1 of 5 attempts failed; next try at 00:00:30.000Z
            wait 1h
            wait 30s
            tick
                b1 note: auto-dispatcher claimed at 00:00:30.000Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            Toast close b1
                b1 closed by Toast in_progress -> closed
            show b1
                closed attempts=2
        "#]],
    );
}

/// What can be waited for, with the settings as they come: five minutes.
fn wakes(rig: &TestRig) -> i64 {
    rig.engine.next_wake(rig.now).unwrap().unwrap().0 - rig.now.0
}

#[test]
fn whatever_the_clock_does_the_rig_looks_again_within_five_minutes() {
    for jump in [-24 * HOUR, -HOUR, -1, 0, 1, HOUR, 24 * HOUR] {
        let mut rig = TestRig::new();
        rig.assigned("runs");
        rig.schedule();
        rig.accept();
        rig.assigned("has no room");
        rig.schedule();
        for start in std::mem::take(&mut rig.starts) {
            let answer = StartAnswer::NoRoom("full".to_owned());
            rig.apply(Command::StartAnswered(start.agent_id, start.attempt, answer)).unwrap();
        }
        rig.assigned("is in the queue");
        rig.now = Millis(rig.now.0 + jump);
        let ms = wakes(&rig);
        assert!((1_000..=300_000).contains(&ms), "after a jump of {jump} ms: in {ms} ms");
    }
}

#[test]
fn what_is_due_in_a_week_wakes_the_rig_every_five_minutes_and_no_sooner() {
    let mut rig = TestRig::with(Settings { idle_alarm_ms: 0, ..Settings::default() });
    let id = rig.assigned("is due in a week");
    let body = r#"{"defer_until":"2026-01-08T00:00:00Z"}"#;
    assert_eq!(rig.operator("PATCH", &format!("/beads/{id}"), body).0, 200);
    assert_eq!(wakes(&rig), 300_000, "not each half a minute as if there were work");
    rig.pass(7 * 24 * HOUR - 60_000);
    assert_eq!(wakes(&rig), 60_000);
}

#[test]
fn a_clock_that_is_set_back_gives_no_attempt_number_again() {
    let mut rig = TestRig::new();
    let mut last = 0;
    for jump in [0, -HOUR, 2 * HOUR, -24 * HOUR] {
        rig.pass(jump);
        rig.assigned("one more");
        rig.schedule();
        let starts = rig.accept();
        assert_eq!(starts.len(), 1);
        assert!(starts[0].attempt > last, "after a jump of {jump} ms: {}", starts[0].attempt);
        last = starts[0].attempt;
    }
}

#[test]
fn a_clock_that_is_set_back_gives_no_number_of_a_run_whose_bead_was_deleted_again() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("to be deleted");
    rig.schedule();
    let gone = rig.accept().remove(0);
    let report = serde_json::json!({"status": "failed", "attempt": gone.attempt, "exit_code": 1});
    let path = format!("/agents/{}/completed", gone.agent_id);
    assert_eq!(rig.call(&support::container(), "POST", &path, &report.to_string()).0, 200);
    assert_eq!(rig.operator("DELETE", &format!("/beads/{bead}"), "").0, 200);
    rig.pass(-HOUR);
    rig.assigned("the next one");
    rig.schedule();
    let next = rig.accept().remove(0);
    assert!(next.attempt > gone.attempt, "{} after {}", next.attempt, gone.attempt);
}
