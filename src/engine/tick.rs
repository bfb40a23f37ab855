//! The tick: `schedulePendingWork`, `witnessPatrol`, `processReviewQueue`, and when to wake next.
//!
//! A tick reads the rows and turns what it finds into commands, one a thing, each its own transaction: a row
//! that cannot be read or a rule that fails costs that thing its turn and nobody else's. The edge performs the
//! effects and hands back what the container said.

use super::patrol::{self, Seen, judge, judge_silence};
use super::{Apply, Engine, WITNESS, check};
use crate::attempt::{Event, State};
use crate::breaker::Breaker;
use crate::command::{Command, Effect, Error, Judgement, Moment, Reply, Tell};
use crate::id::{Dice, Millis};
use crate::limits;
use crate::settings::Settings;
use crate::store::{Deed, Member, Sql};
use crate::wire::container::AgentList;

/// How soon an unconfirmed start is asked for again, in milliseconds.
const ASK_AGAIN_MS: i64 = 10_000;

/// What the first step of a tick found.
#[derive(Debug)]
pub struct Scheduled {
    /// To be performed.
    pub effects: Vec<Effect>,
    /// Whether there are runs to ask the container about.
    pub ask: bool,
}

impl<S: Sql> Engine<S> {
    /// `schedulePendingWork`: claims what is ready while there is room, and asks for the runs that are due.
    pub fn schedule_pending_work(&self, moment: Moment) -> Scheduled {
        let mut done = Scheduled { effects: Vec::new(), ask: false };
        let mut dice = Dice::new(moment.seed);
        let settings = self.in_force("schedulePendingWork", &mut done.effects);
        let (crew, bad) = match self.store.crew() {
            Ok(read) => read,
            Err(err) => {
                done.effects.push(fault("schedulePendingWork", None, &err));
                return done;
            }
        };
        done.effects.extend(bad.iter().map(|err| fault("schedulePendingWork", None, err)));
        let breaker = self.store.breaker().unwrap_or_default();
        let mut todo: Vec<Command> =
            crew.iter().filter_map(|member| due(member, moment.now)).collect();
        let free = match free_slots(&crew, &settings) {
            _ if !(self.claims(&settings) || crate::mutant!(PauseIsIgnored))
                || !breaker.lets_through(moment.now) =>
            {
                0
            }
            free if breaker.is_open() => free.min(1),
            free => free,
        };
        match self.store.due(moment.now, free, breaker.is_open()) {
            Ok(deeds) => todo.extend(deeds.into_iter().map(|it| match it.deed {
                Deed::Claim => Command::Claim(it.bead),
                Deed::Undefer if crate::mutant!(DeferredForEver) => Command::Saw(None, Vec::new()),
                Deed::Undefer => Command::Due(it.bead),
                Deed::Orphaned => Command::Orphaned(it.bead),
                Deed::Escalate => Command::EscalateAgain(it.bead),
            })),
            Err(err) => done.effects.push(fault("schedulePendingWork", None, &err)),
        }
        if breaker.is_open() {
            keep_one_start(&mut todo, &crew, &breaker, moment.now);
        }
        let old = crew.iter().filter(|it| patrol::is_old(it, moment.now));
        todo.extend(
            old.take(limits::AGENTS_FORGOTTEN_A_TICK)
                .map(|it| Command::Forget(it.agent.id.clone())),
        );
        done.effects.extend(crew.iter().filter_map(|it| stop_due(it, moment.now)));
        done.ask =
            crew.iter().any(|it| it.attempt.as_ref().is_some_and(|it| it.state != State::Claimed));
        for command in todo {
            let moment = Moment { seed: dice.roll(), ..moment };
            self.carry_out("schedulePendingWork", moment, command, &mut done.effects);
        }
        done
    }

    /// `witnessPatrol`: judges every live run by what the container showed; `asked` is when it was asked.
    ///
    /// What the container showed before it accepted a run says nothing about that run.
    pub fn witness_patrol(
        &self,
        moment: Moment,
        asked: Millis,
        answer: Option<&AgentList>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let crew = match self.store.crew() {
            Ok((crew, _)) => crew,
            Err(err) => return vec![fault("witnessPatrol", None, &err)],
        };
        let settings = self.in_force("witnessPatrol", &mut effects);
        let rules = (&settings, self.claims(&settings));
        let boot = answer.map(|it| it.boot_id.as_str()).filter(|it| !it.is_empty());
        let mut seen_alive = Vec::new();
        for member in &crew {
            let Some(live) = &member.attempt else { continue };
            if live.accepted_at.is_some_and(|at| at >= asked) {
                continue;
            }
            let seen = match answer {
                None => Seen::NoAnswer,
                // Another container, or another life of this one, speaks of another process.
                Some(_) if !live.is_of(boot) => Seen::Absent,
                Some(list) => list
                    .agents
                    .iter()
                    .find(|it| it.agent_id == live.agent && it.attempt == live.number)
                    .map_or(Seen::Absent, |it| Seen::Present(Box::new(it.clone()))),
            };
            match judge(live, &seen, moment.now, &settings) {
                // Nothing but the time changes: all of them at once.
                Some(Judgement::Alive(activity)) if live.state == State::Running => {
                    seen_alive.push((live.number, activity));
                }
                Some(judgement) => {
                    if let Judgement::Alive(activity) = judgement {
                        seen_alive.push((live.number, activity));
                    }
                    let command = Command::Act(live.agent.clone(), live.number, judgement);
                    self.carry_out("witnessPatrol", moment, command, &mut effects);
                }
                None => {
                    // Whose it is, is kept at once.
                    if let (Seen::Present(it), None, Some(_)) = (&seen, &live.boot, boot) {
                        seen_alive.push((live.number, patrol::activity(it, moment.now)));
                    }
                }
            }
            if let Some(judgement) = judge_silence(member, live, &seen, moment.now, rules) {
                let command = Command::Act(live.agent.clone(), live.number, judgement);
                self.carry_out("witnessPatrol", moment, command, &mut effects);
            }
        }
        if !seen_alive.is_empty() {
            let saw = Command::Saw(boot.map(str::to_owned), seen_alive);
            self.carry_out("witnessPatrol", moment, saw, &mut effects);
        }
        effects
    }

    /// `processReviewQueue`: takes back the merges that never came back, asks again for those that nobody has
    /// confirmed, and begins one for each branch that is free. It asks nothing while no review is open.
    pub fn process_review_queue(&self, moment: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut dice = Dice::new(moment.seed);
        for find in [Self::merges_to_recover, Self::merges_to_ask_for, Self::merges_to_start] {
            match find(self, moment.now) {
                Ok(commands) => {
                    for command in commands {
                        let moment = Moment { seed: dice.roll(), ..moment };
                        self.carry_out("processReviewQueue", moment, command, &mut effects);
                    }
                }
                Err(err) => effects.push(fault("processReviewQueue", None, &err)),
            }
        }
        effects
    }

    /// When the rig wants to be woken next, by what is true now; none: not before something happens.
    pub fn next_wake(&self, now: Millis) -> Result<Option<Millis>, Error> {
        if self.store.deleted_at()?.is_some() {
            return Ok(None);
        }
        let (crew, bad) = self.store.crew()?;
        let settings = self.in_force("nextWake", &mut Vec::new());
        let active = now.plus(settings.active_alarm_ms);
        let breaker = self.store.breaker()?;
        let mut wakes: Vec<Millis> = crew
            .iter()
            .filter(|it| it.needs_ticks())
            .map(|it| wake_for(it, now, active, &breaker))
            .collect();
        if !bad.is_empty() {
            wakes.push(active);
        }
        wakes.extend(self.next_merge(now, active));
        let room = self.claims(&settings) && free_slots(&crew, &settings) > 0;
        // What could have been claimed and was not waits for a tick like everything else.
        let or_active = |at: Millis| if at <= now { active } else { at };
        wakes.extend(self.store.next_due(room && !breaker.is_open())?.map(or_active));
        if let (true, Some(probe)) = (room, breaker.probe_at) {
            // Nothing of the queue may go before.
            wakes.extend(self.store.next_due(true)?.map(|at| or_active(at.max(probe))));
        }
        if crate::mutant!(AlarmSpins) && wakes.iter().any(|at| *at > now) {
            return Ok(Some(now));
        }
        let soonest = now.plus(limits::ALARM_MIN_MS);
        let wake = match wakes.into_iter().min() {
            Some(at) => Some(at),
            None => (settings.idle_alarm_ms > 0).then(|| now.plus(settings.idle_alarm_ms)),
        };
        let longest = settings.active_alarm_ms.max(settings.idle_alarm_ms).max(limits::SLEEP_MS);
        Ok(wake.map(|at| at.clamp(soonest, now.plus(longest))))
    }

    fn carry_out(&self, step: &str, moment: Moment, command: Command, effects: &mut Vec<Effect>) {
        let claimed = match &command {
            Command::Claim(bead) => Some(bead.clone()),
            _ => None,
        };
        match self.apply(moment, command) {
            Ok(outcome) => effects.extend(outcome.effects),
            // The rows have changed since they were read; the next tick sees them as they are.
            Err(Error::Refused(_)) => {}
            Err(Error::Fault(err)) => {
                effects.push(fault(step, claimed.clone(), &err));
                if let Some(bead) = claimed {
                    self.step_aside(step, moment.now, &bead, effects);
                }
            }
        }
    }
}

impl<S: Sql> Engine<S> {
    /// A bead that cannot be claimed, because a row of it cannot be read, would be the first again in the next tick,
    /// and with as many of them as there are slots nothing else would ever be claimed: it waits, and the next one is
    /// looked at soon.
    fn step_aside(&self, step: &str, now: Millis, bead: &str, effects: &mut Vec<Effect>) {
        match self.store.put_off(bead, now.plus(limits::UNREADABLE_MS)) {
            Ok(()) => effects.push(Effect::WakeAt(now.plus(limits::ALARM_MIN_MS))),
            Err(err) => effects.push(fault(step, Some(bead.to_owned()), &err)),
        }
    }
}

impl<S: Sql> Apply<'_, S> {
    /// Starts an agent that holds a bead and has no run.
    pub(super) fn start(&mut self, agent: &str) -> Result<Reply, Error> {
        let member = self.member(agent)?;
        if let (Some(held), None, None) = (&member.bead, &member.attempt, member.agent.mark) {
            let before = self.bead(&held.id)?;
            let mut bead = before.clone();
            self.begin(&member.agent, &mut bead)?;
            self.store().save_bead(&before, &bead)?;
        }
        Ok(Reply::Done)
    }

    /// Asks again for a run: one that had no room, or one whose answer never came.
    pub(super) fn ask_again(&mut self, agent: &str, number: i64) -> Result<Reply, Error> {
        let member = self.member(agent)?;
        let (Some(held), Some(live)) = (&member.bead, &member.attempt) else {
            return Ok(Reply::Done);
        };
        if live.number != number {
            return Ok(Reply::Done);
        }
        if let (Some(mark), State::Claimed) = (member.agent.mark, live.state) {
            let why = format!("agent {} is {}", member.agent.name, mark.as_str());
            self.let_go(member, WITNESS, Some(&why))?;
            return Ok(Reply::Done);
        }
        let before = self.bead(&held.id)?;
        let mut bead = before.clone();
        if live.state == State::Claimed {
            self.pass_breaker()?;
            let mut after = self.step(live, Event::Asked)?;
            after.asked_at = self.now;
            self.store().save_attempt(live, &after)?;
            bead.runs.push(self.now);
            self.store().save_bead(&before, &bead)?;
        }
        self.order(&member.agent, &bead, number, &live.job)?;
        Ok(Reply::Done)
    }
}

/// What the schedule does about an agent now.
fn due(member: &Member, now: Millis) -> Option<Command> {
    // One that was set aside while it started, and then there was no room, begins nothing any more.
    let waits = member.attempt.as_ref().is_some_and(|it| it.state == State::Claimed);
    if member.agent.mark.is_some() && !waits {
        return None;
    }
    let agent = member.agent.id.clone();
    match (&member.bead, &member.attempt) {
        (Some(held), None) if held.not_before.is_none_or(|at| at <= now) => {
            Some(Command::Start(agent))
        }
        (Some(_), Some(live)) => match live.state {
            State::Claimed if crate::mutant!(NoRoomForEver) => None,
            State::Claimed if live.retry_at.is_none_or(|at| at <= now) => {
                Some(Command::AskAgain(agent, live.number))
            }
            State::Starting => Some(Command::AskAgain(agent, live.number)),
            _ => None,
        },
        _ => None,
    }
}

/// A run that was dismissed and whose grace is over is told to end at each tick, until it is gone.
fn stop_due(member: &Member, now: Millis) -> Option<Effect> {
    let live = member.attempt.as_ref().filter(|it| it.stop_at.is_some_and(|at| at <= now))?;
    if crate::mutant!(NothingIsStopped) {
        return None;
    }
    let reason = live.reason.as_deref().unwrap_or("wanted no more");
    Some(Effect::Stop {
        agent: live.agent.clone(),
        attempt: live.number,
        reason: check::cut(reason, limits::NAME_CHARS_MAX),
    })
}

/// While the breaker is open one start is let through, if any.
fn keep_one_start(todo: &mut Vec<Command>, crew: &[Member], breaker: &Breaker, now: Millis) {
    // A run that was asked for and may be there is no new start.
    let is_asked = |agent: &str| {
        crew.iter()
            .filter(|it| it.agent.id == agent)
            .any(|it| it.attempt.as_ref().is_some_and(|live| live.state == State::Starting))
    };
    let mut left = usize::from(breaker.lets_through(now));
    todo.retain(|command| match command {
        Command::AskAgain(agent, _) if is_asked(agent) => true,
        Command::Claim(_) | Command::Start(_) | Command::AskAgain(..) => {
            let goes = left > 0;
            left = left.saturating_sub(1);
            goes
        }
        _ => true,
    });
}

fn wake_for(member: &Member, now: Millis, active: Millis, breaker: &Breaker) -> Millis {
    if let Some(probe) = breaker.probe_at.filter(|at| *at > now) {
        match (&member.bead, &member.attempt) {
            (Some(held), None) => return held.not_before.unwrap_or(probe).max(probe),
            (_, Some(live)) if live.state == State::Claimed => {
                return live.retry_at.unwrap_or(probe).max(probe);
            }
            _ => {}
        }
    }
    let at = match (&member.bead, &member.attempt) {
        (Some(held), None) => held.not_before,
        (_, Some(live)) => match live.state {
            State::Claimed => live.retry_at,
            State::Starting => Some(now.plus(ASK_AGAIN_MS)),
            State::Stopping => live.stop_at,
            _ => None,
        },
        (None, None) => None,
    };
    at.filter(|at| *at > now).unwrap_or(active).min(active.max(now))
}

/// How many more agents may be at work.
pub(super) fn free_slots(crew: &[Member], settings: &Settings) -> usize {
    let busy = crew
        .iter()
        .filter(|it| it.agent.role == crate::agent::Role::Polecat && it.is_busy())
        .count();
    let more = if crate::mutant!(TooManyAgents) { 3 } else { 0 };
    (settings.max_agents as usize + more).saturating_sub(busy)
}

pub(super) fn fault(step: &str, bead: Option<String>, err: &crate::store::SqlError) -> Effect {
    Effect::Tell(Tell {
        event: "fault".to_owned(),
        bead,
        actor: Some(step.to_owned()),
        detail: Some(err.to_string()),
    })
}
