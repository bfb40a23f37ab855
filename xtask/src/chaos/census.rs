//! What `/proc` says: which processes belong to the stack's agents, and what a process takes.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process: its number, and when it began, for numbers come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    began: u64,
    /// Whether it leads its group: an agent's own process does.
    pub leads: bool,
}

impl Process {
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it is in parentheses and may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_ascii_whitespace().collect();
        let is_dead = matches!(*fields.first()?, "Z" | "X");
        let group: i32 = fields.get(2)?.parse().ok()?;
        let began = fields.get(19)?.parse().ok()?;
        (!is_dead).then_some(Self { pid, began, leads: group == pid })
    }

    /// Whether it is there; one that only waits to be reaped is not.
    pub fn is_there(self) -> bool {
        Self::of(self.pid).is_some_and(|it| it.began == self.began)
    }

    /// Sends it a signal, if it is there.
    pub fn signal(self, signal: Signal) {
        if self.is_there() {
            kill(Pid::from_raw(self.pid), signal).ok();
        }
    }
}

/// Every process that has this in its environment, oldest first.
pub fn marked(mark: &str) -> Vec<Process> {
    let mut found = Vec::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let has = environment.split(|byte| *byte == 0).any(|it| it == mark.as_bytes());
        if has {
            found.extend(Process::of(pid));
        }
    }
    found.sort_by_key(|it| (it.began, it.pid));
    found
}

/// What a process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, in KiB.
    pub rss_kib: u64,
    /// Open file descriptors.
    pub fds: u64,
}

impl Usage {
    /// Of a process that is there.
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib = line.split_ascii_whitespace().next()?.parse().ok()?;
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Self { rss_kib, fds: u64::try_from(fds).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_found_by_its_environment_until_it_is_gone() {
        let mark = format!("BEADRIG_CENSUS_TEST={}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        let mut child = Command::new("sleep").arg("60").env(name, value).spawn().unwrap();
        let found = marked(&mark);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].is_there());
        assert!(Usage::of(child.id()).unwrap().fds > 0);
        found[0].signal(Signal::SIGKILL);
        child.wait().unwrap();
        assert!(!found[0].is_there());
        assert_eq!(marked(&mark), []);
    }
}
