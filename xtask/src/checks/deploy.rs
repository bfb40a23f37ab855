//! Whether wrangler takes the project as it is: without an account, without Docker, without a network.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::tally::Tally;
use super::{Step, check};
use crate::error::{Doing as _, Error, Result};
use crate::repo;
use crate::run::Progress;
use crate::stack::{Port, get, is_taken};
use crate::tools::Tools;
use crate::worker::{self, Variant};

/// How long `wrangler dev` may take until the worker answers, and until it has ended.
const START: Duration = Duration::from_mins(1);
const END: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
/// For a worker that is gone in a second; a real one is made by `up`, or by the person who deploys.
const NO_SECRET: &str = "only-for-the-minute-of-this-test-0000";

/// Bundles everything that a deployment would send.
pub(super) fn dry_run(step: &Step) -> Result<Tally> {
    let mut wrangler = wrangler()?;
    wrangler.args(["deploy", "--dry-run", "--containers-rollout=none", "--outdir"]);
    check(step, wrangler.arg(repo::target().join("dry-run")))
}

/// Starts the worker as `wrangler dev` does, and asks how it is.
pub(super) fn dev(step: &Step) -> Result<Tally> {
    let mut wrangler = wrangler()?;
    let mut progress = Progress::new(step.name);
    let (port, inspector) = (Port::free()?, Port::free()?);
    let dir = repo::target().join("xtask");
    fs::create_dir_all(&dir).doing_to("create", &dir)?;
    let state = dir.join("wrangler-state");
    fs::remove_dir_all(&state).ok();
    let log = dir.join("dev.log");
    let out = File::create(&log).doing_to("create", &log)?;
    let err = out.try_clone().doing_to("open", &log)?;
    wrangler
        .args(["dev", "--enable-containers=false", "--show-interactive-dev-session=false"])
        .args(["--ip", "127.0.0.1", "--port", &port.number().to_string()])
        .args(["--inspector-port", &inspector.number().to_string()])
        .args(["--var", &format!("BEADRIG_TOKEN:{NO_SECRET}")])
        .args(["--var", &format!("BEADRIG_JWT_SECRET:{NO_SECRET}")])
        .arg("--persist-to")
        .arg(&state)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    let mut child = wrangler.spawn().doing("run wrangler")?;
    let outcome = healthy(&mut child, &port, &mut progress);
    end(&mut child, &port);
    match outcome {
        Ok(()) => {
            progress.end("ok");
            Ok(Tally::PASSED)
        }
        Err(error) => {
            progress.end("FAILED");
            eprintln!("{}", fs::read_to_string(&log).unwrap_or_default().trim_end());
            Err(error)
        }
    }
}

/// wrangler, kept away from the person's own login and settings; the worker is built first, so that its build
/// command has nothing left to do.
fn wrangler() -> Result<Command> {
    let tools = Tools::prepare()?;
    worker::build(Variant::Product)?;
    let mut wrangler = tools.wrangler();
    wrangler.env("XDG_CONFIG_HOME", repo::target().join("xtask/config"));
    Ok(wrangler)
}

fn healthy(child: &mut Child, port: &Port, progress: &mut Progress) -> Result<()> {
    let deadline = Instant::now() + START;
    loop {
        let said = match get(port.number(), "/health", Duration::from_secs(5)) {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("{} {}", answer.status, answer.body.trim()),
            Err(error) => error.to_string(),
        };
        if let Some(status) = child.try_wait().doing("wait for wrangler")? {
            return Err(Error::new(format!("wrangler dev ended with {status}")));
        }
        if Instant::now() >= deadline {
            return Err(Error::new(format!(
                "/health does not answer 200 under wrangler dev: {said}"
            )));
        }
        progress.tick();
        std::thread::sleep(POLL);
    }
}

/// TERM, so that wrangler ends its workerd as well.
fn end(child: &mut Child, port: &Port) {
    if let Ok(pid) = i32::try_from(child.id()) {
        kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
    }
    let deadline = Instant::now() + END;
    while (matches!(child.try_wait(), Ok(None)) || is_taken(port.number()))
        && Instant::now() < deadline
    {
        std::thread::sleep(POLL);
    }
    child.kill().ok();
    child.wait().ok();
}
