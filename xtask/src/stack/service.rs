//! One part of a stack: a process with a port, a log file and a health page.
//!
//! ```text
//! stopped --start--> running --answers /health--> healthy
//!    ^                  |
//!    +--stop, kill, or its own end
//! ```
//!
//! It is in a process group of its own, so that Ctrl-C in a terminal reaches us alone and we stop the parts in
//! order. Every method takes `&self`: a test kills from one thread what another one talks to.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Options, Port, http};
use crate::error::{Doing as _, Error, Result};

/// How often we look whether it answers or has ended.
const POLL: Duration = Duration::from_millis(20);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How much of a log an error shows.
const LOG_LINES: usize = 30;
/// A log that is longer at a start is put aside.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A longer line is cut in the log.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// workerd with the worker.
    Worker,
    /// The container service.
    Container,
}

impl Source {
    /// For logs and people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Container => "container",
        }
    }
}

/// A line of output.
#[derive(Clone, Debug)]
pub struct Line {
    /// Of whom.
    pub source: Source,
    /// Without the end of line.
    pub text: String,
}

/// Takes lines as they come, from several threads.
pub type Sink = Arc<dyn Fn(Line) + Send + Sync>;

/// One part of a stack.
pub struct Service {
    source: Source,
    /// Keeps the number reserved while nothing listens on it.
    port: Port,
    log: PathBuf,
    pid_file: PathBuf,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    sink: Option<Sink>,
    child: Mutex<Option<Child>>,
}

impl Service {
    pub(super) fn new(
        source: Source,
        options: &Options,
        port: &Port,
        command: Box<dyn Fn() -> Command + Send + Sync>,
    ) -> Self {
        Self {
            source,
            port: port.clone(),
            log: options.data.join("logs").join(format!("{}.log", source.name())),
            pid_file: options.data.join(format!("{}.pid", source.name())),
            command,
            sink: options.sink.clone(),
            child: Mutex::new(None),
        }
    }

    /// Starts the process; see [`Service::wait_healthy`]. One that runs already is left alone.
    pub fn start(&self) -> Result<()> {
        let mut slot = self.slot();
        if let Some(child) = slot.as_mut()
            && child.try_wait().doing("wait for a child")?.is_none()
        {
            return Ok(());
        }
        let name = self.source.name();
        if std::fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            std::fs::rename(&self.log, self.log.with_extension("log.old"))
                .doing_to("rename", &self.log)?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = Arc::new(Mutex::new(log.doing_to("open", &self.log)?));
        let mut command = (self.command)();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let program = PathBuf::from(command.get_program());
        let mut child = command.spawn().doing_to(&format!("start the {name}:"), &program)?;
        std::fs::write(&self.pid_file, child.id().to_string()).doing_to("write", &self.pid_file)?;
        if let Some(out) = child.stdout.take() {
            self.record(out, &log);
        }
        if let Some(err) = child.stderr.take() {
            self.record(err, &log);
        }
        *slot = Some(child);
        Ok(())
    }

    /// Waits until `/health` answers 200; says why when the process ends first or the time is over.
    pub fn wait_healthy(&self, patience: Duration) -> Result<()> {
        let name = self.source.name();
        let deadline = Instant::now() + patience;
        loop {
            let said = match self.get("/health") {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => format!("it says {} {}", answer.status, answer.body.trim()),
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.ended()? {
                let tail = self.log_tail();
                return Err(Error::new(format!("the {name} ended ({status}):\n{tail}")));
            }
            if Instant::now() >= deadline {
                let (seconds, tail) = (patience.as_secs(), self.log_tail());
                let text = format!("the {name} is not healthy after {seconds} s: {said}\n{tail}");
                return Err(Error::new(text));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks it for a path.
    pub fn get(&self, path: &str) -> std::io::Result<http::Answer> {
        http::get(self.port.number(), path, ANSWER)
    }

    /// Its process, if one runs.
    pub fn pid(&self) -> Option<u32> {
        let mut slot = self.slot();
        let child = slot.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// How it ended; `None` while it runs, and when we ended it.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        match self.slot().as_mut() {
            Some(child) => child.try_wait().doing(format_args!("wait for the {}", self.name())),
            None => Ok(None),
        }
    }

    /// KILL, at once. What it was doing is not finished.
    pub fn kill(&self) {
        if let Some(mut child) = self.slot().take() {
            child.kill().ok();
            child.wait().ok();
            std::fs::remove_file(&self.pid_file).ok();
        }
    }

    /// TERM, and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
        // A frozen one hears nothing.
        self.signal(Signal::SIGCONT);
    }

    /// TERM; after the grace, KILL.
    pub fn stop(&self, grace: Duration) {
        self.terminate();
        let deadline = Instant::now() + grace;
        while self.pid().is_some() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        self.kill();
    }

    /// STOP: it is there and answers nothing, until [`Service::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// CONT.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// KILL, then start on the same port with the same data, and wait until it answers.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.start()?;
        self.wait_healthy(super::START)
    }

    /// Its log file; it grows over restarts.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything that it has written.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        self.source.name()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn signal(&self, signal: Signal) {
        // Under the lock, and only while it is not reaped: the number is still its own.
        let mut slot = self.slot();
        if let Some(child) = slot.as_mut()
            && matches!(child.try_wait(), Ok(None))
            && let Ok(pid) = i32::try_from(child.id())
        {
            kill(Pid::from_raw(pid), signal).ok();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies lines to the log and the sink until the pipe is closed.
    fn record(&self, pipe: impl Read + Send + 'static, log: &Arc<Mutex<File>>) {
        let (source, sink, log) = (self.source, self.sink.clone(), Arc::clone(log));
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut bytes = Vec::new();
            loop {
                bytes.clear();
                match pipe.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let text = String::from_utf8_lossy(&bytes);
                let text = text.trim_end_matches(['\n', '\r']).to_owned();
                let mut file = log.lock().unwrap_or_else(PoisonError::into_inner);
                // One write a line, so that both pipes and several starts do not mix.
                file.write_all(format!("{text}\n").as_bytes()).ok();
                drop(file);
                if let Some(sink) = &sink {
                    sink(Line { source, text });
                }
            }
        });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A stack stops its parts in order before they are dropped.
        self.kill();
    }
}
