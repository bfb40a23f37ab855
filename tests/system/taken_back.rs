//! What a person takes back stops, whatever the agent thinks of it, and stays as the person said.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::runs::is_there;
use crate::support::{LATER, SOON, World, agent, until};

/// The grace of the stack, what the tick takes to come, and then some for a machine with other things to do.
const GONE: Duration = Duration::from_secs(6);

#[test]
fn taking_a_bead_back_ends_its_processes_and_leaves_it_open_for_nobody() {
    let world = stubborn();
    let rig = world.rig("assign");
    let bead = taken_back(&rig, |id| drop(rig.say(&["assign", id, ""])));
    assert_eq!((&bead["status"], &bead["assignee"]), (&json!("open"), &json!(null)), "{bead:#}");
}

#[test]
fn closing_a_bead_by_hand_ends_its_processes_and_leaves_it_closed() {
    let world = stubborn();
    let rig = world.rig("close");
    let bead = taken_back(&rig, |id| drop(rig.say(&["close", id, "-r", "not needed any more"])));
    assert_eq!(bead["status"], "closed", "{bead:#}");
    assert_eq!(bead["close_reason"], "not needed any more", "{bead:#}");
}

#[test]
fn blocking_a_bead_by_hand_ends_its_processes_and_leaves_it_blocked() {
    let world = stubborn();
    let rig = world.rig("block");
    let bead = taken_back(&rig, |id| drop(rig.say(&["update", id, "-s", "blocked"])));
    assert_eq!(bead["status"], "blocked", "{bead:#}");
}

fn stubborn() -> World {
    World::start(|options| options.set("AGENT_COMMAND", agent("stubborn")))
}

/// A bead that was taken back while it ran, and what it looks like when all is over.
#[track_caller]
fn taken_back(rig: &Rig, take: impl FnOnce(&str)) -> Value {
    let id = rig.assigned("on second thoughts, no");
    rig.runs.wait(&id, "started", LATER);
    let processes: Vec<_> = rig.runs.entries().into_iter().map(|it| (it.word, it.pid)).collect();
    assert_eq!(processes.len(), 3, "{}", rig.runs.told());
    assert!(processes.iter().all(|(_, pid)| is_there(*pid)), "{processes:?}");
    take(&id);
    until("end of all processes", GONE, || {
        let left: Vec<_> = processes.iter().filter(|(_, pid)| is_there(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are there")) }
    });
    rig.idle(SOON);
    assert_eq!(rig.runs.of(&id).len(), 3, "{}", rig.runs.told());
    rig.bead(&id)
}
