//! The rig as it runs on its platform: the core, played as the edge plays it, and killed wherever that can be.
//!
//! ```text
//! request:  [crash] handle [crash: rows lost] [crash: rows kept] notice -> answer
//! alarm:    arm the next, schedule [crash: rows lost] [crash: rows kept] calls out, ask
//!           each answer [crash] -> command; all there -> patrol -> review queue -> rearm
//! ```
//!
//! What it does with effects and with the alarm is what `src/edge` does, word for word; a change there is one here.

use std::collections::BTreeMap;
use std::rc::Rc;

use beadrig::api;
use beadrig::command::{Command, Effect, Moment, StartAnswer, Tell};
use beadrig::engine::Engine;
use beadrig::id::Millis;
use beadrig::settings::Settings;
use beadrig::store::Store;
use beadrig::token::{Caller, Secrets};
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::AgentList;
use beadrig::wire::merge::{MergeAtWork, MergeEntry};
use serde_json::Value;

use crate::asked::{Asked, Said, Ticket};
use crate::op::{Call, Op, Who};
use crate::sql::{Handle, SimSql};
use crate::world::{Event, World};

/// When the simulated time begins: 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600_000;

/// A tick that takes longer is given up, in milliseconds.
const TICK_MS: i64 = 8_000;

/// The next tick after one that was given up, and after one that failed, in milliseconds.
const GIVEN_UP_MS: i64 = 1_000;
const RETRY_MS: i64 = 5_000;

/// How long a call to the container may take, in milliseconds.
const CALL_MS: i64 = 6_500;

/// What a tick does may call for another at once, and that for a third: what is deferred no more is taken then.
const IN_A_ROW: u32 = 2;

/// The object and its alarm.
pub(crate) struct Rig {
    pub(crate) engine: Engine<Handle>,
    pub(crate) sql: Rc<SimSql>,
    /// Which life of the object: what belongs to an earlier one is void.
    pub(crate) life: u64,
    /// By the rig's clock.
    pub(crate) alarm: Option<i64>,
    pub(crate) alarm_serial: u64,
    /// It came while a tick ran.
    waiting: bool,
    tick: Option<Tick>,
    ticks: u64,
    pub(crate) away_until: i64,
    /// When the last tick began, and whether anything came in since.
    last_tick: i64,
    pub(crate) stirred: bool,
    /// Ticks in a row that came within a second of the last, and nothing had come in.
    idle_ticks: u32,
    /// How many ticks there were.
    pub(crate) alarms: u64,
}

/// A tick on its way.
struct Tick {
    id: u64,
    stage: u8,
    asked: i64,
    /// If it asked: what came of it.
    #[expect(clippy::option_option, reason = "not asked, no answer, an answer")]
    list: Option<Option<AgentList>>,
    pending: BTreeMap<u64, Asked>,
    wakes: Vec<i64>,
    calls: u64,
}

pub(crate) fn engine(sql: &Rc<SimSql>, settings: Settings) -> Engine<Handle> {
    let store = Store::open(Handle(Rc::clone(sql)));
    let secrets = Secrets::new(&"o".repeat(32), &"s".repeat(32));
    match (store, secrets) {
        (Ok(store), Ok(secrets)) => Engine { store, settings, secrets, rig: "demo".to_owned() },
        (store, _) => panic!("the rig does not open: {:?}", store.err()),
    }
}

impl Rig {
    pub(crate) fn new(sql: Rc<SimSql>, settings: Settings) -> Self {
        Self {
            engine: engine(&sql, settings),
            sql,
            life: 0,
            alarm: None,
            alarm_serial: 0,
            waiting: false,
            tick: None,
            ticks: 0,
            away_until: 0,
            last_tick: -100_000,
            stirred: false,
            idle_ticks: 0,
            alarms: 0,
        }
    }
}

impl World {
    /// What time it was then by the clock of today.
    pub(crate) fn at(&self, t: i64) -> Millis {
        Millis(START + t + self.skew)
    }

    /// The rig's clock.
    pub(crate) fn now(&self) -> Millis {
        Millis(START + self.t + self.skew)
    }

    pub(crate) fn moment(&mut self) -> Moment {
        Moment { now: self.now(), seed: self.rng.roll() }
    }

    /// The object is gone; the next thing that comes builds it anew.
    pub(crate) fn crash(&mut self, what: &'static str) {
        self.faults_hit.hit(what);
        self.say(format_args!("rig      {what}"));
        self.build();
    }

    /// A new life of the object.
    pub(crate) fn build(&mut self) {
        let settings = self.rig.engine.settings.clone();
        self.rig.engine = engine(&self.rig.sql, settings);
        self.rig.life += 1;
        self.rig.tick = None;
        self.rig.stirred = true;
        if std::mem::take(&mut self.rig.waiting) {
            self.set_alarm_at(self.now().0);
        }
    }

    pub(crate) fn set_alarm_at(&mut self, at: i64) {
        self.rig.alarm = Some(at);
        self.rig.alarm_serial += 1;
        let mut due = (at - START - self.skew).max(self.t);
        if self.rng.chance(self.faults.alarm) {
            self.faults_hit.hit("alarm late");
            due += self.rng.range(1, 60_000);
        }
        if self.rng.chance(self.faults.alarm / 5) {
            self.faults_hit.hit("alarm is lost");
        } else {
            self.plan(due, Event::Alarm(self.rig.alarm_serial));
        }
        // The watchdog looks every five minutes, and at alarms that are late.
        if self.faults.alarm > 0 {
            let looks = due + self.rng.range(60_000, 360_000);
            self.plan(looks, Event::Poke(self.rig.alarm_serial));
        }
    }

    /// The watchdog sets an alarm again that should have gone off.
    pub(crate) fn poke(&mut self, serial: u64) {
        if serial == self.rig.alarm_serial && self.rig.alarm.is_some() && self.rig.tick.is_none() {
            self.rig.stirred = true;
            self.set_alarm_at(self.now().0);
        }
    }

    fn set_alarm(&mut self, in_ms: i64) {
        self.set_alarm_at(self.now().plus(in_ms.max(0)).0);
    }

    /// Pulls the alarm forward to a time; never pushes it back.
    fn arm(&mut self, at: i64) {
        if self.rig.alarm.is_none_or(|set| set > at) {
            self.set_alarm(at - self.now().0);
        }
    }

    fn caller(&mut self, who: &Who) -> Option<Caller> {
        let token;
        let header = match who {
            Who::Person => return Some(Caller::Operator { actor: "ann".to_owned() }),
            Who::Container(..) => return Some(Caller::Container { town: "local".to_owned() }),
            Who::Run { token: it, .. } => {
                token = format!("Bearer {it}");
                Some(token.as_str())
            }
        };
        self.rig.engine.secrets.caller(header, None, self.now()).ok()
    }

    /// A call reaches the rig: its answer, if one leaves.
    pub(crate) fn request(&mut self, call: &Call) -> Option<(u16, Value)> {
        if self.t < self.rig.away_until {
            return None;
        }
        if self.rng.chance(self.faults.rig_crash / 3) {
            self.crash("rig crashes before a call");
            return None;
        }
        let alarm = self.rig.alarm;
        self.rig.sql.mark("unsynced");
        let refused = self.rig.sql.refused.get();
        let (status, body, effects, again) = self.handle(call);
        let fails = self.rig.sql.refused.get() > refused;
        if self.rng.chance(self.faults.rig_crash / 3) {
            self.rig.sql.take_back("unsynced");
            self.rig.alarm = alarm;
            self.crash("rig crashes, the disk did not get it");
            return None;
        }
        self.rig.sql.keep("unsynced");
        if self.rng.chance(self.faults.rig_crash / 3) {
            self.say(format_args!("rig      did {}", call.op.word()));
            // The alarm is a part of the same write.
            self.notice(effects);
            if status < 300 {
                let now = self.now().0;
                self.oracle.unsure(call, now);
            }
            self.crash("rig crashes after a call, unanswered");
            return None;
        }
        self.notice(effects);
        self.rig.stirred = true;
        self.say(format_args!("rig      {status} {}", call.op.word()));
        if status == 500 && !fails {
            self.found.wrong.push(format!("a fault without cause: {} {body}", call.op.word()));
        }
        let now = self.now().0;
        self.version_checked(&call.who, &call.op, status);
        self.size_checked(&call.op, status);
        self.merges_answered(call, status, &body);
        self.oracle.answered(call, (status, again), &body, &mut self.found, now);
        Some((status, body))
    }

    fn handle(&mut self, call: &Call) -> (u16, Value, Vec<Effect>, bool) {
        let Some(caller) = self.caller(&call.who) else {
            let body =
                serde_json::json!({"success": false, "error": "expired", "code": "unauthorized"});
            return (401, body, Vec::new(), false);
        };
        let moment = self.moment();
        let (method, path, mut body) = call.op.request();
        let (header, version) = self.more.speaks();
        if matches!(call.op, Op::Beats { .. }) {
            body["protocol"] = version.into();
        }
        let spoken = header.map(|it| it.to_string());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_api(moment, method, &path, &body, caller, (call.key.as_deref(), spoken.as_deref()))
    }

    /// One request straight to the API, with its key and the version that its header says; last, whether it is an answer
    /// that was given before.
    pub(crate) fn ask_api(
        &self,
        moment: Moment,
        method: &str,
        path: &str,
        body: &str,
        caller: Caller,
        (key, spoken): (Option<&str>, Option<&str>),
    ) -> (u16, Value, Vec<Effect>, bool) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = api::Request {
            method,
            path,
            query,
            body: body.as_bytes(),
            caller,
            idempotency_key: key,
            if_none_match: None,
            next_tick: self.rig.alarm.map(Millis),
        };
        let engine = &self.rig.engine;
        let response = match api::speaks(&request.caller, spoken) {
            Ok(()) => api::handle(engine, moment, &request),
            Err(refusal) => api::refuse_traced(engine, moment, &request, &refusal),
        };
        let body = serde_json::from_str(&response.body).unwrap_or_default();
        let again = response.headers.iter().any(|(name, _)| *name == "idempotency-replayed");
        (response.status, body, response.effects, again)
    }

    fn notice(&mut self, effects: Vec<Effect>) {
        let mut wake: Option<i64> = None;
        for effect in effects {
            let at = match effect {
                Effect::Tell(_) => continue,
                Effect::WakeAt(at) => at.0,
                // Whatever else is to be done, the tick finds in the rows.
                _ => self.now().0,
            };
            wake = Some(wake.map_or(at, |set| set.min(at)));
        }
        if let Some(at) = wake {
            self.arm(at);
        }
    }

    /// The alarm goes off.
    pub(crate) fn alarm(&mut self, serial: u64) {
        if serial != self.rig.alarm_serial || self.rig.alarm.is_none() {
            return;
        }
        if self.t < self.rig.away_until {
            let at = self.rig.away_until + self.rng.range(0, 5_000);
            return self.plan(at, Event::Alarm(serial));
        }
        if self.rig.tick.is_some() {
            self.rig.waiting = true;
            return;
        }
        self.begin_tick();
    }

    fn begin_tick(&mut self) {
        let (gap, stirred) = (self.t - self.rig.last_tick, self.rig.stirred);
        self.rig.idle_ticks = if stirred || gap >= 1_000 { 0 } else { self.rig.idle_ticks + 1 };
        let in_a_row = self.rig.idle_ticks;
        self.found.check("the alarm does not spin", in_a_row <= IN_A_ROW, || {
            format!("{in_a_row} ticks in a row within 1 s each, and nothing happened")
        });
        (self.rig.last_tick, self.rig.stirred) = (self.t, false);
        self.rig.alarms += 1;
        let before = self.rig.alarm.take();
        let active = self.rig.engine.settings.active_alarm_ms;
        self.set_alarm(active);
        self.rig.sql.mark("unsynced");
        let moment = self.moment();
        let scheduled = self.rig.engine.schedule_pending_work(moment);
        if self.rng.chance(self.faults.rig_crash / 4) {
            self.rig.sql.take_back("unsynced");
            self.crash("rig crashes in a tick, before the disk got it");
            // The platform comes again.
            let again = self.now().0 + 2_000;
            return self.set_alarm_at(before.unwrap_or(again).max(again));
        }
        self.rig.sql.keep("unsynced");
        if self.rng.chance(self.faults.rig_crash / 4) {
            return self.crash("rig crashes in a tick, before the calls");
        }
        self.rig.ticks += 1;
        let id = self.rig.ticks;
        self.say(format_args!("rig      tick {id}, {} effects", scheduled.effects.len()));
        self.rig.tick = Some(Tick {
            id,
            stage: 0,
            asked: self.now().0,
            list: None,
            pending: BTreeMap::new(),
            wakes: Vec::new(),
            calls: 0,
        });
        self.plan(self.t + TICK_MS, Event::TickDeadline(self.rig.life, id));
        self.perform(scheduled.effects);
        if scheduled.ask {
            self.call_container(Asked::List);
        }
        self.advance();
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell(tell) => self.told(&tell),
                // A line to a process changes nothing here.
                Effect::Nudge { agent, .. } => {
                    let now = self.now().0;
                    self.oracle.nudged(&agent, now, &mut self.found);
                }
                Effect::Merge(merge) => self.call_container(Asked::Merge(merge)),
                Effect::WakeAt(at) => self.wakes(at.0),
                Effect::Start(start) => self.call_container(Asked::Start(start)),
                Effect::Stop { agent, attempt, .. } => {
                    self.call_container(Asked::Stop { agent, attempt });
                }
            }
        }
    }

    fn wakes(&mut self, at: i64) {
        if let Some(tick) = &mut self.rig.tick {
            tick.wakes.push(at);
        }
    }

    fn call_container(&mut self, asked: Asked) {
        let (life, now) = (self.rig.life, self.now().0);
        let Some(tick) = &mut self.rig.tick else { return };
        tick.calls += 1;
        let ticket = Ticket { life, tick: tick.id, call: tick.calls };
        tick.pending.insert(ticket.call, asked.clone());
        if let Asked::Start(start) = &asked {
            self.oracle.start_asked(
                &start.agent_id,
                start.attempt,
                &start.bead_id,
                now,
                self.rig.engine.settings.max_budget_micros,
                &mut self.found,
            );
        }
        if let Asked::Merge(merge) = &asked {
            self.oracle.merges.asked(&merge.entries, &mut self.found);
        }
        self.plan(self.t + CALL_MS, Event::Said(ticket, Said::Nothing));
        self.send_to_container(ticket, asked);
    }

    /// An answer of the container, or that there is none.
    pub(crate) fn said(&mut self, ticket: Ticket, said: Said) {
        let now = self.now().0;
        let Some(tick) = self.rig.tick.as_mut() else { return };
        if (ticket.life, ticket.tick) != (self.rig.life, tick.id) {
            return;
        }
        let Some(asked) = tick.pending.remove(&ticket.call) else { return };
        self.rig.stirred = true;
        match (asked, said) {
            (Asked::List, Said::List(list)) if list.protocol == PROTOCOL => {
                let seen =
                    list.agents.iter().map(|it| (it.attempt, !it.status.is_over())).collect();
                self.oracle.asked(Some((&seen, &list.boot_id)), now);
                tick.list = Some(Some(*list));
            }
            (Asked::List, _) => {
                self.oracle.asked(None, now);
                tick.list = Some(None);
            }
            (Asked::Start(start), said) => {
                let (no_room, answer) = (said.no_room(), said.answer());
                let number = start.attempt;
                self.say(format_args!("rig      start {number} was answered {answer:?}"));
                let command = Command::StartAnswered(start.agent_id, number, answer.clone());
                let kept = self.hear(command);
                match answer {
                    StartAnswer::Refused(_) => self.oracle.start_refused(number, now),
                    StartAnswer::Accepted if kept => self.oracle.start_accepted(number),
                    _ => {}
                }
                // Whatever the rig makes of what the container said.
                if let (true, Some(why)) = (kept, no_room) {
                    self.oracle.waits(number, why);
                }
            }
            (Asked::Merge(merge), said) => {
                let answer = said.answer();
                let no_room = matches!(answer, StartAnswer::NoRoom(_));
                let one = |it: &MergeEntry| MergeAtWork {
                    entry_id: it.entry_id.clone(),
                    attempt: it.attempt,
                };
                let merges = merge.entries.iter().map(one).collect();
                if self.hear(Command::MergeAnswered(merges, answer)) && no_room {
                    self.oracle.merges.not_begun(&merge.entries);
                }
            }
            (Asked::Stop { .. }, _) => {}
        }
        if self.rng.chance(self.faults.rig_crash / 4) {
            return self.crash("rig crashes in a tick, at an answer");
        }
        self.advance();
    }

    /// The rig is told what came of a call of its tick; whether it could keep that.
    fn hear(&mut self, command: Command) -> bool {
        let (moment, now) = (self.moment(), self.now().0);
        let Ok(outcome) = self.rig.engine.apply(moment, command) else { return false };
        for effect in outcome.effects {
            match effect {
                Effect::Tell(_) => {}
                Effect::WakeAt(at) => self.wakes(at.0),
                _ => self.wakes(now),
            }
        }
        true
    }

    /// What the board is told: that a run was stopped because nothing moved.
    fn told(&mut self, tell: &Tell) {
        if let ("escalated", Some(bead)) = (tell.event.as_str(), &tell.bead) {
            let now = self.now().0;
            self.oracle.help.raised(bead, now, &mut self.found);
        }
        let why = tell.detail.as_deref().unwrap_or_default();
        let settings = &self.rig.engine.settings;
        let silence = match () {
            () if tell.event != "agent_stopping" => return,
            () if why.starts_with("no progress for") => (true, settings.reaper_ms),
            () if why.starts_with("no activity for") => (false, 4 * settings.gupp_ms),
            () => return,
        };
        let Some(bead) = &tell.bead else { return };
        self.oracle.reaped(bead, silence, self.t, &mut self.found);
    }

    /// Goes on to the next step of the tick when all that this one asked for is there.
    fn advance(&mut self) {
        loop {
            let Some(tick) = &mut self.rig.tick else { return };
            if !tick.pending.is_empty() {
                return;
            }
            tick.stage += 1;
            let (stage, asked, list) = (tick.stage, tick.asked, tick.list.take());
            if let Some(at) = std::mem::take(&mut tick.wakes).into_iter().min() {
                self.arm(at);
            }
            let moment = self.moment();
            match (stage, list) {
                (1, Some(list)) => {
                    let effects =
                        self.rig.engine.witness_patrol(moment, Millis(asked), list.as_ref());
                    self.perform(effects);
                }
                (1, None) => {}
                (2, _) => {
                    let effects = self.rig.engine.process_review_queue(moment);
                    self.perform(effects);
                }
                _ => return self.end_tick(),
            }
        }
    }

    fn end_tick(&mut self) {
        self.rig.tick = None;
        match self.rig.engine.next_wake(self.now()) {
            Ok(wake) => self.rearm(wake),
            Err(_) => self.arm(self.now().0 + RETRY_MS),
        }
        self.after_tick();
    }

    fn rearm(&mut self, wake: Option<Millis>) {
        let now = self.now();
        let set = self.rig.alarm.map(Millis);
        let first = now.plus(self.rig.engine.settings.active_alarm_ms);
        match (wake, set) {
            (_, Some(set)) if set.plus(1_000) < first => {}
            (Some(wake), Some(set)) if wake.since(set).max(set.since(wake)) < 1_000 => {}
            (Some(wake), _) => self.set_alarm(wake.since(now)),
            (None, _) => {
                self.rig.alarm = None;
                self.rig.alarm_serial += 1;
            }
        }
    }

    fn after_tick(&mut self) {
        if std::mem::take(&mut self.rig.waiting) && self.rig.alarm.is_some() {
            self.plan(self.t, Event::Alarm(self.rig.alarm_serial));
        } else if self.rng.chance(self.faults.alarm) {
            self.faults_hit.hit("alarm twice");
            self.rig.stirred = true;
            self.begin_tick();
        }
    }

    /// The tick took too long.
    pub(crate) fn tick_deadline(&mut self, life: u64, id: u64) {
        if self.rig.life == life && self.rig.tick.as_ref().is_some_and(|it| it.id == id) {
            self.rig.tick = None;
            self.rig.stirred = true;
            self.arm(self.now().0 + GIVEN_UP_MS);
            self.after_tick();
        }
    }
}
