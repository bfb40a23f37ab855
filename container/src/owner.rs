//! The owner of all agents: what is registered, and what is done about it.
//!
//! ```text
//! none --start--> run --newer start--> run (waits) + older (ending) --older gone--> run
//! ```
//!
//! A run is registered before its process is started. The owner must never wait: what takes time (emptying a
//! directory, a grace, a slow rig) is done by somebody else, who tells it when it is done.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use beadrig::wire::container::{
    Advice, AgentStatus, Heartbeat, Message, Phase, StartAgent, StopAgent, Stopped, Verdict,
};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock;
use crate::config::Config;
use crate::git::{Git, Place};
use crate::journal::{Journal, Name};
use crate::launch::Launch;
use crate::life::Event;
use crate::limits::{ENDED_RUNS_MAX, REASON_CHARS_MAX};
use crate::output::Source;
use crate::policy::{self, Begin, Denial, Holder, Known, Load};
use crate::process::census::Census;
use crate::process::{Member, News, Order, Process};
use crate::report::Reporter;
use crate::run::Run;

/// Something for the owner to do.
pub(crate) type Work = Box<dyn FnOnce(&mut Owner) + Send>;

/// What is registered of all agents.
pub(crate) struct Owner {
    config: Arc<Config>,
    identity: OsString,
    git: Arc<Git>,
    boot_id: String,
    reporter: Reporter,
    journal: Journal,
    census: Census,
    news: mpsc::Sender<Work>,
    early: Arc<Notify>,
    early_rigs: BTreeSet<String>,
    /// When rigs were last known to count on their runs here: a start, or the sending of a heartbeat that was
    /// accepted.
    leases: HashMap<String, Instant>,
    slots: HashMap<String, Slot>,
    /// Agents of which nothing runs, the one that ended first in front.
    ended: VecDeque<String>,
    serial: u64,
    /// Places that jobs have taken.
    jobs: usize,
    /// Told whenever a place may have become free.
    room: Arc<Notify>,
    closing: bool,
}

/// The answer to a start.
pub(crate) enum Answer {
    /// It is known.
    Now(Box<AgentStatus>),
    /// It comes when the process is up, or will never be.
    Later(oneshot::Receiver<Result<AgentStatus, Denial>>),
}

/// What is registered of one agent: its newest run, and the one before while that is still ending.
struct Slot {
    run: Run,
    older: Option<Run>,
}

impl Slot {
    fn known(&self) -> Known<'_> {
        Known {
            rig_id: &self.run.request.rig_id,
            attempt: self.run.request.attempt,
            phase: self.run.phase(),
            older_is_ending: self.older.is_some(),
        }
    }

    fn runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        [Some(&mut self.run), self.older.as_mut()].into_iter().flatten()
    }
}

impl Owner {
    /// Nothing yet.
    #[expect(clippy::too_many_arguments, reason = "all that it works with; each is given once")]
    pub(crate) fn new(
        config: Arc<Config>,
        identity: OsString,
        git: Arc<Git>,
        boot_id: String,
        reporter: Reporter,
        journal: Journal,
        census: Census,
        news: mpsc::Sender<Work>,
        early: Arc<Notify>,
    ) -> Self {
        Self {
            config,
            identity,
            git,
            boot_id,
            reporter,
            journal,
            census,
            news,
            early,
            early_rigs: BTreeSet::new(),
            leases: HashMap::new(),
            slots: HashMap::new(),
            ended: VecDeque::new(),
            serial: 0,
            jobs: 0,
            room: Arc::default(),
            closing: false,
        }
    }

    /// An agent's newest run.
    pub(crate) fn newest(&self, agent: &str) -> Option<&Run> {
        self.slots.get(agent).map(|slot| &slot.run)
    }

    /// The newest runs of all agents, or of those of one rig, by name.
    pub(crate) fn list(&self, rig: Option<&str>) -> Vec<AgentStatus> {
        let runs = self.slots.values().map(|slot| &slot.run);
        let wanted = runs.filter(|run| rig.is_none_or(|rig| run.request.rig_id == rig));
        let mut agents: Vec<_> = wanted.map(Run::status).collect();
        agents.sort_by(|one, other| one.agent_id.cmp(&other.agent_id));
        agents
    }

    /// The rigs whose runs have come up since this was last asked.
    pub(crate) fn just_started(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.early_rigs)
    }

    /// Agents of which anything runs.
    pub(crate) fn live(&self) -> usize {
        self.slots.values().filter(|slot| slot.known().is_live()).count()
    }

    /// How full it is: agents and jobs share the places.
    fn load<'a>(&self, shortage: Option<&'a str>) -> Load<'a> {
        let live = self.live() + self.jobs;
        let capacity = self.config.max_concurrency;
        Load { live, capacity, closing: self.closing, shortage }
    }

    /// Told whenever a place may have become free.
    pub(crate) fn room(&self) -> Arc<Notify> {
        Arc::clone(&self.room)
    }

    /// Takes a place for a job, if there is one, and a number under which its processes are known.
    pub(crate) fn take_place(&mut self) -> Option<Member> {
        let Load { live, capacity, closing, .. } = self.load(None);
        if live >= capacity || closing {
            return None;
        }
        self.jobs += 1;
        self.serial += 1;
        Some(Member { census: self.census.clone(), run: self.serial })
    }

    /// Gives a job's place back.
    pub(crate) fn give_place(&mut self) {
        self.jobs = self.jobs.saturating_sub(1);
        self.room.notify_one();
    }

    /// Whether it takes no more work.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Starts a run, or says how it is. `shortage` is what the machine has too little of.
    pub(crate) fn start(
        &mut self,
        request: StartAgent,
        shortage: Option<&str>,
    ) -> Result<(bool, Answer), Denial> {
        let agent = request.agent_id.clone();
        let known = self.slots.get(&agent).map(Slot::known);
        let load = self.load(shortage);
        let begin = match policy::start(&request, known, self.holder(&request), load) {
            policy::Verdict::Deny(denial) => {
                if let Denial::Held { agent, .. } = &denial {
                    self.end_newest(agent, "stale", Order::Kill);
                }
                return Err(denial);
            }
            policy::Verdict::AlreadySo => return Ok((false, self.again(&agent)?)),
            policy::Verdict::Do(begin) => begin,
        };
        self.leases.insert(request.rig_id.clone(), Instant::now());
        self.ended.retain(|ended| *ended != agent);
        self.serial += 1;
        let first_event = self.slots.get(&agent).map_or(1, |slot| slot.run.output.next_id());
        let mut run = Run::new(self.serial, request, first_event, self.config.output_bytes_max);
        match begin {
            Begin::Now if run.request.git.is_some() => {
                // A clone takes longer than anybody waits for an answer.
                run.promised = true;
                let status = run.status();
                self.launch(&mut run);
                self.slots.insert(agent, Slot { run, older: None });
                Ok((true, Answer::Now(Box::new(status))))
            }
            Begin::Now => {
                let (waiter, answer) = oneshot::channel();
                run.waiters.push(waiter);
                self.launch(&mut run);
                self.slots.insert(agent, Slot { run, older: None });
                Ok((true, Answer::Later(answer)))
            }
            Begin::AfterTheOlder => {
                run.promised = true;
                let status = run.status();
                self.replace(&agent, run);
                Ok((true, Answer::Now(Box::new(status))))
            }
        }
    }

    /// Another agent's run at the bead of this request that is not over: a bead has one run at a time.
    fn holder(&self, request: &StartAgent) -> Option<Holder<'_>> {
        let mut runs = self.slots.values().map(|slot| &slot.run);
        let held = runs.find(|run| {
            let other = &run.request;
            (&other.rig_id, &other.bead_id) == (&request.rig_id, &request.bead_id)
                && other.agent_id != request.agent_id
                && !run.phase().is_over()
        });
        held.map(|run| Holder { agent: &run.request.agent_id, attempt: run.request.attempt })
    }

    /// The answer to a start that came before.
    fn again(&mut self, agent: &str) -> Result<Answer, Denial> {
        let slot = self.slots.get_mut(agent).ok_or_else(|| Denial::NotFound(agent.to_owned()))?;
        let is_waited_for = slot.run.process.is_some() && !slot.run.promised;
        if slot.run.phase() != Phase::Starting || !is_waited_for {
            return Ok(Answer::Now(Box::new(slot.run.status())));
        }
        let (waiter, answer) = oneshot::channel();
        slot.run.waiters.push(waiter);
        Ok(Answer::Later(answer))
    }

    /// Puts a newer run in the place of one that has to end first.
    fn replace(&mut self, agent: &str, run: Run) {
        let Some(slot) = self.slots.get_mut(agent) else { return };
        let mut before = std::mem::replace(&mut slot.run, run);
        if before.phase().is_over() {
            return;
        }
        before.end("stale", Order::Term);
        if before.phase().is_over() {
            // It was waiting itself, for one that is still there.
            self.report(&before);
        } else {
            slot.older = Some(before);
        }
    }

    fn launch(&self, run: &mut Run) {
        self.journal.begun(name(run));
        let place = Place::of(&self.git, &run.request);
        let launch = Launch::new(&run.request, &self.config, &self.identity, place);
        let member = Member { census: self.census.clone(), run: run.serial };
        let (serial, agent, queue) = (run.serial, run.request.agent_id.clone(), self.news.clone());
        let tell = move |news| {
            let (agent, queue) = (agent.clone(), queue.clone());
            async move {
                let work: Work = Box::new(move |owner| owner.hear(&agent, serial, news));
                // Without an owner there is nobody to tell.
                let _ = queue.send(work).await;
            }
        };
        run.process = Some(Process::start(member, launch, Arc::clone(&run.output), tell));
        run.slim();
    }

    /// Takes news of a process.
    fn hear(&mut self, agent: &str, serial: u64, news: News) {
        let Some(slot) = self.slots.get_mut(agent) else { return };
        let Some(run) = slot.runs_mut().find(|run| run.serial == serial) else { return };
        let command = run.request.command.first().cloned().unwrap_or_default();
        let failure = match &news {
            News::CouldNotSpawn(why) => Some(Denial::SpawnFailed { command, why: why.clone() }),
            _ => None,
        };
        if let Some(failure) = &failure {
            // For whoever reads the report, if the answer to the start is not heard.
            run.output.push(Source::Stderr, failure.to_string(), clock::now());
        }
        if let News::Over(over) = &news {
            run.output.push(Source::Status, over.sentence(), clock::now());
        }
        run.enter(match news {
            News::Spawned => Event::Spawned,
            News::CouldNotSpawn(_) | News::NotStarted => Event::NeverSpawned,
            News::Over(over) => Event::Ending(over.reason().to_owned()),
            News::Gone(exit) => Event::Gone(exit),
        });
        let phase = run.phase();
        let failed = failure.is_some();
        let heard = run.answer(&failure.map_or_else(|| Ok(run.status()), Err));
        if phase == Phase::Running {
            self.early_rigs.insert(run.request.rig_id.clone());
            self.early.notify_one();
        }
        if phase.is_over() {
            // The answer to the start has said it already, if anybody heard it.
            let told = failed && heard && !run.promised;
            run.process = None;
            self.over(agent, serial, told);
        }
    }

    /// A run is over: reports it, and begins the one that waited for it.
    fn over(&mut self, agent: &str, serial: u64, told: bool) {
        let Some(mut slot) = self.slots.remove(agent) else { return };
        let older = slot.older.take_if(|older| older.serial == serial);
        if told {
            self.journal.told(name(&slot.run));
        } else {
            self.report(older.as_ref().unwrap_or(&slot.run));
        }
        if older.is_some() && slot.run.phase() == Phase::Starting {
            self.launch(&mut slot.run);
        }
        let live = slot.known().is_live();
        self.slots.insert(agent.to_owned(), slot);
        if !live {
            self.remember(agent);
            self.room.notify_one();
        }
    }

    /// Keeps what is over for those who ask, but not for ever.
    fn remember(&mut self, agent: &str) {
        self.ended.push_back(agent.to_owned());
        if self.ended.len() > ENDED_RUNS_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.slots.remove(&oldest);
        }
    }

    fn report(&self, run: &Run) {
        let StartAgent { rig_id, agent_id, .. } = &run.request;
        let report = run.report(&self.boot_id);
        self.journal.ended(name(run), &report);
        self.reporter.send(rig_id, agent_id, report);
    }

    /// Begins the end of a run.
    pub(crate) fn stop(&mut self, agent: &str, stop: &StopAgent) -> Result<Stopped, Denial> {
        let verdict = policy::stop(agent, stop.attempt, self.slots.get(agent).map(Slot::known));
        if let policy::Verdict::Deny(denial) = verdict {
            return Err(denial);
        }
        if verdict == policy::Verdict::Do(()) {
            let reason = stop.reason.as_deref().filter(|reason| !reason.is_empty());
            let reason: String =
                reason.unwrap_or("stopped").chars().take(REASON_CHARS_MAX).collect();
            self.end_newest(agent, &reason, Order::Term);
        }
        let slot = self.slots.get(agent).ok_or_else(|| Denial::NotFound(agent.to_owned()))?;
        let status = match stop.attempt {
            Some(attempt) if attempt < slot.run.request.attempt => {
                let older = slot.older.as_ref().filter(|older| older.request.attempt == attempt);
                older.map_or(Phase::Exited, Run::phase)
            }
            _ => slot.run.phase(),
        };
        Ok(Stopped { stopped: true, status })
    }

    fn end_newest(&mut self, agent: &str, why: &str, order: Order) {
        let Some(slot) = self.slots.get_mut(agent) else { return };
        if slot.run.phase().is_over() {
            return;
        }
        slot.run.end(why, order);
        if slot.run.phase().is_over() {
            // It waited for an older one and never had a process; the older one is still ending.
            self.report(&self.slots[agent].run);
        }
    }

    /// Tells an agent something.
    pub(crate) fn message(&mut self, agent: &str, message: Message) -> Result<(), Denial> {
        let slot = self.slots.get(agent);
        if let policy::Verdict::Deny(denial) = policy::message(agent, slot.map(Slot::known)) {
            return Err(denial);
        }
        let process = slot.and_then(|slot| slot.run.process.as_ref());
        let process = process.ok_or_else(|| Denial::NotFound(agent.to_owned()))?;
        process.say(message.prompt).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Denial::InputFull(agent.to_owned()),
            mpsc::error::TrySendError::Closed(_) => Denial::InputClosed(agent.to_owned()),
        })
    }

    /// The runs that are alive, by rig.
    pub(crate) fn heartbeats(&mut self) -> BTreeMap<String, Vec<Heartbeat>> {
        let mut beats: BTreeMap<String, Vec<Heartbeat>> = BTreeMap::new();
        for run in self.slots.values_mut().flat_map(Slot::runs_mut) {
            if !run.phase().is_over() {
                beats.entry(run.request.rig_id.clone()).or_default().push(run.heartbeat());
            }
        }
        beats
    }

    /// Does what a rig said to the heartbeats of its runs, which were sent at this time.
    pub(crate) fn verdicts(&mut self, rig: &str, sent: Instant, verdicts: &[Verdict]) {
        let lease = self.leases.entry(rig.to_owned()).or_insert(sent);
        *lease = sent.max(*lease);
        for Verdict { agent_id, attempt, verdict } in verdicts {
            let (why, order) = match verdict {
                Advice::Ok => {
                    if let Some(slot) = self.slots.get_mut(agent_id)
                        && slot.run.request.rig_id == rig
                        && slot.run.request.attempt == *attempt
                    {
                        slot.run.suspend(false);
                    }
                    continue;
                }
                Advice::Stop => ("stopped", Order::Term),
                Advice::Stale => ("stale", Order::Kill),
            };
            let Some(slot) = self.slots.get_mut(agent_id) else { continue };
            if slot.run.request.rig_id != rig {
                continue;
            }
            if slot.run.request.attempt == *attempt {
                self.end_newest(agent_id, why, order);
            } else if let Some(older) =
                slot.older.as_mut().filter(|older| older.request.attempt == *attempt)
            {
                older.end(why, order);
            }
        }
    }

    /// Suspends the runs of rigs that were not heard of for too long: the rig may have given their work to others.
    pub(crate) fn check_leases(&mut self) {
        let mut held = BTreeSet::new();
        for run in self.slots.values_mut().map(|slot| &mut slot.run) {
            if run.phase().is_over() {
                continue;
            }
            let rig = &run.request.rig_id;
            let lease = self.leases.get(rig);
            let is_over = lease.is_some_and(|lease| lease.elapsed() >= self.config.lease);
            held.insert(rig.clone());
            if is_over {
                run.suspend(true);
            }
        }
        self.leases.retain(|rig, _| held.contains(rig));
    }

    /// Takes no more work, and tells all runs to finish.
    pub(crate) fn drain(&mut self) {
        self.closing = true;
        let agents: Vec<String> = self.slots.keys().cloned().collect();
        for agent in agents {
            let Some(slot) = self.slots.get_mut(&agent) else { continue };
            if slot.run.phase().is_over() {
                continue;
            }
            slot.run.ask_to_finish(FINISH);
            if slot.run.phase().is_over() {
                self.report(&self.slots[&agent].run);
            }
        }
    }

    /// Gives all that is left this order.
    pub(crate) fn order_all(&mut self, order: Order) {
        self.closing = true;
        for run in self.slots.values_mut().flat_map(Slot::runs_mut) {
            if let Some(process) = &run.process {
                process.order(order);
            }
        }
    }
}

/// What agents are told when the service ends.
const FINISH: &str = "The container is about to be stopped. Finish now: commit and push what you have, write down \
                      what is left to do, and exit.";

fn name(run: &Run) -> Name {
    let StartAgent { rig_id, agent_id, attempt, .. } = &run.request;
    Name { rig: rig_id.clone(), agent: agent_id.clone(), attempt: *attempt }
}
