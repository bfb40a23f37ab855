//! One job from its place to its end: its process, and what is written down about it.
//!
//! It must never leave a job `running` that does not run: whatever happens here ends in a row.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::capture::{Capture, STDERR, STDOUT};
use super::life::Event;
use super::result::{self, Told};
use super::store::{End, Job};
use super::{Jobs, Place};
use crate::clock;
use crate::config::Config;
use crate::launch::{Launch, fill_with, inherited_by_agents, lead_path, mark, remove_tree};
use crate::life::Exit;
use crate::limits::{JOB_RETRY_MS, JOB_STDOUT_BYTES_MAX};
use crate::output::Output;
use crate::process::meter::{Bounds, Over};
use crate::process::{Member, News, Order, Process};

/// The workspace, in the directory of a job.
pub(super) const WORK: &str = "work";

/// Runs a job that has its place.
pub(super) async fn run(jobs: Jobs, job: Job, place: Place, member: Member) {
    let dir = jobs.0.dir.join(&job.id);
    tracing::info!(job_id = job.id, agent = job.request.agent, "a job begins");
    let (event, end, kept) = match capture(dir.clone()).await {
        Ok(capture) => {
            let (event, end) = process(&jobs, &job, member, &dir, Arc::clone(&capture)).await;
            let (stdout, stderr) = capture.amounts();
            let end = End {
                stdout_cut: i64::try_from(stdout.cut).unwrap_or(i64::MAX),
                stderr_cut: i64::try_from(stderr.cut).unwrap_or(i64::MAX),
                ..end
            };
            (event, end, stdout.kept + stderr.kept)
        }
        Err(error) => {
            let error = format!("its files cannot be made: {error}");
            (Event::NotStarted, End { error: Some(error), ..End::default() }, 0)
        }
    };
    tracing::info!(job_id = job.id, ?event, error = end.error, "a job has ended");
    loop {
        let now = clock::now().0;
        match jobs.0.store.finish(job.id.clone(), event, end.clone(), kept, now).await {
            Ok(()) => break,
            Err(error) => tracing::error!(job_id = job.id, %error, "its end is not written down"),
        }
        if jobs.is_closing() {
            // The next service will find it as one that ran.
            break;
        }
        sleep(Duration::from_millis(JOB_RETRY_MS)).await;
    }
    let removed = spawn_blocking(move || remove_tree(&dir.join(WORK))).await;
    if !matches!(removed, Ok(Ok(()))) {
        tracing::error!(job_id = job.id, ?removed, "its workspace is left");
    }
    drop(place);
}

async fn capture(dir: PathBuf) -> std::io::Result<Arc<Capture>> {
    let made = spawn_blocking(move || {
        fs::create_dir_all(&dir)?;
        Capture::create(&dir)
    });
    made.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map(Arc::new)
}

/// Starts the process of a job and waits until nothing of it is left.
async fn process(
    jobs: &Jobs,
    job: &Job,
    member: Member,
    dir: &Path,
    capture: Arc<Capture>,
) -> (Event, End) {
    let launch = launch(jobs, job, dir, capture);
    let program = launch.program.clone();
    let (tell, mut news) = mpsc::unbounded_channel();
    let tell = move |what: News| {
        let _ = tell.send(what);
        std::future::ready(())
    };
    let output = Arc::new(Output::new(1, clock::now(), jobs.0.config.output_bytes_max));
    let orders = Process::start(member, launch, output, tell).mute();
    {
        let mut now = jobs.now();
        if now.closing {
            let _ = orders.send(Order::Term);
        }
        now.running.insert(job.id.clone(), orders);
    }
    let mut over = None;
    let ended = loop {
        match news.recv().await {
            Some(News::Spawned) => {}
            Some(News::Over(bound)) => over = Some(bound),
            Some(News::Gone(exit)) => break Ok(exit),
            Some(News::CouldNotSpawn(why)) => break Err(Some(why)),
            Some(News::NotStarted) | None => break Err(None),
        }
    };
    let ordered = {
        let mut now = jobs.now();
        now.running.remove(&job.id);
        now.closing
    };
    match ended {
        Err(Some(why)) => {
            let error = Some(format!("{program} could not be started: {why}"));
            (Event::NotStarted, End { error, ..End::default() })
        }
        Err(None) => (Event::ServiceEnded, interrupted(End::default())),
        Ok(exit) => {
            let Told { cost_micros, session_id } = told(dir.join(STDOUT)).await;
            let end = End { exit_code: code(exit), session_id, cost_micros, ..End::default() };
            if let Some(Over::Time(limit)) = over {
                let error = Some(format!("out of time: it was ended after {} s", limit.as_secs()));
                (Event::OutOfTime, End { error, ..end })
            } else if let Some(bound) = over {
                (Event::Exited { well: false }, End { error: Some(bound.sentence()), ..end })
            } else if ordered {
                (Event::ServiceEnded, interrupted(end))
            } else {
                (Event::Exited { well: exit.code == Some(0) }, end)
            }
        }
    }
}

fn interrupted(end: End) -> End {
    End { error: Some("the service ended while it ran".to_owned()), ..end }
}

/// As Python has it: minus the signal that ended it.
fn code(exit: Exit) -> Option<i64> {
    exit.code.map(i64::from).or_else(|| exit.signal.map(|signal| -i64::from(signal)))
}

async fn told(path: PathBuf) -> Told {
    let read = move || {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(JOB_STDOUT_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(result::read(&String::from_utf8_lossy(&bytes)))
    };
    spawn_blocking(read).await.ok().and_then(Result::ok).unwrap_or_default()
}

/// How much a job has said that is kept, in bytes.
pub(super) fn kept_bytes(dir: &Path) -> u64 {
    let length = |name| fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    length(STDOUT) + length(STDERR)
}

/// Works out the process of a job.
fn launch(jobs: &Jobs, job: &Job, dir: &Path, capture: Arc<Capture>) -> Launch {
    let config = &jobs.0.config;
    let workdir = dir.join(WORK);
    let request = &job.request;
    let value = |name: &str| {
        Some(match name {
            "prompt" => request.prompt.clone(),
            "agent" => request.agent.clone(),
            "budget" => request.budget(),
            "job_id" => job.id.clone(),
            "workdir" => workdir.to_string_lossy().into_owned(),
            _ => return None,
        })
    };
    let mut command = config.jobs.command.iter().map(|word| fill_with(word, value));
    let program = command.next().unwrap_or_default();
    let arguments = command.collect();
    // A run of an agent can have the same job id, but not this kind.
    let marks: [(&str, OsString); 3] = [
        ("BEADRIG_SUPERVISOR", jobs.0.identity.clone()),
        ("BEADRIG_JOB_KIND", "execute".into()),
        ("BEADRIG_JOB_ID", job.id.as_str().into()),
    ];
    Launch {
        program,
        arguments,
        environment: environment(config, job, &workdir, &marks),
        prompt: request.prompt.clone(),
        marker: marks.iter().map(|(name, value)| mark(name, value)).collect(),
        // Its result comes at the end: it is silent until then.
        bounds: Bounds { idle: None, ..config.bounds(Duration::from_secs(request.time_limit_s)) },
        grace: config.grace,
        capture: Some(capture),
        place: None,
        scratch: workdir.clone(),
        workdir,
    }
}

fn environment(
    config: &Config,
    job: &Job,
    workdir: &Path,
    marks: &[(&str, OsString)],
) -> Vec<(OsString, OsString)> {
    let mut all: BTreeMap<OsString, OsString> = inherited_by_agents(std::env::vars_os().collect());
    lead_path(&mut all, config);
    all.insert("BEADRIG_AGENT_NAME".into(), job.request.agent.as_str().into());
    all.insert("BEADRIG_BUDGET_USD".into(), job.request.budget().into());
    all.insert("BEADRIG_WORKDIR".into(), workdir.into());
    all.extend(marks.iter().map(|(name, value)| (OsString::from(name), value.clone())));
    all.into_iter().collect()
}
