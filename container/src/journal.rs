//! What runs and what rigs have still to be told, in a file: so that a service that was killed leaves no run
//! whose end nobody hears of.
//!
//! ```text
//! begun --the run is over--> ended (with its report) --the rig took the report--> told: forgotten
//!   +-- the service is killed: the next one reports `lost`      +-- ... : the next one sends the report again
//! ```
//!
//! One line of JSON each, appended; a torn one is passed over. It survives the death of the service, not of the
//! machine: nothing is synced, for the processes would be gone with the machine too, and the rig asks in the end.
//! No token ever gets in. It must never stop the service: a full disk costs the reports of the next life.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beadrig::wire::container::{ExitReport, Outcome};
use serde::{Deserialize, Serialize};

use crate::limits::JOURNAL_BYTES_MAX;

/// Which run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// For which rig.
    pub rig: String,
    /// Who.
    pub agent: String,
    /// Which attempt.
    pub attempt: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begun(Name),
    Ended(Name, Box<ExitReport>),
    Told(Name),
}

/// The journal of one data directory.
#[derive(Clone)]
pub struct Journal(Arc<Mutex<Book>>);

struct Book {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Runs that are not told, with their reports once they are over.
    open: BTreeMap<Name, Option<Box<ExitReport>>>,
}

impl Journal {
    /// Opens the journal of a data directory, and says what an earlier service left open.
    pub fn open(data_dir: &Path, boot_id: &str) -> io::Result<(Self, Vec<(Name, ExitReport)>)> {
        let path = data_dir.join("journal");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut open = BTreeMap::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(line) => enter(&mut open, line),
                Err(error) => tracing::warn!(%error, "a line of the journal is passed over"),
            }
        }
        for report in open.values_mut() {
            report.get_or_insert_with(|| Box::new(lost(boot_id)));
        }
        let left = open.iter().filter_map(|(name, report): (&Name, &Option<Box<ExitReport>>)| {
            let mut report = report.as_deref()?.clone();
            report.attempt = Some(name.attempt);
            Some((name.clone(), report))
        });
        let left = left.collect();
        let file = anew(&path, &open)?;
        let bytes = file.metadata()?.len();
        Ok((Self(Arc::new(Mutex::new(Book { path, file, bytes, open }))), left))
    }

    /// A run is about to be started.
    pub fn begun(&self, name: Name) {
        self.write(Line::Begun(name));
    }

    /// A run is over, and this is what its rig has to be told.
    pub fn ended(&self, name: Name, report: &ExitReport) {
        self.write(Line::Ended(name, Box::new(report.clone())));
    }

    /// Its rig knows.
    pub fn told(&self, name: Name) {
        self.write(Line::Told(name));
    }

    fn write(&self, line: Line) {
        let mut book = self.book();
        let written = serde_json::to_vec(&line).map_err(io::Error::other).and_then(|mut bytes| {
            bytes.push(b'\n');
            book.bytes += bytes.len() as u64;
            book.file.write_all(&bytes)
        });
        enter(&mut book.open, line);
        let compacted = if book.bytes > JOURNAL_BYTES_MAX { book.compact() } else { Ok(()) };
        if let Err(error) = written.and(compacted) {
            tracing::error!(%error, "the journal cannot be written");
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn compact(&mut self) -> io::Result<()> {
        self.file = anew(&self.path, &self.open)?;
        // What is open may be much by itself: then not at each line.
        self.bytes = 0;
        Ok(())
    }
}

fn enter(open: &mut BTreeMap<Name, Option<Box<ExitReport>>>, line: Line) {
    match line {
        Line::Begun(name) => drop(open.insert(name, None)),
        Line::Ended(name, report) => drop(open.insert(name, Some(report))),
        Line::Told(name) => drop(open.remove(&name)),
    }
}

/// Writes what is open into a new file, and puts it in the place of the old one.
fn anew(path: &Path, open: &BTreeMap<Name, Option<Box<ExitReport>>>) -> io::Result<File> {
    let aside = path.with_extension("new");
    let mut text = Vec::new();
    for (name, report) in open {
        let line = match report {
            None => Line::Begun(name.clone()),
            Some(report) => Line::Ended(name.clone(), report.clone()),
        };
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    let mut file =
        File::options().create(true).write(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&text)?;
    fs::rename(&aside, path)?;
    Ok(file)
}

/// The report of a run that ended with its service.
fn lost(boot_id: &str) -> ExitReport {
    ExitReport {
        status: Outcome::Failed,
        reason: Some("lost".to_owned()),
        attempt: None,
        exit_code: None,
        signal: None,
        cost_usd_micros: None,
        session_id: None,
        boot_id: Some(boot_id.to_owned()),
        output_tail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(agent: &str, attempt: i64) -> Name {
        Name { rig: "r1".to_owned(), agent: agent.to_owned(), attempt }
    }

    fn report(attempt: i64) -> ExitReport {
        ExitReport {
            reason: Some("exited".to_owned()),
            attempt: Some(attempt),
            exit_code: Some(3),
            ..lost("boot-1")
        }
    }

    #[test]
    fn the_next_life_learns_what_was_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, left) = Journal::open(dir.path(), "boot-1").unwrap();
        assert_eq!(left, []);
        for agent in ["a1", "a2", "a3"] {
            journal.begun(name(agent, 1));
        }
        journal.ended(name("a2", 1), &report(1));
        journal.ended(name("a3", 1), &report(1));
        journal.told(name("a3", 1));
        drop(journal);
        // Torn, as by a full disk.
        let mut file = File::options().append(true).open(dir.path().join("journal")).unwrap();
        file.write_all(b"{\"begun\":{\"rig\":\"r1\",").unwrap();
        for boot in ["boot-2", "boot-2"] {
            let (_, left) = Journal::open(dir.path(), boot).unwrap();
            let lost = ExitReport { attempt: Some(1), ..lost("boot-2") };
            assert_eq!(left, [(name("a1", 1), lost), (name("a2", 1), report(1))]);
        }
    }

    #[test]
    fn the_file_does_not_grow_with_what_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), "boot").unwrap();
        journal.begun(name("kept", 7));
        for attempt in 0..20_000 {
            journal.begun(name("a1", attempt));
            journal.told(name("a1", attempt));
        }
        let size = fs::metadata(dir.path().join("journal")).unwrap().len();
        assert!(size <= JOURNAL_BYTES_MAX + 1024, "{size}");
        let (_, left) = Journal::open(dir.path(), "boot").unwrap();
        assert_eq!(left.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [name("kept", 7)]);
    }
}
