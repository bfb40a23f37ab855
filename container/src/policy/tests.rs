//! The rules, one line each.

use std::collections::BTreeMap;

use beadrig::wire::container::Secret;

use super::*;

const ROOM: Load<'_> = Load { live: 1, capacity: 2, closing: false, shortage: None };
const FULL: Load<'_> = Load { live: 2, capacity: 2, closing: false, shortage: None };
const CLOSING: Load<'_> = Load { live: 0, capacity: 2, closing: true, shortage: None };

fn attempt(attempt: i64) -> StartAgent {
    StartAgent {
        protocol: PROTOCOL,
        agent_id: "a1".to_owned(),
        rig_id: "r1".to_owned(),
        town_id: "t1".to_owned(),
        bead_id: "b-1".to_owned(),
        attempt,
        job_id: "0123456789ab".to_owned(),
        role: "polecat".to_owned(),
        name: "Toast".to_owned(),
        identity: "Toast-polecat-r1".to_owned(),
        command: vec!["true".to_owned()],
        prompt: String::new(),
        title: String::new(),
        model: None,
        session_token: Secret::new("s"),
        time_limit_s: 60,
        git: None,
        env_vars: BTreeMap::new(),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the rules take an option")]
fn known(attempt: i64, phase: Phase) -> Option<Known<'static>> {
    Some(Known { rig_id: "r1", attempt, phase, older_is_ending: false })
}

fn start(request: &StartAgent, known: Option<Known<'_>>, load: Load<'_>) -> Verdict<Begin> {
    super::start(request, known, None, load)
}

fn code<T: std::fmt::Debug>(verdict: Verdict<T>) -> &'static str {
    match verdict {
        Verdict::Deny(denial) => denial.code(),
        other => panic!("not denied: {other:?}"),
    }
}

#[test]
fn a_start_is_idempotent_by_attempt_even_when_it_is_over() {
    for phase in [Phase::Starting, Phase::Running, Phase::Stopping, Phase::Exited, Phase::Failed] {
        for load in [ROOM, FULL, CLOSING] {
            assert_eq!(start(&attempt(3), known(3, phase), load), Verdict::AlreadySo);
        }
    }
}

#[test]
fn a_newer_attempt_waits_for_the_older_and_needs_no_new_place() {
    let live = [Phase::Starting, Phase::Running, Phase::Stopping];
    for phase in live {
        let verdict = start(&attempt(4), known(3, phase), FULL);
        assert_eq!(verdict, Verdict::Do(Begin::AfterTheOlder));
    }
    assert_eq!(start(&attempt(4), known(3, Phase::Exited), ROOM), Verdict::Do(Begin::Now));
    assert_eq!(code(start(&attempt(4), known(3, Phase::Exited), FULL)), "capacity");
    let ending = known(3, Phase::Failed).map(|known| Known { older_is_ending: true, ..known });
    assert_eq!(start(&attempt(4), ending, FULL), Verdict::Do(Begin::AfterTheOlder));
}

#[test]
fn an_older_attempt_is_stale() {
    for phase in [Phase::Starting, Phase::Running, Phase::Exited] {
        assert_eq!(code(start(&attempt(2), known(3, phase), ROOM)), "stale_attempt");
    }
}

#[test]
fn a_full_or_ending_service_takes_nothing_new() {
    assert_eq!(start(&attempt(1), None, ROOM), Verdict::Do(Begin::Now));
    assert_eq!(code(start(&attempt(1), None, FULL)), "capacity");
    assert_eq!(code(start(&attempt(1), None, CLOSING)), "capacity");
    assert_eq!(code(start(&attempt(2), known(1, Phase::Running), CLOSING)), "capacity");
}

#[test]
fn a_machine_without_room_takes_replacements_only_and_says_what_is_short() {
    let short = Load { shortage: Some("3 MiB of disk are free"), ..ROOM };
    let denied = start(&attempt(1), None, short);
    assert_eq!(denied, Verdict::Deny(Denial::NoRoom("3 MiB of disk are free".to_owned())));
    assert_eq!(code(denied), "capacity");
    let replaced = start(&attempt(4), known(3, Phase::Running), short);
    assert_eq!(replaced, Verdict::Do(Begin::AfterTheOlder));
    assert_eq!(start(&attempt(3), known(3, Phase::Running), short), Verdict::AlreadySo);
}

#[test]
fn attempts_of_two_rigs_are_not_compared() {
    let other = |phase| known(9, phase).map(|known| Known { rig_id: "r2", ..known });
    assert_eq!(code(start(&attempt(1), other(Phase::Running), ROOM)), "invalid");
    assert_eq!(start(&attempt(1), other(Phase::Exited), ROOM), Verdict::Do(Begin::Now));
}

#[test]
fn names_that_would_leave_their_directory_are_invalid() {
    let long = "x".repeat(ID_CHARS_MAX + 1);
    for bad in ["", ".", "..", "../a", "a/b", ".hidden", "a b", "ä", "a\0", &long] {
        let agent = StartAgent { agent_id: bad.to_owned(), ..attempt(1) };
        assert_eq!(code(start(&agent, None, ROOM)), "invalid", "{bad:?}");
        let rig = StartAgent { rig_id: bad.to_owned(), ..attempt(1) };
        assert_eq!(code(start(&rig, None, ROOM)), "invalid", "{bad:?}");
    }
    let good = StartAgent { agent_id: "x".repeat(ID_CHARS_MAX), ..attempt(1) };
    assert_eq!(start(&good, None, ROOM), Verdict::Do(Begin::Now));
}

#[test]
fn a_start_that_cannot_be_one_is_invalid() {
    let nothing = StartAgent { command: vec![], ..attempt(1) };
    assert_eq!(code(start(&nothing, None, ROOM)), "invalid");
    let no_time = StartAgent { time_limit_s: 0, ..attempt(1) };
    assert_eq!(code(start(&no_time, None, ROOM)), "invalid");
    let env_vars = BTreeMap::from([("A=B".to_owned(), String::new())]);
    assert_eq!(code(start(&StartAgent { env_vars, ..attempt(1) }, None, ROOM)), "invalid");
    let stranger = StartAgent { protocol: PROTOCOL + 1, ..attempt(1) };
    assert_eq!(code(start(&stranger, None, ROOM)), "protocol");
}

#[test]
fn a_stop_names_the_run_it_means() {
    assert_eq!(stop("a1", None, known(3, Phase::Running)), Verdict::Do(()));
    assert_eq!(stop("a1", Some(3), known(3, Phase::Starting)), Verdict::Do(()));
    assert_eq!(stop("a1", Some(3), known(3, Phase::Exited)), Verdict::AlreadySo);
    assert_eq!(stop("a1", Some(2), known(3, Phase::Running)), Verdict::AlreadySo);
    assert_eq!(code(stop("a1", Some(4), known(3, Phase::Running))), "not_found");
    assert_eq!(code(stop("a1", None, None)), "not_found");
}

#[test]
fn only_a_running_agent_can_be_told_something() {
    assert_eq!(message("a1", known(1, Phase::Running)), Verdict::Do(()));
    assert_eq!(code(message("a1", known(1, Phase::Exited))), "not_running");
    assert_eq!(code(message("a1", None)), "not_found");
}

#[test]
fn a_bead_has_one_run_at_a_time_whoever_runs_it() {
    let held = |attempt| Some(Holder { agent: "a2", attempt });
    let ask = |holder| super::start(&attempt(5), known(3, Phase::Exited), holder, ROOM);
    assert_eq!(
        ask(held(4)),
        Verdict::Deny(Denial::Held { agent: "a2".to_owned(), attempt: 4 }),
        "the older one is ended first, and the rig asks again"
    );
    assert_eq!(code(ask(held(4))), "capacity");
    assert_eq!(code(ask(held(6))), "stale_attempt");
}
