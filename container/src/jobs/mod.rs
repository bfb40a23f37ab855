//! Jobs: one prompt for one agent, asked for by anybody with the service's token, as `claude-agent-service` has them.
//!
//! ```text
//! POST /execute --> row (queued) --a place is free, first come first served--> run --> row (how it ended)
//! GET /jobs/:id <-- row + files                                                |
//!                                      a process group, ended by the same ladder as an agent's
//! ```
//!
//! Unlike the runs of agents, which a rig remembers, nobody else remembers a job: it is on disk before it is
//! answered. `jobs.db` has the rows; `jobs/<id>/` has what was said and, while it runs, the workspace (`work/`).
//! A service that starts runs what waited; what ran has ended as `interrupted`: it may have done half its work, and
//! must never be run twice without being asked for.

pub mod capture;
pub mod life;
pub mod request;
pub mod result;
pub mod routes;
pub mod settings;
pub mod store;

mod run;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::config::Config;
use crate::launch::remove_tree;
use crate::limits::{
    JOB_EVICT_MS_MAX, JOB_READERS_MAX, JOB_RETRY_MS, JOBS_KEPT_BYTES_MAX, JOBS_KEPT_MAX, LOOK_MS,
};
use crate::policy::Denial;
use crate::process::{Order, Orders};
use crate::supervisor::Supervisor;
use store::{Store, StoreError, Submitted};

/// The way to the jobs, for everybody else.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    config: Arc<Config>,
    /// By which processes are known as this service's.
    identity: OsString,
    dir: PathBuf,
    store: Store,
    supervisor: Supervisor,
    now: Mutex<Now>,
    /// There may be something to do.
    wake: Notify,
    readers: Semaphore,
}

/// What is so at this moment.
#[derive(Default)]
struct Now {
    closing: bool,
    /// Jobs that have a place.
    taken: usize,
    /// Those of them that have a process, or will in a moment.
    running: HashMap<String, Orders>,
}

/// Why there are no jobs.
#[derive(Debug, Error)]
pub enum JobsError {
    /// The database is no good.
    #[error("{path}: {error}. Move it away to begin without its jobs")]
    Store {
        /// Which.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
    /// What an earlier service left in the directory does not go away.
    #[error("{path} cannot be used: {error}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// No supervisor.
    #[error(transparent)]
    Down(#[from] Denial),
}

impl Jobs {
    /// Takes up the jobs of a data directory that is ours, and in which nothing runs any more.
    pub async fn begin(
        config: Arc<Config>,
        data_dir: &Path,
        supervisor: Supervisor,
    ) -> Result<(Self, JoinHandle<()>), JobsError> {
        let path = data_dir.join("jobs.db");
        let dir = data_dir.join("jobs");
        let unusable = |error| JobsError::Directory { path: dir.clone(), error };
        std::fs::create_dir_all(&dir).map_err(unusable)?;
        let opened = spawn_blocking({
            let path = path.clone();
            move || Store::open(&path)
        });
        let fault = |error| JobsError::Store { path: path.clone(), error };
        let store = opened.await.unwrap_or(Err(StoreError::Down)).map_err(fault)?;
        let outputs = dir.clone();
        let kept = move |id: &str| run::kept_bytes(&outputs.join(id));
        let left = store.interrupt(kept, clock::now().0).await.map_err(fault)?;
        if !left.is_empty() {
            tracing::warn!(jobs = ?left, "jobs that ran when the last service ended are interrupted");
        }
        clear(&dir, &store).await.map_err(fault)?;
        let room = supervisor.room().await?;
        let jobs = Self(Arc::new(Inner {
            config,
            identity: data_dir.into(),
            dir,
            store,
            supervisor,
            now: Mutex::default(),
            wake: Notify::new(),
            readers: Semaphore::new(JOB_READERS_MAX),
        }));
        let pump = tokio::spawn(jobs.clone().pump(room));
        Ok((jobs, pump))
    }

    /// Jobs that run.
    pub fn running(&self) -> usize {
        self.now().taken
    }

    /// Jobs that wait.
    pub async fn queued(&self) -> Result<u64, StoreError> {
        Ok(self.0.store.counts().await?.0)
    }

    /// Takes no more jobs, begins the end of those that run, and returns when they have ended.
    pub async fn close(&self) {
        {
            let mut now = self.now();
            now.closing = true;
            for orders in now.running.values() {
                let _ = orders.send(Order::Term);
            }
        }
        while self.running() > 0 {
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }

    fn is_closing(&self) -> bool {
        self.now().closing
    }

    async fn submit(
        &self,
        key: Option<String>,
        request: request::JobRequest,
    ) -> Result<(String, Submitted), StoreError> {
        let id = format!("{:012x}", fastrand::u64(..) >> 16);
        let depth = self.0.config.jobs.queue_depth;
        let now = clock::now().0;
        let submitted = self.0.store.submit(id.clone(), key, request, depth, now).await?;
        self.0.wake.notify_one();
        Ok((id, submitted))
    }

    /// Gives places to jobs, and forgets old ones, for as long as the service is there.
    async fn pump(self, room: Arc<Notify>) {
        let evict = self.0.config.jobs.ttl.min(Duration::from_millis(JOB_EVICT_MS_MAX));
        let mut next_evict = Instant::now();
        loop {
            if Instant::now() >= next_evict {
                next_evict = Instant::now() + evict;
                if let Err(error) = self.evict().await {
                    tracing::error!(%error, "old jobs are not forgotten");
                }
            }
            if let Err(error) = self.give_places().await {
                tracing::error!(%error, "jobs cannot be started");
                // The place that was given back would wake us at once.
                sleep(Duration::from_millis(JOB_RETRY_MS)).await;
                self.0.wake.notify_one();
            }
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = room.notified() => {}
                () = sleep_until(next_evict) => {}
            }
        }
    }

    async fn give_places(&self) -> Result<(), StoreError> {
        loop {
            let free = {
                let now = self.now();
                !now.closing && now.taken < self.0.config.jobs.concurrency
            };
            // Asked first: without a job, agents are not kept waiting for a moment.
            if !free || self.queued().await? == 0 {
                return Ok(());
            }
            let Ok(Some(member)) = self.0.supervisor.take_place().await else { return Ok(()) };
            self.now().taken += 1;
            let place = Place(self.clone());
            match self.0.store.take(clock::now().0).await? {
                Some(job) => drop(tokio::spawn(run::run(self.clone(), job, place, member))),
                None => return Ok(()),
            }
        }
    }

    async fn evict(&self) -> Result<(), StoreError> {
        let ttl = i64::try_from(self.0.config.jobs.ttl.as_millis()).unwrap_or(i64::MAX);
        let before = clock::now().0.saturating_sub(ttl);
        let outdated = self.0.store.outdated(before, JOBS_KEPT_MAX, JOBS_KEPT_BYTES_MAX).await?;
        for id in outdated {
            let dir = self.0.dir.join(&id);
            // The files first: what is left if we die in between is found again by its row.
            let removed = spawn_blocking(move || remove_tree(&dir)).await;
            match removed.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
                Ok(()) => self.0.store.forget(id).await?,
                Err(error) => tracing::error!(job_id = id, %error, "a job's files are left"),
            }
        }
        Ok(())
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the places of agents, given back when it is dropped: however a job ends, its place is free again.
struct Place(Jobs);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now().taken -= 1;
        let supervisor = self.0.0.supervisor.clone();
        // Also dropped when the runtime goes; then there is nobody to tell.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { supervisor.give_place().await });
        }
    }
}

/// Removes what an earlier service left: workspaces, and the files of jobs that are not known.
async fn clear(dir: &Path, store: &Store) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>());
    for entry in entries.unwrap_or_default() {
        let id = entry.file_name().to_string_lossy().into_owned();
        let known = store.job(id.clone()).await?.is_some();
        let path = if known { entry.path().join(run::WORK) } else { entry.path() };
        let removed = spawn_blocking(move || remove_tree(&path)).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::error!(job_id = id, ?removed, "a job's files are left");
        }
    }
    Ok(())
}
