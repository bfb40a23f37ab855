//! Which faults come when: from a seed alone, so that the same seed is the same sequence. Pure: it does nothing.
//!
//! ```text
//! 0 ------------------------------ 60 % ------------------------ 100 %
//! kills, stops, cuts, slow answers | the same, but no service is killed: what leaks has time to show
//! ```

use std::fmt;
use std::time::Duration;

/// Chance that is the same in each run.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the bound (`SplitMix64`).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// workerd.
    Worker,
    /// The container service.
    Container,
}

/// What a connection does to what goes over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nothing.
    Open,
    /// Connections break, and none is made.
    Refused,
    /// Connections stay, and nothing comes through.
    Silent,
    /// Requests come through, and answers are lost.
    Deaf,
    /// Each piece comes so much later, in milliseconds.
    Slow(u64),
}

/// Whose requests go over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The worker's, to the container service.
    In,
    /// Those of the service and its agents, to the worker.
    Out,
    /// All of them.
    Both,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// KILL to a service; it is started again.
    Kill(Part),
    /// KILL to both.
    KillBoth,
    /// STOP to a service, and later CONT.
    Freeze(Part),
    /// KILL to an agent's process: the n-th of those that are there, counted round.
    KillAgent(u64),
    /// STOP to one, and later CONT.
    FreezeAgent(u64),
    /// Something happens to the connection.
    Link(Way, Mode),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(part) => write!(f, "kill {part:?}"),
            Self::KillBoth => f.write_str("kill both"),
            Self::Freeze(part) => write!(f, "stop {part:?}"),
            Self::KillAgent(_) => f.write_str("kill agent"),
            Self::FreezeAgent(_) => f.write_str("stop agent"),
            Self::Link(way, Mode::Slow(_)) => write!(f, "slow {way:?}"),
            Self::Link(way, mode) => write!(f, "{mode:?} {way:?}"),
        }
    }
}

/// When, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Planned {
    /// After the beginning.
    pub at: Duration,
    /// Until it is mended, where there is something to mend; at the end of the run all is.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

/// The faults of a run, in their order.
pub fn plan(seed: u64, length: Duration) -> Vec<Planned> {
    let mut dice = Dice::new(seed);
    let mut all = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += dice.millis(500, 3_000);
        if at >= length {
            return all;
        }
        let (fault, lasts) = next(&mut dice);
        let kills = matches!(fault, Fault::Kill(_) | Fault::KillBoth);
        if !kills || at * 10 < length * 6 {
            all.push(Planned { at, lasts, fault });
        }
    }
}

/// The same with one long cut of all connections. Until its end there is no other fault of a connection, and the
/// container service is not killed: its runs shall live to see how it ends.
pub fn with_cut(plan: Vec<Planned>, cut: Duration) -> Vec<Planned> {
    let whole = Planned { at: CUT_AT, lasts: cut, fault: Fault::Link(Way::Both, Mode::Silent) };
    let spoils =
        |fault| matches!(fault, Fault::Link(..) | Fault::Kill(Part::Container) | Fault::KillBoth);
    let others = plan.into_iter().filter(|it| it.at >= CUT_AT + cut || !spoils(it.fault));
    let mut all: Vec<_> = std::iter::once(whole).chain(others).collect();
    all.sort_by_key(|it| it.at);
    all
}

/// When a long cut begins: all agents have begun to work.
const CUT_AT: Duration = Duration::from_secs(10);

/// Each container that is killed costs a bead one of the 10 runs that may be lost so: about one in 25 s, while a run
/// takes a few.
fn next(dice: &mut Dice) -> (Fault, Duration) {
    let way = [Way::In, Way::Out, Way::Both][usize::try_from(dice.below(3)).unwrap_or(0)];
    match dice.below(28) {
        0..8 => (Fault::KillAgent(dice.below(1_000)), Duration::ZERO),
        8..12 => (Fault::FreezeAgent(dice.below(1_000)), dice.millis(500, 8_000)),
        12..15 => (Fault::Kill(Part::Worker), dice.millis(0, 2_000)),
        15 => (Fault::Kill(Part::Container), dice.millis(0, 2_000)),
        16 => (Fault::KillBoth, dice.millis(0, 2_000)),
        17..19 => (Fault::Freeze(Part::Worker), dice.millis(500, 8_000)),
        19..21 => (Fault::Freeze(Part::Container), dice.millis(500, 8_000)),
        // Longer than the lease, now and then.
        21..23 => (Fault::Link(way, Mode::Refused), dice.millis(500, 15_000)),
        23..25 => (Fault::Link(way, Mode::Silent), dice.millis(500, 15_000)),
        25 => (Fault::Link(way, Mode::Deaf), dice.millis(500, 5_000)),
        _ => {
            let delay = 100 + dice.below(1_900);
            (Fault::Link(way, Mode::Slow(delay)), dice.millis(2_000, 10_000))
        }
    }
}

/// A number that two plans share only if they are the same.
pub fn digest(plan: &[Planned]) -> u64 {
    // FNV-1a over what is printed of it: the same on each machine.
    plan.iter()
        .flat_map(|it| format!("{it:?}").into_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_mins(10);

    #[test]
    fn the_same_seed_is_the_same_sequence_of_faults_and_another_seed_another() {
        assert_eq!(plan(7, TEN), plan(7, TEN));
        assert_eq!(digest(&plan(7, TEN)), digest(&plan(7, TEN)));
        assert_ne!(digest(&plan(7, TEN)), digest(&plan(8, TEN)));
    }

    #[test]
    fn a_long_cut_is_ended_by_no_other_fault_of_a_connection() {
        let cut = Duration::from_mins(3);
        let plan = with_cut(plan(7, TEN), cut);
        let links: Vec<_> = plan.iter().filter(|it| matches!(it.fault, Fault::Link(..))).collect();
        assert_eq!((links[0].at, links[0].lasts), (CUT_AT, cut));
        assert!(links[1].at >= CUT_AT + cut, "{:?}", links[1]);
        assert!(plan.is_sorted_by_key(|it| it.at));
    }

    #[test]
    fn ten_minutes_have_every_fault_and_no_service_is_killed_after_six_of_them() {
        let plan = plan(1, TEN);
        let has = |name: &str| plan.iter().any(|it| it.fault.to_string().starts_with(name));
        for name in [
            "kill Worker",
            "kill Container",
            "kill both",
            "kill agent",
            "stop Worker",
            "stop Container",
            "stop agent",
            "Refused",
            "Silent",
            "Deaf",
            "slow",
        ] {
            assert!(has(name), "no \"{name}\"");
        }
        let kills = |it: &&Planned| matches!(it.fault, Fault::Kill(_) | Fault::KillBoth);
        let last = plan.iter().rfind(kills).unwrap();
        assert!(last.at < Duration::from_mins(6), "{last:?}");
        assert!(plan.last().unwrap().at > Duration::from_mins(9));
    }
}
