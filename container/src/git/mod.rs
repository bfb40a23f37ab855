//! Git: the repositories of rigs, a worktree for each branch, and merges.
//!
//! ```text
//! <data>/git/<rig>/<hash of the url>/repo.git     one bare clone, all worktrees share it
//!                                   /own.git       the same, with the service's own configuration
//!                                   /trees/<branch>  where an agent works
//!                                   /merge/<n>       where a merge is tried; gone after it
//!
//! run:    prepare (fetch, worktree) -> agent -> save (push the branch, push what is not committed)
//! merge:  fetch -> worktree of the target -> merge all -> gates -> ask the rig -> push -> tidy up
//! ```
//!
//! It is the real `git`, as a process. It must never ask a person, run a hook of a repository, leave the data
//! directory, or show a token: not in a URL, an argument, a file, a log or an error.

mod batch;
pub mod command;
mod conflict;
pub mod credentials;
pub mod forge;
mod gates;
mod housekeeping;
pub mod merger;
pub mod names;
pub mod outcome;
mod own;
mod place;
mod repo;
mod resolve;
pub mod said;
mod save;
mod sift;
mod worktree;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use self::command::{GitError, Setting, version};
pub use self::place::Place;
use self::repo::{Home, Repo};

/// All repositories of this service.
pub struct Git {
    root: PathBuf,
    supervisor: OsString,
    is_new_enough: OnceCell<()>,
    homes: Mutex<HashMap<PathBuf, Arc<Home>>>,
}

impl Git {
    /// Those below a data directory, whose full path is what the service's processes are known by.
    pub fn new(supervisor: OsString) -> Self {
        let root = Path::new(&supervisor).join("git");
        Self { root, supervisor, is_new_enough: OnceCell::new(), homes: Mutex::default() }
    }

    /// Removes what merges and processes of an earlier service left half done. It blocks.
    pub fn clear_leftovers(&self) -> io::Result<()> {
        for rig in children(&self.root)? {
            for home in children(&rig)? {
                match fs::remove_dir_all(home.join("merge")) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {
                        repo::remove_locks(&home.join("repo.git"))?;
                        repo::remove_locks(&home.join("own.git"))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The repository of a rig at an address that was checked.
    fn repo(self: &Arc<Self>, rig: &str, url: &str, setting: Setting) -> Repo {
        let dir = self.root.join(rig).join(names::hash(url));
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let home = homes.entry(dir.clone()).or_insert_with(|| Arc::new(Home::new(dir)));
        Repo::new(Arc::clone(self), Arc::clone(home), url.to_owned(), setting)
    }

    /// Whether there is a git that can do what is needed here; asked once.
    async fn check(&self) -> Result<(), GitError> {
        let setting = Setting::plain(self);
        self.is_new_enough.get_or_try_init(|| version(&setting)).await.copied()
    }

    /// Where the service's own settings for git lie: nothing but an empty home and the hosts that ssh has met.
    fn home(&self) -> PathBuf {
        self.root.join(".home")
    }
}

fn children(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
