//! What people and agents do with beads.

use serde_json::json;

use super::{Apply, DISPATCHER, actor, check, fields, links};
use crate::attempt;
use crate::bead::{Bead, Event, SENTINEL, Status, Ties};
use crate::command::{Error, Reply};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::settings::dollars;
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::dependencies::AddDependency;
use crate::wire::rig::{CreateBead, UpdateBead};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn create_bead(
        &mut self,
        by: &Caller,
        mut fields: CreateBead,
    ) -> Result<Reply, Error> {
        self.speaker(by)?;
        let (dependencies, parent) = self.new_links(&mut fields)?;
        let mut bead = self.new_bead(by, fields)?;
        bead.parent = parent;
        may_assign(by, bead.assignee.as_deref())?;
        self.name_and_add(&mut bead)?;
        let detail = format!("{} (P{})", bead.title, bead.priority);
        let data = json!({"title": bead.title, "priority": bead.priority}).to_string();
        let change = (None, Some(bead.kind.as_str()));
        self.event_of(&bead.id, actor(by), "created", change, (Some(detail), Some(data)))?;
        for it in &dependencies {
            self.link(by, &bead, it, true)?;
        }
        if !dependencies.is_empty() || bead.parent.is_some() {
            bead = self.bead(&bead.id)?;
        }
        self.wake_for(&bead);
        Ok(Reply::Bead(Box::new(bead)))
    }

    pub(super) fn new_bead(&self, by: &Caller, fields: CreateBead) -> Result<Bead, Refusal> {
        Ok(Bead {
            id: fields.id.map(|id| check::id("id", &id)).transpose()?.unwrap_or_default(),
            kind: check::word("type", fields.kind)?.unwrap_or_else(|| "issue".to_owned()),
            status: Status::Open,
            title: check::title(&fields.title)?,
            body: check::text("body", fields.body)?,
            design: check::text("design", fields.design)?,
            acceptance_criteria: check::text("acceptance_criteria", fields.acceptance_criteria)?,
            priority: fields.priority.as_ref().map_or(Ok(2), check::priority)?,
            assignee: check::word("assignee", fields.assignee)?,
            assignee_agent_id: None,
            hooked_by: None,
            parent: None,
            labels: check::labels(fields.labels.unwrap_or_default())?,
            metadata: check::metadata(fields.metadata.unwrap_or_default())?,
            external_ref: check::word("external_ref", fields.external_ref)?,
            due_at: check::time("due_at", fields.due_at)?,
            defer_until: check::time("defer_until", fields.defer_until)?,
            not_before: None,
            runs: Vec::new(),
            losses: Vec::new(),
            checkpoint: None,
            failure_code: None,
            failure_message: None,
            created_at: self.now,
            created_by: actor(by).to_owned(),
            updated_at: self.now,
            started_at: None,
            closed_at: None,
            close_reason: None,
            blocked: false,
            ties: Ties::default(),
        })
    }

    /// What a new bead shall depend on, and its parent, who may be named as either.
    fn new_links(
        &self,
        fields: &mut CreateBead,
    ) -> Result<(Vec<AddDependency>, Option<String>), Error> {
        let mut parent = check::word("parent", fields.parent.take())?
            .map(|id| self.bead(&id).map(|it| it.id))
            .transpose()?;
        let mut others = Vec::new();
        for it in std::mem::take(&mut fields.dependencies) {
            if links::kind_of(&it)? != links::PARENT_CHILD {
                others.push(it);
                continue;
            }
            let named = self.bead(&it.depends_on)?.id;
            if parent.get_or_insert_with(|| named.clone()) != &named {
                return Err(Refusal::invalid("dependencies", "name two parents").into());
            }
        }
        if let Some(parent) = &parent {
            self.may_be_parent(fields.id.as_deref().unwrap_or("new"), parent, true)?;
        }
        Ok((others, parent))
    }

    /// Files a bead, under the name it has or a new one.
    pub(super) fn name_and_add(&mut self, bead: &mut Bead) -> Result<(), Error> {
        if !bead.id.is_empty() {
            if !self.store().add_bead(bead)? {
                return Err(
                    Refusal::new(Code::Exists, format!("Bead {} exists already", bead.id)).into()
                );
            }
            return Ok(());
        }
        let prefix = self.engine.prefix()?;
        // As `bd` does: short names while they suffice, longer ones when one in four would be taken.
        let count = self.store().bead_count()?;
        let chars = (3..8).find(|&chars| count < 36_i64.pow(chars) / 8).unwrap_or(8);
        loop {
            bead.id = format!("{prefix}-{}", self.dice.base36(chars as usize));
            if self.store().add_bead(bead)? {
                return Ok(());
            }
        }
    }

    pub(super) fn update_bead(
        &mut self,
        by: &Caller,
        id: &str,
        change: UpdateBead,
    ) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let before = self.bead(id)?;
        self.change_bead(by, speaker.as_ref(), before, change)
    }

    fn change_bead(
        &mut self,
        by: &Caller,
        speaker: Option<&Member>,
        before: Bead,
        change: UpdateBead,
    ) -> Result<Reply, Error> {
        owns(by, speaker, &before)?;
        let status = change.status.as_deref().map(check::status).transpose()?;
        let reason = check::reason(change.reason.as_deref());
        let mut bead = before.clone();
        fields::change(by, &mut bead, change)?;
        if bead.parent != before.parent
            && let Some(parent) = bead.parent.take()
        {
            let parent = self.bead(&parent)?.id;
            if before.parent.as_ref() != Some(&parent) {
                self.may_be_parent(&bead.id, &parent, false)?;
            }
            bead.parent = Some(parent);
        }
        if status == Some(Status::Deferred)
            && bead.defer_until == before.defer_until
            && bead.defer_until.is_some_and(|at| at <= self.now)
        {
            // Put off anew, and not until a time that is past.
            bead.defer_until = None;
        }
        let fields = fields::changed(&before, &bead);
        let taken_back =
            before.is_for_agents() && !bead.is_for_agents() && before.hooked_by.is_some();
        let taken_back = taken_back && !crate::mutant!(TakenBackGoesOn);
        if taken_back && matches!(status, None | Some(Status::InProgress)) {
            // Whoever takes it and is at it now has it alone.
            self.set_status(by, None, &mut bead, Status::Open, None)?;
        }
        if let Some(status) = status {
            self.set_status(by, speaker, &mut bead, status, reason)?;
        }
        if bead.status == Status::InReview
            && before.assignee != bead.assignee
            && !bead.is_for_agents()
        {
            // Its work may still be merged; if it cannot be, it does not go back to the agent that did it.
            bead.assignee_agent_id = None;
        }
        if bead != before {
            bead.updated_at = self.now;
        }
        if self.store().save_bead(&before, &bead)? {
            self.wake();
        }
        if before.assignee != bead.assignee {
            if before.status == Status::Blocked {
                self.unstall(&before)?;
            }
            let change = (before.assignee.as_deref(), bead.assignee.as_deref());
            self.event(&bead.id, actor(by), "assigned", change, None)?;
        }
        if !fields.is_empty() {
            let data = json!({"fields": fields}).to_string();
            let said = (Some(fields.join(", ")), Some(data));
            self.event_of(&bead.id, actor(by), "updated", (None, None), said)?;
        }
        if before.parent != bead.parent {
            bead = self.bead(&bead.id)?;
        }
        self.wake_for(&bead);
        Ok(Reply::Bead(Box::new(bead)))
    }

    /// Moves a bead at somebody's word, and ends the run that it takes it from.
    pub(super) fn set_status(
        &mut self,
        by: &Caller,
        speaker: Option<&Member>,
        bead: &mut Bead,
        status: Status,
        reason: Option<String>,
    ) -> Result<(), Error> {
        let old = bead.status;
        if speaker.is_some()
            && !matches!(status, Status::Closed | Status::Blocked | Status::InProgress)
        {
            let message = format!("an agent may close its bead or set it blocked, not {status}");
            return Err(Refusal::new(Code::Forbidden, message).into());
        }
        if old == status && !(status == Status::Open && bead.hooked_by.is_some()) {
            return Ok(());
        }
        bead.status = match status {
            Status::Closed => old.after(Event::Closed)?,
            other => old.after(Event::Set(other))?,
        };
        bead.closed_at = (status == Status::Closed).then_some(self.now);
        bead.close_reason = (status == Status::Closed)
            .then(|| reason.clone().unwrap_or_else(|| "Closed".to_owned()));
        if status == Status::InProgress && bead.started_at.is_none() {
            bead.started_at = Some(self.now);
        }
        if status != Status::InProgress
            && let Some(agent) = bead.hooked_by.take()
        {
            let end =
                if speaker.is_some() { attempt::State::Done } else { attempt::State::Interrupted };
            let why = format!("{} set the bead to {status}", actor(by));
            let live = match speaker {
                Some(member) if member.agent.id == agent => member.attempt.clone(),
                _ => self.store().member(&agent)?.and_then(|it| it.attempt),
            };
            if let Some(live) = live {
                self.dismiss(&live, end, &why)?;
            }
        }
        if old == Status::InReview {
            let why = format!("{} set the bead to {status}", actor(by));
            self.withdraw_review(&bead.id, &why)?;
        }
        if old == Status::Blocked {
            self.unstall(bead)?;
        }
        // Only a reopened bead begins anew: to take one back and hand it out again gets around no bound.
        if status == Status::Open
            && matches!(old, Status::Blocked | Status::Failed | Status::Closed)
        {
            self.say_anew(by, bead)?;
            start_anew(bead);
        }
        let event = if status == Status::Closed { "closed" } else { "status_changed" };
        let (old, new) = (old.as_str(), bead.status.as_str());
        self.event(&bead.id, actor(by), event, (Some(old), Some(new)), reason)?;
        Ok(())
    }

    /// What is forgotten when a bead is reopened stands in its audit.
    fn say_anew(&mut self, by: &Caller, bead: &Bead) -> Result<(), Error> {
        let (runs, losses) = (bead.runs.len(), bead.losses.len());
        if runs + losses > 0 || bead.ties.cost_micros > 0 {
            let spent = dollars(bead.ties.cost_micros);
            let said = format!(
                "{} reopened it: {runs} attempts, {losses} losses and {spent} USD count no more",
                actor(by)
            );
            let change = (Some(runs.to_string()), Some("0"));
            self.event(
                &bead.id,
                actor(by),
                "attempts_reset",
                (change.0.as_deref(), change.1),
                Some(said),
            )?;
        }
        Ok(())
    }

    pub(super) fn add_note(&mut self, by: &Caller, id: &str, text: &str) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let before = self.bead(id)?;
        owns(by, speaker.as_ref(), &before)?;
        let text = check::note(text)?;
        if crate::mutant!(NotesAreLost) {
            return Ok(Reply::Bead(Box::new(before)));
        }
        let author = speaker.map_or_else(|| actor(by).to_owned(), |it| it.agent.name);
        let mut bead = before.clone();
        let n = self.write_note(&mut bead, &author, text)?;
        if n > limits::NOTES_PER_BEAD_MAX {
            let message = format!(
                "Bead {id} has {} notes, which is as many as it may have; open another bead",
                limits::NOTES_PER_BEAD_MAX
            );
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        self.store().save_bead(&before, &bead)?;
        Ok(Reply::Bead(Box::new(bead)))
    }

    /// Appends a note and dates the bead; the caller saves it.
    pub(super) fn write_note(
        &mut self,
        bead: &mut Bead,
        author: &str,
        text: &str,
    ) -> Result<i64, Error> {
        bead.updated_at = self.now;
        self.effects.push(crate::command::Effect::Tell(crate::command::Tell {
            event: "note".to_owned(),
            bead: Some(bead.id.clone()),
            actor: Some(author.to_owned()),
            detail: Some(check::cut(text, limits::NAME_CHARS_MAX)),
        }));
        Ok(self.store().add_note(&bead.id, author, self.now, text)?)
    }

    pub(super) fn close_bead(
        &mut self,
        by: &Caller,
        id: &str,
        reason: Option<String>,
    ) -> Result<Reply, Error> {
        // Said twice, it is said once: a closed bead answers even to the run that closed it.
        let found = self.bead(id)?;
        if found.status == Status::Closed {
            return Ok(Reply::Bead(Box::new(found)));
        }
        let speaker = self.speaker(by)?;
        let status = Some(Status::Closed.as_str().to_owned());
        let change = UpdateBead { status, reason, ..UpdateBead::default() };
        self.change_bead(by, speaker.as_ref(), found, change)
    }

    /// A bead that was put off until now goes back to the queue.
    pub(super) fn due(&mut self, id: &str) -> Result<Reply, Error> {
        let before = self.bead(id)?;
        let due = before.is_for_agents() && before.defer_until.is_some_and(|at| at <= self.now);
        if !due {
            let message = format!("Bead {id} is {} and not due", before.status);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let status = before.status.after(Event::Due)?;
        let bead = Bead { status, updated_at: self.now, ..before.clone() };
        self.store().save_bead(&before, &bead)?;
        let change = (Some(before.status.as_str()), Some(status.as_str()));
        let until = before.defer_until.map(|at| format!("deferred until {at}"));
        self.event(&bead.id, DISPATCHER, "status_changed", change, until)?;
        self.wake_for(&bead);
        Ok(Reply::Done)
    }

    pub(super) fn reopen_bead(
        &mut self,
        by: &Caller,
        id: &str,
        reason: Option<String>,
    ) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let found = self.bead(id)?;
        if found.status == Status::Open {
            return Err(
                Refusal::new(Code::Conflict, format!("{} is already open", found.id)).into()
            );
        }
        let status = Some(Status::Open.as_str().to_owned());
        let change = UpdateBead { status, reason, ..UpdateBead::default() };
        self.change_bead(by, speaker.as_ref(), found, change)
    }
}

/// Whether this caller may do something to this bead: an agent only to the one it holds.
pub(super) fn owns(by: &Caller, speaker: Option<&Member>, bead: &Bead) -> Result<(), Refusal> {
    match (by, speaker) {
        (Caller::Operator { .. }, _) => Ok(()),
        (Caller::Agent(_), Some(member)) if bead.hooked_by.as_ref() == Some(&member.agent.id) => {
            Ok(())
        }
        (Caller::Agent(claims), _) => Err(Refusal::new(
            Code::Forbidden,
            format!("agent {} does not hold bead {}", claims.agent_id, bead.id),
        )),
        (Caller::Container { .. }, _) => {
            Err(Refusal::new(Code::Forbidden, "the container may not change beads"))
        }
    }
}

/// Only people hand work to agents: agents that do would be a loop that nobody pays attention to.
pub(super) fn may_assign(by: &Caller, assignee: Option<&str>) -> Result<(), Refusal> {
    if assignee == Some(SENTINEL) && !matches!(by, Caller::Operator { .. }) {
        let message = "an agent may not assign work to `agent`; leave that to a person";
        return Err(Refusal::new(Code::Forbidden, message));
    }
    Ok(())
}

/// A person wants it tried again: what went before no longer counts.
pub(super) fn start_anew(bead: &mut Bead) {
    bead.runs.clear();
    bead.losses.clear();
    bead.ties.conflicts = 0;
    bead.ties.cost_micros = 0;
    bead.ties.excused.clear();
    bead.not_before = None;
    bead.failure_code = None;
    bead.failure_message = None;
}

/// Of these runs, those that still count at a time.
pub(super) fn in_window(runs: &[Millis], now: Millis) -> Vec<Millis> {
    runs.iter().copied().filter(|at| now.since(*at) < limits::ATTEMPT_WINDOW_MS).collect()
}
