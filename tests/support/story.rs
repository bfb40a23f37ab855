//! Whole lives of beads, told as short scripts: a line in, what happened out.
//!
//! ```text
//! bead b1 fix the parser          ann files b1, with acceptance criteria, for `agent`
//! loose b1 fix the parser         the same without acceptance criteria
//! wait 30s
//! tick                            one tick; the container answers as it is
//! watch 31m                       ticks every 30 s for so long; nobody prints anything
//! chatty 31m                      the same, and every process prints all the time
//! container up|down|full|refuses  how it answers from now on
//! container mute|deaf             `mute` starts, but its answer is lost; `deaf` never gets the request
//! container forgets               it was restarted: it knows no run any more
//! exits Toast 3                   the process ends, and the container reports it
//! dies Toast 3                    the process ends, and the report is lost
//! beats                           the container's heartbeat for every process that is there
//! Toast note b1 half done         the agent speaks with the token of its process
//! Toast close b1 | Toast done | Toast checkpoint step 3 | Toast blocked b1
//! old Toast note b1 hello         the same with the token of the process before
//! ann close|reopen b1 | ann assign b1 bob | ann status b1 blocked | ann priority b1 0 | ann defer b1 1h
//! ann criteria b1 it works | ann hook b1 | ann unhook Toast
//! ann needs b2 b1 [related]       b2 depends on b1; without a type, b1 blocks b2
//! ann frees b2 b1 | ann parent b2 b1 | ann unparent b2 | ann delete b1 | ann shelve b1 1h
//! show b1 | why b1                its state; the words for why it waits
//! agent Toast | mail Toast        its status; what waits for it
//! escalations                     those that want somebody
//! ready | blocked                 the lists
//! next                            when the rig wants to be woken
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use beadrig::command::{Command, Effect, Error, StartAnswer, Tell};
use beadrig::id::Millis;
use beadrig::settings::Settings;
use beadrig::token::Caller;
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::{
    AgentList, AgentStatus, ExitReport, Heartbeat, Outcome, Phase, StartAgent,
};

use super::{TestRig, agent, container, operator};

/// One process of the modelled container.
struct Process {
    start: StartAgent,
    over: Option<i32>,
    started: Millis,
    printed: Millis,
}

pub(crate) struct Story {
    pub(crate) rig: TestRig,
    beads: BTreeMap<String, String>,
    mode: String,
    /// By agent id: every process there was, the last one current.
    processes: BTreeMap<String, Vec<Process>>,
    /// The attempts that the container still knows.
    known: BTreeSet<i64>,
    told: Vec<String>,
    numbers: Vec<i64>,
}

/// Tells a story with the settings as they come.
pub(crate) fn tell(script: &str) -> String {
    tell_with(Settings::default(), script)
}

pub(crate) fn tell_with(settings: Settings, script: &str) -> String {
    let mut story = Story {
        rig: TestRig::with(settings),
        beads: BTreeMap::new(),
        mode: "up".to_owned(),
        processes: BTreeMap::new(),
        known: BTreeSet::new(),
        told: Vec::new(),
        numbers: Vec::new(),
    };
    let mut out = String::new();
    for line in script.trim().lines().map(str::trim) {
        story.told.clear();
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Err(refusal) = story.step(&words) {
            story.told.push(format!("refused: {refusal}"));
        }
        writeln!(out, "{line}").unwrap();
        for told in &story.told {
            writeln!(out, "    {}", story.plain(told)).unwrap();
        }
    }
    out
}

impl Story {
    fn step(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["bead", name, title @ ..] => self.file(name, &title.join(" "), true),
            ["loose", name, title @ ..] => self.file(name, &title.join(" "), false),
            ["wait", time] => {
                self.rig.pass(millis(time));
                Ok(())
            }
            ["tick"] => {
                self.tick();
                Ok(())
            }
            [how @ ("watch" | "chatty"), time] => {
                let until = self.rig.now.plus(millis(time));
                while self.rig.now < until {
                    self.rig.pass(30_000.min(until.since(self.rig.now)));
                    if *how == "chatty" {
                        self.print();
                    }
                    self.tick();
                }
                Ok(())
            }
            ["agent", who] => {
                let id = self.agent(who);
                let it = self.rig.engine.agent(&id, self.rig.now).unwrap();
                self.told.push(it.status);
                Ok(())
            }
            ["mail", who] => {
                let id = self.agent(who);
                for mail in self.rig.engine.store.waiting_mail(&id).unwrap() {
                    self.told.push(format!("{}: {}: {}", mail.from, mail.subject, mail.body));
                }
                Ok(())
            }
            ["escalations"] => {
                let query = [("acknowledged".to_owned(), "false".to_owned())];
                for it in self.rig.engine.list_escalations(&query, self.rig.now).unwrap() {
                    self.told.push(format!("{} {} x{}", it.bead.title, it.severity, it.count));
                }
                Ok(())
            }
            ["container", "forgets"] => {
                self.known.clear();
                Ok(())
            }
            ["container", mode] => {
                (*mode).clone_into(&mut self.mode);
                Ok(())
            }
            ["exits" | "dies", who, code] => self.exits(who, code, words[0] == "exits"),
            ["beats"] => self.beats(),
            ["show", bead] => {
                let id = self.id(bead);
                let line = self.rig.tell(&id);
                self.told.push(line);
                Ok(())
            }
            ["why", bead] => {
                let id = self.id(bead);
                let waiting = self.rig.bead(&id)["waiting"]["message"].clone();
                self.told.push(waiting.as_str().unwrap_or("it does not wait").to_owned());
                Ok(())
            }
            ["ready" | "blocked"] => self.list_of(words[0]),
            ["next"] => {
                let next = self.rig.engine.next_wake(self.rig.now).unwrap();
                self.told.push(next.map_or("never".to_owned(), |at| at.to_string()));
                Ok(())
            }
            ["ann", verb, rest @ ..] => self.speak(&operator(), verb, rest),
            ["old", who, verb, rest @ ..] => {
                let caller = self.caller(who, 2);
                self.speak(&caller, verb, rest)
            }
            [who, verb, rest @ ..] => {
                let caller = self.caller(who, 1);
                self.speak(&caller, verb, rest)
            }
            _ => panic!("no such line: {words:?}"),
        }
    }

    fn file(&mut self, name: &str, title: &str, criteria: bool) -> Result<(), String> {
        let mut body = serde_json::json!({"title": title, "assignee": "agent"});
        if criteria {
            body["acceptance_criteria"] = "it works".into();
        }
        let answer = self.call(&operator(), "POST", "/beads", &body.to_string())?;
        let id = answer["data"]["id"].as_str().unwrap().to_owned();
        self.beads.insert(name.to_owned(), id);
        self.told.clear();
        Ok(())
    }

    fn list_of(&mut self, list: &str) -> Result<(), String> {
        let answer = self.call(&operator(), "GET", &format!("/{list}"), "")?;
        for bead in answer["data"].as_array().unwrap() {
            let by = bead["blocked_by"].as_array().into_iter().flatten();
            let by: Vec<&str> = by.map(|it| it.as_str().unwrap()).collect();
            let id = bead["id"].as_str().unwrap();
            self.told.push(format!("{id} {}", by.join(" ")).trim().to_owned());
        }
        Ok(())
    }

    fn tick(&mut self) {
        let moment = self.rig.moment();
        let scheduled = self.rig.engine.schedule_pending_work(moment);
        self.hear(&scheduled.effects);
        self.rig.take(scheduled.effects);
        for start in std::mem::take(&mut self.rig.starts) {
            self.start(start);
        }
        for (who, attempt) in std::mem::take(&mut self.rig.stops) {
            let number = self.ordinal(attempt);
            self.told.push(format!("stop {who} #{number}"));
        }
        if scheduled.ask {
            // The list is made after the starts were answered, so that it says something about them.
            self.rig.pass(1);
            let list = self.list();
            let moment = self.rig.moment();
            let effects = self.rig.engine.witness_patrol(moment, self.rig.now, list.as_ref());
            self.hear(&effects);
            self.rig.take(effects);
        }
    }

    /// Every process that is there prints something.
    fn print(&mut self) {
        let now = self.rig.now;
        for process in self.processes.values_mut().flatten().filter(|it| it.over.is_none()) {
            process.printed = now;
        }
    }

    /// The container's side of a start.
    fn start(&mut self, start: StartAgent) {
        let number = self.ordinal(start.attempt);
        self.told.push(format!("start {} #{number} on {}", start.agent_id, start.bead_id));
        let known = self.processes.entry(start.agent_id.clone()).or_default();
        let (who, attempt) = (start.agent_id.clone(), start.attempt);
        let here = matches!(self.mode.as_str(), "up" | "mute");
        if here && known.iter().all(|it| it.start.attempt != attempt) {
            self.known.insert(attempt);
            known.push(Process { start, over: None, started: self.rig.now, printed: self.rig.now });
        }
        let answer = match self.mode.as_str() {
            "up" => StartAnswer::Accepted,
            "refuses" => StartAnswer::Refused("no such command".to_owned()),
            "full" => StartAnswer::NoRoom("10 of 10 agents run".to_owned()),
            "down" => StartAnswer::NoRoom("the container does not answer".to_owned()),
            _ => StartAnswer::Unknown("no answer".to_owned()),
        };
        self.apply(Command::StartAnswered(who, attempt, answer)).unwrap();
    }

    fn list(&self) -> Option<AgentList> {
        if matches!(self.mode.as_str(), "down" | "mute") {
            return None;
        }
        let all = self.processes.values().filter_map(|it| it.last());
        let agents = all.filter(|it| self.known.contains(&it.start.attempt)).map(status).collect();
        Some(AgentList { boot_id: "boot".to_owned(), protocol: PROTOCOL, agents })
    }

    fn exits(&mut self, who: &str, code: &str, reported: bool) -> Result<(), String> {
        let id = self.agent(who);
        let code = code.parse().unwrap();
        let process = self.processes.get_mut(&id).unwrap().last_mut().unwrap();
        process.over = Some(code);
        let report = ExitReport {
            status: if code == 0 { Outcome::Completed } else { Outcome::Failed },
            reason: Some("exited".to_owned()),
            attempt: Some(process.start.attempt),
            exit_code: Some(code),
            signal: None,
            boot_id: None,
            output_tail: Some("thread 'main' panicked\n".to_owned()),
            cost_usd_micros: None,
            session_id: None,
        };
        if reported { self.apply(Command::Exited(container(), id, report)) } else { Ok(()) }
    }

    fn beats(&mut self) -> Result<(), String> {
        let alive = self.processes.values().flatten().filter(|it| it.over.is_none());
        let agents = alive
            .map(|it| Heartbeat {
                agent_id: it.start.agent_id.clone(),
                attempt: it.start.attempt,
                job_id: it.start.job_id.clone(),
                last_activity_at: self.rig.now.to_string(),
            })
            .collect::<Vec<_>>();
        let body = serde_json::json!({"protocol": PROTOCOL, "boot_id": "boot", "agents": agents});
        let answer = self.call(&container(), "POST", "/heartbeats", &body.to_string())?;
        for verdict in answer["data"]["verdicts"].as_array().unwrap() {
            let number = self.ordinal(verdict["attempt"].as_i64().unwrap());
            let (who, what) = (&verdict["agent_id"], &verdict["verdict"]);
            self.told.push(format!(
                "{} #{number}: {}",
                who.as_str().unwrap(),
                what.as_str().unwrap()
            ));
        }
        Ok(())
    }

    fn speak(&mut self, caller: &Caller, verb: &str, rest: &[&str]) -> Result<(), String> {
        let me = match caller {
            Caller::Agent(claims) => claims.agent_id.clone(),
            _ => String::new(),
        };
        let id = rest.first().map(|name| self.id(name)).unwrap_or_default();
        let text = rest.get(1..).unwrap_or_default().join(" ");
        let status = |status: &str| format!(r#"{{"status":"{status}"}}"#);
        let (method, path, body) = match verb {
            "note" => ("POST", format!("/beads/{id}/notes"), format!(r#"{{"text":"{text}"}}"#)),
            "close" | "reopen" => ("POST", format!("/beads/{id}/{verb}"), String::new()),
            "assign" => ("PATCH", format!("/beads/{id}"), format!(r#"{{"assignee":"{text}"}}"#)),
            "criteria" => {
                ("PATCH", format!("/beads/{id}"), format!(r#"{{"acceptance_criteria":"{text}"}}"#))
            }
            "defer" => {
                let until = self.rig.now.plus(millis(&text));
                ("PATCH", format!("/beads/{id}"), format!(r#"{{"defer_until":"{until}"}}"#))
            }
            "shelve" => {
                let until = self.rig.now.plus(millis(&text));
                let body = format!(r#"{{"status":"deferred","defer_until":"{until}"}}"#);
                ("PATCH", format!("/beads/{id}"), body)
            }
            "needs" => {
                let kind = rest.get(2).unwrap_or(&"blocks");
                let other = self.id(rest[1]);
                let body = format!(r#"{{"depends_on":"{other}","type":"{kind}"}}"#);
                ("POST", format!("/beads/{id}/dependencies"), body)
            }
            "frees" => {
                let other = self.id(rest[1]);
                ("DELETE", format!("/beads/{id}/dependencies/{other}"), String::new())
            }
            "parent" => {
                let parent = self.id(rest[1]);
                ("PATCH", format!("/beads/{id}"), format!(r#"{{"parent":"{parent}"}}"#))
            }
            "unparent" => ("PATCH", format!("/beads/{id}"), r#"{"parent":null}"#.to_owned()),
            "delete" => ("DELETE", format!("/beads/{id}"), String::new()),
            "priority" => ("PATCH", format!("/beads/{id}"), format!(r#"{{"priority":{text}}}"#)),
            "status" => ("PATCH", format!("/beads/{id}"), status(&text)),
            "blocked" => ("PATCH", format!("/beads/{id}/status"), status("blocked")),
            "done" => ("POST", format!("/agents/{me}/done"), "{}".to_owned()),
            "checkpoint" => {
                let data = rest.join(" ");
                ("POST", format!("/agents/{me}/checkpoint"), format!(r#"{{"data":"{data}"}}"#))
            }
            "hook" => {
                let answer =
                    self.call(caller, "POST", "/agents/get-or-create", r#"{"role":"polecat"}"#)?;
                let who = answer["data"]["id"].as_str().unwrap().to_owned();
                ("POST", format!("/agents/{who}/hook"), format!(r#"{{"bead_id":"{id}"}}"#))
            }
            "unhook" => ("DELETE", format!("/agents/{}/hook", self.agent(rest[0])), String::new()),
            _ => panic!("no such verb: {verb}"),
        };
        self.call(caller, method, &path, &body).map(drop)
    }

    fn call(
        &mut self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<serde_json::Value, String> {
        let before = self.last_event();
        let (code, answer) = self.rig.call(caller, method, path, body);
        let after = self.events(before);
        self.told.extend(after);
        if code < 300 {
            Ok(answer)
        } else {
            Err(format!(
                "{code} {} {}",
                answer["code"].as_str().unwrap(),
                answer["error"].as_str().unwrap()
            ))
        }
    }

    fn apply(&mut self, command: Command) -> Result<(), String> {
        let moment = self.rig.moment();
        match self.rig.engine.apply(moment, command) {
            Ok(outcome) => {
                self.hear(&outcome.effects);
                self.rig.take(outcome.effects);
                Ok(())
            }
            Err(Error::Refused(refusal)) => Err(format!("{} {refusal}", refusal.code.name())),
            Err(Error::Fault(err)) => panic!("{err}"),
        }
    }

    fn hear(&mut self, effects: &[Effect]) {
        let told = effects.iter().filter_map(|effect| match effect {
            Effect::Tell(tell) => line(tell),
            Effect::Nudge { agent, .. } => Some(format!("line to {agent}")),
            _ => None,
        });
        self.told.extend(told);
    }

    fn last_event(&self) -> i64 {
        self.rig.engine.store.last_event_until(Millis(i64::MAX)).unwrap()
    }

    /// The audit after a line, as lines.
    fn events(&self, after: i64) -> Vec<String> {
        let events = self.rig.engine.store.events(None, after, 1_000).unwrap();
        events
            .into_iter()
            .map(|(it, _)| {
                let change = match (it.old, it.new) {
                    (Some(old), Some(new)) => format!(" {old} -> {new}"),
                    (None, Some(new)) => format!(" {new}"),
                    (Some(old), None) => format!(" {old} -> nothing"),
                    (None, None) => String::new(),
                };
                format!("{} {} by {}{change}", it.bead, it.event, it.actor)
            })
            .collect()
    }

    fn ordinal(&mut self, attempt: i64) -> usize {
        let found = self.numbers.iter().position(|it| *it == attempt);
        found.unwrap_or_else(|| {
            self.numbers.push(attempt);
            self.numbers.len() - 1
        }) + 1
    }

    fn id(&self, name: &str) -> String {
        self.beads.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    fn agent(&self, name: &str) -> String {
        let (crew, _) = self.rig.engine.store.crew().unwrap();
        crew.iter().find(|it| it.agent.name == name).unwrap().agent.id.clone()
    }

    /// An agent with the token of its last process, or of the one before.
    fn caller(&self, name: &str, back: usize) -> Caller {
        let all = &self.processes[&self.agent(name)];
        agent(&all[all.len() - back].start)
    }

    /// Names of things in place of their ids.
    fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, id) in &self.beads {
            text = text.replace(id, name);
        }
        let (crew, _) = self.rig.engine.store.crew().unwrap();
        for member in crew {
            text = text.replace(&member.agent.id, &member.agent.name);
        }
        for (n, number) in self.numbers.iter().enumerate() {
            text = text.replace(&number.to_string(), &format!("#{}", n + 1));
        }
        for process in self.processes.values().flatten() {
            text = text.replace(&process.start.job_id, "<job>");
        }
        text.replace("2026-01-01T", "")
    }
}

fn line(tell: &Tell) -> Option<String> {
    let bead = tell.bead.as_deref().unwrap_or_default();
    let detail = tell.detail.as_deref().unwrap_or_default();
    // What is hooked and claimed stands in the notes too.
    match tell.event.as_str() {
        "note" => Some(format!("{bead} note: {detail}")),
        "agent_spawned" | "hooked" | "unhooked" => None,
        event => Some(format!("{bead} {event}: {detail}")),
    }
}

fn status(process: &Process) -> AgentStatus {
    let (at, printed) = (process.started.to_string(), process.printed.to_string());
    AgentStatus {
        agent_id: process.start.agent_id.clone(),
        rig_id: process.start.rig_id.clone(),
        bead_id: process.start.bead_id.clone(),
        attempt: process.start.attempt,
        job_id: process.start.job_id.clone(),
        status: if process.over.is_some() { Phase::Exited } else { Phase::Running },
        suspended: false,
        started_at: at,
        last_activity_at: printed,
        exit_reason: process.over.map(|_| "exited".to_owned()),
        exit_code: process.over,
        output_tail: None,
    }
}

fn millis(text: &str) -> i64 {
    let (n, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap());
    let n: i64 = n.parse().unwrap();
    match unit {
        "ms" => n,
        "s" => n * 1_000,
        "m" => n * 60_000,
        "h" => n * 3_600_000,
        other => panic!("no such unit: {other}"),
    }
}
