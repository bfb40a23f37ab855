//! What a call of the command costs: people, agents and scripts start it anew for each.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::json;

use super::live::{Live, Rig};
use super::process;

/// Calls, so that the kernel's hundredths of a second suffice.
const CALLS: u32 = 200;

/// The command as it is shipped, for a rig.
pub(crate) fn command(rig: &Rig<'_>, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(args).env_clear().envs([
        ("BEADRIG_URL", rig.live.stack.url()),
        ("BEADRIG_TOKEN", rig.token.clone()),
        ("BEADRIG_RIG", rig.name.clone()),
        ("BEADRIG_ACTOR", "bench".to_owned()),
    ]);
    command
}

/// Built beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("beadrig")
}

/// One of the cheapest calls, again and again.
pub(crate) fn report(live: &Live) {
    let rig = live.rig("command");
    let bead = rig.post("/beads", &json!({"title": "a bead", "body": "with a few words in it"}));
    let id = bead["id"].as_str().unwrap();
    let (before, since) = (process::children(), Instant::now());
    for _ in 0..CALLS {
        let done = command(&rig, &["show", id, "--json"]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let own = (process::children() - before) / CALLS;
    let whole = since.elapsed() / CALLS;
    println!("\nThe command, started anew, milliseconds, mean of {CALLS} times");
    println!(
        "  {:<40} {} of its own CPU, {} in all",
        "show --json",
        super::ms(own),
        super::ms(whole)
    );
}
