//! A stack for a test, and how to wait for what must happen.
//!
//! Nothing here waits in hope: [`until`] looks again and again, and tells what it saw last when the time is over.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xtask::repo;
use xtask::stack::{Options, Stack};

use crate::rig::Rig;

/// For what takes one tick or two.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// For what takes several, on a machine with other things to do.
pub(crate) const LATER: Duration = Duration::from_secs(45);

/// Stacks at once: a machine with many cores would start them all, and then time is no measure.
const STACKS_MAX: usize = 3;

/// Looks until there is what is looked for; else ends the test with what was there instead.
#[track_caller]
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begin.elapsed() > patience => {
                panic!("no {what} within {patience:?}; instead:\n{seen}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A stack in a directory of its own.
pub(crate) struct World {
    /// Both parts.
    pub(crate) stack: Stack,
    dir: TempDir,
    _place: Place,
}

impl World {
    /// Starts a stack that is quick in everything, with what differs.
    pub(crate) fn start(change: impl FnOnce(Options) -> Options) -> Self {
        Self::make(change, Stack::start)
    }

    /// As [`World::start`], with nothing running yet.
    pub(crate) fn prepare(change: impl FnOnce(Options) -> Options) -> Self {
        Self::make(change, Stack::prepare)
    }

    fn make(
        change: impl FnOnce(Options) -> Options,
        make: fn(Options) -> xtask::Result<Stack>,
    ) -> Self {
        let place = Place::take();
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut options = Options::for_test(&data).unwrap();
        for (name, value) in QUICK {
            options = options.set(name, value);
        }
        options = options.set("AGENT_COMMAND", agent("gated"));
        let runs = dir.path().join("runs").display().to_string();
        options.container_env.insert("GATED".to_owned(), runs);
        let stack = make(change(options)).unwrap();
        Self { stack, dir, _place: place }
    }

    /// Where it keeps what tests write.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A rig of its own, which nobody has used before.
    pub(crate) fn rig(&self, name: &str) -> Rig {
        let runs = self.dir.path().join("runs").join(name);
        std::fs::create_dir_all(&runs).unwrap();
        Rig::new(self.stack.url(), self.stack.token().to_owned(), name, runs)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for part in [&self.stack.worker, &self.stack.container] {
            let log = part.log();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- the end of the log of the {}\n{tail}", part.name());
        }
    }
}

/// So that nothing waits for half a minute to be looked at again.
const QUICK: [(&str, &str); 7] = [
    ("ACTIVE_ALARM_MS", "1000"),
    ("ARM_DELAY_MS", "50"),
    ("BACK_OFF_MS", "200"),
    ("DRAIN_MS", "500"),
    ("GRACE_MS", "1000"),
    ("HEARTBEAT_MS", "300"),
    ("START_TIMEOUT_MS", "5000"),
];

/// The command of one of the agents for tests.
pub(crate) fn agent(name: &str) -> String {
    let path = repo::root().join("tests/system/agents").join(name);
    let path = path.to_str().unwrap();
    shlex::try_quote(path).unwrap().into_owned()
}

/// One of the places for stacks; free again when it is dropped.
pub(crate) struct Place;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Place {
    pub(crate) fn take() -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = FREED
            .wait_while(taken, |taken| *taken >= STACKS_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
