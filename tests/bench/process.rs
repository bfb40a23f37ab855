//! What the system says of a process. Linux only; elsewhere it says nothing.

use std::fs::read_to_string;
use std::time::Duration;

/// A clock tick of `/proc`: a hundredth of a second everywhere.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that it has used.
pub(crate) fn cpu(pid: u32) -> Duration {
    // After the name: state is the first, user and system time the 12th and 13th.
    ticks(&read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default(), 11)
}

/// The processor time of those that this process has started and that are over.
pub(crate) fn children() -> Duration {
    // It follows on the process's own.
    ticks(&read_to_string("/proc/self/stat").unwrap_or_default(), 13)
}

fn ticks(stat: &str, skip: usize) -> Duration {
    // The name may hold anything.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let words = rest.split_whitespace().skip(skip).take(2);
    let ticks: u32 = words.filter_map(|it| it.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// Its memory, in KB.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or_default()
}
