//! How fast the built worker is: `cargo xtask bench`. It prints a report and asserts nothing about time.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it prints a report")]

#[path = "bench/command.rs"]
mod command;
#[path = "bench/exchange.rs"]
mod exchange;
#[path = "exchange/generated.rs"]
mod generated;
#[path = "cost/live.rs"]
mod live;
#[path = "bench/load.rs"]
mod load;
#[path = "bench/process.rs"]
mod process;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use live::{Live, Rig};
use load::{Ask, load};
use serde_json::json;
use tempfile::TempDir;
use xtask::worker::{self, Variant};

/// Of a route with a number of connections.
const HOW_LONG: Duration = Duration::from_millis(1_500);

/// The routes that are measured, and the CPU microseconds a request at 1 and at 16 connections that were measured
/// on 2 quiet cores with storage in memory: of the platform alone, and of Gastown's rig in TypeScript.
const KNOWN: [(&str, &str); 6] = [
    ("health, no rig", "an empty worker 41 / 31"),
    ("create", "an INSERT 240 / 108, TypeScript 463 / 233"),
    ("get", "an empty object 176 / 72, TypeScript 321 / 145"),
    ("list 100", "TypeScript 1172 / 1131"),
    ("note", "an INSERT 240 / 108"),
    ("heartbeat", "an empty object 176 / 72, TypeScript 307 / 136"),
];

#[test]
fn report() {
    sizes();
    start();
    println!("\nFrom the answer to an assignment to the agent's first act, milliseconds, 20 times");
    dispatch("100", "with the 100 ms in which changes gather");
    dispatch("0", "without");
    requests();
}

/// By itself: `cargo xtask bench import`.
#[test]
fn import() {
    exchange::report();
}

fn sizes() {
    println!("\nSize");
    for (name, variant) in [("product", Variant::Product), ("for tests", Variant::Test)] {
        if worker::is_built(variant) && worker::is_fresh(variant).unwrap() {
            let size = worker::size(&variant.dir().join("index_bg.wasm")).unwrap();
            println!("  {name:<10} {size}");
        }
    }
}

/// In memory, where there is such a place: what is measured is the rig, not the disk.
fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// From the start of workerd to its first answers.
fn start() {
    let live = Live::start(&[]);
    let rig = live.rig("main");
    rig.get("/status");
    let (mut health, mut answer, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..7 {
        live.stack.worker.kill();
        let since = Instant::now();
        live.stack.worker.start().unwrap();
        while live.stack.worker.get("/health").is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        health.push(since.elapsed());
        rig.get("/status");
        answer.push(since.elapsed());
        memory = process::memory(live.stack.worker.pid().unwrap());
    }
    println!("\nFrom the start of workerd, milliseconds");
    println!("  {:<40} {}", "to the first answer of /health", spread(health));
    println!("  {:<40} {}", "to the first answer of a rig", spread(answer));
    println!("  memory then: {} MB", memory / 1_024);
}

/// From the answer to an assignment to the agent's process.
fn dispatch(arm_delay_ms: &str, what: &str) {
    let marks = tempfile::tempdir().unwrap();
    let agent = format!("sh -c 'exec date +%s%N >{}/{{bead_id}}'", marks.path().display());
    let live = Live::start(&[("AGENT_COMMAND", &agent), ("ARM_DELAY_MS", arm_delay_ms)]);
    let rig = live.rig("main");
    let times = (0..20).map(|n| one_dispatch(&rig, marks.path(), n)).collect();
    println!("  {what:<40} {}", spread(times));
}

fn one_dispatch(rig: &Rig<'_>, marks: &Path, n: usize) -> Duration {
    let bead = rig.assign(&format!("bead {n}"));
    let assigned = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let bead = bead["id"].as_str().unwrap();
    let mark = marks.join(bead);
    let patience = Instant::now() + Duration::from_secs(20);
    let began = loop {
        let text = std::fs::read_to_string(&mark).unwrap_or_default();
        if let Some(nanos) = text.strip_suffix('\n') {
            break Duration::from_nanos(nanos.parse().unwrap());
        }
        assert!(Instant::now() < patience, "bead {bead} was not started");
        std::thread::sleep(Duration::from_millis(2));
    };
    // Nothing of it is left when the next one comes.
    rig.post(&format!("/beads/{bead}/close"), &json!({}));
    while rig.get("/agents").as_array().unwrap().iter().any(|it| !it["attempt"].is_null()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    began.saturating_sub(assigned)
}

/// What routes cost at 1 and at 16 connections.
fn requests() {
    let live = Live::start_in(in_memory(), &[("AGENT_COMMAND", "sh -c 'exec sleep 600'")]);
    let rig = live.rig("main");
    rig.assign("at work");
    let (agent, attempt) = rig.running(1).remove(0);
    let own = rig.as_agent(&agent, attempt);
    let new = json!({"title": "a bead", "body": "with a few words in it"});
    let beads: Vec<_> =
        (0..500).map(|_| rig.post("/beads", &new)["id"].as_str().unwrap().to_owned()).collect();
    let bead = |n: usize| &beads[n % beads.len()];
    let get = |path: &str| Ask { url: rig.url(path), body: None };
    let post = |path: &str, body: serde_json::Value| Ask {
        url: rig.url(path),
        body: Some(body.to_string()),
    };
    println!(
        "\nRequests: a second; p50, p99 in milliseconds; CPU microseconds of workerd a request"
    );
    println!("  {:<15} {:>26} {:>26}   known CPU, 1 / 16", "", "1 connection", "16 connections");
    for (name, known) in KNOWN {
        let ask = |n: usize| match name {
            "health, no rig" => Ask { url: format!("{}/health", live.stack.url()), body: None },
            "create" => post("/beads", new.clone()),
            "get" => get(&format!("/beads/{}", bead(n))),
            "list 100" => get("/beads?limit=100"),
            "note" => {
                post(&format!("/beads/{}/notes", bead(n)), json!({"text": "so far, so good"}))
            }
            _ => post(&format!("/agents/{agent}/heartbeat"), json!({})),
        };
        let token = if name == "heartbeat" { &own.token } else { &rig.token };
        let pid = live.stack.worker.pid().unwrap();
        let [one, many] = [1, 16].map(|connections| {
            let it = load(pid, token, connections, HOW_LONG, ask);
            format!("{:.0}; {}, {}; {}", it.per_s, ms(it.p50), ms(it.p99), it.cpu.as_micros())
        });
        println!("  {name:<15} {one:>26} {many:>26}   {known}");
    }
    let memory = process::memory(live.stack.worker.pid().unwrap());
    println!("  memory of workerd then: {} MB", memory / 1_024);
    command::report(&live);
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1_000.0)
}

/// "median 12.3 (min 11.0, max 15.1)"
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let [min, median, max] = [0, times.len() / 2, times.len() - 1].map(|n| ms(times[n]));
    format!("median {median} (min {min}, max {max})")
}
