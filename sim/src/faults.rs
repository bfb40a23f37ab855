//! Which faults a seed has, and how often. A seed has some of them and not all: with all at once nothing would ever
//! be finished, and what two of them do together would be lost in the noise.

use crate::rng::Rng;

/// Everything that can go wrong. A long run in which one of them never did shows nothing about it.
pub(crate) const FAULTS: [&str; 58] = [
    "call lost",
    "call late",
    "call twice",
    "answer lost",
    "start late",
    "start twice",
    "start's answer lost",
    "list late",
    "list's answer lost",
    "rig crashes before a call",
    "rig crashes, the disk did not get it",
    "rig crashes after a call, unanswered",
    "rig crashes in a tick, before the disk got it",
    "rig crashes in a tick, before the calls",
    "rig crashes in a tick, at an answer",
    "rig is away",
    "rig is restored to an earlier day",
    "alarm twice",
    "alarm late",
    "clock jumps forward",
    "clock jumps back",
    "one write fails",
    "disk is full",
    "container dies",
    "container restarts",
    "container wedged",
    "container is cut off",
    "container is thought dead and lives",
    "container has no room",
    "start refused",
    "agent dies",
    "agent exits without a word",
    "agent hangs",
    "agent lingers after its close",
    "zombie speaks",
    "agent says it twice",
    "container restarts all the time",
    "alarm is lost",
    "agent is silent",
    "every start fails",
    "deployment is paused",
    "a dead container is heard late",
    "container is replaced at a start, and lives",
    "merge is lost",
    "merge conflicts",
    "gate fails",
    "push is rejected",
    "nothing is to be merged",
    "service is killed at a merge",
    "a killed service's merge is reported",
    "rig and container are of different versions",
    "container's disk is full",
    "container's memory is full",
    "agent is silent for hours",
    "every start fails for half a day",
    "agent asks for help",
    "a text is too large",
    "mail is read, and its reader does not hear it",
];

/// What a seed is about, beside its faults: how the rig is set, and what is there to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// Agents hang, and the rig is set to notice soon.
    Silent,
    /// For hours every start fails, and nothing else does.
    Outage,
    /// Runs cost money.
    Budget,
    /// The rig has a repository.
    Merges,
    /// As before, and most merges are lost.
    MergesLost,
}

impl Kind {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        match rng.below(20) {
            0..=2 => Self::Silent,
            3 => Self::Outage,
            4..=5 => Self::Budget,
            6..=9 => Self::Merges,
            10 => Self::MergesLost,
            _ => Self::Plain,
        }
    }

    /// Whether work is merged.
    pub(crate) fn merges(self) -> bool {
        matches!(self, Self::Merges | Self::MergesLost)
    }
}

/// Every agent that is started dies.
pub(crate) const EVERY_ONE: u32 = 1_000;

/// How often, in a thousand; and what may happen by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u32,
    pub(crate) late: u32,
    pub(crate) twice: u32,
    pub(crate) rig_crash: u32,
    pub(crate) alarm: u32,
    pub(crate) write_fails: u32,
    pub(crate) no_room: u32,
    pub(crate) refused: u32,
    /// Agents that do not do what they should.
    pub(crate) bad_agents: u32,
    pub(crate) zombies: u32,
    /// Starts at which the town takes another container.
    pub(crate) swaps: u32,
    /// Whether the container restarts all the time.
    pub(crate) storm: bool,
    /// Big things, one at a time.
    pub(crate) blows: Vec<Blow>,
}

/// A big thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    ContainerDies,
    ContainerRestarts,
    Wedged,
    CutOff,
    ThoughtDead,
    RigAway,
    Restored,
    Clock,
    DiskFull,
    NoRoom,
}

impl Faults {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let mut some = |most: i64| -> u32 {
            if rng.chance(500) { u32::try_from(rng.range(1, most)).unwrap_or(0) } else { 0 }
        };
        let mut faults = Self {
            lost: some(150),
            late: some(100),
            twice: some(150),
            rig_crash: some(60),
            alarm: some(100),
            write_fails: some(30),
            no_room: some(300),
            refused: some(150),
            bad_agents: some(900),
            zombies: some(300),
            swaps: 0,
            storm: false,
            blows: Vec::new(),
        };
        let all = [
            Blow::ContainerDies,
            Blow::ContainerRestarts,
            Blow::Wedged,
            Blow::CutOff,
            Blow::ThoughtDead,
            Blow::RigAway,
            Blow::DiskFull,
            Blow::NoRoom,
        ];
        faults.blows = all.into_iter().filter(|_| rng.chance(300)).collect();
        if faults.blows.contains(&Blow::ThoughtDead) && rng.chance(500) {
            faults.swaps = 100;
        }
        // A number that was given before the clock was set back may be given again to a rig that was restored: who
        // restores a rig sees to its clock first.
        match rng.below(8) {
            0 => faults.blows.push(Blow::Restored),
            1 => faults.blows.push(Blow::Clock),
            3 if rng.chance(500) => {
                faults = Self { bad_agents: EVERY_ONE, ..Self::default() };
            }
            2 if rng.chance(500) => {
                faults =
                    Self { storm: true, blows: vec![Blow::ContainerRestarts], ..Self::default() };
            }
            _ => {}
        }
        faults
    }
}
