//! `why`: in plain words what a bead waits for, since when, what ends that, what was tried, and what went wrong last.
//! The rig's own sentences come first; only what to type is ours.

use super::super::Screen;
use crate::api;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::table::wrap;
use crate::text::{self, Paint};
use crate::when;
use beadrig::wire::dependencies::{Dependencies, EventView, holds_up};
use beadrig::wire::review::ReviewView;
use beadrig::wire::rig::{AgentView, BeadView};
use serde::Serialize;
use serde_json::{Map, Value};

/// The most the API gives at once, and so many pages: a bead with more has told enough.
const PAGE: usize = 1000;
const PAGES: usize = 5;
/// So many of the last notes.
const NOTES: usize = 3;

/// All of the answer.
#[derive(Serialize)]
struct Answer {
    id: String,
    title: String,
    status: String,
    /// Why it does not move, in words.
    why: String,
    /// Stable, where the rig has a name for it.
    reason: Option<String>,
    since: Option<String>,
    until: Option<String>,
    /// What ends it.
    ends: String,
    /// What it depends on that is not closed.
    blocked_by: Vec<Blocker>,
    tried: Tried,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct Blocker {
    id: String,
    status: String,
    title: String,
}

#[derive(Serialize)]
struct Tried {
    runs_in_24_h: u32,
    merges: i64,
    notes: Vec<String>,
}

/// What was asked for it.
struct Known {
    bead: BeadView,
    dependencies: Dependencies,
    events: Vec<EventView>,
    agent: Option<AgentView>,
    review: Option<ReviewView>,
    breaker: Option<String>,
}

pub(super) fn why(id: &str, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let known = ask(id, client)?;
    let answer = answer(&known);
    if screen.json {
        return screen.json(&answer);
    }
    let head = format!("{} — {} ({})", answer.id, text::line(&answer.title), answer.status);
    let head = wrap(&head, screen.style.width, 0);
    screen.line(&screen.style.paint(Paint::Bold, &head))?;
    let at = |time: &Option<String>| time.as_deref().map(when::show_exactly);
    let tried = tried(&answer.tried);
    let blockers: Vec<_> = answer
        .blocked_by
        .iter()
        .map(|it| format!("{} ({}) {}", it.id, it.status, it.title))
        .collect();
    let facts = [
        ("Why", Some(answer.why.clone())),
        ("", (!blockers.is_empty()).then(|| blockers.join("; "))),
        ("Since", at(&answer.since)),
        ("Until", at(&answer.until)),
        ("Ends when", Some(answer.ends.clone())),
        ("Tried", tried),
        ("Last error", answer.last_error.clone()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            let name = screen.style.paint(Paint::Dim, &format!("{name:<10}"));
            screen
                .line(&format!("{name}  {}", wrap(&text::line(&value), screen.style.width, 12)))?;
        }
    }
    Ok(())
}

fn tried(tried: &Tried) -> Option<String> {
    let runs = (tried.runs_in_24_h > 0)
        .then(|| format!("{} in the last 24 h", many(tried.runs_in_24_h, "run")));
    let merges =
        (tried.merges > 0).then(|| many(u32::try_from(tried.merges).unwrap_or(u32::MAX), "merge"));
    let notes = (!tried.notes.is_empty()).then(|| tried.notes.join("; "));
    let all: Vec<_> = [runs, merges, notes].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn many(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn ask(id: &str, client: &Client) -> Result<Known, Failure> {
    let bead = api::bead(client, id)?;
    let id = encode(&bead.id);
    let dependencies = client.get(&format!("/beads/{id}/dependencies"))?;
    let status: Map<String, Value> = client.get("/status")?;
    let breaker = status.get("breaker").and_then(|it| it.get("message")).and_then(Value::as_str);
    let agents = status.get("agents").cloned().unwrap_or_default();
    let agents: Vec<AgentView> = serde_json::from_value(agents).unwrap_or_default();
    let has = |agent: &AgentView| agent.current_hook_bead_id.as_ref() == Some(&bead.id);
    let review = if bead.status == "in_review" || bead.branch.is_some() {
        let reviews: Vec<ReviewView> = client.get("/review-queue")?;
        reviews.into_iter().filter(|it| it.bead_id == bead.id).max_by(|a, b| a.id.cmp(&b.id))
    } else {
        None
    };
    Ok(Known {
        dependencies,
        events: events(&id, client)?,
        agent: agents.into_iter().find(has),
        review,
        breaker: breaker.map(str::to_owned),
        bead,
    })
}

fn events(id: &str, client: &Client) -> Result<Vec<EventView>, Failure> {
    let (mut events, mut after): (Vec<EventView>, i64) = (Vec::new(), 0);
    for _ in 0..PAGES {
        let path = format!("/events?limit={PAGE}&after={after}&bead_id={id}");
        let page: Vec<EventView> = client.get(&path)?;
        let last = page.len() < PAGE;
        after = page.last().map_or(after, |event| event.seq);
        events.extend(page);
        if last {
            break;
        }
    }
    Ok(events)
}

fn answer(known: &Known) -> Answer {
    let bead = &known.bead;
    let blocked_by: Vec<Blocker> = known
        .dependencies
        .dependencies
        .iter()
        .filter(|it| holds_up(&it.kind) && it.status != "closed")
        .map(|it| Blocker { id: it.id.clone(), status: it.status.clone(), title: it.title.clone() })
        .collect();
    let (why, ends) = told(known, &blocked_by);
    let notes = bead.notes.as_deref().unwrap_or_default();
    let notes = &notes[notes.len().saturating_sub(NOTES)..];
    Answer {
        id: bead.id.clone(),
        title: bead.title.clone(),
        status: bead.status.clone(),
        why,
        reason: bead
            .failure
            .as_ref()
            .map(|it| it.code.clone())
            .or_else(|| bead.waiting.as_ref().map(|it| it.reason.clone())),
        since: since(known),
        until: bead
            .waiting
            .as_ref()
            .and_then(|it| it.until.clone())
            .or_else(|| known.review.as_ref()?.retry_at.clone()),
        ends,
        blocked_by,
        tried: Tried {
            runs_in_24_h: bead.attempts,
            merges: known.review.as_ref().map_or(0, |review| review.attempts),
            notes: notes.iter().map(|note| text::line(&note.text)).collect(),
        },
        last_error: last_error(known),
    }
}

/// When it became what it is; for one that waits, when anything happened to it last.
fn since(known: &Known) -> Option<String> {
    let bead = &known.bead;
    let is = |event: &&EventView| event.new_value.as_ref() == Some(&bead.status);
    let became = known.events.iter().rev().find(is);
    let at = became.map(|event| event.created_at.clone());
    at.or_else(|| {
        Some(if bead.status == "open" { &bead.created_at } else { &bead.updated_at }.clone())
    })
}

fn last_error(known: &Known) -> Option<String> {
    let failure = known.bead.failure.as_ref().map(|it| it.message.clone());
    let run = || known.agent.as_ref()?.attempt.as_ref()?.reason.clone();
    let merge = || {
        let bad =
            matches!(known.review.as_ref()?.status.as_str(), "conflict" | "failed" | "pending");
        known.review.as_ref()?.message.clone().filter(|_| bad)
    };
    let told = || {
        let bad = |event: &&EventView| {
            matches!(event.new_value.as_deref(), Some("failed" | "blocked" | "conflict"))
                || event.event_type.contains("retried")
        };
        let event = known.events.iter().rev().find(bad)?;
        event.metadata.get("message")?.as_str().map(str::to_owned)
    };
    // The rig notes how each run ended that did not end well.
    let noted = || {
        let mut notes = known.bead.notes.iter().flatten().rev();
        notes.find(|note| note.text.starts_with("attempt ")).map(|note| note.text.clone())
    };
    failure.or_else(run).or_else(merge).or_else(noted).or_else(told)
}

/// What it waits for, and what ends that.
fn told(known: &Known, blocked_by: &[Blocker]) -> (String, String) {
    let bead = &known.bead;
    let id = &bead.id;
    if let Some(failure) = &bead.failure {
        return (
            failure.message.clone(),
            format!("a person looks at it, then `beadrig reopen {id}`"),
        );
    }
    if let Some(waiting) = &bead.waiting {
        let mut what = waiting.message.clone();
        if let Some(breaker) = &known.breaker {
            what = format!("{what}; {breaker}");
        }
        return (what, end_of(&waiting.reason, id, blocked_by));
    }
    match bead.status.as_str() {
        "closed" => (
            "it is closed, and waits for nothing".into(),
            format!("`beadrig reopen {id}` opens it again"),
        ),
        "in_review" => in_review(known),
        "in_progress" => at_work(known),
        "deferred" => {
            let until = bead.defer_until.as_deref().map(when::show);
            let until = until.map_or_else(
                || "it was put off".into(),
                |until| format!("it was put off until {until}"),
            );
            (until, format!("it is opened: `beadrig update {id} -s open --defer \"\"`"))
        }
        "failed" | "blocked" => (
            "it waits for a person".into(),
            format!("a person looks at it, then `beadrig reopen {id}`"),
        ),
        _ if !blocked_by.is_empty() => {
            ("it waits for what it depends on".into(), "that is closed".into())
        }
        _ => match &bead.assignee {
            Some(name) => (
                format!("it is {}'s to do", text::line(name)),
                format!("they close it; an agent takes it after `beadrig assign {id} agent`"),
            ),
            None => ("nobody was asked to do it".into(), format!("`beadrig assign {id} agent`")),
        },
    }
}

fn at_work(known: &Known) -> (String, String) {
    let Some(agent) = &known.agent else {
        let who = known.bead.assignee.as_deref().unwrap_or("nobody");
        return (format!("it is {}'s to do", text::line(who)), "they close it".into());
    };
    let (name, id) = (text::line(&agent.name), &known.bead.id);
    let Some(run) = &agent.attempt else {
        return (
            format!("agent {name} has it, and does not run"),
            "the next run is begun, by itself, and says done".into(),
        );
    };
    let last = agent.last_activity_at.as_deref().map(when::show_exactly);
    let last = last.map(|at| format!(", last sign of life {at}")).unwrap_or_default();
    let what = format!("agent {name} is at it: run {} is {}{last}", run.number, run.state);
    (what, format!("it says done; `beadrig logs -f {id}` shows how it goes"))
}

fn in_review(known: &Known) -> (String, String) {
    let Some(review) = &known.review else {
        return ("its branch waits to be merged".into(), "it is merged".into());
    };
    let said = review.message.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
    let what = format!("the merge of its branch {} is {}{said}", review.branch, review.status);
    let ends = match (review.status.as_str(), &review.pr_url) {
        ("waiting", Some(url)) => {
            format!("a person merges {url}, then `beadrig review complete {} merged`", review.id)
        }
        ("waiting", None) => {
            format!("a person merges it, then `beadrig review complete {} merged`", review.id)
        }
        _ => "the merge is over; it is tried again by itself".into(),
    };
    (what, ends)
}

/// What ends a reason of the rig's.
fn end_of(reason: &str, id: &str, blocked_by: &[Blocker]) -> String {
    match reason {
        "no_acceptance_criteria" => {
            format!("`beadrig update {id} --acceptance \"when it is done\"`")
        }
        "blocked_by" if blocked_by.is_empty() => "what its parent depends on is closed".into(),
        "blocked_by" => {
            let ids: Vec<_> = blocked_by.iter().map(|it| it.id.as_str()).collect();
            let are = if ids.len() == 1 { "is" } else { "are" };
            format!("{} {are} closed; `beadrig why {}` goes on from there", ids.join(", "), ids[0])
        }
        "deferred" => format!("its time comes, or `beadrig update {id} --defer \"\"`"),
        "back_off" => "the wait is over, by itself".into(),
        "no_capacity" => {
            "an agent is free, by itself; more at once with `beadrig settings set max_agents=N`"
                .into()
        }
        "dispatch_paused" => {
            "`beadrig resume` (or `resume --all`); `beadrig doctor` says who paused it".into()
        }
        "container_unavailable" => {
            "the container answers, by itself; `beadrig doctor` looks at it".into()
        }
        "breaker_open" => {
            "a start succeeds: one is tried by itself now and then; `beadrig doctor` looks at the rest"
                .into()
        }
        "no_agent" => "it is in the queue again, by itself".into(),
        "queued" => "its turn comes, by itself".into(),
        other => format!("the rig says that {} is over", text::line(other)),
    }
}
