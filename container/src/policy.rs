//! What may be done: a request and what is registered go in, a verdict comes out.
//!
//! Pure: no clock, no processes, no channels. It never changes anything, so that every rule can be read and
//! tested here alone.
//!
//! ```text
//! start of attempt n, known is attempt k:
//!   n == k  already so, also when it is over      n < k  stale_attempt
//!   n > k   the older one ends first, then spawn  none   spawn, if there is room
//! and while another agent's attempt at the same bead is alive here:
//!   it is newer  stale_attempt                    it is older  it is killed; ask again when it is gone
//! ```

use beadrig::wire::PROTOCOL;
use beadrig::wire::container::{Phase, StartAgent};
use thiserror::Error;

use crate::git::names::{check_work, is_id};
use crate::limits::{ID_CHARS_MAX, TIME_LIMIT_S_MAX};

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<Deed> {
    /// This.
    Do(Deed),
    /// Nothing: it is as it was asked to be.
    AlreadySo,
    /// Nothing: it may not be.
    Deny(Denial),
}

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At once.
    Now,
    /// Once the older run of this agent is gone.
    AfterTheOlder,
}

/// What is registered of an agent.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// For which rig.
    pub rig_id: &'a str,
    /// The newest run.
    pub attempt: i64,
    /// Where that run is in its life.
    pub phase: Phase,
    /// Whether an older run is still ending.
    pub older_is_ending: bool,
}

impl Known<'_> {
    /// Whether anything of this agent still runs.
    pub fn is_live(&self) -> bool {
        self.older_is_ending || !self.phase.is_over()
    }
}

/// Another agent's run at the same bead that is not over.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// Who.
    pub agent: &'a str,
    /// Which run.
    pub attempt: i64,
}

/// How full the service is.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Agents of which anything runs.
    pub live: usize,
    /// How many there may be.
    pub capacity: usize,
    /// Whether the service is ending.
    pub closing: bool,
    /// What the machine has too little of.
    pub shortage: Option<&'a str>,
}

/// Why not. The text is for people, [`Denial::code`] for programs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Denial {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The sender speaks another version.
    #[error("this service speaks protocol {PROTOCOL}, the request has {0}: roll out both parts")]
    Protocol(u32),
    /// No such agent.
    #[error("agent {0} is not known here")]
    NotFound(String),
    /// No such run.
    #[error("attempt {attempt} of agent {agent} is not known here, the newest is {newest}")]
    NoSuchAttempt {
        /// Who.
        agent: String,
        /// The one asked for.
        attempt: i64,
        /// The one that is known.
        newest: i64,
    },
    /// The past speaks late.
    #[error("attempt {attempt} of agent {agent} is over: attempt {newest} has taken its place")]
    StaleAttempt {
        /// Who.
        agent: String,
        /// The one asked for.
        attempt: i64,
        /// The one that is known.
        newest: i64,
    },
    /// Nothing there that could listen.
    #[error("agent {agent} is {phase}, not running")]
    NotRunning {
        /// Who.
        agent: String,
        /// What it is instead.
        phase: &'static str,
    },
    /// It closed its standard input.
    #[error("agent {0} has closed its standard input")]
    InputClosed(String),
    /// It does not read its standard input.
    #[error("agent {0} does not read its standard input: try again later")]
    InputFull(String),
    /// Its bead was given on, and the run that had it is being killed.
    #[error(
        "attempt {attempt} of agent {agent} still holds the bead and is being ended: try again"
    )]
    Held {
        /// Who.
        agent: String,
        /// Which run.
        attempt: i64,
    },
    /// As many as may be.
    #[error("all {0} places are taken: try again when an agent has ended")]
    Full(usize),
    /// The machine has no room for another one.
    #[error("there is no room for another agent: {0}; try again when an agent has ended")]
    NoRoom(String),
    /// On its way out.
    #[error("the service is draining: it ends; try again when it is back")]
    Closing,
    /// A merge was started again.
    #[error("attempt {attempt} to merge {entry} is over: attempt {newest} has taken its place")]
    StaleMerge {
        /// The review.
        entry: String,
        /// The one asked for.
        attempt: i64,
        /// The one that is known.
        newest: i64,
    },
    /// As many as may wait.
    #[error("{0} merges wait already: try again later")]
    MergesFull(usize),
    /// The command did not become a process.
    #[error("{command} could not be started: {why}")]
    SpawnFailed {
        /// Its first word.
        command: String,
        /// What the system said.
        why: String,
    },
    /// A fault of ours.
    #[error("the service has lost its supervisor and is about to end")]
    Down,
}

impl Denial {
    /// The stable name of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Protocol(_) => "protocol",
            Self::NotFound(_) | Self::NoSuchAttempt { .. } => "not_found",
            Self::StaleAttempt { .. } | Self::StaleMerge { .. } => "stale_attempt",
            Self::NotRunning { .. } | Self::InputClosed(_) => "not_running",
            Self::Held { .. }
            | Self::Full(_)
            | Self::NoRoom(_)
            | Self::MergesFull(_)
            | Self::Closing
            | Self::InputFull(_) => "capacity",
            Self::SpawnFailed { .. } => "spawn_failed",
            Self::Down => "internal",
        }
    }
}

/// Whether a run may begin, and how.
pub fn start(
    request: &StartAgent,
    known: Option<Known<'_>>,
    holder: Option<Holder<'_>>,
    load: Load<'_>,
) -> Verdict<Begin> {
    if let Err(denial) = well_formed(request) {
        return Verdict::Deny(denial);
    }
    let agent = || request.agent_id.clone();
    let live = known.is_some_and(|known| known.is_live());
    if let Some(known) = known {
        if known.rig_id != request.rig_id {
            // Attempts of two rigs do not compare.
            if live {
                let (agent, rig) = (agent(), known.rig_id);
                let problem =
                    format!("agent {agent} runs for rig {rig}: agent ids are unique in a town");
                return Verdict::Deny(Denial::Invalid(problem));
            }
        } else if known.attempt == request.attempt {
            return Verdict::AlreadySo;
        } else if known.attempt > request.attempt {
            let (attempt, newest) = (request.attempt, known.attempt);
            return Verdict::Deny(Denial::StaleAttempt { agent: agent(), attempt, newest });
        }
    }
    if load.closing {
        return Verdict::Deny(Denial::Closing);
    }
    if let Some(Holder { agent, attempt }) = holder {
        let agent = agent.to_owned();
        return Verdict::Deny(if attempt > request.attempt {
            Denial::StaleAttempt { agent, attempt: request.attempt, newest: attempt }
        } else {
            Denial::Held { agent, attempt }
        });
    }
    if live {
        return Verdict::Do(Begin::AfterTheOlder);
    }
    if load.live >= load.capacity {
        return Verdict::Deny(Denial::Full(load.capacity));
    }
    if let Some(shortage) = load.shortage {
        return Verdict::Deny(Denial::NoRoom(shortage.to_owned()));
    }
    Verdict::Do(Begin::Now)
}

/// Whether there is anything to stop. An older attempt than the newest is gone or going already.
pub fn stop(agent: &str, attempt: Option<i64>, known: Option<Known<'_>>) -> Verdict<()> {
    let Some(known) = known else { return Verdict::Deny(Denial::NotFound(agent.to_owned())) };
    match attempt {
        Some(attempt) if attempt > known.attempt => Verdict::Deny(Denial::NoSuchAttempt {
            agent: agent.to_owned(),
            attempt,
            newest: known.attempt,
        }),
        Some(attempt) if attempt < known.attempt => Verdict::AlreadySo,
        _ if matches!(known.phase, Phase::Starting | Phase::Running) => Verdict::Do(()),
        _ => Verdict::AlreadySo,
    }
}

/// Whether an agent can be told something.
pub fn message(agent: &str, known: Option<Known<'_>>) -> Verdict<()> {
    match known {
        None => Verdict::Deny(Denial::NotFound(agent.to_owned())),
        Some(known) if known.phase == Phase::Running => Verdict::Do(()),
        Some(known) => {
            let phase = phase_name(known.phase);
            Verdict::Deny(Denial::NotRunning { agent: agent.to_owned(), phase })
        }
    }
}

/// The phase as on the wire.
pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Stopping => "stopping",
        Phase::Exited => "exited",
        Phase::Failed => "failed",
    }
}

fn well_formed(request: &StartAgent) -> Result<(), Denial> {
    let invalid = |problem: String| Err(Denial::Invalid(problem));
    if request.protocol != PROTOCOL {
        return Err(Denial::Protocol(request.protocol));
    }
    for (field, id) in [("agentId", &request.agent_id), ("rigId", &request.rig_id)] {
        if !is_id(id) {
            return invalid(format!(
                "{field} takes 1 to {ID_CHARS_MAX} of A-Z a-z 0-9 . _ - and no dot first"
            ));
        }
    }
    if request.command.first().is_none_or(|program| program.trim().is_empty()) {
        return invalid("command takes a program and its arguments, it is empty".to_owned());
    }
    if !(1..=TIME_LIMIT_S_MAX).contains(&request.time_limit_s) {
        return invalid(format!("timeLimitS takes 1 to {TIME_LIMIT_S_MAX}"));
    }
    if let Some(name) = request.env_vars.keys().find(|name| !is_variable(name)) {
        return invalid(format!("envVars has a name that cannot be one: {name:?}"));
    }
    if let Some(work) = &request.git {
        check_work(work).map_err(Denial::Invalid)?;
    }
    let named = [
        ("beadId", &request.bead_id),
        ("townId", &request.town_id),
        ("jobId", &request.job_id),
        ("role", &request.role),
        ("name", &request.name),
        ("identity", &request.identity),
    ];
    let texts = named.into_iter().chain(request.env_vars.values().map(|value| ("envVars", value)));
    match texts.into_iter().find(|(_, text)| text.contains('\0')) {
        Some((field, _)) => invalid(format!("{field} contains a NUL character")),
        None => Ok(()),
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

#[cfg(test)]
mod tests;
