//! The switch, and dispatch by hand.
//!
//! While dispatch is paused nothing is claimed and nothing is reaped; what runs goes on, and a person may still hand
//! over a bead ([`Command::Dispatch`](crate::command::Command)), hook or sling one. A rig has a switch of its own, and
//! knows how that of the deployment stands: it is told, and asks nobody. Who turned it and when is kept with it.

use super::{Apply, Engine, actor, check};
use crate::attempt::State;
use crate::bead::{Bead, Event, SENTINEL, Status};
use crate::command::{Effect, Error, Reply, Tell};
use crate::refusal::{Code, Refusal};
use crate::settings::Settings;
use crate::store::{Member, Pause, Sql, SqlError};
use crate::token::Caller;
use crate::wire::dispatch::{AgentStatusView, DispatchView, PauseView, Scope};

impl<S: Sql> Engine<S> {
    /// Whether beads are claimed, and who wants them not to be.
    pub fn dispatch(&self, settings: &Settings) -> Result<DispatchView, SqlError> {
        let mut paused = Vec::new();
        for scope in [Scope::Deployment, Scope::Rig] {
            paused.extend(self.store.pause(scope)?.map(|it| it.view(scope)));
        }
        if !settings.dispatch_enabled {
            paused.push(PauseView { scope: Scope::Setting, by: None, at: None, reason: None });
        }
        Ok(DispatchView { enabled: paused.is_empty(), paused })
    }

    /// Whether beads are claimed. What cannot be read claims nothing: the switch is for when things go wrong.
    pub(super) fn claims(&self, settings: &Settings) -> bool {
        self.dispatch(settings).is_ok_and(|it| it.enabled)
    }

    /// Whether a bead that is dispatched now would be taken. Not to know is to be busy.
    pub fn agent_status(&self) -> Result<AgentStatusView, Error> {
        let settings = self.effective()?;
        let (crew, _) = self.store.crew()?;
        let active = u32::try_from(crew.iter().filter(|it| it.is_busy()).count());
        let active = active.unwrap_or(u32::MAX);
        let waits = crew.iter().filter_map(|it| it.attempt.as_ref()).find(|it| {
            it.state == State::Claimed
                || it.suspect_since.is_some()
                || (it.state == State::Starting && it.reason.is_some())
        });
        let reason = match waits {
            Some(waits) => {
                let why = waits.reason.as_deref().unwrap_or("it does not answer");
                Some(format!("the container: {why}"))
            }
            None if self.store.breaker()?.is_open() => {
                Some("starts of this rig fail one after the other; see its status".to_owned())
            }
            None if super::tick::free_slots(&crew, &settings) == 0 => {
                Some(format!("all {} agents of the rig are at work", settings.max_agents))
            }
            None => None,
        };
        Ok(AgentStatusView {
            busy: reason.is_some(),
            reason,
            active,
            capacity: settings.max_agents,
        })
    }
}

impl<S: Sql> Apply<'_, S> {
    /// Turns dispatch off. Who did so first is remembered.
    pub(super) fn pause(&mut self, by: &Caller, reason: Option<&str>) -> Result<Reply, Error> {
        if self.store().pause(Scope::Rig)?.is_some() {
            return Ok(Reply::Done);
        }
        let reason = check::reason(reason);
        let pause = Pause { by: actor(by).to_owned(), at: self.now, reason };
        self.turn(Scope::Rig, actor(by), Some(&pause))
    }

    /// Takes this rig's pause back.
    pub(super) fn resume(&mut self, by: &Caller) -> Result<Reply, Error> {
        self.turn(Scope::Rig, actor(by), None)
    }

    /// How the switch of the deployment stands.
    pub(super) fn deployment_paused(&mut self, pause: Option<&Pause>) -> Result<Reply, Error> {
        let by = pause.map_or("deployment", |it| it.by.as_str());
        self.turn(Scope::Deployment, by, pause)
    }

    /// Turns a switch, if it does not stand so already.
    fn turn(&mut self, scope: Scope, by: &str, pause: Option<&Pause>) -> Result<Reply, Error> {
        if self.store().pause(scope)?.as_ref() == pause {
            return Ok(Reply::Done);
        }
        let event = if pause.is_some() { "dispatch_paused" } else { "dispatch_resumed" };
        self.effects.push(Effect::Tell(Tell {
            event: event.to_owned(),
            bead: None,
            actor: Some(by.to_owned()),
            detail: pause.and_then(|it| it.reason.clone()),
        }));
        self.store().set_pause(scope, pause)?;
        if pause.is_none() {
            self.wake();
        }
        Ok(Reply::Done)
    }

    /// Hands a bead to an agent at once, whatever the switch says. It is the agents' bead from then on; one that runs
    /// already goes on, and its job is answered again.
    pub(super) fn dispatch_now(&mut self, by: &Caller, id: &str) -> Result<Reply, Error> {
        let before = self.bead(id).map_err(|err| match err {
            Error::Refused(it) if it.code == Code::NotFound => {
                Refusal::new(Code::Invalid, format!("Bead {} not found.", check::cut(id, 64)))
                    .into()
            }
            err => err,
        })?;
        if before.acceptance_criteria.is_none() {
            let message = format!("Bead {} is missing acceptance criteria.", before.id);
            return Err(Refusal::new(Code::Invalid, message).into());
        }
        if let Some(job) = self.job_of(&before)? {
            return Ok(Reply::Job(job));
        }
        if !matches!(before.status, Status::Open | Status::Deferred) && before.hooked_by.is_none() {
            let message = format!("Bead {} is {}; reopen it first", before.id, before.status);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        self.may_be_hooked(&before)?;
        let agent = self.free_polecat().map_err(busy)?;
        let mut bead = before.clone();
        let sentinel = Some(SENTINEL.to_owned());
        if bead.assignee != sentinel {
            let change = (bead.assignee.as_deref(), Some(SENTINEL));
            self.event(&before.id, actor(by), "assigned", change, None)?;
            bead.assignee = sentinel;
        }
        if bead.status == Status::Deferred {
            bead.status = bead.status.after(Event::Set(Status::Open))?;
        }
        self.hook(&agent, &mut bead, actor(by))?;
        let note = format!("dispatched by {} at {}", actor(by), self.now);
        self.write_note(&mut bead, actor(by), &note)?;
        self.begin(&agent, &mut bead)?;
        let job = self.store().member(&agent.id)?.and_then(|it| it.attempt).map(|it| it.job);
        self.store().save_bead(&before, &bead)?;
        self.wake();
        job.map(Reply::Job).ok_or_else(|| {
            // Nothing of what stopped it is kept: it stands as it did before.
            let why = bead.failure_message.as_deref().unwrap_or("it cannot be started");
            Refusal::new(Code::Conflict, format!("Bead {}: {why}", bead.id)).into()
        })
    }

    /// The job of the run that is at this bead.
    fn job_of(&self, bead: &Bead) -> Result<Option<String>, Error> {
        let Some(agent) = &bead.hooked_by else { return Ok(None) };
        let live = self.store().member(agent)?.and_then(|it: Member| it.attempt);
        Ok(live.filter(|it| it.bead == bead.id && it.state != State::Stopping).map(|it| it.job))
    }

    /// Takes a bead for whoever calls, if it is nobody's: one of many that try at the same time.
    pub(super) fn take(&mut self, by: &Caller, id: &str) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let before = self.bead(id)?;
        if let Some(speaker) = &speaker {
            // An agent has what is on its hook, and takes nothing else.
            if before.hooked_by.as_deref() == Some(&speaker.agent.id) {
                return Ok(Reply::Bead(Box::new(before)));
            }
            let message = "an agent takes no bead by itself; it works on the one on its hook";
            return Err(Refusal::new(Code::Forbidden, message).into());
        }
        let owner = before.assignee.as_deref().filter(|it| !it.is_empty());
        if let Some(other) = owner.filter(|it| *it != actor(by)) {
            let message = format!("issue already claimed by {other}");
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        if owner.is_some() && before.status == Status::InProgress {
            return Ok(Reply::Bead(Box::new(before)));
        }
        if before.status != Status::Open {
            let message =
                format!("Bead {} is {}; only an open one is claimed", before.id, before.status);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let mut bead = before.clone();
        bead.assignee = Some(actor(by).to_owned());
        bead.updated_at = self.now;
        self.set_status(by, None, &mut bead, Status::InProgress, None)?;
        self.event(&before.id, actor(by), "claimed", (owner, Some(actor(by))), None)?;
        self.store().save_bead(&before, &bead)?;
        Ok(Reply::Bead(Box::new(bead)))
    }
}

/// In the words that clients of the pollers know.
fn busy(err: Error) -> Error {
    match err {
        Error::Refused(it) if it.code == Code::LimitReached => {
            Refusal::new(Code::Conflict, "Agent is busy").into()
        }
        err => err,
    }
}

/// Why nothing is claimed, for people.
pub(super) fn in_words(dispatch: &DispatchView) -> Option<String> {
    let first = dispatch.paused.first()?;
    let (by, at) =
        (first.by.as_deref().unwrap_or_default(), first.at.as_deref().unwrap_or_default());
    let why = first.reason.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
    Some(match first.scope {
        Scope::Deployment => format!(
            "dispatch is paused for all rigs by {by} since {at}{why}; take it back: beadrig resume --all"
        ),
        Scope::Rig => {
            format!("dispatch is paused by {by} since {at}{why}; take it back: beadrig resume")
        }
        Scope::Setting => "dispatch is off (dispatch_enabled is false)".to_owned(),
    })
}
