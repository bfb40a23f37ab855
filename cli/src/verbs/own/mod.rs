//! The verbs that bd has not. Each asks the rig and prints; must never decide what the rig decides.

mod agents;
mod doctor;
mod follow;
mod git;
mod logs;
mod mail;
mod molecule;
mod settings;
mod shell;
mod switch;
mod towns;
mod watch;
mod why;
mod work;

use super::{Screen, connect, connect_for};
use crate::args::{Global, Own};
use crate::failure::Failure;
use crate::issue;
use crate::table::{self, Cell};
use serde::Serialize;
use std::env;
use std::time::Duration;

/// Whoever follows the rig waits so long for one that is away: a deployment, or a machine that sleeps, takes less.
const FOLLOW_PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn run(verb: Own, global: &Global, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let client = || connect(global);
    let patient = || connect_for(global, FOLLOW_PATIENCE);
    match verb {
        Own::Sling(args) => agents::sling(args, screen, client),
        Own::Hook(args) => agents::hook(&args, screen, client),
        Own::Unhook(args) => agents::unhook(&args, screen, client),
        Own::Prime(args) => agents::prime(&args, screen, client),
        Own::Agents(args) => agents::agents(args.verb, screen, &client()?),
        Own::Mail(args) => mail::mail(args.verb, screen, client),
        Own::Review(args) => work::review(args.verb, screen, &client()?),
        Own::Convoy(args) => work::convoy(args.verb, screen, &client()?),
        Own::Molecule(args) => molecule::molecule(args.verb, screen, client),
        Own::Escalations(args) => work::escalations(args.verb, screen, &client()?),
        Own::Logs(args) if args.follow => logs::logs(&args, screen, &patient()?),
        Own::Logs(args) => logs::logs(&args, screen, &client()?),
        Own::Watch(args) => watch::watch(&args, screen, patient),
        Own::Pause(args) => switch::pause(&args, screen, &client()?),
        Own::Resume(args) => switch::resume(&args, screen, &client()?),
        Own::Why(args) => why::why(&args.id, screen, &client()?),
        Own::Towns(args) => towns::towns(args, screen, &client()?),
        Own::Rigs(args) => towns::rigs(args, screen, &client()?),
        Own::Settings(args) => settings::settings(args.verb, screen, client),
        Own::Where => settings::sources(global, screen),
        Own::Doctor(args) => doctor::doctor(&args, global, screen),
        Own::Completions(args) => shell::completions(args.shell, screen),
        Own::Man => shell::man(screen),
        Own::Up { rest } => shell::up(&rest),
    }
}

/// The agent that is meant: the one that was named, or the one that asks.
fn agent(named: Option<&String>) -> Result<String, Failure> {
    named.cloned().or_else(myself).ok_or_else(|| {
        Failure::fatal("which agent?").hint("name one; an agent finds itself in BEADRIG_AGENT_ID")
    })
}

/// The agent that asks, if an agent does.
fn myself() -> Option<String> {
    env::var("BEADRIG_AGENT_ID").ok().filter(|id| !id.is_empty())
}

impl Screen<'_> {
    /// One JSON value.
    fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        Ok(issue::print(self.out, value)?)
    }

    /// Rows for people; a sentence if there are none.
    fn rows(&mut self, none: &str, head: &[&str], rows: &[Vec<Cell>]) -> Result<(), Failure> {
        if rows.is_empty() {
            return self.line(none);
        }
        Ok(write!(self.out, "{}", table::table(head, rows, self.style))?)
    }

    /// Names and values for people.
    fn facts(&mut self, facts: &[(&str, Option<String>)]) -> Result<(), Failure> {
        Ok(write!(self.out, "{}", table::facts(facts, self.style))?)
    }

    /// What was done: a line, or the answer as JSON.
    fn done(&mut self, line: &str, answer: &impl Serialize) -> Result<(), Failure> {
        if self.json { self.json(answer) } else { self.line(line) }
    }
}
