//! Everything that can be asked of a rig, and what it answers. Only the engine acts on these.

use serde_json::{Map, Value};

use crate::agent::Role;
use crate::attempt::State;
use crate::bead::Bead;
use crate::id::Millis;
use crate::molecule::Molecule;
use crate::refusal::Refusal;
use crate::store::{Comment, Escalation, Mail, Member, Pause};
use crate::token::Caller;
use crate::wire::agents::{AppendEvents, ReadMail, SendMail, SetAgentStatus};
use crate::wire::container::{Advice, ExitReport, Heartbeat, Problem};
use crate::wire::convoy::CreateConvoy;
use crate::wire::dependencies::AddDependency;
use crate::wire::directory::Register;
use crate::wire::escalations::Escalate;
use crate::wire::exchange::{AddComment, ImportBatch, ImportReport};
use crate::wire::merge::{LandingVerdict, MergeAtWork, MergeRequest};
use crate::wire::molecule::{Advance, Advanced, CreateMolecule};
use crate::wire::review::{CompleteReview, SubmitReview};
use crate::wire::rig::{CreateBead, Done, RegisterAgent, UpdateBead};
use crate::wire::sling::Sling;
use crate::wire::town_config::TownLayer;

/// When a command is carried out, and what chance there is in it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time.
    pub now: Millis,
    /// For names.
    pub seed: u64,
}

/// A change that is asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a bead.
    CreateBead(Caller, Box<CreateBead>),
    /// Changes a bead.
    UpdateBead(Caller, String, Box<UpdateBead>),
    /// Appends a note to a bead.
    AddNote(Caller, String, String),
    /// Says something about a bead.
    AddComment(Caller, String, AddComment),
    /// Takes beads from a file.
    Import(Caller, ImportBatch),
    /// Closes a bead, with a reason.
    CloseBead(Caller, String, Option<String>),
    /// Opens a bead again, with a reason.
    ReopenBead(Caller, String, Option<String>),
    /// Deletes a bead and all that belongs to it.
    DeleteBead(Caller, String),
    /// Has a bead depend on another.
    AddDependency(Caller, String, AddDependency),
    /// Has a bead (the first) depend on another (the second) no more.
    RemoveDependency(Caller, String, String),
    /// Opens a bead that is in progress for an agent and held by none.
    Orphaned(String),
    /// Forgets an agent that had no run for long.
    Forget(String),
    /// Opens a bead that was deferred until now.
    Due(String),
    /// Makes an agent.
    RegisterAgent(RegisterAgent),
    /// Gets a free agent of a role, or makes one.
    GetOrCreateAgent(Role),
    /// Hooks a bead (the second) to an agent (the first).
    HookBead(Caller, String, String),
    /// Takes an agent's bead from it.
    UnhookBead(Caller, String),
    /// Leaves something for the next run on the agent's bead.
    Checkpoint(Caller, String, Value),
    /// An agent says that it is alive.
    Heartbeat(Caller, String),
    /// An agent says that its work is done.
    Done(Caller, String, Done),
    /// Says of an agent that it is blocked, dead, or idle again.
    SetAgentStatus(Caller, String, SetAgentStatus),
    /// Forgets an agent.
    DeleteAgent(Caller, String),
    /// Appends to what an agent printed and did.
    AppendEvents(Caller, AppendEvents),
    /// Sends a mail to an agent.
    SendMail(Caller, SendMail),
    /// Reads an agent's mail.
    ReadMail(Caller, String, ReadMail),
    /// An agent says which of its mails it has.
    AckMail(Caller, String, Vec<String>),
    /// Asks people for help.
    Escalate(Caller, Box<Escalate>),
    /// Somebody saw an escalation.
    Acknowledge(Caller, String),
    /// Raises an escalation that nobody acknowledged.
    EscalateAgain(String),
    /// The container, in this life of its service, says which of its runs are alive.
    Heartbeats(Option<String>, Vec<Heartbeat>),
    /// The container, or the agent itself, says that a run is over.
    Exited(Caller, String, ExitReport),
    /// What the container said to a start: agent, attempt, answer.
    StartAnswered(String, i64, StartAnswer),
    /// Takes a bead from the queue and starts an agent on it.
    Claim(String),
    /// Starts an agent that is hooked and has no run.
    Start(String),
    /// Asks again for a run that is not confirmed.
    AskAgain(String, i64),
    /// Acts on what the patrol saw of a run.
    Act(String, i64, Judgement),
    /// The patrol saw these attempts alive in this life of the container service, with the last activity of each.
    Saw(Option<String>, Vec<(i64, Millis)>),
    /// Makes a bead and hooks it to a free agent.
    Sling(Caller, Box<Sling>),
    /// Has nothing claimed any more, with a reason.
    Pause(Caller, Option<String>),
    /// Has beads claimed again.
    Resume(Caller),
    /// How the switch of the whole deployment stands.
    DeploymentPaused(Option<Pause>),
    /// Hands a bead to an agent now.
    Dispatch(Caller, String),
    /// Takes a bead for the caller, if it is nobody's.
    Take(Caller, String),
    /// Changes what the rig sets for itself.
    PatchConfig(Caller, Map<String, Value>),
    /// Hands in a branch.
    SubmitReview(Caller, SubmitReview),
    /// The merge of these reviews begins, all into one branch.
    StartReviews(Vec<String>),
    /// Asks again for merges of which nobody has confirmed that they began.
    AskToMergeAgain(Vec<String>),
    /// What the container said to a merge: reviews with the numbers of their starts, answer.
    MergeAnswered(Vec<MergeAtWork>, StartAnswer),
    /// The container asks whether these may land.
    Landing(Vec<MergeAtWork>),
    /// The container says that it is at these merges.
    Merging(Vec<MergeAtWork>),
    /// Nothing was heard of a review's merge.
    RecoverReview(String),
    /// Says what came of a review.
    CompleteReview(Caller, String, CompleteReview),
    /// Gives a bead steps.
    CreateMolecule(Caller, CreateMolecule),
    /// Says that a step of an agent's bead is done.
    AdvanceMolecule(Caller, String, Advance),
    /// Puts beads together.
    CreateConvoy(Caller, CreateConvoy),
    /// Makes the rig one of a town, and brings it back if it was deleted.
    Register(Caller, Register),
    /// Takes what the town sets for all of its rigs.
    SetLayer(TownLayer),
    /// Ends the rig and all that it holds.
    DeleteEverything(Caller),
}

/// What the patrol makes of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is alive; its last activity.
    Alive(Millis),
    /// It ended.
    Over(State, String, Option<i32>, Option<String>),
    /// The container did not answer, and it was not heard of for long.
    Suspect,
    /// It takes too long.
    TooLong,
    /// It was silent for so many milliseconds: its agent shall be told …
    Nudge(i64),
    /// … a person shall be asked …
    AskForHelp(i64),
    /// … and it shall be stopped.
    Stall(i64),
    /// Nothing moved on its bead for so many milliseconds.
    Reap(i64),
}

/// What the container said to a start, of a run or of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAnswer {
    /// The process is up.
    Accepted,
    /// Certainly not started, and it would not help to ask the same again soon.
    Refused(String),
    /// Certainly not started: no container, or no room in it.
    NoRoom(String),
    /// It may have been started or not.
    Unknown(String),
}

impl StartAnswer {
    /// What a container means that says why it did not do what it was asked.
    pub fn of(problem: Problem) -> Self {
        match problem.code.as_str() {
            // A fault of its own, such as in the last moments of a service that ends: it may have begun it before.
            "unknown" | "internal" => Self::Unknown(problem.error),
            "protocol" if crate::mutant!(ProtocolCounts) => Self::Refused(problem.error),
            "capacity" if crate::mutant!(CapacityCounts) => Self::Refused(problem.error),
            // Certainly not begun; and what is wrong is the container, not the bead.
            "capacity" | "unauthorized" | "protocol" => Self::NoRoom(problem.error),
            _ => Self::Refused(problem.error),
        }
    }
}

/// What a command answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// The bead as it is now.
    Bead(Box<Bead>),
    /// The agent as it is now.
    Agent(Box<Member>),
    /// A bead, and the agent that has it now.
    Slung(Box<Bead>, Box<Member>),
    /// The run that is at the bead.
    Job(String),
    /// The review.
    Submitted(String),
    /// The molecule as it is now.
    Molecule(Box<Molecule>),
    /// Where the molecule is now.
    Advanced(Box<Advanced>),
    /// The convoy.
    Convoy(String),
    /// The number of the last event, or of the mail, or how many.
    Number(i64),
    /// Mails, oldest first.
    Mail(Vec<Mail>),
    /// The escalation as it is now, and whether it is new.
    Escalation(Box<(Bead, Escalation)>, bool),
    /// Whether each merge may land.
    Landings(Vec<LandingVerdict>),
    /// A comment as it is now.
    Comment(Box<Comment>),
    /// What became of each line.
    Imported(Box<ImportReport>),
    /// What to do with each run.
    Verdicts(Vec<(Heartbeat, Advice)>),
}

/// Something to do outside, after the change is durable.
///
/// What must happen can be read from the rows as well, so an effect that is lost is found again by the tick.
#[derive(Clone, Debug)]
#[must_use = "an effect that nobody performs happens late"]
pub enum Effect {
    /// Ask the container for a process.
    Start(Box<crate::wire::container::StartAgent>),
    /// Ask the container to merge.
    Merge(Box<MergeRequest>),
    /// Ask the container to end a process.
    Stop {
        /// Whose.
        agent: String,
        /// Which run.
        attempt: i64,
        /// Why.
        reason: String,
    },
    /// Hand a line to a process.
    Nudge {
        /// Whose.
        agent: String,
        /// What it is told.
        text: String,
    },
    /// Wake the rig at this time, if nothing wakes it sooner.
    WakeAt(Millis),
    /// Tell whoever watches.
    Tell(Tell),
}

/// One line for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tell {
    /// What happened.
    pub event: String,
    /// To which bead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bead: Option<String>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// More, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What came of a command.
#[derive(Debug)]
pub struct Outcome {
    /// For the caller.
    pub reply: Reply,
    /// To be performed.
    pub effects: Vec<Effect>,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller asked for something that cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The rig is at fault.
    #[error(transparent)]
    Fault(#[from] crate::store::SqlError),
}
