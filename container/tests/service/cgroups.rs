//! A cgroup for each run, on machines where the service may make one: as root, or where one is delegated to it.

#![allow(clippy::print_stderr, reason = "a test that was skipped says so")]

use std::path::Path;

use beadrig::wire::container::Phase;
use beadrig_container::process::cgroup::Cgroups;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::program::Program;
use crate::town::{Town, called, start, until};

/// Whether this machine has them for us; says so if not.
fn are_here() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let opened = Cgroups::open(dir.path());
    if let Err(why) = &opened {
        eprintln!("skipped: no writable cgroup ({why})");
    }
    opened.is_ok()
}

/// A grandchild that nothing but its cgroup connects with its run: its parents are gone before anybody looks, it has a
/// session of its own and an empty environment. It begins when its run is told to.
fn stray(word: &str) -> String {
    let script =
        format!("trap \"\" TERM HUP INT; : > here; while :; do /bin/sleep 0.05; done # {word}");
    format!(
        "read -r line; (env -i setsid /bin/sh -c '{script}' > /dev/null 2>&1 &); \
         until [ -e here ]; do sleep 0.02; done; echo up; exec sleep 600"
    )
}

/// Of two runs, each of which may have begun it, the one that did takes it along; the other goes on.
#[tokio::test]
async fn a_stray_that_nothing_connects_with_its_run_ends_with_it_and_not_with_another() {
    if !are_here() {
        return;
    }
    let mut town = Town::without_service(&[]).await;
    let mut program = Program::with(&mut town, &[("RUN_CGROUPS", "auto")]).await;
    let word = format!("in-cgroup-{}", std::process::id());
    town.run("a1", 1, "exec sleep 600").await;
    town.run("a2", 1, &stray(&word)).await;
    town.post("/agents/a2/message", json!({"prompt": "go"})).await;
    town.hears("a2", "up").await;
    town.post("/agents/a2/stop", json!({})).await;
    town.report("a2", 1).await;
    assert_eq!(called(&word), Vec::<String>::new());
    assert_eq!(town.status("a1").await.status, Phase::Running);
    program.signal(Signal::SIGTERM);
    program.ended().await;
}

/// What cleans its environment is not found by it when the service was killed.
#[tokio::test]
async fn a_service_that_was_killed_leaves_nothing_to_the_next_not_even_what_cleaned_its_environment()
 {
    if !are_here() {
        return;
    }
    let mut town = Town::without_service(&[]).await;
    let settings = [("RUN_CGROUPS", "auto")];
    let program = Program::with(&mut town, &settings).await;
    let word = format!("left-in-cgroup-{}", std::process::id());
    town.run("a1", 1, &stray(&word)).await;
    town.post("/agents/a1/message", json!({"prompt": "go"})).await;
    town.hears("a1", "up").await;
    program.signal(Signal::SIGKILL);
    drop(program);
    assert!(!called(&word).is_empty(), "it has to be there to be ended");
    let mut program = Program::with(&mut town, &settings).await;
    assert_eq!(called(&word), Vec::<String>::new());
    assert_eq!(town.processes(), Vec::<String>::new());
    program.signal(Signal::SIGTERM);
    program.ended().await;
}

#[tokio::test]
async fn a_cgroup_is_gone_with_its_run_and_the_directory_with_the_service() {
    if !are_here() {
        return;
    }
    let town = Town::with(&[("RUN_CGROUPS", "auto")]).await;
    town.run("a1", 1, "cat /proc/self/cgroup; exit 0").await;
    town.phase("a1", Phase::Exited).await;
    let said = town.said("a1").await;
    let own = said.iter().find_map(|line| line.strip_prefix("0::")).unwrap();
    assert!(own.contains("/beadrig-") && own.ends_with("/1"), "{said:?}");
    let (base, _) = own.rsplit_once('/').unwrap();
    let mount = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let there = || {
        let bases = mount.map(|mount| Path::new(mount).join(base.trim_start_matches('/')));
        bases.into_iter().find(|base| base.exists())
    };
    let dir = there().unwrap();
    let inner = std::fs::read_dir(&dir).unwrap().filter(|it| it.as_ref().unwrap().path().is_dir());
    assert_eq!(inner.count(), 0);
    town.service.unwrap().shutdown().await;
    until(async || there().map_or(Ok(()), Err)).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_refused_as_without_a_cgroup_and_leaves_none() {
    if !are_here() {
        return;
    }
    let town = Town::with(&[("RUN_CGROUPS", "auto")]).await;
    let mut request = start("a1", 1, "true");
    request["command"] = json!(["no-such-agent", "x"]);
    let (status, body) = town.post("/agents/start", request.clone()).await;
    let without = Town::new().await;
    assert_eq!(without.post("/agents/start", request).await, (status, body.clone()));
    assert_eq!((status.as_u16(), &body["code"]), (422, &json!("spawn_failed")));
}
