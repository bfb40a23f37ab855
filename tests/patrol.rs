//! The patrol: who is told that work must move, who is asked for help, what is stopped, and what is set right.
//! `UPDATE_EXPECT=1 cargo test --test patrol` writes what happens today.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::settings::Settings;
use expect_test::{Expect, expect};
use serde_json::json;
use support::{TestRig, agent, story};

#[track_caller]
fn check(script: &str, expect: Expect) {
    expect.assert_eq(&story::tell(script));
}

/// A rig whose runs may take hours, so that silence and not the time limit ends them.
fn patient() -> Settings {
    Settings { run_timeout_s: 86_400, ..Settings::default() }
}

#[track_caller]
fn check_patient(script: &str, expect: Expect) {
    expect.assert_eq(&story::tell_with(patient(), script));
}

/// A bead from the queue is blocked after 30 minutes without a sign, as those who come from the poller know it.
#[test]
fn a_bead_on_which_nothing_moves_is_reaped_after_its_agent_was_told() {
    check(
        "
        bead b1 fix the parser
        tick
        watch 29m
        watch 1m
        watch 30s
        show b1
        watch 1m
        show b1
        agent Toast
        exits Toast 143
        agent Toast
        watch 2h
        show b1
        ann reopen b1
        tick
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            watch 29m
            watch 1m
                b1 mail_sent: to Toast: GUPP_CHECK
                line to Toast
                b1 agent_nudged: silent for 30 min
            watch 30s
            show b1
                in_progress attempts=1
            watch 1m
                b1 note: reaper: no progress for 31m (threshold 30m) — blocking
                b1 status_changed: no_progress: no progress for 31 min, more than the 30 min of REAPER_MS
                b1 agent_stopping: no progress for 31 min, more than the 30 min of REAPER_MS
                stop Toast #1
            show b1
                blocked attempts=1 failure=no_progress
            agent Toast
                stopping
            exits Toast 143
                b1 agent_exited: attempt #1: exited with code 143
            agent Toast
                idle
            watch 2h
            show b1
                blocked attempts=1 failure=no_progress
            ann reopen b1
                b1 attempts_reset by ann 1 -> 0
                b1 status_changed by ann blocked -> open
            tick
                b1 note: auto-dispatcher claimed at 02:31:30.004Z
                start Toast #2 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn an_agent_that_prints_or_notes_is_not_silent() {
    check_patient(
        "
        bead b1 fix the parser
        bead b2 fix the lexer
        tick
        watch 20m
        Maple note b2 half done
        chatty 30s
        watch 29m
        show b1
        show b2
        watch 2m
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
            watch 20m
            Maple note b2 half done
            chatty 30s
            watch 29m
            show b1
                in_progress attempts=1
            show b2
                in_progress attempts=1
            watch 2m
                b2 mail_sent: to Maple: GUPP_CHECK
                line to Maple
                b2 agent_nudged: silent for 30 min
                b1 mail_sent: to Toast: GUPP_CHECK
                line to Toast
                b1 agent_nudged: silent for 30 min
                b2 note: reaper: no progress for 31m (threshold 30m) — blocking
                b2 status_changed: no_progress: no progress for 31 min, more than the 30 min of REAPER_MS
                b2 agent_stopping: no progress for 31 min, more than the 30 min of REAPER_MS
                b1 note: reaper: no progress for 31m (threshold 30m) — blocking
                b1 status_changed: no_progress: no progress for 31 min, more than the 30 min of REAPER_MS
                b1 agent_stopping: no progress for 31 min, more than the 30 min of REAPER_MS
            show b1
                blocked attempts=1 failure=no_progress
            show b2
                blocked attempts=1 failure=no_progress
        "#]],
    );
}

/// A coding agent that prints all the time and leaves no note is at work.
#[test]
fn an_agent_that_prints_for_two_hours_without_a_note_is_left_alone() {
    check_patient(
        "
        bead b1 fix the parser
        tick
        chatty 2h
        show b1
        mail Toast
        escalations
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            chatty 2h
            show b1
                in_progress attempts=1
            mail Toast
            escalations
        "#]],
    );
}

/// Incident 20: a mail every 30 s to an agent that is silent. Incident 16: one that hung kept the alarm hot for days.
#[test]
fn incidents_16_20_a_hooked_agent_that_hangs_is_told_once_an_hour_then_people_and_then_it_is_stopped()
 {
    check_patient(
        "
        bead b1 fix the parser
        ann assign b1
        ann hook b1
        tick
        watch 29m
        watch 2m
        mail Toast
        watch 28m
        watch 2m
        escalations
        watch 59m
        escalations
        watch 1m
        show b1
        agent Toast
        watch 11m
        agent Toast
        next
        ann reopen b1
        agent Toast
        ",
        expect![[r#"
            bead b1 fix the parser
            ann assign b1
                b1 assigned by ann agent -> nothing
            ann hook b1
                b1 hooked by ann Toast
            tick
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            watch 29m
            watch 2m
                b1 mail_sent: to Toast: GUPP_CHECK
                line to Toast
                b1 agent_nudged: silent for 30 min
            mail Toast
                witness: GUPP_CHECK: GUPP_CHECK: no activity on bead b1 for 30 min. Go on with it and leave a note, or say `done` or `blocked`; what does not move is stopped.
            watch 28m
            watch 2m
                demo-kdj created: agent Toast made no progress on b1 for 60 min (P2)
            escalations
                agent Toast made no progress on b1 for 60 min medium x1
            watch 59m
                b1 mail_sent: to Toast: GUPP_CHECK
                line to Toast
                b1 agent_nudged: silent for 90 min
                b1 note: no activity for 120 min; the run was stopped. Mend the cause, then reopen the bead
                b1 status_changed: stalled: no activity for 120 min; the run was stopped
                b1 agent_stopping: no activity for 120 min; the run was stopped
                b1 agent_marked: Toast is stalled: no activity for 120 min; the run was stopped
            escalations
                agent Toast made no progress on b1 for 60 min medium x1
            watch 1m
                stop Toast #1
                stop Toast #1
            show b1
                blocked attempts=1 failure=stalled
            agent Toast
                stalled
            watch 11m
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                stop Toast #1
                b1 agent_exited: attempt #1: was told to end and did not within 10 min
            agent Toast
                stalled
            next
                02:17:00.006Z
            ann reopen b1
                b1 attempts_reset by ann 1 -> 0
                b1 status_changed by ann blocked -> open
            agent Toast
                idle
        "#]],
    );
}

#[test]
fn a_stalled_mark_ends_when_the_bead_is_given_to_another_or_deleted() {
    for end in ["ann close b1", "ann delete b1", "ann reopen b1", "ann assign b1 bob"] {
        let script = format!(
            "
            bead b1 fix the parser
            ann assign b1
            ann hook b1
            tick
            watch 121m
            agent Toast
            {end}
            agent Toast
            "
        );
        let told = story::tell_with(patient(), &script);
        let marks: Vec<&str> = told
            .lines()
            .skip_while(|it| !it.contains("watch"))
            .filter(|it| it.starts_with("    "))
            .map(str::trim)
            .filter(|it| ["stalled", "idle", "stopping"].contains(it))
            .collect();
        assert_eq!(marks.first(), Some(&"stalled"), "{told}");
        assert!(marks.last() != Some(&"stalled"), "{end}: {told}");
    }
}

/// Incident 59: who could not be watched was called silent.
#[test]
fn incident_59_no_time_in_which_nobody_watched_makes_an_agent_late() {
    check_patient(
        "
        bead b1 fix the parser
        tick
        watch 20m
        wait 3h
        tick
        watch 9m
        show b1
        mail Toast
        watch 2m
        mail Toast
        watch 2m
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            watch 20m
            wait 3h
            tick
            watch 9m
            show b1
                in_progress attempts=1
            mail Toast
            watch 2m
                b1 mail_sent: to Toast: GUPP_CHECK
                line to Toast
                b1 agent_nudged: silent for 30 min
            mail Toast
                witness: GUPP_CHECK: GUPP_CHECK: no activity on bead b1 for 30 min. Go on with it and leave a note, or say `done` or `blocked`; what does not move is stopped.
            watch 2m
                b1 note: reaper: no progress for 31m (threshold 30m) — blocking
                b1 status_changed: no_progress: no progress for 31 min, more than the 30 min of REAPER_MS
                b1 agent_stopping: no progress for 31 min, more than the 30 min of REAPER_MS
                stop Toast #1
                stop Toast #1
                stop Toast #1
            show b1
                blocked attempts=1 failure=no_progress
        "#]],
    );
}

/// The container answers nothing for a while, and the run is there again before it is given up.
#[test]
fn a_container_that_does_not_answer_makes_nobody_late() {
    check_patient(
        "
        bead b1 fix the parser
        tick
        watch 29m
        container down
        watch 2m
        container up
        watch 30s
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            tick
                b1 note: auto-dispatcher claimed at 00:00:00.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            watch 29m
            container down
            watch 2m
                b1 agent_suspect: the container does not answer
            container up
            watch 30s
            show b1
                in_progress attempts=1
        "#]],
    );
}

#[test]
fn what_waits_for_room_is_never_reaped() {
    let told = story::tell(
        "
        bead b1 fix the parser
        container full
        tick
        watch 3h
        show b1
        ",
    );
    assert!(told.ends_with("in_progress attempts=0 waiting=container_unavailable\n"), "{told}");
    assert!(!told.contains("reaper") && !told.contains("GUPP"), "{told}");
}

#[test]
fn a_bead_in_progress_that_no_agent_holds_goes_back_to_the_queue() {
    check(
        "
        bead b1 fix the parser
        ann assign b1 bob
        ann status b1 in_progress
        tick
        watch 2m
        show b1
        ann assign b1 agent
        tick
        show b1
        why b1
        watch 90s
        show b1
        ",
        expect![[r#"
            bead b1 fix the parser
            ann assign b1 bob
                b1 assigned by ann agent -> bob
            ann status b1 in_progress
                b1 status_changed by ann open -> in_progress
            tick
            watch 2m
            show b1
                in_progress attempts=0
            ann assign b1 agent
                b1 assigned by ann bob -> agent
            tick
            show b1
                in_progress attempts=0 waiting=no_agent
            why b1
                no agent holds it; it goes back to the queue
            watch 90s
                b1 note: in progress, and no agent holds it; it is open again
                b1 status_changed: no agent holds it
                b1 note: auto-dispatcher claimed at 00:03:30.000Z
                start Toast #1 on b1
                b1 note: dispatched: job=<job>
            show b1
                in_progress attempts=1
        "#]],
    );
}

/// Incident 19: a mayor waits for people, and was told every few minutes that its work must move.
#[test]
fn incident_19_a_mayor_is_never_told_to_go_on() {
    let mut rig = TestRig::with(patient());
    let made =
        rig.operator("POST", "/agents", r#"{"role":"mayor","name":"mayor","identity":"mayor"}"#);
    let id = made.1["data"]["id"].as_str().unwrap().to_owned();
    let bead = rig.operator("POST", "/beads", r#"{"title":"talk"}"#).1["data"]["id"].clone();
    let body = json!({"bead_id": bead}).to_string();
    assert_eq!(rig.operator("POST", &format!("/agents/{id}/hook"), &body).0, 200);
    rig.schedule();
    let start = rig.accept().remove(0);
    watch(&mut rig, &start, 300);
    assert_eq!(rig.nudges, []);
    assert_eq!(rig.bead(bead.as_str().unwrap())["status"], "in_progress");
}

/// A tick every 30 s for so many minutes, while the container shows a run that prints nothing.
fn watch(rig: &mut TestRig, start: &beadrig::wire::container::StartAgent, minutes: i64) {
    let began = support::START.to_string();
    for _ in 0..minutes * 2 {
        rig.pass(30_000);
        rig.schedule();
        let list = json!({"bootId": "b", "protocol": beadrig::wire::PROTOCOL, "agents": [{
            "agentId": start.agent_id, "rigId": start.rig_id, "beadId": start.bead_id, "attempt": start.attempt,
            "jobId": start.job_id, "status": "running", "startedAt": began, "lastActivityAt": began,
        }]});
        rig.patrol(Some(&serde_json::from_value(list).unwrap()));
    }
}

/// Whatever an agent reads or asks is a sign that it goes on.
#[test]
fn any_call_of_the_agent_is_activity() {
    let mut rig = TestRig::with(patient());
    rig.assigned("quiet");
    rig.schedule();
    let start = rig.accept().remove(0);
    for _ in 0..5 {
        watch(&mut rig, &start, 20);
        let path = format!("/agents/{}/mail", start.agent_id);
        assert_eq!(rig.call(&agent(&start), "GET", &path, "").0, 200);
    }
    assert_eq!(rig.nudges, []);
    watch(&mut rig, &start, 30);
    assert_eq!(rig.nudges.len(), 1);
}

/// A box full of mail keeps no line from the process, and no rule from its turn.
#[test]
fn an_agent_with_a_full_box_is_told_all_the_same() {
    let mut rig = TestRig::with(patient());
    rig.assigned("busy");
    rig.schedule();
    let start = rig.accept().remove(0);
    for n in 0..beadrig::limits::MAIL_PER_AGENT_MAX {
        let mail = json!({"from_agent_id": "operator", "to_agent_id": start.agent_id,
            "subject": format!("{n}"), "body": "read me"});
        assert_eq!(rig.operator("POST", "/mail", &mail.to_string()).0, 201);
    }
    watch(&mut rig, &start, 30);
    assert_eq!(rig.nudges.len(), 1);
    watch(&mut rig, &start, 1);
    assert_eq!(rig.bead(&start.bead_id)["status"], "blocked");
}

/// Incident 64: what was closed escalated again.
#[test]
fn incident_64_a_run_asks_for_help_once_however_often_its_escalation_is_closed() {
    let mut rig = TestRig::with(patient());
    let bead = rig.operator("POST", "/beads", r#"{"title":"hang"}"#).1["data"]["id"].clone();
    let made = rig.operator("POST", "/agents/get-or-create", r#"{"role":"polecat"}"#);
    let id = made.1["data"]["id"].as_str().unwrap().to_owned();
    let body = json!({"bead_id": bead}).to_string();
    rig.operator("POST", &format!("/agents/{id}/hook"), &body);
    rig.schedule();
    let start = rig.accept().remove(0);
    watch(&mut rig, &start, 61);
    let open = |rig: &mut TestRig| {
        rig.operator("GET", "/escalations?acknowledged=false", "").1["data"].clone()
    };
    let escalations = open(&mut rig);
    assert_eq!(escalations.as_array().unwrap().len(), 1, "{escalations}");
    assert_eq!(escalations[0]["cause"], format!("no_progress:{}", bead.as_str().unwrap()));
    let path = format!("/beads/{}/close", escalations[0]["id"].as_str().unwrap());
    assert_eq!(rig.operator("POST", &path, "").0, 200);
    watch(&mut rig, &start, 50);
    assert_eq!(open(&mut rig), json!([]));
}
