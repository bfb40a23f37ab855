//! Who belongs to which run: what a process group cannot say once somebody has left it.
//!
//! ```text
//! leader of a run ---------------------------------------------> that run
//! is in the cgroup of a run (where there are any) ---------------> that run
//! has the marks of a run in its environment ---------------------> that run
//! child of one that belongs to a run ----------------------------> that run, also with another environment
//! adopted by this service, of another session, unmarked ---------> one of the runs that lived when it was seen
//! anybody else --------------------------------------------------> nobody: never touched
//! ```
//!
//! A process is judged once, when it is first seen, and keeps its run whatever it does later. Adoption needs the
//! service to be a subreaper (Linux); then it also reaps what it adopts. One that nobody saw while its parents
//! lived, and that cleaned its environment, is ended with the last of the runs that may have begun it.
//! It must never signal a process that belongs to nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use sysinfo::{
    Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind,
    get_current_pid,
};

use super::cgroup::{Cgroups, Door};
use super::orphans::OrphanError;
use crate::limits::{LOOK_MS, SWEEP_ROUNDS_MAX, WATCH_MS, ZOMBIE_MS_MAX};

/// What the processes of a run take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub processes: u64,
    /// Their resident memory; what they share counts for each.
    pub memory: u64,
}

/// Knows the processes of all runs. All its methods block for some milliseconds.
#[derive(Clone, Default)]
pub struct Census {
    book: Arc<Mutex<Book>>,
    /// Where the machine has any.
    cgroups: Option<Arc<Cgroups>>,
}

/// A process: its number, and when it began, for numbers come again.
type Key = (Pid, u64);

#[derive(Default)]
struct Book {
    looked: Option<Instant>,
    runs: BTreeMap<u64, Run>,
    seen: HashMap<Key, Seen>,
}

struct Run {
    leader: Option<Pid>,
    marker: Vec<OsString>,
}

struct Seen {
    whose: Whose,
    memory: u64,
    is_dead: bool,
    is_child: bool,
    since: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Run(u64),
    OneOf(BTreeSet<u64>),
    Nobody,
}

impl Census {
    /// Of runs that each have a cgroup, if there are any.
    pub fn new(cgroups: Option<Cgroups>) -> Self {
        Self { book: Arc::default(), cgroups: cgroups.map(Arc::new) }
    }

    /// A run is about to begin. Before it does, so that none of its processes is judged without it.
    /// Its first process goes through the door, if there is one.
    pub fn enter(&self, run: u64, marker: Vec<OsString>) -> Option<Door> {
        self.book().runs.insert(run, Run { leader: None, marker });
        self.in_cgroup(|cgroups| cgroups.enter(run))
    }

    /// The run has its leader.
    pub fn lead(&self, run: u64, leader: u32) {
        if let Some(run) = self.book().runs.get_mut(&run) {
            run.leader = Some(Pid::from_u32(leader));
        }
    }

    /// The run has not begun after all.
    pub fn forget(&self, run: u64) {
        self.in_cgroup(|cgroups| cgroups.end(run));
        self.book().runs.remove(&run);
    }

    /// What a run takes, by a look that is not much older than [`WATCH_MS`].
    pub fn usage(&self, run: u64) -> Result<Usage, OrphanError> {
        let mut book = self.book();
        let recent = Duration::from_millis(WATCH_MS / 2);
        if book.looked.is_none_or(|looked| looked.elapsed() > recent) {
            book.look(self.cgroups.as_deref())?;
        }
        let own = book.of(run).map(|(_, seen)| seen.memory);
        let (processes, memory) = own.fold((0, 0), |(count, sum), next| (count + 1, sum + next));
        Ok(Usage { processes, memory })
    }

    /// Sends a signal to every process of a run.
    pub fn signal(&self, run: u64, signal: Signal) -> Result<(), OrphanError> {
        let mut book = self.book();
        book.look(self.cgroups.as_deref())?;
        book.of(run).for_each(|(pid, _)| send(pid, signal));
        Ok(())
    }

    /// Kills what is left of a run, round by round until nothing is, and forgets it. Its leader is reaped.
    pub fn end(&self, run: u64) -> Result<(), OrphanError> {
        if let Some(run) = self.book().runs.get_mut(&run) {
            run.leader = None;
        }
        // At once, before those that have left it are looked for.
        self.in_cgroup(|cgroups| cgroups.end(run));
        let ended = self.rounds(run);
        self.forget(run);
        ended
    }

    fn rounds(&self, run: u64) -> Result<(), OrphanError> {
        let mut left = 0;
        for _ in 0..SWEEP_ROUNDS_MAX {
            left = self.book().kill(run, self.cgroups.as_deref())?;
            if left == 0 {
                return Ok(());
            }
            // Not with the book in hand: others look too.
            sleep(Duration::from_millis(LOOK_MS));
        }
        Err(OrphanError::Left(left))
    }

    /// Without its cgroup a run is known by what its processes look like.
    fn in_cgroup<T>(&self, ask: impl FnOnce(&Cgroups) -> io::Result<T>) -> Option<T> {
        let asked = ask(self.cgroups.as_deref()?);
        asked.inspect_err(|error| tracing::warn!(%error, "the cgroup of a run")).ok()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn of(&self, run: u64) -> impl Iterator<Item = (Pid, &Seen)> {
        let own = self.seen.iter().filter(move |(_, seen)| seen.whose == Whose::Run(run));
        own.filter(|(_, seen)| !seen.is_dead).map(|((pid, _), seen)| (*pid, seen))
    }

    /// One round; says how many it met.
    fn kill(&mut self, run: u64, cgroups: Option<&Cgroups>) -> Result<usize, OrphanError> {
        self.look(cgroups)?;
        let mut met = 0;
        for ((pid, _), seen) in &mut self.seen {
            if let Whose::OneOf(runs) = &mut seen.whose {
                runs.remove(&run);
                if runs.is_empty() {
                    seen.whose = Whose::Run(run);
                }
            }
            if seen.whose == Whose::Run(run) && !seen.is_dead {
                send(*pid, Signal::SIGKILL);
                met += 1;
            }
        }
        Ok(met)
    }

    /// Looks at all processes, and judges those that are new.
    fn look(&mut self, cgroups: Option<&Cgroups>) -> Result<(), OrphanError> {
        let mut system = System::new().map_err(OrphanError::Unreadable)?;
        let all = ProcessRefreshKind::nothing().without_tasks().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, all);
        self.seen.retain(|(pid, began), _| {
            system.process(*pid).is_some_and(|process| process.start_time() == *began)
        });
        for process in system.processes().values() {
            if let Some(seen) = self.seen.get_mut(&key(process)) {
                seen.memory = process.memory();
                if is_dead(process) != seen.is_dead {
                    (seen.is_dead, seen.since) = (is_dead(process), Instant::now());
                }
            }
        }
        self.judge(&mut system, cgroups);
        self.reap();
        self.looked = Some(Instant::now());
        Ok(())
    }

    fn judge(&mut self, system: &mut System, cgroups: Option<&Cgroups>) {
        let unknown = |process: &&Process| !self.seen.contains_key(&key(process));
        let fresh: Vec<Pid> =
            system.processes().values().filter(unknown).map(Process::pid).collect();
        let environment =
            ProcessRefreshKind::nothing().without_tasks().with_environ(UpdateKind::Always);
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&fresh), false, environment);
        let own = get_current_pid().ok();
        for process in fresh.iter().filter_map(|pid| system.process(*pid)) {
            let seen = Seen {
                whose: self.marked(process),
                memory: process.memory(),
                is_dead: is_dead(process),
                is_child: own.is_some() && process.parent() == own,
                since: Instant::now(),
            };
            self.seen.insert(key(process), seen);
        }
        for (run, leader) in self.runs.iter().filter_map(|(run, it)| Some((*run, it.leader?))) {
            // It may have been seen before it was known as one.
            let process = system.process(leader);
            if let Some(seen) = process.and_then(|process| self.seen.get_mut(&key(process))) {
                seen.whose = Whose::Run(run);
            }
        }
        if let Some(cgroups) = cgroups {
            self.find_members(system, cgroups);
        }
        self.adopt(system, &fresh);
        self.inherit(system, &fresh);
    }

    fn find_members(&mut self, system: &System, cgroups: &Cgroups) {
        for run in self.runs.keys() {
            let members = cgroups.members(*run).into_iter().map(Pid::from_u32);
            for process in members.filter_map(|pid| system.process(pid)) {
                if let Some(seen) = self.seen.get_mut(&key(process)) {
                    seen.whose = Whose::Run(*run);
                }
            }
        }
    }

    fn marked(&self, process: &Process) -> Whose {
        let has = |mark: &OsString| process.environ().contains(mark);
        let mut runs = self.runs.iter();
        let own = runs.find(|(_, run)| !run.marker.is_empty() && run.marker.iter().all(has));
        own.map_or(Whose::Nobody, |(run, _)| Whose::Run(*run))
    }

    /// Children of ours that we never began: their parents are gone.
    fn adopt(&mut self, system: &System, fresh: &[Pid]) {
        if !is_reaper() || self.runs.is_empty() {
            return;
        }
        let own = get_current_pid().ok();
        let session = own.and_then(|pid| system.process(pid)).and_then(Process::session_id);
        for process in fresh.iter().filter_map(|pid| system.process(*pid)) {
            let Some(seen) = self.seen.get_mut(&key(process)) else { continue };
            // What the service itself begins stays in its session.
            let is_stray = seen.is_child && !seen.is_dead && process.session_id() != session;
            if seen.whose == Whose::Nobody && is_stray {
                seen.whose = Whose::OneOf(self.runs.keys().copied().collect());
            }
        }
    }

    /// Children belong where their parents do.
    fn inherit(&mut self, system: &System, fresh: &[Pid]) {
        loop {
            let mut changed = false;
            for process in fresh.iter().filter_map(|pid| system.process(*pid)) {
                let parent = process.parent().and_then(|pid| system.process(pid));
                let parent = parent.and_then(|parent| self.seen.get(&key(parent)));
                let Some(whose) = parent.map(|parent| parent.whose.clone()) else { continue };
                let Some(seen) = self.seen.get_mut(&key(process)) else { continue };
                if seen.whose == Whose::Nobody && whose != Whose::Nobody {
                    seen.whose = whose;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Takes the dead that were adopted off the list of the system. What the service began, it waits for itself.
    fn reap(&self) {
        if !is_reaper() {
            return;
        }
        for ((pid, _), seen) in &self.seen {
            let is_leader = self.runs.values().any(|run| run.leader == Some(*pid));
            let is_old = seen.since.elapsed() > Duration::from_millis(ZOMBIE_MS_MAX);
            if seen.is_child && seen.is_dead && !is_leader && is_old {
                wait_for(*pid);
            }
        }
    }
}

fn key(process: &Process) -> Key {
    (process.pid(), process.start_time())
}

fn is_dead(process: &Process) -> bool {
    matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead)
}

fn send(pid: Pid, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid.as_u32()) {
        // One that is gone already needs none.
        let _ = kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}

fn wait_for(pid: Pid) {
    use nix::sys::wait::{WaitPidFlag, waitpid};
    if let Ok(pid) = i32::try_from(pid.as_u32()) {
        let _ = waitpid(nix::unistd::Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
}

/// Makes this process the one that adopts whom its children leave behind.
pub fn adopt_orphans() -> nix::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

fn is_reaper() -> bool {
    #[cfg(target_os = "linux")]
    return nix::sys::prctl::get_child_subreaper().unwrap_or(false);
    #[cfg(not(target_os = "linux"))]
    false
}
