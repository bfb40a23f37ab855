//! What is said of agents: blocked, dead, idle again, deleted.
//!
//! An agent that goes never takes its bead with it: an unfinished bead goes back to the queue with the runs that
//! it had, a finished one stays as it is.

use super::{Apply, actor, check};
use crate::agent::{IllegalMark, Mark, MarkEvent};
use crate::attempt::{Event, State};
use crate::bead;
use crate::command::{Effect, Error, Reply, Tell};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::agents::SetAgentStatus;

impl<S: Sql> Apply<'_, S> {
    pub(super) fn set_agent_status(
        &mut self,
        by: &Caller,
        agent: &str,
        set: &SetAgentStatus,
    ) -> Result<Reply, Error> {
        let event = match set.status.as_str() {
            "idle" => MarkEvent::Cleared,
            "blocked" => MarkEvent::Blocked,
            "dead" => MarkEvent::Died,
            other => {
                let problem = format!("{other:?} is not one of idle, blocked, dead");
                return Err(Refusal::invalid("status", problem).into());
            }
        };
        if event != MarkEvent::Blocked && !matches!(by, Caller::Operator { .. }) {
            let message = format!("an agent may set itself blocked, not {}", set.status);
            return Err(Refusal::new(Code::Forbidden, message).into());
        }
        let member = self.speaker_or(by, agent)?;
        let reason = check::reason(set.reason.as_deref());
        self.mark(member, event, actor(by), reason)?;
        Ok(Reply::Agent(Box::new(self.member(agent)?)))
    }

    /// Says something of an agent, and takes from it what it cannot hold any more.
    pub(super) fn mark(
        &mut self,
        member: Member,
        event: MarkEvent,
        by: &str,
        reason: Option<String>,
    ) -> Result<(), Error> {
        let mark = Mark::after(member.agent.mark, event)?;
        if mark == member.agent.mark {
            return Ok(());
        }
        self.store().mark_agent(&member.agent.id, mark)?;
        let word = mark.map_or("idle", Mark::as_str);
        let because = reason.map(|why| format!(": {why}")).unwrap_or_default();
        self.effects.push(Effect::Tell(Tell {
            event: "agent_marked".to_owned(),
            bead: member.bead.as_ref().map(|it| it.id.clone()),
            actor: Some(by.to_owned()),
            detail: Some(format!("{} is {word}{because}", member.agent.id)),
        }));
        // A process that is there may end its work; what was not begun is begun by another.
        let begun = member.attempt.as_ref().is_some_and(|it| it.state != State::Claimed);
        match mark {
            None => {
                self.wake();
                Ok(())
            }
            Some(Mark::Blocked | Mark::Stalled) if begun => Ok(()),
            Some(_) => {
                let why = format!("set agent {} {word}{because}", member.agent.name);
                self.let_go(member, by, Some(&why))
            }
        }
    }

    /// Takes its bead from an agent, which goes back to the queue with the runs it had, and ends its run. Where a
    /// reason is given, the bead's notes tell it.
    pub(super) fn let_go(
        &mut self,
        member: Member,
        by: &str,
        why: Option<&str>,
    ) -> Result<(), Error> {
        let agent = member.agent.id.as_str();
        if let Some(held) = &member.bead {
            let before = self.bead(&held.id)?;
            let mut bead = before.clone();
            bead.status = bead.status.after(bead::Event::Released)?;
            bead.hooked_by = None;
            bead.updated_at = self.now;
            if let Some(why) = why {
                self.write_note(&mut bead, by, &format!("{why}; the bead is open again"))?;
            }
            self.store().save_bead(&before, &bead)?;
            let data = why.map(ToOwned::to_owned);
            self.event(&bead.id, by, "unhooked", (Some(agent), None), data)?;
            self.wake_for(&bead);
        }
        if let Some(live) = &member.attempt {
            let why = format!("{by} {}", why.unwrap_or("unhooked the bead"));
            self.dismiss(live, State::Interrupted, &why)?;
        }
        Ok(())
    }

    /// Forgets an agent. Its run is over for the rig at once: its token is void, and the container is told
    /// `stale` at its next heartbeat, which ends the process.
    pub(super) fn delete_agent(&mut self, by: &Caller, agent: &str) -> Result<Reply, Error> {
        let mut member = self.member(agent)?;
        let why = format!("deleted agent {}", member.agent.name);
        if let Some(live) = member.attempt.take() {
            let mut after = self.step(&live, Event::Gone(State::Interrupted))?;
            if live.state != State::Stopping {
                after.reason = Some(format!("{} {why}", actor(by)));
            }
            self.store().save_attempt(&live, &after)?;
            let change = (Some(live.state.as_str()), Some(after.state.as_str()));
            let data = format!("attempt {}: {} {why}", live.number, actor(by));
            self.event(&live.bead, agent, "agent_exited", change, Some(data))?;
        }
        self.let_go(member, actor(by), Some(&why))?;
        self.store().remove_agent(agent)?;
        self.wake();
        Ok(Reply::Done)
    }

    /// Makes sure that there is room for one more agent; the oldest dead one goes if there is not.
    pub(super) fn make_room(&mut self, crew: &[Member]) -> Result<(), Error> {
        let count = crew.len();
        if count < limits::AGENTS_MAX {
            return Ok(());
        }
        let gone = crew.iter().find(|it| it.is_dead() && it.attempt.is_none() && it.bead.is_none());
        let Some(gone) = gone else {
            let message = format!(
                "The rig has {count} agents, which is as many as it may have; delete one, or set one dead"
            );
            return Err(Refusal::new(Code::LimitReached, message).into());
        };
        Ok(self.store().remove_agent(&gone.agent.id)?)
    }
}

impl From<IllegalMark> for Error {
    fn from(err: IllegalMark) -> Self {
        Refusal::new(Code::Conflict, err.to_string()).into()
    }
}
