//! What an agent is told when it asks: itself, its work, its mail, what it printed. Reads only.

use super::Engine;
use crate::command::Error;
use crate::id::Millis;
use crate::limits;
use crate::refusal::Refusal;
use crate::store::{Mail, Member, Sql};
use crate::wire::agents::{AgentEventView, MailView, Prime};
use crate::wire::rig::Checkpoint;

impl<S: Sql> Engine<S> {
    /// Everything that an agent needs to begin. Its mail stays undelivered.
    pub fn prime(&self, agent: &str, now: Millis) -> Result<Prime, Error> {
        let member = self.known(agent)?;
        let hooked = match &member.bead {
            Some(held) => Some(self.find_bead(&held.id)?),
            None => None,
        };
        let open = [
            ("assignee_agent_id", agent.to_owned()),
            ("exclude_status", "closed,failed".to_owned()),
            ("limit", limits::PRIME_BEADS_MAX.to_string()),
        ];
        let open = open.map(|(name, value)| (name.to_owned(), value));
        let agent_view = self.agent_view(member, now)?;
        let step = hooked.as_ref().map(|bead| self.step_of(bead)).transpose()?;
        Ok(Prime {
            current_step: step.flatten(),
            hooked_bead: hooked.map(|bead| self.bead_view(bead, now)).transpose()?,
            undelivered_mail: self.store.waiting_mail(agent)?.into_iter().map(mail_view).collect(),
            open_beads: self.list_beads(&open, now)?,
            checkpoint: agent_view.checkpoint.clone(),
            agent: agent_view,
        })
    }

    /// What was left for an agent on its bead; null if nothing was, or it holds none.
    pub fn checkpoint_of(&self, agent: &str) -> Result<Checkpoint, Error> {
        let held = self.known(agent)?.bead;
        let held: Vec<&str> = held.iter().map(|it| it.id.as_str()).collect();
        let left = self.store.checkpoints(&held)?.into_iter().next();
        Ok(Checkpoint { data: left.map(|(_, data)| data).unwrap_or_default() })
    }

    /// What an agent printed and did, by a query string's pairs (`after_id`, `limit`).
    pub fn agent_events(
        &self,
        agent: &str,
        query: &[(String, String)],
    ) -> Result<Vec<AgentEventView>, Error> {
        self.known(agent)?;
        let max = i64::from(limits::PAGE_ROWS_MAX);
        let after = number(query, "after_id", 0, (0, i64::MAX))?;
        let limit = number(query, "limit", limits::AGENT_EVENTS_PAGE, (1, max))?;
        let events = self.store.agent_events(agent, after, limit)?;
        Ok(events
            .into_iter()
            .map(|event| AgentEventView {
                id: event.id,
                agent_id: agent.to_owned(),
                event_type: event.kind,
                data: event.data,
                created_at: event.at.to_string(),
            })
            .collect())
    }

    fn known(&self, agent: &str) -> Result<Member, Error> {
        self.store.member(agent)?.ok_or_else(|| Refusal::no_agent(agent).into())
    }
}

/// A mail as it is shown.
pub(crate) fn mail_view(mail: Mail) -> MailView {
    MailView {
        id: mail.n.to_string(),
        from_agent_id: mail.from,
        to_agent_id: mail.to,
        subject: mail.subject,
        body: mail.body,
        delivered: mail.delivered_at.is_some(),
        created_at: mail.created_at.to_string(),
        delivered_at: mail.delivered_at.map(|at| at.to_string()),
    }
}

fn number(
    query: &[(String, String)],
    name: &str,
    default: i64,
    (min, max): (i64, i64),
) -> Result<i64, Refusal> {
    let Some((_, text)) = query.iter().find(|(key, _)| key == name) else { return Ok(default) };
    text.parse().ok().filter(|n| (min..=max).contains(n)).ok_or_else(|| {
        let takes =
            if max == i64::MAX { format!("{min} or more") } else { format!("{min} to {max}") };
        Refusal::invalid(
            "Invalid query parameters:",
            format!("{name} must be {takes} (got {text:?})"),
        )
    })
}
