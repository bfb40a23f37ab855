//! The service as a whole: how it comes up, and how it goes down.
//!
//! ```text
//! lock the data directory -> kill what an earlier service left -> report what it did not -> take a port
//!     -> take up its jobs -> answer
//! drain: take no more work, tell all agents to finish, end the jobs -> TERM, grace, KILL -> send the last reports
//!     -> stop listening
//! ```
//!
//! From the signal to the end it takes 60 s at most, whatever the settings say.
//!
//! It must never answer before the data directory is its own and nothing of the past runs in it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::git::Git;
use crate::git::merger::Merger;
use crate::jobs::{Jobs, JobsError};
use crate::journal::Journal;
use crate::launch::mark;
use crate::limits::{
    EXIT_MS_MAX, FLUSH_MS_MAX, GIT_SAVE_MS_MAX, LEAVE_MS_MAX, LOCK_WAIT_MS, LOOK_MS, READERS_MAX,
    SHUTDOWN_SLACK_MS,
};
use crate::process::Order;
use crate::process::census::Census;
use crate::process::cgroup::Cgroups;
use crate::process::orphans::{self, OrphanError};
use crate::report::Reporter;
use crate::rig::{ClientError, Rig};
use crate::server::{self, Shared};
use crate::supervisor::Supervisor;
use crate::{connections, heartbeat, policy::Denial};

/// A service that runs.
pub struct Service {
    address: SocketAddr,
    drain: Duration,
    grace: Duration,
    supervisor: Supervisor,
    merger: Merger,
    reporter: Reporter,
    owner: JoinHandle<()>,
    jobs: Jobs,
    pump: JoinHandle<()>,
    heart: JoinHandle<()>,
    server: JoinHandle<io::Result<()>>,
    /// Dropped: stop listening.
    listening: oneshot::Sender<()>,
    /// Held as long as the service is there.
    _lock: File,
}

/// Why the service did not come up.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory is no good.
    #[error("BEADRIG_DATA_DIR: {path} cannot be used: {error}")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is one already.
    #[error("BEADRIG_DATA_DIR: another container service runs in {0}; each one needs its own")]
    InUse(PathBuf),
    /// What the last one left does not go away.
    #[error("what an earlier service left cannot be cleared: {0}")]
    Leftovers(OrphanError),
    /// The port is taken, or not ours to take.
    #[error("BEADRIG_CONTAINER_LISTEN: cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The jobs are no good.
    #[error("BEADRIG_DATA_DIR: {0}")]
    Jobs(#[from] JobsError),
    /// No HTTP client.
    #[error("the client for the rig API cannot be made: {0}")]
    Client(ClientError),
}

impl Service {
    /// Brings the service up.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let (data_dir, lock) = own(&config.data_dir).await?;
        let census = census(&config, &data_dir).await;
        let marker = vec![mark("BEADRIG_SUPERVISOR", &data_dir)];
        let swept = spawn_blocking(move || orphans::kill_marked(&marker)).await;
        match swept.unwrap_or(Err(OrphanError::Left(0))).map_err(StartError::Leftovers)? {
            0 => {}
            killed => tracing::warn!(killed, "an earlier service left processes behind"),
        }
        let git = Arc::new(Git::new(data_dir.clone().into_os_string()));
        let fault = |error| StartError::DataDir { path: data_dir.join("git"), error };
        let cleared = spawn_blocking({
            let git = Arc::clone(&git);
            move || git.clear_leftovers()
        });
        cleared.await.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(fault)?;
        let rig = Rig::new(&config).map_err(StartError::Client)?;
        let boot_id = format!("{:016x}", fastrand::u64(..));
        let unwritable = |error| StartError::DataDir { path: data_dir.clone(), error };
        let (journal, left) = Journal::open(&data_dir, &boot_id).map_err(unwritable)?;
        let reporter = Reporter::new(rig.clone(), journal.clone());
        for (name, report) in left.runs {
            tracing::warn!(
                agent = name.agent,
                attempt = name.attempt,
                "an earlier service did not report it"
            );
            reporter.send(&name.rig, &name.agent, report);
        }
        let (to_git, to_rig) = (Arc::clone(&git), rig.clone());
        let merger = Merger::new(to_git, to_rig, reporter.clone(), journal.clone(), left.merges);
        let identity = data_dir.clone().into_os_string();
        let settings = Arc::clone(&config);
        let (boot, told) = (boot_id.clone(), reporter.clone());
        let (supervisor, owner) =
            Supervisor::begin(settings, identity, git, boot, told, journal, census);
        let unable = |error| StartError::Listen { address: config.listen, error };
        let listener = TcpListener::bind(config.listen).await.map_err(unable)?;
        let address = listener.local_addr().map_err(unable)?;
        // Only now: a job that was begun by a service which then finds its port taken would be lost.
        let (jobs, pump) = Jobs::begin(Arc::clone(&config), &data_dir, supervisor.clone()).await?;
        let router = server::router(Shared {
            token: config.token.clone(),
            boot_id: boot_id.as_str().into(),
            began: Instant::now(),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            capacity: config.max_concurrency,
            incarnation: config.incarnation,
            supervisor: supervisor.clone(),
            jobs: jobs.clone(),
            merger: merger.clone(),
        });
        let (listening, closed) = oneshot::channel::<()>();
        let until = async move { drop(closed.await) };
        let server = tokio::spawn(connections::serve(listener, router, until));
        let (drain, grace) = (config.drain, config.grace);
        let beats = heartbeat::beat(config, boot_id, rig, supervisor.clone(), merger.clone());
        let heart = tokio::spawn(beats);
        Ok(Self {
            address,
            drain,
            grace,
            supervisor,
            merger,
            reporter,
            owner,
            jobs,
            pump,
            heart,
            server,
            listening,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The way to its agents.
    pub fn supervisor(&self) -> Supervisor {
        self.supervisor.clone()
    }

    /// Returns when a part has ended that never should.
    pub async fn failed(&mut self) {
        tokio::select! {
            _ = &mut self.owner => tracing::error!("the supervisor has ended"),
            _ = &mut self.pump => tracing::error!("the jobs have ended"),
            _ = &mut self.heart => tracing::error!("the heartbeats have ended"),
            _ = &mut self.server => tracing::error!("the server has ended"),
        }
    }

    /// Ends all agents, reports that, and ends the service.
    pub async fn shutdown(self) {
        tracing::info!("draining: no more work is taken, all agents are told to finish");
        let merges = timeout(Duration::from_millis(FLUSH_MS_MAX), self.merger.close());
        let (agents, jobs, merges) = tokio::join!(self.end_agents(), self.end_jobs(), merges);
        if agents.is_err() {
            tracing::error!("the supervisor has ended");
        }
        if merges.is_err() {
            tracing::error!("merges do not end");
        }
        if jobs.is_err() {
            tracing::error!("jobs do not end");
        }
        if timeout(Duration::from_millis(FLUSH_MS_MAX), self.reporter.flush()).await.is_err() {
            tracing::error!(left = self.reporter.left(), "reports were not taken in time");
        }
        drop(self.listening);
        self.heart.abort();
        self.pump.abort();
        self.owner.abort();
        // Whoever keeps a connection open does not keep the service.
        let _ = timeout(Duration::from_millis(LOOK_MS), self.server).await;
    }

    /// Drain, TERM and grace, KILL: each as long as it is set to, all together within [`LEAVE_MS_MAX`].
    async fn end_agents(&self) -> Result<(), Denial> {
        let slack = Duration::from_millis(SHUTDOWN_SLACK_MS);
        let (drain, grace) = patience(self.drain, self.grace + slack);
        self.supervisor.drain().await?;
        if self.gone(drain).await? {
            return Ok(());
        }
        self.supervisor.end_all(Order::Term).await?;
        if self.gone(grace).await? {
            return Ok(());
        }
        self.supervisor.end_all(Order::Kill).await?;
        // What they have done is kept before they count as gone.
        if !self.gone(slack + Duration::from_millis(GIT_SAVE_MS_MAX)).await? {
            tracing::error!("agents do not end");
        }
        Ok(())
    }

    /// Jobs are not told to finish: they are taken up by nobody, and their callers want to know soon.
    async fn end_jobs(&self) -> Result<(), Elapsed> {
        let patience = self.grace + Duration::from_millis(SHUTDOWN_SLACK_MS);
        timeout(patience.min(Duration::from_millis(LEAVE_MS_MAX)), self.jobs.close()).await
    }

    /// Waits for all agents to be gone, not longer than this.
    async fn gone(&self, patience: Duration) -> Result<bool, Denial> {
        let until = Instant::now() + patience;
        while self.supervisor.live().await? > 0 {
            if Instant::now() >= until {
                return Ok(false);
            }
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
        Ok(true)
    }
}

/// Who will know the processes of the runs: with a cgroup for each, where the machine has them for us.
async fn census(config: &Config, data_dir: &Path) -> Census {
    if !config.run_cgroups {
        return Census::default();
    }
    let data_dir = data_dir.to_owned();
    let opened = spawn_blocking(move || Cgroups::open(&data_dir)).await;
    match opened.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(cgroups) => {
            tracing::info!("each run gets a cgroup");
            Census::new(Some(cgroups))
        }
        Err(why) => {
            tracing::info!(%why, "runs get no cgroups: who belongs to them is found by looking");
            Census::default()
        }
    }
}

/// How long agents have to finish, and then to end, of what is set.
fn patience(drain: Duration, grace: Duration) -> (Duration, Duration) {
    let all = Duration::from_millis(LEAVE_MS_MAX);
    let drain = drain.min(all);
    (drain, grace.min(all.saturating_sub(drain)))
}

// The KILL and what is kept after it, then the last reports: in less than the platform gives.
const _: () =
    assert!(LEAVE_MS_MAX + SHUTDOWN_SLACK_MS + GIT_SAVE_MS_MAX + FLUSH_MS_MAX <= EXIT_MS_MAX);

/// Makes the data directory ours. Its full path is the name under which its processes are known.
async fn own(data_dir: &Path) -> Result<(PathBuf, File), StartError> {
    let fault = |error| StartError::DataDir { path: data_dir.to_owned(), error };
    fs::create_dir_all(data_dir).map_err(fault)?;
    let path = fs::canonicalize(data_dir).map_err(fault)?;
    let file = File::options().create(true).append(true).open(path.join("lock")).map_err(fault)?;
    let until = Instant::now() + Duration::from_millis(LOCK_WAIT_MS);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok((path, file)),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(StartError::InUse(path));
            }
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(LOOK_MS)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drain_and_grace_are_as_long_as_they_are_set_to_and_together_no_longer_than_they_may() {
        let seconds = Duration::from_secs;
        assert_eq!(patience(seconds(15), seconds(15)), (seconds(15), seconds(15)));
        assert_eq!(patience(seconds(15), seconds(60)), (seconds(15), seconds(15)));
        assert_eq!(patience(seconds(3600), seconds(3600)), (seconds(30), Duration::ZERO));
        assert_eq!(patience(Duration::ZERO, seconds(3600)), (Duration::ZERO, seconds(30)));
    }
}
