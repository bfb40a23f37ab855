//! The patrol's rules: what is made of a run by what the container showed of it, and what is done then.
//!
//! `judge` has the rules of life and death, `SILENCE` those of a run that is alive and does not move:
//!
//! | silent for | what |
//! |---|---|
//! | `GUPP_MS` (30 min) | mail `GUPP_CHECK` and a line to the process, once in 60 min |
//! | more than `REAPER_MS` (30 min) | a bead from the queue is blocked and its agent stopped; not while dispatch is paused |
//! | 2 × `GUPP_MS` | an escalation, once a run |
//! | 4 × `GUPP_MS` | the run is stopped, its agent `stalled`, its bead blocked |
//!
//! Silent is a run whose process printed nothing, whose agent made no call, and whose bead was neither noted nor
//! changed. Time in which nobody watched does not count: the rig slept, or the container did not answer. A run that
//! waits for room, or that is ending, is not silent. So the last two rules are for beads that were hooked by hand, and
//! for rigs whose `REAPER_MS` is longer.

use super::runs::{End, is_news};
use super::{Apply, WITNESS, check};
use crate::agent::{Mark, MarkEvent, Role};
use crate::attempt::{Attempt, State};
use crate::bead;
use crate::command::{Effect, Error, Judgement, Reply, Tell};
use crate::escalation::Severity;
use crate::id::Millis;
use crate::limits;
use crate::settings::Settings;
use crate::store::{Hooked, Member, NewMail, Sql};
use crate::token::Caller;
use crate::wire::container::{AgentStatus, Phase};
use crate::wire::escalations::Escalate;

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

/// The rules of life and death, one a row.
pub(super) fn judge(
    live: &Attempt,
    seen: &Seen,
    now: Millis,
    settings: &Settings,
) -> Option<Judgement> {
    use State as S;
    let late = now.since(live.asked_at) > settings.start_timeout_ms;
    let silent = live.last_seen.is_none_or(|at| now.since(at) >= settings.heartbeat_stale_ms);
    let stop_due = live.stop_at.is_some_and(|at| at <= now);
    let run_max_ms = i64::from(settings.run_timeout_s) * 1_000 + limits::RUN_TIMEOUT_GRACE_MS;
    let too_long = live.accepted_at.is_some_and(|at| now.since(at) > run_max_ms);
    let stays = live.stop_at.is_some_and(|at| now.since(at) > limits::STOPPING_MAX_MS);
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
            let at = activity(it, now);
            is_news(live, at, now).then_some(Judgement::Alive(at))
        }
        (S::Running, Seen::Absent) if crate::mutant!(AbsentIsAlive) => None,
        (S::Running, Seen::Absent) => {
            Some(over(S::Lost, "the container does not know it any more".to_owned()))
        }
        (S::Running, Seen::NoAnswer) if silent => Some(Judgement::Suspect),
        (S::Running, Seen::NoAnswer) => None,
        (S::Stopping, Seen::Present(_)) if stays => {
            let minutes = limits::STOPPING_MAX_MS / 60_000;
            Some(over(S::Lost, format!("was told to end and did not within {minutes} min")))
        }
        (S::Stopping, Seen::Present(_)) => None,
        (S::Stopping, Seen::Absent) => Some(over(S::Interrupted, "is gone".to_owned())),
        (S::Stopping, Seen::NoAnswer) => stop_due.then_some(Judgement::Suspect),
        // The crew holds live attempts only.
        (S::Done | S::Exited | S::Failed | S::Timeout | S::Lost | S::Interrupted, _) => None,
    }
}

/// A run that does not move, as the rules of silence see it.
struct Silent<'a> {
    member: &'a Member,
    live: &'a Attempt,
    ms: i64,
    now: Millis,
    settings: &'a Settings,
    /// Whether dispatch is on; who turned it off wants nothing reaped.
    reaps: bool,
}

/// A rule of silence: when it holds, and what is done then.
type Rule = (fn(&Silent<'_>) -> bool, fn(i64) -> Judgement);

/// The rules of silence, the gravest first; the first that holds is done.
const SILENCE: [Rule; 4] = [
    (
        |it| {
            it.ms >= limits::SILENT_STOP * it.settings.gupp_ms
                && !crate::mutant!(NobodyIsReaped)
                && !crate::mutant!(NobodyStalls)
        },
        Judgement::Stall,
    ),
    (
        |it| {
            (it.reaps || crate::mutant!(PauseStopsNoReaper))
                && !crate::mutant!(NobodyIsReaped)
                && it.member.bead.as_ref().is_some_and(Hooked::is_for_agents)
                && (it.ms / 60_000 > it.settings.reaper_ms / 60_000
                    || (crate::mutant!(SilenceIsShort) && it.ms * 2 > it.settings.reaper_ms))
        },
        Judgement::Reap,
    ),
    (
        |it| {
            it.ms >= limits::SILENT_ESCALATE * it.settings.gupp_ms && it.live.escalated_at.is_none()
        },
        Judgement::AskForHelp,
    ),
    (
        |it| {
            let told = |at| it.now.since(at) < limits::NUDGE_EVERY_MS;
            it.ms >= it.settings.gupp_ms
                && (!it.live.nudged_at.is_some_and(told) || crate::mutant!(NudgesInARow))
        },
        Judgement::Nudge,
    ),
];

/// What is to be done about a run that is there and does not move.
pub(super) fn judge_silence(
    member: &Member,
    live: &Attempt,
    seen: &Seen,
    now: Millis,
    (settings, reaps): (&Settings, bool),
) -> Option<Judgement> {
    let Seen::Present(it) = seen else { return None };
    // A mayor waits for people; one that ends, or whose container does, is not late.
    let works = live.state == State::Running
        && matches!(it.status, Phase::Starting | Phase::Running)
        && !matches!(member.agent.role, Role::Mayor | Role::Witness);
    // After a gap this sign of life is written first, and with it how long the gap was.
    let watched = live.suspect_since.is_none()
        && live.last_seen.is_some_and(|at| now.since(at) <= settings.watch_gap_ms());
    if !works || !watched {
        return None;
    }
    let held = member.bead.as_ref()?;
    let shown = activity(it, now);
    let known = live.last_activity.unwrap_or(live.asked_at);
    let unwatched = if shown > known { 0 } else { live.unwatched_ms };
    let run = now.since(shown.max(known)) - unwatched;
    let ms = run.min(now.since(held.updated_at));
    let silent = Silent { member, live, ms, now, settings, reaps };
    SILENCE.iter().find(|(holds, _)| holds(&silent)).map(|(_, what)| what(ms))
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
        (_, "shutdown" | "interrupted") => State::Interrupted,
        (_, "lost") => State::Lost,
        _ => State::Exited,
    };
    let reason = match it.exit_code {
        Some(code) => format!("{reason} with code {code}"),
        None => reason,
    };
    let output = it.output_tail.as_deref().map(|it| check::cut(it, limits::REASON_BYTES_MAX));
    Judgement::Over(state, reason, it.exit_code, output)
}

/// The last activity that the container saw; its clock may be ahead.
pub(super) fn activity(it: &AgentStatus, now: Millis) -> Millis {
    Millis::parse(&it.last_activity_at).unwrap_or(now).min(now)
}

impl<S: Sql> Apply<'_, S> {
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
                self.over(&member, live, End { exit_code, output, ..End::new(state, reason) })?;
            }
            Judgement::Suspect => self.suspect(&member, live)?,
            Judgement::TooLong => self.dismiss(live, State::Timeout, "took too long")?,
            // What ends is not told to go on.
            Judgement::Nudge(_)
            | Judgement::AskForHelp(_)
            | Judgement::Stall(_)
            | Judgement::Reap(_)
                if live.state != State::Running => {}
            Judgement::Nudge(ms) => self.nudge(&member, live, ms)?,
            Judgement::AskForHelp(ms) => self.ask_for_help(&member, live, ms)?,
            Judgement::Stall(ms) => self.stall(&member, live, ms)?,
            Judgement::Reap(ms) => self.reap(&member, live, ms)?,
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

    /// Tells an agent that its work must move: by mail, and by a line to its process, which may read no mail.
    fn nudge(&mut self, member: &Member, live: &Attempt, ms: i64) -> Result<(), Error> {
        let minutes = ms / 60_000;
        let text = format!(
            "GUPP_CHECK: no activity on bead {} for {minutes} min. Go on with it and leave a note, or say \
             `done` or `blocked`; what does not move is stopped.",
            live.bead
        );
        self.store().save_attempt(live, &Attempt { nudged_at: Some(self.now), ..live.clone() })?;
        // A box that is full must not keep the line from the process.
        let to = member.agent.id.as_str();
        if self.store().mail_waiting(to)? < limits::MAIL_PER_AGENT_MAX {
            self.post(&NewMail { from: WITNESS, to, subject: "GUPP_CHECK", body: &text })?;
        }
        self.effects.push(Effect::Nudge { agent: to.to_owned(), text });
        let said = format!("silent for {minutes} min");
        self.event(&live.bead, WITNESS, "agent_nudged", (None, Some(to)), Some(said))?;
        Ok(())
    }

    fn ask_for_help(&mut self, member: &Member, live: &Attempt, ms: i64) -> Result<(), Error> {
        self.store()
            .save_attempt(live, &Attempt { escalated_at: Some(self.now), ..live.clone() })?;
        let minutes = ms / 60_000;
        let name = &member.agent.name;
        let title = format!("agent {name} made no progress on {} for {minutes} min", live.bead);
        let body = format!(
            "Agent {name} ({}) runs attempt {} of bead {} and has shown no activity for {minutes} min. It was told \
             so. Look at its output, or take the bead from it.",
            live.agent, live.number, live.bead
        );
        let cause = format!("no_progress:{}", live.bead);
        self.call_for_help(&cause, Some(&live.bead), (title, body), Severity::Medium)
    }

    /// Files an escalation of the patrol's own, one a cause. That there are as many as may wait must not undo what
    /// it is about.
    pub(super) fn call_for_help(
        &mut self,
        cause: &str,
        source: Option<&str>,
        (title, body): (String, String),
        severity: Severity,
    ) -> Result<(), Error> {
        if self.store().open_escalation(cause)?.is_none()
            && self.store().escalations_waiting()? >= limits::ESCALATIONS_WAITING_MAX
        {
            self.effects.push(Effect::Tell(Tell {
                event: "escalation_dropped".to_owned(),
                bead: None,
                actor: Some(WITNESS.to_owned()),
                detail: Some(title),
            }));
            return Ok(());
        }
        let by = Caller::Operator { actor: WITNESS.to_owned() };
        let fields = Escalate {
            title: check::cut(&title, limits::NAME_CHARS_MAX),
            body: Some(body),
            cause: Some(cause.to_owned()),
            severity: Some(severity.as_str().to_owned()),
            metadata: source
                .map(|bead| [("source_bead_id".to_owned(), bead.into())].into_iter().collect()),
            ..Escalate::default()
        };
        self.escalate(&by, fields).map(drop)
    }

    /// Stops a run that was silent for too long, and sets its agent aside.
    fn stall(&mut self, member: &Member, live: &Attempt, ms: i64) -> Result<(), Error> {
        let minutes = ms / 60_000;
        let why = format!("no activity for {minutes} min; the run was stopped");
        let before = self.bead(&live.bead)?;
        let mut bead = before.clone();
        self.get_stuck(&mut bead, "stalled", &why)?;
        self.store().save_bead(&before, &bead)?;
        self.dismiss(live, State::Timeout, &why)?;
        if let Ok(mark) = Mark::after(member.agent.mark, MarkEvent::Stalled) {
            self.store().mark_agent(&live.agent, mark)?;
            self.effects.push(Effect::Tell(Tell {
                event: "agent_marked".to_owned(),
                bead: Some(live.bead.clone()),
                actor: Some(WITNESS.to_owned()),
                detail: Some(format!("{} is stalled: {why}", live.agent)),
            }));
        }
        Ok(())
    }

    /// Blocks a bead on which nothing moved, with a note that says so, and stops its agent.
    fn reap(&mut self, member: &Member, live: &Attempt, ms: i64) -> Result<(), Error> {
        let (age, threshold) = (ms / 60_000, self.settings()?.reaper_ms / 60_000);
        let said = format!("reaper: no progress for {age}m (threshold {threshold}m) — blocking");
        let Some(held) = &member.bead else { return Ok(()) };
        let before = self.bead(&held.id)?;
        let mut bead = before.clone();
        let why = format!("no progress for {age} min, more than the {threshold} min of REAPER_MS");
        self.stop_bead(&mut bead, bead::Event::Stuck, ("no_progress", &why), &said)?;
        self.store().save_bead(&before, &bead)?;
        self.dismiss(live, State::Timeout, &why)
    }

    /// A bead that is in progress for an agent goes back to the queue when none holds it, with the runs it had.
    pub(super) fn orphaned(&mut self, id: &str) -> Result<Reply, Error> {
        let before = self.bead(id)?;
        let mut bead = before.clone();
        if bead.status != bead::Status::InProgress
            || !bead.is_for_agents()
            || bead.hooked_by.is_some()
        {
            return Ok(Reply::Done);
        }
        bead.status = bead.status.after(bead::Event::Released)?;
        self.write_note(
            &mut bead,
            WITNESS,
            "in progress, and no agent holds it; it is open again",
        )?;
        self.store().save_bead(&before, &bead)?;
        let change = (Some(before.status.as_str()), Some(bead.status.as_str()));
        let why = Some("no agent holds it".to_owned());
        self.event(&bead.id, WITNESS, "status_changed", change, why)?;
        self.wake_for(&bead);
        Ok(Reply::Done)
    }

    /// Forgets an agent that had no run for long, if it still holds nothing.
    pub(super) fn forget(&mut self, agent: &str) -> Result<Reply, Error> {
        let member = self.member(agent)?;
        if is_old(&member, self.now) {
            self.store().remove_agent(agent)?;
            self.effects.push(Effect::Tell(Tell {
                event: "agent_forgotten".to_owned(),
                bead: None,
                actor: Some(WITNESS.to_owned()),
                detail: Some(format!("{agent} had no run for 30 days")),
            }));
        }
        Ok(Reply::Done)
    }

    /// The agent that stalled on a bead is at its place again when the bead is.
    pub(super) fn unstall(&mut self, bead: &bead::Bead) -> Result<(), Error> {
        let Some(agent) = &bead.assignee_agent_id else { return Ok(()) };
        let Some(member) = self.store().member(agent)? else { return Ok(()) };
        if member.agent.mark == Some(Mark::Stalled) && member.bead.is_none() {
            self.store().mark_agent(agent, None)?;
            self.effects.push(Effect::Tell(Tell {
                event: "agent_marked".to_owned(),
                bead: Some(bead.id.clone()),
                actor: Some(WITNESS.to_owned()),
                detail: Some(format!("{agent} is idle: the bead it stalled on was taken up")),
            }));
        }
        Ok(())
    }
}

/// Whether an agent can be forgotten: nobody counts on it.
pub(super) fn is_old(member: &Member, now: Millis) -> bool {
    let it = &member.agent;
    let used = it.used_at.unwrap_or(it.created_at);
    let goes = it.role == Role::Polecat || member.is_dead();
    goes && member.attempt.is_none()
        && member.bead.is_none()
        && now.since(used) >= limits::AGENT_KEEP_MS
}
