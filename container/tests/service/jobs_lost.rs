//! Jobs when the program is killed: nothing that was answered is lost, and nothing runs twice.

use beadrig_container::Service;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::jobs::{COMMAND, asked};
use crate::program::Program;
use crate::town::{Town, until};

/// Service 8: jobs were in memory alone, and a restart knew none of them.
#[tokio::test]
async fn a_service_that_is_killed_loses_no_job() {
    let settings = [COMMAND, ("MAX_CONCURRENCY", "2")];
    let mut town = Town::without_service(&[]).await;
    let program = Program::with(&mut town, &settings).await;
    let done = town.execute(asked("echo done")).await;
    town.job_is(&done, "completed").await;
    let runs = town.data.path().join("runs");
    let script = format!(
        "trap '' TERM; echo x >> {}; setsid sleep 600 & echo half; while :; do sleep 0.05; done",
        runs.display()
    );
    let mut keyed = asked(&script);
    keyed["metadata"] = json!({"task_id": "t", "key": "k"});
    let running = [town.execute(keyed.clone()).await, town.execute(asked(&script)).await];
    let mut queued = Vec::new();
    for n in 0..5 {
        queued.push(town.execute(asked(&format!("echo {n} >> {}", runs.display()))).await);
    }
    for id in &running {
        let said = town.data.path().join("jobs").join(id).join("stdout");
        until(async || {
            let said = std::fs::read_to_string(&said);
            if said.as_deref().is_ok_and(|said| said == "half\n") { Ok(()) } else { Err(said.ok()) }
        })
        .await;
    }
    program.signal(Signal::SIGKILL);
    drop(program);
    assert!(town.processes().len() >= 4);

    let program = Program::with(&mut town, &settings).await;
    for id in &running {
        let job = town.job(id).await;
        assert_eq!((&job["status"], &job["output"]), (&json!("interrupted"), &json!(["half\n"])));
        assert!(job["error"].is_string() && job["finished_at"].is_string(), "{job}");
        assert!(!town.data.path().join("jobs").join(id).join("work").exists());
    }
    for id in &queued {
        town.job_is(id, "completed").await;
    }
    assert_eq!(town.job(&done).await["output"], json!(["done\n"]));
    assert_eq!(town.execute(keyed).await, running[0]);
    // Those that ran have run once; of the others two may run side by side.
    let ran = std::fs::read_to_string(&runs).unwrap();
    let mut ran: Vec<&str> = ran.lines().collect();
    ran.sort_unstable();
    assert_eq!(ran, ["0", "1", "2", "3", "4", "x", "x"]);
    assert_eq!(town.processes(), Vec::<String>::new());
    drop(program);
}

#[tokio::test]
async fn a_job_that_was_answered_is_there_however_soon_the_service_is_killed() {
    let settings = [COMMAND, ("MAX_CONCURRENCY", "1")];
    let mut town = Town::without_service(&[]).await;
    let mut ids = Vec::new();
    for round in 0..5 {
        let program = Program::with(&mut town, &settings).await;
        for _ in 0..=round {
            ids.push(town.execute(asked("true")).await);
        }
        program.signal(Signal::SIGKILL);
    }
    let _program = Program::with(&mut town, &settings).await;
    for id in ids {
        until(async || {
            let job = town.job(&id).await;
            let over = ["completed", "interrupted"].iter().any(|status| job["status"] == *status);
            if over { Ok(()) } else { Err(job) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_second_signal_ends_jobs_at_once_and_they_are_interrupted() {
    let settings = [COMMAND, ("GRACE_MS", "60000")];
    let mut town = Town::without_service(&[]).await;
    let mut program = Program::with(&mut town, &settings).await;
    let id =
        town.execute(asked("trap 'echo heard' TERM; echo up; while :; do sleep 0.05; done")).await;
    let said = town.data.path().join("jobs").join(&id).join("stdout");
    let hears = async |text: &str| {
        until(async || {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            if said == text { Ok(()) } else { Err(said) }
        })
        .await;
    };
    hears("up\n").await;
    program.signal(Signal::SIGTERM);
    hears("up\nheard\n").await;
    program.signal(Signal::SIGTERM);
    assert_eq!(program.ended().await.code(), Some(1));
    town.nothing_is_left().await;
    let _program = Program::with(&mut town, &settings).await;
    assert_eq!(town.job(&id).await["status"], "interrupted");
}

#[tokio::test]
async fn jobs_that_cannot_be_read_are_named_and_what_to_do() {
    let town = Town::without_service(&[]).await;
    let path = town.data.path().canonicalize().unwrap().join("jobs.db");
    std::fs::write(&path, "not a database, and longer than the head of one").unwrap();
    let refused = Service::start(town.config.clone()).await.map(drop).unwrap_err().to_string();
    assert!(
        refused.contains(path.to_str().unwrap()) && refused.contains("Move it away"),
        "{refused}"
    );
    std::fs::remove_file(&path).unwrap();
    let service = Service::start(town.config.clone()).await.unwrap();
    service.shutdown().await;
}
