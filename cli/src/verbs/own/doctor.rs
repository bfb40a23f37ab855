//! `doctor`: the whole chain from this command to the agents, link by link, and what to do about each that is broken.
//! What cannot be known because a link before it is broken is skipped, not guessed. Must never change anything, but
//! that asking a rig for its health has it set its alarm, and asking a container starts one that sleeps.
//!
//! ```text
//! settings - worker - token - rig - clock - alarm - dispatch - breaker
//!                               \- container - git - agent command
//!                               \- beads - escalations
//! ```

mod links;
mod rig;

use super::super::Screen;
use crate::args::{Doctor, Global};
use crate::client::Client;
use crate::failure::Failure;
use crate::settings;
use crate::table::wrap;
use crate::text::{self, Paint};
use serde::Serialize;

/// One line of what was found.
#[derive(Debug, Serialize)]
struct Check {
    /// Stable.
    name: &'static str,
    /// How it is.
    state: State,
    /// In words.
    message: String,
    /// What to do, if it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warn,
    Bad,
    /// It cannot be known.
    Skip,
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Check>);

impl Findings {
    fn ok(&mut self, name: &'static str, message: impl Into<String>) {
        self.put(name, State::Ok, message.into(), None);
    }

    fn warn(&mut self, name: &'static str, message: impl Into<String>, todo: impl Into<String>) {
        self.put(name, State::Warn, message.into(), Some(todo.into()));
    }

    fn bad(&mut self, name: &'static str, message: impl Into<String>, todo: impl Into<String>) {
        self.put(name, State::Bad, message.into(), Some(todo.into()));
    }

    fn skip(&mut self, name: &'static str, message: impl Into<String>) {
        self.put(name, State::Skip, message.into(), None);
    }

    fn put(&mut self, name: &'static str, state: State, message: String, todo: Option<String>) {
        self.0.push(Check { name, state, message, todo });
    }

    fn any(&self, state: State) -> bool {
        self.0.iter().any(|check| check.state == state)
    }
}

/// All names, in the order in which they are shown.
const NAMES: [&str; 14] = [
    "settings",
    "worker",
    "token",
    "rig",
    "version",
    "clock",
    "alarm",
    "dispatch",
    "breaker",
    "container",
    "git",
    "agent_command",
    "beads",
    "escalations",
];

pub(super) fn doctor(
    args: &Doctor,
    global: &Global,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let mut found = Findings::default();
    if let Some(client) = settings_of(global, &mut found)
        && let Some(status) = rig::reach(&client, &mut found)
    {
        rig::inside(&client, &status, &mut found);
        links::outside(&client, args, &mut found);
        rig::work(&client, &mut found);
    }
    for name in NAMES {
        if !found.0.iter().any(|check| check.name == name) {
            found.skip(name, "not looked at: something before it is broken");
        }
    }
    let place = |check: &Check| NAMES.iter().position(|name| *name == check.name);
    found.0.sort_by_key(place);
    show(&found, screen)?;
    if found.any(State::Bad) { Err(Failure::told()) } else { Ok(()) }
}

/// The first link: what this command was told.
fn settings_of(global: &Global, found: &mut Findings) -> Option<Client> {
    let settings = match settings::read(global) {
        Ok(settings) => settings,
        Err(failure) => {
            let todo =
                failure.hint.unwrap_or_else(|| "`beadrig where` shows what was found".into());
            found.bad("settings", failure.message, todo);
            return None;
        }
    };
    let said =
        format!("rig {} at {}, token from {}", settings.rig, settings.url, settings.token.source);
    match settings.warnings.first() {
        Some(warning) => found.warn("settings", warning, "the file's token may be known to others"),
        None => found.ok("settings", said),
    }
    Some(Client::new(settings, Box::new(|_| {})))
}

fn show(found: &Findings, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        let healthy = !found.any(State::Bad);
        return screen.json(&serde_json::json!({"healthy": healthy, "checks": found.0}));
    }
    let style = screen.style;
    for check in &found.0 {
        let (mark, paint) = match check.state {
            State::Ok => ("ok  ", Paint::Green),
            State::Warn => ("warn", Paint::Yellow),
            State::Bad => ("bad ", Paint::Red),
            State::Skip => ("-   ", Paint::Dim),
        };
        let name = check.name.replace('_', " ");
        let said = wrap(&text::line(&check.message), style.width, 21);
        screen.line(&format!("{}  {name:<13}  {said}", style.paint(paint, mark)))?;
        if let Some(todo) = &check.todo {
            let todo = wrap(&text::line(todo), style.width, 23);
            screen.line(&format!("{:21}→ {todo}", ""))?;
        }
    }
    let count = |state| found.0.iter().filter(|check| check.state == state).count();
    let (bad, warn) = (count(State::Bad), count(State::Warn));
    let summary = match (bad, warn) {
        (0, 0) => "All is well.".to_owned(),
        (0, warn) => format!("Nothing is broken; {warn} to look at."),
        (bad, 0) => format!("{bad} broken."),
        (bad, warn) => format!("{bad} broken, {warn} to look at."),
    };
    screen.line(&format!("\n{summary}"))
}
