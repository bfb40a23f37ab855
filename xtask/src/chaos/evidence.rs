//! What the agents wrote down (`tests/system/agents/toils`), and whether it breaks a promise. It trusts no table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A line that an agent wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bead.
    pub bead: String,
    /// The run and its process.
    pub run: (i64, i32),
    /// `start`, `act`, `alive`, `end`.
    pub word: String,
    /// Nanoseconds since the epoch.
    pub at: u64,
}

impl Entry {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let bead = words.next()?.to_owned();
        let run = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { bead, run, word: words.next()?.to_owned(), at: words.next()?.parse().ok()? })
    }
}

/// Everything that was written in a rig, in its order.
pub fn read(dir: &Path, rig: &str) -> Vec<Entry> {
    let text = fs::read_to_string(dir.join(format!("{rig}.log"))).unwrap_or_default();
    text.lines().filter_map(Entry::read).collect()
}

/// What it says of one rig.
#[derive(Debug, Default)]
pub struct Findings {
    /// Runs that began.
    pub runs: usize,
    /// From the last line of a run that was lost to the first of the next, the longest, and its bead.
    pub longest_recovery: (Duration, String),
    /// Promises that were broken.
    pub violations: Vec<String>,
}

/// Judges what was written in a rig.
pub fn judge(entries: &[Entry]) -> Findings {
    let mut beads: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        beads.entry(&entry.bead).or_default().push(entry);
    }
    let mut findings = Findings::default();
    for (bead, entries) in beads {
        judge_bead(bead, &entries, &mut findings);
    }
    findings
}

/// Never two at once, never an older run after a newer one, nobody begins what somebody has ended.
fn judge_bead(bead: &str, entries: &[&Entry], findings: &mut Findings) {
    let mut seen: Vec<(i64, i32)> = Vec::new();
    let mut last: Option<&Entry> = None;
    let mut ended: Option<(i64, i32)> = None;
    for entry in entries {
        match seen.iter().position(|run| *run == entry.run) {
            None => {
                // The same number again is a start that nobody had confirmed: its first process must be silent.
                if seen.iter().any(|run| run.0 > entry.run.0) {
                    findings.violations.push(format!("{bead}: run {:?} came late", entry.run));
                }
                if let Some(last) = last {
                    let gap = Duration::from_nanos(entry.at.saturating_sub(last.at));
                    if gap > findings.longest_recovery.0 {
                        findings.longest_recovery = (gap, bead.to_owned());
                    }
                }
                if let Some(done) = ended {
                    let text = format!("{bead}: {done:?} had ended it, and {:?} began", entry.run);
                    findings.violations.push(text);
                }
                seen.push(entry.run);
                findings.runs += 1;
            }
            Some(at) if at + 1 < seen.len() => {
                let newer = seen[seen.len() - 1];
                let text =
                    format!("{bead}: {:?} wrote {:?} beside {newer:?}", entry.run, entry.word);
                // Once for each pair in a row, not for each line.
                if findings.violations.last() != Some(&text) {
                    findings.violations.push(text);
                }
            }
            Some(_) => {}
        }
        if entry.word == "end" && ended.replace(entry.run).is_some() {
            findings.violations.push(format!("{bead}: ended twice, then by {:?}", entry.run));
        }
        last = Some(*entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &[&str]) -> Findings {
        let entries: Vec<_> = lines.iter().filter_map(|line| Entry::read(line)).collect();
        assert_eq!(entries.len(), lines.len());
        judge(&entries)
    }

    #[test]
    fn one_run_after_the_other_is_well_and_the_wait_between_them_is_measured() {
        let findings = judged(&[
            "b1 1 10 start 1000000000",
            "b2 1 11 start 1000000000",
            "b1 1 10 act 2000000000",
            "b1 2 12 start 5000000000",
            "b1 2 12 end 6000000000",
            "b2 1 11 end 9000000000",
        ]);
        assert!(findings.violations.is_empty(), "{:?}", findings.violations);
        assert_eq!((findings.runs, findings.longest_recovery.0.as_secs()), (3, 3));
    }

    #[test]
    fn two_at_once_an_old_run_that_comes_late_and_a_second_end_are_missed_by_nobody() {
        let beside = judged(&["b 1 10 start 1", "b 2 11 start 2", "b 1 10 act 3"]);
        assert_eq!(beside.violations, ["b: (1, 10) wrote \"act\" beside (2, 11)"]);
        let late = judged(&["b 2 11 start 1", "b 1 10 start 2"]);
        assert_eq!(late.violations, ["b: run (1, 10) came late"]);
        let again = judged(&["b 1 10 start 1", "b 1 11 start 2", "b 1 11 end 3"]);
        assert!(again.violations.is_empty(), "a start that was asked for again: {again:?}");
        let twice = judged(&["b 1 10 end 1", "b 2 11 start 2", "b 2 11 end 3"]);
        assert_eq!(twice.violations.len(), 2, "{:?}", twice.violations);
    }
}
