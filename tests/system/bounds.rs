//! How often and how much: attempts, places, and what a bead that waits says.

use crate::rig::notes;
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, agent, until};

#[test]
fn a_bead_whose_agent_always_dies_is_started_five_times_and_then_fails_with_its_last_words() {
    let world =
        World::start(|options| options.set("AGENT_COMMAND", agent("dies")).set("BACK_OFF_MS", 100));
    let rig = world.rig("dies");
    let id = rig.assigned("never works");
    let bead = rig.status_until(&id, "failed", LATER);
    rig.idle(SOON);
    assert_eq!(rig.runs.count(&id, "started"), 5, "{}", rig.runs.told());
    assert_eq!(bead["attempts"], 5, "{bead:#}");
    assert_eq!(bead["failure"]["code"], "attempts_exhausted", "{bead:#}");
    let why = bead["failure"]["message"].as_str().unwrap();
    assert!(why.contains("no compiler here") && why.contains("exited with code 1"), "{why}");
    for n in 1..5 {
        let note = format!("attempt {n} of 5: exited with code 1");
        assert!(notes(&bead).contains(&note), "no \"{note}\" in\n{}", notes(&bead));
    }
    rig.runs.check_one_at_a_time(&id);
    // Nothing moves a failed bead but a person.
    rig.say(&["reopen", &id, "-r", "there is a compiler now"]);
    until("sixth start", SOON, || match rig.runs.count(&id, "started") {
        n if n > 5 => Ok(()),
        n => Err(format!("{n} starts")),
    });
}

#[test]
fn a_bead_without_acceptance_criteria_waits_and_says_so_until_it_has_some() {
    let world = World::start(|options| options);
    let rig = world.rig("criteria");
    rig.runs.open(&GATES);
    let id = rig.say(&["create", "done when?", "-a", "agent", "--silent"]).trim().to_owned();
    // One that is younger is taken meanwhile: the rig has looked and passed over the first one.
    let other = rig.assigned("done when it is done");
    rig.status_until(&other, "closed", LATER);
    let bead = rig.bead(&id);
    assert_eq!(bead["status"], "open", "{bead:#}");
    assert_eq!(bead["waiting"]["reason"], "no_acceptance_criteria", "{bead:#}");
    let shown = rig.say(&["show", &id]);
    assert!(shown.contains("no acceptance criteria"), "{shown}");
    rig.say(&["update", &id, "--acceptance", "it is done"]);
    rig.status_until(&id, "closed", LATER);
}

#[test]
fn beads_that_find_the_container_full_wait_for_a_place_and_that_costs_no_attempt() {
    let world = World::start(|options| options.set("MAX_CONCURRENCY", 1).set("MAX_AGENTS", 3));
    let rig = world.rig("full");
    let beads: Vec<_> = (0..3).map(|n| rig.assigned(&format!("bead {n}"))).collect();
    let waits = |id: &String| rig.bead(id)["waiting"]["reason"] == "container_unavailable";
    until("two beads that wait for the container", SOON, || {
        match beads.iter().filter(|id| waits(id)).count() {
            2 => Ok(()),
            n => Err(format!("{n} wait\n{}", rig.runs.told())),
        }
    });
    rig.runs.open(&GATES);
    for id in &beads {
        let bead = rig.status_until(id, "closed", LATER);
        assert_eq!(bead["attempts"], 1, "{bead:#}");
        assert_eq!(rig.runs.of(id).len(), 1, "{}", rig.runs.told());
    }
}

#[test]
fn a_bead_that_is_assigned_while_the_container_service_is_down_is_done_when_it_is_up() {
    let world = World::prepare(|options| options);
    world.stack.worker.start().unwrap();
    world.stack.worker.wait_healthy(xtask::stack::START).unwrap();
    let rig = world.rig("down");
    rig.runs.open(&GATES);
    let id = rig.assigned("to be done later");
    rig.bead_until(&id, "waiting for the container", SOON, |bead| {
        bead["waiting"]["reason"] == "container_unavailable"
    });
    assert_eq!(rig.bead(&id)["attempts"], 0);
    world.stack.container.start().unwrap();
    let bead = rig.status_until(&id, "closed", LATER);
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!(rig.runs.of(&id).len(), 1, "{}", rig.runs.told());
}
