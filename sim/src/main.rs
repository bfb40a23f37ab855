//! The rig on a simulated clock: the real core on the real SQLite, with people, containers and agents that are
//! models, and every fault there is. One seed decides everything, so that what goes wrong goes wrong again.
//!
//! | file | holds |
//! |---|---|
//! | `world` | the clock, what is on its way, the phases of a seed |
//! | `rig`, `asked` | the core, played as the edge plays it; what it asks of containers |
//! | `container`, `agents` | a model of the container service and of the processes in it |
//! | `merges` | a model of merges, and what must hold of them |
//! | `people` | what people and zombies do, and what they look at |
//! | `op` | what can be asked of a rig |
//! | `help` | mail and calls for help, and what must hold of them |
//! | `more` | what was added with a chance of its own: rollouts, no disk, hangs of hours |
//! | `faults` | what goes wrong, and how often |
//! | `oracle`, `known`, `rules` | what must hold, told from the outside |
//!
//! It must never share a rule with the core, and never read a clock.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]

mod agents;
mod asked;
mod container;
mod faults;
mod help;
mod known;
mod merges;
mod more;
#[cfg(feature = "mutants")]
mod mutants;
mod op;
mod oracle;
mod people;
mod rig;
mod rng;
mod rules;
mod sql;
mod trace;
mod world;

use std::process::ExitCode;
use std::rc::Rc;

use crate::sql::SimSql;
use crate::trace::Counts;
use crate::world::Outcome;

fn main() -> ExitCode {
    match command() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for.
struct Options {
    seeds: u64,
    from: u64,
    trace: bool,
    mutants: bool,
}

fn command() -> Result<bool, String> {
    let mut options = Options { seeds: 2_000, from: 1, trace: false, mutants: false };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next().map_err(|err| err.to_string())? {
        match arg {
            lexopt::Arg::Long("seeds") => options.seeds = number(&mut args)?,
            lexopt::Arg::Long("from") => options.from = number(&mut args)?,
            lexopt::Arg::Long("trace") => options.trace = true,
            lexopt::Arg::Long("mutants") => options.mutants = true,
            other => return Err(format!("{}; see cargo xtask help", other.unexpected())),
        }
    }
    let sql = Rc::new(SimSql::open().map_err(|err| err.to_string())?);
    // The schema, once for all seeds.
    drop(rig::engine(&sql, beadrig::settings::Settings::default()));
    #[cfg(feature = "mutants")]
    if options.mutants {
        return Ok(mutants::run(&sql, &options));
    }
    if options.mutants {
        return Err("built without the feature `mutants`".to_owned());
    }
    Ok(seeds(&sql, &options))
}

fn number(args: &mut lexopt::Parser) -> Result<u64, String> {
    let value = args.value().map_err(|err| err.to_string())?;
    let text = value.to_string_lossy();
    text.parse().map_err(|_| format!("a number is needed, not \"{text}\""))
}

/// Seeds that fail until the rest is let be.
const FAILED_MAX: u32 = 20;

/// Runs the seeds, and says what was found.
fn seeds(sql: &Rc<SimSql>, options: &Options) -> bool {
    let mut sum = Sum { faults: Counts::expecting(&faults::FAULTS), ..Sum::default() };
    let mut failed = 0;
    for seed in options.from..options.from + options.seeds {
        let outcome = world::run(sql, seed, options.trace);
        if options.trace {
            outcome.trace.tail(true).iter().for_each(|line| println!("{line}"));
        }
        if seed % 64 == options.from % 64 {
            let again = world::run(sql, seed, false);
            if again.hash != outcome.hash {
                println!("seed {seed} is not the same twice");
                return false;
            }
        }
        if let Some(wrong) = outcome.found.wrong.first() {
            if failed == 0 {
                show(sql, seed, options.trace);
            }
            println!("seed {seed}: {wrong}");
            failed += 1;
            if failed >= FAILED_MAX {
                break;
            }
        }
        sum.add(&outcome);
    }
    failed == 0 && sum.tell(options.seeds)
}

/// Shows what went wrong, and how to see it again.
fn show(sql: &Rc<SimSql>, seed: u64, shown: bool) {
    let outcome = world::run(sql, seed, true);
    if !shown {
        println!("  ... the end of seed {seed}, seconds since its beginning:");
        outcome.trace.tail(false).iter().for_each(|line| println!("{line}"));
    }
    println!("\nagain: cargo xtask sim --seeds 1 --from {seed} --trace");
}

/// What many seeds came to.
#[derive(Default)]
struct Sum {
    steps: u64,
    ms: i64,
    statements: u64,
    alarms: u64,
    hash: u64,
    faults: Counts,
    rules: Counts,
}

/// From so many seeds on, what never happened is a fault of the simulator.
const MANY: u64 = 2_000;

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.steps += outcome.steps;
        self.ms += outcome.ms;
        self.statements += outcome.statements;
        self.alarms += outcome.alarms;
        self.hash = self.hash.rotate_left(1) ^ outcome.hash;
        self.faults.add(&outcome.faults);
        self.rules.add(&outcome.found.rules);
    }

    fn tell(&self, seeds: u64) -> bool {
        println!(
            "{seeds} seeds, {} steps, {} simulated hours, {} alarms, {} statements, hash {:016x}, 0 violations",
            self.steps,
            self.ms / 3_600_000,
            self.alarms,
            self.statements,
            self.hash
        );
        let mut missed = Vec::new();
        for (title, counts) in [("faults", &self.faults), ("rules", &self.rules)] {
            println!("\n{title}");
            for (name, n) in counts.iter() {
                println!("{n:>9}  {name}");
                if n == 0 {
                    missed.push(name);
                }
            }
        }
        if seeds >= MANY && !missed.is_empty() {
            println!("\nnever happened in {seeds} seeds: {missed:?}");
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a build without optimization a seed takes a tenth of a second; the many run in `cargo xtask test sim`.
    const SEEDS: u64 = 12;

    #[test]
    fn a_seed_is_the_same_twice_and_nothing_is_wrong() {
        let sql = Rc::new(SimSql::open().expect("a database in memory"));
        drop(rig::engine(&sql, beadrig::settings::Settings::default()));
        let mut hashes = std::collections::BTreeSet::new();
        for seed in 1..=SEEDS {
            let (one, other) = (world::run(&sql, seed, false), world::run(&sql, seed, true));
            assert_eq!(one.hash, other.hash, "seed {seed}");
            assert_eq!(one.found.wrong, Vec::<String>::new(), "seed {seed}");
            hashes.insert(one.hash);
        }
        assert_eq!(hashes.len() as u64, SEEDS, "two seeds are two stories");
    }
}
