//! What one call costs: the command is started anew for each, by people, agents and scripts.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::time::Instant;
use support::linked::RealRig;

/// Calls, so that the kernel's hundredths of a second suffice.
const CALLS: u32 = 60;
/// Milliseconds of its own CPU that a call may cost: a script with a hundred of them is still quick.
const OWN_CPU_MS_MAX: f64 = 15.0;

/// Hundredths of a second that the children of this process have used: utime and stime of those that are over.
fn children() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may hold anything, the fields are numbered from 3.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<_> = fields.split(' ').collect();
    fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap()
}

/// `cargo test --release -p beadrig-cli --test cold -- --nocapture` prints what a call costs as it is shipped.
#[test]
fn a_cold_call_costs_little() {
    let rig = RealRig::five("cold");
    rig.sh("note demo-a1c half of the tests pass");
    let (before, begun) = (children(), Instant::now());
    for _ in 0..CALLS {
        rig.json(&["show", "demo-a1c"]);
    }
    let own = f64::from(u32::try_from(children() - before).unwrap()) * 10.0 / f64::from(CALLS);
    let whole = begun.elapsed().as_secs_f64() * 1000.0 / f64::from(CALLS);
    println!("show --json: {own:.2} ms of its own CPU, {whole:.2} ms in all, mean of {CALLS}");
    // Without optimisation the figure means nothing.
    assert!(cfg!(debug_assertions) || own < OWN_CPU_MS_MAX, "{own:.2} ms");
}
