//! A rig that has nothing to do costs nothing, and neither does one that may do nothing.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::proxy::Proxy;
use crate::rig::Rig;
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, until};

/// How long is watched: many ticks of a rig at work.
const WATCHED: Duration = Duration::from_secs(6);

/// The idle alarm of the second test, in milliseconds.
const IDLE_MS: u64 = 2_000;

/// Each tick sets its alarm before it works, and once more when it knows better.
const ALARMS_A_TICK: u64 = 2;

fn world(idle_ms: u64) -> (World, Proxy) {
    let mut proxy = None;
    let world = World::start(|options| {
        let between = proxy.insert(Proxy::to(options.container_port.number()));
        let url = between.url.clone();
        options.set("CONTAINER_URL", url).set("IDLE_ALARM_MS", idle_ms)
    });
    (world, proxy.unwrap())
}

/// A rig whose work is done.
fn done(world: &World, name: &str) -> Rig {
    let rig = world.rig(name);
    rig.runs.open(&GATES);
    let bead = rig.assigned("done and over");
    rig.status_until(&bead, "closed", LATER);
    rig.idle(SOON);
    rig
}

/// Waits until nothing is to wake it.
fn asleep(rig: &Rig) {
    until("sleep", SOON, || match &rig.try_get("/status")?["next_tick_at"] {
        Value::Null => Ok(()),
        at => Err(at.to_string()),
    });
}

/// What rigs did while nobody looked: alarms that were set, statements; and what the container was asked.
fn watched(rigs: &[&Rig], proxy: &Proxy) -> (Vec<(u64, u64)>, Vec<String>) {
    let stats = |rig: &&Rig| {
        let counts = rig.debug("bench", "stats").unwrap().body;
        (counts["set_alarm"].as_u64().unwrap(), counts["statements"].as_u64().unwrap())
    };
    let before: Vec<_> = rigs.iter().map(stats).collect();
    assert!(before.iter().all(|(alarms, _)| *alarms > 0), "it counts: {before:?}");
    proxy.asked();
    sleep(WATCHED);
    (rigs.iter().map(stats).collect(), proxy.asked())
}

/// Bug 18 of the pollers: an empty queue cost 864 processes a day.
#[test]
fn a_rig_without_work_and_one_that_is_paused_set_no_alarm_and_ask_no_container() {
    let (world, proxy) = world(0);
    let (idle, paused, other) =
        (done(&world, "idle"), done(&world, "paused"), done(&world, "other"));
    // One by its own switch, one by that of the deployment; both with work that waits.
    assert_eq!(paused.operator("POST", "/pause", "").unwrap().status, 200);
    let waits = paused.assigned("waits for the switch");
    assert_eq!(idle.as_operator("POST", "/api/pause").unwrap().status, 200);
    let waits_too = other.assigned("waits for the other switch");
    for rig in [&idle, &paused, &other] {
        asleep(rig);
    }
    let (counts, asked) = watched(&[&idle, &paused, &other], &proxy);
    assert_eq!(counts, [(0, 0); 3], "alarms that were set, and statements, in {WATCHED:?}");
    assert_eq!(asked, Vec::<String>::new());
    eprintln!(
        "three rigs without work, {WATCHED:?}: {counts:?}, the container was asked {asked:?}"
    );

    assert_eq!(idle.as_operator("POST", "/api/resume").unwrap().status, 200);
    other.status_until(&waits_too, "closed", LATER);
    assert_eq!(paused.bead(&waits)["status"], "open");
    assert_eq!(paused.operator("POST", "/resume", "").unwrap().status, 200);
    paused.status_until(&waits, "closed", LATER);
}

#[test]
fn a_rig_without_work_and_one_that_is_paused_tick_once_an_interval_and_ask_no_container() {
    let (world, proxy) = world(IDLE_MS);
    let (idle, paused) = (done(&world, "idle"), done(&world, "paused"));
    assert_eq!(paused.operator("POST", "/pause", "").unwrap().status, 200);
    paused.assigned("waits for the switch");
    // What was to come within seconds has come.
    sleep(Duration::from_millis(2 * IDLE_MS));
    let (counts, asked) = watched(&[&idle, &paused], &proxy);
    let ticks = u64::try_from(WATCHED.as_millis()).unwrap() / IDLE_MS + 1;
    for (alarms, statements) in &counts {
        assert!((1..=ticks * ALARMS_A_TICK).contains(alarms), "{counts:?}");
        assert!(*statements <= ticks * 8, "{counts:?}");
    }
    assert_eq!(asked, Vec::<String>::new());
    eprintln!("two rigs without work, {WATCHED:?}: {counts:?}, the container was asked {asked:?}");
}
