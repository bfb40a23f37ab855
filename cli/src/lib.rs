//! `beadrig`, the command with which people and agents talk to a rig; it knows bd's verbs, flags and JSON.
//!
//! ```text
//! args      what can be typed
//! settings  which rig, which token, whose name
//! verbs     one function each: read the flags, ask, print
//!   api     the rig's routes            client  requests, and what to do when one is lost
//!   jsonl     files of issues
//!   issue   a bead in bd's JSON         text    a bead for people         when  times
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
pub mod settings;
pub mod text;
pub mod verbs;
pub mod when;

use args::Cli;
use clap::Parser as _;
use clap::error::ErrorKind;
use failure::{Failure, Kind};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use terminal_size::{Width, terminal_size_of};
use text::Style;
use verbs::Screen;

/// Runs one command line on the process's streams.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let (mut out, mut err) = (io::stdout().lock(), io::stderr());
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        // Nobody is left to tell when printing fails.
        Err(error) => {
            return misread(&error, &args, &mut out, &mut err).unwrap_or(ExitCode::FAILURE);
        }
    };
    let style = Style {
        color: io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        width: terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns.into()),
    };
    let (json, quiet) = (cli.global.json, cli.global.quiet);
    let mut screen = Screen { out: &mut out, err: &mut err, json, quiet, style };
    let done = verbs::run(cli, &mut screen).and_then(|()| Ok(screen.out.flush()?));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = tell(&failure, json, &mut err);
            ExitCode::FAILURE
        }
    }
}

/// On stderr, also as JSON: stdout holds answers.
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
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        write!(out, "{error}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let word = error.get(clap::error::ContextKind::InvalidSubcommand).map(ToString::to_string);
    let text = match (error.kind(), word) {
        (ErrorKind::InvalidSubcommand, Some(word)) => {
            format!("unknown command {word:?} for \"beadrig\"\nRun 'beadrig --help' for usage.")
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
