//! What went wrong in systems that did this job before, told as stories; `docs/incidents.md` has the whole list and
//! says where each is tested. `UPDATE_EXPECT=1 cargo test --test incidents` writes what happens today.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::settings::Settings;
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::{AgentList, AgentStatus, Phase};
use expect_test::{Expect, expect};
use support::{TestRig, container, story};

#[track_caller]
fn check(script: &str, expect: Expect) {
    expect.assert_eq(&story::tell(script));
}

/// The agent was free as soon as it said done, its process was not: five starts of the next bead were refused.
#[test]
fn trap_8_an_agent_whose_process_lingers_gets_no_bead_before_it_is_gone() {
    check(
        "
        bead b1 first
        tick
        Toast done
        bead b2 second
        tick
        exits Toast 0
        wait 30s
        bead b3 third
        tick
        show b2
        show b3
        ",
        expect![[r#"
            bead b1 first
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            Toast done
                b1 closed by Toast in_progress -> closed
            bead b2 second
            tick
                b2 note: auto-dispatcher claimed at 00:00:00.000Z
                start Maple #2 on b2
                b2 note: dispatched: job=<job>
            exits Toast 0
                b1 agent_exited: attempt #1: exited with code 0
            wait 30s
            bead b3 third
            tick
                b3 note: auto-dispatcher claimed at 00:00:30.001Z
                start Toast #3 on b3
                b3 note: dispatched: job=<job>
            show b2
                in_progress attempts=1
            show b3
                in_progress attempts=1
        "#]],
    );
}

/// An exit without a word closed the bead, merged or not.
#[test]
fn trap_9_incident_8_an_exit_without_done_never_closes_a_bead() {
    check(
        "
        bead b1 fix the parser
        tick
        exits Toast 0
        show b1
        why b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            exits Toast 0
                b1 agent_exited: attempt #1: exited with code 0
                b1 note: attempt 1 of 5: exited with code 0 without closing the bead (last output: thread 'main' panicked); next try at 00:00:…
            show b1
                open attempts=1 waiting=back_off
            why b1
                1 of 5 attempts failed; next try at 00:00:30.000Z
        "#]],
    );
}

/// Starts that all fail went on for ever; the bead that failed in the end had no line that said so, and no reason.
#[test]
fn incidents_1_10_74_trap_16_a_bead_that_never_starts_fails_after_five_with_a_line_and_a_reason() {
    check(
        "
        bead b1 fix the parser
        container refuses
        tick
        wait 30s
        tick
        wait 1m
        tick
        wait 2m
        tick
        wait 5m
        tick
        show b1
        next
        wait 24h
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
            wait 30s
            tick
                b1 note: auto-dispatcher claimed at 00:00:30.000Z
                start Toast #2 on b1
                b1 agent_exited: attempt #2: start refused: no such command
                b1 note: attempt 2 of 5: start refused: no such command; next try at 00:01:30.000Z
            wait 1m
            tick
                b1 note: auto-dispatcher claimed at 00:01:30.000Z
                start Toast #3 on b1
                b1 agent_exited: attempt #3: start refused: no such command
                b1 note: attempt 3 of 5: start refused: no such command; next try at 00:03:30.000Z
            wait 2m
            tick
                b1 note: auto-dispatcher claimed at 00:03:30.000Z
                start Toast #4 on b1
                b1 agent_exited: attempt #4: start refused: no such command
                b1 note: attempt 4 of 5: start refused: no such command; next try at 00:08:30.000Z
            wait 5m
            tick
                b1 note: auto-dispatcher claimed at 00:08:30.000Z
                start Toast #5 on b1
                b1 agent_exited: attempt #5: start refused: no such command
                b1 note: gave up after 5 attempts in 24 h; the last one: start refused: no such command. Mend the cause, then reopen the bead
                b1 status_changed: attempts_exhausted: gave up after 5 attempts in 24 h; the last one: start refused: no such command
            show b1
                failed attempts=5 failure=attempts_exhausted
            next
                00:13:30.000Z
            wait 24h
            tick
            show b1
                failed attempts=0 failure=attempts_exhausted
        "#]],
    );
}

/// The count of attempts was the agent's, and each hook and each start began it anew: 3,612 failures in 70 hours.
#[test]
fn incident_2_no_new_agent_and_no_hook_by_hand_gets_around_the_bound() {
    check(
        "
        bead b1 fix the parser
        tick
        exits Toast 1
        wait 30s
        tick
        exits Toast 1
        ann assign b1
        ann hook b1
        wait 1m
        tick
        exits Toast 1
        ann unhook Toast
        ann hook b1
        wait 2m
        tick
        exits Toast 1
        wait 10m
        tick
        exits Toast 1
        show b1
        ann hook b1
        wait 1h
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
            ann assign b1
                b1 assigned by ann agent -> nothing
            ann hook b1
                b1 hooked by ann Toast
            wait 1m
            tick
                start Toast #3 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #3: exited with code 1
                b1 note: attempt 3 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:03:…
            ann unhook Toast
                b1 unhooked by ann Toast -> nothing
            ann hook b1
                b1 hooked by ann Toast
            wait 2m
            tick
                start Toast #4 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #4: exited with code 1
                b1 note: attempt 4 of 5: exited with code 1 without closing the bead (last output: thread 'main' panicked); next try at 00:08:…
            wait 10m
            tick
                start Toast #5 on b1
                b1 note: dispatched: job=<job>
            exits Toast 1
                b1 agent_exited: attempt #5: exited with code 1
                b1 note: gave up after 5 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked…
                b1 status_changed: attempts_exhausted: gave up after 5 attempts in 24 h; the last one: exited with code 1 without closing the bead (last output: thread 'main' panicked)
            show b1
                failed attempts=5 failure=attempts_exhausted
            ann hook b1
                refused: 409 conflict Bead b1 has used its 5 attempts; reopen it to try again
            wait 1h
            tick
            show b1
                failed attempts=5 failure=attempts_exhausted
        "#]],
    );
}

/// Ten minutes without a container burnt all attempts, and nobody took the beads up again for half a day.
#[test]
fn incident_3_after_an_outage_of_ten_minutes_work_goes_on_by_itself() {
    check(
        "
        bead b1 fix the parser
        bead b2 fix the lexer
        tick
        container forgets
        container down
        bead b3 fix the printer
        wait 30s
        tick
        wait 2m
        tick
        wait 2m
        tick
        wait 2m
        tick
        wait 3m
        tick
        container up
        next
        wait 1m
        tick
        wait 5m
        tick
        show b1
        show b2
        show b3
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
            container forgets
            container down
            bead b3 fix the printer
            wait 30s
            tick
                b3 note: auto-dispatcher claimed at 00:00:30.000Z
                start Birch #3 on b3
                b3 waiting_for_container: the container does not answer
            wait 2m
            tick
                start Birch #3 on b3
                b2 agent_suspect: the container does not answer
                b1 agent_suspect: the container does not answer
            wait 2m
            tick
                start Birch #3 on b3
            wait 2m
            tick
                start Birch #3 on b3
                b2 agent_exited: attempt #2: the container has not answered for 240 s
                b2 note: run lost: the container has not answered for 240 s
                b1 agent_exited: attempt #1: the container has not answered for 240 s
                b1 note: run lost: the container has not answered for 240 s
            wait 3m
            tick
                b1 note: auto-dispatcher claimed at 00:09:30.004Z
                b2 note: auto-dispatcher claimed at 00:09:30.004Z
                start Birch #3 on b3
                start Maple #4 on b1
                b1 waiting_for_container: the container does not answer
                start Toast #5 on b2
                b2 waiting_for_container: the container does not answer
            container up
            next
                00:09:35.004Z
            wait 1m
            tick
                start Maple #4 on b1
                b1 note: dispatched: job=<job>
                start Toast #5 on b2
                b2 note: dispatched: job=<job>
            wait 5m
            tick
                start Birch #3 on b3
                b3 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
            show b2
                in_progress attempts=1
            show b3
                in_progress attempts=1
        "#]],
    );
}

fn status(start: &beadrig::wire::container::StartAgent, at: String) -> AgentStatus {
    AgentStatus {
        agent_id: start.agent_id.clone(),
        rig_id: start.rig_id.clone(),
        bead_id: start.bead_id.clone(),
        attempt: start.attempt,
        job_id: start.job_id.clone(),
        status: Phase::Running,
        suspended: false,
        started_at: at.clone(),
        last_activity_at: at,
        exit_reason: None,
        exit_code: None,
        output_tail: None,
    }
}

/// An idle town asked its container for its health every few seconds, so that it never slept.
#[test]
fn incident_14_an_idle_rig_asks_no_container_and_wakes_every_five_minutes() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("done");
    rig.schedule();
    let start = rig.accept().remove(0);
    rig.operator("POST", &format!("/beads/{bead}/close"), "");
    let report = serde_json::json!({"status": "completed", "attempt": start.attempt});
    let path = format!("/agents/{}/completed", start.agent_id);
    assert_eq!(rig.call(&container(), "POST", &path, &report.to_string()).0, 200);
    // What people keep for themselves is no work either.
    rig.operator("POST", "/beads", r#"{"title":"somebody's","assignee":"bob"}"#);
    for _ in 0..12 {
        let moment = rig.moment();
        let scheduled = rig.engine.schedule_pending_work(moment);
        assert!(!scheduled.ask && scheduled.effects.is_empty(), "{:?}", scheduled.effects);
        let wake = rig.engine.next_wake(rig.now).unwrap().unwrap();
        assert_eq!(wake.since(rig.now), 300_000);
        rig.now = wake;
    }
}

/// A reconciler that found something to do in every tick.
#[test]
fn incident_21_a_tick_in_which_nothing_happened_does_nothing() {
    let mut rig = TestRig::new();
    rig.assigned("at work");
    rig.assigned("at work too");
    rig.schedule();
    let starts = rig.accept();
    for _ in 0..20 {
        rig.pass(30_000);
        let agents = starts.iter().map(|it| status(it, rig.now.to_string())).collect();
        let list = AgentList { boot_id: "b".to_owned(), protocol: PROTOCOL, agents };
        let moment = rig.moment();
        let scheduled = rig.engine.schedule_pending_work(moment);
        let patrolled = rig.engine.witness_patrol(moment, rig.now, Some(&list));
        let reviewed = rig.engine.process_review_queue(moment);
        let effects = [scheduled.effects, patrolled, reviewed].concat();
        assert!(effects.is_empty(), "{effects:?}");
    }
}

/// Agents at work in the morning had a token from the evening before.
#[test]
fn incidents_35_38_a_token_outlives_its_run() {
    for run_timeout_s in [60, 2_700, 86_400] {
        let mut rig = TestRig::with(Settings { run_timeout_s, ..Settings::default() });
        rig.assigned("long");
        rig.schedule();
        let start = rig.accept().remove(0);
        let bearer = format!("Bearer {}", start.session_token.expose());
        let end = rig.now.plus(i64::from(run_timeout_s) * 1_000 + 60_000);
        let caller = rig.engine.secrets.caller(Some(&bearer), None, end);
        assert!(caller.is_ok(), "{run_timeout_s} s: {caller:?}");
    }
}
