//! What a run may take, and whether it has taken more. Pure: time and figures are arguments.
//!
//! While a run is suspended its clocks stand still.

use std::time::Duration;

use tokio::time::Instant;

use super::census::Usage;

const MIB: u64 = 1024 * 1024;

/// The bounds of one run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it may run.
    pub time: Duration,
    /// How long it may print nothing.
    pub idle: Option<Duration>,
    /// What its processes may take together, in bytes.
    pub memory: Option<u64>,
    /// How many processes it may have.
    pub processes: Option<u64>,
}

/// Which bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It has run for as long as it may.
    Time(Duration),
    /// It has printed nothing for too long.
    Idle(Duration),
    /// It takes too much memory: this much, of so much.
    Memory(u64, u64),
    /// It has too many processes: so many, of so many.
    Processes(u64, u64),
}

impl Over {
    /// The reason of its end, as in the exit report.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Time(_) => "timeout",
            Self::Idle(_) => "idle",
            Self::Memory(..) => "memory",
            Self::Processes(..) => "processes",
        }
    }

    /// Whether there is no time for a grace: more of the same would take the others down too.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Memory(..) | Self::Processes(..))
    }

    /// What is put at the end of its output.
    pub fn sentence(self) -> String {
        match self {
            Self::Time(limit) => format!("ended: it ran for {} s, its limit", limit.as_secs()),
            Self::Idle(limit) => format!("ended: it printed nothing for {} s", limit.as_secs()),
            Self::Memory(used, limit) => format!(
                "ended: its processes took {} MiB together, more than {} MiB",
                used / MIB,
                limit / MIB
            ),
            Self::Processes(count, limit) => {
                format!("ended: it had {count} processes, more than {limit}")
            }
        }
    }
}

/// Measures one run.
#[derive(Debug)]
pub struct Meter {
    bounds: Bounds,
    ran: Duration,
    quiet: Duration,
    since: Option<Instant>,
    said: u64,
}

impl Meter {
    /// It begins now.
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        let (ran, quiet) = (Duration::ZERO, Duration::ZERO);
        Self { bounds, ran, quiet, since: Some(now), said: 0 }
    }

    /// It is suspended.
    pub fn suspend(&mut self, now: Instant) {
        self.advance(now);
        self.since = None;
    }

    /// It goes on.
    pub fn resume(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Whether it is suspended.
    pub fn is_suspended(&self) -> bool {
        self.since.is_none()
    }

    /// When its time is up, if it is not suspended until then.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + self.bounds.time.saturating_sub(self.ran))
    }

    /// Looks at it: how many bytes it has printed since it began, and what it takes.
    pub fn check(&mut self, now: Instant, said: u64, usage: Usage) -> Option<Over> {
        self.advance(now);
        if said != self.said {
            self.said = said;
            self.quiet = Duration::ZERO;
        }
        let Bounds { time, idle, memory, processes } = self.bounds;
        let memory = memory.filter(|limit| usage.memory > *limit);
        let processes = processes.filter(|limit| usage.processes > *limit);
        let idle = idle.filter(|limit| self.quiet >= *limit);
        memory
            .map(|limit| Over::Memory(usage.memory, limit))
            .or(processes.map(|limit| Over::Processes(usage.processes, limit)))
            .or((self.ran >= time).then_some(Over::Time(time)))
            .or(idle.map(Over::Idle))
            .filter(|_| self.since.is_some())
    }

    fn advance(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let passed = now.saturating_duration_since(since);
        self.ran += passed;
        self.quiet += passed;
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        time: Duration::from_secs(100),
        idle: Some(Duration::from_secs(10)),
        memory: Some(5 * MIB),
        processes: Some(3),
    };
    const SMALL: Usage = Usage { processes: 1, memory: MIB };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn whoever_prints_is_not_idle() {
        let start = Instant::now();
        let mut meter = Meter::new(BOUNDS, start);
        assert_eq!(meter.check(after(start, 9), 1, SMALL), None);
        assert_eq!(meter.check(after(start, 18), 1, SMALL), None);
        let over = meter.check(after(start, 19), 1, SMALL);
        assert_eq!(over, Some(Over::Idle(Duration::from_secs(10))));
        assert_eq!(meter.check(after(start, 19), 2, SMALL), None);
    }

    #[test]
    fn the_clocks_of_a_suspended_run_stand_still() {
        let start = Instant::now();
        let mut meter = Meter::new(BOUNDS, start);
        meter.suspend(after(start, 5));
        assert_eq!((meter.check(after(start, 500), 0, SMALL), meter.due()), (None, None));
        meter.resume(after(start, 1000));
        meter.resume(after(start, 1001));
        assert_eq!(meter.due(), Some(after(start, 1095)));
        assert_eq!(meter.check(after(start, 1004), 0, SMALL), None);
        assert!(meter.check(after(start, 1005), 0, SMALL).is_some_and(|it| it.reason() == "idle"));
    }

    #[test]
    fn each_bound_is_named_with_its_figures() {
        let start = Instant::now();
        let mut meter = Meter::new(BOUNDS, start);
        let fat = meter.check(start, 0, Usage { processes: 2, memory: 6 * MIB }).unwrap();
        assert_eq!(fat.sentence(), "ended: its processes took 6 MiB together, more than 5 MiB");
        let many = meter.check(start, 0, Usage { processes: 4, memory: 0 }).unwrap();
        assert_eq!((many.reason(), many.is_urgent()), ("processes", true));
        let late = meter.check(after(start, 100), 1, SMALL).unwrap();
        assert_eq!((late.reason(), late.is_urgent()), ("timeout", false));
        let free = Bounds { idle: None, memory: None, processes: None, ..BOUNDS };
        let huge = Usage { processes: 1 << 20, memory: 1 << 50 };
        assert_eq!(Meter::new(free, start).check(after(start, 99), 0, huge), None);
    }
}
