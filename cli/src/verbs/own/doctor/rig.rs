//! The rig: whether it answers, whether it will wake, whether it hands out work, what is stuck.

use super::Findings;
use crate::client::Client;
use crate::settings::is_here;
use crate::text;
use crate::verbs::own::switch;
use crate::when;
use beadrig::wire::PROTOCOL;
use beadrig::wire::dispatch::DispatchView;
use beadrig::wire::escalations::EscalationView;
use beadrig::wire::rig::BeadView;
use jiff::Timestamp;
use serde_json::Value;

/// An alarm may come so late, in seconds: the platform promises no more than that it comes.
const LATE_S: i64 = 60;
/// Clocks may differ by so much, in seconds, before times that people type mean something else …
const CLOCK_S: i64 = 60;
/// … and by so much before `+1h` and `--since -1h` are wrong for whoever reads them.
const CLOCK_WRONG_S: i64 = 300;
/// So many names are shown.
const SHOWN: usize = 5;

/// Worker, token, rig, version and clock; the rig's status, if it got so far.
pub(super) fn reach(client: &Client, found: &mut Findings) -> Option<Value> {
    let url = &client.settings().url;
    let health = match client.look("/health") {
        Ok(seen) => seen,
        Err(failure) => {
            found.bad(
                "worker",
                failure.message,
                failure.hint.unwrap_or_else(|| {
                    format!("is {url} the right address? `beadrig where` shows where it came from")
                }),
            );
            return None;
        }
    };
    if health.data().and_then(|data| data.get("status").cloned()) != Some(Value::from("ok")) {
        let said = format!("{url}/health: {}", health.problem());
        found.bad("worker", said, "is the URL the one of a Beadrig worker?");
        return None;
    }
    if health.data().is_some_and(|data| data.get("bootId").is_some()) {
        let said = format!("{url} is a container service, not a worker");
        found.bad(
            "worker",
            said,
            "the worker has another address; `beadrig where` shows where this one came from",
        );
        return None;
    }
    found.ok("worker", format!("{url} answers"));
    clock(health.date.as_deref(), url, found);
    let status = status(client, found)?;
    version(client, found);
    Some(status)
}

fn status(client: &Client, found: &mut Findings) -> Option<Value> {
    let settings = client.settings();
    let seen = match client.look(&path(client, "/status")) {
        Ok(seen) => seen,
        Err(failure) => {
            found.bad("rig", failure.message, "the worker answers, its rig does not: see its log");
            return None;
        }
    };
    let source = &settings.token.source;
    if seen.status == 401 || seen.status == 403 {
        let said = format!("the token from {source} is refused: {}", seen.problem());
        found.bad(
            "token",
            said,
            "it is BEADRIG_TOKEN of the worker; of `cargo xtask up`, what is in .beadrig/token",
        );
        return None;
    }
    found.ok("token", format!("accepted, from {source}"));
    let Some(status) = seen.data() else {
        let todo = match seen.status {
            400 | 404 => "`beadrig rigs list` shows those that are there; --rig names another",
            503 => "ask again; if it stays so, look in the worker's log",
            _ => "the worker's log has more",
        };
        found.bad("rig", format!("rig {}: {}", settings.rig, seen.problem()), todo);
        return None;
    };
    Some(status)
}

fn version(client: &Client, found: &mut Findings) {
    let own = env!("CARGO_PKG_VERSION");
    let document = client.look("/openapi.json").ok().and_then(|seen| seen.data());
    let there = document.as_ref().and_then(|it| it.pointer("/info/version")?.as_str());
    match there {
        Some(there) if there == own => found.ok("version", format!("both are {own}")),
        Some(there) => {
            let said = format!("the worker is {there}, this command is {own}");
            let todo = "bring both to the same version: fields that one does not know are left out";
            if goes_with(there) == goes_with(own) {
                found.warn("version", said, todo);
            } else {
                found.bad("version", said, todo);
            }
        }
        None => found.skip("version", "the worker does not tell its version"),
    }
}

fn clock(date: Option<&str>, url: &str, found: &mut Findings) {
    let there = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let Some(there) = there else {
        let said =
            if is_here(url) { "the same machine" } else { "the worker does not tell its time" };
        return if is_here(url) { found.ok("clock", said) } else { found.skip("clock", said) };
    };
    let off = Timestamp::now().as_second() - there.timestamp().as_second();
    let way = if off > 0 { "ahead of" } else { "behind" };
    match off.abs() {
        0..=CLOCK_S => found.ok("clock", format!("within {} s of the worker's", off.abs().max(1))),
        seconds => {
            let said = format!("this machine's clock is {seconds} s {way} the worker's");
            let todo = "set the clock of this machine, with NTP for example";
            if seconds < CLOCK_WRONG_S {
                found.warn("clock", said, todo);
            } else {
                found.bad("clock", said, todo);
            }
        }
    }
}

/// What two versions that understand each other have in common, as cargo has it: 1 of 1.2.3, 0.2 of 0.2.3.
fn goes_with(version: &str) -> Vec<&str> {
    let parts: Vec<_> = version.split('.').collect();
    let zeros = parts.iter().take_while(|part| **part == "0").count();
    parts.into_iter().take(zeros + 1).collect()
}

/// Alarm, dispatch and breaker.
pub(super) fn inside(client: &Client, status: &Value, found: &mut Findings) {
    // Asked for before the health is, which sets the alarm.
    alarm(client, status, found);
    match client.look(&path(client, "/health")).map(|seen| seen.data()) {
        Ok(Some(health)) if health["protocol"] == PROTOCOL => {
            found.ok("rig", format!("{} answers, protocol {PROTOCOL}", client.settings().rig));
        }
        Ok(Some(health)) => found.bad(
            "rig",
            format!("it speaks protocol {}, this command {PROTOCOL}", health["protocol"]),
            "roll out worker, container and command together",
        ),
        Ok(None) | Err(_) => {
            found.bad("rig", "it tells its status, but not its health", "look in the worker's log");
        }
    }
    dispatch(status, found);
    match status.get("breaker").filter(|it| !it.is_null()) {
        Some(breaker) => {
            let said = breaker["message"].as_str().unwrap_or("its starts fail");
            let next = breaker["next_probe_at"].as_str().map(when::show_exactly);
            let next =
                next.map(|at| format!("; the next start is tried at {at}")).unwrap_or_default();
            found.bad("breaker", format!("open: {}{next}", text::line(said)),
                "mend what the last runs died of: `beadrig settings get agent_command`, `beadrig logs AGENT`; it closes by itself");
        }
        None => found.ok("breaker", "closed: starts succeed"),
    }
}

fn alarm(client: &Client, status: &Value, found: &mut Findings) {
    let next = status["next_tick_at"].as_str();
    let due = next.and_then(|at| at.parse::<Timestamp>().ok());
    let late = due.map(|due| Timestamp::now().as_second() - due.as_second());
    let todo =
        "doctor has asked the rig to set it: look again; if it stays so, look in the worker's log";
    match (next, late) {
        (Some(next), Some(late)) if late > LATE_S => {
            found.bad(
                "alarm",
                format!("it was due at {}, {late} s ago", when::show_exactly(next)),
                todo,
            );
        }
        (Some(next), _) => found.ok("alarm", format!("set for {}", when::show_exactly(next))),
        (None, _) => match has_work(client, status) {
            Ok(Some(work)) => {
                found.bad("alarm", format!("there is work ({work}), and no alarm is set"), todo);
            }
            Ok(None) => found.ok("alarm", "none, and nothing to do"),
            Err(said) => found.skip("alarm", said),
        },
    }
}

/// What the rig must wake for, if there is something.
fn has_work(client: &Client, status: &Value) -> Result<Option<String>, String> {
    let agents = status["agents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let runs =
        agents.iter().filter(|it| it["attempt"].is_object() && it["attempt"]["ended_at"].is_null());
    if let Some(agent) = runs.into_iter().next() {
        return Ok(Some(format!("agent {} runs", agent["name"].as_str().unwrap_or("?"))));
    }
    if status["dispatch_enabled"] == false {
        return Ok(None);
    }
    let waits = |bead: &BeadView| {
        bead.waiting.as_ref().is_some_and(|it| {
            matches!(
                it.reason.as_str(),
                "queued" | "back_off" | "deferred" | "container_unavailable" | "no_capacity"
            )
        })
    };
    let beads: Vec<BeadView> =
        client.get("/beads?assignee=agent&status=open&limit=100").map_err(|it| it.message)?;
    Ok(beads.iter().find(|bead| waits(bead)).map(|bead| format!("{} waits for an agent", bead.id)))
}

fn dispatch(status: &Value, found: &mut Findings) {
    let view = serde_json::from_value::<DispatchView>(status["dispatch"].clone()).ok();
    if status["dispatch_enabled"] != false && view.as_ref().is_none_or(|view| view.enabled) {
        return found.ok("dispatch", "on: beads are handed to agents");
    }
    let hands: Vec<_> = view.iter().flat_map(|view| &view.paused).map(switch::hand).collect();
    let said = if hands.is_empty() { "off".into() } else { format!("off: {}", hands.join("; ")) };
    found.warn(
        "dispatch",
        said,
        "`beadrig resume` or `beadrig resume --all`; manual dispatch goes on",
    );
}

/// What needs a person.
pub(super) fn work(client: &Client, found: &mut Findings) {
    match client.get::<Vec<BeadView>>("/beads?status=failed,blocked,open&limit=1000") {
        Ok(beads) => stuck(&beads, found),
        Err(failure) => found.skip("beads", failure.message),
    }
    match client.get::<Vec<EscalationView>>("/escalations?acknowledged=false") {
        Ok(waiting) => {
            let open = waiting.iter().filter(|it| it.bead.status != "closed");
            let ids: Vec<&str> = open.map(|it| it.bead.id.as_str()).collect();
            match ids.as_slice() {
                [] => found.ok("escalations", "none waits for a person"),
                ids => found.warn(
                    "escalations",
                    format!("{} for a person: {}", waits(ids), some(ids)),
                    "`beadrig escalations`, then `beadrig escalations ack ID`",
                ),
            }
        }
        Err(failure) => found.skip("escalations", failure.message),
    }
}

fn stuck(beads: &[BeadView], found: &mut Findings) {
    let never = |bead: &BeadView| {
        bead.waiting.as_ref().is_some_and(|it| it.reason == "no_acceptance_criteria")
    };
    let ids: Vec<&str> = beads
        .iter()
        .filter(|bead| matches!(bead.status.as_str(), "failed" | "blocked") || never(bead))
        .map(|bead| bead.id.as_str())
        .collect();
    match ids.as_slice() {
        [] => found.ok("beads", "none is stuck"),
        ids => found.warn(
            "beads",
            format!("{} for a person: {}", waits(ids), some(ids)),
            format!("`beadrig why {}` says why, and what to do", ids[0]),
        ),
    }
}

fn waits(ids: &[&str]) -> String {
    format!("{} {}", ids.len(), if ids.len() == 1 { "waits" } else { "wait" })
}

fn some(ids: &[&str]) -> String {
    let more = if ids.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", ids[..ids.len().min(SHOWN)].join(", "))
}

fn path(client: &Client, rest: &str) -> String {
    format!("/api/rigs/{}{rest}", crate::client::encode(&client.settings().rig))
}
