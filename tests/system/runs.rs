//! What the agents for tests write down, the gates that they wait at, and their processes.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::until;

/// The gates in their order.
pub(crate) const GATES: [&str; 5] = ["started", "noted", "working", "closing", "closed"];

/// The agents of one rig.
#[derive(Clone)]
pub(crate) struct Runs {
    dir: PathBuf,
}

/// A line that an agent wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bead: String,
    pub(crate) attempt: i64,
    pub(crate) pid: i32,
    pub(crate) word: String,
}

impl Entry {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            bead: words.next()?.to_owned(),
            attempt: words.next()?.parse().ok()?,
            pid: words.next()?.parse().ok()?,
            word: words.next()?.to_owned(),
        })
    }

    /// The process that wrote it; a number that the system gave out twice would have another attempt.
    pub(crate) fn run(&self) -> (i64, i32) {
        (self.attempt, self.pid)
    }
}

impl Runs {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Opens gates, for all agents of the rig and for good.
    pub(crate) fn open(&self, gates: &[&str]) {
        for gate in gates {
            fs::write(self.dir.join(format!("open.{gate}")), "").unwrap();
        }
    }

    /// Everything that was written so far, in its order.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        text.lines().filter_map(Entry::read).collect()
    }

    /// The processes that wrote about a bead, in the order of their first lines.
    pub(crate) fn of(&self, bead: &str) -> Vec<(i64, i32)> {
        let mut runs = Vec::new();
        for entry in self.entries().iter().filter(|entry| entry.bead == bead) {
            if !runs.contains(&entry.run()) {
                runs.push(entry.run());
            }
        }
        runs
    }

    /// How often the agents of a bead wrote a word.
    pub(crate) fn count(&self, bead: &str, word: &str) -> usize {
        self.entries().iter().filter(|it| it.bead == bead && it.word == word).count()
    }

    /// Waits for a word about a bead.
    #[track_caller]
    pub(crate) fn wait(&self, bead: &str, word: &str, patience: Duration) -> Entry {
        until(&format!("agent at \"{word}\""), patience, || {
            let entries = self.entries();
            let found = entries.into_iter().find(|it| it.bead == bead && it.word == word);
            found.ok_or_else(|| self.told())
        })
    }

    /// Nobody wrote anything after somebody else had begun: never two at once.
    #[track_caller]
    pub(crate) fn check_one_at_a_time(&self, bead: &str) {
        let mut seen: Vec<(i64, i32)> = Vec::new();
        for entry in self.entries().iter().filter(|entry| entry.bead == bead) {
            match seen.iter().position(|run| *run == entry.run()) {
                None => {
                    let last = seen.last().map_or(0, |(attempt, _)| *attempt);
                    assert!(entry.attempt >= last, "an old attempt came late:\n{}", self.told());
                    seen.push(entry.run());
                }
                Some(at) => {
                    assert!(at + 1 == seen.len(), "two act at once:\n{}", self.told());
                }
            }
        }
    }

    /// What was written but for the signs of life, and what the agents' commands printed.
    pub(crate) fn told(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let mut lines: Vec<String> = Vec::new();
        for line in log.lines() {
            if lines.last().is_none_or(|last| last != line) {
                lines.push(line.to_owned());
            }
        }
        let out = fs::read_to_string(self.dir.join("out")).unwrap_or_default();
        format!("{}\n{out}", lines.join("\n"))
    }
}

/// KILL to one process that an agent said it is.
pub(crate) fn kill_process(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
}

/// Whether a process is there; one that only waits to be reaped is not.
pub(crate) fn is_there(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return kill(Pid::from_raw(pid), None).is_ok()
            && !fs::exists("/proc/self").unwrap_or(false);
    };
    // The name before it is in parentheses and may hold anything.
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}
