//! `logs`: what an agent said. Its output is with the container that runs it; what the agent itself told the rig is
//! with the rig. Both have numbers that only grow, so that a connection that is lost leaves no gap and repeats nothing.
//! A container service that was started anew counts from 1 again: its lines are then newer than all that was shown.

use super::super::Screen;
use super::follow::Pace;
use super::resolve;
use crate::api;
use crate::args::Logs;
use crate::client::{Client, encode};
use crate::failure::{Failure, Kind};
use crate::text::{self, Paint};
use crate::when;
use beadrig::wire::agents::AgentEventView;
use beadrig::wire::container::{Event, EventPage};
use beadrig::wire::rig::AgentView;
use serde::Serialize;
use serde_json::{Map, Value};

/// Fits any answer; the most that the rig gives at once.
const PAGE: usize = 1000;
/// So many empty looks, and a container that counts from 1 again is thought of.
const QUIET_LOOKS: u32 = 3;

/// One line.
#[derive(Clone, Debug, Serialize)]
struct Line {
    agent_id: String,
    /// `container` or `rig`.
    source: &'static str,
    /// Grows within its source.
    id: u64,
    /// `stdout`, `stderr`, `status`, or what the agent called it.
    kind: String,
    at: String,
    text: String,
}

/// Both places, and how far each was read.
struct Sources<'a> {
    client: &'a Client,
    agent: String,
    /// None for whoever may not ask the container.
    town: Option<String>,
    in_container: u64,
    last_at: String,
    in_rig: i64,
    quiet: u32,
    /// Why the container was left out, for whoever does not wait for it.
    left_out: Option<String>,
    follow: bool,
}

pub(super) fn logs(args: &Logs, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let (agent, bead) = whose(args, client)?;
    let mut sources = Sources::new(client, agent, town(client)?, args.follow);
    let mut lines = sources.all()?;
    if let Some(why) = &sources.left_out {
        screen.warn(&format!("the container's part is not here: {why}"))?;
    }
    if let Some(tail) = args.tail {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    if !args.follow {
        return print(&lines, args, screen);
    }
    for line in &lines {
        show(line, args, screen)?;
    }
    screen.out.flush()?;
    follow(sources, bead.as_deref(), args, screen)
}

/// Goes on until the bead is finished, whichever agents have it meanwhile.
fn follow(
    mut sources: Sources<'_>,
    bead: Option<&str>,
    args: &Logs,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let mut pace = Pace::new();
    loop {
        let lines = sources.all()?;
        for line in &lines {
            show(line, args, screen)?;
        }
        screen.out.flush()?;
        if lines.is_empty()
            && let Some(id) = bead
        {
            let bead = api::bead(sources.client, id)?;
            let over = matches!(bead.status.as_str(), "closed" | "failed" | "blocked" | "deferred");
            let other = bead.assignee_agent_id.filter(|agent| *agent != sources.agent);
            if over || other.is_some() {
                // What it said last may have come since.
                for line in &sources.all()? {
                    show(line, args, screen)?;
                }
                screen.out.flush()?;
            }
            if over {
                return Ok(());
            }
            if let Some(agent) = other {
                let Sources { client, town, .. } = sources;
                sources = Sources::new(client, agent, town, true);
                continue;
            }
        }
        pace.wait(lines.len());
    }
}

/// The agent that is meant; for a bead whoever has it, or had it last.
fn whose(args: &Logs, client: &Client) -> Result<(String, Option<String>), Failure> {
    // Both may be called anything: agents are few, so they are looked through first.
    let known = match resolve(client, &args.whose) {
        Ok(id) => client.get::<AgentView>(&format!("/agents/{}", encode(&id))),
        Err(failure) => Err(failure),
    };
    match known {
        Ok(agent) => return Ok((agent.id, None)),
        Err(failure) if failure.kind == Kind::NotFound => {}
        Err(failure) => return Err(failure),
    }
    let bead = match api::bead(client, &args.whose) {
        Err(failure) if failure.kind == Kind::NotFound => {
            let message = format!("there is no agent and no bead {:?}", args.whose);
            return Err(
                Failure::fatal(message).hint("`beadrig agents` and `beadrig list` show them")
            );
        }
        other => other?,
    };
    match bead.assignee_agent_id {
        Some(agent) => Ok((agent, Some(bead.id))),
        None => Err(Failure::fatal(format!("no agent has had {} yet", bead.id))
            .hint(format!("`beadrig why {}` says why", bead.id))),
    }
}

/// Where the container is to be asked for, if the caller may.
fn town(client: &Client) -> Result<Option<String>, Failure> {
    match client.get::<Map<String, Value>>("/config") {
        Ok(config) => Ok(config.get("town").and_then(Value::as_str).map(str::to_owned)),
        Err(failure) if failure.kind == Kind::Refused => Ok(None),
        Err(failure) => Err(failure),
    }
}

impl<'a> Sources<'a> {
    fn new(client: &'a Client, agent: String, town: Option<String>, follow: bool) -> Self {
        Self {
            client,
            agent,
            town,
            in_container: 0,
            last_at: String::new(),
            in_rig: 0,
            quiet: 0,
            left_out: None,
            follow,
        }
    }

    /// All that is new, oldest first.
    fn all(&mut self) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::new();
        loop {
            let page = self.of_container(self.in_container)?;
            let more = page.len() >= PAGE;
            for event in page {
                self.in_container = event.id;
                self.last_at.clone_from(&event.timestamp);
                lines.push(self.line("container", event));
            }
            if !more {
                break;
            }
        }
        self.quiet = if lines.is_empty() { self.quiet + 1 } else { 0 };
        if self.quiet >= QUIET_LOOKS && self.in_container > 0 {
            self.quiet = 0;
            let oldest = self.of_container(0)?.into_iter().next();
            if oldest.is_some_and(|it| it.id <= self.in_container && it.timestamp > self.last_at) {
                self.in_container = 0;
                return self.all();
            }
        }
        self.of_rig(&mut lines)?;
        // Each is in order; between the two the time decides.
        lines.sort_by(|one, other| one.at.cmp(&other.at));
        Ok(lines)
    }

    /// Nothing, where the container does not know the agent: it has not begun, or that was another container.
    fn of_container(&mut self, after: u64) -> Result<Vec<Event>, Failure> {
        let Some(town) = &self.town else { return Ok(Vec::new()) };
        let (town, agent) = (encode(town), encode(&self.agent));
        let path =
            format!("/api/towns/{town}/container/agents/{agent}/events?after={after}&limit={PAGE}");
        match self.client.get_bare::<EventPage>(&path) {
            Ok(page) => Ok(page.events),
            Err(failure) if failure.kind == Kind::NotFound => Ok(Vec::new()),
            Err(failure) if !self.follow => {
                self.town = None;
                self.left_out = Some(failure.message);
                Ok(Vec::new())
            }
            Err(failure) => Err(failure),
        }
    }

    fn of_rig(&mut self, lines: &mut Vec<Line>) -> Result<(), Failure> {
        loop {
            let (agent, after) = (encode(&self.agent), self.in_rig);
            let path = format!("/agents/{agent}/events?after_id={after}&limit={PAGE}");
            let page: Vec<AgentEventView> = match self.client.get(&path) {
                // It was deleted meanwhile, and its output with it.
                Err(failure) if failure.kind == Kind::NotFound => return Ok(()),
                page => page?,
            };
            let more = page.len() >= PAGE;
            for event in page {
                self.in_rig = event.id;
                lines.push(Line {
                    agent_id: event.agent_id,
                    source: "rig",
                    id: event.id.unsigned_abs(),
                    kind: event.event_type,
                    at: event.created_at,
                    text: words(&event.data),
                });
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn line(&self, source: &'static str, event: Event) -> Line {
        Line {
            agent_id: self.agent.clone(),
            source,
            id: event.id,
            kind: event.event,
            at: event.timestamp,
            text: event.data,
        }
    }
}

/// The text that is in it, or all of it.
fn words(data: &Value) -> String {
    let text = ["text", "line", "message"].iter().find_map(|key| data.get(key)?.as_str());
    match (text, data) {
        (Some(text), _) => text.to_owned(),
        (None, Value::String(text)) => text.clone(),
        (None, data) => data.to_string(),
    }
}

/// Colours of others would run on into ours; of a sequence that is taken apart its letters would stay.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let of_it = |c: char| c.is_ascii_digit() || ";:?".contains(c);
        let mut rest = part.trim_start_matches(of_it).chars();
        rest.next();
        out + rest.as_str()
    })
}

fn print(lines: &[Line], args: &Logs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(&lines);
    }
    if lines.is_empty() {
        return screen.warn("it has said nothing yet");
    }
    lines.iter().try_for_each(|line| show(line, args, screen))
}

/// As it was said; while following, as JSON one object a line.
fn show(line: &Line, args: &Logs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        let line = serde_json::to_string(line).unwrap_or_default();
        return screen.line(&line);
    }
    let paint = match line.kind.as_str() {
        "stdout" | "output" => Paint::Plain,
        "stderr" => Paint::Yellow,
        _ => Paint::Dim,
    };
    let time = if args.timestamps {
        format!("{}  ", screen.style.paint(Paint::Dim, &when::show_exactly(&line.at)))
    } else {
        String::new()
    };
    let kind = match line.kind.as_str() {
        "stdout" | "stderr" | "output" => String::new(),
        kind => format!("[{}] ", text::line(kind)),
    };
    let said = without_colours(line.text.trim_end_matches('\n'));
    let said = text::clean(&said);
    screen.line(&format!("{time}{}", screen.style.paint(paint, &format!("{kind}{said}"))))
}
