//! Heartbeats: every rig is told which of its runs are alive, and says what is to become of them.
//!
//! A rig that accepts none for the time of the lease may have given the work to others: its runs are suspended
//! until it accepts one again.
//!
//! One request per rig, at about equal intervals, and one at once when a run has come up, so that a lost answer
//! to a start heals quickly. They are never repeated: the next one says more. A rig that does not answer must
//! never delay the heartbeats of another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use beadrig::wire::container::{Heartbeat, Heartbeats, Verdicts};
use beadrig::wire::merge::MergeAtWork;
use beadrig::wire::{Envelope, PROTOCOL};
use tokio::time::{Instant, MissedTickBehavior, sleep, sleep_until};

use crate::config::Config;
use crate::git::merger::Merger;
use crate::limits::{EARLY_BEAT_MS, HEARTBEAT_JITTER_PERCENT, LEASE_LOOK_MS_MAX};
use crate::policy::Denial;
use crate::rig::Rig;
use crate::supervisor::Supervisor;

/// Beats, and watches the leases, until the owner of the agents is gone.
pub async fn beat(
    config: Arc<Config>,
    boot_id: String,
    rig: Rig,
    supervisor: Supervisor,
    merger: Merger,
) {
    tokio::select! {
        () = beats(Arc::clone(&config), boot_id, rig, supervisor.clone(), merger) => {}
        () = leases(&config, &supervisor) => {}
    }
}

async fn leases(config: &Config, supervisor: &Supervisor) {
    let look = (config.lease / 10).min(Duration::from_millis(LEASE_LOOK_MS_MAX));
    let mut looks = tokio::time::interval(look.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if supervisor.check_leases().await.is_err() {
            return;
        }
    }
}

async fn beats(
    config: Arc<Config>,
    boot_id: String,
    rig: Rig,
    supervisor: Supervisor,
    merger: Merger,
) {
    let mut next = Instant::now() + interval(config.heartbeat);
    loop {
        let rigs = tokio::select! {
            () = sleep_until(next) => {
                next = Instant::now() + interval(config.heartbeat);
                Ok(None)
            }
            rigs = early(&supervisor) => rigs.map(Some),
        };
        let Ok(rigs) = rigs else { return };
        let Ok(beats) = supervisor.heartbeats().await else { return };
        let mut all: BTreeMap<String, (Vec<Heartbeat>, Vec<MergeAtWork>)> =
            beats.into_iter().map(|(name, agents)| (name, (agents, Vec::new()))).collect();
        for (name, at_work) in merger.at_work() {
            all.entry(name).or_default().1 = at_work;
        }
        for (name, (agents, at_work)) in all {
            if rigs.as_ref().is_none_or(|rigs| rigs.contains(&name)) {
                let boot_id = boot_id.clone();
                let body = Heartbeats { protocol: PROTOCOL, boot_id, agents, merges: at_work };
                tokio::spawn(one(rig.clone(), supervisor.clone(), merger.clone(), name, body));
            }
        }
    }
}

/// The rigs whose runs have just come up; those that come up together share one heartbeat.
async fn early(supervisor: &Supervisor) -> Result<BTreeSet<String>, Denial> {
    supervisor.a_start().await;
    sleep(Duration::from_millis(EARLY_BEAT_MS)).await;
    supervisor.just_started().await
}

async fn one(rig: Rig, supervisor: Supervisor, merger: Merger, name: String, body: Heartbeats) {
    // The lease counts from here: what the rig knew when it answered cannot be older.
    let sent = std::time::Instant::now();
    let (status, bytes) = match rig.post(&format!("{name}/heartbeats"), &body).await {
        Ok(answer) => answer,
        Err(error) => return tracing::warn!(rig = name, %error, "no answer to a heartbeat"),
    };
    if !status.is_success() {
        return tracing::warn!(rig = name, %status, "a heartbeat was not taken");
    }
    let verdicts = match serde_json::from_slice::<Envelope<Verdicts>>(&bytes) {
        Ok(Envelope { data: Some(verdicts), .. }) => verdicts,
        Ok(_) => return tracing::warn!(rig = name, "the answer to a heartbeat has no verdicts"),
        Err(error) => {
            return tracing::warn!(rig = name, %error, "the answer to a heartbeat is unreadable");
        }
    };
    merger.verdicts(&name, &verdicts.merges);
    // Without an owner there is nobody left to stop.
    let _ = supervisor.verdicts(name, sent, verdicts.verdicts).await;
}

/// The interval, a little shorter or longer.
fn interval(about: Duration) -> Duration {
    let percent = fastrand::u64(100 - HEARTBEAT_JITTER_PERCENT..=100 + HEARTBEAT_JITTER_PERCENT);
    about.mul_f64(f64::from(u32::try_from(percent).unwrap_or(100)) / 100.0)
}
