//! What people do, and zombies: runs that were over long ago and still have their token.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::faults::Kind;
use crate::op::{Op, Who};
use crate::world::{Event, World};

/// Beads of a seed: more would be more of the same.
const BEADS: usize = 12;

/// What people know.
#[derive(Clone, Debug, Default)]
pub(crate) struct People {
    beads: Vec<String>,
    agents: Vec<String>,
    titles: u64,
    /// Beads that are deferred for longer than it is watched for.
    later: u64,
    /// Every run there was: agent, number, bead, token.
    pub(crate) tokens: Vec<(String, i64, String, String)>,
}

impl People {
    /// A person was answered.
    pub(crate) fn told(&mut self, op: &Op, status: u16, body: &Value) {
        let Some(id) = body["data"]["id"].as_str().filter(|_| status < 300) else { return };
        match op {
            Op::Create { .. } if !self.beads.iter().any(|it| it == id) => {
                self.beads.push(id.to_owned());
            }
            Op::Crew { .. } if !self.agents.iter().any(|it| it == id) => {
                self.agents.push(id.to_owned());
            }
            _ => {}
        }
    }

    /// Of the beads, these are left.
    pub(crate) fn forget(&mut self, known: &[String]) {
        self.beads.retain(|it| known.contains(it));
    }
}

impl World {
    pub(crate) fn person_acts(&mut self) {
        if self.healing || self.more.hush {
            return;
        }
        let slow = self.kind == Kind::Outage && self.t > 1_200_000;
        self.soon(500, if slow { 1_800_000 } else { 120_000 }, Event::People);
        if self.rng.chance(self.faults.zombies) {
            self.zombie();
        }
        if let Some(op) = self.an_op() {
            self.send(Who::Person, op, 2);
        }
    }

    fn an_op(&mut self) -> Option<Op> {
        let few = self.people.beads.len() < 3;
        let (beads, crew) = (self.people.beads.clone(), self.people.agents.clone());
        let bead = self.rng.pick(&beads).cloned();
        let other = self.rng.pick(&beads).cloned();
        let agent = self.rng.pick(&crew).cloned();
        let n = self.rng.below(if few { 20 } else { 100 });
        Some(match n {
            0..=29 if beads.len() < BEADS => {
                self.people.titles += 1;
                let until = self.rng.range(10_000, 1_200_000);
                Op::Create {
                    title: format!("bead {}", self.people.titles),
                    assigned: self.rng.chance(800),
                    criteria: self.rng.chance(930),
                    defer_until: self.rng.chance(100).then(|| self.now().plus(until).to_string()),
                    needs: if self.rng.chance(200) { other } else { None },
                }
            }
            30..=36 => {
                self.people.titles += 1;
                Op::Note { bead: bead?, text: format!("a person says {}", self.people.titles) }
            }
            37..=40 => Op::Close { bead: bead? },
            41..=50 => Op::Reopen { bead: bead? },
            51..=52 => Op::Delete { bead: bead? },
            53..=59 => Op::Assign { bead: bead? },
            60..=63 => Op::TakeBack { bead: bead? },
            64..=65 => Op::Criteria { bead: bead? },
            66..=68 => Op::Status {
                bead: bead?,
                to: if self.rng.chance(500) { "open" } else { "blocked" },
            },
            69..=72 => {
                let until = self.rng.range(1_000, 1_200_000);
                Op::Defer { bead: bead?, until: self.now().plus(until).to_string() }
            }
            73..=79 => Op::Needs { bead: bead?, other: other? },
            80..=82 => Op::Frees { bead: bead?, other: other? },
            83..=84 => Op::Crew { role: "polecat" },
            85..=88 => Op::Hook { agent: agent?, bead: bead? },
            89..=90 => Op::Unhook { agent: agent? },
            91 if self.rng.chance(500) => Op::Switch(true),
            91 => Op::Pause(true),
            92 => Op::Switch(false),
            93..=94 => Op::Pause(false),
            95 => {
                let to = ["blocked", "dead", "idle", "idle"][self.rng.below(4)];
                Op::SetAgent { agent: agent?, to }
            }
            96 => Op::DeleteAgent { agent: agent? },
            _ => Op::Overview,
        })
    }

    /// A run that is over, or should be, speaks with the token that it had.
    fn zombie(&mut self) {
        let n = self.people.tokens.len();
        if n < 2 {
            return;
        }
        let which = self.rng.below(n - 1);
        let (agent, attempt, bead, token) = self.people.tokens[which].clone();
        self.faults_hit.hit("zombie speaks");
        let op = match self.rng.below(6) {
            0 => Op::Close { bead },
            1 => Op::Done { agent, bead },
            2 => Op::Block { bead },
            3 => Op::Checkpoint { agent, bead },
            _ => {
                self.people.titles += 1;
                Op::Note { bead, text: format!("zombie {attempt} says {}", self.people.titles) }
            }
        };
        self.send(Who::Run { attempt, token }, op, 0);
    }

    /// A person looks at everything.
    pub(crate) fn look(&mut self, last: bool) {
        if self.t < self.rig.away_until {
            return;
        }
        self.oracle.overlaps(self.t, &mut self.found);
        let alarm = self.rig.alarm.is_some();
        for id in self.oracle.known() {
            let moment = self.moment();
            let path = format!("/beads/{id}");
            let (status, body) = self.get(moment, &path);
            self.oracle.seen(&id, status, &body, alarm, &mut self.found);
            if last {
                self.must_be_done(&id, &body["data"]);
            }
        }
        let moment = self.moment();
        let (_, body) = self.get(moment, "/beads?limit=1000");
        let mut titles: BTreeMap<String, usize> = BTreeMap::new();
        for it in body["data"].as_array().into_iter().flatten() {
            *titles.entry(it["title"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        self.oracle.listed(&titles, &mut self.found);
        if self.more.help {
            self.look_at_help();
        }
    }

    pub(crate) fn get(&self, moment: beadrig::command::Moment, path: &str) -> (u16, Value) {
        let caller = beadrig::token::Caller::Operator { actor: "ann".to_owned() };
        let (status, body, _, _) = self.ask_api(moment, "GET", path, "", caller, (None, None));
        (status, body)
    }

    /// Nothing that could be done is left.
    fn must_be_done(&mut self, id: &str, view: &Value) {
        let status = view["status"].as_str().unwrap_or_default();
        let (reason, now) = (view["waiting"]["reason"].as_str().unwrap_or_default(), self.now());
        let later = view["defer_until"].as_str().and_then(beadrig::id::Millis::parse) > Some(now);
        let for_agents = view["assignee"] == "agent";
        if self.kind.merges() {
            self.found.check("every review ends", status != "in_review", || {
                format!("{id} is in review, 40 minutes after the faults")
            });
        }
        let fine = match status {
            "in_progress" => false,
            "open" if for_agents => {
                ["no_acceptance_criteria", "blocked_by"].contains(&reason) || later
            }
            "deferred" if for_agents => later || view["defer_until"].is_null(),
            _ => true,
        };
        self.people.later += u64::from(later);
        self.found.check("all that is ready is done", fine, || {
            format!("{id} is {status}, {}, 40 minutes after the faults", view["waiting"])
        });
    }

    /// A run that was silent for long in a rig that is well was stopped before its time was up.
    pub(crate) fn must_not_be_silent(&mut self, c: usize, agent: &str, attempt: i64) {
        let settings = &self.rig.engine.settings;
        let long = settings.reaper_ms.min(4 * settings.gupp_ms) + 300_000;
        let (t, well) = (self.t, self.healing && self.t - self.healed_at > long);
        if self.kind != Kind::Silent || !well || self.oracle.is_by_hand(attempt) {
            return;
        }
        let Some(run) = self.containers[c].run(agent, attempt) else { return };
        if run.phase != crate::container::Phase::Running {
            return;
        }
        let silent = t - run.active;
        self.found.check("a silent run is stopped", silent <= long, || {
            format!("run {attempt} is silent for {} min", silent / 60_000)
        });
    }

    /// Processes that nobody wants are ended within three minutes, when nothing is broken.
    pub(crate) fn unwanted(&mut self, before: BTreeSet<(usize, i64)>) {
        let now = self.oracle.unwanted();
        let left: Vec<_> = before.intersection(&now).collect();
        self.found.check("a process that is not wanted is ended", left.is_empty(), || {
            format!("{left:?} work at closed beads for 3 minutes")
        });
        if self.rig.alarm.is_some() && !now.is_empty() {
            self.plan(self.t + 180_000, Event::Unwanted(now));
        }
    }

    /// The end of the healing.
    pub(crate) fn done(&mut self) {
        if !self.found.wrong.is_empty() {
            return;
        }
        self.look(true);
        let n: usize = (0..self.containers.len()).map(|c| self.oracle.at_work(c)).sum();
        self.found.check("a process that is not wanted is ended", n == 0, || {
            format!("{n} are left 40 minutes after the faults")
        });
    }

    /// The switch of the whole deployment, as the rig is told of it before a tick.
    pub(crate) fn deployment(&mut self, pause: bool) {
        if pause && self.healing {
            return;
        }
        let at = self.now();
        let off = pause.then(|| beadrig::store::Pause { by: "ann".to_owned(), at, reason: None });
        let command = beadrig::command::Command::DeploymentPaused(off);
        let moment = self.moment();
        let done = self.rig.engine.apply(moment, command).is_ok();
        self.oracle.deployment_paused(pause, done);
        if pause {
            self.faults_hit.hit("deployment is paused");
            self.soon(10_000, 900_000, Event::Deployment(false));
        } else if done {
            self.rig.stirred = true;
            self.set_alarm_at(at.0);
        } else {
            self.plan(self.t + 30_000, Event::Deployment(false));
        }
    }

    /// The end of the quiet time.
    pub(crate) fn quiet(&mut self, alarms: u64, raises: u64) {
        if !self.found.wrong.is_empty() {
            return;
        }
        // What is raised has its time, and that is no reason to look sooner after it.
        let most = 8 + 10 * self.people.later + raises;
        self.found.check("an idle rig hardly wakes", alarms <= most, || {
            format!("{alarms} times in 30 minutes of nothing")
        });
    }
}
