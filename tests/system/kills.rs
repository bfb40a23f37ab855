//! The worker, the container service, the agent, and both services at once, each killed with -9 at every step from
//! the assignment to the close. The bead is always done, and at no time do two runs of it act.
//!
//! One stack for each victim, a fresh rig for each step. The first run stands at the step's gate when its victim
//! is killed. While the worker is away the agent goes on and has to try again; an agent that a killed container
//! service left behind stands at its gate until the next run has begun, so that it could do harm if it lived.

use std::time::Instant;

use xtask::stack::START;

use crate::proxy::{Fate, Proxy};
use crate::rig::{Rig, notes};
use crate::runs::{Entry, GATES, kill_process};
use crate::support::{LATER, SOON, World, until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    Container,
    Agent,
    /// Worker and container service, as when the machine restarts; but for the agents, which is worse.
    Both,
}

/// Where everything stands at the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The assignment was answered; nothing else is known.
    Assigned,
    /// The rig has noted its claim; the start is on its way and comes through after the kill.
    Claimed,
    /// The agent stands at this gate.
    At(&'static str),
}

fn steps() -> impl Iterator<Item = Step> {
    [Step::Assigned, Step::Claimed].into_iter().chain(GATES.map(Step::At))
}

#[test]
fn whenever_the_worker_is_killed_the_bead_is_done_once() {
    kill_at_every_step(Victim::Worker);
}

#[test]
fn whenever_the_container_service_is_killed_the_bead_is_done_and_never_by_two_at_once() {
    kill_at_every_step(Victim::Container);
}

#[test]
fn whenever_the_agent_is_killed_the_bead_is_done_and_never_by_two_at_once() {
    kill_at_every_step(Victim::Agent);
}

#[test]
fn whenever_both_services_are_killed_the_bead_is_done_and_never_by_two_at_once() {
    kill_at_every_step(Victim::Both);
}

fn kill_at_every_step(victim: Victim) {
    let mut proxy = None;
    let world = World::start(|options| {
        let between = proxy.insert(Proxy::to(options.container_port.number()));
        let url = between.url.clone();
        options.set("CONTAINER_URL", url)
    });
    let proxy = proxy.unwrap();
    for (n, step) in steps().enumerate() {
        let begin = Instant::now();
        eprintln!("killing {victim:?}, {step:?}");
        let rig = world.rig(&format!("k{n}"));
        Case { world: &world, proxy: &proxy, rig: &rig, victim, step }.run();
        eprintln!("killed {victim:?}, {step:?}: done after {:?}", begin.elapsed());
    }
}

struct Case<'a> {
    world: &'a World,
    proxy: &'a Proxy,
    rig: &'a Rig,
    victim: Victim,
    step: Step,
}

impl Case<'_> {
    fn run(&self) {
        let rig = self.rig;
        let bead = self.stand();
        match self.victim {
            Victim::Worker => self.kill_worker(&bead),
            Victim::Container | Victim::Both => self.kill_container(&bead),
            Victim::Agent => self.kill_agent(&bead),
        }
        rig.runs.open(&GATES);
        let closed = rig.status_until(&bead, "closed", LATER);
        rig.idle(SOON);
        rig.runs.check_one_at_a_time(&bead);
        // Idle and closed: nothing can begin any more.
        let (runs, attempts) = self.expected();
        let told = || format!("{:?} {:?}\n{}", self.victim, self.step, rig.runs.told());
        assert!(runs.contains(&rig.runs.of(&bead).len()), "not {runs:?} runs: {}", told());
        assert_eq!(closed["attempts"], attempts, "{closed:#}\n{}", told());
        if self.victim == Victim::Worker {
            for text in ["claimed by agent ", "half of it is done", "all of it is done"] {
                let times = notes(&closed).matches(text).count();
                assert_eq!(times, 1, "\"{text}\" is noted {times} times: {}", told());
            }
        }
        assert_eq!(rig.runs.count(&bead, "ended"), usize::from(!self.dies_closed()), "{}", told());
    }

    /// Brings everything to where it is to stand.
    fn stand(&self) -> String {
        let rig = self.rig;
        let starts = self.proxy.starts();
        if self.step == Step::Claimed {
            self.proxy.next(&[Fate::Hold]);
        }
        if let Step::At(gate) = self.step {
            let before = GATES.iter().take_while(|it| **it != gate);
            rig.runs.open(&before.copied().collect::<Vec<_>>());
        }
        let bead = rig.assigned("to be done whatever happens");
        match self.step {
            Step::Assigned => {}
            Step::Claimed => {
                rig.bead_until(&bead, "claimed", SOON, |bead| {
                    notes(bead).starts_with("auto-dispatcher claimed at ")
                });
                until("start on its way", SOON, || {
                    let sent = self.proxy.starts();
                    if sent > starts { Ok(()) } else { Err(format!("{sent} starts")) }
                });
            }
            Step::At(gate) => drop(rig.runs.wait(&bead, gate, LATER)),
        }
        bead
    }

    /// The agent goes on without the worker, until it can do nothing but try.
    fn kill_worker(&self, bead: &str) {
        let before = self.deeds(bead);
        self.world.stack.worker.kill();
        self.rig.runs.open(&GATES);
        self.proxy.release();
        if let Step::At(_) = self.step {
            until("agent that goes on", SOON, || {
                if self.deeds(bead) > before { Ok(()) } else { Err(self.rig.runs.told()) }
            });
        }
        self.world.stack.worker.restart().unwrap();
    }

    fn kill_container(&self, bead: &str) {
        let stack = &self.world.stack;
        if self.victim == Victim::Both {
            stack.worker.kill();
        }
        stack.container.restart().unwrap();
        stack.worker.start().unwrap();
        stack.worker.wait_healthy(START).unwrap();
        self.proxy.release();
        // What the killed one left behind is given the time to act that it must not have.
        if matches!(self.step, Step::At(gate) if gate != "closed") {
            let runs = &self.rig.runs;
            until("second run", LATER, || {
                if runs.of(bead).len() > 1 { Ok(()) } else { Err(runs.told()) }
            });
        }
    }

    /// An agent that is not there yet is killed as soon as it is.
    fn kill_agent(&self, bead: &str) {
        self.proxy.release();
        let Entry { pid, .. } = self.rig.runs.wait(bead, "started", LATER);
        kill_process(pid);
    }

    /// What the agent has done so far.
    fn deeds(&self, bead: &str) -> usize {
        self.rig.runs.entries().iter().filter(|it| it.bead == bead && it.word != "alive").count()
    }

    fn dies_closed(&self) -> bool {
        self.step == Step::At("closed") && self.victim != Victim::Worker
    }

    /// How many processes there may have been, and how many attempts count.
    fn expected(&self) -> (std::ops::RangeInclusive<usize>, usize) {
        match (self.victim, self.step) {
            // The agents do not even notice.
            (Victim::Worker, _) | (_, Step::At("closed")) => (1..=1, 1),
            (Victim::Container | Victim::Both, Step::Assigned | Step::Claimed) => (1..=2, 1),
            // Lost with its container: not its own fault, so it does not count.
            (Victim::Container | Victim::Both, Step::At(_)) => (2..=2, 1),
            (Victim::Agent, _) => (2..=2, 2),
        }
    }
}
