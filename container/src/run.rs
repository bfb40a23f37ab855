//! One run as the owner keeps it: who it is for, its life, its output, its process.
//!
//! It must never keep more of the request than it needs: prompts are large and tokens are secret.

use std::sync::Arc;

use beadrig::id::Millis;
use beadrig::wire::container::{AgentStatus, ExitReport, Heartbeat, Phase, Secret, StartAgent};
use tokio::sync::oneshot;

use crate::clock;
use crate::life::{Event, Life};
use crate::output::{Output, Source};
use crate::policy::{Denial, phase_name};
use crate::process::{Order, Process};

/// Who waits for the answer to a start.
pub type Waiter = oneshot::Sender<Result<AgentStatus, Denial>>;

/// One run.
pub struct Run {
    /// Distinguishes runs within this service; an attempt can come twice, from two rigs.
    pub serial: u64,
    /// What was asked for, without its bulk once the process is launched.
    pub request: StartAgent,
    /// What it said.
    pub output: Arc<Output>,
    /// Its process, or the promise of one; none while an older run of the agent is ending.
    pub process: Option<Process>,
    /// Those who asked for it and wait for it to be up.
    pub waiters: Vec<Waiter>,
    /// Whether somebody was told that it has been started; then only a report can say that it was not.
    pub promised: bool,
    life: Life,
    started_at: Millis,
}

impl Run {
    /// Registers a run.
    pub fn new(serial: u64, request: StartAgent, first_event: u64, output_bytes_max: u64) -> Self {
        let started_at = clock::now();
        let output = Arc::new(Output::new(first_event, started_at, output_bytes_max));
        output.push(Source::Status, phase_name(Phase::Starting).to_owned(), started_at);
        Self {
            serial,
            request,
            output,
            process: None,
            waiters: Vec::new(),
            promised: false,
            life: Life::default(),
            started_at,
        }
    }

    /// Moves on in its life and notes it.
    pub fn enter(&mut self, event: Event) {
        if self.life.after(event) {
            let phase =
                if self.life.is_suspended() { "suspended" } else { phase_name(self.life.phase()) };
            self.output.push(Source::Status, phase.to_owned(), clock::now());
            let StartAgent { rig_id, agent_id, attempt, job_id, .. } = &self.request;
            let reason = self.life.reason();
            tracing::info!(rig_id, agent_id, attempt, job_id, reason, "{phase}");
            if self.phase().is_over() {
                self.output.close();
            }
        }
    }

    /// Ends it. A run that has no process yet is over at once.
    pub fn end(&mut self, why: &str, order: Order) {
        self.enter(Event::Ending(why.to_owned()));
        match &self.process {
            Some(process) => process.order(order),
            None => self.enter(Event::NeverSpawned),
        }
    }

    /// Its rig was not heard of for too long, or is there again.
    pub fn suspend(&mut self, suspend: bool) {
        let (event, order) = if suspend {
            (Event::Suspended, Order::Suspend)
        } else {
            (Event::Resumed, Order::Resume)
        };
        let before = self.life.is_suspended();
        self.enter(event);
        if let Some(process) = self.process.as_ref().filter(|_| self.life.is_suspended() != before)
        {
            process.order(order);
        }
    }

    /// It is to come to its end by itself, and is told so.
    pub fn ask_to_finish(&mut self, line: &str) {
        if self.phase() != Phase::Running {
            return self.end("interrupted", Order::Term);
        }
        self.enter(Event::Ending("interrupted".to_owned()));
        if let Some(process) = &self.process {
            // One that does not listen is ended in any case.
            let _ = process.say(line.to_owned());
        }
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        self.life.phase()
    }

    /// Drops what only the launch needed.
    pub fn slim(&mut self) {
        self.request.prompt = String::new();
        self.request.env_vars.clear();
        self.request.command.truncate(1);
        self.request.session_token = Secret::new("");
    }

    /// Answers those who wait; says whether anybody was still there.
    pub fn answer(&mut self, answer: &Result<AgentStatus, Denial>) -> bool {
        let mut heard = false;
        for waiter in self.waiters.drain(..) {
            heard |= waiter.send(answer.clone()).is_ok();
        }
        heard
    }

    /// What is known of it.
    pub fn status(&self) -> AgentStatus {
        let over = self.phase().is_over();
        AgentStatus {
            agent_id: self.request.agent_id.clone(),
            rig_id: self.request.rig_id.clone(),
            bead_id: self.request.bead_id.clone(),
            attempt: self.request.attempt,
            job_id: self.request.job_id.clone(),
            status: self.phase(),
            suspended: self.life.is_suspended(),
            started_at: self.started_at.to_string(),
            last_activity_at: self.output.last_activity().to_string(),
            exit_reason: self.life.reason().map(str::to_owned),
            exit_code: self.life.exit().code,
            output_tail: over.then(|| self.output.tail()).flatten(),
        }
    }

    /// That it is alive.
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            agent_id: self.request.agent_id.clone(),
            attempt: self.request.attempt,
            job_id: self.request.job_id.clone(),
            last_activity_at: self.output.last_activity().to_string(),
        }
    }

    /// How it ended.
    pub fn report(&self, boot_id: &str) -> ExitReport {
        let exit = self.life.exit();
        let told = self.output.told();
        ExitReport {
            status: self.life.outcome(),
            reason: self.life.reason().map(str::to_owned),
            attempt: Some(self.request.attempt),
            exit_code: exit.code,
            signal: exit.signal,
            boot_id: Some(boot_id.to_owned()),
            output_tail: self.output.tail(),
            cost_usd_micros: told.cost_micros,
            session_id: told.session_id,
        }
    }
}
