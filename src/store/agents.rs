//! The table `agent`, and an agent together with its hook and its live attempt.

use serde::Deserialize;

use super::{Sql, SqlError, Store};
use crate::agent::{Agent, Mark, State};
use crate::attempt::Attempt;
use crate::bead::SENTINEL;
use crate::id::Millis;

/// What the scheduler knows of a hooked bead: all but the long texts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "as in `Bead`")]
pub struct Hooked {
    pub id: String,
    pub assignee: Option<String>,
    pub not_before: Option<Millis>,
    pub updated_at: Millis,
    pub runs: Vec<Millis>,
}

impl Hooked {
    /// Whether it was taken from the queue, and goes back there.
    pub fn is_for_agents(&self) -> bool {
        self.assignee.as_deref() == Some(SENTINEL)
    }
}

/// An agent with what it holds and what it runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Who.
    pub agent: Agent,
    /// Its live attempt.
    pub attempt: Option<Attempt>,
    /// Its hook.
    pub bead: Option<Hooked>,
}

impl Member {
    /// What the agent does.
    pub fn state(&self) -> State {
        State::of(self.attempt.as_ref().map(|attempt| attempt.state))
    }

    /// What the agent does, or what was said of it, as Gastown's clients know it.
    pub fn status(&self) -> &'static str {
        self.agent.mark.map_or_else(|| self.state().on_the_wire(), Mark::as_str)
    }

    /// Whether it could take a bead.
    pub fn is_free(&self) -> bool {
        self.attempt.is_none() && self.bead.is_none() && self.agent.mark.is_none()
    }

    /// Whether it takes one of the places at work; the dead take none.
    pub fn is_busy(&self) -> bool {
        (self.attempt.is_some() || self.bead.is_some()) && !self.is_dead()
    }

    /// Whether it was given up.
    pub fn is_dead(&self) -> bool {
        self.agent.mark == Some(Mark::Dead)
    }

    /// Whether the tick has something to do about it: a run, or a bead that it may start on.
    pub fn needs_ticks(&self) -> bool {
        self.attempt.is_some() || (self.bead.is_some() && self.agent.mark.is_none())
    }
}

const MEMBER: &str = "SELECT json_array(
        json_array(a.id, a.role, a.name, a.identity, a.created_at, a.mark, a.used_at),
        json(CASE WHEN t.number IS NOT NULL THEN json_array(
            t.number, t.agent, t.bead, t.job, t.state, t.outcome, t.reason, t.exit_code, t.asked_at, t.refusals,
            t.retry_at, t.accepted_at, t.last_seen, t.last_activity, t.suspect_since, t.failed_asks, t.stop_at,
            t.ended_at, t.unwatched_ms, t.nudged_at, t.escalated_at, t.cost_micros, t.boot) END),
        json(CASE WHEN b.id IS NOT NULL THEN json_array(
            b.id, b.assignee, b.not_before, b.updated_at, json(b.runs)) END))
    FROM agent AS a
    LEFT JOIN attempt AS t ON t.agent = a.id AND t.ended_at IS NULL
    LEFT JOIN bead AS b ON b.hooked_by = a.id";

impl<S: Sql> Store<S> {
    /// Every agent, oldest first, and the rows that could not be read.
    pub fn crew(&self) -> Result<(Vec<Member>, Vec<SqlError>), SqlError> {
        self.readable(&format!("{MEMBER} ORDER BY a.created_at, a.id"), &[])
    }

    /// One agent.
    pub fn member(&self, agent: &str) -> Result<Option<Member>, SqlError> {
        self.one(&format!("{MEMBER} WHERE a.id = ?"), &[agent.into()])
    }

    /// Files a new agent; false if its identity is taken.
    pub fn add_agent(&self, agent: &Agent) -> Result<bool, SqlError> {
        let added = self.run(
            "INSERT INTO agent (id, role, name, identity, created_at)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (identity) DO NOTHING
             RETURNING 1",
            &[
                (&agent.id).into(),
                agent.role.as_str().into(),
                (&agent.name).into(),
                (&agent.identity).into(),
                agent.created_at.into(),
            ],
        )?;
        Ok(!added.is_empty())
    }

    /// Writes what was said of an agent.
    pub fn mark_agent(&self, agent: &str, mark: Option<Mark>) -> Result<(), SqlError> {
        let mark = mark.map(Mark::as_str);
        self.run("UPDATE agent SET mark = ? WHERE id = ?", &[mark.into(), agent.into()])?;
        Ok(())
    }

    /// Writes that an agent had a run at this time.
    pub fn used_agent(&self, agent: &str, now: Millis) -> Result<(), SqlError> {
        self.run("UPDATE agent SET used_at = ? WHERE id = ?", &[now.into(), agent.into()])?;
        Ok(())
    }

    /// Forgets an agent with the mail that was sent to it and with what it printed. No bead may name it as its
    /// hook any more.
    pub fn remove_agent(&self, agent: &str) -> Result<(), SqlError> {
        for sql in [
            "DELETE FROM mail WHERE to_agent = ?",
            "DELETE FROM agent_event WHERE agent = ?",
            "DELETE FROM agent WHERE id = ?",
        ] {
            self.run(sql, &[agent.into()])?;
        }
        Ok(())
    }
}
