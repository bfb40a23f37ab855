//! Calls for help and mail: what people and agents do with them, and what must hold, told from what they were answered.
//!
//! ```text
//! escalation   filed -> raised after 4, 8 and 12 h, unless it is acknowledged or closed before
//! mail         answered 201 -> waits in the box of its reader -> read: it comes no more
//! ```
//!
//! It must never look into the rig.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::agents::FOR_EVER;
use crate::container::Act;
use crate::known::Known;
use crate::more::{Happens, TEXTS_MAX};
use crate::op::{Call, Op, Who};
use crate::rules::Findings;
use crate::world::{Event, World};

/// An escalation that nobody acknowledges is raised after each so many milliseconds …
const RAISED_MS: i64 = 4 * 3_600_000;

/// … so often.
const RAISED_MAX: usize = 3;

/// A silent run is told so once in this time, in milliseconds.
const NUDGED_MS: i64 = 3_600_000;

/// Until all that is to be raised was, in milliseconds.
pub(crate) const HOURS_MS: i64 = 13 * 3_600_000;

/// What is known of escalations and of mail.
#[derive(Clone, Default)]
pub(crate) struct Help {
    asked: BTreeMap<String, Escalation>,
    /// By agent, in the order in which the rig took it.
    boxes: BTreeMap<String, Vec<Letter>>,
    /// By run: when it was told that it is silent.
    nudged: BTreeMap<i64, i64>,
    /// How often any escalation was raised.
    pub(crate) raises: u64,
}

#[derive(Clone)]
struct Escalation {
    cause: Option<String>,
    filed_at: i64,
    acknowledged: Known,
    closed: Known,
    /// When it was raised.
    raised: Vec<i64>,
}

#[derive(Clone)]
struct Letter {
    id: String,
    text: String,
    read: Known,
    /// An agent may say it twice.
    once: bool,
}

/// The most that is known of a yes after one more report.
fn sure(told: bool, before: Known) -> Known {
    if told { Known::Yes } else { before.max_of(Known::Maybe) }
}

impl Help {
    /// A call was done, or (without a status) may have been.
    pub(crate) fn took(
        &mut self,
        call: &Call,
        told: Option<u16>,
        body: &Value,
        found: &mut Findings,
        now: i64,
    ) {
        let data = &body["data"];
        let told_id = || data["id"].as_str().filter(|_| told.is_some()).map(str::to_owned);
        match &call.op {
            Op::Escalate { cause, .. } => {
                if let Some(id) = told_id() {
                    self.filed(id, cause.clone(), told == Some(201), now, found);
                }
            }
            Op::Acknowledge { escalation } => {
                if let Some(it) = self.asked.get_mut(escalation) {
                    it.acknowledged = sure(told.is_some(), it.acknowledged);
                }
            }
            Op::Settle { escalation } => {
                if let Some(it) = self.asked.get_mut(escalation) {
                    it.closed = sure(told.is_some(), it.closed);
                }
            }
            Op::Mail { to, text, .. } => {
                if let Some(id) = told_id() {
                    let once = call.who == Who::Person;
                    let letter = Letter { id, text: text.clone(), read: Known::No, once };
                    self.boxes.entry(to.clone()).or_default().push(letter);
                }
            }
            Op::ReadMail { agent, explicit, .. } => {
                if told.is_some() {
                    self.looked(agent, data, found);
                }
                if !explicit {
                    self.read(agent, told.is_some(), |_| true);
                }
            }
            Op::AckMail { agent, ids, .. } => {
                self.read(agent, told.is_some(), |it| ids.contains(&it.id));
            }
            Op::DeleteAgent { agent } => drop(self.boxes.remove(agent)),
            // It may have the name of a bead that was deleted before.
            Op::Delete { bead } => drop(self.asked.remove(bead)),
            _ => {}
        }
    }

    fn filed(
        &mut self,
        id: String,
        cause: Option<String>,
        new: bool,
        now: i64,
        found: &mut Findings,
    ) {
        if cause.is_some() {
            let mut open = self.asked.iter().filter(|(_, it)| it.closed == Known::No);
            let same = open.find(|(_, it)| it.cause == cause).map(|it| it.0);
            found.check("a cause has one escalation", same.is_none_or(|it| *it == id), || {
                format!("{id} of {cause:?} beside {same:?}")
            });
        }
        if new {
            let (acknowledged, closed) = (Known::No, Known::No);
            let it = Escalation { cause, filed_at: now, acknowledged, closed, raised: Vec::new() };
            self.asked.insert(id, it);
        }
    }

    fn read(&mut self, agent: &str, told: bool, which: impl Fn(&Letter) -> bool) {
        for it in self.boxes.get_mut(agent).into_iter().flatten().filter(|it| which(it)) {
            it.read = sure(told, it.read);
        }
    }

    /// Somebody looked into the box of an agent: what waits there.
    fn looked(&self, agent: &str, box_: &Value, found: &mut Findings) {
        let shown: Vec<(&str, &str)> = box_
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| it["delivered"] == false)
            .map(|it| (it["id"].as_str().unwrap_or(""), it["body"].as_str().unwrap_or("")))
            .collect();
        let mut last = None;
        for it in self.boxes.get(agent).into_iter().flatten() {
            let n = shown.iter().filter(|(_, text)| *text == it.text).count();
            let at = shown.iter().position(|(id, _)| *id == it.id);
            let say = || format!("{:?} to {agent}, among {shown:?}", it.text);
            found.check("a mail is there once", n <= 1 || !it.once, say);
            match it.read {
                Known::No => found.check("a mail waits until it is read", at.is_some(), say),
                Known::Yes => {
                    found.check("a mail that was read comes no more", at.is_none(), say);
                }
                Known::Maybe => {}
            }
            if at.is_some() {
                let rule = "mail is read in the order that it was sent";
                found.check(rule, last <= at, say);
                last = at;
            }
        }
    }

    /// The rig says that it raised an escalation.
    pub(crate) fn raised(&mut self, id: &str, now: i64, found: &mut Findings) {
        self.raises += 1;
        let Some(it) = self.asked.get_mut(id) else { return };
        let quiet = it.acknowledged == Known::Yes || it.closed == Known::Yes;
        found.check("what is closed or acknowledged is not raised", !quiet, || id.to_owned());
        let nth = |at: i64| (at - it.filed_at) / RAISED_MS;
        let row = it.raised.last().map_or(0, |at| nth(*at));
        let n = it.raised.len() + 1;
        let rule = "an escalation is raised after four hours each, three times at most";
        found.check(rule, n <= RAISED_MAX && nth(now) > row, || {
            format!(
                "{id} for the {n}th time, {} min after it was filed",
                (now - it.filed_at) / 60_000
            )
        });
        it.raised.push(now);
    }

    pub(crate) fn nudged(&mut self, number: i64, now: i64, jumped: bool, found: &mut Findings) {
        let last = self.nudged.insert(number, now);
        let since = last.map(|at| now - at);
        let fine = jumped || since.is_none_or(|ms| ms >= NUDGED_MS);
        found.check("a silent run is told once an hour", fine, || {
            format!("run {number} is told {since:?} ms after the last time")
        });
    }

    /// A person looked at all escalations, and at those that want somebody.
    fn listed(&mut self, all: &Value, wanting: &Value, last: bool, found: &mut Findings) {
        let rows = |list: &Value| list.as_array().cloned().unwrap_or_default();
        let wanting: Vec<Value> = rows(wanting).iter().map(|it| it["id"].clone()).collect();
        let all = rows(all);
        for (id, it) in &mut self.asked {
            let Some(view) = all.iter().find(|view| view["id"] == id.as_str()) else {
                found.check("an escalation is there until it is closed", false, || id.clone());
                continue;
            };
            let shown = |yes: bool| if yes { Known::Yes } else { Known::No };
            let closed = shown(view["status"] == "closed");
            let acknowledged = shown(view["acknowledged"] == true);
            let wants = closed == Known::No && acknowledged == Known::No;
            let fits = |known: Known, shown: Known| known == Known::Maybe || known == shown;
            let holds = fits(it.closed, closed)
                && fits(it.acknowledged, acknowledged)
                && wanting.iter().any(|other| other == id.as_str()) == wants;
            found.check("an escalation is there until it is closed", holds, || {
                format!("{id}: closed {:?}, acknowledged {:?}: {view}", it.closed, it.acknowledged)
            });
            (it.closed, it.acknowledged) = (closed, acknowledged);
        }
        for view in &all {
            let n = view["re_escalation_count"].as_u64().unwrap_or(0);
            let open = view["status"] != "closed" && view["acknowledged"] == false;
            if last && open {
                let rule = "what nobody acknowledges is raised three times";
                found.check(rule, n == RAISED_MAX as u64, || format!("{n} times: {view}"));
            }
            let cause = |it: &&Value| it["status"] != "closed" && it["cause"] == view["cause"];
            let same = all.iter().filter(cause).count();
            if !view["cause"].is_null() {
                found.check("a cause has one escalation", same <= 1, || {
                    format!("{} has {same} that are open", view["cause"])
                });
            }
        }
    }
}

impl World {
    /// A person writes, asks for help, or sees to a call for help.
    pub(crate) fn help_acts(&mut self) {
        let wait = if self.healing { 3 * 3_600_000 } else { 240_000 };
        let at = self.t + self.more.rng.range(1_000, wait);
        self.plan(at, Event::More(Happens::Help));
        let n = self.more.rng.below(if self.healing { 3 } else { 10 });
        let asked: Vec<String> = self.oracle.help.asked.keys().cloned().collect();
        let agents = self.readers();
        let op = match n {
            0 => self.more.rng.pick(&asked).map(|id| Op::Acknowledge { escalation: id.clone() }),
            1 => self.more.rng.pick(&asked).map(|id| Op::Settle { escalation: id.clone() }),
            2 if self.healing => None,
            2..=4 => self.a_call_for_help(None),
            _ => {
                let to = self.more.rng.pick(&agents).cloned();
                to.and_then(|to| self.a_letter("operator", to, None))
            }
        };
        if let Some(op) = op {
            self.send(Who::Person, op, 2);
        }
    }

    /// The agents that there were.
    fn readers(&self) -> Vec<String> {
        let mut agents: Vec<String> = self.people.tokens.iter().map(|it| it.0.clone()).collect();
        agents.sort();
        agents.dedup();
        agents
    }

    fn a_text(&mut self) -> Option<u64> {
        self.more.texts += 1;
        Some(self.more.texts).filter(|n| *n <= TEXTS_MAX)
    }

    fn a_call_for_help(&mut self, bead: Option<String>) -> Option<Op> {
        let n = self.a_text()?;
        let cause = self.more.rng.below(5);
        Some(Op::Escalate {
            bead,
            title: format!("help {n}"),
            cause: (cause < 3).then(|| format!("cause {cause}")),
            severity: ["low", "medium", "high", "critical"][self.more.rng.below(4)],
        })
    }

    fn a_letter(&mut self, from: &str, to: String, bead: Option<String>) -> Option<Op> {
        let text = format!("letter {}", self.a_text()?);
        let large = self.more.rng.chance(50);
        if large {
            self.faults_hit.hit("a text is too large");
        }
        Some(Op::Mail { bead, from: from.to_owned(), to, text, large })
    }

    /// What an agent does beside its work.
    pub(crate) fn with_help(
        &mut self,
        mut plan: Vec<(i64, Act)>,
        start: &beadrig::wire::container::StartAgent,
    ) -> Vec<(i64, Act)> {
        if !self.more.help || self.healing || plan.is_empty() {
            return plan;
        }
        let (agent, bead) = (start.agent_id.clone(), start.bead_id.clone());
        let agents = self.readers();
        let mut ops = Vec::new();
        if self.more.rng.chance(600) {
            let explicit = self.more.rng.chance(700);
            ops.push(Op::ReadMail { agent: agent.clone(), bead: bead.clone(), explicit });
        }
        if self.more.rng.chance(150) {
            self.faults_hit.hit("agent asks for help");
            ops.extend(self.a_call_for_help(Some(bead.clone())));
        }
        if self.more.rng.chance(200)
            && let Some(to) = self.more.rng.pick(&agents).cloned()
        {
            ops.extend(self.a_letter(&agent, to, Some(bead)));
        }
        for op in ops {
            let at = self.more.rng.below(plan.len());
            plan.insert(at, (self.more.rng.range(500, 5_000), Act::Call(op)));
        }
        plan
    }

    /// An agent has its mail: it says so, if asking did not.
    pub(crate) fn mail_came(&mut self, call: &Call, body: &Value) {
        let Op::ReadMail { agent, bead, explicit: true } = &call.op else { return };
        let list = body["data"].as_array().cloned().unwrap_or_default();
        let ids: Vec<String> =
            list.iter().filter_map(|it| it["id"].as_str().map(str::to_owned)).collect();
        if ids.is_empty() {
            return;
        }
        if self.more.rng.chance(200) {
            self.faults_hit.hit("mail is read, and its reader does not hear it");
            return;
        }
        let op = Op::AckMail { agent: agent.clone(), bead: bead.clone(), ids };
        self.send(call.who.clone(), op, FOR_EVER);
    }

    /// A person looks at the calls for help, and into all boxes.
    pub(crate) fn look_at_help(&mut self) {
        let moment = self.moment();
        let (_, all) = self.get(moment, "/escalations");
        let (_, wanting) = self.get(moment, "/escalations?acknowledged=false");
        let last = self.healing && self.t - self.healed_at >= HOURS_MS;
        self.oracle.help.listed(&all["data"], &wanting["data"], last, &mut self.found);
        let agents: Vec<String> = self.oracle.help.boxes.keys().cloned().collect();
        for agent in agents {
            let (_, body) = self.get(moment, &format!("/agents/{agent}/mail?peek=true"));
            self.oracle.help.looked(&agent, &body["data"], &mut self.found);
        }
    }

    /// What is larger than it may be is refused.
    pub(crate) fn size_checked(&mut self, op: &Op, status: u16) {
        if matches!(op, Op::Mail { large: true, .. }) {
            let rule = "a text that is too large is refused";
            self.found.check(rule, status >= 400, || format!("{} got {status}", op.word()));
        }
    }

    /// The half day after: nothing happens, but that what nobody sees to is raised.
    pub(crate) fn hours(&mut self, end: i64) {
        if !self.more.help || !self.found.wrong.is_empty() {
            return;
        }
        self.until(end + HOURS_MS);
        if self.found.wrong.is_empty() {
            self.look_at_help();
        }
    }
}
