//! `cargo xtask chaos`: the real worker, the real container service and real agents, all of them killed, stopped and
//! cut off at random from a seed while beads come in; then everything must be done, once.
//!
//! ```text
//! warm up --> kill -9 with 10 agents --> storm (plan.rs) --> heal: all is done within HEAL_MAX --> verdict
//! ```
//!
//! | file | what |
//! |---|---|
//! | `plan` | which faults come when, from the seed alone |
//! | `storm` | does them, mends them, takes samples |
//! | `link` | the connection between worker and container service |
//! | `work` | hands in beads, and asks the rigs afterwards |
//! | `evidence` | judges what the agents wrote down |
//! | `census` | processes, memory and file descriptors, from `/proc` |
//!
//! It judges by what agents wrote down and by what the API answers, never by the rows. Linux only: it needs `/proc`.

pub mod census;
pub mod evidence;
pub mod link;
pub mod plan;
pub mod storm;
pub mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::census::{Process, Usage, marked};
use self::link::Link;
use self::storm::{Storm, Watch};
use self::work::Person;
use crate::error::{Doing as _, Error, Result};
use crate::stack::{Options, START, Stack};
use crate::tools::Tools;
use crate::worker::{self, Variant};
use crate::{repo, up};

const RIGS: [&str; 5] = ["r1", "r2", "r3", "r4", "r5"];

/// Agents of a rig at once: 30 of all rigs.
const AGENTS: usize = 6;

/// How long all work may take once the faults are over: what is held up longest is a run whose agent waits for an
/// answer that was lost, and then a back-off.
const HEAL_MAX: Duration = Duration::from_mins(3);

/// Agents at the `kill -9` that is measured: two of each rig.
const KILLED_AGENTS: usize = 10;

/// How long one of their processes may be left once the service is started again.
const SWEPT_MAX: Duration = Duration::from_secs(5);

/// What a process may take more at the end than when it had warmed up. V8 gives back late what it has taken.
const WORKER_GROWTH_KIB: u64 = 128 * 1024;
/// The service keeps the end of the output of 200 runs that are over.
const CONTAINER_GROWTH_KIB: u64 = 32 * 1024;
/// Idle, it needs no more than with all agents at work; a connection or two may be kept for the next request.
const FDS_GROWTH: u64 = 16;

/// How often something is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// So that nothing waits for half a minute to be looked at again; the lease is shorter than the longer cuts.
const QUICK: [(&str, &str); 11] = [
    ("ACTIVE_ALARM_MS", "1000"),
    ("ARM_DELAY_MS", "50"),
    ("BACK_OFF_MS", "500,1000,2000"),
    ("DRAIN_MS", "500"),
    ("GRACE_MS", "1000"),
    ("HEARTBEAT_MS", "1000"),
    ("HEARTBEAT_STALE_MS", "5000"),
    ("LEASE_MS", "8000"),
    ("MAX_CONCURRENCY", "40"),
    // Agents are killed more often than any bead would bear.
    ("MAX_ATTEMPTS", "20"),
    ("START_TIMEOUT_MS", "20000"),
];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Where the faults come from.
    pub seed: u64,
    /// How long they come.
    pub length: Duration,
    /// One long cut of all connections besides; one of over 180 s makes the rigs give their runs up.
    pub cut: Option<Duration>,
    /// Says each fault as it happens.
    pub trace: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Of the seed.
    pub wish: Wish,
    /// A number that belongs to the sequence of faults.
    pub digest: u64,
    /// Beads that were handed in.
    pub beads: usize,
    /// Runs that began.
    pub runs: usize,
    /// Faults that met somebody.
    pub faults: BTreeMap<String, u32>,
    /// The worker, and the container service.
    pub watches: [Watch; 2],
    /// What they took at the end, idle.
    pub last: [Option<Usage>; 2],
    /// From the last line of a run that was lost to the first of the next one of its bead, the longest; and which.
    pub longest_recovery: (Duration, String),
    /// From the end of the faults until all was done.
    pub healed: Duration,
    /// Processes that a killed service left, and until when none of them was there, from its new start.
    pub swept: (usize, Duration),
    /// Promises that were broken.
    pub violations: Vec<String>,
}

/// Builds what is not built, makes a storm and prints what came of it; whether all held.
pub fn command(wish: Wish) -> Result<bool> {
    Tools::prepare()?;
    worker::build(Variant::Test)?;
    up::build_programs(false)?;
    let data = repo::target().join("chaos").join(wish.seed.to_string());
    fs::remove_dir_all(&data).ok();
    let report = run(Options::for_test(&data)?, wish)?;
    println!("{report}");
    if !report.violations.is_empty() {
        println!("what was written is in {}", data.display());
    }
    Ok(report.violations.is_empty())
}

/// Makes a storm in a stack of these options.
pub fn run(options: Options, wish: Wish) -> Result<Report> {
    if !Path::new("/proc/self/environ").is_file() {
        return Err(Error::new("a chaos run needs /proc, which this system does not have"));
    }
    fs::create_dir_all(&options.data).doing_to("create", &options.data)?;
    let data = options.data.canonicalize().doing_to("find", &options.data)?;
    let logs = data.join("agents");
    fs::create_dir_all(&logs).doing_to("create", &logs)?;
    let (inward, outward) =
        (Link::to(options.container_port.number())?, Link::to(options.port.number())?);
    let person = Person::new(options.port.number(), &options.secrets.token);
    let mark = format!("BEADRIG_SUPERVISOR={}", data.join("container").display());
    let stack = Stack::start(prepared(options, &logs, &inward, &outward))?;
    let storm = Storm {
        stack: &stack,
        inward: &inward,
        outward: &outward,
        mark: &mark,
        watches: Mutex::default(),
        violations: Mutex::default(),
        trace: wish.trace,
    };
    Scene { storm, person, logs: &logs, beads: BTreeMap::new() }.play(wish)
}

fn prepared(mut options: Options, logs: &Path, inward: &Link, outward: &Link) -> Options {
    for (name, value) in QUICK {
        options = options.set(name, value);
    }
    let agent = repo::root().join("tests/system/agents/toils");
    let agent = agent.display().to_string().replace('\'', r"'\''");
    options.container_env.insert("STORM".to_owned(), logs.display().to_string());
    options.container_env.insert("BEADRIG_URL".to_owned(), outward.url.clone());
    options
        .set("MAX_AGENTS", AGENTS)
        .set("AGENT_COMMAND", format!("'{agent}' {{title}}"))
        .set("CONTAINER_URL", &inward.url)
        .set("PUBLIC_URL", &outward.url)
}

struct Scene<'a> {
    storm: Storm<'a>,
    person: Person,
    logs: &'a Path,
    /// That were handed in, of each rig.
    beads: BTreeMap<&'static str, Vec<String>>,
}

impl Scene<'_> {
    fn play(mut self, wish: Wish) -> Result<Report> {
        let mut plan = plan::plan(wish.seed, wish.length);
        if let Some(cut) = wish.cut {
            plan = plan::with_cut(plan, cut);
        }
        for rig in RIGS {
            self.hand_in(rig, "1 0 close", "warm")?;
        }
        self.until_done()?;
        let swept = self.kill_service()?;
        let (faults, handed_in) = self.rage(&plan, wish)?;
        for (rig, beads) in handed_in {
            self.beads.entry(rig).or_default().extend(beads);
        }
        let mended = Instant::now();
        for service in [&self.storm.stack.worker, &self.storm.stack.container] {
            service.start()?;
            service.wait_healthy(START)?;
        }
        let healing = self.until_done();
        let healed = mended.elapsed();
        let mut violations: Vec<String> =
            healing.err().map(|it| it.to_string()).into_iter().collect();
        let judged = self.judge(&mut violations)?;
        let left = self.left();
        if left > 0 {
            violations.push(format!("{left} processes of agents are left"));
        }
        let stack = self.storm.stack;
        let last = [&stack.worker, &stack.container].map(|it| it.pid().and_then(Usage::of));
        let watches = *self.storm.watches.lock().map_err(|_| Error::new("a thread panicked"))?;
        growth(&watches, last, &mut violations);
        if swept.1 > SWEPT_MAX {
            violations
                .push(format!("after a kill -9 of the service agents were left for {:?}", swept.1));
        }
        let during = self.storm.violations.lock().map_err(|_| Error::new("a thread panicked"))?;
        violations.extend(during.iter().cloned());
        Ok(Report {
            wish,
            digest: plan::digest(&plan),
            beads: self.beads.values().map(Vec::len).sum(),
            runs: judged.0,
            faults,
            watches,
            last,
            longest_recovery: judged.1,
            healed,
            swept,
            violations,
        })
    }

    fn hand_in(&mut self, rig: &'static str, title: &str, key: &str) -> Result<()> {
        let bead = self.person.hand_in(rig, title, &format!("{key}-{rig}"))?;
        self.beads.entry(rig).or_default().push(bead);
        Ok(())
    }

    /// The faults, and the beads that come in meanwhile.
    #[expect(clippy::type_complexity, reason = "two things, each said once")]
    fn rage(
        &self,
        plan: &[plan::Planned],
        wish: Wish,
    ) -> Result<(BTreeMap<String, u32>, Vec<(&'static str, Vec<String>)>)> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let busy: Vec<_> = RIGS
                .into_iter()
                .zip(1..)
                .map(|(rig, n)| {
                    let (person, over) = (&self.person, &over);
                    (rig, scope.spawn(move || person.keep_busy(rig, wish.seed ^ (n << 32), over)))
                })
                .collect();
            let faults = self.storm.rage(plan, wish.length);
            over.store(true, Ordering::Relaxed);
            let mut beads = Vec::new();
            for (rig, busy) in busy {
                let handed_in = busy.join().map_err(|_| Error::new("a thread panicked"))?;
                beads.push((rig, handed_in?));
            }
            Ok((faults, beads))
        })
    }

    /// Waits until every bead is finished and every agent idle.
    fn until_done(&self) -> Result<()> {
        let deadline = Instant::now() + HEAL_MAX;
        loop {
            let mut left = Vec::new();
            for rig in RIGS {
                match self.person.unfinished(rig) {
                    Ok(said) => left.extend(said),
                    Err(error) => left.push(error.to_string()),
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let seconds = HEAL_MAX.as_secs();
                return Err(Error::new(format!("not done after {seconds} s: {}", left.join("; "))));
            }
            self.storm.sample();
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// KILL to the service with agents at work, and how long after its start one of their processes is left.
    fn kill_service(&mut self) -> Result<(usize, Duration)> {
        for n in 0..KILLED_AGENTS {
            self.hand_in(RIGS[n % RIGS.len()], "3 2 close", &format!("killed-{n}"))?;
        }
        let deadline = Instant::now() + START;
        let agents = loop {
            let agents = marked(self.storm.mark);
            if agents.iter().filter(|it| it.leads).count() >= KILLED_AGENTS {
                break agents;
            }
            if Instant::now() > deadline {
                let text = format!("{} processes instead of {KILLED_AGENTS} agents", agents.len());
                return Err(Error::new(text));
            }
            thread::sleep(LOOK);
        };
        let service = &self.storm.stack.container;
        service.kill();
        service.start()?;
        let begin = Instant::now();
        while agents.iter().any(|it: &Process| it.is_there()) && begin.elapsed() < START {
            thread::sleep(LOOK);
        }
        let took = begin.elapsed();
        service.wait_healthy(START)?;
        self.until_done()?;
        Ok((agents.len(), took))
    }

    /// How many runs there were and the longest recovery, from the evidence; and what else the rigs say.
    fn judge(&self, violations: &mut Vec<String>) -> Result<(usize, (Duration, String))> {
        let (mut runs, mut longest) = (0, (Duration::ZERO, String::new()));
        for (rig, beads) in &self.beads {
            let entries = evidence::read(self.logs, rig);
            let findings = evidence::judge(&entries);
            runs += findings.runs;
            longest = longest.max(findings.longest_recovery);
            violations.extend(findings.violations);
            let broken = self.person.verdict(rig, beads).doing("ask a rig for its audit")?;
            violations.extend(broken);
            let never_ran = |id: &&String| entries.iter().all(|it| it.bead != **id);
            let idle = beads.iter().filter(never_ran).map(|id| format!("{id} never ran"));
            violations.extend(idle);
        }
        Ok((runs, longest))
    }

    /// Processes of agents that are still there, once they had the time to end.
    fn left(&self) -> usize {
        let deadline = Instant::now() + SWEPT_MAX;
        loop {
            let left = marked(self.storm.mark).len();
            if left == 0 || Instant::now() > deadline {
                return left;
            }
            thread::sleep(LOOK);
        }
    }
}

fn growth(watches: &[Watch; 2], last: [Option<Usage>; 2], violations: &mut Vec<String>) {
    let bounds = [("worker", WORKER_GROWTH_KIB), ("container service", CONTAINER_GROWTH_KIB)];
    for ((name, rss_max), (watch, last)) in bounds.into_iter().zip(watches.iter().zip(last)) {
        let Some(last) = last else {
            violations.push(format!("the {name} is gone"));
            continue;
        };
        let Some(warm) = watch.warm else { continue };
        if last.rss_kib > warm.rss_kib + rss_max {
            let text = format!("the {name} grew from {} to {} KiB", warm.rss_kib, last.rss_kib);
            violations.push(text);
        }
        if last.fds > warm.fds + FDS_GROWTH {
            violations.push(format!("the {name} had {} and has {} open files", warm.fds, last.fds));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, seconds) = (self.wish.seed, self.wish.length.as_secs());
        writeln!(f, "seed {seed}, {seconds} s, faults {:016x}", self.digest)?;
        writeln!(f, "beads {}, runs {}", self.beads, self.runs)?;
        let all: u32 = self.faults.values().sum();
        let kinds: Vec<_> = self.faults.iter().map(|(name, n)| format!("{name} {n}")).collect();
        writeln!(f, "faults {all}: {}", kinds.join(", "))?;
        let names = ["worker", "container service"];
        for ((name, watch), last) in names.into_iter().zip(&self.watches).zip(self.last) {
            let Watch { restarts, slowest_start, peak, .. } = watch;
            let (warm, last) = (watch.warm.unwrap_or_default(), last.unwrap_or_default());
            writeln!(
                f,
                "{name}: {restarts} restarts, slowest start {slowest_start:.1?}; RSS {} -> {} KiB, at most {}; \
                 files {} -> {}, at most {}",
                warm.rss_kib, last.rss_kib, peak.rss_kib, warm.fds, last.fds, peak.fds,
            )?;
        }
        writeln!(
            f,
            "longest recovery of a bead {:.1?} ({}); all was done {:.1?} after the last fault",
            self.longest_recovery.0, self.longest_recovery.1, self.healed
        )?;
        let (count, took) = self.swept;
        writeln!(
            f,
            "kill -9 with {count} processes of agents: 0 left {took:.1?} after the restart"
        )?;
        match self.violations.as_slice() {
            [] => write!(f, "nothing was broken"),
            broken => write!(f, "BROKEN, {}:\n  {}", broken.len(), broken.join("\n  ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_beyond_its_bound_or_is_gone_is_said() {
        let warm = Usage { rss_kib: 1_000, fds: 20 };
        let watches = [Watch { warm: Some(warm), ..Watch::default() }; 2];
        let said = |worker: Option<Usage>| {
            let mut violations = Vec::new();
            growth(&watches, [worker, Some(warm)], &mut violations);
            violations
        };
        assert!(
            said(Some(Usage { rss_kib: 1_000 + WORKER_GROWTH_KIB, fds: 20 + FDS_GROWTH }))
                .is_empty()
        );
        assert_eq!(said(None), ["the worker is gone"]);
        let leaks = said(Some(Usage { rss_kib: 1_001 + WORKER_GROWTH_KIB, fds: 21 + FDS_GROWTH }));
        assert_eq!(
            leaks,
            ["the worker grew from 1000 to 132073 KiB", "the worker had 20 and has 37 open files"]
        );
    }
}
