//! A container service that takes connections and answers nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::Rig;
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, until};

const AGENTS: usize = 10;

/// A tick with an unreachable container.
const TICK_MAX: Duration = Duration::from_secs(10);

/// Any other request meanwhile.
const ANSWER_MAX: Duration = Duration::from_secs(1);

fn world(arm_delay_ms: u64) -> World {
    World::start(|options| {
        options
            .set("MAX_AGENTS", AGENTS)
            .set("MAX_CONCURRENCY", AGENTS)
            .set("ARM_DELAY_MS", arm_delay_ms)
    })
}

#[test]
fn ten_starts_at_a_container_that_hangs_hold_up_neither_the_tick_nor_a_request() {
    // Long enough for the tick below to be the first that sees them.
    let world = world(2_000);
    let rig = world.rig("starts");
    rig.runs.open(&GATES);
    let beads: Vec<_> = (0..AGENTS).map(|n| rig.create(&format!("bead {n}"))).collect();
    // The container has just answered, so that nothing warns the rig.
    let first = rig.assigned("done while all is well");
    rig.status_until(&first, "closed", LATER);
    rig.idle(LATER);
    world.stack.container.freeze();
    for bead in &beads {
        rig.assign(bead);
    }
    tick(&rig);
    tick(&rig);
    let held =
        rig.get("/status")["agents"].as_array().unwrap().iter().filter(|it| is_hooked(it)).count();
    assert_eq!(held, AGENTS, "{:#}", rig.get("/status"));
    world.stack.container.thaw();
    for id in &beads {
        let bead = rig.status_until(id, "closed", LATER);
        assert_eq!(bead["attempts"], 1, "{bead:#}");
        assert_eq!(rig.runs.of(id).len(), 1, "{}", rig.runs.told());
    }
}

#[test]
fn ten_runs_in_a_container_that_hangs_hold_up_neither_the_tick_nor_a_request() {
    let world = world(50);
    let rig = world.rig("runs");
    let beads: Vec<_> = (0..AGENTS).map(|n| rig.assigned(&format!("bead {n}"))).collect();
    for bead in &beads {
        rig.runs.wait(bead, "started", LATER);
    }
    until("ten runs that are known", SOON, || {
        let status = rig.try_get("/status")?;
        let runs = status["agents"].as_array().into_iter().flatten();
        match runs.filter(|it| it["attempt"]["state"] == "running").count() {
            AGENTS => Ok(()),
            n => Err(format!("{n}: {status:#}")),
        }
    });
    world.stack.container.freeze();
    tick(&rig);
    // Now half of them are to be stopped, too.
    for bead in &beads[AGENTS / 2..] {
        rig.say(&["assign", bead, ""]);
    }
    tick(&rig);
    world.stack.container.thaw();
    rig.runs.open(&GATES);
    for bead in &beads[..AGENTS / 2] {
        rig.status_until(bead, "closed", LATER);
        assert_eq!(rig.runs.of(bead).len(), 1, "{}", rig.runs.told());
    }
    rig.idle(LATER);
    for bead in &beads[AGENTS / 2..] {
        assert_eq!(rig.bead(bead)["status"], "open");
    }
}

fn is_hooked(agent: &serde_json::Value) -> bool {
    agent["current_hook_bead_id"].is_string()
}

/// One tick, with others who ask the rig meanwhile.
#[track_caller]
fn tick(rig: &Rig) {
    let over = AtomicBool::new(false);
    let (took, slowest, asked) = thread::scope(|scope| {
        let others = scope.spawn(|| {
            let (mut slowest, mut asked) = (Duration::ZERO, 0);
            while !over.load(Ordering::Relaxed) {
                let begin = Instant::now();
                rig.get("/status");
                slowest = slowest.max(begin.elapsed());
                asked += 1;
            }
            (slowest, asked)
        });
        let begin = Instant::now();
        let answer = rig.debug("bench", "tick?n=1");
        let took = begin.elapsed();
        over.store(true, Ordering::Relaxed);
        let (slowest, asked) = others.join().unwrap();
        assert_eq!(answer.as_ref().map(|it| it.status), Ok(200), "{answer:?}");
        (took, slowest, asked)
    });
    eprintln!("a tick took {took:?}; the slowest of {asked} requests meanwhile {slowest:?}");
    assert!(took < TICK_MAX, "a tick took {took:?}");
    assert!(slowest < ANSWER_MAX, "a request meanwhile took {slowest:?}");
    assert!(asked > 0);
}
