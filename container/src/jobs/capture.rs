//! All that a job says, on disk as it is said, up to a bound.
//!
//! Bytes, not lines: a result of 10 MB on one line is kept whole. It is written at once and not at the end, so that
//! a service that is killed leaves it behind. It must never stop reading: what is beyond the bound, or what the disk
//! does not take, is counted and dropped, so that the process never waits for us.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::limits::{JOB_STDERR_BYTES_MAX, JOB_STDOUT_BYTES_MAX};
use crate::output::Source;

/// The name of the file with the standard output.
pub const STDOUT: &str = "stdout";
/// The name of the file with the standard error.
pub const STDERR: &str = "stderr";

/// The two files.
#[derive(Debug)]
pub struct Capture {
    stdout: Mutex<Kept>,
    stderr: Mutex<Kept>,
}

/// How much of one of them was kept and dropped, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// In the file.
    pub kept: u64,
    /// Only counted.
    pub cut: u64,
}

#[derive(Debug)]
struct Kept {
    file: File,
    max: u64,
    amount: Amount,
}

impl Capture {
    /// Makes the files. It blocks.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let file = |name, max| -> io::Result<_> {
            let file = File::create(dir.join(name))?;
            Ok(Mutex::new(Kept { file, max, amount: Amount::default() }))
        };
        Ok(Self {
            stdout: file(STDOUT, JOB_STDOUT_BYTES_MAX)?,
            stderr: file(STDERR, JOB_STDERR_BYTES_MAX)?,
        })
    }

    /// Takes what was said.
    pub fn take(&self, source: Source, bytes: &[u8]) {
        match source {
            Source::Stdout => lock(&self.stdout).take(bytes),
            Source::Stderr => lock(&self.stderr).take(bytes),
            Source::Status => {}
        }
    }

    /// How much there is of standard output and of standard error.
    pub fn amounts(&self) -> (Amount, Amount) {
        (lock(&self.stdout).amount, lock(&self.stderr).amount)
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    fn take(&mut self, bytes: &[u8]) {
        // Once something is missing nothing may follow it: the end would be taken for what comes next.
        let room = if self.amount.cut > 0 { 0 } else { self.max - self.amount.kept };
        let length = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        let mut written = 0;
        while written < length {
            match self.file.write(&bytes[written..length]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "a job's output is not kept");
                    break;
                }
            }
        }
        self.amount.kept += written as u64;
        self.amount.cut += (bytes.len() - written) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_counted_and_nothing_follows_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let capture = Capture::create(dir.path()).unwrap();
        lock(&capture.stdout).max = 5;
        capture.take(Source::Stdout, b"abc");
        capture.take(Source::Stdout, b"defg");
        capture.take(Source::Stdout, b"h");
        capture.take(Source::Stderr, b"no");
        let amounts = (Amount { kept: 5, cut: 3 }, Amount { kept: 2, cut: 0 });
        assert_eq!(capture.amounts(), amounts);
        assert_eq!(std::fs::read(dir.path().join(STDOUT)).unwrap(), b"abcde");
    }
}
