//! Runs a child to its end: says what is being done and for how long, and shows its output when it fails.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Doing as _, Error, Result};
use crate::repo;

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(50);

/// A line that says what is being done, with a clock that runs while a person watches.
pub struct Progress {
    what: String,
    since: Instant,
    shown_s: Option<u64>,
    live: bool,
}

impl Progress {
    /// Begins a line.
    pub fn new(what: impl Into<String>) -> Self {
        let mut progress = Self {
            what: what.into(),
            since: Instant::now(),
            shown_s: Some(0),
            live: std::io::stderr().is_terminal(),
        };
        if progress.live {
            progress.shown_s = None;
            progress.tick();
        }
        progress
    }

    /// Shows the time that has passed: once a second to a person, once a minute in a log.
    pub fn tick(&mut self) {
        let seconds = self.since.elapsed().as_secs();
        let step = if self.live { 1 } else { 60 };
        let seconds = seconds - seconds % step;
        if self.shown_s == Some(seconds) {
            return;
        }
        self.shown_s = Some(seconds);
        if self.live {
            eprint!("\r{} … {seconds} s\x1b[K", self.what);
            std::io::stderr().flush().ok();
        } else {
            eprintln!("{} … {seconds} s", self.what);
        }
    }

    /// Ends the line with what came of it.
    pub fn end(self, outcome: &str) {
        let begin = if self.live { "\r" } else { "" };
        let end = if self.live { "\x1b[K" } else { "" };
        let seconds = self.since.elapsed().as_secs_f32();
        eprintln!("{begin}{}: {outcome}, {seconds:.1} s{end}", self.what);
    }
}

/// A child that has ended, and what it wrote.
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Both pipes in one file.
    pub log: PathBuf,
}

impl Ended {
    /// What it wrote.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

/// Runs `command` with its output in a log of that name, ticking the line meanwhile.
pub fn logged(command: &mut Command, name: &str, progress: &mut Progress) -> Result<Ended> {
    let dir = repo::target().join("xtask");
    fs::create_dir_all(&dir).doing_to("create", &dir)?;
    let log = dir.join(format!("{name}.log"));
    let file = File::create(&log).doing_to("create", &log)?;
    let both = file.try_clone().doing_to("open", &log)?;
    command.stdin(Stdio::null()).stdout(file).stderr(both);
    let mut child = command.spawn().doing(format_args!("run {}", shown(command)))?;
    loop {
        if let Some(status) = child.try_wait().doing(format_args!("wait for {name}"))? {
            return Ok(Ended { status, log });
        }
        progress.tick();
        std::thread::sleep(POLL);
    }
}

/// Runs a long step: one line while it goes well, its whole output when it fails.
pub fn step(what: &str, name: &str, command: &mut Command) -> Result<()> {
    let mut progress = Progress::new(what);
    let ended = logged(command, name, &mut progress)?;
    if ended.status.success() {
        progress.end("done");
        return Ok(());
    }
    progress.end("failed");
    eprintln!("{}", ended.output().trim_end());
    Err(Error::new(format!("{what} failed ({}): {}", ended.status, shown(command))))
}

/// Runs a child whose output the person shall see as it comes.
pub fn through(command: &mut Command) -> Result<()> {
    let status = command.status().doing(format_args!("run {}", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("{} ended with {status}", shown(command))))
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// What a short child says, or that it cannot be run.
pub fn answer(program: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(repo::root()).stdin(Stdio::null());
    let output = command.output().doing(format_args!("run {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!("{} failed: {}", shown(&command), said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `cargo`, as a person would start it: without the variables that `cargo run` leaves to its child.
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(repo::root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// `PATH` with directories in front.
pub fn path_with(first: &[&Path]) -> OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = first.iter().map(|dir| dir.to_path_buf()).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).unwrap_or(rest)
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let mut line = program.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
