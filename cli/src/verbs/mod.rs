//! The verbs: each reads its flags, asks the rig, and prints. Must never decide what the rig decides.

mod create;
mod export;
mod fields;
mod import;
mod list;
mod read;
mod sync;
mod update;
mod write;

use crate::args::{Cli, Global, Verb};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue::{self, Issue, Shape};
use crate::settings::{self, Settings};
use crate::text::{self, Style};
use beadrig::wire::rig::BeadView;
use std::io::{self, Write};
use std::time::Duration;

/// Where a verb prints, and how.
pub struct Screen<'a> {
    /// Answers.
    pub out: &'a mut dyn Write,
    /// Warnings and failures.
    pub err: &'a mut dyn Write,
    /// JSON instead of text.
    pub json: bool,
    /// No warnings.
    pub quiet: bool,
    /// What the terminal can do.
    pub style: Style,
}

/// Does what was typed.
pub fn run(cli: Cli, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let Cli { global, verb } = cli;
    // What is wrong with the flags is said before the token is asked for.
    match verb {
        Verb::Create(args) => create::create(&args, screen, || connect(&global)),
        Verb::Assign(args) => update::assign(&args, screen, &connect(&global)?),
        Verb::Update(args) => update::update(&args, screen, || connect(&global)),
        Verb::Show(args) => read::show(&args, screen, &connect(&global)?),
        Verb::List(args) => list::list(&args, screen, || connect(&global)),
        Verb::Note(args) => write::note(&args, screen, || connect(&global)),
        Verb::Close(args) => write::close(&args, screen, || connect(&global)),
        Verb::Reopen(args) => write::reopen(&args, screen, || connect(&global)),
        Verb::Export(args) => export::export(&args, screen, &connect_for_long(&global)?),
        Verb::Import(args) => import::import(&args, screen, || connect_for_long(&global)),
        Verb::Sync(args) => sync::sync(&args, screen, || connect_for_long(&global)),
        Verb::Status => read::status(screen, &connect(&global)?),
    }
}

/// For what is made of many requests and is no use in part: whoever waits for it waits for a rig that starts again.
fn connect_for_long(global: &Global) -> Result<Client, Failure> {
    let mut settings = settings::read(global)?;
    settings.patience = settings.patience.max(Duration::from_mins(1));
    settings.deadline = settings.deadline.max(Duration::from_mins(1));
    Ok(client(settings, global))
}

fn connect(global: &Global) -> Result<Client, Failure> {
    Ok(client(settings::read(global)?, global))
}

fn client(settings: Settings, global: &Global) -> Client {
    let quiet = global.quiet;
    let warn = move |message: &str| {
        if !quiet {
            let _ = writeln!(io::stderr(), "Warning: {message}");
        }
    };
    Client::new(settings, Box::new(warn))
}

impl Screen<'_> {
    /// One bead as an object.
    fn object(&mut self, bead: &BeadView) -> Result<(), Failure> {
        Ok(issue::print(self.out, &Issue::new(bead, Shape::Plain))?)
    }

    /// Beads as an array.
    fn array(&mut self, beads: &[BeadView], shape: Shape) -> Result<(), Failure> {
        let issues: Vec<_> = beads.iter().map(|bead| Issue::new(bead, shape)).collect();
        Ok(issue::print(self.out, &issues)?)
    }

    /// A line of text.
    fn line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Why an agent does not take it, right where somebody handed it over.
    fn trouble(&mut self, bead: &BeadView) -> Result<(), Failure> {
        match text::trouble(bead, self.style) {
            Some(trouble) => self.line(&format!("  {trouble}")),
            None => Ok(()),
        }
    }

    fn warn(&mut self, warning: &str) -> Result<(), Failure> {
        if !self.quiet {
            writeln!(self.err, "Warning: {}", text::clean(warning))?;
        }
        Ok(())
    }
}

/// Does the same to several beads, and prints them as JSON where that is wanted. One that fails is told and skipped;
/// where nothing else can go better, the rest is left. Fails only then, or if none succeeded, as bd does.
fn each(
    ids: &[String],
    doing: &str,
    shape: Shape,
    screen: &mut Screen<'_>,
    mut one: impl FnMut(&str, &mut Screen<'_>) -> Result<BeadView, Failure>,
) -> Result<(), Failure> {
    let mut done = Vec::new();
    let mut end = Ok(());
    for id in ids {
        match one(id, screen) {
            Ok(bead) => done.push(bead),
            Err(failure) if matches!(failure.kind, Kind::Fatal | Kind::Told) => {
                end = Err(failure);
                break;
            }
            Err(failure) => {
                let doing = if failure.kind == Kind::NotFound && doing != "fetching" {
                    "resolving"
                } else {
                    doing
                };
                writeln!(screen.err, "Error {doing} {id}: {}", text::clean(&failure.message))?;
                if let Some(hint) = &failure.hint {
                    writeln!(screen.err, "Hint: {}", text::clean(hint))?;
                }
            }
        }
    }
    if done.is_empty() {
        return end.and(Err(Failure::told()));
    }
    if screen.json {
        screen.array(&done, shape)?;
    }
    end
}
