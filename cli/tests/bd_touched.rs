//! `update`, `close` and `show --current` without an id: the bead of the last call from the same place, in the same name.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use support::linked::RealRig;
use support::{directory, show};

const NONE: &str = "--- stderr\nError: no issue ID provided and no last touched issue\nexit 1\n";

/// A rig with two beads, and a home to remember in.
fn some(name: &str) -> (RealRig, PathBuf) {
    let rig = RealRig::new(name);
    for id in ["demo-1", "demo-2"] {
        assert!(rig.bd(&["create", id, "--id", id, "-d", "d"]).ends_with("exit 0\n"));
    }
    let home = rig.here.join("home");
    let _ = fs::remove_dir_all(&home);
    (rig, home)
}

fn at_home(rig: &RealRig, home: &PathBuf, args: &[&str]) -> Command {
    let mut command = rig.command(args);
    command.env("HOME", home);
    command
}

#[test]
fn a_change_without_an_id_is_for_the_bead_of_the_last_call() {
    let (rig, home) = some("touched");
    let bd = |args: &[&str]| show(&at_home(&rig, &home, args).output().unwrap());
    assert_eq!(bd(&["update", "-p", "0"]), NONE);
    assert_eq!(bd(&["close"]), NONE);
    // Whatever names a bead touches it, the first of several, as a part of its name or in full.
    let priority = |id: &str| rig.json(&["show", id])[0]["priority"].clone();
    bd(&["show", "2", "demo-1"]);
    assert!(bd(&["update", "-p", "0"]).contains("Updated issue: demo-2"));
    assert_eq!((priority("demo-1"), priority("demo-2")), (2.into(), 0.into()));
    for touch in [
        &["note", "demo-1", "n"][..],
        &["assign", "demo-1", "bob"],
        &["priority", "demo-1", "3"],
        &["update", "demo-1", "--title", "One"],
        &["show", "demo-1", "--json"],
    ] {
        bd(&["show", "demo-2"]);
        bd(touch);
        let told = bd(&["update", "--append-notes", "more"]);
        assert!(told.contains("Updated issue: demo-1"), "{touch:?}: {told}");
    }
    let made = bd(&["q", "new"]);
    assert!(bd(&["close"]).contains(made.lines().next().unwrap()));
    // What failed touches nothing.
    bd(&["show", "demo-2"]);
    bd(&["show", "nope"]);
    assert!(bd(&["close", "-r", "over"]).contains("Closed demo-2"));
}

#[test]
fn other_projects_names_and_rigs_have_a_last_bead_of_their_own() {
    let (rig, home) = some("touched-apart");
    let elsewhere = directory("touched-elsewhere");
    at_home(&rig, &home, &["show", "demo-1"]).output().unwrap();
    let without = |change: &dyn Fn(&mut Command)| {
        let mut command = at_home(&rig, &home, &["update", "-p", "1"]);
        change(&mut command);
        show(&command.output().unwrap())
    };
    assert_eq!(
        without(&|it| {
            it.current_dir(&elsewhere);
        }),
        NONE
    );
    assert_eq!(
        without(&|it| {
            it.env("BEADS_ACTOR", "bob");
        }),
        NONE
    );
    assert_eq!(
        without(&|it| {
            it.args(["--rig", "other"]);
        }),
        NONE
    );
    // Who never wants it says so, as in later versions of bd; who has no home has none.
    assert_eq!(
        without(&|it| {
            it.env("BD_LAST_TOUCHED_FALLBACK", "0");
        }),
        NONE
    );
    assert_eq!(
        without(&|it| {
            it.env_remove("HOME");
        }),
        NONE
    );
    assert!(without(&|_| {}).contains("demo-1"));
    // Whoever may change nothing changes nothing here either.
    at_home(&rig, &home, &["--readonly", "show", "demo-2"]).output().unwrap();
    assert!(without(&|_| {}).contains("demo-1"));
    // And nothing of it is in the project.
    let left: Vec<_> = fs::read_dir(rig.here.join(".beadrig")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn calls_at_once_leave_one_of_their_beads_and_never_half_a_name() {
    let (rig, home) = some("touched-race");
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let id = ["demo-1", "demo-2"][n % 2];
            at_home(&rig, &home, &["show", id]).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut call in calls {
        assert!(call.wait().unwrap().success());
        let told = show(&at_home(&rig, &home, &["show", "--current", "--short"]).output().unwrap());
        assert!(told.starts_with("demo-1 [") || told.starts_with("demo-2 ["), "{told}");
    }
}

#[test]
fn current_is_ones_own_bead_then_what_is_in_progress_then_the_last_one() {
    let (rig, home) = some("current");
    let bd = |args: &[&str]| show(&at_home(&rig, &home, args).output().unwrap());
    let none = "--- stderr\nError: no current issue found (no in-progress, hooked, or recently touched issues)\nexit 1\n";
    assert_eq!(bd(&["show", "--current"]), none);
    bd(&["show", "demo-1"]);
    assert!(bd(&["show", "--current", "--short"]).starts_with("demo-1 "));
    assert!(bd(&["update", "demo-2", "--claim"]).ends_with("exit 0\n"));
    bd(&["show", "demo-1"]);
    assert!(bd(&["show", "--current", "--short"]).starts_with("demo-2 "));
    let mut agents = at_home(&rig, &home, &["show", "--current", "--short"]);
    assert!(
        show(&agents.env("BEADRIG_BEAD_ID", "demo-1").output().unwrap()).starts_with("demo-1 ")
    );
    assert!(bd(&["show", "--current", "demo-1"]).contains("cannot be combined"));
    assert!(bd(&["show"]).contains("at least one issue ID is required"));
    assert!(bd(&["show", "demo-1", "--as-of", "HEAD"]).contains("a rig has none"));
}
