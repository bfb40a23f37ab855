//! What the rig costs: statements, rows read and rows written of a tick and of the calls, on the built worker.
//!
//! `cargo xtask test cost`. It prints its table with `-- --nocapture`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints a table")]

#[path = "cost/live.rs"]
mod live;
#[path = "cost/reads.rs"]
mod reads;

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
type Table = Vec<(String, Cost)>;

fn cost(rig: &Rig<'_>, work: impl FnOnce() -> Value) -> (Cost, Value) {
    rig.bench("stats", &json!({}));
    let answer = work();
    (Cost::of(&rig.bench("stats", &json!({}))), answer)
}

/// The least of three: now and then a new bead's name is taken by chance, and another try costs a statement more.
/// Only the first of them sets an alarm.
fn cost_of_new(rig: &Rig<'_>, work: impl Fn() -> Value) -> (Cost, Vec<Value>) {
    let (costs, beads): (Vec<_>, Vec<_>) = (0..3).map(|_| cost(rig, &work)).unzip();
    let least = |of: fn(&Cost) -> u64| costs.iter().map(of).min().unwrap();
    let least = Cost {
        statements: least(|it| it.statements),
        rows_read: least(|it| it.rows_read),
        rows_written: least(|it| it.rows_written),
        alarms_set: costs[0].alarms_set,
    };
    (least, beads)
}

fn tick(rig: &Rig<'_>) -> Cost {
    Cost::of(&rig.bench("tick", &json!({})))
}

/// Every sign of life is a minute older after this.
fn fall_silent(rig: &Rig<'_>) {
    rig.bench("seed", &json!({"silence_ms": 60_000}));
}

/// A rig with a past in which so many agents work, and who they are.
fn rig_at_work(live: &Live, past: u64, agents: usize) -> (Rig<'_>, Vec<(String, i64)>) {
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
    // Of no life in particular, so that it is believed beside the real service.
    json!({"protocol": 1, "boot_id": "", "agents": agents})
}

fn ticks(live: &Live, past: u64, table: &mut Table) {
    let rigs = [0, 1, 10].map(|agents| (agents, rig_at_work(live, past, agents)));
    // The container says at once that a run is up.
    sleep(Duration::from_secs(1));
    for (agents, (rig, running)) in &rigs {
        let mut note =
            |what: &str, cost| table.push((what.replace('N', &agents.to_string()), cost));
        tick(rig);
        note("tick, N at work", tick(rig));
        if running.is_empty() {
            continue;
        }
        fall_silent(rig);
        note("tick, N signs of life due", tick(rig));
        fall_silent(rig);
        let beat = || rig.as_container().post("/heartbeats", &heartbeats(running));
        note("heartbeats of N, due", cost(rig, beat).0);
        note("heartbeats of N, again", cost(rig, beat).0);
        note("list N agents", cost(rig, || rig.get("/agents")).0);
        note("list N beads at work", cost(rig, || rig.get("/beads?status=in_progress")).0);
    }
}

/// The calls of people and of an agent, on a rig with one agent at work.
fn calls(live: &Live, past: u64, table: &mut Table) {
    let rig = live.rig(format!("rig-{past}-calls"));
    rig.bench("seed", &json!({"beads": past}));
    for n in 0..120 {
        rig.post("/beads", &json!({"title": format!("bead {n}")}));
    }
    let mut note = |what: &str, cost| table.push((what.to_owned(), cost));
    let (create, beads) = cost_of_new(&rig, || rig.post("/beads", &json!({"title": "a bead"})));
    note("create", create);
    let (assign, queued) = cost_of_new(&rig, || rig.assign("a bead for an agent"));
    note("create for an agent", assign);
    for bead in &queued {
        let path = format!("/beads/{}/close", bead["id"].as_str().unwrap());
        let (close, _) = cost(&rig, || rig.post(&path, &json!({})));
        if bead == &queued[0] {
            note("close", close);
        }
    }

    let agent = json!({"role": "polecat", "name": "Ann", "identity": "polecat/Ann"});
    let agent = rig.post("/agents", &agent)["id"].as_str().unwrap().to_owned();
    let bead = format!("/beads/{}", beads[0]["id"].as_str().unwrap());
    let hook = json!({"bead_id": bead.trim_start_matches("/beads/")});
    note("hook", cost(&rig, || rig.post(&format!("/agents/{agent}/hook"), &hook)).0);
    tick(&rig);
    let own = rig.as_agent(&agent, rig.running(1)[0].1);
    sleep(Duration::from_secs(1));

    let text = json!({"text": "so far, so good"});
    note("note of a person", cost(&rig, || rig.post(&format!("{bead}/notes"), &text)).0);
    note("note of an agent", cost(&rig, || own.post(&format!("{bead}/notes"), &text)).0);
    note("get", cost(&rig, || rig.get(&bead)).0);
    let list = |query: &str| cost(&rig, || rig.get(&format!("/beads?limit=100{query}")));
    let (unfinished, beads) = list("&exclude_status=closed,failed");
    assert_eq!(beads.as_array().unwrap().len(), 100);
    note("list 100 unfinished", unfinished);
    note("list 100", list("").0);
    let heartbeat = || own.post(&format!("/agents/{agent}/heartbeat"), &json!({}));
    note("heartbeat of an agent", cost(&rig, heartbeat).0);
    fall_silent(&rig);
    note("heartbeat of an agent, due", cost(&rig, heartbeat).0);
    let done = || own.post(&format!("/agents/{agent}/done"), &json!({"summary": "done"}));
    note("done", cost(&rig, done).0);
}

fn show(new: &Table, old: &Table) {
    println!("statements / rows read / rows written / alarms set");
    println!("{:<28} {:>18} {:>24}", "", "no past", "10,000 closed beads");
    for ((name, new), (_, old)) in new.iter().zip(old) {
        let [new, old] = [new, old].map(|it| {
            format!(
                "{} / {} / {} / {}",
                it.statements, it.rows_read, it.rows_written, it.alarms_set
            )
        });
        println!("{name:<28} {new:>18} {old:>24}");
    }
}

/// The most rows that each may write: at most half of what the same costs with Gastown's rig in TypeScript
/// (create 11, hook 9, done 13, and a heartbeat one an agent each time).
const WRITTEN_MAX: [(&str, u64); 16] = [
    ("tick, 0 at work", 0),
    ("tick, 1 at work", 0),
    ("tick, 10 at work", 0),
    ("tick, 10 signs of life due", 10),
    ("create", 5),
    // One more index: the queue.
    ("create for an agent", 6),
    ("hook", 4),
    ("note of an agent", 2),
    ("done", 6),
    ("get", 0),
    ("list 100", 0),
    ("heartbeats of 10, due", 10),
    ("heartbeats of 10, again", 0),
    ("heartbeats of 1, again", 0),
    ("heartbeat of an agent", 0),
    ("heartbeat of an agent, due", 1),
];

#[test]
fn every_call_costs_what_it_may_and_no_more_with_a_past() {
    let live = Live::start(&STILL);
    let [new, old] = [0, PAST].map(|past| {
        let mut table = Table::new();
        ticks(&live, past, &mut table);
        calls(&live, past, &mut table);
        table
    });
    show(&new, &old);
    for ((name, new), (_, old)) in new.iter().zip(&old) {
        let mut expected = *new;
        if name == "list 100" {
            // The newest of both halves: as many rows of the past as there are in a page, and their order.
            assert!(old.rows_read <= new.rows_read + 2 * 100, "{name}: {new:?}, {old:?}");
            expected.rows_read = old.rows_read;
        }
        assert_eq!(*old, expected, "{name} costs more with a past");
        if name.starts_with("tick") {
            assert!(new.statements <= 8, "{name}: {new:?}");
        }
        if name.starts_with("list") {
            assert!(new.statements <= 2, "{name}: {new:?}");
        }
    }
    for (name, max) in WRITTEN_MAX {
        let (_, cost) = new.iter().find(|(it, _)| it == name).unwrap();
        assert!(cost.rows_written <= max, "{name}: {cost:?}");
    }
}

#[test]
fn a_rig_that_was_evicted_asks_little_before_its_work() {
    let live = Live::start(&STILL);
    let rig = live.rig("sleeper");
    let stats = || rig.bench("stats", &json!({}));
    let first = stats();
    println!("a new rig asks {} statements before its work", first["open_statements"]);
    // workerd evicts an object that was idle for 10 s; asking keeps it.
    for seconds in [12, 15, 20, 30] {
        sleep(Duration::from_secs(seconds));
        let again = stats();
        if again["opened"] != first["opened"] {
            println!("one that was evicted asks {}", again["open_statements"]);
            assert!(again["open_statements"].as_u64().unwrap() <= 2, "{again}");
            return;
        }
    }
    panic!("the rig was not evicted");
}
