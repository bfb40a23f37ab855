//! Kills without a plan: both services, again and again, while beads come in.

use std::thread::sleep;
use std::time::Duration;

use xtask::stack::START;

use crate::runs::GATES;
use crate::support::{LATER, World};

const BEADS: usize = 12;

/// Chance, the same at each run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn through_a_storm_of_kills_every_bead_is_done_and_never_by_two_at_once() {
    let world = World::start(|options| options.set("MAX_AGENTS", 3));
    let rig = world.rig("storm");
    rig.runs.open(&GATES);
    let mut dice = Dice(62);
    let (worker, container) = (&world.stack.worker, &world.stack.container);
    let mut beads = Vec::new();
    for n in 0..BEADS {
        let bead = rig.assigned(&format!("bead {n}"));
        // Mostly in the middle of its work, and now and then before it or after it.
        if dice.below(4) > 0 {
            rig.runs.wait(&bead, "started", LATER);
        }
        sleep(Duration::from_millis(dice.below(120)));
        beads.push(bead);
        let victims = dice.below(4);
        if victims != 1 {
            worker.kill();
        }
        if victims != 2 {
            container.kill();
        }
        sleep(Duration::from_millis(dice.below(300)));
        for part in [worker, container] {
            part.start().unwrap();
            part.wait_healthy(START).unwrap();
        }
    }
    for bead in &beads {
        rig.status_until(bead, "closed", LATER);
    }
    rig.idle(LATER);
    let runs: usize = beads.iter().map(|bead| rig.runs.of(bead).len()).sum();
    eprintln!("{runs} runs for {BEADS} beads");
    for bead in &beads {
        rig.runs.check_one_at_a_time(bead);
        // Nobody begins a bead that somebody has closed.
        assert_eq!(rig.runs.of(bead).last(), rig.runs.last_to(bead, "acts").as_ref());
    }
}
