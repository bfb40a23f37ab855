//! Messages to agents.
//!
//! A mail is delivered at least once: until somebody says that it came through it waits, and after that it can
//! still be read for a while. Whoever sends need not be an agent of the rig; whoever receives must be.

use super::{Apply, check};
use crate::command::{Effect, Error, Reply, Tell};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{NewMail, Sql};
use crate::token::Caller;
use crate::wire::agents::{ReadMail, SendMail};

/// Who sends mail without being an agent.
const OTHERS: [&str; 3] = [super::WITNESS, "mayor", "operator"];

impl<S: Sql> Apply<'_, S> {
    pub(super) fn send_mail(&mut self, by: &Caller, mail: &SendMail) -> Result<Reply, Error> {
        let from = mail.from_agent_id.as_str();
        match by {
            Caller::Agent(claims) if claims.agent_id == from => {
                self.speaker(by)?;
            }
            Caller::Operator { .. } if OTHERS.contains(&from) => {}
            Caller::Operator { .. } => {
                self.member(&check::name("from_agent_id", from)?)?;
            }
            Caller::Agent(_) | Caller::Container { .. } => {
                let message = "from_agent_id does not match authenticated agent";
                return Err(Refusal::new(Code::Forbidden, message).into());
            }
        }
        let subject = check::subject(&mail.subject)?;
        let body = check::mail_body(&mail.body)?;
        let to = check::name("to_agent_id", &mail.to_agent_id)?;
        let n = self.post(&NewMail { from, to: &to, subject: &subject, body })?;
        Ok(Reply::Number(n))
    }

    /// Puts a mail into an agent's box, if there is room.
    pub(super) fn post(&mut self, mail: &NewMail<'_>) -> Result<i64, Error> {
        let (to, member) = (mail.to, self.member(mail.to)?);
        if member.is_dead() {
            let message = format!("Agent {to} is dead and reads no mail; write to another");
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let waiting = self.store().mail_waiting(to)?;
        if waiting >= limits::MAIL_PER_AGENT_MAX {
            let message = format!(
                "Agent {to} has {waiting} mails that it has not read, which is as many as may wait; \
                 write again when it has read some"
            );
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        self.effects.push(Effect::Tell(Tell {
            event: "mail_sent".to_owned(),
            bead: member.bead.map(|it| it.id),
            actor: Some(mail.from.to_owned()),
            detail: Some(format!("to {to}: {}", check::cut(mail.subject, limits::NAME_CHARS_MAX))),
        }));
        Ok(self.store().add_mail(mail, self.now)?)
    }

    pub(super) fn read_mail(
        &mut self,
        by: &Caller,
        agent: &str,
        how: ReadMail,
    ) -> Result<Reply, Error> {
        self.speaker_or(by, agent)?;
        let mut mails = if how.include_delivered {
            self.store().all_mail(agent)?
        } else {
            self.store().waiting_mail(agent)?
        };
        let new: Vec<i64> =
            mails.iter().filter(|it| it.delivered_at.is_none()).map(|it| it.n).collect();
        if crate::mutant!(LastMailFirst) {
            mails.reverse();
        }
        if (!how.peek || crate::mutant!(LookingReads)) && !new.is_empty() {
            self.store().deliver_mail(agent, &new, self.now)?;
        }
        Ok(Reply::Mail(mails))
    }

    pub(super) fn ack_mail(
        &mut self,
        by: &Caller,
        agent: &str,
        ids: &[String],
    ) -> Result<Reply, Error> {
        self.speaker_or(by, agent)?;
        let numbers: Result<Vec<i64>, Refusal> = ids
            .iter()
            .map(|id| {
                id.parse().map_err(|_| Refusal::invalid("ids", format!("{id:?} is no mail's id")))
            })
            .collect();
        if crate::mutant!(MailComesBack) {
            return Ok(Reply::Number(0));
        }
        let acked = self.store().deliver_mail(agent, &numbers?, self.now)?;
        Ok(Reply::Number(i64::try_from(acked).unwrap_or(i64::MAX)))
    }
}
