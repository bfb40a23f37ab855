//! What is done about a run that is alive and does not move.

use crate::rig::notes;
use crate::support::{LATER, World, agent};

#[test]
fn a_silent_agent_is_told_by_mail_and_by_a_line_on_its_standard_input() {
    let world =
        World::start(|options| options.set("AGENT_COMMAND", agent("silent")).set("GUPP_MS", 5_000));
    let rig = world.rig("silent");
    let id = rig.assigned("to be told");
    rig.runs.wait(&id, "told", LATER);
    let bead = rig.status_until(&id, "closed", LATER);
    assert!(notes(&bead).contains("heard: GUPP_CHECK: no activity on bead"), "{}", notes(&bead));
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    let who = bead["assignee_agent_id"].as_str().unwrap();
    let mail = rig.get(&format!("/agents/{who}/mail"));
    assert_eq!(mail[0]["from_agent_id"], "witness", "{mail:#}");
    assert_eq!(mail[0]["subject"], "GUPP_CHECK", "{mail:#}");
}
