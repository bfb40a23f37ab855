//! What a tick asks of a container, and what comes of it. It never decides anything.

use beadrig::command::StartAnswer;
use beadrig::wire::container::{AgentList, Problem, StartAgent};
use beadrig::wire::merge::MergeRequest;

/// What a container is asked.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    List,
    Start(Box<StartAgent>),
    Merge(Box<MergeRequest>),
    Stop { agent: String, attempt: i64 },
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Nothing,
    List(Box<AgentList>),
    Start(StartAnswer),
    /// Why it did not do what it was asked.
    Problem(Problem),
}

impl Said {
    /// As an answer to a start.
    pub(crate) fn answer(self) -> StartAnswer {
        match self {
            Self::Start(answer) => answer,
            Self::Problem(problem) => StartAnswer::of(problem),
            Self::Nothing | Self::List(_) => StartAnswer::Unknown("no answer".to_owned()),
        }
    }

    /// Why there is no room, if the container says so.
    pub(crate) fn no_room(&self) -> Option<String> {
        match self {
            Self::Start(StartAnswer::NoRoom(why)) => Some(why.clone()),
            Self::Problem(problem) => Some(problem.error.clone()),
            _ => None,
        }
    }
}

/// A question of a tick: which life, which tick, which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) life: u64,
    pub(crate) tick: u64,
    pub(crate) call: u64,
}
