//! The clone of one rig's repository: made once, shared by all worktrees, changed under a lock.
//!
//! ```text
//! none --init beside, rename--> there --ready: fetch--> up to date
//!            broken (a killed service, a full disk) --removed--> none
//! ```
//!
//! The remote is always given by the address that came with the request, and what an agent sets in the clone is not
//! read (`own.rs`), so it sends nothing elsewhere. It must never push without saying what it expects to find.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::Git;
use super::command::{self, GitError, Said, Setting, disk, failed};
use super::housekeeping;
use super::names;
use super::own;
use super::said::{self, Pushed};
use crate::limits::{GIT_LOCAL_MS_MAX, GIT_REMOTE_MS_MAX, GIT_RETRY_MS, GIT_UNUSED_S_MAX};

/// What a repository's directory has beside the files: who is at work in it.
pub(super) struct Home {
    dir: PathBuf,
    lock: tokio::sync::Mutex<()>,
    busy: Mutex<BTreeMap<String, usize>>,
    freed: Notify,
    serial: AtomicU64,
    /// When the last fetch that went well began.
    fetched: Mutex<Option<Instant>>,
    /// When it was last cleaned up.
    cleaned: Mutex<Option<Instant>>,
}

impl Home {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            lock: tokio::sync::Mutex::default(),
            busy: Mutex::default(),
            freed: Notify::new(),
            serial: AtomicU64::new(1),
            fetched: Mutex::default(),
            cleaned: Mutex::default(),
        }
    }

    fn busy(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a run works on a branch, as long as this is there.
pub(super) struct Occupied {
    home: Arc<Home>,
    branch: String,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let mut busy = self.home.busy();
        if let Some(runs) = busy.get_mut(&self.branch) {
            *runs -= 1;
            if *runs == 0 {
                busy.remove(&self.branch);
            }
        }
        drop(busy);
        self.home.freed.notify_waiters();
    }
}

/// A repository, as one request sees it: with its credentials.
#[derive(Clone)]
pub(super) struct Repo {
    git: Arc<Git>,
    home: Arc<Home>,
    /// Its address.
    pub(super) url: String,
    /// What its commands have in common.
    pub(super) setting: Setting,
}

impl Repo {
    pub(super) fn new(git: Arc<Git>, home: Arc<Home>, url: String, setting: Setting) -> Self {
        Self { git, home, url, setting }
    }

    /// The same one with one more variable for its commands.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.setting = self.setting.with(name, value);
        self
    }

    /// The clone itself.
    pub(super) fn bare(&self) -> PathBuf {
        self.home.dir.join("repo.git")
    }

    /// Where branches are worked on.
    pub(super) fn trees(&self) -> PathBuf {
        self.home.dir.join("trees")
    }

    /// Where a branch is worked on.
    pub(super) fn tree(&self, branch: &str) -> PathBuf {
        self.trees().join(names::directory(branch))
    }

    /// A directory that nobody else has, for one merge.
    pub(super) fn fresh(&self) -> PathBuf {
        let number = self.home.serial.fetch_add(1, Ordering::Relaxed);
        self.home.dir.join("merge").join(number.to_string())
    }

    /// Who has it may change what all worktrees share.
    pub(super) async fn lock(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.home.lock.lock().await
    }

    /// Notes that a run works on a branch.
    pub(super) fn occupy(&self, branch: &str) -> Occupied {
        *self.home.busy().entry(branch.to_owned()).or_default() += 1;
        Occupied { home: Arc::clone(&self.home), branch: branch.to_owned() }
    }

    /// Whether a run works on a branch.
    pub(super) fn is_busy(&self, branch: &str) -> bool {
        self.home.busy().contains_key(branch)
    }

    /// Whether a run works in a worktree.
    pub(super) fn is_busy_tree(&self, tree: &Path) -> bool {
        self.home.busy().keys().any(|branch| self.tree(branch) == tree)
    }

    /// Whether the last time was so long ago; then this is the last time.
    pub(super) fn is_time_to_clean(&self, every: Duration) -> bool {
        let mut cleaned = self.home.cleaned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = cleaned.is_none_or(|cleaned| cleaned.elapsed() >= every);
        if is_time {
            *cleaned = Some(Instant::now());
        }
        is_time
    }

    /// Waits until no run works on any of these, but not for ever.
    pub(super) async fn wait_for(&self, branches: &[&str], limit_ms: u64) {
        let free = async {
            loop {
                let mut freed = std::pin::pin!(self.home.freed.notified());
                freed.as_mut().enable();
                if !branches.iter().any(|branch| self.is_busy(branch)) {
                    return;
                }
                freed.await;
            }
        };
        if timeout(Duration::from_millis(limit_ms), free).await.is_err() {
            tracing::warn!(?branches, "a merge begins while a run is still on its branch");
        }
    }

    /// Where git keeps what only this worktree has; nothing if it is no worktree of this clone.
    pub(super) fn own_dir(&self, tree: &Path) -> Option<PathBuf> {
        own::dir_of(tree, &self.bare())
    }

    /// The clone as the service's own commands see it.
    fn own(&self) -> PathBuf {
        self.home.dir.join("own.git")
    }

    fn at_clone(&self) -> Setting {
        self.setting.clone().with("GIT_DIR", self.own())
    }

    fn at_tree(&self, tree: &Path) -> Result<Setting, GitError> {
        let Some(dir) = self.own_dir(tree) else {
            let what = format!("{} is no worktree any more", tree.display());
            return Err(GitError::Refused(what));
        };
        let setting = self.setting.clone().with("GIT_DIR", dir).with("GIT_WORK_TREE", tree);
        Ok(setting.with("GIT_COMMON_DIR", self.own()))
    }

    /// Runs git in the clone.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<String, GitError> {
        command::run(&self.at_clone(), &self.own(), arguments, GIT_LOCAL_MS_MAX).await
    }

    /// Runs git in the clone, where a no is an answer too.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Result<Said, GitError> {
        command::ask(&self.at_clone(), &self.own(), arguments, GIT_LOCAL_MS_MAX).await
    }

    /// Runs git in a worktree.
    pub(super) async fn run_in(&self, tree: &Path, arguments: &[&str]) -> Result<String, GitError> {
        command::run(&self.at_tree(tree)?, tree, arguments, GIT_LOCAL_MS_MAX).await
    }

    /// Runs git in a worktree, where a no is an answer too.
    pub(super) async fn ask_in(&self, tree: &Path, arguments: &[&str]) -> Result<Said, GitError> {
        command::ask(&self.at_tree(tree)?, tree, arguments, GIT_LOCAL_MS_MAX).await
    }

    /// Runs git in the clone, and it talks to the remote.
    async fn remote(&self, arguments: &[&str]) -> Result<Said, GitError> {
        command::ask(&self.at_clone(), &self.own(), arguments, GIT_REMOTE_MS_MAX).await
    }

    /// Makes the clone if it is not there, and fetches, unless somebody else has done that since it was asked for.
    /// Only under the lock.
    pub(super) async fn ready(&self, asked_at: Instant) -> Result<(), GitError> {
        self.git.check().await?;
        self.not_our_own()?;
        let bare = self.bare();
        let is_bare = ["rev-parse", "--is-bare-repository"];
        let is_whole = bare.join("HEAD").exists()
            && command::run(&self.setting, &bare, &is_bare, GIT_LOCAL_MS_MAX).await.is_ok();
        if !is_whole {
            self.create().await?;
        }
        let own = self.own();
        own::make(&own, &bare).map_err(disk("made", &own))?;
        let used = self.home.dir.join("used");
        fs::write(&used, "").map_err(disk("written", &used))?;
        housekeeping::begin(self);
        let fetched = *self.home.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if is_whole && fetched.is_some_and(|fetched| fetched >= asked_at) {
            return Ok(());
        }
        self.fetch().await
    }

    /// A rig whose address is a path could read the clone of another one.
    fn not_our_own(&self) -> Result<(), GitError> {
        let path = self.url.strip_prefix("file://").unwrap_or(&self.url);
        if !path.starts_with('/') {
            return Ok(());
        }
        match fs::canonicalize(path) {
            Ok(found) if found.starts_with(Path::new(&self.git.supervisor)) => Err(
                GitError::Refused("the repository is in the service's own directory".to_owned()),
            ),
            _ => Ok(()),
        }
    }

    /// Makes an empty clone beside its place and moves it there, so that there is no half one.
    async fn create(&self) -> Result<(), GitError> {
        let (bare, new) = (self.bare(), self.home.dir.join("new.git"));
        remove_unused(self.home.dir.clone());
        let homes = [self.home.dir.clone(), self.git.home()];
        for dir in &homes {
            fs::create_dir_all(dir).map_err(disk("made", dir))?;
        }
        for dir in [&new, &bare] {
            remove_tree(dir).await.map_err(disk("removed", dir))?;
        }
        let path = new.to_string_lossy();
        let init = ["init", "--quiet", "--bare", "--template=", &path];
        command::run(&self.setting, &homes[0], &init, GIT_LOCAL_MS_MAX).await?;
        for (name, value) in [
            ("remote.origin.url", self.url.as_str()),
            ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
            ("core.logAllRefUpdates", "true"),
            ("push.default", "current"),
        ] {
            let set = ["config", name, value];
            command::run(&self.setting, &new, &set, GIT_LOCAL_MS_MAX).await?;
        }
        fs::rename(&new, &bare).map_err(disk("put in its place", &new))
    }

    /// Takes over what the remote has; tries twice, because networks are like that.
    pub(super) async fn fetch(&self) -> Result<(), GitError> {
        let arguments = [
            "fetch",
            "--quiet",
            "--prune",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            &self.url,
            "+refs/heads/*:refs/remotes/origin/*",
        ];
        let began = Instant::now();
        let said = self.remote(&arguments).await?;
        if said.code == Some(0) {
            *self.home.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
            return Ok(());
        }
        sleep(Duration::from_millis(GIT_RETRY_MS)).await;
        match self.remote(&arguments).await? {
            Said { code: Some(0), .. } => Ok(()),
            said => Err(failed(&arguments, &said)),
        }
    }

    /// Takes over refs of ours that the remote has.
    pub(super) async fn fetch_refs(&self, pattern: &str) -> Result<(), GitError> {
        let refspec = format!("+{pattern}:{pattern}");
        let arguments =
            ["fetch", "--quiet", "--no-write-fetch-head", "--no-tags", &self.url, &refspec];
        let said = self.remote(&arguments).await?;
        if said.code == Some(0) { Ok(()) } else { Err(failed(&arguments, &said)) }
    }

    /// The remote's default branch; none while it is empty.
    pub(super) async fn default_branch(&self) -> Result<Option<String>, GitError> {
        let arguments = ["ls-remote", "--symref", &self.url, "HEAD"];
        let said = self.remote(&arguments).await?;
        if said.code != Some(0) {
            return Err(failed(&arguments, &said));
        }
        Ok(said::head(&said.out).map(str::to_owned))
    }

    /// What the remote has at a ref, now.
    pub(super) async fn remote_tip(&self, name: &str) -> Result<Option<String>, GitError> {
        let arguments = ["ls-remote", &self.url, name];
        let said = self.remote(&arguments).await?;
        if said.code != Some(0) {
            return Err(failed(&arguments, &said));
        }
        Ok(said::tip(&said.out, name).map(str::to_owned))
    }

    /// What the remote has under a name that ends with a slash, now.
    pub(super) async fn remote_tips(&self, under: &str) -> Result<Vec<(String, String)>, GitError> {
        let pattern = format!("{under}*");
        let arguments = ["ls-remote", &self.url, &pattern];
        let said = self.remote(&arguments).await?;
        if said.code != Some(0) {
            return Err(failed(&arguments, &said));
        }
        let tips = said.out.lines().filter_map(|line| line.split_once('\t'));
        let tips = tips.filter(|(hash, name)| said::is_hash(hash) && name.starts_with(under));
        Ok(tips.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect())
    }

    /// What the clone has at a ref.
    pub(super) async fn tip(&self, name: &str) -> Result<Option<String>, GitError> {
        let name = format!("{name}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
        let said = self.ask(&arguments).await?;
        let hash = said.out.trim();
        Ok((said.code == Some(0) && said::is_hash(hash)).then(|| hash.to_owned()))
    }

    /// Whether everything of `one` is in `other`.
    pub(super) async fn contains(&self, other: &str, one: &str) -> Result<bool, GitError> {
        let arguments = ["merge-base", "--is-ancestor", one, other];
        let said = self.ask(&arguments).await?;
        match said.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failed(&arguments, &said)),
        }
    }

    /// Whether a branch was once at this commit here: then who moved it on knew of it.
    pub(super) async fn was_here(&self, branch: &str, commit: &str) -> Result<bool, GitError> {
        let name = format!("refs/heads/{branch}");
        let said = self.ask(&["log", "-g", "--format=%H", &name, "--"]).await?;
        Ok(said.out.lines().any(|line| line == commit))
    }

    /// Whether the remote has no branch at all, as of the last fetch.
    pub(super) async fn is_empty(&self) -> Result<bool, GitError> {
        let arguments = ["for-each-ref", "--count=1", "refs/remotes/origin/"];
        Ok(self.run(&arguments).await?.trim().is_empty())
    }

    /// The first commit for an empty remote: always the same one, so that all branches have it in common.
    pub(super) async fn root(&self) -> Result<String, GitError> {
        let date = "2000-01-01T00:00:00Z";
        let fixed = self.clone().with("GIT_AUTHOR_DATE", date).with("GIT_COMMITTER_DATE", date);
        let tree = fixed.run(&["mktree"]).await?;
        let commit = fixed.run(&["commit-tree", "-m", "Begin", tree.trim()]).await?;
        Ok(commit.trim().to_owned())
    }

    /// Pushes refs that are where they are expected to be; says what came of each.
    pub(super) async fn push(&self, pushes: &[Push]) -> Result<Vec<Pushed>, GitError> {
        let mut arguments =
            vec!["push".to_owned(), "--porcelain".to_owned(), "--no-verify".to_owned()];
        arguments.push("--recurse-submodules=no".to_owned());
        arguments.extend(pushes.iter().map(|push| {
            let expected = push.expected.as_deref().unwrap_or_default();
            format!("--force-with-lease={}:{expected}", push.to)
        }));
        arguments.push(self.url.clone());
        arguments.extend(
            pushes
                .iter()
                .map(|push| format!("{}:{}", push.commit.as_deref().unwrap_or_default(), push.to)),
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = self.remote(&arguments).await?;
        let results = pushes.iter().map(|push| said::pushed(&said.out, &push.to));
        let results: Vec<_> = results.collect();
        if said.code != Some(0) && results.iter().all(Option::is_none) {
            return Err(failed(&arguments, &said));
        }
        let unsaid = || Pushed::Refused(said.err.clone());
        let results = results.into_iter().map(|result| result.unwrap_or_else(unsaid));
        let results: Vec<_> = results.map(|it| self.explain(it, &said.err)).collect();
        for (push, result) in pushes.iter().zip(&results) {
            if *result == Pushed::Done {
                self.note(push).await?;
            }
        }
        Ok(results)
    }

    /// Adds what the remote said to why it refused.
    fn explain(&self, pushed: Pushed, err: &str) -> Pushed {
        match pushed {
            Pushed::Refused(why) => {
                let said = err.lines().filter(|line| line.starts_with("remote:"));
                let said: Vec<&str> = said.map(str::trim).collect();
                let why = if said.is_empty() { why } else { format!("{why}\n{}", said.join("\n")) };
                Pushed::Refused(self.setting.scrub(&why))
            }
            other => other,
        }
    }

    /// What the remote has now is known without a fetch.
    async fn note(&self, push: &Push) -> Result<(), GitError> {
        let Some(branch) = push.to.strip_prefix("refs/heads/") else { return Ok(()) };
        let known = format!("refs/remotes/origin/{branch}");
        match &push.commit {
            Some(commit) => self.run(&["update-ref", &known, commit]).await?,
            None => self.run(&["update-ref", "-d", &known]).await?,
        };
        Ok(())
    }
}

/// One ref to be pushed.
pub(super) struct Push {
    /// What; nothing deletes it.
    pub(super) commit: Option<String>,
    /// Where to: a whole name.
    pub(super) to: String,
    /// What is there now; nothing: it is not there.
    pub(super) expected: Option<String>,
}

/// Removes a directory with all that is in it, read-only or not, if it is there.
pub(super) async fn remove_tree(dir: &Path) -> io::Result<()> {
    let dir = dir.to_owned();
    let removed = spawn_blocking(move || crate::launch::remove_tree(&dir)).await;
    removed.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Removes the lock files of processes that are no more. It blocks.
pub(super) fn remove_locks(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        if kind.is_dir() && name != "objects" {
            remove_locks(&entry.path())?;
        } else if kind.is_file() && name.to_string_lossy().ends_with(".lock") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes, in its own time, the rig's clones of other addresses that nobody has used for long.
fn remove_unused(home: PathBuf) {
    spawn_blocking(move || {
        let Some(rig) = home.parent() else { return };
        let others = super::children(rig).unwrap_or_default();
        for other in others.into_iter().filter(|other| *other != home) {
            let used = fs::metadata(other.join("used")).and_then(|used| used.modified());
            let age = used.ok().and_then(|used| SystemTime::now().duration_since(used).ok());
            if age.is_some_and(|age| age.as_secs() > GIT_UNUSED_S_MAX)
                && let Err(error) = crate::launch::remove_tree(&other)
            {
                tracing::warn!(%error, "a clone that nobody uses cannot be removed");
            }
        }
    });
}
