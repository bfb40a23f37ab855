//! `cargo xtask test`: everything that must hold before a change is good, quick things first.
//!
//! Each step is a line with its time. The first that fails shows its output and ends the run. The last line is
//! always `N passed, M failed`: all tests of all steps, and each step that has no tests of its own as one.

mod deploy;
mod schema;
mod tally;

use std::process::Command;

use serde_json::Value;

use self::tally::Tally;
use crate::error::{Doing as _, Error, Result};
use crate::run::{self, Progress};
use crate::sim;
use crate::tools::{self, Tools};
use crate::up;
use crate::worker::{self, Variant};

/// Something to check, by itself: a step does not need the ones before it, they only fail sooner.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Self) -> Result<Tally>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", what: "the code is formatted", run: fmt },
    Step { name: "clippy", what: "no lint in native code", run: clippy },
    Step { name: "clippy-worker", what: "no lint in the worker", run: clippy_worker },
    Step { name: "clippy-faults", what: "no lint in the worker for tests", run: clippy_faults },
    Step { name: "tests", what: "units and scenarios", run: tests },
    Step { name: "sim", what: "the core holds under every fault", run: simulated },
    Step {
        name: "mutants",
        what: "the simulator misses each rule that is taken out",
        run: mutants,
    },
    Step { name: "worker", what: "the worker builds", run: product },
    Step { name: "worker-test", what: "the worker for tests builds", run: test_worker },
    Step { name: "system", what: "worker, container service and CLI together", run: system },
    Step { name: "claude", what: "Claude Code works at beads and jobs", run: claude },
    Step { name: "schema", what: "the worker answers as its schema says", run: schema::conforms },
    Step { name: "br", what: "br reads and writes what the rig does", run: br },
    Step { name: "deploy", what: "wrangler would deploy it", run: deploy::dry_run },
    Step { name: "dev", what: "wrangler runs it", run: deploy::dev },
];

/// Says which steps there are.
pub fn list() {
    for step in STEPS {
        println!("{:14}{}", step.name, step.what);
    }
}

/// Runs all steps, or those that the words select; whether all passed.
pub fn run(words: &[String]) -> Result<bool> {
    let steps = select(words)?;
    let mut sum = Tally::default();
    for step in steps {
        match (step.run)(step) {
            Ok(tally) => sum += tally,
            Err(error) => {
                eprintln!("error: {error}");
                sum.failed += 1;
            }
        }
        if sum.failed > 0 {
            eprintln!("\n{} failed; only this step: cargo xtask test {}", step.name, step.name);
            break;
        }
    }
    println!("{sum}");
    Ok(sum.failed == 0)
}

/// A step whose name is a word, else those whose name has the word in it.
fn select(words: &[String]) -> Result<Vec<&'static Step>> {
    let mut selected: Vec<&Step> = Vec::new();
    for word in words {
        let exact = STEPS.iter().any(|step| step.name == word);
        let matches =
            |step: &&Step| if exact { step.name == word } else { step.name.contains(word) };
        let found: Vec<_> = STEPS.iter().filter(matches).collect();
        if found.is_empty() {
            let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
            let text =
                format!("no step has \"{word}\" in its name; there are {}", names.join(", "));
            return Err(Error::new(text));
        }
        selected.extend(found);
    }
    let wanted =
        |step: &&Step| words.is_empty() || selected.iter().any(|one| one.name == step.name);
    Ok(STEPS.iter().filter(wanted).collect())
}

/// Runs a command as a step; a failure shows what it wrote.
fn check(step: &Step, command: &mut Command) -> Result<Tally> {
    let mut progress = Progress::new(step.name);
    let ended = run::logged(command, step.name, &mut progress)?;
    let output = ended.output();
    let tally = Tally::of(&output, ended.status.success());
    if ended.status.success() {
        progress.end(&if tally.tests {
            format!("ok, {} passed", tally.passed)
        } else {
            "ok".to_owned()
        });
    } else {
        progress.end("FAILED");
        eprintln!("{}\n\n{} ended with {}", output.trim_end(), run::shown(command), ended.status);
    }
    Ok(tally)
}

fn cargo(step: &Step, args: &[&str]) -> Result<Tally> {
    check(step, run::cargo().args(args))
}

fn fmt(step: &Step) -> Result<Tally> {
    cargo(step, &["fmt", "--all", "--check"])
}

fn clippy(step: &Step) -> Result<Tally> {
    let args = ["clippy", "--workspace", "--all-targets", "--features", "beadrig/live"];
    cargo(step, &[&args[..], &DENY].concat())
}

fn clippy_worker(step: &Step) -> Result<Tally> {
    cargo(step, &[&CLIPPY_WORKER[..], &DENY].concat())
}

fn clippy_faults(step: &Step) -> Result<Tally> {
    cargo(step, &[&CLIPPY_WORKER[..], &["--features", "bench,faults"], &DENY].concat())
}

const CLIPPY_WORKER: [&str; 6] =
    ["clippy", "--package", "beadrig", "--lib", "--target", "wasm32-unknown-unknown"];
const DENY: [&str; 3] = ["--", "-D", "warnings"];

fn tests(step: &Step) -> Result<Tally> {
    let mut command = run::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    // Those of the container service and of the command wait for processes and clocks more than they compute.
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        command.env("RUST_TEST_THREADS", (cores * 2).to_string());
    }
    check(step, &mut command)
}

fn simulated(step: &Step) -> Result<Tally> {
    check(step, &mut sim::command(["--seeds".into(), "2000".into()]))
}

fn mutants(step: &Step) -> Result<Tally> {
    check(step, &mut sim::command(["--mutants".into()]))
}

fn product(step: &Step) -> Result<Tally> {
    built(step, Variant::Product)
}

fn test_worker(step: &Step) -> Result<Tally> {
    built(step, Variant::Test)
}

fn built(_step: &Step, variant: Variant) -> Result<Tally> {
    worker::build(variant)?;
    Ok(Tally::PASSED)
}

/// The tests of the root package that are built only with the feature `live`, but for the benchmark.
fn system(step: &Step) -> Result<Tally> {
    let mut command = live_test()?;
    let names = live_tests()?;
    if names.is_empty() {
        return Err(Error::new("the root package has no test with required-features = [\"live\"]"));
    }
    for name in names {
        command.args(["--test", &name]);
    }
    check(step, &mut command)
}

/// The tests of `system` with the agent that most will use.
fn claude(step: &Step) -> Result<Tally> {
    let claude = tools::claude_code()?;
    let mut command = live_test()?;
    command.args(["--test", "system", "claude::", "--", "--ignored"]);
    check(step, command.env("CLAUDE", claude))
}

/// Builds the parts; the command that tests them, still without the names of the tests.
fn live_test() -> Result<Command> {
    Tools::prepare()?;
    worker::build(Variant::Test)?;
    up::build_programs(false)?;
    let mut command = run::cargo();
    command.args(["test", "--package", "beadrig", "--features", "live", "--no-fail-fast"]);
    Ok(command)
}

/// The tests against `br`, another program that keeps the same file.
fn br(step: &Step) -> Result<Tally> {
    let br = tools::br()?;
    let mut command = run::cargo();
    command.args(["test", "--package", "beadrig-cli", "--features", "br", "--test", "br"]);
    check(step, command.env("BR", br))
}

fn live_tests() -> Result<Vec<String>> {
    let args = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata = run::answer("cargo", &args)?;
    let metadata: Value = serde_json::from_str(&metadata).doing("read cargo metadata")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]);
    let Some(root) = packages.iter().find(|package| package["name"] == "beadrig") else {
        return Err(Error::new("cargo metadata knows no package beadrig"));
    };
    let live = |target: &Value| {
        list(&target["kind"]).contains(&Value::from("test"))
            && list(&target["required-features"]).contains(&Value::from("live"))
            && target["name"] != "bench"
    };
    let names = list(&root["targets"]).into_iter().filter(live);
    Ok(names.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        select(&words).unwrap().iter().map(|step| step.name).collect()
    }

    #[test]
    fn words_select_steps_in_their_order() {
        assert_eq!(names(&["worker"]), ["worker"]);
        assert_eq!(names(&["dev", "clip"]), ["clippy", "clippy-worker", "clippy-faults", "dev"]);
        assert_eq!(names(&[]).len(), STEPS.len());
        assert!(select(&["x".to_owned()]).is_err());
    }
}
