//! The stream of beads, as a person hands them in, and what the rigs say of them afterwards.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::plan::Dice;
use crate::error::{Error, Result};
use crate::stack::ask;

/// How long one step of a request may take; a service that is stopped answers later.
const ANSWER: Duration = Duration::from_secs(5);

/// How often a rig is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Beads of a rig that are not done, so that each of its agents has one and some wait.
const OPEN_BEADS: u64 = 8;

/// How long a bead may take to be handed in, whatever is killed meanwhile.
const HAND_IN_MAX: Duration = Duration::from_mins(1);

/// Whoever hands in work: an operator.
#[derive(Clone)]
pub struct Person {
    port: u16,
    token: String,
}

impl Person {
    /// Asks the worker at this port itself: no link is between.
    pub fn new(port: u16, token: &str) -> Self {
        Self { port, token: token.to_owned() }
    }

    fn send(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> io::Result<Value> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let answer = ask(self.port, method, path, &headers, body, ANSWER)?;
        let said: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        if matches!(answer.status, 200..300) {
            return Ok(said["data"].clone());
        }
        let kind =
            if answer.status < 500 { io::ErrorKind::InvalidInput } else { io::ErrorKind::Other };
        Err(io::Error::new(kind, format!("{method} {path}: {} {}", answer.status, answer.body)))
    }

    /// What a rig says under a path.
    pub fn get(&self, rig: &str, path: &str) -> io::Result<Value> {
        self.send("GET", &format!("/api/rigs/{rig}{path}"), None, "")
    }

    /// Hands in a bead, again and again under one key until it is answered.
    pub fn hand_in(&self, rig: &str, title: &str, key: &str) -> Result<String> {
        let bead =
            json!({"title": title, "acceptance_criteria": "it is done", "assignee": "agent"});
        let deadline = Instant::now() + HAND_IN_MAX;
        loop {
            let path = format!("/api/rigs/{rig}/beads");
            match self.send("POST", &path, Some(key), &bead.to_string()) {
                Ok(made) => {
                    let id = made["id"].as_str().map(str::to_owned);
                    return id.ok_or_else(|| Error::new(format!("a bead without an id: {made}")));
                }
                Err(error)
                    if error.kind() == io::ErrorKind::InvalidInput || Instant::now() > deadline =>
                {
                    return Err(Error::new(format!("a bead could not be handed in: {error}")));
                }
                Err(_) => std::thread::sleep(LOOK / 5),
            }
        }
    }

    /// Keeps a rig in work until `over`; answers the beads that were handed in.
    pub fn keep_busy(&self, rig: &str, seed: u64, over: &AtomicBool) -> Result<Vec<String>> {
        let mut dice = Dice::new(seed);
        let mut beads = Vec::new();
        while !over.load(Ordering::Relaxed) {
            // While the worker does not answer nobody hands in anything.
            if let Ok(status) = self.get(rig, "/status") {
                let count = |name: &str| status["beads"][name].as_u64().unwrap_or(0);
                for _ in count("open") + count("in_progress")..OPEN_BEADS {
                    let key = format!("{rig}-{}", beads.len());
                    beads.push(self.hand_in(rig, &title(&mut dice), &key)?);
                }
            }
            std::thread::sleep(LOOK);
        }
        Ok(beads)
    }

    /// What is not done in a rig, in words; none when every bead is finished and no agent is at work.
    pub fn unfinished(&self, rig: &str) -> io::Result<Option<String>> {
        let status = self.get(rig, "/status")?;
        let open = self.get(rig, "/beads?status=open,in_progress,in_review&limit=1000")?;
        let open = open.as_array().cloned().unwrap_or_default();
        // That the container was away for long is told to a person, who is none of ours.
        let left = open.iter().filter(|bead| bead["type"] != "escalation");
        let left: Vec<_> = left.map(|bead| format!("{} {}", bead["id"], bead["status"])).collect();
        let agents = status["agents"].as_array().cloned().unwrap_or_default();
        let busy = |it: &&Value| !it["attempt"].is_null() || !it["current_hook_bead_id"].is_null();
        let busy = agents.iter().filter(busy).count();
        if left.is_empty() && busy == 0 {
            return Ok(None);
        }
        let breaker = status.get("breaker").map(ToString::to_string).unwrap_or_default();
        Ok(Some(format!("{rig}: {}, {busy} agents at work {breaker}", left.join(", "))))
    }

    /// The promises that a rig itself says are broken: each of these beads is closed, and was closed once.
    pub fn verdict(&self, rig: &str, beads: &[String]) -> io::Result<Vec<String>> {
        let mut closings: BTreeMap<String, u32> = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = self.get(rig, &format!("/events?limit=1000&after={after}"))?;
            let events = page.as_array().cloned().unwrap_or_default();
            for event in &events {
                if event["event_type"] == "closed" {
                    let bead = event["bead_id"].as_str().unwrap_or_default();
                    *closings.entry(bead.to_owned()).or_default() += 1;
                }
            }
            match events.last().and_then(|it| it["seq"].as_i64()) {
                Some(seq) => after = seq,
                None => break,
            }
        }
        let mut broken = Vec::new();
        for id in beads {
            let bead = self.get(rig, &format!("/beads/{id}"))?;
            if bead["status"] != "closed" {
                let (status, why) = (&bead["status"], (&bead["failure"], &bead["waiting"]));
                broken.push(format!("{id} is {status}: {} {}", why.0, why.1));
            }
            let times = closings.get(id).copied().unwrap_or(0);
            if times != 1 {
                broken.push(format!("{id} was closed {times} times"));
            }
        }
        Ok(broken)
    }
}

/// What a bead asks of its agent: steps, seconds after each, and how it ends. Mostly short, sometimes long.
fn title(dice: &mut Dice) -> String {
    let (steps, rest) =
        if dice.below(5) == 0 { (3, 4) } else { (1 + dice.below(3), 1 + dice.below(3)) };
    let end = if dice.below(2) == 0 { "close" } else { "done" };
    format!("{steps} {rest} {end}")
}
