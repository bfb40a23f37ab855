//! Faults without a plan: everything is killed, stopped and cut off, again and again, while beads come in.
//!
//! The short form of `cargo xtask chaos` (`xtask/src/chaos`), which says what is judged and how.

use std::time::Duration;

use xtask::chaos::plan::plan;
use xtask::chaos::{Wish, run};
use xtask::stack::Options;

use crate::support::Place;

/// One whose first seconds have a kill of each service, stops of all three parts, and cuts.
const SEED: u64 = 168;

const LENGTH: Duration = Duration::from_secs(20);

#[test]
fn through_a_storm_of_every_fault_every_bead_is_done_once_and_nothing_is_left_over() {
    let plan = plan(SEED, LENGTH);
    let all = [
        "kill Worker",
        "kill Container",
        "kill both",
        "kill agent",
        "stop Worker",
        "stop Container",
        "stop agent",
        "Silent",
        "Refused",
        "slow",
    ];
    for fault in all {
        let has = plan.iter().any(|it| it.fault.to_string().starts_with(fault));
        assert!(has, "no \"{fault}\" among {plan:#?}");
    }
    let _place = Place::take();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::for_test(&dir.path().join("data")).unwrap();
    let report = run(options, Wish { seed: SEED, length: LENGTH, cut: None, trace: true }).unwrap();
    eprintln!("{report}");
    assert!(report.violations.is_empty());
    assert!(report.watches.iter().all(|it| it.restarts > 0), "{report}");
    assert!(report.beads >= 30, "{report}");
}
