//! What the container says: heartbeats, ends of runs, answers to starts.
//!
//! Any of it may come late, twice, or never; so each is checked against the live attempt, and what is said for
//! the second time changes nothing.

use super::Apply;
use super::runs::{End, is_news};
use crate::attempt::{Attempt, Event, State};
use crate::command::{Effect, Error, Reply, StartAnswer, Tell};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::settings::dollars;
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::container::{Advice, ExitReport, Heartbeat};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn heartbeats(
        &mut self,
        boot: Option<&str>,
        agents: Vec<Heartbeat>,
    ) -> Result<Reply, Error> {
        let (crew, _) = self.store().crew()?;
        let (mut verdicts, mut seen) = (Vec::new(), Vec::new());
        for beat in agents {
            let member = crew.iter().find(|it| it.agent.id == beat.agent_id);
            let live = member.and_then(|it| it.attempt.as_ref());
            let advice = match (member, live) {
                (Some(member), Some(live))
                    if (live.number == beat.attempt && live.is_of(boot))
                        || crate::mutant!(AnyHeartbeatIsTaken) =>
                {
                    let activity = Millis::parse(&beat.last_activity_at).unwrap_or(self.now);
                    let activity = activity.min(self.now);
                    match live.state {
                        State::Claimed | State::Starting => {
                            self.alive(member, live, activity)?;
                            seen.push((live.number, activity));
                        }
                        // Whose it is, is kept at once.
                        _ if is_news(live, activity, self.now)
                            || (live.boot.is_none() && boot.is_some()) =>
                        {
                            seen.push((live.number, activity));
                        }
                        _ => {}
                    }
                    let stop = live.stop_at.is_some_and(|at| at <= self.now)
                        && !crate::mutant!(NothingIsStopped);
                    if stop { Advice::Stop } else { Advice::Ok }
                }
                _ => Advice::Stale,
            };
            verdicts.push((beat, advice));
        }
        let settings = self.settings()?;
        self.store().saw(&seen, boot, settings.watch_gap_ms(), self.now)?;
        self.effects.push(Effect::WakeAt(self.now.plus(settings.active_alarm_ms)));
        Ok(Reply::Verdicts(verdicts))
    }

    pub(super) fn exited(
        &mut self,
        by: &Caller,
        agent: &str,
        report: ExitReport,
    ) -> Result<Reply, Error> {
        let number = match by {
            Caller::Agent(claims) => Some(claims.attempt),
            Caller::Operator { .. } | Caller::Container { .. } => report.attempt,
        };
        let number = number.ok_or_else(|| Refusal::invalid("attempt", "is required"))?;
        let member = self.member(agent)?;
        match &member.attempt {
            Some(live) if live.number == number || crate::mutant!(AnyReportEndsTheRun) => {
                refuse_other_boot(by, live, &report)?;
                let mut end = end_of(&report);
                // Only the container knows that it shut down: what an agent says of itself gets around no bound.
                if matches!(by, Caller::Agent(_)) && end.state != State::Exited {
                    end.state = State::Exited;
                }
                self.over(&member, live, end)?;
            }
            live => {
                let known = self.store().attempt(number)?.filter(|it| it.agent == agent);
                if !self.late_cost(by, known.as_ref(), &report)? {
                    late_report(agent, number, known.is_some(), live.as_ref())?;
                }
            }
        }
        Ok(Reply::Done)
    }

    /// What a run cost that is over without having said so, for the patrol had ended it before: its container alone
    /// says that, once. Nothing else of the run changes any more. Says whether there was something to be put down.
    fn late_cost(
        &mut self,
        by: &Caller,
        run: Option<&Attempt>,
        report: &ExitReport,
    ) -> Result<bool, Error> {
        let cost = report.cost_usd_micros.filter(|it| *it > 0);
        let is_open = |it: &&Attempt| it.ended_at.is_some() && it.cost_micros.is_none();
        let (Some(run), Some(cost)) = (run.filter(is_open), cost) else { return Ok(false) };
        if matches!(by, Caller::Agent(_)) {
            return Ok(false);
        }
        let cost = cost.min(limits::COST_MICROS_MAX);
        self.store().put_down_cost(run.number, cost)?;
        let mut data = format!("attempt {}: {} USD, told after its end", run.number, dollars(cost));
        // What went before a person opened the bead again counts no more.
        if self.store().opened_anew(&run.bead)?.is_some_and(|at| at >= run.asked_at) {
            data.push_str(", and not counted, for the bead was reopened since");
        } else {
            self.charge(&run.bead, cost)?;
        }
        self.event(&run.bead, &run.agent, "agent_cost", (None, None), Some(data))?;
        Ok(true)
    }

    pub(super) fn start_answered(
        &mut self,
        agent: &str,
        number: i64,
        answer: StartAnswer,
    ) -> Result<Reply, Error> {
        let member = self.member(agent)?;
        let Some(live) = member.attempt.as_ref().filter(|live| live.number == number) else {
            return Ok(Reply::Done);
        };
        match (answer, live.state) {
            (StartAnswer::Accepted, _) => drop(self.alive(&member, live, self.now)?),
            (StartAnswer::Refused(why), State::Starting | State::Stopping) => {
                self.over(&member, live, End::new(State::Failed, format!("start refused: {why}")))?;
            }
            (StartAnswer::NoRoom(why), State::Stopping) => {
                self.over(&member, live, End::new(State::Interrupted, why))?;
            }
            (StartAnswer::NoRoom(why), State::Starting) => self.no_room(&member, live, why)?,
            // A run that was seen alive is not undone by an answer that took longer.
            (StartAnswer::Refused(_) | StartAnswer::NoRoom(_), _) => {}
            (StartAnswer::Unknown(why), _) => self.effects.push(Effect::Tell(Tell {
                event: "start_unknown".to_owned(),
                bead: Some(live.bead.clone()),
                actor: Some(live.agent.clone()),
                detail: Some(why),
            })),
        }
        Ok(Reply::Done)
    }

    /// Waits for room under the same number: nothing was started, so nothing counts.
    fn no_room(&mut self, member: &Member, live: &Attempt, why: String) -> Result<(), Error> {
        let waits = limits::CAPACITY_BACK_OFF_MS;
        let retry_at = self.now.plus(waits[live.refusals.min(waits.len() - 1)]);
        let mut after = self.step(live, Event::NoRoom)?;
        after.refusals += 1;
        after.retry_at = Some(retry_at);
        after.reason = Some(super::check::cut(&why, limits::REASON_BYTES_MAX));
        self.store().save_attempt(live, &after)?;
        if member.bead.is_some() {
            let before = self.bead(&live.bead)?;
            let mut bead = before.clone();
            if !crate::mutant!(NoRoomCounts) {
                bead.runs.retain(|at| *at != live.asked_at);
            }
            self.store().save_bead(&before, &bead)?;
        }
        // Once, not at each try.
        if live.refusals == 0 {
            self.event(&live.bead, &live.agent, "waiting_for_container", (None, None), Some(why))?;
        }
        self.effects.push(Effect::WakeAt(retry_at));
        Ok(())
    }
}

/// Answers what is said of a run that is not the live one.
fn late_report(
    agent: &str,
    number: i64,
    is_known: bool,
    live: Option<&Attempt>,
) -> Result<(), Refusal> {
    let (code, message) = match live {
        Some(live) => (
            Code::StaleAttempt,
            format!(
                "attempt {number} of agent {agent} is over; attempt {} is current",
                live.number
            ),
        ),
        None if is_known => return Ok(()),
        None => (Code::NotFound, format!("Agent {agent} has no attempt {number}")),
    };
    Err(Refusal::new(code, message))
}

/// Refuses a report of a container that is not the one that has the run. That a run is `lost` may be said by the next
/// life of a service: it has ended what the one before left behind.
fn refuse_other_boot(by: &Caller, live: &Attempt, report: &ExitReport) -> Result<(), Refusal> {
    let boot = report.boot_id.as_deref().filter(|it| !it.is_empty());
    if matches!(by, Caller::Agent(_))
        || live.is_of(boot)
        || report.reason.as_deref() == Some("lost")
    {
        return Ok(());
    }
    let message = format!(
        "attempt {} of agent {} runs in another container; this one's was killed, or has to be",
        live.number, live.agent
    );
    Err(Refusal::new(Code::StaleAttempt, message))
}

/// What a report says about the end of a run.
fn end_of(report: &ExitReport) -> End {
    let reason = report.reason.as_deref().unwrap_or("exited");
    let how = match (report.exit_code, report.signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let (state, reason) = match reason {
        "timeout" => (State::Timeout, "took too long".to_owned()),
        "shutdown" | "interrupted" => (State::Interrupted, "the container shut down".to_owned()),
        "lost" => (State::Lost, "the container service was killed".to_owned()),
        // There was no process: all that was printed is why.
        "spawn_failed" => {
            let why = report.output_tail.clone().unwrap_or_else(|| "the command".to_owned());
            return End::new(State::Failed, format!("start refused: {why}"));
        }
        "exited" | "signal" => (State::Exited, how),
        other => (State::Exited, format!("{other}: {how}")),
    };
    let cost = report.cost_usd_micros.filter(|it| *it >= 0);
    let session = report.session_id.as_deref().filter(|id| !id.chars().any(char::is_control));
    End {
        state,
        reason,
        exit_code: report.exit_code,
        output: report.output_tail.clone(),
        cost,
        session: session.map(|id| super::check::cut(id, limits::NAME_CHARS_MAX)),
    }
}
