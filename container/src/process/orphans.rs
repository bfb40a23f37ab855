//! Processes that nobody waits for: found by what is in their environment, and killed.
//!
//! Every agent's process has `BEADRIG_SUPERVISOR=<data directory>`; its children inherit it. So what a service
//! that was killed with -9 left behind can be found by the next one, and what left its process group can be
//! found when its run ends. A process that cleans its environment on purpose is not found; it must never happen
//! that a process without the marker is touched. macOS hides the environment of its own programs.

use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

use sysinfo::{
    ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind, get_current_pid,
};

use thiserror::Error;

use crate::limits::{LOOK_MS, SWEEP_ROUNDS_MAX};

/// Why something may be left.
#[derive(Debug, Error)]
pub enum OrphanError {
    /// They come faster than they go.
    #[error("{0} processes are still there after {SWEEP_ROUNDS_MAX} rounds of KILL")]
    Left(usize),
    /// The system does not say which processes there are.
    #[error("the list of processes cannot be read: {0}")]
    Unreadable(sysinfo::Error),
}

/// Kills every process whose environment has all of these, round by round until none is left, and says how many
/// it met at once. It blocks.
pub fn kill_marked(marker: &[OsString]) -> Result<usize, OrphanError> {
    // An empty marker would mean everybody.
    if marker.is_empty() {
        return Ok(0);
    }
    let mut met = 0;
    for _ in 0..SWEEP_ROUNDS_MAX {
        let found = kill_once(marker).map_err(OrphanError::Unreadable)?;
        if found == 0 {
            return Ok(met);
        }
        met = met.max(found);
        sleep(Duration::from_millis(LOOK_MS));
    }
    Err(OrphanError::Left(met))
}

fn kill_once(marker: &[OsString]) -> Result<usize, sysinfo::Error> {
    let mut system = System::new()?;
    let environment =
        ProcessRefreshKind::nothing().without_tasks().with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, environment);
    let own = get_current_pid().ok();
    let found = system.processes().values().filter(|process| {
        let is_dead = matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
        let has = |mark: &OsString| process.environ().contains(mark);
        !is_dead && Some(process.pid()) != own && marker.iter().all(has)
    });
    Ok(found.map(sysinfo::Process::kill).count())
}
