//! Sling: a bead, an agent and the hook between them in one step, at a person's word. All of it or nothing: when no
//! agent is free, there is no bead either.

use super::{Apply, actor};
use crate::command::{Error, Reply};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::rig::CreateBead;
use crate::wire::sling::Sling;

impl<S: Sql> Apply<'_, S> {
    pub(super) fn sling(&mut self, by: &Caller, fields: Sling) -> Result<Reply, Error> {
        let fields = CreateBead {
            title: fields.title,
            body: fields.body,
            metadata: fields.metadata,
            priority: fields.priority,
            acceptance_criteria: fields.acceptance_criteria,
            labels: fields.labels,
            ..CreateBead::default()
        };
        let mut bead = self.new_bead(by, fields)?;
        self.name_and_add(&mut bead)?;
        let data = format!("{} (P{})", bead.title, bead.priority);
        self.event(&bead.id, actor(by), "created", (None, Some(&bead.kind)), Some(data))?;
        let agent = self.free_polecat()?;
        let before = bead.clone();
        self.hook(&agent, &mut bead, actor(by))?;
        self.store().save_bead(&before, &bead)?;
        self.wake();
        let member = self.store().member(&agent.id)?;
        let member = member.unwrap_or(Member { agent, attempt: None, bead: None });
        Ok(Reply::Slung(Box::new(bead), Box::new(member)))
    }
}
