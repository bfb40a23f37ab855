//! A container goes away: by order, by accident, or not at all.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::engine::End;
use crate::support::{SOON, World, until};

/// workerd evicts an object that was not asked anything for 10 s.
const EVICTION: Duration = Duration::from_secs(12);

#[test]
fn a_container_at_work_outlives_the_eviction_of_its_object() {
    let world = World::with_waiting_agents(|options| {
        // The rig leaves its town alone in the meantime; heartbeats go to the rig.
        options.set("ACTIVE_ALARM_MS", 60_000)
    });
    let bead = world.assigned("long");
    let attempt = world.at_work(&bead, None);
    let begin = Instant::now();
    until("end of the wait", EVICTION + SOON, || {
        assert_eq!(world.engine.processes(), 1, "{:?}", world.engine.asked_since(begin));
        if begin.elapsed() > EVICTION { Ok(()) } else { Err("too early".to_owned()) }
    });
    let asked = Instant::now();
    let (status, agents) = world.container("GET", "/agents?rigId=main");
    assert_eq!((status, &agents["agents"][0]["attempt"]), (200, &attempt.into()), "{agents:#}");
    let asked = world.engine.asked_since(asked);
    assert!(asked.iter().any(|it| it == "GET …/json"), "a new object looks first: {asked:?}");
    world.open();
    let bead = world.closed(&bead);
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!(world.engine.machines().len(), 1);
}

#[test]
fn a_container_that_dies_is_started_again_and_the_work_is_done_by_a_second_run() {
    done_by_a_second_run_after(Signal::SIGKILL);
}

#[test]
fn a_container_that_is_told_to_end_is_started_again_and_the_work_is_done_by_a_second_run() {
    done_by_a_second_run_after(Signal::SIGTERM);
}

fn done_by_a_second_run_after(signal: Signal) {
    let world = World::with_waiting_agents(|options| options);
    let bead = world.assigned("cut short");
    let first = world.at_work(&bead, None);
    world.engine.machines()[0].signal(signal);
    let second = world.at_work(&bead, Some(first));
    world.open();
    world.closed(&bead);
    assert!(second > first);
    assert_eq!(world.engine.machines().len(), 2);
    one_at_a_time(&world, &bead);
}

#[test]
fn the_operator_ends_a_container_and_the_next_tick_starts_another() {
    let world = World::with_waiting_agents(|options| options);
    let bead = world.assigned("taken away");
    let first = world.at_work(&bead, None);
    let (status, answer) = world.container("POST", "/destroy");
    assert_eq!((status, &answer["destroyed"]), (200, &true.into()));
    assert_eq!(world.engine.machines()[0].pid(), None, "it is gone when the answer comes");
    world.at_work(&bead, Some(first));
    world.open();
    world.closed(&bead);
    one_at_a_time(&world, &bead);
}

#[test]
fn a_container_that_outlives_its_end_cannot_act_any_more() {
    let world = World::with_waiting_agents(|options| options);
    let bead = world.assigned("undead");
    let first = world.at_work(&bead, None);
    world.engine.end(End::Pretend);
    let (status, answer) = world.container("POST", "/destroy");
    assert_eq!(status, 200, "{answer}");
    let second = world.at_work(&bead, Some(first));
    assert_eq!(world.engine.processes(), 2, "the first one is still there");
    // Its next heartbeat tells it that its run is over.
    until("end of the first run", SOON, || {
        let runs = world.runs(&bead);
        let last = runs.iter().rposition(|(attempt, _)| *attempt == first).unwrap_or_default();
        let since = runs.len() - last;
        if since > 20 { Ok(()) } else { Err(format!("{since} signs of life of the second since")) }
    });
    world.open();
    world.closed(&bead);
    let closed = world.runs(&bead).into_iter().filter(|(_, word)| word == "closes");
    assert_eq!(closed.map(|(attempt, _)| attempt).collect::<Vec<_>>(), [second]);
}

#[test]
fn an_engine_that_never_ends_a_container_holds_nobody_up() {
    let world = World::with_waiting_agents(|options| options);
    let bead = world.assigned("goes on");
    world.at_work(&bead, None);
    world.engine.end(End::Never);
    let begin = Instant::now();
    let (status, answer) = world.container("POST", "/destroy");
    assert_eq!((status, &answer["code"]), (504, &"unknown".into()), "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    world.open();
    world.closed(&bead);
}

#[test]
fn a_worker_that_was_killed_finds_its_container_at_work() {
    let world = World::with_waiting_agents(|options| options);
    let bead = world.assigned("long");
    let attempt = world.at_work(&bead, None);
    world.stack.worker.restart().unwrap();
    let (status, agents) = world.container("GET", "/agents?rigId=main");
    assert_eq!((status, &agents["agents"][0]["attempt"]), (200, &attempt.into()), "{agents:#}");
    world.open();
    let bead = world.closed(&bead);
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!(world.engine.machines().len(), 1);
}

#[test]
fn a_container_that_never_answers_holds_nobody_up_and_loses_nothing() {
    let world = World::start(|options| options);
    world.engine.deafen(true);
    let bead = world.assigned("patience");
    let why = world.waits_for_the_container(&bead);
    assert!(why.contains("did not answer within"), "{why}");
    let begin = Instant::now();
    let (status, answer) = world.container("GET", "/health");
    assert_eq!((status, &answer["code"]), (503, &"capacity".into()));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    until("end of all connections", Duration::from_secs(5), || match world.engine.connections() {
        0 => Ok(()),
        open => Err(format!("{open} are open")),
    });

    world.engine.deafen(false);
    let bead = world.closed(&bead);
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!(world.engine.machines().len(), 1);
}

/// Nobody wrote anything after somebody else had begun.
#[track_caller]
fn one_at_a_time(world: &World, bead: &str) {
    let mut attempts: Vec<i64> = world.runs(bead).into_iter().map(|(attempt, _)| attempt).collect();
    attempts.dedup();
    assert_eq!(attempts.len(), 2, "two runs, one after the other: {attempts:?}");
}
