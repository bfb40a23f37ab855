//! One `git` process: its environment, its deadline, its end.
//!
//! Nothing of this machine's settings reaches it, and none of the service's secrets: its environment is made here,
//! whole. It must never outlive its deadline, read a terminal, or say more than is kept.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::Git;
use super::credentials::Credentials;
use super::said;
use crate::limits::{
    GIT_ERROR_BYTES_MAX, GIT_LOCAL_MS_MAX, GIT_OUTPUT_BYTES_MAX, GIT_QUIT_MS, PIPE_READ_BYTES,
};

/// The oldest git that has all that is used here.
const OLDEST: (u32, u32) = (2, 38);

/// Why git did not do it. No token is in its text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GitError {
    /// There is none.
    #[error("git cannot be started: {0}")]
    NoGit(String),
    /// There is one of long ago.
    #[error("git {0} is too old: 2.38 or newer is needed")]
    TooOld(String),
    /// It took too long.
    #[error("git {what} was ended after {after_s} s")]
    TimedOut {
        /// Which command.
        what: String,
        /// How long it had.
        after_s: u64,
    },
    /// It said no.
    #[error("git {what} failed: {why}")]
    Failed {
        /// Which command.
        what: String,
        /// What it wrote to its standard error.
        why: String,
    },
    /// It said more than is read.
    #[error("git {0} said more than is read")]
    TooMuch(String),
    /// The file system said no.
    #[error("{0}")]
    Disk(String),
    /// What was asked for is not there, or may not be.
    #[error("{0}")]
    Refused(String),
}

/// What one command was asked and has to say.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Exit code; none if a signal ended it.
    pub(super) code: Option<i32>,
    /// Its standard output, whole.
    pub(super) out: String,
    /// The end of its standard error, without secrets.
    pub(super) err: String,
}

/// What all commands of one job have in common.
#[derive(Clone)]
pub(super) struct Setting {
    environment: Vec<(OsString, OsString)>,
    credentials: Credentials,
}

impl Setting {
    /// Without any credentials.
    pub(super) fn plain(git: &Git) -> Self {
        Self::new(git, Credentials::default())
    }

    /// With the credentials of one rig.
    pub(super) fn new(git: &Git, credentials: Credentials) -> Self {
        let home = git.home();
        let hosts = home.join("known_hosts");
        let own = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let mut environment = vec![
            own("LC_ALL", "C"),
            own("GIT_TERMINAL_PROMPT", "0"),
            own("GIT_ASKPASS", ""),
            own("SSH_ASKPASS_REQUIRE", "never"),
            own("GIT_CONFIG_NOSYSTEM", "1"),
            own("GIT_CONFIG_GLOBAL", "/dev/null"),
            own("GIT_ATTR_NOSYSTEM", "1"),
            own("GIT_LFS_SKIP_SMUDGE", "1"),
            own("GIT_ALLOW_PROTOCOL", "file:http:https:ssh"),
            own("GIT_OPTIONAL_LOCKS", "0"),
            // What is checked must be what is pushed.
            own("GIT_NO_REPLACE_OBJECTS", "1"),
            own("GIT_EDITOR", "true"),
            own("GIT_PAGER", "cat"),
            own("GIT_AUTHOR_NAME", "beadrig"),
            own("GIT_AUTHOR_EMAIL", "beadrig@beadrig.local"),
            own("GIT_COMMITTER_NAME", "beadrig"),
            own("GIT_COMMITTER_EMAIL", "beadrig@beadrig.local"),
            ("HOME".into(), home.into_os_string()),
            ("GIT_SSH_COMMAND".into(), super::credentials::ssh(&hosts).into()),
            ("BEADRIG_SUPERVISOR".into(), git.supervisor.clone()),
        ];
        for name in ["PATH", "SSH_AUTH_SOCK", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
            environment.extend(std::env::var_os(name).map(|value| (name.into(), value)));
        }
        environment.extend(credentials.environment(&OVERRIDES));
        Self { environment, credentials }
    }

    /// The text without this job's secrets and without what stands before the host of a URL.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.credentials.scrub(text)
    }

    /// With one more variable.
    pub(super) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }
}

/// Settings that a repository cannot change. What an agent sets in its clone is not read anyway (`own.rs`).
const OVERRIDES: [(&str, &str); 11] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.pager", "cat"),
    ("core.askPass", ""),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("advice.detachedHead", "false"),
    ("init.defaultBranch", "main"),
];

/// Runs git in a directory. Whatever its exit code, what it says is the answer.
pub(super) async fn ask(
    setting: &Setting,
    dir: &Path,
    arguments: &[&str],
    limit_ms: u64,
) -> Result<Said, GitError> {
    let what = arguments.first().copied().unwrap_or_default().to_owned();
    let mut child = Command::new("git")
        .args(arguments)
        .env_clear()
        .envs(setting.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| GitError::NoGit(error.to_string()))?;
    let group = Group::of(child.id());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let whole = async {
        let read = tokio::join!(read(out, GIT_OUTPUT_BYTES_MAX), read(err, GIT_ERROR_BYTES_MAX));
        (read, child.wait().await)
    };
    let limit = Duration::from_millis(limit_ms);
    let Ok((((out, cut), (err, _)), ended)) = timeout(limit, whole).await else {
        group.quit().await;
        return Err(GitError::TimedOut { what, after_s: limit_ms.div_ceil(1000) });
    };
    let code = ended.map_err(|error| GitError::NoGit(error.to_string()))?.code();
    if cut {
        return Err(GitError::TooMuch(what));
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { code, out: text(out), err: setting.scrub(text(err).trim()) })
}

/// Runs git; an exit code other than 0 is an error.
pub(super) async fn run(
    setting: &Setting,
    dir: &Path,
    arguments: &[&str],
    limit_ms: u64,
) -> Result<String, GitError> {
    let said = ask(setting, dir, arguments, limit_ms).await?;
    match said.code {
        Some(0) => Ok(said.out),
        _ => Err(failed(arguments, &said)),
    }
}

/// That a command said no.
pub(super) fn failed(arguments: &[&str], said: &Said) -> GitError {
    let what = arguments.first().copied().unwrap_or_default().to_owned();
    let why = if said.err.is_empty() {
        said.code.map_or_else(|| "a signal ended it".to_owned(), |code| format!("exit code {code}"))
    } else {
        said.err.clone()
    };
    GitError::Failed { what, why }
}

pub(super) async fn version(setting: &Setting) -> Result<(), GitError> {
    let text = run(setting, Path::new("/"), &["version"], GIT_LOCAL_MS_MAX).await?;
    match said::version(&text) {
        Some(found) if found >= OLDEST => Ok(()),
        _ => Err(GitError::TooOld(text.trim().replace("git version ", ""))),
    }
}

/// Reads a pipe to its end and keeps the beginning; says whether something was left out.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> (Vec<u8>, bool) {
    let Some(mut pipe) = pipe else { return (Vec::new(), false) };
    let (mut kept, mut cut) = (Vec::new(), false);
    let mut chunk = vec![0; PIPE_READ_BYTES.min(most)];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        let fits = length.min(most - kept.len());
        kept.extend_from_slice(&chunk[..fits]);
        cut |= fits < length;
    }
    (kept, cut)
}

/// The process group of one command. It does not outlive this value.
pub(super) struct Group(Option<Pid>);

impl Group {
    pub(super) fn of(pid: Option<u32>) -> Self {
        Self(pid.and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw))
    }

    /// Asks it to end, so that git removes its lock files, and ends it.
    pub(super) async fn quit(self) {
        let Some(pid) = self.0 else { return };
        let _ = killpg(pid, Signal::SIGTERM);
        sleep(Duration::from_millis(GIT_QUIT_MS)).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

/// Turns an error of the file system into one of git's.
pub(super) fn disk(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> GitError {
    let (what, path) = (what.to_owned(), PathBuf::from(path));
    move |error| GitError::Disk(format!("{} cannot be {what}: {error}", path.display()))
}
