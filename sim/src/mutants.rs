//! Whether the simulator notices that a rule is gone: each rule that has a switch is taken out, one at a time, and
//! must be missed within so many seeds.

use std::rc::Rc;

use beadrig::mutant::{self, Mutant};

use crate::sql::SimSql;
use crate::{Options, world};

/// Within so many seeds each must be caught.
const SEEDS_MAX: u64 = 500;

/// Takes each rule out; whether all were missed.
pub(crate) fn run(sql: &Rc<SimSql>, options: &Options) -> bool {
    let mut left = Vec::new();
    let mut sum = 0;
    for mutant in Mutant::ALL {
        mutant::turn_on(Some(*mutant));
        let mut seeds = options.from..options.from + SEEDS_MAX;
        let caught = seeds.find_map(|seed| {
            let outcome = world::run(sql, seed, false);
            outcome.found.wrong.first().map(|wrong| (seed, wrong.clone()))
        });
        match caught {
            Some((seed, wrong)) => {
                let n = seed - options.from + 1;
                sum += n;
                println!("{n:>4} seeds  {mutant:?}: {wrong}");
            }
            None => left.push(*mutant),
        }
    }
    mutant::turn_on(None);
    println!(
        "{} of {} mutants caught, in {sum} seeds",
        Mutant::ALL.len() - left.len(),
        Mutant::ALL.len()
    );
    if !left.is_empty() {
        println!("not caught within {SEEDS_MAX} seeds: {left:?}");
    }
    left.is_empty()
}
