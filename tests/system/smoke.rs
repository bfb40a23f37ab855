//! The first thing that anybody tries, by hand and with the agent that is shipped.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{LATER, World, until};

/// What the agent is to find.
fn hostname() -> String {
    fs::read_to_string("/etc/hostname").map_or_else(
        |_| {
            let name = Command::new("uname").arg("-n").output().unwrap();
            String::from_utf8(name.stdout).unwrap().trim().to_owned()
        },
        |name| name.trim().to_owned(),
    )
}

#[test]
fn a_bead_that_is_assigned_to_agent_is_done_without_anyone_doing_anything() {
    let world = World::start(|options| options.set("AGENT_COMMAND", "example-agent"));
    let rig = world.rig("main");
    let made = rig.say(&[
        "create",
        "auto-dispatch smoke test",
        "-d",
        "Read /etc/hostname inside the agent sandbox and close.",
        "--acceptance",
        "bd note includes 'hostname=' line and bead is closed.",
        "--silent",
    ]);
    let id = made.trim();
    rig.say(&["assign", id, "agent"]);
    let shown = until("closed bead", LATER, || {
        let text = rig.say(&["show", id, "--json"]);
        let shown: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if shown[0]["status"] == "closed" { Ok(shown[0].clone()) } else { Err(text) }
    });
    let notes: Vec<_> = shown["notes"].as_str().unwrap().lines().collect();
    assert!(notes[0].starts_with("auto-dispatcher claimed at 20"), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("dispatched: job=")), "{notes:?}");
    let expected = format!("hostname={}", hostname());
    assert!(notes.contains(&expected.as_str()), "{notes:?} has no {expected}");
    assert!(shown["close_reason"].as_str().unwrap().starts_with("completed by agent "), "{shown}");
    assert_eq!(rig.bead(id)["attempts"], 1);
}
