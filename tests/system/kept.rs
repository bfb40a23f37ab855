//! Work in worktrees whose service ends, politely or not: what was committed and what was not is there for the next
//! run, and lands once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::git::{configure, git, repository};
use crate::rig::Rig;
use crate::support::{LATER, World, agent, until};

/// A service that is told to end is gone after this long; the platform kills it later.
const LEAVES_WITHIN: Duration = Duration::from_mins(1);

/// A merge whose service was killed is reported by the next one at once, and begun again after the 30 s that the rig
/// waits after a fault of the container. One of which nothing is heard takes five minutes.
const BEGUN_AGAIN: Duration = Duration::from_mins(1);

/// A rig whose agents are ended in the middle of their work, and its remote.
fn world_of_keepers(settings: &[(&str, u64)]) -> (World, Rig, PathBuf) {
    let command = format!("{} '{{title}}'", agent("keeps"));
    let world = World::start(|options| {
        let options = options.set("AGENT_COMMAND", command).set("MAX_AGENTS", 3);
        settings.iter().fold(options, |options, (name, value)| options.set(name, value))
    });
    let url = repository(world.dir());
    let rig = world.rig("kept");
    configure(&rig, &json!({"git_url": url}));
    (world, rig, url.into())
}

/// What a repository has under a name.
fn refs(origin: &Path, under: &str) -> Vec<String> {
    let said = git(origin, &["for-each-ref", "--format=%(refname)", under]);
    said.lines().map(str::to_owned).collect()
}

/// A bead's work is on the remote, once, with what its first run had not committed, and nothing else is left.
fn landed_once(origin: &Path, bead: &Value, file: &str) {
    let id = bead["id"].as_str().unwrap();
    let found =
        git(origin, &["log", "--format=%s", &format!("--grep=^Beadrig-Bead: {id}$"), "main"]);
    assert_eq!(found.lines().count(), 1, "{found}");
    let show = |name: &str| git(origin, &["show", &format!("main:{name}")]);
    assert_eq!(show(file), show(&format!("{file}.begun")), "both are of the first run");
    let left = || [refs(origin, "refs/beadrig"), refs(origin, "refs/heads/gt")].concat();
    until("remote without what has landed", LATER, || {
        let left = left().into_iter().filter(|name| name.contains(id)).collect::<Vec<_>>();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

#[test]
fn a_service_that_is_killed_in_the_middle_of_a_run_loses_nothing_of_its_worktree() {
    let (world, rig, origin) = world_of_keepers(&[]);
    let bead = rig.assigned("file");
    rig.runs.wait(&bead, "begun", LATER);
    world.stack.container.restart().unwrap();
    let closed = rig.status_until(&bead, "closed", LATER * 2);
    rig.idle(LATER);
    assert_eq!(rig.runs.count(&bead, "found"), 1, "{}", rig.runs.told());
    assert_eq!(closed["attempts"], 1, "lost with its service: no fault of the bead");
    rig.runs.check_one_at_a_time(&bead);
    landed_once(&origin, &closed, "file");
}

#[test]
fn a_service_that_is_told_to_end_leaves_the_work_of_three_agents_on_the_remote_for_another_disk() {
    // As they are without being set, and none of the agents listens.
    let (world, rig, origin) = world_of_keepers(&[("DRAIN_MS", 15_000), ("GRACE_MS", 10_000)]);
    let files = ["one", "two", "three"];
    let beads = files.map(|file| rig.assigned(file));
    for bead in &beads {
        rig.runs.wait(bead, "begun", LATER);
    }
    let told = Instant::now();
    world.stack.container.terminate();
    until("service that is gone", LEAVES_WITHIN, || match world.stack.container.pid() {
        None => Ok(()),
        Some(pid) => Err(format!("{pid}\n{}", world.stack.container.log())),
    });
    let took = told.elapsed();
    eprintln!("gone after {took:?}, with the work of three agents on the remote");
    assert_eq!(refs(&origin, "refs/heads/gt").len(), 3);
    let kept = refs(&origin, "refs/beadrig/wip");
    for bead in &beads {
        let begins = format!("refs/beadrig/wip/{bead}/");
        assert_eq!(kept.iter().filter(|name| name.starts_with(&begins)).count(), 1, "{kept:?}");
    }
    // Its disk is gone with it.
    std::fs::remove_dir_all(world.stack.data().join("container")).unwrap();
    std::fs::create_dir_all(world.stack.data().join("container")).unwrap();
    world.stack.container.start().unwrap();
    let again = Instant::now();
    for (bead, file) in beads.iter().zip(files) {
        let closed = rig.status_until(bead, "closed", LATER * 2);
        assert_eq!(rig.runs.count(bead, "found"), 1, "{}", rig.runs.told());
        assert_eq!(closed["attempts"], 1, "interrupted: no fault of the bead");
        rig.runs.check_one_at_a_time(bead);
        landed_once(&origin, &closed, file);
    }
    eprintln!("all on the default branch {:?} after the start", again.elapsed());
}

#[test]
fn a_service_that_is_killed_in_the_middle_of_a_merge_lands_the_work_once() {
    let (world, rig, origin) = world_of_keepers(&[]);
    let (up, go) = (world.dir().join("up"), world.dir().join("go"));
    let command =
        format!("touch {}; until test -e {}; do sleep 0.05; done", up.display(), go.display());
    let gates = json!([{"name": "waits", "command": command, "time_limit_s": 900}]);
    configure(&rig, &json!({"merge_gates": gates}));
    let bead = rig.assigned("file");
    rig.runs.wait(&bead, "begun", LATER);
    world.stack.container.restart().unwrap();
    let is_up = || if up.exists() { Ok(()) } else { Err(rig.runs.told()) };
    until("gate at work", LATER * 2, is_up);
    rig.idle(LATER);
    let killed = Instant::now();
    world.stack.container.restart().unwrap();
    std::fs::write(&go, "").unwrap();
    assert_eq!(rig.bead(&bead)["status"], "in_review");
    let closed = rig.status_until(&bead, "closed", BEGUN_AGAIN);
    eprintln!("merged {:?} after the kill", killed.elapsed());
    landed_once(&origin, &closed, "file");
}
