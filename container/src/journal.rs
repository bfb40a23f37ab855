//! What runs, what is being merged, and what rigs have still to be told, in a file: so that a service that was killed
//! leaves no run and no merge whose end nobody hears of.
//!
//! ```text
//! begun --it is over--> ended (with its report) --the rig took the report, or wants it no more--> told: forgotten
//!   +-- the service is killed: the next one    +-- ... : the next one sends the report again
//!       reports a run as `lost`, and a merge as `container_failed`, as one that ends politely does
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
use beadrig::wire::merge::MergeReason;
use beadrig::wire::review::CompleteReview;
use serde::{Deserialize, Serialize};

use crate::git::outcome;
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

/// Which merge. One whose start has no number is in no journal: a report of it could be of any start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MergeName {
    /// For which rig.
    pub rig: String,
    /// Of which review.
    pub entry: String,
    /// Which start of it.
    pub attempt: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begun(Name),
    Ended(Name, Box<ExitReport>),
    Told(Name),
    MergeBegun(MergeName),
    MergeEnded(MergeName, Box<CompleteReview>),
    MergeTold(MergeName),
}

/// What an earlier service left: whose ends no rig has taken yet, and what rigs have to be told of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Runs.
    pub runs: Vec<(Name, ExitReport)>,
    /// Merges.
    pub merges: Vec<(MergeName, CompleteReview)>,
}

/// The journal of one data directory.
#[derive(Clone)]
pub struct Journal(Arc<Mutex<Book>>);

struct Book {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The last line may have no end.
    is_torn: bool,
    open: Open,
}

/// What is not told, with the reports of what is over.
#[derive(Default)]
struct Open {
    runs: BTreeMap<Name, Option<Box<ExitReport>>>,
    merges: BTreeMap<MergeName, Option<Box<CompleteReview>>>,
}

impl Journal {
    /// Opens the journal of a data directory, and says what an earlier service left open.
    pub fn open(data_dir: &Path, boot_id: &str) -> io::Result<(Self, Left)> {
        let path = data_dir.join("journal");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut open = Open::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(line) => open.enter(line),
                Err(error) => tracing::warn!(%error, "a line of the journal is passed over"),
            }
        }
        let left = open.close(boot_id);
        let file = anew(&path, &open)?;
        let bytes = file.metadata()?.len();
        let book = Book { path, file, bytes, is_torn: false, open };
        Ok((Self(Arc::new(Mutex::new(book))), left))
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

    /// A merge is taken, and will be done.
    pub fn merge_begun(&self, name: MergeName) {
        self.write(Line::MergeBegun(name));
    }

    /// A merge is over, and this is what its rig has to be told.
    pub fn merge_ended(&self, name: MergeName, report: &CompleteReview) {
        self.write(Line::MergeEnded(name, Box::new(report.clone())));
    }

    /// Its rig knows, or wants to hear nothing of it.
    pub fn merge_told(&self, name: MergeName) {
        self.write(Line::MergeTold(name));
    }

    fn write(&self, line: Line) {
        let mut book = self.book();
        let written = book.append(&line);
        // After a line of which only a part is there the next one begins on a line of its own.
        book.is_torn = written.is_err();
        book.open.enter(line);
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
    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = if self.is_torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
        self.bytes += bytes.len() as u64;
        self.file.write_all(&bytes)
    }

    fn compact(&mut self) -> io::Result<()> {
        self.file = anew(&self.path, &self.open)?;
        // What is open may be much by itself: then not at each line.
        self.bytes = 0;
        Ok(())
    }
}

impl Open {
    fn enter(&mut self, line: Line) {
        match line {
            Line::Begun(name) => drop(self.runs.insert(name, None)),
            Line::Ended(name, report) => drop(self.runs.insert(name, Some(report))),
            Line::Told(name) => drop(self.runs.remove(&name)),
            Line::MergeBegun(name) => drop(self.merges.insert(name, None)),
            Line::MergeEnded(name, report) => drop(self.merges.insert(name, Some(report))),
            Line::MergeTold(name) => drop(self.merges.remove(&name)),
        }
    }

    /// Says of what was begun and not ended that it was lost, and answers all that has to be told.
    fn close(&mut self, boot_id: &str) -> Left {
        let mut left = Left::default();
        for (name, report) in &mut self.runs {
            let report = report.get_or_insert_with(|| Box::new(lost(boot_id)));
            report.attempt = Some(name.attempt);
            left.runs.push((name.clone(), (**report).clone()));
        }
        for (name, report) in &mut self.merges {
            let report = report.get_or_insert_with(|| Box::new(lost_merge(name.attempt)));
            left.merges.push((name.clone(), (**report).clone()));
        }
        left
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        let runs = self.runs.iter().map(|(name, report)| match report.clone() {
            None => Line::Begun(name.clone()),
            Some(report) => Line::Ended(name.clone(), report),
        });
        let merges = self.merges.iter().map(|(name, report)| match report.clone() {
            None => Line::MergeBegun(name.clone()),
            Some(report) => Line::MergeEnded(name.clone(), report),
        });
        runs.chain(merges)
    }
}

/// Writes what is open into a new file, and puts it in the place of the old one.
fn anew(path: &Path, open: &Open) -> io::Result<File> {
    let aside = path.with_extension("new");
    let mut text = Vec::new();
    for line in open.lines() {
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

/// The report of a merge that ended with its service. It may have landed: the next start of it finds that.
fn lost_merge(attempt: i64) -> CompleteReview {
    let why = "the service was killed before the merge was reported: it can be started again";
    outcome::Outcome::new(MergeReason::ContainerFailed, why).report(Some(attempt))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(agent: &str, attempt: i64) -> Name {
        Name { rig: "r1".to_owned(), agent: agent.to_owned(), attempt }
    }

    fn merge(entry: &str, attempt: i64) -> MergeName {
        MergeName { rig: "r1".to_owned(), entry: entry.to_owned(), attempt }
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
        assert_eq!(left, Left::default());
        for agent in ["a1", "a2", "a3"] {
            journal.begun(name(agent, 1));
        }
        journal.ended(name("a2", 1), &report(1));
        journal.ended(name("a3", 1), &report(1));
        journal.told(name("a3", 1));
        for entry in ["m1", "m2", "m3"] {
            journal.merge_begun(merge(entry, 2));
        }
        let merged = CompleteReview { commit_sha: Some("c0ffee".to_owned()), ..lost_merge(2) };
        journal.merge_ended(merge("m2", 2), &merged);
        journal.merge_told(merge("m3", 2));
        drop(journal);
        // Torn, as by a full disk.
        let mut file = File::options().append(true).open(dir.path().join("journal")).unwrap();
        file.write_all(b"{\"begun\":{\"rig\":\"r1\",").unwrap();
        for boot in ["boot-2", "boot-2"] {
            let (_, left) = Journal::open(dir.path(), boot).unwrap();
            let lost = ExitReport { attempt: Some(1), ..lost("boot-2") };
            assert_eq!(left.runs, [(name("a1", 1), lost), (name("a2", 1), report(1))]);
            let both = [(merge("m1", 2), lost_merge(2)), (merge("m2", 2), merged.clone())];
            assert_eq!(left.merges, both);
        }
    }

    #[test]
    fn a_torn_line_costs_that_line_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), "boot-1").unwrap();
        journal.merge_begun(merge("m1", 1));
        // The disk was full in the middle of a line.
        {
            let mut book = journal.book();
            book.file.write_all(b"{\"merge_told\":{\"rig\":\"r1\",\"ent").unwrap();
            book.is_torn = true;
        }
        journal.merge_begun(merge("m2", 1));
        journal.begun(name("a1", 1));
        drop(journal);
        // And the service was killed in the middle of one.
        let path = dir.path().join("journal");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let (_, left) = Journal::open(dir.path(), "boot-2").unwrap();
        let merges = [(merge("m1", 1), lost_merge(1)), (merge("m2", 1), lost_merge(1))];
        assert_eq!((left.runs, left.merges.as_slice()), (Vec::new(), merges.as_slice()));
    }

    #[test]
    fn the_file_does_not_grow_with_what_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), "boot").unwrap();
        journal.begun(name("kept", 7));
        for attempt in 0..10_000 {
            journal.begun(name("a1", attempt));
            journal.told(name("a1", attempt));
            journal.merge_begun(merge("m1", attempt));
            journal.merge_told(merge("m1", attempt));
        }
        let size = fs::metadata(dir.path().join("journal")).unwrap().len();
        assert!(size <= JOURNAL_BYTES_MAX + 1024, "{size}");
        let (_, left) = Journal::open(dir.path(), "boot").unwrap();
        let runs = left.runs.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!((runs, left.merges), (vec![name("kept", 7)], Vec::new()));
    }
}
