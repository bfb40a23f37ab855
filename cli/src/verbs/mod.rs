//! The verbs: each reads its flags, asks the rig, and prints. Must never decide what the rig decides.

mod comment;
mod config;
mod count;
mod create;
mod delete;
mod dep;
mod done;
mod epic;
mod export;
mod fields;
mod filter;
mod graph;
mod import;
mod init;
mod label;
mod list;
mod markdown;
mod own;
mod plan;
mod project;
mod query;
mod read;
mod ready;
mod sync;
mod thread;
mod tree;
mod update;
mod watching;
mod write;

use crate::api;
use crate::args::{
    Cli, Comments, Config, ConfigVerb, Create, Dep, DepVerb, Epic, EpicVerb, Global, Label,
    LabelVerb, Verb,
};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue::{self, Issue, Shape};
use crate::settings::{self, Settings};
use crate::text::{self, Style};
use crate::touched;
use beadrig::wire::rig::BeadView;
use std::borrow::Cow;
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
    /// Under which name the command was called: `beadrig` or `bd`.
    pub name: &'static str,
}

/// Does what was typed.
pub fn run(cli: Cli, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let Cli { global, verb } = cli;
    // What is wrong with the flags is said before the token is asked for.
    if let (true, Some(name)) = (global.readonly, changes(&verb)) {
        return Err(Failure::fatal(format!("operation '{name}' is not allowed in read-only mode")));
    }
    match verb {
        Verb::Create(args) => create::create(&args, screen, || connect(&global)),
        Verb::Assign(args) => update::assign(&args, screen, &connect(&global)?),
        Verb::Update(args) => update::update(&args, screen, || connect(&global)),
        Verb::Q(args) => {
            create::create(&Create { silent: true, ..*args }, screen, || connect(&global))
        }
        Verb::Priority(args) => update::priority(&args, screen, || connect(&global)),
        Verb::Ready(args) => ready::ready(&args, screen, || connect(&global)),
        Verb::Blocked(args) => ready::blocked(&args, screen, &connect(&global)?),
        Verb::Query(args) => query::query(&args, screen, || connect(&global)),
        Verb::Search(args) => list::search(&args, screen, || connect(&global)),
        Verb::Count(args) => count::count(&args, screen, || connect(&global)),
        Verb::Stale(args) => list::stale(&args, screen, || connect(&global)),
        Verb::Comment(args) => comment::add(&args, screen, || connect(&global)),
        Verb::Comments(args) => comment::comments(&args, screen, || connect(&global)),
        Verb::Label(args) => label::label(&args, screen, || connect(&global)),
        Verb::Dep(args) => dep::dep(&args, screen, || connect(&global)),
        Verb::Delete(args) => delete::delete(&args, screen, || connect(&global)),
        Verb::History(args) => read::history(&args, screen, &connect(&global)?),
        Verb::Epic(args) => epic::epic(&args, screen, &connect(&global)?),
        Verb::Init(args) => init::init(&args, &global, screen, || connect(&global)),
        Verb::Config(args) => config::config(&args, &global, screen, || connect(&global)),
        Verb::Show(args) if args.watch => read::show(&args, screen, &connect_to_stay(&global)?),
        Verb::Show(args) => read::show(&args, screen, &connect(&global)?),
        Verb::List(args) if args.watch => list::list(&args, screen, || connect_to_stay(&global)),
        Verb::List(args) => list::list(&args, screen, || connect(&global)),
        Verb::Note(args) => write::note(&args, screen, || connect(&global)),
        Verb::Close(args) => write::close(&args, screen, || connect(&global)),
        Verb::Done(args) => done::done(&args, screen, || connect(&global)),
        Verb::Reopen(args) => write::reopen(&args, screen, || connect(&global)),
        Verb::Export(args) => export::export(&args, screen, &connect_for_long(&global)?),
        Verb::Import(args) => import::import(&args, screen, || connect_for_long(&global)),
        Verb::Sync(args) => sync::sync(&args, screen, || connect_for_long(&global)),
        Verb::Status(args) => count::status(&args, screen, &connect(&global)?),
        Verb::Own(verb) => own::run(*verb, &global, screen),
    }
}

/// What a verb is called that changes something; of the others nothing.
fn changes(verb: &Verb) -> Option<&'static str> {
    Some(match verb {
        Verb::Create(_) | Verb::Q(_) => "create",
        Verb::Assign(_) => "assign",
        Verb::Priority(_) => "priority",
        Verb::Update(_) => "update",
        Verb::Note(_) => "note",
        Verb::Comment(_) | Verb::Comments(Comments { verb: Some(_), .. }) => "comment add",
        Verb::Close(_) => "close",
        Verb::Reopen(_) => "reopen",
        Verb::Delete(_) => "delete",
        Verb::Init(_) => "init",
        Verb::Config(Config { verb: ConfigVerb::Set { .. } }) => "config set",
        Verb::Config(Config { verb: ConfigVerb::Unset { .. } }) => "config unset",
        Verb::Import(args) if !args.dry_run => "import",
        Verb::Sync(_) => "sync",
        Verb::Label(Label { verb: LabelVerb::Add(_) }) => "label add",
        Verb::Label(Label { verb: LabelVerb::Remove(_) }) => "label remove",
        Verb::Dep(Dep { verb: Some(DepVerb::Add(_)), .. }) => "dep add",
        Verb::Dep(Dep { verb: Some(DepVerb::Remove(_)), .. }) => "dep remove",
        Verb::Dep(Dep { blocks: Some(_), .. }) => "dep --blocks",
        Verb::Ready(args) if args.claim => "ready --claim",
        Verb::Epic(Epic { verb: EpicVerb::CloseEligible { dry_run: false, .. } }) => {
            "epic close-eligible"
        }
        Verb::Done(_) => "done",
        Verb::Own(own) => return own.changes(),
        _ => return None,
    })
}

fn connect(global: &Global) -> Result<Client, Failure> {
    connect_for(global, Duration::ZERO)
}

/// For what is made of many requests and is no use in part: whoever waits for it waits for a rig that starts again.
fn connect_for_long(global: &Global) -> Result<Client, Failure> {
    let patience = Duration::from_mins(1);
    let mut settings = settings::read(global)?;
    settings.patience = settings.patience.max(patience);
    settings.deadline = settings.deadline.max(patience);
    Ok(client(settings, global))
}

/// For `--watch`.
fn connect_to_stay(global: &Global) -> Result<Client, Failure> {
    connect_for(global, own::FOLLOW_PATIENCE)
}

/// For whoever stays: a rig that is away is waited for.
fn connect_for(global: &Global, patience: Duration) -> Result<Client, Failure> {
    let mut settings = settings::read(global)?;
    settings.patience = settings.patience.max(patience);
    Ok(client(settings, global))
}

fn client(settings: Settings, global: &Global) -> Client {
    let quiet = global.quiet;
    let warn = move |message: &str| {
        if !quiet {
            let _ = writeln!(io::stderr(), "Warning: {message}");
        }
    };
    settings.warnings.iter().for_each(|warning| warn(warning));
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

    /// Beads as an array, with what belongs to them.
    fn listed(&mut self, beads: &[BeadView], client: &Client) -> Result<(), Failure> {
        let ids: Vec<&str> = beads.iter().map(|bead| bead.id.as_str()).collect();
        let details = api::details(client, &ids)?;
        let issues: Vec<_> =
            beads.iter().map(|bead| Issue::listed(bead, details.get(&bead.id))).collect();
        Ok(issue::print(self.out, &issues)?)
    }

    /// Beads as a table.
    fn table(&mut self, beads: &[BeadView]) -> Result<(), Failure> {
        Ok(write!(self.out, "{}", text::table(beads, self.style))?)
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

/// The beads that were named; without a name, the one that was touched last.
fn named<'a>(ids: &'a [String], client: &Client) -> Result<Cow<'a, [String]>, Failure> {
    if ids.is_empty() {
        return Ok(Cow::Owned(vec![touched::meant(client.settings())?]));
    }
    Ok(Cow::Borrowed(ids))
}

/// Does the same to several beads, and prints them as JSON where that is wanted and a shape is given. One that fails is told and skipped;
/// where nothing else can go better, the rest is left. Fails only then, or if none succeeded, as bd does. The first is
/// remembered as touched.
fn each(
    ids: &[String],
    doing: &str,
    shape: Option<Shape>,
    client: &Client,
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
                let doing = match failure.kind {
                    Kind::NotFound if doing != "fetching" => "resolving",
                    Kind::Claimed => "claiming",
                    _ => doing,
                };
                writeln!(screen.err, "Error {doing} {id}: {}", text::clean(&failure.message))?;
                if let Some(hint) = &failure.hint {
                    writeln!(screen.err, "Hint: {}", text::clean(hint))?;
                }
            }
        }
    }
    let Some(first) = done.first() else {
        return end.and(Err(Failure::told()));
    };
    touched::remember(client.settings(), &first.id);
    if let (true, Some(shape)) = (screen.json, shape) {
        screen.array(&done, shape)?;
    }
    end
}
