//! Where one run works, if its rig has a repository: prepared before it, saved after it.
//!
//! It must never outlast its bounds: a run that is over is reported soon, whatever its remote does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use beadrig::wire::container::StartAgent;
use tokio::time::timeout;

use super::command::{GitError, Setting};
use super::credentials::{self, Credentials};
use super::repo::{Occupied, Repo};
use super::worktree::{self, Want};
use super::{Git, names, save};
use crate::limits::GIT_SAVE_MS_MAX;

/// The worktree of one run. While it is there no merge takes the branch away.
pub struct Place {
    repo: Repo,
    want: Want,
    environment: Vec<(OsString, OsString)>,
    _occupied: Occupied,
}

impl Place {
    /// That of a run; none if its rig has no repository.
    pub fn of(git: &Arc<Git>, request: &StartAgent) -> Option<Self> {
        let work = request.git.as_ref()?;
        let credentials = Credentials::new(&work.url, &request.env_vars);
        let author = format!("{} (beadrig)", names::one_line(&request.name));
        let address = format!("{}@beadrig.local", names::mailbox(&request.identity));
        let mut environment = credentials.environment(&[("push.autoSetupRemote", "true")]);
        let ssh = credentials::ssh(&git.home().join("known_hosts"));
        for (name, value) in [
            ("GIT_AUTHOR_NAME", author.as_str()),
            ("GIT_AUTHOR_EMAIL", &address),
            ("GIT_COMMITTER_NAME", &author),
            ("GIT_COMMITTER_EMAIL", &address),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", ""),
            ("GIT_EDITOR", "true"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_SSH_COMMAND", &ssh),
            ("BEADRIG_BRANCH", &work.branch),
        ] {
            environment.push((name.into(), value.into()));
        }
        let repo = git.repo(&request.rig_id, &work.url, Setting::new(git, credentials));
        let as_author = [("GIT_AUTHOR_NAME", &author), ("GIT_AUTHOR_EMAIL", &address)];
        let repo = as_author.iter().fold(repo, |repo, (name, value)| repo.with(name, value));
        let want = Want {
            branch: work.branch.clone(),
            default_branch: work.default_branch.clone(),
            bead: request.bead_id.clone(),
            attempt: request.attempt,
        };
        let occupied = repo.occupy(&want.branch);
        Some(Self { repo, want, environment, _occupied: occupied })
    }

    /// The directory that the agent works in.
    pub fn dir(&self) -> PathBuf {
        self.repo.tree(&self.want.branch)
    }

    /// What the agent's own git needs.
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    /// Makes the worktree.
    pub async fn prepare(&self) -> Result<Vec<String>, GitError> {
        worktree::prepare(&self.repo, &self.want).await
    }

    /// Keeps what the run has done, within a bounded time.
    pub async fn save(&self) -> Vec<String> {
        let dir = self.dir();
        let limit = Duration::from_millis(GIT_SAVE_MS_MAX);
        match timeout(limit, save::save(&self.repo, &dir, &self.want)).await {
            Ok(Ok(notes)) => notes,
            Ok(Err(error)) => vec![format!("git: the work could not be kept: {error}")],
            Err(_) => {
                let after_s = GIT_SAVE_MS_MAX / 1000;
                vec![format!("git: the work could not be kept within {after_s} s")]
            }
        }
    }
}
