//! Gates: commands that must succeed in the merged tree before anything lands.
//!
//! A gate that cannot run, or not in time, has failed. Its processes do not outlive it. It must never see the
//! service's own settings and token.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use beadrig::wire::merge::Gate;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::command::{Group, Setting};
use crate::launch::{is_ours, mark};
use crate::limits::{GATE_TAIL_BYTES_MAX, PIPE_DRAIN_MS, PIPE_READ_BYTES};
use crate::process::orphans;

/// The gates of one request.
#[derive(Clone)]
pub(super) struct Gates {
    /// In order.
    pub(super) list: Vec<Gate>,
    /// Whether all at once.
    pub(super) parallel: bool,
    /// The whole environment.
    environment: Arc<Vec<(OsString, OsString)>>,
    setting: Setting,
}

/// Which gate said no, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GateFailure {
    /// What happened, in one line.
    pub(super) why: String,
    /// The end of its output.
    pub(super) tail: String,
}

impl GateFailure {
    /// Both together.
    pub(super) fn message(&self) -> String {
        if self.tail.is_empty() { self.why.clone() } else { format!("{}\n{}", self.why, self.tail) }
    }
}

impl Gates {
    /// With the rig's variables laid over what the service was started with.
    pub(super) fn new(
        list: Vec<Gate>,
        parallel: bool,
        variables: &std::collections::BTreeMap<String, String>,
        marker: &[(OsString, OsString)],
        setting: Setting,
    ) -> Self {
        let foreign = |name: &OsString| is_ours(name) || name.to_string_lossy().starts_with("GIT_");
        let mut all: std::collections::BTreeMap<OsString, OsString> =
            std::env::vars_os().filter(|(name, _)| !foreign(name)).collect();
        all.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
        all.insert("GIT_TERMINAL_PROMPT".into(), "0".into());
        all.extend(marker.iter().cloned());
        Self { list, parallel, environment: Arc::new(all.into_iter().collect()), setting }
    }

    /// Runs them in a tree.
    pub(super) async fn run(&self, tree: &Path) -> Result<(), GateFailure> {
        let result =
            if self.parallel { self.all_at_once(tree).await } else { self.in_order(tree).await };
        self.clear().await;
        result
    }

    /// Ends what gates have left; also after gates that were dropped while they ran.
    pub(super) async fn clear(&self) {
        let marks = ["BEADRIG_SUPERVISOR", "BEADRIG_MERGE"];
        let marker = self.environment.iter().filter(|(name, _)| marks.iter().any(|it| name == it));
        let marker: Vec<_> = marker.map(|(name, value)| mark(name, value)).collect();
        let left = spawn_blocking(move || orphans::kill_marked(&marker)).await;
        if !matches!(left, Ok(Ok(_))) {
            tracing::error!(?left, "processes of a gate are left");
        }
    }

    async fn in_order(&self, tree: &Path) -> Result<(), GateFailure> {
        for gate in &self.list {
            self.clone().one(gate.clone(), tree.to_owned()).await?;
        }
        Ok(())
    }

    async fn all_at_once(&self, tree: &Path) -> Result<(), GateFailure> {
        let mut running = JoinSet::new();
        for gate in &self.list {
            running.spawn(self.clone().one(gate.clone(), tree.to_owned()));
        }
        while let Some(ended) = running.join_next().await {
            // What still runs is dropped, and ended by that.
            ended.unwrap_or_else(|panic| {
                Err(GateFailure { why: format!("a gate was lost: {panic}"), tail: String::new() })
            })?;
        }
        Ok(())
    }

    async fn one(self, gate: Gate, tree: PathBuf) -> Result<(), GateFailure> {
        let Gate { name, command, time_limit_s } = gate;
        let fail =
            |why: String, tail: String| Err(GateFailure { why: self.setting.scrub(&why), tail });
        let spawned = Command::new("sh")
            .args(["-c", &command])
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&tree)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                return fail(format!("gate {name} could not run: {error}"), String::new());
            }
        };
        let group = Group::of(child.id());
        let tail = Arc::new(Mutex::new(Vec::new()));
        let mut readers = JoinSet::new();
        readers.spawn(read(child.stdout.take(), Arc::clone(&tail)));
        readers.spawn(read(child.stderr.take(), Arc::clone(&tail)));
        let ended = timeout(Duration::from_secs(time_limit_s), child.wait()).await;
        match &ended {
            Err(_) => group.quit().await,
            // The rest of its group.
            Ok(_) => drop(group),
        }
        let drained = async { while readers.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_millis(PIPE_DRAIN_MS), drained).await;
        let tail = tail.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tail = self.setting.scrub(end(&String::from_utf8_lossy(&tail)).trim());
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => match status.code() {
                Some(127) => fail(format!("gate {name} could not run: no such command"), tail),
                Some(code) => fail(format!("gate {name} failed with exit code {code}"), tail),
                None => fail(format!("gate {name} was ended by a signal"), tail),
            },
            Ok(Err(error)) => fail(format!("gate {name} could not run: {error}"), tail),
            Err(_) => fail(format!("gate {name} was ended after {time_limit_s} s"), tail),
        }
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, tail: Arc<Mutex<Vec<u8>>>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = vec![0; PIPE_READ_BYTES];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&chunk[..length]);
        let over = tail.len().saturating_sub(GATE_TAIL_BYTES_MAX);
        tail.drain(..over);
    }
}

/// Without the half of a character that may be first.
fn end(text: &str) -> &str {
    text.trim_start_matches(char::REPLACEMENT_CHARACTER)
}
