//! `beadrig`, the command with which people and agents talk to a rig; it knows bd's verbs, flags and JSON.
//!
//! ```text
//! args      what can be typed               query   what an expression of `query` means
//! settings  which rig, which token, whose name
//! verbs     one function each: read the flags, ask, print
//!   api     the rig's routes            client  requests, and what to do when one is lost
//!   jsonl     files of issues
//!   issue   a bead in bd's JSON         text    a bead for people         when  times
//! table     rows that fit the terminal
//! touched   the bead of the last call, for verbs without an id
//! failure   every way to fail; all exit with 1
//! ```
//!
//! Must never hold rules about beads: what may be done is the rig's to say.

pub mod api;
pub mod args;
pub mod client;
pub mod failure;
pub mod issue;
pub mod jsonl;
pub mod query;
pub mod settings;
pub mod table;
pub mod text;
pub mod touched;
pub mod verbs;
pub mod when;

use args::Cli;
use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _};
use failure::{Failure, Kind};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use terminal_size::{Width, terminal_size_of};
use text::Style;
use verbs::Screen;

/// Runs one command line on the process's streams.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let name = called(&args);
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let cli = match parse(&args, name) {
        Ok(cli) => cli,
        // Nobody is left to tell when printing fails.
        Err(error) => {
            return misread(&error, &args, name, &mut out, &mut err).unwrap_or(ExitCode::FAILURE);
        }
    };
    let style = Style {
        color: io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        width: terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns.into()),
    };
    let (json, quiet) = (cli.global.json, cli.global.quiet);
    let on_stdout = json && cli.verb.fails_on_stdout();
    let mut screen = Screen { out: &mut out, err: &mut err, json, quiet, style, name };
    let done = verbs::run(cli, &mut screen).and_then(|()| Ok(screen.out.flush()?));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let to: &mut dyn Write = if on_stdout { &mut out } else { &mut err };
            let _ = tell(&failure, json, to);
            ExitCode::FAILURE
        }
    }
}

/// Under which of its two names: a link named `bd` makes it bd.
fn called(args: &[OsString]) -> &'static str {
    let path = args.first().map(Path::new);
    match path.and_then(Path::file_stem) {
        Some(stem) if stem == "bd" => "bd",
        _ => "beadrig",
    }
}

/// What was typed, with the name under which it was called in its usage.
fn parse(args: &[OsString], name: &'static str) -> Result<Cli, clap::Error> {
    let command = Cli::command().name(name).bin_name(name);
    let mut matches = command.try_get_matches_from(args)?;
    let mut cli = Cli::from_arg_matches_mut(&mut matches)?;
    let global = &mut cli.global;
    global.json |= global.ignored.format.as_deref() == Some("json");
    Ok(cli)
}

/// As JSON where JSON is wanted.
fn tell(failure: &Failure, json: bool, err: &mut dyn Write) -> io::Result<()> {
    if failure.kind == Kind::Told {
        return Ok(());
    }
    if json {
        let mut object = serde_json::Map::new();
        object.insert("error".into(), failure.message.clone().into());
        if let Some(hint) = &failure.hint {
            object.insert("hint".into(), hint.clone().into());
        }
        return issue::print(err, &object);
    }
    writeln!(err, "Error: {}", text::clean(&failure.message))?;
    match &failure.hint {
        Some(hint) => writeln!(err, "Hint: {}", text::clean(hint)),
        None => Ok(()),
    }
}

/// Help is no failure; anything else is, in bd's words where bd has some.
fn misread(
    error: &clap::Error,
    args: &[OsString],
    name: &str,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // The examples are written for the longer name.
        write!(out, "{}", error.to_string().replace("beadrig ", &format!("{name} ")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let word = error.get(ContextKind::InvalidSubcommand).map(ToString::to_string);
    let text = match (error.kind(), word) {
        (ErrorKind::InvalidSubcommand, Some(word)) => {
            let verb = of_verb(error, name);
            format!("unknown command {word:?} for {verb:?}\nRun '{verb} --help' for usage.")
        }
        (ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, _) => {
            write!(err, "{error}")?;
            return Ok(ExitCode::FAILURE);
        }
        _ => error.to_string().trim_start_matches("error: ").trim_end().to_owned(),
    };
    let first = text.lines().next().unwrap_or_default();
    let json = args.iter().any(|arg| arg == "--json");
    if json {
        tell(&Failure::fatal(first), true, err)?;
    } else {
        writeln!(err, "Error: {text}")?;
    }
    Ok(ExitCode::FAILURE)
}

/// The verb whose word was misread, with the name of the command: what its usage begins with.
fn of_verb(error: &clap::Error, name: &str) -> String {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let usage = usage.trim_start_matches("Usage:").split_whitespace();
    let words: Vec<_> = usage.take_while(|word| !word.starts_with(['[', '<'])).collect();
    if words.is_empty() { name.to_owned() } else { words.join(" ") }
}
