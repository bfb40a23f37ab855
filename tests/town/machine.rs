//! One container of the fake engine: the real container service as a process, with the environment that arrived.
//!
//! ```text
//! created --start--> running --its process ends, or it is killed--> exited
//! ```
//!
//! Like a container it is one machine: when its first process ends, all that was started in it ends (what of it has
//! its working directory there, on systems with a `/proc`). Unlike one it sees the whole file system and all ports;
//! so the port that it was told to listen on becomes a free one, and its data directory one of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use xtask::repo;
use xtask::stack::{Port, sweep};

/// Where the service listens in its container.
pub(crate) const PORT: u16 = 8080;

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How a container comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    /// Its process begins so much after the engine said that it runs.
    After(Duration),
    /// Its process begins at once, and believes to be another start than it is.
    Stranger,
    /// The engine says that it runs, and its process never begins.
    Never,
    /// The engine says that it cannot.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Created,
    Running,
    Exited(i32),
}

/// A container.
pub(crate) struct Machine {
    dir: PathBuf,
    env: BTreeMap<String, String>,
    port: Port,
    life: Mutex<Life>,
    changed: Condvar,
}

struct Life {
    phase: Phase,
    child: Option<Child>,
}

impl Machine {
    /// Makes one that does not run yet.
    pub(crate) fn create(dir: PathBuf, env: BTreeMap<String, String>) -> Arc<Self> {
        fs::create_dir_all(&dir).unwrap();
        let life = Mutex::new(Life { phase: Phase::Created, child: None });
        let port = Port::free().unwrap();
        Arc::new(Self { dir, env, port, life, changed: Condvar::new() })
    }

    /// The environment that came from outside, as it came.
    pub(crate) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// What its processes wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Where a port of the container is on this machine.
    pub(crate) fn address_of(&self, port: u16) -> Option<String> {
        (port == PORT && self.pid().is_some()).then(|| self.port.address())
    }

    pub(crate) fn host_port(&self) -> u16 {
        self.port.number()
    }

    /// Whether the engine would say that it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.life().phase == Phase::Running
    }

    /// `None` while it has not ended.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        match self.life().phase {
            Phase::Exited(code) => Some(code),
            Phase::Created | Phase::Running => None,
        }
    }

    /// Its process, if there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.life().child.as_ref().map(Child::id)
    }

    /// Starts it: it runs from now on, whether or not there is a process.
    pub(crate) fn start(self: &Arc<Self>, boot: Boot) {
        self.enter(Phase::Running);
        let delay = match boot {
            Boot::After(delay) => delay,
            Boot::Stranger => Duration::ZERO,
            Boot::Never | Boot::Refused => return,
        };
        let machine = Arc::clone(self);
        std::thread::spawn(move || machine.live(Instant::now() + delay, boot));
    }

    /// Waits for its end.
    pub(crate) fn wait(&self) -> i32 {
        let mut life = self.life();
        loop {
            if let Phase::Exited(code) = life.phase {
                return code;
            }
            life = self.changed.wait(life).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sends its first process a signal. One without a process is over at once.
    pub(crate) fn signal(&self, signal: Signal) {
        let life = self.life();
        if let Some(child) = &life.child {
            // Under the lock and not reaped: the number is still its own.
            kill(Pid::from_raw(child.id().cast_signed()), signal).ok();
            return;
        }
        drop(life);
        if self.is_running() {
            self.enter(Phase::Exited(128 + signal as i32));
        }
    }

    /// It counts as ended from now on, whatever its process does.
    pub(crate) fn forsake(&self) {
        self.enter(Phase::Exited(128 + Signal::SIGKILL as i32));
    }

    /// From its first process to the end of the last one.
    fn live(&self, begin: Instant, boot: Boot) {
        while Instant::now() < begin {
            std::thread::sleep(LOOK);
            if !self.is_running() {
                return;
            }
        }
        {
            let mut life = self.life();
            if life.phase != Phase::Running {
                return;
            }
            life.child = Some(self.spawn(boot));
        }
        let code = loop {
            std::thread::sleep(LOOK);
            let mut life = self.life();
            let Some(child) = &mut life.child else { return };
            if let Some(status) = child.try_wait().unwrap() {
                life.child = None;
                break status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            }
        };
        sweep(&self.dir);
        self.enter(Phase::Exited(code));
    }

    fn spawn(&self, boot: Boot) -> Child {
        let log = File::create(self.dir.join("log")).unwrap();
        let programs = repo::programs(!cfg!(debug_assertions));
        let mut command = Command::new(programs.join("beadrig-container"));
        command
            .env_clear()
            // What the image has set.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("BEADRIG_AGENTS_DIR", repo::root().join("container/agents"))
            .envs(&self.env)
            .env("BEADRIG_CONTAINER_LISTEN", self.port.address())
            .env("BEADRIG_DATA_DIR", self.dir.join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if boot == Boot::Stranger {
            command.env("BEADRIG_INCARNATION", "1");
        }
        command.spawn().unwrap()
    }

    fn enter(&self, phase: Phase) {
        self.life().phase = phase;
        self.changed.notify_all();
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it keeps everything.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}
