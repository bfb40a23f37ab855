//! What is free on this machine: looked at before a start, so that a run that has no room is refused and not
//! begun and lost.
//!
//! It must never be the reason of a refusal when the system does not say what is free.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use sysinfo::{MemoryRefreshKind, System};

const MIB: u64 = 1024 * 1024;

/// What must be free.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of disk.
    pub disk: u64,
}

/// Looks at what is free; says what is short. It blocks for a moment.
pub fn shortage(data_dir: &Path, wanted: Wanted) -> Option<String> {
    short("memory", free_memory(), wanted.memory).or(short(
        "disk",
        free_disk(data_dir),
        wanted.disk,
    ))
}

/// Three quarters of the memory of this machine or container.
pub fn most_of_memory() -> Option<u64> {
    let system = memory()?;
    let own = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    let all = system.total_memory().min(own);
    (all > 0).then_some(all / 4 * 3)
}

fn short(what: &str, free: Option<u64>, wanted: u64) -> Option<String> {
    let free = free.filter(|free| *free < wanted)?;
    Some(format!("{} MiB of {what} are free, a start takes {} MiB", free / MIB, wanted / MIB))
}

fn free_memory() -> Option<u64> {
    let system = memory()?;
    let free = system.available_memory();
    let own = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    // A system that says nothing says 0.
    (system.total_memory() > 0).then_some(free.min(own))
}

fn memory() -> Option<System> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    Some(system)
}

#[allow(clippy::useless_conversion, reason = "on macOS the numbers are smaller")]
fn free_disk(data_dir: &Path) -> Option<u64> {
    let disk = statvfs(data_dir).ok()?;
    u64::try_from(disk.blocks_available())
        .ok()?
        .checked_mul(u64::try_from(disk.fragment_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_said_with_its_figures() {
        let here = Path::new("/");
        assert_eq!(shortage(here, Wanted { memory: 0, disk: 0 }), None);
        let no_memory = shortage(here, Wanted { memory: u64::MAX, disk: 0 }).unwrap();
        assert!(no_memory.contains("MiB of memory are free, a start takes 17592186044415 MiB"));
        let no_disk = shortage(here, Wanted { memory: 0, disk: u64::MAX }).unwrap();
        assert!(no_disk.contains("MiB of disk are free"), "{no_disk}");
        let nowhere = Path::new("/no/such/place");
        assert_eq!(shortage(nowhere, Wanted { memory: 0, disk: u64::MAX }), None);
        assert!(most_of_memory().is_some_and(|bytes| bytes > MIB));
    }
}
