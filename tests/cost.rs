//! What the rig costs: statements, rows read and rows written of a tick and of the calls, on the built worker.
//!
//! `cargo xtask test cost`. It prints its table with `-- --nocapture`.

#[path = "cost/live.rs"]
mod live;

use std::thread::sleep;
use std::time::Duration;

use live::{Live, Rig};
use serde_json::{Value, json};

/// Closed beads of a rig with a past.
const PAST: u64 = 10_000;

/// No tick comes by itself, and no heartbeat but those of the test.
const STILL: [(&str, &str); 7] = [
    ("AGENT_COMMAND", "sh -c 'exec sleep 600'"),
    ("ARM_DELAY_MS", "3000000"),
    ("ACTIVE_ALARM_MS", "3000000"),
    ("IDLE_ALARM_MS", "3000000"),
    ("HEARTBEAT_MS", "3000000"),
    ("MAX_AGENTS", "10"),
    ("MAX_CONCURRENCY", "50"),
];

/// What something costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    statements: u64,
    rows_read: u64,
    rows_written: u64,
    alarms_set: u64,
}

impl Cost {
    fn of(counts: &Value) -> Self {
        let count = |name: &str| counts[name].as_u64().unwrap();
        Self {
            statements: count("statements"),
            rows_read: count("rows_read"),
            rows_written: count("rows_written"),
            alarms_set: count("set_alarm"),
        }
    }
}

/// What each thing costs, in the order in which it was measured.
type Table = Vec<(&'static str, Cost)>;

fn cost(rig: &Rig<'_>, work: impl FnOnce() -> Value) -> (Cost, Value) {
    rig.bench("stats", &json!({}));
    let answer = work();
    (Cost::of(&rig.bench("stats", &json!({}))), answer)
}

fn tick(rig: &Rig<'_>) -> Cost {
    Cost::of(&rig.bench("tick", &json!({})))
}

/// Every sign of life is a minute older after this.
fn fall_silent(rig: &Rig<'_>) {
    rig.bench("seed", &json!({"silence_ms": 60_000}));
}

/// A rig with a past in which so many agents work, and who they are.
fn rig_at_work<'a>(live: &'a Live, past: u64, agents: usize) -> (Rig<'a>, Vec<(String, i64)>) {
    let rig = live.rig(format!("rig-{past}-{agents}"));
    rig.bench("seed", &json!({"beads": past}));
    for n in 0..agents {
        rig.assign(&format!("bead {n}"));
    }
    tick(&rig);
    let running = rig.running(agents);
    (rig, running)
}

fn heartbeats(running: &[(String, i64)]) -> Value {
    let agents: Vec<_> = running
        .iter()
        .map(|(agent, attempt)| {
            json!({"agent_id": agent, "attempt": attempt, "job_id": "j",
                "last_activity_at": "2026-01-01T00:00:00Z"})
        })
        .collect();
    json!({"protocol": 1, "boot_id": "b", "agents": agents})
}

fn ticks(live: &Live, past: u64, table: &mut Table) {
    let rigs = [0, 1, 10].map(|agents| rig_at_work(live, past, agents));
    // The container says at once that a run is up.
    sleep(Duration::from_secs(2));
    for ((rig, running), [name, due, batch, batch_due]) in rigs.iter().zip([
        ["tick, idle", "", "", ""],
        [
            "tick, 1 at work",
            "tick, 1 sign of life due",
            "heartbeats of 1",
            "heartbeats of 1, due",
        ],
        [
            "tick, 10 at work",
            "tick, 10 signs of life due",
            "heartbeats of 10",
            "heartbeats of 10, due",
        ],
    ]) {
        tick(rig);
        table.push((name, tick(rig)));
        if running.is_empty() {
            continue;
        }
        fall_silent(rig);
        table.push((due, tick(rig)));
        fall_silent(rig);
        let beat = || rig.as_container().post("/heartbeats", &heartbeats(running));
        table.push((batch_due, cost(rig, beat).0));
        table.push((batch, cost(rig, beat).0));
    }
}

/// The calls of people and of an agent, on a rig with one agent at work.
fn calls(live: &Live, past: u64, table: &mut Table) {
    let rig = live.rig(format!("rig-{past}-calls"));
    rig.bench("seed", &json!({"beads": past}));
    for n in 0..120 {
        rig.post("/beads", &json!({"title": format!("bead {n}")}));
    }
    let (create, bead) = cost(&rig, || rig.post("/beads", &json!({"title": "a bead"})));
    table.push(("create", create));
    let (assign, queued) = cost(&rig, || rig.assign("a bead for an agent"));
    table.push(("create for an agent", assign));
    let patch = rig.url(&format!("/beads/{}/close", queued["id"].as_str().unwrap()));
    rig.post(patch.split_once(&rig.name).unwrap().1, &json!({}));

    let agent = json!({"role": "polecat", "name": "Ann", "identity": "polecat/Ann"});
    let agent = rig.post("/agents", &agent)["id"].as_str().unwrap().to_owned();
    let bead = bead["id"].as_str().unwrap();
    let hook = json!({"bead_id": bead});
    let (hook, _) = cost(&rig, || rig.post(&format!("/agents/{agent}/hook"), &hook));
    table.push(("hook", hook));
    tick(&rig);
    let running = rig.running(1);
    sleep(Duration::from_secs(2));

    let own = rig.as_agent(&agent, running[0].1);
    let notes = format!("/beads/{bead}/notes");
    let path = format!("/beads/{bead}");
    let list = |query: &str| cost(&rig, || rig.get(&format!("/beads?limit=100{query}")));
    let note = json!({"text": "so far, so good"});
    table.push(("note of a person", cost(&rig, || rig.post(&notes, &note)).0));
    table.push(("note of an agent", cost(&rig, || own.post(&notes, &note)).0));
    table.push(("get", cost(&rig, || rig.get(&path)).0));
    let (unfinished, beads) = list("&exclude_status=closed,failed");
    assert_eq!(beads.as_array().unwrap().len(), 100);
    table.push(("list 100 unfinished", unfinished));
    table.push(("list 100", list("").0));
    let beat = || own.post(&format!("/agents/{agent}/heartbeat"), &json!({}));
    table.push(("heartbeat of an agent", cost(&rig, beat).0));
    fall_silent(&rig);
    table.push(("heartbeat of an agent, due", cost(&rig, beat).0));
    let done = || own.post(&format!("/agents/{agent}/done"), &json!({"summary": "done"}));
    table.push(("done", cost(&rig, done).0));
}

#[test]
fn every_call_costs_what_it_may_and_no_more_with_a_past() {
    let live = Live::start(&STILL);
    let [new, old] = [0, PAST].map(|past| {
        let mut table = Table::new();
        ticks(&live, past, &mut table);
        calls(&live, past, &mut table);
        table
    });
    println!("statements / rows read / rows written / alarms set");
    println!("{:<28} {:>20} {:>24}", "", "no past", "10,000 closed beads");
    for ((name, new), (_, old)) in new.iter().zip(&old) {
        let show = |it: &Cost| {
            format!("{} / {} / {} / {}", it.statements, it.rows_read, it.rows_written, it.alarms_set)
        };
        println!("{name:<28} {:>20} {:>24}", show(new), show(old));
    }
}
