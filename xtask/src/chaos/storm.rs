//! Does to a stack what a plan says, when it says so, and mends it again; meanwhile it takes samples.
//!
//! ```text
//! plan --due--> begin --lasts--> mend        a mended service is watched until it answers
//! ```

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::census::{Process, Usage, marked};
use super::link::Link;
use super::plan::{Fault, Mode, Part, Planned, Way};
use crate::stack::{START, Service, Stack};

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_millis(20);

/// Between two samples.
const SAMPLE: Duration = Duration::from_secs(1);

/// So long after its start a process has warmed up: what it takes then is compared with what it takes at the end.
const WARM_UP: Duration = Duration::from_secs(15);

/// What was seen of one service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// Times that it was started again.
    pub restarts: u32,
    /// From a start to its first answer, the longest.
    pub slowest_start: Duration,
    /// The most of both that it took.
    pub peak: Usage,
    /// What this life of it took when it had warmed up.
    pub warm: Option<Usage>,
    /// The process, and since when it is known.
    pub life: Option<(u32, Instant)>,
}

impl Watch {
    /// Takes note of what a process takes now.
    pub fn sample(&mut self, service: &Service) {
        let Some(pid) = service.pid() else { return };
        let Some(now) = Usage::of(pid) else { return };
        let since = match self.life {
            Some((known, since)) if known == pid => since,
            _ => {
                self.warm = None;
                Instant::now()
            }
        };
        self.life = Some((pid, since));
        if self.warm.is_none() && since.elapsed() >= WARM_UP {
            self.warm = Some(now);
        }
        self.peak.rss_kib = self.peak.rss_kib.max(now.rss_kib);
        self.peak.fds = self.peak.fds.max(now.fds);
    }

    fn started(&mut self, took: Duration) {
        self.restarts += 1;
        self.slowest_start = self.slowest_start.max(took);
    }
}

/// A stack under faults.
pub struct Storm<'a> {
    /// Whose parts.
    pub stack: &'a Stack,
    /// To the container service.
    pub inward: &'a Link,
    /// To the worker.
    pub outward: &'a Link,
    /// What the agents' processes have in their environment.
    pub mark: &'a str,
    /// The worker, and the container service.
    pub watches: Mutex<[Watch; 2]>,
    /// What ended by itself, or did not come back.
    pub violations: Mutex<Vec<String>>,
    /// Says each fault.
    pub trace: bool,
}

enum Mend {
    Start(Part),
    Thaw(Part),
    ThawAgent(Process),
    Open(Way),
}

impl Storm<'_> {
    /// Does all of it; answers how often each fault was met. A fault that meets nobody is not counted.
    pub fn rage(&self, plan: &[Planned], length: Duration) -> BTreeMap<String, u32> {
        thread::scope(|scope| {
            let begin = Instant::now();
            let mut counts = BTreeMap::new();
            let mut mends: Vec<(Instant, Mend)> = Vec::new();
            let mut next = plan.iter().peekable();
            let mut sampled = begin;
            while begin.elapsed() < length {
                while let Some(planned) = next.next_if(|it| it.at <= begin.elapsed()) {
                    let done = self.begin(planned.fault);
                    if self.trace {
                        eprintln!("{:7.2} s {planned:?}", begin.elapsed().as_secs_f32());
                    }
                    if !done.is_empty() {
                        *counts.entry(planned.fault.to_string()).or_default() += 1;
                    }
                    let until = Instant::now() + planned.lasts;
                    mends.extend(done.into_iter().map(|mend| (until, mend)));
                }
                let (due, later) = mends.into_iter().partition(|(at, _)| *at <= Instant::now());
                mends = later;
                for (_, mend) in Vec::from_iter::<Vec<(Instant, Mend)>>(due) {
                    self.mend(scope, mend);
                }
                if sampled.elapsed() >= SAMPLE {
                    sampled = Instant::now();
                    self.sample();
                }
                thread::sleep(LOOK);
            }
            // The faults are over, however long they were to last.
            for (_, mend) in mends {
                self.mend(scope, mend);
            }
            counts
        })
    }

    /// A sample of both.
    pub fn sample(&self) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        for (watch, service) in watches.iter_mut().zip([&self.stack.worker, &self.stack.container])
        {
            watch.sample(service);
        }
    }

    fn service(&self, part: Part) -> &Service {
        match part {
            Part::Worker => &self.stack.worker,
            Part::Container => &self.stack.container,
        }
    }

    /// Does it, and answers what there is to mend; nothing when there was nobody to do it to.
    fn begin(&self, fault: Fault) -> Vec<Mend> {
        match fault {
            Fault::Kill(part) => {
                self.kill(part);
                vec![Mend::Start(part)]
            }
            Fault::KillBoth => {
                self.kill(Part::Worker);
                self.kill(Part::Container);
                vec![Mend::Start(Part::Worker), Mend::Start(Part::Container)]
            }
            Fault::Freeze(part) => {
                self.service(part).freeze();
                vec![Mend::Thaw(part)]
            }
            Fault::KillAgent(n) => self.hit(n, Signal::SIGKILL),
            Fault::FreezeAgent(n) => self.hit(n, Signal::SIGSTOP),
            Fault::Link(way, mode) => {
                self.link(way, mode);
                vec![Mend::Open(way)]
            }
        }
    }

    /// One that has ended by itself has not been killed by us.
    fn kill(&self, part: Part) {
        self.check_alive(part);
        self.service(part).kill();
    }

    fn check_alive(&self, part: Part) {
        let service = self.service(part);
        if let Ok(Some(status)) = service.ended() {
            self.broken(format!("the {} ended by itself: {status}", service.name()));
        }
    }

    fn hit(&self, n: u64, signal: Signal) -> Vec<Mend> {
        let agents: Vec<Process> = marked(self.mark).into_iter().filter(|it| it.leads).collect();
        if agents.is_empty() {
            return Vec::new();
        }
        let at = usize::try_from(n).unwrap_or(0) % agents.len();
        agents[at].signal(signal);
        vec![Mend::ThawAgent(agents[at])]
    }

    fn link(&self, way: Way, mode: Mode) {
        if matches!(way, Way::In | Way::Both) {
            self.inward.set(mode);
        }
        if matches!(way, Way::Out | Way::Both) {
            self.outward.set(mode);
        }
    }

    fn mend<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, mend: Mend) {
        match mend {
            Mend::Start(part) => {
                if let Err(error) = self.service(part).start() {
                    self.broken(error.to_string());
                }
                scope.spawn(move || self.watch_start(part));
            }
            Mend::Thaw(part) => {
                self.check_alive(part);
                self.service(part).thaw();
            }
            Mend::ThawAgent(agent) => agent.signal(Signal::SIGCONT),
            Mend::Open(way) => self.link(way, Mode::Open),
        }
    }

    /// It may be killed or stopped again meanwhile; only one that ends by itself or never answers is at fault.
    fn watch_start(&self, part: Part) {
        let begin = Instant::now();
        match self.service(part).wait_healthy(START * 2) {
            Ok(()) => {
                let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
                watches[part as usize].started(begin.elapsed());
            }
            Err(error) => self.broken(error.to_string()),
        }
    }

    fn broken(&self, text: String) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}
