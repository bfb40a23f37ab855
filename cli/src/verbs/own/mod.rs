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

pub(super) use follow::Pace;
pub(super) use git::without_secret;
pub(super) use watch::now_there;

use super::{Screen, connect, connect_for};
use crate::args::{Global, Own};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue;
use crate::table::{self, Cell};
use beadrig::wire::rig::AgentView;
use serde::Serialize;
use std::env;
use std::time::Duration;

/// Whoever follows the rig waits so long for one that is away: a deployment, or a machine that sleeps, takes less.
pub(super) const FOLLOW_PATIENCE: Duration = Duration::from_mins(10);

/// So much of an agent's id is enough to name it, if no other begins so.
const SHORT_ID: usize = 3;

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

/// The id of an agent that is named by its id, the beginning of it, or its name.
fn resolve(client: &Client, named: &str) -> Result<String, Failure> {
    // An agent knows itself.
    if myself().as_deref() == Some(named) {
        return Ok(named.to_owned());
    }
    let agents: Vec<AgentView> = client.get("/agents")?;
    let is = |it: &&AgentView| it.id == named || it.name.eq_ignore_ascii_case(named);
    let begins = |it: &&AgentView| named.len() >= SHORT_ID && it.id.starts_with(named);
    let found: Vec<_> = agents.iter().filter(|it| is(it) || begins(it)).collect();
    match found.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(Failure {
            kind: Kind::NotFound,
            ..Failure::refused(format!("there is no agent {named:?}"))
        }
        .hint("`beadrig agents` shows them")),
        many => Err(Failure::fatal(format!("{named:?} is {} agents", many.len()))
            .hint("say more of its id; `beadrig agents --json` has it whole")),
    }
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
