//! What one run may take, and what has to be free for one.

use beadrig::wire::container::{Outcome, Phase};
use beadrig_container::process::census::Census;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::program::Program;
use crate::town::{Town, called, start, until};

/// A grandchild that its shell forgets at once, in a session of its own, with an empty environment, deaf to TERM.
fn stray(word: &str) -> String {
    let script = format!("trap \"\" TERM HUP INT; while :; do /bin/sleep 0.05; done # {word}");
    format!("(env -i setsid /bin/sh -c '{script}' > /dev/null 2>&1 &); sleep 0.3; echo up")
}

#[tokio::test]
async fn no_grandchild_outlives_its_run_however_it_left_and_however_the_run_ends() {
    let mut town = Town::without_service(&[]).await;
    let program = Program::start(&mut town).await;
    let cases = [
        ("exits", "exit 0", "exited"),
        ("stopped", "exec sleep 600", "stopped"),
        ("timed", "trap '' TERM; while :; do sleep 0.05; done", "timeout"),
        ("shot", "kill -SEGV $$", "signal"),
    ];
    for (agent, then, reason) in cases {
        let word = format!("stray-{agent}-{}", std::process::id());
        let mut request = start(agent, 1, &format!("{}; {then}", stray(&word)));
        if agent == "timed" {
            request["timeLimitS"] = json!(2);
        }
        let (status, body) = town.post("/agents/start", request).await;
        assert_eq!(status, 201, "{body}");
        town.hears(agent, "up").await;
        if agent == "stopped" {
            assert_eq!(called(&word).len(), 1, "it has to be there to be ended");
            town.post("/agents/stopped/stop", json!({})).await;
        }
        let report = town.report(agent, 1).await;
        assert_eq!(report.reason.as_deref(), Some(reason));
        assert_eq!(called(&word), Vec::<String>::new(), "{agent}");
    }
    assert_eq!(town.processes(), Vec::<String>::new());
    program.signal(Signal::SIGKILL);
}

#[tokio::test]
async fn a_stray_of_two_runs_goes_with_the_last_of_them_and_takes_nobody_with_it() {
    let mut town = Town::without_service(&[]).await;
    let program = Program::start(&mut town).await;
    let word = format!("stray-of-two-{}", std::process::id());
    town.run("a1", 1, "exec sleep 600").await;
    town.run("a2", 1, &format!("{}; exec sleep 600", stray(&word))).await;
    town.hears("a2", "up").await;
    town.post("/agents/a2/stop", json!({})).await;
    town.report("a2", 1).await;
    assert_eq!(town.status("a1").await.status, Phase::Running);
    town.post("/agents/a1/stop", json!({})).await;
    town.report("a1", 1).await;
    assert_eq!(called(&word), Vec::<String>::new());
    drop(program);
}

#[tokio::test]
async fn a_process_that_belongs_to_no_run_is_never_touched() {
    let mut bystander = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let census = Census::default();
    census.enter(1, vec!["NOBODY_HAS_THIS=1".into()]);
    let usage = census.usage(1).unwrap();
    census.signal(1, Signal::SIGKILL).unwrap();
    census.end(1).unwrap();
    census.enter(2, Vec::new());
    census.end(2).unwrap();
    assert_eq!(usage.processes, 0);
    assert_eq!(bystander.try_wait().unwrap(), None);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn a_run_that_prints_nothing_for_too_long_is_ended_and_one_that_prints_is_not() {
    let town = Town::with(&[("IDLE_OUTPUT_S", "3")]).await;
    town.run("a1", 1, "echo up; exec sleep 600").await;
    town.run("a2", 1, "while :; do printf .; sleep 0.2; done").await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.status), (Some("idle"), Outcome::Failed));
    let (_, page) = town.get("/agents/a1/events").await;
    assert!(page.to_string().contains("ended: it printed nothing for 3 s"), "{page}");
    assert_eq!(town.status("a2").await.status, Phase::Running);
}

/// In the system that did this before, ten runs shared a memory limit meant for three, and one that ran out of it
/// took them all down.
#[tokio::test]
async fn one_run_that_eats_memory_does_not_take_the_others_with_it() {
    let town = Town::with(&[("RUN_MEMORY_MB", "100")]).await;
    town.run("other", 1, "exec sleep 600").await;
    // `tail` keeps a line without an end whole, and its parent has left it.
    town.run("eater", 1, "(head -c 400000000 /dev/zero; sleep 600) | tail -n 1 | cat & wait").await;
    let report = town.report("eater", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("memory"), Some(9)));
    let (_, page) = town.get("/agents/eater/events").await;
    assert!(page.to_string().contains("MiB together, more than 100 MiB"), "{page}");
    assert_eq!(town.status("other").await.status, Phase::Running);
    assert_eq!(town.processes().len(), 1);
}

#[tokio::test]
async fn a_run_that_forks_without_end_is_ended() {
    let town = Town::with(&[("RUN_PROCESSES", "20")]).await;
    town.run("a1", 1, "i=0; while [ $i -lt 60 ]; do setsid sleep 600 & i=$((i+1)); done; wait")
        .await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("processes"), Some(9)));
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_start_without_room_is_refused_with_the_figures_and_costs_nothing() {
    for (setting, what) in [("MIN_FREE_MEMORY_MB", "memory"), ("MIN_FREE_DISK_MB", "disk")] {
        let town = Town::with(&[(setting, "16777216")]).await;
        let (status, body) = town.start("a1", 1, "true").await;
        assert_eq!((status.as_u16(), &body["code"]), (503, &json!("capacity")));
        let error = body["error"].as_str().unwrap();
        assert!(error.contains(&format!("MiB of {what} are free, a start takes 16777216 MiB")));
        let (status, _) = town.get("/agents/a1/status").await;
        assert_eq!(status, 404);
    }
}

#[tokio::test]
async fn what_a_run_prints_beyond_its_bound_is_cut_and_its_end_is_kept() {
    let town = Town::with(&[("OUTPUT_MB_MAX", "1")]).await;
    let long = "x".repeat(1000);
    let script = format!("i=0; while [ $i -lt 3000 ]; do echo {long}; i=$((i+1)); done; echo done");
    town.run("a1", 1, &script).await;
    let report = town.report("a1", 1).await;
    assert_eq!((report.status, report.exit_code), (Outcome::Completed, Some(0)));
    assert!(report.output_tail.is_some_and(|tail| tail.ends_with("x\ndone")));
    let said = town.said("a1").await;
    let cut: Vec<_> =
        said.iter().filter(|line| line.contains("lines cut: a run may say 1048576")).collect();
    assert_eq!(cut.len(), 1, "{said:.50?}");
    assert_eq!(said.last().unwrap(), "done");
}

/// In the system that did this before, a timeout ended the waiting and not the work: the process went on.
#[tokio::test]
async fn a_run_that_is_out_of_time_does_no_more_work() {
    let town = Town::new().await;
    let mut request =
        start("a1", 1, "trap '' TERM; while :; do echo . >> ../trace; sleep 0.02; done");
    request["timeLimitS"] = json!(1);
    town.post("/agents/start", request).await;
    assert_eq!(town.report("a1", 1).await.reason.as_deref(), Some("timeout"));
    let size = || std::fs::metadata(town.workdir("trace")).unwrap().len();
    let at_the_end = size();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(size(), at_the_end);
    town.run("a1", 2, "true").await;
    until(async || match town.status("a1").await.status {
        Phase::Exited => Ok(()),
        other => Err(other),
    })
    .await;
}
