//! Keeps both parts running until the person has had enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::crash::{Crashes, Next};
use crate::error::{Doing as _, Error, Result};
use crate::stack::{Service, Stack};

/// How often the parts are looked at.
const POLL: Duration = Duration::from_millis(100);
/// The container service commits and pushes work in progress; it promises to be done within 60 s.
const CONTAINER_GRACE: Duration = Duration::from_secs(65);
/// workerd has nothing to save: what it answered is on disk.
const WORKER_GRACE: Duration = Duration::from_secs(5);

/// Between two rounds of the watchdog; `wrangler.toml` has the same for the platform.
const ROUND_EVERY: Duration = Duration::from_mins(5);

/// Whether the person asked to stop.
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// From now on signals do not end us.
    pub(super) fn register() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let flag = Arc::clone(&flag);
            signal_hook::flag::register(signal, flag).doing("listen for Ctrl-C")?;
        }
        Ok(Self(flag))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// One part and its bad luck.
struct Watched<'a> {
    service: &'a Service,
    crashes: Crashes,
    again_at: Option<Instant>,
}

/// Returns when both parts have stopped: well after Ctrl-C, with an error when one does not stay up.
pub(super) fn until_stopped(stack: &Stack, stop: &StopFlag) -> Result<()> {
    let mut parts = [&stack.worker, &stack.container].map(|service| Watched {
        service,
        crashes: Crashes::default(),
        again_at: None,
    });
    let mut rounds = Rounds::new(Instant::now());
    while !stop.is_set() {
        if rounds.is_due(Instant::now()) {
            let watchdog = stack.watchdog();
            // What it finds is in the worker's log; while the worker is away the next round does.
            rounds.under_way = Some(std::thread::spawn(move || drop(watchdog())));
        }
        for part in &mut parts {
            if let Err(error) = part.look() {
                stop_both(stack, stop);
                return Err(error);
            }
        }
        std::thread::sleep(POLL);
    }
    eprintln!("\nstopping (Ctrl-C again to kill)");
    stop_both(stack, stop);
    eprintln!("stopped; `cargo xtask up` goes on with the same data");
    Ok(())
}

/// When the watchdog goes on its next round: one at a time.
struct Rounds {
    next: Instant,
    under_way: Option<JoinHandle<()>>,
}

impl Rounds {
    fn new(now: Instant) -> Self {
        Self { next: now + ROUND_EVERY, under_way: None }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        if now < self.next || self.under_way.as_ref().is_some_and(|it| !it.is_finished()) {
            return false;
        }
        self.next = now + ROUND_EVERY;
        true
    }
}

impl Watched<'_> {
    fn look(&mut self) -> Result<()> {
        let name = self.service.name();
        if let Some(at) = self.again_at {
            if Instant::now() >= at {
                self.again_at = None;
                self.service.start()?;
                eprintln!("the {name} is started again");
            }
            return Ok(());
        }
        let Some(status) = self.service.ended()? else { return Ok(()) };
        match self.crashes.crashed(Instant::now()) {
            Next::Again(pause) => {
                eprintln!("the {name} ended ({status}); again in {} ms", pause.as_millis());
                self.again_at = Some(Instant::now() + pause);
                Ok(())
            }
            Next::GiveUp => Err(Error::new(format!(
                "the {name} ended 5 times within a minute, the last time with {status}; \
                 its log is {}",
                self.service.log_path().display()
            ))),
        }
    }
}

/// The container service first, so that it can still report what it interrupts.
fn stop_both(stack: &Stack, stop: &StopFlag) {
    stop.clear();
    for (service, grace) in [(&stack.container, CONTAINER_GRACE), (&stack.worker, WORKER_GRACE)] {
        let deadline = Instant::now() + grace;
        service.terminate();
        while service.pid().is_some() && Instant::now() < deadline && !stop.is_set() {
            std::thread::sleep(POLL);
        }
        service.kill();
    }
}

/// Waits for a process that is not our child; KILL when it takes too long.
pub(super) fn wait_gone(pid: Pid) {
    for signal in [None, Some(Signal::SIGKILL)] {
        kill(pid, signal).ok();
        let deadline = Instant::now() + WORKER_GRACE;
        // Bounded: one that nobody reaps is there for ever, but holds nothing.
        while kill(pid, None).is_ok() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_goes_every_five_minutes_as_on_the_platform_and_once_at_a_time() {
        let begin = Instant::now();
        let mut rounds = Rounds::new(begin);
        assert!(!rounds.is_due(begin + ROUND_EVERY / 2));
        assert!(rounds.is_due(begin + ROUND_EVERY));
        assert!(!rounds.is_due(begin + ROUND_EVERY * 3 / 2));
        let (end, ended) = std::sync::mpsc::channel::<()>();
        rounds.under_way = Some(std::thread::spawn(move || assert!(ended.recv().is_err())));
        assert!(!rounds.is_due(begin + ROUND_EVERY * 2), "one is under way");
        drop(end);
        rounds.under_way.take().unwrap().join().unwrap();
        assert!(rounds.is_due(begin + ROUND_EVERY * 2));
        let wrangler = crate::repo::root().join("wrangler.toml");
        let wrangler = std::fs::read_to_string(wrangler).unwrap();
        assert!(wrangler.contains("crons = [\"*/5 * * * *\"]"), "{wrangler}");
    }
}
