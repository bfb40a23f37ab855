//! A model of the container service and of what runs in it, written from what it promises and from nothing else.
//!
//! ```text
//! start n: known n  already so     known k > n  refused, stale     another agent's at the bead  held, it is killed
//!          known k < n  the older is ended first                   no room, not wanted          refused
//! process: comes up -> does what its plan says -> exits, or is ended (TERM, grace, KILL)
//! lease:   120 s without an accepted heartbeat: its processes stop until one is
//! ```
//!
//! It must never look into the rig.

use std::collections::BTreeMap;

use beadrig::wire::container::StartAgent;

use crate::op::Op;

/// Without an accepted heartbeat for so long the processes are suspended, in milliseconds.
pub(crate) const LEASE_MS: i64 = 120_000;

/// Places in a container: more than the rig has agents.
pub(crate) const PLACES: usize = 8;

/// One container.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a way to be broken, and they combine")]
pub(crate) struct Container {
    pub(crate) up: bool,
    /// It takes requests and answers none.
    pub(crate) wedged: bool,
    /// Nothing goes in or out.
    pub(crate) cut: bool,
    pub(crate) suspended: bool,
    /// It is said to be full.
    pub(crate) full: bool,
    /// Which life of the service.
    pub(crate) boot: u64,
    pub(crate) runs: BTreeMap<String, Run>,
    /// Those that end before a newer one of their agent begins, by number.
    pub(crate) older: BTreeMap<i64, Run>,
    /// When an accepted heartbeat was sent last.
    pub(crate) heard: i64,
    /// Every start fails.
    pub(crate) refuses: bool,
    /// The merges that it is at, by entry and start: of which bead.
    pub(crate) merges: BTreeMap<(String, i64), String>,
    /// Those that it was at when it was killed, as its journal says.
    pub(crate) lost_merges: BTreeMap<(String, i64), String>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Registered; an older one ends first.
    Waiting,
    Running,
    /// Told to end.
    Ending,
    Over,
    Failed,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) start: StartAgent,
    pub(crate) phase: Phase,
    pub(crate) reason: &'static str,
    pub(crate) code: Option<i32>,
    /// What it will do: after how long, in milliseconds, and what.
    pub(crate) plan: Vec<(i64, Act)>,
    /// When it did something last.
    pub(crate) active: i64,
}

/// What a process does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Call(Op),
    Exit(i32),
}

/// What a start is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Begun,
    /// Begins when the older one is gone.
    Later,
    Already {
        over: bool,
    },
    Stale,
    Held {
        agent: String,
    },
    Full,
}

impl Run {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over | Phase::Failed)
    }
}

impl Container {
    pub(crate) fn new(boot: u64, t: i64) -> Self {
        Self {
            up: true,
            wedged: false,
            cut: false,
            suspended: false,
            full: false,
            boot,
            runs: BTreeMap::new(),
            older: BTreeMap::new(),
            heard: t,
            refuses: false,
            merges: BTreeMap::new(),
            lost_merges: BTreeMap::new(),
        }
    }

    /// Whether it hears what it is sent.
    pub(crate) fn hears(&self) -> bool {
        self.up && !self.wedged && !self.cut
    }

    /// Some that are wedged say nothing of themselves either.
    pub(crate) fn is_mute(&self) -> bool {
        self.wedged && self.boot.is_multiple_of(2)
    }

    /// What a start is answered, before anything is done about it.
    pub(crate) fn judge(&self, start: &StartAgent) -> Answer {
        let known = self.runs.get(&start.agent_id);
        match known.map(|it| (it.start.attempt, it.is_over())) {
            Some((n, over)) if n == start.attempt => return Answer::Already { over },
            Some((n, _)) if n > start.attempt => return Answer::Stale,
            _ => {}
        }
        let other = self.runs.values().find(|it| {
            it.start.bead_id == start.bead_id
                && it.start.agent_id != start.agent_id
                && !it.is_over()
        });
        if let Some(other) = other {
            if other.start.attempt > start.attempt {
                return Answer::Stale;
            }
            return Answer::Held { agent: other.start.agent_id.clone() };
        }
        if known.is_some_and(|it| !it.is_over()) {
            return Answer::Later;
        }
        let live = self.runs.values().filter(|it| !it.is_over()).count();
        if self.full || live >= PLACES { Answer::Full } else { Answer::Begun }
    }

    /// A run by its number.
    pub(crate) fn run(&mut self, agent: &str, attempt: i64) -> Option<&mut Run> {
        let newest = self.runs.get_mut(agent).filter(|it| it.start.attempt == attempt);
        newest.or_else(|| self.older.get_mut(&attempt))
    }

    /// Whether a process of this run is there.
    pub(crate) fn has(&self, attempt: i64) -> bool {
        let there = |it: &Run| {
            it.start.attempt == attempt && matches!(it.phase, Phase::Running | Phase::Ending)
        };
        self.up && self.runs.values().chain(self.older.values()).any(there)
    }

    /// The runs that are not over, for a heartbeat.
    pub(crate) fn beating(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().filter(|it| !it.is_over() && it.phase != Phase::Waiting)
    }
}
