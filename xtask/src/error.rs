//! One error: a sentence for the person at the terminal, which says what to do where we know it.

use std::fmt;
use std::path::Path;

/// What went wrong, in words.
#[derive(Debug)]
pub struct Error(String);

/// Of everything here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Says it.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Adds to an error what was being done.
pub trait Doing<T> {
    /// `doing` completes "cannot …".
    fn doing(self, doing: impl fmt::Display) -> Result<T>;

    /// The same for a file: "cannot read /etc/passwd: …".
    fn doing_to(self, doing: &str, path: &Path) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error(format!("cannot {doing}: {error}")))
    }

    fn doing_to(self, doing: &str, path: &Path) -> Result<T> {
        self.doing(format_args!("{doing} {}", path.display()))
    }
}
