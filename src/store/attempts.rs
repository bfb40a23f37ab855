//! The table `attempt`.

use super::{Sql, SqlError, Store, Value, to_json};
use crate::attempt::Attempt;
use crate::id::Millis;
use crate::limits;

/// A row as JSON, in the order of the fields of [`Attempt`].
const ROW: &str = "json_array(number, agent, bead, job, state, outcome, reason, exit_code, asked_at, refusals, \
     retry_at, accepted_at, last_seen, last_activity, suspect_since, failed_asks, stop_at, ended_at, unwatched_ms, \
     nudged_at, escalated_at, cost_micros, boot)";

/// A run about to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAttempt<'a> {
    /// Who.
    pub agent: &'a str,
    /// On what.
    pub bead: &'a str,
    /// The run's name.
    pub job: &'a str,
    /// Now.
    pub asked_at: Millis,
}

impl<S: Sql> Store<S> {
    /// The attempt of this number.
    pub fn attempt(&self, number: i64) -> Result<Option<Attempt>, SqlError> {
        self.one(&format!("SELECT {ROW} FROM attempt WHERE number = ?"), &[number.into()])
    }

    /// Files a new attempt and answers its number: above every earlier one, and not below the clock.
    ///
    /// Runs that are long over are forgotten; their numbers are times, so that the oldest are at one end.
    pub fn add_attempt(&self, new: &NewAttempt<'_>) -> Result<i64, SqlError> {
        self.run(
            "DELETE FROM attempt WHERE number < ? AND ended_at IS NOT NULL",
            &[new.asked_at.plus(-limits::ATTEMPT_KEEP_MS).into()],
        )?;
        let number = self.number(
            "INSERT INTO attempt (number, agent, bead, job, state, asked_at)
             SELECT max(coalesce(max(number), 0) + 1, ?5), ?2, ?3, ?4, 'starting', ?1 FROM attempt
             RETURNING number",
            &[
                new.asked_at.into(),
                new.agent.into(),
                new.bead.into(),
                new.job.into(),
                if crate::mutant!(NumbersKnowNoClock) { 0_i64.into() } else { new.asked_at.into() },
            ],
        )?;
        number.ok_or_else(|| SqlError::Unreadable("no number for a new attempt".to_owned()))
    }

    /// Writes what differs between two states of a live attempt; nothing if it is over by now.
    pub fn save_attempt(&self, before: &Attempt, after: &Attempt) -> Result<(), SqlError> {
        let (mut sets, mut args) = (Vec::new(), Vec::new());
        for ((name, old), (_, new)) in columns(before).into_iter().zip(columns(after)) {
            if old != new {
                sets.push(format!("{name} = ?"));
                args.push(new);
            }
        }
        if sets.is_empty() {
            return Ok(());
        }
        args.push(before.number.into());
        self.run(
            &format!(
                "UPDATE attempt SET {} WHERE number = ? AND ended_at IS NULL",
                sets.join(", ")
            ),
            &args,
        )?;
        Ok(())
    }

    /// Writes what a run cost that is over and of which nobody had said so.
    pub fn put_down_cost(&self, number: i64, cost_micros: i64) -> Result<(), SqlError> {
        self.run(
            "UPDATE attempt
             SET cost_micros = ?2
             WHERE number = ?1 AND ended_at IS NOT NULL AND cost_micros IS NULL",
            &[number.into(), cost_micros.into()],
        )?;
        Ok(())
    }

    /// Writes that these attempts were seen alive, with the last activity of each.
    ///
    /// A time of more than `gap_ms` in which one was not seen is nobody's silence: as much of it as lies after the last activity is
    /// kept apart, until there is a new one. `boot` is the life of the container service that showed them.
    pub fn saw(
        &self,
        seen: &[(i64, Millis)],
        boot: Option<&str>,
        gap_ms: i64,
        now: Millis,
    ) -> Result<(), SqlError> {
        if seen.is_empty() || crate::mutant!(SuspicionStays) {
            return Ok(());
        }
        self.run(
            "UPDATE attempt
             SET last_seen = ?1, suspect_since = NULL, failed_asks = 0, boot = coalesce(boot, ?4),
                 last_activity = max(coalesce(last_activity, 0), said.at),
                 unwatched_ms = iif(said.at > coalesce(last_activity, 0), 0, unwatched_ms)
                     + iif(suspect_since IS NOT NULL OR ?1 - coalesce(last_seen, ?1) > ?3,
                         ?1 - max(coalesce(last_seen, ?1), said.at), 0)
             FROM (SELECT json_extract(value, '$[0]') AS number, min(json_extract(value, '$[1]'), ?1) AS at
                   FROM json_each(?2)) AS said
             WHERE attempt.number = said.number AND ended_at IS NULL",
            &[now.into(), to_json(&seen), gap_ms.into(), boot.map(str::to_owned).into()],
        )?;
        Ok(())
    }
}

fn columns(attempt: &Attempt) -> Vec<(&'static str, Value)> {
    let refusals = i64::try_from(attempt.refusals).unwrap_or(i64::MAX);
    vec![
        ("state", attempt.state.as_str().into()),
        ("outcome", attempt.outcome.map(super::super::attempt::State::as_str).into()),
        ("reason", attempt.reason.as_ref().into()),
        ("exit_code", attempt.exit_code.into()),
        ("asked_at", attempt.asked_at.into()),
        ("refusals", refusals.into()),
        ("retry_at", attempt.retry_at.into()),
        ("accepted_at", attempt.accepted_at.into()),
        ("last_seen", attempt.last_seen.into()),
        ("last_activity", attempt.last_activity.into()),
        ("suspect_since", attempt.suspect_since.into()),
        ("failed_asks", attempt.failed_asks.into()),
        ("stop_at", attempt.stop_at.into()),
        ("ended_at", attempt.ended_at.into()),
        ("nudged_at", attempt.nudged_at.into()),
        ("escalated_at", attempt.escalated_at.into()),
        ("cost_micros", attempt.cost_micros.into()),
        ("boot", attempt.boot.as_ref().into()),
    ]
}
