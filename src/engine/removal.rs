//! A bead is deleted: who works on it is called off, who waits for it is freed, its children live on.

use super::{Apply, actor};
use crate::attempt;
use crate::bead::Status;
use crate::command::{Error, Reply};
use crate::refusal::{Code, Refusal};
use crate::store::Sql;
use crate::token::Caller;

impl<S: Sql> Apply<'_, S> {
    /// A run that is still there ends like any that was called off: what it says is refused, what is said of its
    /// end is taken.
    pub(super) fn delete_bead(&mut self, by: &Caller, id: &str) -> Result<Reply, Error> {
        if !matches!(by, Caller::Operator { .. }) {
            let message = "only a person may delete a bead; close it instead";
            return Err(Refusal::new(Code::Forbidden, message).into());
        }
        let bead = self.bead(id)?;
        self.unstall(&bead)?;
        let held = bead.hooked_by.as_deref().map(|agent| self.member(agent)).transpose()?;
        if let Some(live) = held.and_then(|it| it.attempt) {
            let why = format!("{} deleted the bead", actor(by));
            self.dismiss(&live, attempt::State::Interrupted, &why)?;
        }
        let mut freed = self.store().child_ids(&bead.id)?;
        for child in &freed {
            let change = (Some(bead.id.as_str()), None);
            self.linked(by, child, "dependency_removed", change, super::links::PARENT_CHILD)?;
        }
        for it in self.store().dependents(&bead.id)? {
            let change = (Some(bead.id.as_str()), None);
            let it = it.dependency;
            self.linked(by, &it.bead, "dependency_removed", change, &it.kind)?;
            freed.push(it.bead);
        }
        // Before the rest of its audit goes, so that no number of the audit is ever given twice.
        let detail = Some(bead.title.clone());
        let data = serde_json::json!({"title": bead.title}).to_string();
        self.event_of(&bead.id, actor(by), "deleted", (None, None), (detail, Some(data)))?;
        self.store().orphan(&bead.id, self.now)?;
        self.store().delete_bead(&bead)?;
        if bead.status == Status::InReview {
            // What its branch was merged into is free for the next one.
            self.wake();
        }
        let freed: Vec<&str> = freed.iter().map(String::as_str).collect();
        if self.store().gate_anew(&freed)? {
            self.wake();
        }
        Ok(Reply::Done)
    }
}
