//! The life of a run: begun, alive, dismissed, over, and what becomes of its bead.
//!
//! How often a bead may run is kept on the bead (`runs`, `losses`), so that no new agent, hook or reset of an
//! agent gets around it; only a person's reopen starts anew. See the drawing in [`attempt`](crate::attempt).

use serde_json::Value;

use super::beads::in_window;
use super::{Apply, DISPATCHER, Engine, WITNESS, check, prompt, refs};
use crate::agent::Agent;
use crate::attempt::{Attempt, Event, State};
use crate::bead::{self, Bead};
use crate::command::{Effect, Error, Tell};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::settings::{Settings, dollars, micros};
use crate::store::{Member, NewAttempt, Sql};
use crate::token::{Caller, Claims};
use crate::wire::PROTOCOL;
use crate::wire::container::{Secret, StartAgent};
use crate::wire::merge::GitWork;

/// How a run ended, as far as anyone knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) exit_code: Option<i32>,
    pub(super) output: Option<String>,
    /// In millionths of a dollar.
    pub(super) cost: Option<i64>,
    /// The agent's own name for it.
    pub(super) session: Option<String>,
}

impl End {
    pub(super) fn new(state: State, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.into(),
            exit_code: None,
            output: None,
            cost: None,
            session: None,
        }
    }
}

impl<S: Sql> Apply<'_, S> {
    /// The agent that speaks, if it is one: only its live attempt may, and what it says shows that it is alive.
    pub(super) fn speaker(&mut self, by: &Caller) -> Result<Option<Member>, Error> {
        let Caller::Agent(claims) = by else { return Ok(None) };
        let member = self.store().member(&claims.agent_id)?;
        self.heard(claims, member).map(Some)
    }

    /// Takes what an agent says as a sign of life, and answers what is known of the agent then.
    pub(super) fn heard(
        &mut self,
        claims: &Claims,
        member: Option<Member>,
    ) -> Result<Member, Error> {
        let (mut member, live) = is_live(claims, member)?;
        member.attempt = Some(self.alive(&member, &live, self.now)?);
        Ok(member)
    }

    /// Asks for a run of a bead on an agent that is free; gives the bead up if it ran too often. The caller saves.
    pub(super) fn begin(&mut self, agent: &Agent, bead: &mut Bead) -> Result<(), Error> {
        bead.runs = in_window(&bead.runs, self.now);
        bead.losses = in_window(&bead.losses, self.now);
        if bead.runs.len() >= self.settings()?.max_attempts && !crate::mutant!(NoCapOnAttempts) {
            return self.give_up(bead, "its notes say how it ended");
        }
        if let Some(message) = over_budget(bead, &self.settings()?) {
            return self.get_stuck(bead, "budget", &message);
        }
        self.pass_breaker()?;
        let job = self.dice.job_id();
        let new = NewAttempt { agent: &agent.id, bead: &bead.id, job: &job, asked_at: self.now };
        let number = self.store().add_attempt(&new)?;
        if agent.used_at.is_none_or(|at| self.now.since(at) >= limits::AGENT_USED_EVERY_MS) {
            self.store().used_agent(&agent.id, self.now)?;
        }
        bead.runs.push(self.now);
        bead.not_before = None;
        self.give_branch(agent, bead)?;
        self.order(agent, bead, number, &job)
    }

    /// Gives a bead of a rig with a repository the branch that it keeps, whoever works on it.
    fn give_branch(&mut self, agent: &Agent, bead: &mut Bead) -> Result<(), Error> {
        if bead.ties.branch.is_none() && self.engine.git_url()?.is_some() {
            let branch = refs::of_bead(&agent.name, &bead.id);
            // A name that git does not take is made one of chance.
            let made = branch.unwrap_or_else(|| format!("gt/bead/{}", self.dice.base36(12)));
            bead.ties.branch = Some(made);
        }
        Ok(())
    }

    /// Has the container asked for this run; the same request each time, so that asking twice is asking once.
    pub(super) fn order(
        &mut self,
        agent: &Agent,
        bead: &Bead,
        number: i64,
        job: &str,
    ) -> Result<(), Error> {
        let settings = self.settings()?;
        let git = self.git_work(bead)?;
        let molecule =
            bead.ties.molecule.as_deref().map(|id| self.store().molecule(id)).transpose()?;
        // From the number, not from the clock, so that the token is the same each time.
        let iat = number / 1_000;
        let claims = Claims {
            agent_id: agent.id.clone(),
            rig_id: self.engine.rig.clone(),
            town_id: settings.town.clone(),
            user_id: "operator".to_owned(),
            attempt: number,
            iat,
            exp: iat.max(self.now.0 / 1_000)
                + i64::from(settings.run_timeout_s)
                + limits::TOKEN_GRACE_S,
        };
        self.effects.push(Effect::Start(Box::new(StartAgent {
            protocol: PROTOCOL,
            agent_id: agent.id.clone(),
            rig_id: claims.rig_id.clone(),
            town_id: claims.town_id.clone(),
            bead_id: bead.id.clone(),
            attempt: number,
            job_id: job.to_owned(),
            role: agent.role.as_str().to_owned(),
            name: agent.name.clone(),
            identity: agent.identity.clone(),
            command: settings.agent_command.clone(),
            prompt: prompt::prompt(
                bead,
                molecule.flatten().as_ref(),
                git.as_ref(),
                (&agent.name, job),
            ),
            title: bead.title.clone(),
            model: settings.agent_model.clone(),
            session_token: Secret::new(self.engine.secrets.sign(&claims)),
            time_limit_s: settings.run_timeout_s.into(),
            git,
            env_vars: self.engine.env_vars()?,
        })));
        Ok(())
    }

    /// The repository that a run of this bead works in.
    fn git_work(&self, bead: &Bead) -> Result<Option<GitWork>, Error> {
        let (Some(url), Some(branch)) = (self.engine.git_url()?, bead.ties.branch.clone()) else {
            return Ok(None);
        };
        Ok(Some(GitWork { url, default_branch: self.engine.default_branch()?, branch }))
    }

    /// Takes a sign of life of a live run; the first one says that the start was accepted.
    pub(super) fn alive(
        &mut self,
        member: &Member,
        live: &Attempt,
        activity: Millis,
    ) -> Result<Attempt, Error> {
        if matches!(live.state, State::Running | State::Stopping) {
            if is_news(live, activity, self.now) {
                let gap = self.settings()?.watch_gap_ms();
                self.store().saw(&[(live.number, activity)], None, gap, self.now)?;
            }
            return Ok(live.clone());
        }
        let mut after = self.step(live, Event::Alive)?;
        after.accepted_at = Some(self.now);
        after.last_seen = Some(self.now);
        after.last_activity = Some(activity);
        after.retry_at = None;
        after.suspect_since = None;
        after.failed_asks = 0;
        after.reason = None;
        self.store().save_attempt(live, &after)?;
        self.start_succeeded(live)?;
        if let Some(hooked) = &member.bead {
            let before = self.bead(&hooked.id)?;
            let mut bead = before.clone();
            count_hidden(&mut bead, live);
            self.write_note(&mut bead, DISPATCHER, &format!("dispatched: job={}", live.job))?;
            self.store().save_bead(&before, &bead)?;
            let number = live.number.to_string();
            self.event(&bead.id, &member.agent.id, "agent_spawned", (None, Some(&number)), None)?;
        }
        Ok(after)
    }

    /// Says that a live run is wanted no more. One that is done may finish by itself first; the tick ends it.
    pub(super) fn dismiss(&mut self, live: &Attempt, end: State, why: &str) -> Result<(), Error> {
        if live.state == State::Stopping {
            return Ok(());
        }
        let mut after = self.step(live, Event::Dismissed(end))?;
        after.reason = Some(check::cut(why, limits::REASON_BYTES_MAX));
        if after.state == State::Stopping && end == State::Done {
            let at = self.now.plus(limits::DONE_GRACE_MS);
            after.stop_at = Some(at);
            self.effects.push(Effect::WakeAt(at));
        } else {
            after.stop_at = Some(self.now);
            self.effects.push(Effect::Tell(Tell {
                event: "agent_stopping".to_owned(),
                bead: Some(live.bead.clone()),
                actor: Some(live.agent.clone()),
                detail: after.reason.clone(),
            }));
            self.wake();
        }
        Ok(self.store().save_attempt(live, &after)?)
    }

    /// Closes the book on a run, and decides what becomes of the bead that it still holds.
    pub(super) fn over(&mut self, member: &Member, live: &Attempt, end: End) -> Result<(), Error> {
        let mut after = self.step(live, Event::Gone(end.state))?;
        after.exit_code = end.exit_code;
        after.cost_micros = end.cost.map(|it| it.min(limits::COST_MICROS_MAX));
        if live.state != State::Stopping {
            after.reason = Some(check::cut(&end.reason, limits::REASON_BYTES_MAX));
        }
        self.store().save_attempt(live, &after)?;
        let mut data = format!("attempt {}: {}", live.number, end.reason);
        if let Some(cost) = after.cost_micros {
            data.push_str(&format!(", {} USD", dollars(cost)));
        }
        if let Some(session) = &end.session {
            data.push_str(&format!(", session {session}"));
        }
        let state = (Some(live.state.as_str()), Some(after.state.as_str()));
        self.event(&live.bead, &live.agent, "agent_exited", state, Some(data))?;
        if after.state == State::Failed {
            self.start_failed(live, &end.reason)?;
        }
        if let Some(cost) = after.cost_micros {
            self.charge(&live.bead, cost)?;
        }
        if member.bead.as_ref().is_some_and(|hooked| hooked.id == live.bead)
            || crate::mutant!(EndsAnyBeadsRun)
        {
            self.aftermath(live, &after, &end)?;
            if let Some(mark) = member.agent.mark {
                let why = format!("agent {} is {}", member.agent.name, mark.as_str());
                self.let_go(self.member(&live.agent)?, WITNESS, Some(&why))?;
            }
        }
        self.wake();
        Ok(())
    }

    /// Puts what a run cost on its bead's account.
    pub(super) fn charge(&mut self, bead: &str, cost: i64) -> Result<(), Error> {
        let Some(before) = self.store().bead(bead)? else { return Ok(()) };
        let mut bead = before.clone();
        bead.ties.cost_micros =
            bead.ties.cost_micros.saturating_add(cost).min(limits::COST_MICROS_MAX);
        self.store().save_bead(&before, &bead)?;
        Ok(())
    }

    fn aftermath(&mut self, live: &Attempt, after: &Attempt, end: &End) -> Result<(), Error> {
        let before = self.bead(&live.bead)?;
        let mut bead = before.clone();
        bead.runs = in_window(&bead.runs, self.now);
        bead.losses = in_window(&bead.losses, self.now);
        count_hidden(&mut bead, live);
        let settings = self.settings()?;
        let mut reason = end.reason.clone();
        if after.state == State::Exited {
            reason.push_str(" without closing the bead");
        }
        if let Some(output) = end.output.as_deref().and_then(last_line) {
            reason.push_str(&format!(" (last output: {output})"));
        }
        let breaker = self.store().breaker()?;
        match after.state {
            _ if let Some(message) = over_budget(&bead, &settings) => {
                self.get_stuck(&mut bead, "budget", &message)?;
            }
            State::Failed if breaker.is_open() && self.excuse_start(&mut bead, live.asked_at) => {
                let why = format!("{reason}; not counted, for the starts of the whole rig fail");
                self.release(&mut bead, settings.back_off(1), &why)?;
            }
            State::Failed
                if bead.runs.len() >= settings.max_attempts
                    && breaker.is_not_only(&bead.id, self.now) =>
            {
                let n = bead.runs.len();
                let why = format!(
                    "attempt {n} of {n}: {reason}; other beads do not start either, so it waits whether the container \
                     is at fault"
                );
                self.release(&mut bead, limits::BREAKER_WINDOW_MS, &why)?;
            }
            State::Timeout => {
                let limit = settings.run_timeout_s;
                let message = format!("the run took longer than {limit} s and was ended");
                self.get_stuck(&mut bead, "timed_out", &message)?;
            }
            State::Lost | State::Interrupted => {
                bead.runs.retain(|at| *at != live.asked_at);
                bead.losses.push(self.now);
                let lost = bead.losses.len();
                if lost >= limits::LOSSES_MAX && !crate::mutant!(NoCapOnLosses) {
                    let message = format!("lost {lost} times in 24 h, the last time: {reason}");
                    self.get_stuck(&mut bead, "lost_too_often", &message)?;
                } else {
                    let wait = if lost == 1 { 0 } else { settings.back_off(lost - 1) };
                    self.release(&mut bead, wait, &format!("run lost: {reason}"))?;
                }
            }
            _ if crate::mutant!(ExitCloses) && end.exit_code == Some(0) => {
                bead.status = bead.status.after(bead::Event::Closed)?;
                bead.closed_at = Some(self.now);
                bead.hooked_by = None;
            }
            // A run that said `done` has let go of its bead by then.
            _ => {
                let (n, max) = (bead.runs.len(), settings.max_attempts);
                if n >= max && !crate::mutant!(NoCapOnAttempts) {
                    self.give_up(&mut bead, &reason)?;
                } else {
                    let wait = settings.back_off(n);
                    self.release(&mut bead, wait, &format!("attempt {n} of {max}: {reason}"))?;
                }
            }
        }
        self.store().save_bead(&before, &bead)?;
        Ok(())
    }

    /// Lets a bead be run again after a wait: one from the queue goes back there, so that it blocks no slot; one
    /// that was hooked by hand stays on its hook.
    fn release(&mut self, bead: &mut Bead, wait_ms: i64, why: &str) -> Result<(), Error> {
        let wait_ms = if crate::mutant!(NoBackOff) { 0 } else { wait_ms };
        let at = self.now.plus(wait_ms);
        bead.not_before = (wait_ms > 0).then_some(at);
        let when = if wait_ms > 0 { format!("; next try at {at}") } else { String::new() };
        self.write_note(bead, WITNESS, &format!("{why}{when}"))?;
        if bead.is_for_agents() {
            if !crate::mutant!(ReleasedStaysInProgress) {
                bead.status = bead.status.after(bead::Event::Released)?;
            }
            let agent = bead.hooked_by.take();
            let id = bead.id.clone();
            self.event(&id, WITNESS, "unhooked", (agent.as_deref(), None), Some(why.to_owned()))?;
        }
        self.effects.push(Effect::WakeAt(at));
        Ok(())
    }

    fn give_up(&mut self, bead: &mut Bead, why: &str) -> Result<(), Error> {
        let runs = bead.runs.len();
        let message = format!("gave up after {runs} attempts in 24 h; the last one: {why}");
        self.fail(bead, bead::Event::GaveUp, "attempts_exhausted", &message)
    }

    pub(super) fn get_stuck(
        &mut self,
        bead: &mut Bead,
        code: &str,
        message: &str,
    ) -> Result<(), Error> {
        self.fail(bead, bead::Event::Stuck, code, message)
    }

    fn fail(
        &mut self,
        bead: &mut Bead,
        event: bead::Event,
        code: &str,
        message: &str,
    ) -> Result<(), Error> {
        let note = format!("{message}. Mend the cause, then reopen the bead");
        self.stop_bead(bead, event, (code, message), &note)
    }

    /// Stops a bead until a person reopens it, and says so where people look.
    pub(super) fn stop_bead(
        &mut self,
        bead: &mut Bead,
        event: bead::Event,
        (code, message): (&str, &str),
        note: &str,
    ) -> Result<(), Error> {
        let old = bead.status;
        bead.status = old.after(event)?;
        bead.hooked_by = None;
        bead.not_before = None;
        bead.failure_code = Some(code.to_owned()).filter(|_| !crate::mutant!(GivesUpWithoutReason));
        bead.failure_message = Some(check::cut(message, limits::REASON_BYTES_MAX));
        self.write_note(bead, WITNESS, note)?;
        let change = (Some(old.as_str()), Some(bead.status.as_str()));
        let id = bead.id.clone();
        self.event(&id, WITNESS, "status_changed", change, Some(format!("{code}: {message}")))?;
        Ok(())
    }

    pub(super) fn step(&self, live: &Attempt, event: Event) -> Result<Attempt, Error> {
        let (state, outcome) = live.state.after(live.outcome, event)?;
        let ended_at = state.is_over().then_some(self.now);
        let retry_at = if state == State::Claimed { live.retry_at } else { None };
        Ok(Attempt { state, outcome, retry_at, ended_at, ..live.clone() })
    }
}

impl<S: Sql> Engine<S> {
    /// Refuses a token whose attempt is not the live one.
    pub fn check_live(&self, claims: &Claims) -> Result<(), Error> {
        Ok(is_live(claims, self.store.member(&claims.agent_id)?).map(drop)?)
    }
}

/// Refuses claims that are not those of the agent's live attempt.
fn is_live(claims: &Claims, member: Option<Member>) -> Result<(Member, Attempt), Refusal> {
    let stale = |why: &str| {
        let Claims { attempt, agent_id, .. } = claims;
        Refusal::new(Code::StaleAttempt, format!("attempt {attempt} of agent {agent_id} {why}"))
    };
    let member = member.ok_or_else(|| stale("is unknown"))?;
    match member.attempt.clone() {
        Some(live)
            if (live.number == claims.attempt || crate::mutant!(AnyRunMaySpeak))
                && (live.state != State::Stopping || crate::mutant!(StoppedRunMaySpeak)) =>
        {
            Ok((member, live))
        }
        Some(live) if live.number != claims.attempt => {
            Err(stale(&format!("is over; attempt {} is current", live.number)))
        }
        _ => Err(stale("is over; stop")),
    }
}

/// Counts a run of which was thought that there was no room for it: an earlier request had got through.
fn count_hidden(bead: &mut Bead, live: &Attempt) {
    if live.state == State::Claimed {
        bead.runs.push(live.asked_at);
    }
}

/// Whether a sign of life is worth a row.
pub(super) fn is_news(live: &Attempt, activity: Millis, now: Millis) -> bool {
    live.suspect_since.is_some()
        || live.last_activity.is_some_and(|at| activity.since(at) >= limits::SEEN_EVERY_MS)
        || live.last_seen.is_none_or(|seen| now.since(seen) >= limits::SEEN_EVERY_MS)
}

/// Why a bead may not run any more, if its runs cost what they may.
fn over_budget(bead: &Bead, settings: &Settings) -> Option<String> {
    let of_bead = bead.metadata.get("max_budget_usd").and_then(|it| match it {
        Value::String(text) => micros(text.trim()),
        Value::Number(number) => micros(&number.to_string()),
        _ => None,
    });
    let (max, whose) = match of_bead {
        Some(max) => (max, "of its own max_budget_usd"),
        None => (settings.max_budget_micros, "of MAX_BUDGET_USD"),
    };
    let spent = bead.ties.cost_micros;
    (max > 0 && spent >= max && !crate::mutant!(NoBudget)).then(|| {
        format!("budget: its runs cost {} USD, {} USD {whose}", dollars(spent), dollars(max))
    })
}

fn last_line(output: &str) -> Option<String> {
    let line = output.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(check::cut(line.trim(), limits::NAME_CHARS_MAX))
}
