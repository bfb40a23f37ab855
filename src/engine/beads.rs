//! What people and agents do with beads.

use super::{Apply, actor, check};
use crate::attempt;
use crate::bead::{Bead, Event, SENTINEL, Status, Ties};
use crate::command::{Error, Reply};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::rig::{CreateBead, UpdateBead};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn create_bead(&mut self, by: &Caller, fields: CreateBead) -> Result<Reply, Error> {
        self.speaker(by)?;
        let mut bead = self.new_bead(by, fields)?;
        may_assign(by, bead.assignee.as_deref())?;
        self.name_and_add(&mut bead)?;
        let data = format!("{} (P{})", bead.title, bead.priority);
        self.event(&bead.id, actor(by), "created", (None, Some(&bead.kind)), Some(data))?;
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
            parent: check::word("parent", fields.parent)?,
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
            ties: Ties::default(),
        })
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
        change_fields(by, &mut bead, change)?;
        let taken_back =
            before.is_for_agents() && !bead.is_for_agents() && before.hooked_by.is_some();
        if let Some(status) = status {
            self.set_status(by, speaker, &mut bead, status, reason)?;
        } else if taken_back {
            self.set_status(by, None, &mut bead, Status::Open, None)?;
        }
        if bead != before {
            bead.updated_at = self.now;
        }
        self.store().save_bead(&before, &bead)?;
        if before.assignee != bead.assignee {
            let change = (before.assignee.as_deref(), bead.assignee.as_deref());
            self.event(&bead.id, actor(by), "assigned", change, None)?;
        }
        let same = Bead {
            status: bead.status,
            assignee: bead.assignee.clone(),
            updated_at: bead.updated_at,
            ..before.clone()
        };
        if before.status == bead.status && same != bead {
            self.event(&bead.id, actor(by), "updated", (None, None), None)?;
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
        if status == Status::Open {
            start_anew(bead);
        }
        let event = if status == Status::Closed { "closed" } else { "status_changed" };
        let (old, new) = (old.as_str(), bead.status.as_str());
        self.event(&bead.id, actor(by), event, (Some(old), Some(new)), reason)?;
        Ok(())
    }

    pub(super) fn add_note(&mut self, by: &Caller, id: &str, text: &str) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let before = self.bead(id)?;
        owns(by, speaker.as_ref(), &before)?;
        let text = check::note(text)?;
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

    pub(super) fn reopen_bead(
        &mut self,
        by: &Caller,
        id: &str,
        reason: Option<String>,
    ) -> Result<Reply, Error> {
        let found = self.bead(id)?;
        if found.status == Status::Open {
            return Err(
                Refusal::new(Code::Conflict, format!("{} is already open", found.id)).into()
            );
        }
        let speaker = self.speaker(by)?;
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
fn may_assign(by: &Caller, assignee: Option<&str>) -> Result<(), Refusal> {
    if assignee == Some(SENTINEL) && !matches!(by, Caller::Operator { .. }) {
        let message = "an agent may not assign work to `agent`; leave that to a person";
        return Err(Refusal::new(Code::Forbidden, message));
    }
    Ok(())
}

/// Writes what is to change, all but the status.
fn change_fields(by: &Caller, bead: &mut Bead, change: UpdateBead) -> Result<(), Refusal> {
    if let Some(title) = change.title {
        bead.title = check::title(&title)?;
    }
    if let Some(kind) = change.kind {
        bead.kind = check::name("type", &kind)?;
    }
    if let Some(priority) = change.priority {
        bead.priority = check::priority(&priority)?;
    }
    for (field, new, old) in [
        ("body", change.body, &mut bead.body),
        ("design", change.design, &mut bead.design),
        ("acceptance_criteria", change.acceptance_criteria, &mut bead.acceptance_criteria),
    ] {
        if let Some(new) = new {
            *old = check::text(field, new)?;
        }
    }
    for (field, new, old) in [
        ("parent", change.parent, &mut bead.parent),
        ("external_ref", change.external_ref, &mut bead.external_ref),
    ] {
        if let Some(new) = new {
            *old = check::word(field, new)?;
        }
    }
    for (field, new, old) in [
        ("due_at", change.due_at, &mut bead.due_at),
        ("defer_until", change.defer_until, &mut bead.defer_until),
    ] {
        if let Some(new) = new {
            *old = check::time(field, new)?;
        }
    }
    if let Some(assignee) = change.assignee {
        bead.assignee = check::word("assignee", assignee)?;
        may_assign(by, bead.assignee.as_deref())?;
    }
    let mut labels = change.labels.unwrap_or_else(|| bead.labels.clone());
    labels.extend(change.add_labels);
    labels.retain(|label| !change.remove_labels.contains(label));
    bead.labels = check::labels(labels)?;
    if let Some(metadata) = change.metadata {
        for (key, value) in metadata {
            if value.is_null() {
                bead.metadata.remove(&key);
            } else {
                bead.metadata.insert(key, value);
            }
        }
        check::json("metadata", &bead.metadata)?;
    }
    Ok(())
}

/// A person wants it tried again: what went before no longer counts.
pub(super) fn start_anew(bead: &mut Bead) {
    bead.runs.clear();
    bead.losses.clear();
    bead.ties.conflicts = 0;
    bead.not_before = None;
    bead.failure_code = None;
    bead.failure_message = None;
}

/// Of these runs, those that still count at a time.
pub(super) fn in_window(runs: &[Millis], now: Millis) -> Vec<Millis> {
    runs.iter().copied().filter(|at| now.since(*at) < limits::ATTEMPT_WINDOW_MS).collect()
}
