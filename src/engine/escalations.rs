//! Escalations: beads that ask people for help, one a cause, and louder while nobody answers. See the drawing in
//! [`escalation`](crate::escalation). An escalation that was acknowledged, or whose bead is finished, is quiet.

use serde_json::Value;

use super::{Apply, Engine, WITNESS, actor, check};
use crate::bead::Bead;
use crate::command::{Error, Reply};
use crate::escalation::{Severity, next_bump};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Escalation, Member, NewEscalation, Sql};
use crate::token::Caller;
use crate::wire::escalations::{Escalate, EscalationView};
use crate::wire::rig::CreateBead;

impl<S: Sql> Apply<'_, S> {
    pub(super) fn escalate(&mut self, by: &Caller, fields: Escalate) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let severity = match (fields.severity.as_deref(), &fields.priority) {
            (Some(severity), _) => Severity::read(severity)?,
            (None, Some(priority)) => Severity::of_priority(check::priority(priority)?),
            (None, None) => Severity::Medium,
        };
        let cause = check::word("cause", fields.cause.clone())?;
        let known =
            cause.as_deref().map(|cause| self.store().open_escalation(cause)).transpose()?;
        if let Some(known) = known.flatten().filter(|_| !crate::mutant!(CausesAreMany)) {
            return self.say_again(known, severity);
        }
        let waiting = self.store().escalations_waiting()?;
        if waiting >= limits::ESCALATIONS_WAITING_MAX {
            let message = format!(
                "{waiting} escalations wait to be acknowledged, which is as many as may wait; \
                 a person must acknowledge some first"
            );
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        let bead = self.file_escalation(by, speaker.as_ref(), fields, severity)?;
        let next_at = self.now.plus(limits::ESCALATION_BUMP_MS);
        self.store().add_escalation(&NewEscalation {
            bead: &bead.id,
            cause: cause.as_ref(),
            severity,
            created_at: self.now,
            next_at,
        })?;
        self.effects.push(crate::command::Effect::WakeAt(next_at));
        self.answer(bead, true)
    }

    /// What an escalation is to people: a bead. The bead it came from tells of it.
    fn file_escalation(
        &mut self,
        by: &Caller,
        speaker: Option<&Member>,
        fields: Escalate,
        severity: Severity,
    ) -> Result<Bead, Error> {
        let mut metadata = fields.metadata.unwrap_or_default();
        let source = speaker.and_then(|it| it.bead.as_ref()).map(|it| it.id.clone());
        if let Some(source) = &source {
            metadata.entry("source_bead_id").or_insert_with(|| Value::from(source.clone()));
        }
        let priority = fields.priority.unwrap_or_else(|| severity.priority().into());
        let made = self.create_bead(
            by,
            CreateBead {
                title: fields.title,
                kind: Some("escalation".to_owned()),
                body: fields.body,
                priority: Some(priority),
                metadata: Some(metadata),
                ..CreateBead::default()
            },
        )?;
        let Reply::Bead(bead) = made else {
            return Err(Refusal::new(Code::Conflict, "no bead was made").into());
        };
        if let Some(source) = source {
            let (change, title) = ((None, Some(bead.id.as_str())), Some(bead.title.clone()));
            self.event(&source, actor(by), "escalated", change, title)?;
        }
        Ok(*bead)
    }

    /// The same cause again: counted, and as bad as the worst report of it.
    fn say_again(&mut self, mut known: Escalation, severity: Severity) -> Result<Reply, Error> {
        known.count += 1;
        known.severity = known.severity.max(severity);
        self.store().save_escalation(&known)?;
        let before = self.bead(&known.bead)?;
        let mut bead = before.clone();
        bead.priority = bead.priority.min(known.severity.priority());
        self.store().save_bead(&before, &bead)?;
        Ok(Reply::Escalation(Box::new((bead, known)), false))
    }

    pub(super) fn acknowledge(&mut self, by: &Caller, id: &str) -> Result<Reply, Error> {
        let none = || Refusal::new(Code::NotFound, format!("Escalation {id} not found"));
        let bead = self.bead(id).map_err(|err| match err {
            Error::Refused(_) => none().into(),
            fault @ Error::Fault(_) => fault,
        })?;
        let mut it = self.store().escalation(&bead.id)?.ok_or_else(none)?;
        if it.acknowledged_at.is_none() {
            it.acknowledged_at = Some(self.now);
            it.acknowledged_by = Some(actor(by).to_owned());
            if !crate::mutant!(AcknowledgedIsRaised) {
                it.next_at = None;
            }
            self.store().save_escalation(&it)?;
            self.event(&bead.id, actor(by), "acknowledged", (None, None), None)?;
        }
        Ok(Reply::Escalation(Box::new((bead, it)), false))
    }

    /// Raises an escalation that is due, or lets it be: the bead may have been finished since.
    pub(super) fn escalate_again(&mut self, id: &str) -> Result<Reply, Error> {
        let due = |it: &Escalation| it.next_at.is_some_and(|at| at <= self.now);
        let Some(mut it) = self.store().escalation(id)?.filter(due) else {
            return Ok(Reply::Done);
        };
        let open = |bead: &Bead| !bead.status.is_finished() || crate::mutant!(ClosedIsRaised);
        let Some(before) = self.store().bead(id)?.filter(open) else {
            it.next_at = None;
            self.store().save_escalation(&it)?;
            return Ok(Reply::Done);
        };
        let old = it.severity;
        it.severity = old.up();
        it.bumps += 1;
        it.next_at = next_bump(it.created_at, it.bumps, self.now);
        self.store().save_escalation(&it)?;
        let (n, max) = (it.bumps, limits::ESCALATION_BUMPS_MAX);
        let hours = self.now.since(it.created_at) / (limits::ESCALATION_BUMP_MS / 4);
        let said = format!(
            "nobody acknowledged this for {hours} h: severity {} (bump {n} of {max})",
            it.severity.as_str()
        );
        let mut bead = before.clone();
        bead.priority = bead.priority.min(it.severity.priority());
        self.write_note(&mut bead, WITNESS, &said)?;
        self.store().save_bead(&before, &bead)?;
        let change = (Some(old.as_str()), Some(it.severity.as_str()));
        self.event(id, WITNESS, "escalated", change, Some(said))?;
        if let Some(at) = it.next_at {
            self.effects.push(crate::command::Effect::WakeAt(at));
        }
        Ok(Reply::Done)
    }

    fn answer(&self, bead: Bead, new: bool) -> Result<Reply, Error> {
        let it = self.store().escalation(&bead.id)?;
        let it = it.ok_or_else(|| Refusal::no_bead(&bead.id))?;
        Ok(Reply::Escalation(Box::new((bead, it)), new))
    }
}

impl<S: Sql> Engine<S> {
    /// Escalations, newest first, by a query string's pairs (`acknowledged`). Those that were not acknowledged
    /// are those that want somebody, so that finished ones are not among them.
    pub fn list_escalations(
        &self,
        query: &[(String, String)],
        now: Millis,
    ) -> Result<Vec<EscalationView>, Error> {
        let wanted = query.iter().find(|(key, _)| key == "acknowledged");
        let acknowledged = match wanted.map(|(_, value)| value.as_str()) {
            None | Some("") => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(other) => {
                let problem = format!("must be true or false (got {other:?})");
                return Err(Refusal::invalid("acknowledged", problem).into());
            }
        };
        let found = self.store.escalations(acknowledged, limits::PAGE_ROWS)?;
        let mut beads = self.store.escalation_beads(&found)?;
        let mut shown = Vec::new();
        for it in found {
            if let Some(at) = beads.iter().position(|bead| bead.id == it.bead) {
                shown.push(self.escalation_view(beads.swap_remove(at), it, now)?);
            }
        }
        Ok(shown)
    }

    /// An escalation as it is shown.
    pub fn escalation_view(
        &self,
        bead: Bead,
        it: Escalation,
        now: Millis,
    ) -> Result<EscalationView, Error> {
        Ok(EscalationView {
            bead: self.bead_view(bead, now)?,
            severity: it.severity.as_str().to_owned(),
            cause: it.cause,
            count: it.count,
            acknowledged: it.acknowledged_at.is_some(),
            acknowledged_at: it.acknowledged_at.map(|at| at.to_string()),
            acknowledged_by: it.acknowledged_by,
            re_escalation_count: it.bumps,
            next_escalation_at: it.next_at.map(|at| at.to_string()),
        })
    }
}
