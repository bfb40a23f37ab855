//! The rules of the rig: commands in, rows and effects out.
//!
//! [`Engine::apply`] is the one door to the rows, and what goes through it is all written or not at all. The
//! tick is made of the same commands. The engine never waits and never calls anyone: what is to happen outside
//! is an [`Effect`], and what comes of it is a [`Command`] again.
//!
//! | module | holds |
//! |---|---|
//! | `beads` | what people and agents do with beads |
//! | `fields` | which of their fields a caller changes |
//! | `links` | what waits for what |
//! | `comments` | what is said about a bead |
//! | `exchange` | beads from and to files of other programs |
//! | `removal` | the end of a bead that is deleted |
//! | `agents` | what they do with agents and hooks |
//! | `marks` | what is said of agents: blocked, dead, deleted |
//! | `mail` | messages to agents |
//! | `output` | what agents print and do |
//! | `escalations` | beads that ask people for help |
//! | `prime` | what an agent is told when it asks |
//! | `runs` | the life of a run: begun, alive, dismissed, over |
//! | `reports` | what the container says |
//! | `dispatch` | the switch, and dispatch by hand |
//! | `tick` | schedule, patrol, review, and when to wake next |
//! | `patrol` | the patrol's rules, and what is done by them |
//! | `breaker` | what becomes of beads when the rig's starts fail |
//! | `view`, `lists` | the same rows as answers |
//! | `details` | what belongs to many beads at once, names by a part of them |
//! | `check` | what a field may hold |
//! | `prompt` | what an agent is told |
//! | `sling` | a bead and an agent in one step |
//! | `config` | what a rig and its town set for it |
//! | `secrets` | variables for the agents, and how they are shown |
//! | `reviews` | branches that wait to be merged |
//! | `merging` | their merges: begun, asked for, at work, lost |
//! | `outcomes` | what came of them, and what becomes of their beads |
//! | `gates` | what must succeed before anything lands |
//! | `molecules`, `convoys` | steps of a bead, and beads that belong together |
//! | `refs` | what may be handed to git |
//! | `registration` | the rig as one of a town, and its end |

mod agents;
mod beads;
mod breaker;
pub(crate) mod check;
mod comments;
mod config;
mod convoys;
mod details;
mod dispatch;
mod escalations;
mod exchange;
mod fields;
mod gates;
mod links;
mod lists;
mod mail;
mod marks;
mod merging;
mod molecules;
mod outcomes;
mod output;
mod patrol;
mod prime;
mod prompt;
pub(crate) mod refs;
mod registration;
mod removal;
mod reports;
mod reviews;
mod runs;
pub(crate) mod secrets;
mod sling;
mod tick;
mod view;

pub(crate) use comments::comment_view;
pub(crate) use molecules::molecule_view;
pub use patrol::Seen;
pub(crate) use prime::mail_view;
pub use tick::Scheduled;
pub(crate) use view::page;

use crate::attempt;
use crate::bead::{self, Bead};
use crate::command::{Command, Effect, Error, Moment, Outcome, Reply, Tell};
use crate::id::{Dice, Millis};
use crate::refusal::{Code, Refusal};
use crate::review;
use crate::settings::Settings;
use crate::store::{BeadEvent, Sql, SqlError, Store};
use crate::token::{Caller, Secrets};

/// One rig.
pub struct Engine<S> {
    /// Its memory.
    pub store: Store<S>,
    /// What the operator set.
    pub settings: Settings,
    /// Signs the tokens of agents.
    pub secrets: Secrets,
    /// Its name, `[A-Za-z0-9_-]`.
    pub rig: String,
}

impl<S: Sql> Engine<S> {
    /// Carries out a command.
    ///
    /// A refusal leaves everything as it was, but for one thing: a run that speaks out of its time leaves a
    /// line in its bead's audit.
    pub fn apply(&self, moment: Moment, command: Command) -> Result<Outcome, Error> {
        let outcome = self.store.atomically(|| {
            let mut cx = Apply::new(self, moment);
            let reply = cx.dispatch(command.clone())?;
            Ok(Outcome { reply, effects: cx.effects })
        });
        if let Err(Error::Refused(refusal)) = &outcome
            && refusal.code == Code::StaleAttempt
            // Inside a larger transaction it would go with it; whoever opened that comes again without.
            && !self.store.is_open()
        {
            self.remember_stale(moment, &command, refusal)?;
        }
        outcome
    }

    fn remember_stale(
        &self,
        moment: Moment,
        command: &Command,
        refusal: &Refusal,
    ) -> Result<(), Error> {
        let (caller, number) = match command {
            Command::Exited(caller, _, report) => (caller, report.attempt),
            Command::UpdateBead(caller, ..)
            | Command::AddNote(caller, ..)
            | Command::AddComment(caller, ..)
            | Command::CloseBead(caller, ..)
            | Command::CreateBead(caller, _)
            | Command::AddDependency(caller, ..)
            | Command::RemoveDependency(caller, ..)
            | Command::ReopenBead(caller, ..)
            | Command::HookBead(caller, ..)
            | Command::UnhookBead(caller, _)
            | Command::Checkpoint(caller, ..)
            | Command::Heartbeat(caller, _)
            | Command::SubmitReview(caller, _)
            | Command::CreateMolecule(caller, _)
            | Command::AdvanceMolecule(caller, ..)
            | Command::SetAgentStatus(caller, ..)
            | Command::SendMail(caller, _)
            | Command::Escalate(caller, _)
            | Command::Take(caller, _)
            | Command::Done(caller, ..) => (caller, None),
            _ => return Ok(()),
        };
        let number = match caller {
            Caller::Agent(claims) => Some(claims.attempt),
            Caller::Operator { .. } | Caller::Container { .. } => number,
        };
        let Some(attempt) = number.map(|it| self.store.attempt(it)).transpose()?.flatten() else {
            return Ok(());
        };
        let (event, number) = ("stale_attempt", attempt.number.to_string());
        // One that goes on and on is told once: it must not drive out what others did, nor cost rows.
        let last = self.store.last_event_of(&attempt.bead)?;
        if last.is_some_and(|it| it.event == event && it.new.as_deref() == Some(&number)) {
            return Ok(());
        }
        self.store.add_event(&BeadEvent {
            seq: 0,
            bead: attempt.bead,
            at: moment.now,
            actor: attempt.agent,
            event: event.to_owned(),
            old: None,
            new: Some(number),
            data: Some(refusal.message.clone()),
        })?;
        Ok(())
    }
}

/// One command being carried out.
struct Apply<'a, S> {
    engine: &'a Engine<S>,
    now: Millis,
    dice: Dice,
    effects: Vec<Effect>,
}

impl<'a, S: Sql> Apply<'a, S> {
    fn new(engine: &'a Engine<S>, moment: Moment) -> Self {
        Self { engine, now: moment.now, dice: Dice::new(moment.seed), effects: Vec::new() }
    }

    fn dispatch(&mut self, command: Command) -> Result<Reply, Error> {
        use Command as C;
        match command {
            C::CreateBead(by, fields) => self.create_bead(&by, *fields),
            C::UpdateBead(by, id, change) => self.update_bead(&by, &id, *change),
            C::AddNote(by, id, text) => self.add_note(&by, &id, &text),
            C::AddComment(by, id, fields) => self.add_comment(&by, &id, fields),
            C::Import(by, batch) => self.import(&by, batch),
            C::CloseBead(by, id, reason) => self.close_bead(&by, &id, reason),
            C::ReopenBead(by, id, reason) => self.reopen_bead(&by, &id, reason),
            C::DeleteBead(by, id) => self.delete_bead(&by, &id),
            C::AddDependency(by, id, fields) => self.add_dependency(&by, &id, fields),
            C::RemoveDependency(by, id, other) => self.remove_dependency(&by, &id, &other),
            C::Due(id) => self.due(&id),
            C::Orphaned(id) => self.orphaned(&id),
            C::Forget(agent) => self.forget(&agent),
            C::RegisterAgent(fields) => self.register_agent(fields),
            C::GetOrCreateAgent(role) => self.get_or_create_agent(role),
            C::HookBead(by, agent, bead) => self.hook_bead(&by, &agent, &bead),
            C::UnhookBead(by, agent) => self.unhook_bead(&by, &agent),
            C::Checkpoint(by, agent, data) => self.checkpoint(&by, &agent, data),
            C::Heartbeat(by, agent) => self.heartbeat(&by, &agent),
            C::Done(by, agent, done) => self.done(&by, &agent, done),
            C::SetAgentStatus(by, agent, set) => self.set_agent_status(&by, &agent, &set),
            C::DeleteAgent(by, agent) => self.delete_agent(&by, &agent),
            C::AppendEvents(by, events) => self.append_events(&by, events),
            C::SendMail(by, mail) => self.send_mail(&by, &mail),
            C::ReadMail(by, agent, how) => self.read_mail(&by, &agent, how),
            C::AckMail(by, agent, ids) => self.ack_mail(&by, &agent, &ids),
            C::Escalate(by, fields) => self.escalate(&by, *fields),
            C::Acknowledge(by, bead) => self.acknowledge(&by, &bead),
            C::EscalateAgain(bead) => self.escalate_again(&bead),
            C::Heartbeats(boot, agents) => self.heartbeats(boot.as_deref(), agents),
            C::Exited(by, agent, report) => self.exited(&by, &agent, report),
            C::StartAnswered(agent, attempt, answer) => {
                self.start_answered(&agent, attempt, answer)
            }
            C::Claim(bead) => self.claim(&bead),
            C::Start(agent) => self.start(&agent),
            C::AskAgain(agent, attempt) => self.ask_again(&agent, attempt),
            C::Act(agent, attempt, judgement) => self.act(&agent, attempt, judgement),
            C::Saw(boot, seen) => {
                let gap = self.settings()?.watch_gap_ms();
                self.store().saw(&seen, boot.as_deref(), gap, self.now)?;
                Ok(Reply::Done)
            }
            C::Sling(by, fields) => self.sling(&by, *fields),
            C::Pause(by, reason) => self.pause(&by, reason.as_deref()),
            C::Resume(by) => self.resume(&by),
            C::DeploymentPaused(pause) => self.deployment_paused(pause.as_ref()),
            C::Dispatch(by, bead) => self.dispatch_now(&by, &bead),
            C::Take(by, bead) => self.take(&by, &bead),
            C::PatchConfig(by, patch) => self.patch_config(&by, &patch),
            C::SubmitReview(by, fields) => self.submit_review(&by, fields),
            C::StartReviews(ids) => self.start_reviews(&ids),
            C::AskToMergeAgain(ids) => self.ask_to_merge_again(&ids),
            C::MergeAnswered(merges, answer) => self.merge_answered(&merges, &answer),
            C::Landing(merges) => self.landing(&merges),
            C::Merging(merges) => self.merging(&merges),
            C::RecoverReview(id) => self.recover_review(&id),
            C::CompleteReview(by, id, fields) => self.complete_review(&by, &id, fields),
            C::CreateMolecule(by, fields) => self.create_molecule(&by, fields),
            C::AdvanceMolecule(by, agent, fields) => self.advance_molecule(&by, &agent, fields),
            C::CreateConvoy(by, fields) => self.create_convoy(&by, fields),
            C::Register(by, fields) => self.register(&by, &fields),
            C::SetLayer(layer) => self.set_layer(&layer),
            C::DeleteEverything(by) => self.delete_everything(&by),
        }
    }

    fn store(&self) -> &'a Store<S> {
        &self.engine.store
    }

    /// The bead that a caller means: by its whole name, or without the rig's prefix.
    fn bead(&self, id: &str) -> Result<Bead, Error> {
        self.engine.find_bead(id)
    }

    /// Writes a line into a bead's audit, and tells whoever watches.
    fn event(
        &mut self,
        bead: &str,
        actor: &str,
        event: &str,
        change: (Option<&str>, Option<&str>),
        data: Option<String>,
    ) -> Result<(), SqlError> {
        let (old, new) = change;
        let detail = match (old, new, &data) {
            (_, _, Some(data)) => Some(data.clone()),
            (Some(old), Some(new), None) => Some(format!("{old} -> {new}")),
            (_, Some(new), None) => Some(new.to_owned()),
            (_, None, None) => None,
        };
        self.event_of(bead, actor, event, change, (detail, data))
    }

    /// As `event`, with words for whoever watches apart from the data that is kept.
    fn event_of(
        &mut self,
        bead: &str,
        actor: &str,
        event: &str,
        (old, new): (Option<&str>, Option<&str>),
        (detail, data): (Option<String>, Option<String>),
    ) -> Result<(), SqlError> {
        self.effects.push(Effect::Tell(Tell {
            event: event.to_owned(),
            bead: Some(bead.to_owned()),
            actor: Some(actor.to_owned()),
            detail,
        }));
        self.store().add_event(&BeadEvent {
            seq: 0,
            bead: bead.to_owned(),
            at: self.now,
            actor: actor.to_owned(),
            event: event.to_owned(),
            old: old.map(ToOwned::to_owned),
            new: new.map(ToOwned::to_owned),
            data,
        })
    }

    /// Wakes the rig soon.
    fn wake(&mut self) {
        self.effects.push(Effect::WakeAt(self.now.plus(self.engine.settings.arm_delay_ms)));
    }

    /// Wakes the rig when this bead may be taken, if it may be.
    fn wake_for(&mut self, bead: &Bead) {
        let due = match bead.status {
            _ if !bead.is_for_agents() => return,
            bead::Status::Open if bead.acceptance_criteria.is_some() && !bead.blocked => {
                bead.defer_until.max(bead.not_before).unwrap_or_default()
            }
            bead::Status::Deferred => match bead.defer_until {
                Some(at) => at,
                None => return,
            },
            _ => return,
        };
        let soon = self.now.plus(self.engine.settings.arm_delay_ms);
        self.effects.push(Effect::WakeAt(due.max(soon)));
    }
}

impl<S: Sql> Engine<S> {
    /// The bead that a caller means: by its whole name, or without the rig's prefix.
    fn find_bead(&self, id: &str) -> Result<Bead, Error> {
        let mut found = self.store.bead(id)?;
        if found.is_none() && !id.contains('-') {
            found = self.store.bead(&format!("{}-{id}", self.prefix()?))?;
        }
        found.ok_or_else(|| Refusal::no_bead(id).into())
    }

    /// What the names of the rig's beads begin with if it does not say: the first word of its own name, at most 8
    /// characters.
    fn own_prefix(&self) -> String {
        let word: String = self
            .rig
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .take(8)
            .collect::<String>()
            .to_ascii_lowercase();
        if word.is_empty() { "rig".to_owned() } else { word }
    }
}

impl From<bead::IllegalTransition> for Error {
    fn from(err: bead::IllegalTransition) -> Self {
        Refusal::new(Code::Conflict, err.to_string()).into()
    }
}

impl From<review::IllegalTransition> for Error {
    fn from(err: review::IllegalTransition) -> Self {
        Refusal::new(Code::Conflict, err.to_string()).into()
    }
}

impl From<attempt::IllegalTransition> for Error {
    fn from(err: attempt::IllegalTransition) -> Self {
        Refusal::new(Code::Conflict, err.to_string()).into()
    }
}

/// The name that a caller has in notes and events.
pub(crate) fn actor(by: &Caller) -> &str {
    match by {
        Caller::Operator { actor } => actor,
        Caller::Container { .. } => "container",
        Caller::Agent(claims) => &claims.agent_id,
    }
}

/// The scheduler's name in notes and events, as users of the pollers know it.
const DISPATCHER: &str = "auto-dispatcher";

/// The patrol's name in notes and events.
const WITNESS: &str = "witness";
