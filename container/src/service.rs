//! The service as a whole: how it comes up, and how it goes down.
//!
//! ```text
//! lock the data directory -> kill what an earlier service left -> listen
//! take no more work -> end all agents -> send the last reports -> stop listening
//! ```
//!
//! It must never listen before the data directory is its own and nothing of the past runs in it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::git::Git;
use crate::git::merger::Merger;
use crate::launch::mark;
use crate::limits::{FLUSH_MS_MAX, GIT_SAVE_MS_MAX, LOCK_WAIT_MS, LOOK_MS, SHUTDOWN_SLACK_MS};
use crate::process::orphans::{self, OrphanError};
use crate::report::Reporter;
use crate::rig::{ClientError, Rig};
use crate::server::{self, Shared};
use crate::supervisor::Supervisor;
use crate::{heartbeat, policy::Denial};

/// A service that runs.
pub struct Service {
    address: SocketAddr,
    grace: Duration,
    supervisor: Supervisor,
    merger: Merger,
    reporter: Reporter,
    owner: JoinHandle<()>,
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
    /// No HTTP client.
    #[error("the client for the rig API cannot be made: {0}")]
    Client(ClientError),
}

impl Service {
    /// Brings the service up.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let (data_dir, lock) = own(&config.data_dir).await?;
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
        let reporter = Reporter::new(rig.clone());
        let boot_id = format!("{:016x}", fastrand::u64(..));
        let identity = data_dir.into_os_string();
        let merger = Merger::new(Arc::clone(&git), rig.clone(), reporter.clone());
        let (config_of, boot) = (Arc::clone(&config), boot_id.clone());
        let (supervisor, owner) =
            Supervisor::begin(config_of, identity, git, boot, reporter.clone());
        let unable = |error| StartError::Listen { address: config.listen, error };
        let listener = TcpListener::bind(config.listen).await.map_err(unable)?;
        let address = listener.local_addr().map_err(unable)?;
        let router = server::router(Shared {
            token: config.token.clone(),
            boot_id: boot_id.as_str().into(),
            began: Instant::now(),
            capacity: config.max_concurrency,
            supervisor: supervisor.clone(),
            merger: merger.clone(),
        });
        let (listening, closed) = oneshot::channel::<()>();
        let until = async move { drop(closed.await) };
        let server = axum::serve(listener, router).with_graceful_shutdown(until);
        let server = tokio::spawn(server.into_future());
        let grace = config.grace;
        let beats = heartbeat::beat(config, boot_id, rig, supervisor.clone(), merger.clone());
        let heart = tokio::spawn(beats);
        Ok(Self {
            address,
            grace,
            supervisor,
            merger,
            reporter,
            owner,
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
            _ = &mut self.heart => tracing::error!("the heartbeats have ended"),
            _ = &mut self.server => tracing::error!("the server has ended"),
        }
    }

    /// Ends all agents, reports that, and ends the service.
    pub async fn shutdown(self) {
        tracing::info!("ending: no more work is taken, all agents are stopped");
        if timeout(Duration::from_millis(FLUSH_MS_MAX), self.merger.close()).await.is_err() {
            tracing::error!("merges do not end");
        }
        let patience = self.grace + Duration::from_millis(SHUTDOWN_SLACK_MS + GIT_SAVE_MS_MAX);
        if timeout(patience, end_agents(&self.supervisor)).await.is_err() {
            tracing::error!("agents do not end");
        }
        if timeout(Duration::from_millis(FLUSH_MS_MAX), self.reporter.flush()).await.is_err() {
            tracing::error!(left = self.reporter.left(), "reports were not taken in time");
        }
        drop(self.listening);
        self.heart.abort();
        self.owner.abort();
        // Whoever keeps a connection open does not keep the service.
        let _ = timeout(Duration::from_millis(LOOK_MS), self.server).await;
    }
}

async fn end_agents(supervisor: &Supervisor) -> Result<(), Denial> {
    supervisor.close().await?;
    while supervisor.live().await? > 0 {
        sleep(Duration::from_millis(LOOK_MS)).await;
    }
    Ok(())
}

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
