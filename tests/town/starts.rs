//! A container comes up: quickly, slowly, or not at all.

use std::time::Duration;

use crate::machine::Boot;
use crate::support::World;

#[test]
fn the_smoke_bead_is_done_in_a_container_that_the_platform_started() {
    let world = World::start(|options| options);
    let bead = world.closed(&world.assigned("auto-dispatch smoke test"));
    assert!(bead["notes"].to_string().contains("hostname="), "{bead:#}");
    assert_eq!(bead["attempts"], 1, "{bead:#}");

    let machines = world.engine.machines();
    assert_eq!(machines.len(), 1);
    let env = machines[0].env();
    let expected = [
        ("BEADRIG_URL", world.stack.url()),
        ("BEADRIG_CONTAINER_TOKEN", world.stack.container_token()),
        ("BEADRIG_CONTAINER_LISTEN", "0.0.0.0:8080".to_owned()),
        ("DRAIN_MS", "500".to_owned()),
        ("GRACE_MS", "1000".to_owned()),
        ("HEARTBEAT_MS", "300".to_owned()),
        ("MAX_CONCURRENCY", "7".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(env.get(name), Some(&value), "{name} of {:?}", env.keys());
    }
    let secrets = [&world.stack.secrets().token, &world.stack.secrets().jwt_secret];
    let leaked = env.iter().find(|(_, value)| secrets.iter().any(|it| value.contains(*it)));
    assert_eq!(leaked.map(|(name, _)| name), None, "no secret but the container's own goes in");

    let (status, health) = world.container("GET", "/health");
    assert_eq!((status, &health["status"], &health["capacity"]), (200, &"ok".into(), &7.into()));
}

#[test]
fn a_start_that_takes_three_seconds_costs_no_attempt() {
    slow_start(Duration::from_secs(3), 120_000);
}

#[test]
fn a_start_that_takes_eight_seconds_costs_no_attempt() {
    // Nor is it replaced, though it is silent for much longer than a container that has come up may be.
    slow_start(Duration::from_secs(8), 20_000);
}

fn slow_start(delay: Duration, grace_ms: u32) {
    let world = World::start(|options| {
        options.set("CONTAINER_GRACE_MS", grace_ms).set("CONTAINER_WEDGED_MS", 1_000)
    });
    world.engine.boot(Boot::After(delay));
    let bead = world.closed(&world.assigned("slow"));
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!(world.engine.machines().len(), 1, "one start, one container");
    assert_eq!(world.engine.processes(), 1);
}

#[test]
fn all_that_wait_for_the_first_start_go_with_it() {
    let world = World::start(|options| options);
    world.engine.boot(Boot::After(Duration::from_secs(1)));
    let beads = ["one", "two", "three"].map(|title| world.assigned(title));
    for bead in beads {
        let bead = world.closed(&bead);
        assert_eq!(bead["attempts"], 1, "{bead:#}");
    }
    let log = world.stack.worker.log();
    assert!(!log.contains("waiting_for_container"), "{log}");
    assert_eq!(world.engine.machines().len(), 1);
}

#[test]
fn a_start_that_the_engine_refuses_costs_no_attempt_and_is_tried_again() {
    let world = World::start(|options| options);
    world.engine.boot(Boot::Refused);
    let bead = world.assigned("no room");
    world.waits_for_the_container(&bead);
    world.engine.boot(Boot::After(Duration::ZERO));
    let bead = world.closed(&bead);
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!(world.engine.processes(), 1);
}

#[test]
fn a_container_of_which_nothing_runs_costs_no_attempt_and_can_be_replaced() {
    let world = World::start(|options| options);
    world.engine.boot(Boot::Never);
    let bead = world.assigned("nothing runs");
    let why = world.waits_for_the_container(&bead);
    assert!(why.contains("does not answer") && why.contains("not listening"), "{why}");
    assert_eq!((world.engine.machines().len(), world.engine.processes()), (1, 0));

    world.engine.boot(Boot::After(Duration::ZERO));
    let (status, answer) = world.container("POST", "/destroy");
    assert_eq!(status, 200, "{answer}");
    let bead = world.closed(&bead);
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!((world.engine.machines().len(), world.engine.processes()), (2, 1));
}

#[test]
fn without_a_public_url_nothing_is_started_and_the_bead_says_why() {
    let world = World::start(|options| options.set("PUBLIC_URL", ""));
    let why = world.waits_for_the_container(&world.assigned("nowhere to report to"));
    assert!(why.contains("PUBLIC_URL is not set"), "{why}");
    assert_eq!(world.engine.machines().len(), 0);
}
