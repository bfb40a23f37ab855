//! The way to the owner of all agents, for everybody else.
//!
//! ```text
//! server, heartbeats --requests--> owner --launch, orders--> one task per process
//!                                   ^  +--exit reports--> reporter   |
//!                                   +--------------- news -----------+
//! ```
//!
//! The owner is one task, so that nothing about agents happens at the same time. This side waits for answers;
//! it must never touch what the owner has.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use beadrig::wire::container::{
    AgentStatus, EventPage, Heartbeat, Message, StartAgent, StopAgent, Stopped, Verdict,
};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::config::Config;
use crate::git::Git;
use crate::journal::Journal;
use crate::limits::OWNER_QUEUE_MAX;
use crate::output::Output;
use crate::owner::{Answer, Owner, Work};
use crate::policy::Denial;
use crate::process::Member;
use crate::process::Order;
use crate::process::census::Census;
use crate::report::Reporter;
use crate::room::{self, Wanted};
use crate::run::Run;

/// The way to the owner.
#[derive(Clone)]
pub struct Supervisor {
    work: mpsc::Sender<Work>,
    early: Arc<Notify>,
    config: Arc<Config>,
}

/// What came of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Whether this request made the run.
    pub fresh: bool,
    /// The run.
    pub status: AgentStatus,
}

impl Supervisor {
    /// Begins the owner's task; when that ends, the service is of no use any more.
    pub fn begin(
        config: Arc<Config>,
        identity: OsString,
        git: Arc<Git>,
        boot_id: String,
        reporter: Reporter,
        journal: Journal,
        census: Census,
    ) -> (Self, JoinHandle<()>) {
        let (work, mut queue) = mpsc::channel::<Work>(OWNER_QUEUE_MAX);
        let early = Arc::new(Notify::new());
        let (news, beat) = (work.clone(), Arc::clone(&early));
        let settings = Arc::clone(&config);
        let mut owner =
            Owner::new(settings, identity, git, boot_id, reporter, journal, census, news, beat);
        let task = tokio::spawn(async move {
            while let Some(work) = queue.recv().await {
                work(&mut owner);
            }
        });
        (Self { work, early, config }, task)
    }

    /// Starts a run, and waits until its process is up if nothing has to end first.
    pub async fn start(&self, request: StartAgent) -> Result<Started, Denial> {
        let config = Arc::clone(&self.config);
        let look = move || {
            let wanted = Wanted { memory: config.min_free_memory, disk: config.min_free_disk };
            room::shortage(&config.data_dir, wanted)
        };
        let shortage = spawn_blocking(look).await.unwrap_or_default();
        match self.ask(move |owner| owner.start(request, shortage.as_deref())).await?? {
            (fresh, Answer::Now(status)) => Ok(Started { fresh, status: *status }),
            (fresh, Answer::Later(status)) => {
                let status = status.await.unwrap_or(Err(Denial::Down))?;
                Ok(Started { fresh, status })
            }
        }
    }

    /// Begins the end of a run.
    pub async fn stop(&self, agent: String, stop: StopAgent) -> Result<Stopped, Denial> {
        self.ask(move |owner| owner.stop(&agent, &stop)).await?
    }

    /// Tells an agent something.
    pub async fn message(&self, agent: String, message: Message) -> Result<(), Denial> {
        self.ask(move |owner| owner.message(&agent, message)).await?
    }

    /// What is known of an agent's newest run.
    pub async fn status(&self, agent: String) -> Result<AgentStatus, Denial> {
        let status = move |owner: &mut Owner| owner.newest(&agent).map(Run::status).ok_or(agent);
        self.ask(status).await?.map_err(Denial::NotFound)
    }

    /// What an agent's newest run has said.
    pub async fn events(
        &self,
        agent: String,
        after: u64,
        limit: usize,
    ) -> Result<EventPage, Denial> {
        Ok(EventPage { events: self.output(agent).await?.page(after, limit) })
    }

    /// Where an agent's newest run says what it says.
    pub async fn output(&self, agent: String) -> Result<Arc<Output>, Denial> {
        let output = move |owner: &mut Owner| {
            owner.newest(&agent).map(|run| Arc::clone(&run.output)).ok_or(agent)
        };
        self.ask(output).await?.map_err(Denial::NotFound)
    }

    /// The newest runs of all agents, or of those of one rig.
    pub async fn list(&self, rig: Option<String>) -> Result<Vec<AgentStatus>, Denial> {
        self.ask(move |owner| owner.list(rig.as_deref())).await
    }

    /// Agents of which anything runs.
    pub async fn live(&self) -> Result<usize, Denial> {
        self.ask(|owner| owner.live()).await
    }

    /// Takes one of the places of agents for a job, if one is free.
    pub async fn take_place(&self) -> Result<Option<Member>, Denial> {
        self.ask(Owner::take_place).await
    }

    /// Gives a job's place back.
    pub async fn give_place(&self) -> Result<(), Denial> {
        self.ask(Owner::give_place).await
    }

    /// Told whenever a place may have become free.
    pub async fn room(&self) -> Result<Arc<Notify>, Denial> {
        self.ask(|owner| owner.room()).await
    }

    /// The same, and whether no more work is taken.
    pub async fn health(&self) -> Result<(usize, bool), Denial> {
        self.ask(|owner| (owner.live(), owner.is_closing())).await
    }

    /// The runs that are alive, by rig.
    pub async fn heartbeats(&self) -> Result<BTreeMap<String, Vec<Heartbeat>>, Denial> {
        self.ask(Owner::heartbeats).await
    }

    /// Waits until a run comes up.
    pub async fn a_start(&self) {
        self.early.notified().await;
    }

    /// The rigs whose runs have come up since it was last asked.
    pub async fn just_started(&self) -> Result<BTreeSet<String>, Denial> {
        self.ask(Owner::just_started).await
    }

    /// Does what a rig said to the heartbeats of its runs, which were sent at this time.
    pub async fn verdicts(
        &self,
        rig: String,
        sent: Instant,
        verdicts: Vec<Verdict>,
    ) -> Result<(), Denial> {
        self.ask(move |owner| owner.verdicts(&rig, sent, &verdicts)).await
    }

    /// Suspends the runs of rigs that were not heard of for too long.
    pub async fn check_leases(&self) -> Result<(), Denial> {
        self.ask(Owner::check_leases).await
    }

    /// Takes no more work, and tells all runs to finish.
    pub async fn drain(&self) -> Result<(), Denial> {
        self.ask(Owner::drain).await
    }

    /// Begins the end of what is left, or kills it at once.
    pub async fn end_all(&self, order: Order) -> Result<(), Denial> {
        self.ask(move |owner| owner.order_all(order)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Owner) -> T + Send + 'static,
    ) -> Result<T, Denial> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |owner| drop(answer.send(question(owner))));
        self.work.send(work).await.map_err(|_| Denial::Down)?;
        answered.await.map_err(|_| Denial::Down)
    }
}
