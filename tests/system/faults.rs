//! A panic or an endless wait in the worker costs one request or one tick, and nothing else.

use std::thread;
use std::time::{Duration, Instant};

use crate::rig::Rig;
use crate::runs::GATES;
use crate::support::{LATER, World};

/// Requests around the panic.
const AROUND: usize = 20;

#[test]
fn a_panic_in_a_request_is_answered_500_within_a_second_and_disturbs_no_other() {
    let world = World::start(|options| options);
    let rig = world.rig("panics");
    let bead = rig.create("to be looked at");
    let threads: Vec<_> = (0..=AROUND)
        .map(|n| {
            let (rig, bead) = (rig.clone(), bead.clone());
            thread::spawn(move || {
                let begin = Instant::now();
                // Reads and writes, and the panic in the middle of them.
                let answer = match n {
                    _ if n == AROUND / 2 => rig.debug("fault", "fetch/panic"),
                    _ if n % 2 == 0 => rig.operator("GET", &format!("/beads/{bead}"), ""),
                    _ => {
                        let note = format!(r#"{{"text":"note {n}"}}"#);
                        rig.operator("POST", &format!("/beads/{bead}/notes"), &note)
                    }
                };
                (n, answer, begin.elapsed())
            })
        })
        .collect();
    for thread in threads {
        let (n, answer, took) = thread.join().unwrap();
        let answer = answer.unwrap_or_else(|error| panic!("request {n} after {took:?}: {error}"));
        assert!(took < Duration::from_secs(1), "request {n} took {took:?}: {answer:?}");
        if n == AROUND / 2 {
            assert_eq!((answer.status, answer.code()), (500, "internal"), "{answer:?}");
            assert_eq!(answer.body["success"], false, "{answer:?}");
        } else {
            let expected = if n % 2 == 0 { 200 } else { 201 };
            assert_eq!(answer.status, expected, "request {n}: {answer:?}");
        }
    }
    let notes = rig.notes(&bead);
    let expected = (0..AROUND).filter(|n| n % 2 == 1).count();
    assert_eq!(notes.lines().count(), expected, "{notes}");
}

#[test]
fn after_a_panic_in_the_alarm_work_goes_on_within_10_seconds() {
    work_goes_on("panic", Duration::from_secs(10));
}

#[test]
fn after_an_endless_wait_in_the_alarm_the_next_tick_comes_within_10_seconds_and_work_goes_on() {
    // The tick within 10 s, and what it starts within two more.
    work_goes_on("hang", Duration::from_secs(12));
}

/// Two beads, one assigned before the fault and one after it. Nothing but the tick after the fault takes the first
/// one: its own wake would be a minute later.
fn work_goes_on(fault: &str, bound: Duration) {
    let world =
        World::start(|options| options.set("ARM_DELAY_MS", 60_000).set("ACTIVE_ALARM_MS", 60_000));
    let rig = world.rig("faults");
    rig.runs.open(&GATES);
    let before = rig.assigned("assigned before the fault");
    let begin = Instant::now();
    let answer = rig.debug("fault", &format!("alarm/{fault}")).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let after = rig.assigned("assigned after the fault");
    answers_quickly(&rig);
    for bead in [&before, &after] {
        rig.status_until(bead, "closed", LATER);
    }
    let took = begin.elapsed();
    let log = world.stack.worker.log();
    let what = if fault == "panic" { "tick: panic: injected" } else { "tick: took longer than" };
    assert!(log.contains(what), "the fault did not happen:\n{log}");
    assert!(took < bound, "the work was done {took:?} after the fault");
    eprintln!("after a {fault} in the alarm the work was done within {took:?}");
}

/// While the alarm does not end, requests are answered.
#[track_caller]
fn answers_quickly(rig: &Rig) {
    for _ in 0..AROUND {
        let begin = Instant::now();
        rig.get("/status");
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(1), "a request took {took:?}");
    }
}
