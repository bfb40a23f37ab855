//! The example agent that ships with the service.

use std::os::unix::fs::PermissionsExt as _;

use beadrig::wire::container::Outcome;
use serde_json::json;

use crate::town::{Town, start};

const AGENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/agents");

/// Runs the example agent on a prompt; says how it called `beadrig`.
async fn calls(prompt: &str) -> Vec<String> {
    let town = Town::with(&[("BEADRIG_AGENTS_DIR", AGENTS)]).await;
    let beadrig = town.data.path().join("beadrig");
    std::fs::write(&beadrig, "#!/bin/sh\nprintf '%s\\n' \"$*\" >> ../calls\n").unwrap();
    std::fs::set_permissions(&beadrig, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut request = start("a1", 1, "");
    request["command"] = json!(["example-agent"]);
    request["prompt"] = json!(prompt);
    request["envVars"] = json!({"PATH": format!("{}:/usr/bin:/bin", town.data.path().display())});
    let (status, body) = town.post("/agents/start", request).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(town.report("a1", 1).await.status, Outcome::Completed);
    let calls = std::fs::read_to_string(town.workdir("calls")).unwrap();
    calls.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_example_agent_notes_the_hostname_and_closes_its_bead() {
    let calls = calls("# Smoke test\nRead the Hostname of the machine.").await;
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert_eq!(calls[0], "note b-a1 claimed by agent 0123456789ab");
    assert!(
        calls[1].starts_with("note b-a1 hostname=") && calls[1].len() > "note b-a1 hostname=".len()
    );
    assert_eq!(calls[2], "close b-a1 -r completed by agent 0123456789ab");
}

#[tokio::test]
async fn the_example_agent_does_not_do_what_it_does_not_know() {
    let calls = calls("Delete everything.").await;
    let rails = "note b-a1 blocked: out of rails — this example agent only reads /etc/hostname";
    assert_eq!(calls[1..], [rails.to_owned(), "update b-a1 -s blocked".to_owned()]);
}
