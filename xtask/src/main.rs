//! `cargo xtask up | test | build | bench | sim | chaos`

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::{Long, Value};
use xtask::error::{Doing as _, Error, Result};
use xtask::worker::{self, Variant};
use xtask::{bench, chaos, checks, sim, stack, up};

const HELP: &str = "\
cargo xtask <command>

  up     builds everything and runs it on this machine until Ctrl-C
           --port N             the worker's port [8787]
           --container-port N   the container service's port [8788]
           --data DIR           what it keeps [.beadrig]
           --agent COMMAND      what agents run [example-agent]
           --set NAME=VALUE     a setting, as in wrangler.toml; may be repeated
  test   checks and tests everything; with words, only the steps whose name has one of them
           --list               says which steps there are
  build  builds the worker into build/
           --test               the variant for tests, into target/worker-test/
  bench  measures the worker on workerd; `bench container`: the container service instead,
         `bench import`: import and export
  sim    the core on a simulated clock, with every fault there is
           --seeds N            how many [2000]
           --from S             the first [1]
           --trace              shows what happens; for one seed
           --mutants            takes out a rule at a time, and sees whether it is missed
  chaos  the real parts killed, stopped and cut off at random while 30 agents work
           --minutes N          how long [3]
           --seed S             of the faults [1]
           --cut SECONDS        one long cut of all connections besides
           --trace              says each fault
";

fn main() -> ExitCode {
    match command() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<ExitCode> {
    // Whoever asks for help behind a command wants it too.
    if std::env::args_os().skip(1).any(|it| it == "--help" || it == "-h") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut args = lexopt::Parser::from_env();
    let command = match next(&mut args)? {
        Some(Value(command)) => command.to_string_lossy().into_owned(),
        None => "help".to_owned(),
        Some(other) => return Err(unexpected(other)),
    };
    match command.as_str() {
        "up" => up::run(up_options(&mut args)?)?,
        "test" => return test(&mut args),
        "build" => build(&mut args)?,
        "bench" => {
            measure(&mut args)?;
        }
        "sim" => return sim(&mut args),
        "chaos" => return storm(&mut args),
        "help" => print!("{HELP}"),
        other => {
            return Err(Error::new(format!("there is no command \"{other}\"\n\n{HELP}")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn up_options(args: &mut lexopt::Parser) -> Result<up::Options> {
    let mut options = up::Options::default();
    while let Some(arg) = next(args)? {
        match arg {
            Long("port") => options.port = number(args, "--port")?,
            Long("container-port") => options.container_port = number(args, "--container-port")?,
            Long("data") => options.data = PathBuf::from(value(args)?),
            Long("agent") => {
                options.settings.insert("AGENT_COMMAND".to_owned(), value(args)?);
            }
            Long("set") => {
                let text = value(args)?;
                let (name, value) = text
                    .split_once('=')
                    .ok_or_else(|| Error::new(format!("--set takes NAME=VALUE, not \"{text}\"")))?;
                options.settings.insert(name.to_owned(), value.to_owned());
            }
            other => return Err(unexpected(other)),
        }
    }
    stack::check_settings(&options.settings)?;
    Ok(options)
}

fn test(args: &mut lexopt::Parser) -> Result<ExitCode> {
    let mut words = Vec::new();
    while let Some(arg) = next(args)? {
        match arg {
            Long("list") => {
                checks::list();
                return Ok(ExitCode::SUCCESS);
            }
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(unexpected(other)),
        }
    }
    Ok(if checks::run(&words)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(args: &mut lexopt::Parser) -> Result<()> {
    match next(args)? {
        None => bench::run("report"),
        Some(Value(what)) if what == "import" => {
            none(args)?;
            bench::run("import")
        }
        Some(Value(what)) if what == "container" => {
            none(args)?;
            bench::container()
        }
        Some(other) => Err(unexpected(other)),
    }
}

fn build(args: &mut lexopt::Parser) -> Result<()> {
    let mut variant = Variant::Product;
    while let Some(arg) = next(args)? {
        match arg {
            Long("test") => variant = Variant::Test,
            other => return Err(unexpected(other)),
        }
    }
    worker::build(variant)?;
    Ok(())
}

fn sim(args: &mut lexopt::Parser) -> Result<ExitCode> {
    let args: Vec<_> = args.raw_args().doing("read the arguments")?.collect();
    let status = sim::command(args).status().doing("run the simulator")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn storm(args: &mut lexopt::Parser) -> Result<ExitCode> {
    let (mut minutes, mut seed, mut cut, mut trace) = (3, 1, None, false);
    while let Some(arg) = next(args)? {
        match arg {
            Long("minutes") => minutes = number(args, "--minutes")?,
            Long("seed") => {
                let text = value(args)?;
                seed = text.parse().doing(format_args!("read --seed \"{text}\""))?;
            }
            Long("cut") => cut = Some(Duration::from_secs(number(args, "--cut")?.into())),
            Long("trace") => trace = true,
            other => return Err(unexpected(other)),
        }
    }
    let length = Duration::from_secs(60 * u64::from(minutes));
    let well = chaos::command(chaos::Wish { seed, length, cut, trace })?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn none(args: &mut lexopt::Parser) -> Result<()> {
    match next(args)? {
        None => Ok(()),
        Some(other) => Err(unexpected(other)),
    }
}

fn next(args: &mut lexopt::Parser) -> Result<Option<lexopt::Arg<'_>>> {
    args.next().doing("read the arguments")
}

fn value(args: &mut lexopt::Parser) -> Result<String> {
    args.value().and_then(lexopt::ValueExt::string).map_err(|error| Error::new(error.to_string()))
}

fn number(args: &mut lexopt::Parser, name: &str) -> Result<u16> {
    let text = value(args)?;
    let number = text.parse().ok().filter(|number| *number > 0);
    number
        .ok_or_else(|| Error::new(format!("{name} takes a number from 1 to 65535, not \"{text}\"")))
}

fn unexpected(arg: lexopt::Arg<'_>) -> Error {
    Error::new(format!("{}; see cargo xtask help", arg.unexpected()))
}
