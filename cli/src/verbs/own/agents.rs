//! `sling`, `hook`, `unhook`, `prime` and `agents`.

use super::super::{Screen, fields};
use super::{agent, resolve};
use crate::args::{AgentsVerb, Hook, Mark, Prime, Sling, Unhook};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::table::Cell;
use crate::text::{self, Paint};
use crate::when;
use beadrig::wire::agents::{self as wire, SetAgentStatus};
use beadrig::wire::rig::{AgentView, HookBead};
use beadrig::wire::sling::{self, Slung};
use serde_json::{Value, json};
use ureq::http::Method;

type Connect<T> = Result<T, Failure>;

pub(super) fn sling(
    args: Sling,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Connect<Client>,
) -> Result<(), Failure> {
    let priority = args.priority.as_deref().map(fields::priority).transpose()?;
    let labels = fields::labels(&args.labels);
    let body = sling::Sling {
        title: args.title,
        body: args.description,
        acceptance_criteria: args.acceptance,
        priority: priority.map(Value::from),
        labels: (!labels.is_empty()).then_some(labels),
        metadata: None,
    };
    let slung: Slung = connect()?.send(&Method::POST, "/sling", &body)?;
    let Slung { bead, agent } = &slung;
    let line =
        format!("✓ {} is with {} ({})", text::about(bead), text::line(&agent.name), agent.id);
    screen.done(&line, &slung)
}

pub(super) fn hook(
    args: &Hook,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Connect<Client>,
) -> Result<(), Failure> {
    let named = agent(args.agent.as_ref())?;
    let client = connect()?;
    let id = resolve(&client, &named)?;
    let path = format!("/agents/{}", encode(&id));
    if let Some(bead) = &args.bead {
        let _: Value = client.send(
            &Method::POST,
            &format!("{path}/hook"),
            &HookBead { bead_id: bead.clone() },
        )?;
        let line = format!("✓ Hooked {} to {}", text::clean(bead), text::clean(&id));
        return screen.done(&line, &json!({"agent_id": id, "bead_id": bead, "hooked": true}));
    }
    let agent: AgentView = client.get(&path)?;
    let bead = agent.current_hook_bead_id.as_deref();
    let line = bead.map_or_else(|| "nothing is hooked".to_owned(), text::line);
    screen.done(&line, &json!({"agent_id": id, "bead_id": bead, "hooked": bead.is_some()}))
}

pub(super) fn unhook(
    args: &Unhook,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Connect<Client>,
) -> Result<(), Failure> {
    let named = agent(args.agent.as_ref())?;
    let client = connect()?;
    let id = resolve(&client, &named)?;
    client.delete(&format!("/agents/{}/hook", encode(&id)))?;
    let line = format!("✓ Unhooked {}; its run is being ended", text::clean(&id));
    screen.done(&line, &json!({"agent_id": id, "hooked": false}))
}

pub(super) fn prime(
    args: &Prime,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Connect<Client>,
) -> Result<(), Failure> {
    let named = agent(args.agent.as_ref())?;
    let client = connect()?;
    let id = resolve(&client, &named)?;
    let prime: wire::Prime = client.get(&format!("/agents/{}/prime", encode(&id)))?;
    if screen.json {
        return screen.json(&prime);
    }
    let bold = |text: &str| screen.style.paint(Paint::Bold, text);
    let mut out = format!(
        "{}\n",
        bold(&format!("You are {} ({})", text::line(&prime.agent.name), prime.agent.id))
    );
    match &prime.hooked_bead {
        Some(bead) => out.push_str(&format!("\n{}", text::bead(bead, screen.style))),
        None => out.push_str("\nNothing is hooked: there is nothing to do.\n"),
    }
    if let Some(step) = &prime.current_step {
        let (now, all) = (step.current_step + 1, step.total_steps);
        let head = bold(&format!("STEP {now} OF {all}: {}", text::line(&step.step.title)));
        out.push_str(&format!("\n{head}\n{}\n", text::clean(&step.step.instructions)));
    }
    if let Some(left) = prime.checkpoint.as_ref().filter(|left| !left.is_null()) {
        let left = serde_json::to_string_pretty(left).unwrap_or_default();
        out.push_str(&format!("\n{}\n{}\n", bold("LEFT BY THE LAST RUN"), text::clean(&left)));
    }
    for mail in &prime.undelivered_mail {
        let head = bold(&format!(
            "MAIL {} FROM {}: {}",
            mail.id,
            text::line(&mail.from_agent_id),
            text::line(&mail.subject)
        ));
        out.push_str(&format!("\n{head}\n{}\n", text::clean(mail.body.trim_end())));
    }
    let mut others = prime.open_beads;
    others.retain(|bead| prime.hooked_bead.as_ref().is_none_or(|mine| mine.id != bead.id));
    if !others.is_empty() {
        out.push_str(&format!(
            "\n{}\n{}",
            bold("ALSO GIVEN TO YOU"),
            text::table(&others, screen.style)
        ));
    }
    Ok(write!(screen.out, "{out}")?)
}

pub(super) fn agents(
    verb: Option<AgentsVerb>,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    match verb.unwrap_or(AgentsVerb::List) {
        AgentsVerb::List => list(screen, client),
        AgentsVerb::Show { id } => {
            let id = resolve(client, &id)?;
            let agent: AgentView = client.get(&format!("/agents/{}", encode(&id)))?;
            show(&agent, screen)
        }
        AgentsVerb::Delete { id } => {
            let id = resolve(client, &id)?;
            client.delete(&format!("/agents/{}", encode(&id)))?;
            screen.done(
                &format!("✓ Deleted agent {}", text::clean(&id)),
                &json!({"agent_id": id, "deleted": true}),
            )
        }
        AgentsVerb::Mark { id, status, reason } => {
            let id = resolve(client, &id)?;
            let word = match status {
                Mark::Idle => "idle",
                Mark::Blocked => "blocked",
                Mark::Dead => "dead",
            };
            let body = SetAgentStatus { status: word.into(), reason };
            let agent: AgentView =
                client.send(&Method::PATCH, &format!("/agents/{}/status", encode(&id)), &body)?;
            screen.done(&format!("✓ Agent {} is {}", text::line(&agent.name), agent.status), &agent)
        }
    }
}

fn list(screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let agents: Vec<AgentView> = client.get("/agents")?;
    if screen.json {
        return screen.json(&agents);
    }
    let rows: Vec<Vec<Cell>> = agents
        .iter()
        .map(|agent| {
            vec![
                Cell::from(&agent.id),
                Cell::from(&agent.name),
                Cell::from(&agent.role),
                Cell::state(&agent.status),
                Cell::maybe(agent.current_hook_bead_id.as_deref()),
                Cell::maybe(agent.last_activity_at.as_deref().map(when::show_exactly).as_deref()),
            ]
        })
        .collect();
    let head = ["ID", "NAME…", "ROLE", "STATUS", "BEAD…", "LAST ACTIVE"];
    screen.rows("No agents: the rig makes them as it needs them.", &head, &rows)
}

fn show(agent: &AgentView, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(agent);
    }
    let run = agent.attempt.as_ref();
    let dated = |time: Option<&String>| time.map(|time| when::show_exactly(time));
    let left = agent.checkpoint.as_ref().filter(|left| !left.is_null());
    screen.facts(&[
        ("Agent", Some(agent.id.clone())),
        ("Name", Some(agent.name.clone())),
        ("Role", Some(agent.role.clone())),
        ("Status", Some(agent.status.clone())),
        ("Bead", agent.current_hook_bead_id.clone()),
        ("Run", run.map(|run| format!("{} ({}), job={}", run.number, run.state, run.job_id))),
        ("Why", run.and_then(|run| run.reason.clone())),
        ("Since", dated(run.map(|run| &run.started_at))),
        ("Last active", dated(agent.last_activity_at.as_ref())),
        ("Left", left.map(ToString::to_string)),
        ("Made", dated(Some(&agent.created_at))),
    ])
}
