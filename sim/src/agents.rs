//! What containers and the processes in them do over time: asked, begun, at work, ended, reported.

use beadrig::command::StartAnswer;
use beadrig::wire::container::{AgentList, AgentStatus, Phase as Wire, StartAgent};
use serde_json::Value;

use crate::asked::{Asked, Said, Ticket};
use crate::container::{Act, Answer, Container, LEASE_MS, Phase, Run};
use crate::faults::{EVERY_ONE, Kind};
use crate::op::{Call, Op, Who, boot_id};
use crate::world::{Event, World};

/// Between TERM and KILL, in milliseconds.
const GRACE_MS: i64 = 10_000;

/// What a run costs at most, in millionths of a dollar.
const COST_MAX: i64 = 900_000;

/// A report is sent until it is answered.
pub(crate) const FOR_EVER: u32 = u32::MAX;

impl World {
    pub(crate) fn container_asked(&mut self, ticket: Ticket, c: usize, asked: Asked) {
        if !self.containers[c].hears() {
            return self.unheard(ticket, &asked);
        }
        if let Some(said) = self.other_version(&asked) {
            return self.answer_tick(ticket, said);
        }
        match asked {
            Asked::List => {
                let list = self.list(c);
                self.answer_tick(ticket, Said::List(Box::new(list)));
            }
            Asked::Stop { agent, attempt } => {
                self.end_run(c, &agent, attempt, "stopped", false);
                self.answer_tick(ticket, Said::Nothing);
            }
            Asked::Merge(merge) => {
                let answer = self.merge(c, *merge);
                self.answer_tick(ticket, Said::Start(answer));
            }
            Asked::Start(start) => {
                let said = match self.more.no_room() {
                    Some(said) if self.containers[c].judge(&start) == Answer::Begun => said,
                    _ => Said::Start(self.start(c, *start)),
                };
                self.answer_tick(ticket, said);
            }
        }
    }

    fn list(&self, c: usize) -> AgentList {
        let status = |it: &Run| AgentStatus {
            agent_id: it.start.agent_id.clone(),
            rig_id: it.start.rig_id.clone(),
            bead_id: it.start.bead_id.clone(),
            attempt: it.start.attempt,
            job_id: it.start.job_id.clone(),
            status: match it.phase {
                Phase::Waiting => Wire::Starting,
                Phase::Running => Wire::Running,
                Phase::Ending => Wire::Stopping,
                Phase::Over => Wire::Exited,
                Phase::Failed => Wire::Failed,
            },
            suspended: false,
            started_at: self.now().to_string(),
            last_activity_at: self.at(it.active).to_string(),
            exit_reason: it.is_over().then(|| it.reason.to_owned()),
            exit_code: it.code,
            output_tail: None,
        };
        let agents = self.containers[c].runs.values().map(status).collect();
        AgentList {
            boot_id: boot_id(self.containers[c].boot),
            protocol: self.more.speaks().1,
            agents,
        }
    }

    fn start(&mut self, c: usize, start: StartAgent) -> StartAnswer {
        let number = start.attempt;
        let judged = self.containers[c].judge(&start);
        self.say(format_args!("cont {c}   start {number} on {}: {judged:?}", start.bead_id));
        match judged {
            Answer::Already { over: true } => StartAnswer::Unknown("it is over already".to_owned()),
            Answer::Already { over: false } => StartAnswer::Accepted,
            Answer::Stale => StartAnswer::Refused("stale".to_owned()),
            Answer::Held { agent } => {
                let other = self.containers[c].runs.get(&agent).map(|it| it.start.attempt);
                if let Some(other) = other {
                    self.end_run(c, &agent, other, "stale", true);
                }
                StartAnswer::NoRoom("held".to_owned())
            }
            Answer::Full => StartAnswer::NoRoom("full".to_owned()),
            Answer::Begun => {
                if self.rng.chance(self.faults.no_room) {
                    self.faults_hit.hit("container has no room");
                    return StartAnswer::NoRoom("full".to_owned());
                }
                let agent = start.agent_id.clone();
                let refused = self.containers[c].refuses || self.rng.chance(self.faults.refused);
                let run = self.new_run(start);
                self.containers[c].runs.insert(agent.clone(), run);
                if refused {
                    self.faults_hit.hit("start refused");
                    self.finish(c, &agent, number, Phase::Failed, None, "spawn_failed");
                    return StartAnswer::Refused("no such command".to_owned());
                }
                self.spawn(c, &agent, number);
                StartAnswer::Accepted
            }
            Answer::Later => {
                let agent = start.agent_id.clone();
                let run = self.new_run(start);
                if let Some(before) = self.containers[c].runs.insert(agent.clone(), run) {
                    let n = before.start.attempt;
                    self.containers[c].older.insert(n, before);
                    self.end_run(c, &agent, n, "stale", false);
                }
                StartAnswer::Accepted
            }
        }
    }

    fn new_run(&mut self, start: StartAgent) -> Run {
        let plan = self.plan_of(&start);
        let plan = self.with_help(plan, &start);
        self.people.tokens.push((
            start.agent_id.clone(),
            start.attempt,
            start.bead_id.clone(),
            start.session_token.expose().to_owned(),
        ));
        let active = self.t;
        Run { start, phase: Phase::Waiting, reason: "exited", code: None, plan, active }
    }

    /// What a process will do.
    fn plan_of(&mut self, start: &StartAgent) -> Vec<(i64, Act)> {
        let (agent, bead) = (start.agent_id.clone(), start.bead_id.clone());
        let mut plan = Vec::new();
        let slow = !self.healing && self.rng.chance(if self.faults.storm { 900 } else { 150 });
        for n in 0..self.rng.range(i64::from(self.faults.storm) * 3, if slow { 6 } else { 3 }) {
            let wait = self.rng.range(1_000, if slow { 200_000 } else { 30_000 });
            let op = match self.rng.below(4) {
                0 => Op::Checkpoint { agent: agent.clone(), bead: bead.clone() },
                1 => Op::Alive { agent: agent.clone(), bead: bead.clone() },
                _ => Op::Note { bead: bead.clone(), text: format!("{} says {n}", start.attempt) },
            };
            plan.push((wait, Act::Call(op)));
        }
        let wait = self.rng.range(1_000, 60_000);
        if self.kind == Kind::Silent && !self.healing && self.rng.chance(300) {
            self.faults_hit.hit("agent is silent");
            if self.more.hangs {
                self.faults_hit.hit("agent is silent for hours");
            }
            return plan;
        }
        if self.rng.chance(self.faults.bad_agents) {
            let all = self.faults.bad_agents >= EVERY_ONE;
            match if all { 4 } else { self.rng.below(5) } {
                0 => {
                    self.faults_hit.hit("agent hangs");
                    return plan;
                }
                1 => {
                    self.faults_hit.hit("agent exits without a word");
                    plan.push((wait, Act::Exit(0)));
                    return plan;
                }
                2 => {
                    self.faults_hit.hit("agent lingers after its close");
                    plan.push((wait, Act::Call(Op::Close { bead })));
                    return plan;
                }
                _ => {
                    self.faults_hit.hit("agent dies");
                    plan.push((wait, Act::Exit(1)));
                    return plan;
                }
            }
        }
        let last = match self.rng.below(if self.healing { 2 } else { 12 }) {
            0..=5 => Op::Done { agent, bead },
            6..=10 => Op::Close { bead },
            _ => Op::Block { bead },
        };
        plan.push((wait, Act::Call(last)));
        plan.push((self.rng.range(100, 20_000), Act::Exit(0)));
        plan
    }

    fn spawn(&mut self, c: usize, agent: &str, attempt: i64) {
        let (t, boot) = (self.t, self.containers[c].boot);
        let alone = self.containers[c].beating().next().is_none();
        let Some(run) = self.containers[c].run(agent, attempt) else { return };
        run.phase = Phase::Running;
        run.active = t;
        self.oracle.sign(attempt, boot, t);
        let (first, limit, bead) =
            (run.plan.first().map(|it| it.0), run.start.time_limit_s, run.start.bead_id.clone());
        if alone && !self.containers[c].suspended {
            self.containers[c].heard = t;
            self.plan(t + LEASE_MS, Event::Lease(c, boot, t));
        }
        if let Some(wait) = first {
            self.plan(t + wait, Event::Step(c, boot, agent.to_owned(), attempt));
        }
        let limit = i64::try_from(limit).unwrap_or(0) * 1_000;
        self.plan(t + limit, Event::TimeLimit(c, boot, agent.to_owned(), attempt));
        self.plan(t + 50, Event::EarlyBeat(c, boot));
        self.say(format_args!("cont {c}   run {attempt} on {bead} is up"));
        if !self.containers[c].suspended
            && self.oracle.process((c, attempt), &bead, true, t, &mut self.found)
        {
            self.faults_hit.hit("one run in two containers");
        }
    }

    /// The next step of a process.
    pub(crate) fn step(&mut self, c: usize, boot: u64, agent: &str, attempt: i64) {
        let it = &mut self.containers[c];
        if it.boot != boot || !it.up {
            return;
        }
        let suspended = it.suspended;
        let Some(run) = it.run(agent, attempt) else { return };
        if !matches!(run.phase, Phase::Running | Phase::Ending) || run.plan.is_empty() {
            return;
        }
        let again = Event::Step(c, boot, agent.to_owned(), attempt);
        if suspended {
            return self.plan(self.t + 5_000, again);
        }
        run.active = self.t;
        let (_, act) = run.plan.remove(0);
        let next = run.plan.first().map(|it| it.0);
        let token = run.start.session_token.expose().to_owned();
        self.oracle.sign(attempt, boot, self.t);
        match act {
            Act::Call(op) => {
                let who = Who::Run { attempt, token };
                if self.rng.chance(self.faults.twice) {
                    self.faults_hit.hit("agent says it twice");
                    self.send(who.clone(), op.clone(), 0);
                }
                self.send(who, op, 3);
            }
            Act::Exit(code) => {
                self.finish(c, agent, attempt, Phase::Over, Some(code), "exited");
            }
        }
        if let Some(wait) = next {
            self.plan(self.t + wait, again);
        }
    }

    /// Tells a process to end; it is gone soon.
    pub(crate) fn end_run(
        &mut self,
        c: usize,
        agent: &str,
        attempt: i64,
        why: &'static str,
        kill: bool,
    ) {
        let boot = self.containers[c].boot;
        let Some(run) = self.containers[c].run(agent, attempt) else { return };
        match run.phase {
            Phase::Waiting => self.finish(c, agent, attempt, Phase::Over, None, why),
            Phase::Running => {
                run.phase = Phase::Ending;
                run.reason = why;
                let most = if kill { 100 } else { GRACE_MS };
                self.soon(1, most, Event::Gone(c, boot, agent.to_owned(), attempt));
            }
            Phase::Ending | Phase::Over | Phase::Failed => {}
        }
    }

    pub(crate) fn gone(&mut self, c: usize, boot: u64, agent: &str, attempt: i64) {
        if self.containers[c].boot != boot {
            return;
        }
        let Some(run) = self.containers[c].run(agent, attempt) else { return };
        let why = run.reason;
        if run.phase == Phase::Ending {
            self.finish(c, agent, attempt, Phase::Over, None, why);
        }
        self.containers[c].older.remove(&attempt);
        let newest = self.containers[c].runs.get(agent);
        if let Some(n) = newest.filter(|it| it.phase == Phase::Waiting).map(|it| it.start.attempt) {
            self.spawn(c, agent, n);
        }
    }

    /// A process is gone, or never was: it is reported until somebody takes it.
    fn finish(
        &mut self,
        c: usize,
        agent: &str,
        attempt: i64,
        phase: Phase,
        code: Option<i32>,
        why: &'static str,
    ) {
        let (t, boot) = (self.t, self.containers[c].boot);
        let Some(run) = self.containers[c].run(agent, attempt) else { return };
        (run.phase, run.code, run.reason) = (phase, code, why);
        let bead = run.start.bead_id.clone();
        self.say(format_args!("cont {c}   run {attempt} on {bead} is over: {why} {code:?}"));
        self.oracle.process((c, attempt), &bead, false, t, &mut self.found);
        let ran = why != "spawn_failed";
        let cost = (ran && self.kind == Kind::Budget).then(|| self.rng.range(0, COST_MAX));
        let agent = agent.to_owned();
        let report = Op::Exit { boot, cost, agent, attempt, bead, reason: why, code };
        self.send(Who::Container(c, boot), report, FOR_EVER);
    }

    pub(crate) fn beat(&mut self, c: usize, boot: u64) {
        if self.containers[c].boot != boot {
            return;
        }
        self.soon(24_000, 36_000, Event::Beat(c, boot));
        self.send_beats(c, boot);
    }

    pub(crate) fn send_beats(&mut self, c: usize, boot: u64) {
        let it = &self.containers[c];
        if it.boot != boot || !it.up || it.is_mute() {
            return;
        }
        let one = |it: &Run| {
            let (agent, job) = (it.start.agent_id.clone(), it.start.job_id.clone());
            (agent, it.start.attempt, job, self.at(it.active).to_string())
        };
        let runs: Vec<_> = it.beating().map(one).collect();
        let merges: Vec<_> = it.merges.keys().cloned().collect();
        if runs.is_empty() && merges.is_empty() {
            return;
        }
        let op = Op::Beats { boot, sent: self.t, runs, merges };
        self.send(Who::Container(c, boot), op, 0);
    }

    /// Nobody accepted a heartbeat for too long: the processes stop until somebody does.
    pub(crate) fn lease(&mut self, c: usize, boot: u64, heard: i64) {
        let it = &mut self.containers[c];
        if it.boot != boot || it.heard != heard || it.suspended || it.beating().next().is_none() {
            return;
        }
        it.suspended = true;
        self.say(format_args!("cont {c}   suspends its runs"));
        self.all_work(c, false);
    }

    /// All processes of a container work, or do not.
    fn all_work(&mut self, c: usize, works: bool) {
        let it: &Container = &self.containers[c];
        let there = it.runs.values().chain(it.older.values());
        let there: Vec<(i64, String)> = there
            .filter(|run| matches!(run.phase, Phase::Running | Phase::Ending))
            .map(|run| (run.start.attempt, run.start.bead_id.clone()))
            .collect();
        for (attempt, bead) in there {
            self.oracle.process((c, attempt), &bead, works, self.t, &mut self.found);
        }
    }

    /// The service and all of its processes are gone.
    pub(crate) fn kill_container(&mut self, c: usize) {
        self.all_work(c, false);
        let it = &mut self.containers[c];
        if !it.merges.is_empty() {
            self.faults_hit.hit("service is killed at a merge");
        }
        it.up = false;
        let merges = std::mem::take(&mut it.merges);
        it.lost_merges.extend(merges);
        it.runs.clear();
        it.older.clear();
    }

    /// A service begins, with nothing; it reports the merges that the one before was at. Every other one finds a new
    /// disk, and knows of none.
    pub(crate) fn boot(&mut self, c: usize) {
        self.boots += 1;
        let (boot, before) = (self.boots, &self.containers[c]);
        let (cut, refuses, lost) = (before.cut, before.refuses, before.lost_merges.clone());
        self.containers[c] = Container { cut, refuses, ..Container::new(boot, self.t) };
        self.soon(1, 36_000, Event::Beat(c, boot));
        if boot.is_multiple_of(2) {
            for (key, bead) in lost {
                self.faults_hit.hit("a killed service's merge is reported");
                self.report(c, key, bead, "container_failed");
            }
        }
    }

    /// A caller has its answer.
    pub(crate) fn answered(&mut self, call: &Call, status: u16, body: &Value) {
        let retry = [426, 500].contains(&status) && call.tries > 0;
        match (&call.who, &call.op) {
            (Who::Container(c, boot), Op::Beats { sent, .. })
                if self.containers[*c].boot == *boot && status == 200 =>
            {
                self.verdicts(*c, *sent, body);
            }
            (_, Op::Beats { .. }) => {}
            (Who::Container(c, boot), Op::Landing { merge })
                if status == 200 && self.containers[*c].boot == *boot =>
            {
                let ok = body["data"]["verdicts"][0]["verdict"] == "ok";
                self.may_land(*c, merge.clone(), ok);
            }
            _ if retry => self.soon(1_000, 10_000, Event::Again(Box::new(call.clone()))),
            (Who::Run { .. }, Op::ReadMail { .. }) if status == 200 => self.mail_came(call, body),
            (Who::Person, op) => self.people.told(op, status, body),
            _ => {}
        }
    }

    fn verdicts(&mut self, c: usize, sent: i64, body: &Value) {
        let boot = self.containers[c].boot;
        let verdicts = body["data"]["verdicts"].as_array().cloned().unwrap_or_default();
        for it in &verdicts {
            let (agent, attempt) =
                (it["agent_id"].as_str().unwrap_or_default(), it["attempt"].as_i64());
            match it["verdict"].as_str() {
                Some("stale") => self.end_run(c, agent, attempt.unwrap_or(0), "stale", true),
                Some("stop") => self.end_run(c, agent, attempt.unwrap_or(0), "stopped", false),
                _ => {}
            }
        }
        for it in body["data"]["merges"].as_array().into_iter().flatten() {
            if it["verdict"] == "stale" {
                let entry = it["entry_id"].as_str().unwrap_or_default().to_owned();
                self.containers[c].merges.remove(&(entry, it["attempt"].as_i64().unwrap_or(0)));
            }
        }
        if sent > self.containers[c].heard {
            self.containers[c].heard = sent;
            self.plan(sent + LEASE_MS, Event::Lease(c, boot, sent));
            if self.t - sent < LEASE_MS && std::mem::take(&mut self.containers[c].suspended) {
                self.say(format_args!("cont {c}   its runs go on"));
                self.all_work(c, true);
            }
        }
    }
}
