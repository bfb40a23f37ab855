//! The tick: `schedulePendingWork`, `witnessPatrol`, `processReviewQueue`, and when to wake next.
//!
//! A tick reads the rows and turns what it finds into commands, one a thing, each its own transaction: a row
//! that cannot be read or a rule that fails costs that thing its turn and nobody else's. The edge performs the
//! effects and hands back what the container said.

use super::runs::End;
use super::{Apply, Engine, WITNESS, check};
use crate::attempt::{Attempt, Event, State};
use crate::command::{Command, Effect, Error, Judgement, Moment, Reply, Tell};
use crate::id::{Dice, Millis};
use crate::limits;
use crate::settings::Settings;
use crate::store::{Deed, Member, Sql};
use crate::wire::container::{AgentList, AgentStatus, Phase};

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

/// What the container showed of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It did not answer.
    NoAnswer,
    /// It answered, and does not know the run.
    Absent,
    /// It knows the run.
    Present(Box<AgentStatus>),
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
        let mut todo: Vec<Command> =
            crew.iter().filter_map(|member| due(member, moment.now)).collect();
        let free = if settings.dispatch_enabled || crate::mutant!(PauseIsIgnored) {
            free_slots(&crew, &settings)
        } else {
            0
        };
        match self.store.due(moment.now, free) {
            Ok(deeds) => todo.extend(deeds.into_iter().map(|it| match it.deed {
                Deed::Claim => Command::Claim(it.bead),
                Deed::Undefer if crate::mutant!(DeferredForEver) => Command::Saw(Vec::new()),
                Deed::Undefer => Command::Due(it.bead),
                Deed::Escalate => Command::EscalateAgain(it.bead),
            })),
            Err(err) => done.effects.push(fault("schedulePendingWork", None, &err)),
        }
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
        let mut seen_alive = Vec::new();
        for live in crew.iter().filter_map(|it| it.attempt.as_ref()) {
            if live.accepted_at.is_some_and(|at| at >= asked) {
                continue;
            }
            let seen = match answer {
                None => Seen::NoAnswer,
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
                    let command = Command::Act(live.agent.clone(), live.number, judgement);
                    self.carry_out("witnessPatrol", moment, command, &mut effects);
                }
                None => {}
            }
        }
        if !seen_alive.is_empty() {
            self.carry_out("witnessPatrol", moment, Command::Saw(seen_alive), &mut effects);
        }
        effects
    }

    /// `processReviewQueue`: takes back the merges that never came back. It asks nothing while none runs.
    ///
    /// No merge is begun yet, since the container cannot: what waits stays pending, and keeps nobody awake. Here is
    /// the place: the oldest of each target branch, as [`Command::StartReview`] and an effect that asks for it.
    pub fn process_review_queue(&self, moment: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        let overdue = moment.now.plus(-limits::REVIEW_RUNNING_MS);
        let ids = match self.store.standing() {
            Ok(standing) if standing.merging_since.is_some_and(|since| since <= overdue) => {
                self.store.overdue_reviews(overdue, limits::REVIEWS_A_TICK)
            }
            Ok(_) => return effects,
            Err(err) => Err(err),
        };
        match ids {
            Ok(ids) => {
                for command in ids.into_iter().map(Command::RecoverReview) {
                    self.carry_out("processReviewQueue", moment, command, &mut effects);
                }
            }
            Err(err) => effects.push(fault("processReviewQueue", None, &err)),
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
        let mut wakes: Vec<Millis> =
            crew.iter().filter(|it| it.needs_ticks()).map(|it| wake_for(it, now, active)).collect();
        if !bad.is_empty() {
            wakes.push(active);
        }
        let merging = self.store.standing().ok().and_then(|it| it.merging_since);
        wakes.extend(merging.map(|since| since.plus(limits::REVIEW_RUNNING_MS)));
        let room = settings.dispatch_enabled && free_slots(&crew, &settings) > 0;
        if let Some(at) = self.store.next_due(room)? {
            // What could have been claimed and was not waits for a tick like everything else.
            wakes.push(if at <= now { active } else { at });
        }
        if crate::mutant!(AlarmSpins) && wakes.iter().any(|at| *at > now) {
            return Ok(Some(now));
        }
        let soonest = now.plus(limits::ALARM_MIN_MS);
        let wake = match wakes.into_iter().min() {
            Some(at) => Some(at),
            None => (settings.idle_alarm_ms > 0).then(|| now.plus(settings.idle_alarm_ms)),
        };
        Ok(wake.map(|at| {
            at.clamp(
                soonest,
                now.plus(settings.active_alarm_ms.max(settings.idle_alarm_ms)).max(soonest),
            )
        }))
    }

    fn carry_out(&self, step: &str, moment: Moment, command: Command, effects: &mut Vec<Effect>) {
        match self.apply(moment, command) {
            Ok(outcome) => effects.extend(outcome.effects),
            // The rows have changed since they were read; the next tick sees them as they are.
            Err(Error::Refused(_)) => {}
            Err(Error::Fault(err)) => effects.push(fault(step, None, &err)),
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
        let before = self.bead(&held.id)?;
        let mut bead = before.clone();
        if live.state == State::Claimed {
            let mut after = self.step(live, Event::Asked)?;
            after.asked_at = self.now;
            self.store().save_attempt(live, &after)?;
            bead.runs.push(self.now);
            self.store().save_bead(&before, &bead)?;
        }
        self.order(&member.agent, &bead, number, &live.job)?;
        Ok(Reply::Done)
    }

    /// Acts on what the patrol made of a run, if it is still the live one.
    pub(super) fn act(
        &mut self,
        agent: &str,
        number: i64,
        judgement: Judgement,
    ) -> Result<Reply, Error> {
        let member = self.member(agent)?;
        let Some(live) = member.attempt.as_ref().filter(|live| live.number == number) else {
            return Ok(Reply::Done);
        };
        match judgement {
            Judgement::Alive(activity) => drop(self.alive(&member, live, activity)?),
            Judgement::Over(state, reason, exit_code, output) => {
                self.over(&member, live, End { state, reason, exit_code, output })?;
            }
            Judgement::Suspect => self.suspect(&member, live)?,
            Judgement::TooLong => self.dismiss(live, State::Timeout, "took too long")?,
        }
        Ok(Reply::Done)
    }

    /// A question went unanswered. Enough of them, over long enough, make the run lost; how long it was not heard
    /// of does not count, for it may have been the rig that slept.
    fn suspect(&mut self, member: &Member, live: &Attempt) -> Result<(), Error> {
        let since = live.suspect_since.unwrap_or(self.now);
        let asks = live.failed_asks + 1;
        if (asks >= limits::FAILED_ASKS || crate::mutant!(OneQuestionSuffices))
            && (self.now.since(since) >= limits::SUSPECT_MS
                || crate::mutant!(SilenceNeedsNoTime)
                || crate::mutant!(OneQuestionSuffices))
        {
            let silent = self.now.since(since) / 1_000;
            let reason = format!("the container has not answered for {silent} s");
            return self.over(member, live, End::new(State::Lost, reason));
        }
        let after = Attempt { suspect_since: Some(since), failed_asks: asks, ..live.clone() };
        self.store().save_attempt(live, &after)?;
        if live.suspect_since.is_none() {
            let why = "the container does not answer".to_owned();
            self.event(&live.bead, WITNESS, "agent_suspect", (None, None), Some(why))?;
        }
        Ok(())
    }
}

/// What the schedule does about an agent now.
fn due(member: &Member, now: Millis) -> Option<Command> {
    if member.agent.mark.is_some() {
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

/// The rules of the patrol, one a row.
fn judge(live: &Attempt, seen: &Seen, now: Millis, settings: &Settings) -> Option<Judgement> {
    use State as S;
    let late = now.since(live.asked_at) > settings.start_timeout_ms;
    let silent = live.last_seen.is_none_or(|at| now.since(at) >= settings.heartbeat_stale_ms);
    let stop_due = live.stop_at.is_some_and(|at| at <= now);
    let run_max_ms = i64::from(settings.run_timeout_s) * 1_000 + limits::RUN_TIMEOUT_GRACE_MS;
    let too_long = live.accepted_at.is_some_and(|at| now.since(at) > run_max_ms);
    match (live.state, seen) {
        (S::Claimed, _) => None,
        (S::Starting | S::Running | S::Stopping, Seen::Present(it)) if it.status.is_over() => {
            Some(ended(it))
        }
        (S::Starting, Seen::Present(it)) => Some(Judgement::Alive(activity(it, now))),
        (S::Starting, Seen::Absent) if late => {
            let after = settings.start_timeout_ms / 1_000;
            Some(over(S::Failed, format!("the container did not start it within {after} s")))
        }
        (S::Starting, Seen::NoAnswer) if late => Some(Judgement::Suspect),
        (S::Starting, Seen::Absent | Seen::NoAnswer) => None,
        (S::Running, Seen::Present(_)) if too_long => Some(Judgement::TooLong),
        (S::Running, Seen::Present(it)) => {
            super::runs::is_news(live, now).then(|| Judgement::Alive(activity(it, now)))
        }
        (S::Running, Seen::Absent) if crate::mutant!(AbsentIsAlive) => None,
        (S::Running, Seen::Absent) => {
            Some(over(S::Lost, "the container does not know it any more".to_owned()))
        }
        (S::Running, Seen::NoAnswer) if silent => Some(Judgement::Suspect),
        (S::Running, Seen::NoAnswer) => None,
        (S::Stopping, Seen::Present(_)) => None,
        (S::Stopping, Seen::Absent) => Some(over(S::Interrupted, "is gone".to_owned())),
        (S::Stopping, Seen::NoAnswer) => stop_due.then_some(Judgement::Suspect),
        // The crew holds live attempts only.
        (S::Done | S::Exited | S::Failed | S::Timeout | S::Lost | S::Interrupted, _) => None,
    }
}

fn over(state: State, reason: String) -> Judgement {
    Judgement::Over(state, reason, None, None)
}

/// What the container's last word on a run says, as an exit report would.
fn ended(it: &AgentStatus) -> Judgement {
    let reason = it.exit_reason.clone().unwrap_or_else(|| "exited".to_owned());
    let state = match (it.status, reason.as_str()) {
        (Phase::Failed, _) => State::Failed,
        (_, "timeout") => State::Timeout,
        (_, "shutdown") => State::Interrupted,
        _ => State::Exited,
    };
    let reason = match it.exit_code {
        Some(code) => format!("{reason} with code {code}"),
        None => reason,
    };
    let output = it.output_tail.as_deref().map(|it| check::cut(it, limits::REASON_BYTES_MAX));
    Judgement::Over(state, reason, it.exit_code, output)
}

fn activity(it: &AgentStatus, now: Millis) -> Millis {
    Millis::parse(&it.last_activity_at).unwrap_or(now)
}

fn wake_for(member: &Member, now: Millis, active: Millis) -> Millis {
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
