//! What was answered is still there after a stop and a start, and what was due happens.

use std::fs;
use std::path::Path;
use std::time::Duration;

use xtask::stack::START;

use crate::runs::GATES;
use crate::support::{LATER, World};

#[test]
fn after_a_stop_and_a_start_everything_is_there_and_assigned_work_is_done_without_a_request() {
    // Long enough for both parts to be down before the rig takes the bead.
    let world = World::start(|options| options.set("ARM_DELAY_MS", 4_000));
    let rig = world.rig("restart");
    let quiet = rig.create("for later");
    rig.say(&["note", &quiet, "written before the stop"]);
    rig.say(&["update", &quiet, "-p", "0", "--add-label", "kept"]);
    let before = rig.bead(&quiet);
    let id = rig.assigned("assigned before the stop");
    world.stack.stop(Duration::from_secs(10));
    assert!(rig.runs.entries().is_empty(), "it was taken before the stop:\n{}", rig.runs.told());
    rig.runs.open(&GATES);

    for part in [&world.stack.container, &world.stack.worker] {
        part.start().unwrap();
    }
    // The front door's health wakes no rig.
    world.stack.worker.wait_healthy(START).unwrap();
    rig.runs.wait(&id, "ended", LATER);
    let bead = rig.bead(&id);
    assert_eq!((&bead["status"], &bead["attempts"]), (&"closed".into(), &1.into()), "{bead:#}");
    assert_eq!(rig.bead(&quiet), before);
}

#[test]
fn work_that_ran_at_a_polite_stop_is_done_after_the_start() {
    let world = World::start(|options| options);
    let rig = world.rig("polite");
    let id = rig.assigned("stopped in the middle");
    rig.runs.wait(&id, "started", LATER);
    world.stack.stop(Duration::from_secs(10));
    rig.runs.open(&GATES);
    world.stack.container.start().unwrap();
    world.stack.worker.start().unwrap();
    world.stack.worker.wait_healthy(START).unwrap();
    rig.runs.wait(&id, "ended", LATER);
    let bead = rig.bead(&id);
    assert_eq!(bead["status"], "closed", "{bead:#}");
    // The container said that it was shutting down: no fault of the bead.
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    rig.runs.check_one_at_a_time(&id);
}

#[test]
fn a_rig_that_was_restored_to_yesterday_gives_no_attempt_number_again_and_does_the_work() {
    let world = World::start(|options| options);
    let rig = world.rig("restored");
    rig.runs.open(&GATES);
    let id = rig.create("done today, and not yet yesterday");
    let (state, yesterday) =
        (world.stack.data().join("state"), world.stack.data().join("yesterday"));
    world.stack.worker.stop(Duration::from_secs(10));
    copy(&state, &yesterday);
    world.stack.worker.start().unwrap();
    world.stack.worker.wait_healthy(START).unwrap();
    rig.assign(&id);
    rig.status_until(&id, "closed", LATER);
    rig.idle(LATER);
    let first = rig.runs.of(&id)[0].0;

    world.stack.worker.stop(Duration::from_secs(10));
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&yesterday, &state).unwrap();
    world.stack.worker.start().unwrap();
    world.stack.worker.wait_healthy(START).unwrap();
    let bead = rig.bead(&id);
    assert_eq!((&bead["status"], &bead["attempts"]), (&"open".into(), &0.into()), "{bead:#}");
    rig.assign(&id);
    rig.status_until(&id, "closed", LATER);
    let attempts: Vec<i64> = rig.runs.of(&id).into_iter().map(|(attempt, _)| attempt).collect();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert!(attempts[1] > first, "{attempts:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}
