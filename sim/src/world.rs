//! One seed: the clock, what is on its way, and the phases.
//!
//! ```text
//! safety   people, agents and faults              heal      the faults stop
//! healing  all that is ready must be done in 40 minutes      quiet     nothing happens, and nothing may happen
//! ```

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::rc::Rc;

use beadrig::command::StartAnswer;
use beadrig::settings::Settings;

use crate::asked::{Asked, Said, Ticket};
use crate::container::Container;
use crate::faults::{Blow, FAULTS, Faults, Kind};
use crate::more::{Happens, More};
use crate::op::{Call, Op, Who};
use crate::oracle::Oracle;
use crate::people::People;
use crate::rig::Rig;
use crate::rng::Rng;
use crate::rules::Findings;
use crate::sql::SimSql;
use crate::trace::{Counts, Trace};

/// After the faults have stopped, all that is ready is done within so long, in milliseconds.
pub(crate) const HEAL_MS: i64 = 40 * 60_000;

/// How long it is watched doing nothing, in milliseconds.
const QUIET_MS: i64 = 30 * 60_000;

/// A run may take so long in the simulation, in seconds: less than it takes to heal.
const RUN_S: u32 = 1_200;

/// Something that is to happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A call reaches the rig.
    Arrives(Box<Call>),
    /// Nobody answered a call.
    Again(Box<Call>),
    /// The answer reaches the caller.
    Answered(Box<Call>, u16, Box<serde_json::Value>),
    Alarm(u64),
    TickDeadline(u64, u64),
    /// A question of a tick reaches a container.
    Asked(Ticket, usize, Asked),
    Said(Ticket, Said),
    /// A process takes the next step of its plan: container, life of the service, agent, attempt.
    Step(usize, u64, String, i64),
    /// A process that was told to end is gone, or one that has to wait begins.
    Gone(usize, u64, String, i64),
    Beat(usize, u64),
    EarlyBeat(usize, u64),
    /// The lease of a container that was heard at this time.
    Lease(usize, u64, i64),
    TimeLimit(usize, u64, String, i64),
    People,
    Blow,
    Mended(Blow, usize),
    Look,
    Heal,
    /// While it heals: which processes are not wanted; and whether they are still there.
    /// A merge is made: container, life of the service, entry and start.
    Merge(usize, u64, (String, i64)),
    /// The watchdog looks whether an alarm went off.
    Poke(u64),
    /// A person takes back all pauses.
    Unpause,
    /// The whole deployment is paused, or goes on.
    Deployment(bool),
    /// Every start fails, or none does for that.
    Outage(bool),
    /// See [`More`].
    More(Happens),
    Unwanted(std::collections::BTreeSet<(usize, i64)>),
}

/// Everything there is.
pub(crate) struct World {
    /// Milliseconds since the beginning.
    pub(crate) t: i64,
    /// How far the rig's clock is ahead.
    pub(crate) skew: i64,
    pub(crate) rng: Rng,
    queue: BTreeMap<(i64, u64), Event>,
    serial: u64,
    pub(crate) rig: Rig,
    pub(crate) containers: Vec<Container>,
    /// The one that the town asks.
    pub(crate) current: usize,
    pub(crate) kind: Kind,
    pub(crate) more: More,
    pub(crate) faults: Faults,
    pub(crate) faults_hit: Counts,
    pub(crate) trace: Trace,
    pub(crate) oracle: Oracle,
    /// What was known when the rig was copied, and its alarm then.
    yesterday: Option<(Oracle, Option<i64>)>,
    pub(crate) found: Findings,
    pub(crate) people: People,
    pub(crate) healing: bool,
    pub(crate) healed_at: i64,
    pub(crate) boots: u64,
    pub(crate) calls: u64,
}

/// What came of a seed.
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    pub(crate) ms: i64,
    pub(crate) statements: u64,
    pub(crate) alarms: u64,
    pub(crate) faults: Counts,
    pub(crate) found: Findings,
    pub(crate) trace: Trace,
}

/// Runs one seed.
pub(crate) fn run(sql: &Rc<SimSql>, seed: u64, keep: bool) -> Outcome {
    sql.mark("seed");
    let mut world = World::new(sql, seed, keep);
    world.go();
    let outcome = Outcome {
        hash: world.trace.hash(),
        steps: world.trace.steps,
        ms: world.t,
        statements: sql.statements.replace(0),
        alarms: world.rig.alarms,
        faults: world.faults_hit,
        found: world.found,
        trace: world.trace,
    };
    sql.writes_left.set(None);
    sql.take_back("seed");
    outcome
}

impl World {
    fn new(sql: &Rc<SimSql>, seed: u64, keep: bool) -> Self {
        let mut rng = Rng::new(seed);
        let kind = Kind::of(&mut rng);
        let mut faults = Faults::of(&mut rng);
        let mut settings = Settings { run_timeout_s: RUN_S, max_agents: 3, ..Settings::default() };
        match kind {
            Kind::Outage => faults = Faults::default(),
            Kind::Silent => {
                settings.gupp_ms = 4 * 60_000;
                settings.reaper_ms = if rng.chance(600) { 5 * 60_000 } else { 60 * 60_000 };
            }
            Kind::Budget => settings.max_budget_micros = 1_000_000,
            _ => {}
        }
        let mut more = More::of(seed, kind);
        more.set(&mut settings);
        Self {
            t: 0,
            skew: 0,
            rng,
            queue: BTreeMap::new(),
            serial: 0,
            rig: Rig::new(Rc::clone(sql), settings),
            containers: vec![Container::new(1, 0)],
            current: 0,
            kind,
            more,
            faults,
            faults_hit: Counts::expecting(&FAULTS),
            trace: Trace::new(keep),
            oracle: Oracle::default(),
            yesterday: None,
            found: Findings::new(),
            people: People::default(),
            healing: false,
            healed_at: 0,
            boots: 1,
            calls: 0,
        }
    }

    pub(crate) fn say(&mut self, what: Arguments<'_>) {
        self.trace.say(self.t, what);
    }

    pub(crate) fn plan(&mut self, at: i64, event: Event) {
        self.serial += 1;
        self.queue.insert((at.max(self.t), self.serial), event);
    }

    pub(crate) fn soon(&mut self, low: i64, high: i64, event: Event) {
        let at = self.t + self.rng.range(low, high);
        self.plan(at, event);
    }

    fn go(&mut self) {
        let long = self.faults.storm || self.faults.bad_agents >= crate::faults::EVERY_ONE;
        let heal = match self.kind {
            Kind::Outage => (60, 150),
            Kind::MergesLost => (60, 100),
            _ if long => (100, 150),
            _ => (12, 75),
        };
        let heal = self.rng.range(heal.0, heal.1) * 60_000;
        let heal = self.more.faults_ms().unwrap_or(heal);
        self.plan_more();
        if self.kind.merges() {
            let caller = beadrig::token::Caller::Operator { actor: "ann".to_owned() };
            let (moment, body) = (self.moment(), r#"{"git_url":"https://git.test/demo.git"}"#);
            let (status, body, ..) =
                self.ask_api(moment, "PATCH", "/config", body, caller, (None, None));
            assert_eq!(status, 200, "{body}");
            self.oracle.has_git = true;
        }
        if self.kind == Kind::Outage {
            self.oracle.outage = true;
            self.soon(0, 600_000, Event::Outage(true));
            let over = heal - self.rng.range(0, 1_800_000);
            self.plan(over, Event::Outage(false));
        } else if self.rng.chance(250) {
            self.soon(60_000, 1_200_000, Event::Deployment(true));
        }
        self.plan(0, Event::People);
        self.plan(heal, Event::Heal);
        self.soon(60_000, 600_000, Event::Blow);
        self.soon(0, 36_000, Event::Beat(0, 1));
        self.soon(300_000, 600_000, Event::Look);
        let mut end = heal + self.more.heal_ms();
        self.until(end);
        self.done();
        let (alarms, raises) = (self.rig.alarms, self.oracle.help.raises);
        end += QUIET_MS;
        self.until(end);
        self.quiet(self.rig.alarms - alarms, self.oracle.help.raises - raises);
        self.hours(end);
    }

    /// Lets things happen until a time, or until something is wrong.
    pub(crate) fn until(&mut self, end: i64) {
        while let Some(first) = self.queue.first_entry() {
            let at = first.key().0;
            if at > end || !self.found.wrong.is_empty() {
                break;
            }
            let event = first.remove();
            (self.t, self.oracle.t) = (at, at);
            self.happen(event);
        }
        self.t = end;
    }

    fn happen(&mut self, event: Event) {
        if self.rig.sql.writes_left.get().is_none() && self.rng.chance(self.faults.write_fails) {
            self.faults_hit.hit("one write fails");
            let n = self.rng.range(0, 8);
            self.rig.sql.writes_left.set(u32::try_from(n).ok());
        }
        match event {
            Event::Arrives(call) => self.arrives(*call),
            Event::Again(call) => self.again(*call),
            Event::Answered(call, status, body) => self.answered(&call, status, &body),
            Event::Alarm(serial) => self.alarm(serial),
            Event::TickDeadline(life, id) => self.tick_deadline(life, id),
            Event::Asked(ticket, c, asked) => self.container_asked(ticket, c, asked),
            Event::Said(ticket, said) => self.said(ticket, said),
            Event::Step(c, boot, agent, attempt) => self.step(c, boot, &agent, attempt),
            Event::Gone(c, boot, agent, attempt) => self.gone(c, boot, &agent, attempt),
            Event::Beat(c, boot) => self.beat(c, boot),
            Event::EarlyBeat(c, boot) => self.send_beats(c, boot),
            Event::Lease(c, boot, heard) => self.lease(c, boot, heard),
            Event::TimeLimit(c, boot, agent, attempt) => {
                if self.containers[c].boot == boot {
                    self.must_not_be_silent(c, &agent, attempt);
                    self.end_run(c, &agent, attempt, "timeout", false);
                }
            }
            Event::Merge(c, boot, key) => self.merge_made(c, boot, key),
            Event::Poke(serial) => self.poke(serial),
            Event::Unpause => {
                self.send(Who::Person, Op::Pause(false), 3);
                self.send(Who::Person, Op::Switch(false), 3);
            }
            Event::Deployment(pause) => self.deployment(pause),
            Event::Outage(on) => {
                self.faults_hit.hit("every start fails");
                self.containers.iter_mut().for_each(|it| it.refuses = on);
            }
            Event::More(happens) => self.more(happens),
            Event::People => self.person_acts(),
            Event::Blow => self.blow(),
            Event::Mended(blow, c) => self.mended(blow, c),
            Event::Look => {
                self.look(false);
                if !self.healing {
                    self.soon(400_000, 1_100_000, Event::Look);
                }
            }
            Event::Heal => self.heal(),
            Event::Unwanted(before) => self.unwanted(before),
        }
    }

    /// Somebody calls the rig.
    pub(crate) fn send(&mut self, who: Who, op: Op, tries: u32) {
        self.calls += 1;
        let keyed = !matches!(who, Who::Container(..));
        let key = (keyed && self.rng.chance(700)).then(|| format!("k{}", self.calls));
        // Without a key only what may be done twice is sent twice.
        let tries = if key.is_some() || matches!(who, Who::Container(..)) { tries } else { 0 };
        let call = Call { who, op, key, tries };
        self.out(call);
    }

    /// Puts a call on its way.
    fn out(&mut self, call: Call) {
        let faults = (self.faults.lost, self.faults.late, self.faults.twice);
        if self.rng.chance(faults.0) {
            self.faults_hit.hit("call lost");
            return self.soon(5_000, 10_000, Event::Again(Box::new(call)));
        }
        if (call.key.is_some() || matches!(call.who, Who::Container(..)))
            && self.rng.chance(faults.2)
        {
            self.faults_hit.hit("call twice");
            self.soon(1, 20_000, Event::Arrives(Box::new(Call { tries: 0, ..call.clone() })));
        }
        if self.rng.chance(faults.1) {
            self.faults_hit.hit("call late");
            return self.soon(1_000, 240_000, Event::Arrives(Box::new(call)));
        }
        self.soon(1, 40, Event::Arrives(Box::new(call)));
    }

    fn is_cut(&self, who: &Who) -> bool {
        match who {
            Who::Person => false,
            Who::Container(c, boot) => {
                let it = &self.containers[*c];
                it.cut || it.boot == *boot && (!it.up || it.is_mute())
            }
            Who::Run { attempt, .. } => self
                .containers
                .iter()
                .any(|it| it.cut && it.runs.values().any(|run| run.start.attempt == *attempt)),
        }
    }

    fn arrives(&mut self, call: Call) {
        if let (Who::Container(c, boot), Op::Beats { runs, .. }) = (&call.who, &call.op)
            && self.containers[*c].boot != *boot
        {
            self.faults_hit.hit("a dead container is heard late");
            for it in runs {
                self.oracle.explained(it.1);
            }
        }
        let answer = if self.is_cut(&call.who) { None } else { self.request(&call) };
        let Some((status, body)) = answer else {
            return self.soon(5_000, 10_000, Event::Again(Box::new(call)));
        };
        if self.rng.chance(self.faults.lost) {
            self.faults_hit.hit("answer lost");
            return self.soon(5_000, 10_000, Event::Again(Box::new(call)));
        }
        self.soon(1, 40, Event::Answered(Box::new(call), status, Box::new(body)));
    }

    fn again(&mut self, call: Call) {
        let there = match &call.who {
            Who::Person => true,
            Who::Container(c, boot) => self.containers[*c].boot == *boot,
            Who::Run { attempt, .. } => self.containers.iter().any(|it| it.has(*attempt)),
        };
        if call.tries == 0 || !there {
            return;
        }
        self.out(Call { tries: call.tries - 1, ..call });
    }

    /// A question of a tick is on its way to the container.
    pub(crate) fn send_to_container(&mut self, ticket: Ticket, asked: Asked) {
        let start = matches!(asked, Asked::Start(_) | Asked::Merge(_));
        let faults = (self.faults.late, self.faults.twice);
        let c = self.current;
        if matches!(asked, Asked::Start(_)) && self.rng.chance(self.faults.swaps) {
            // It gets through, nobody hears of it for a while, and the town asks another container from now on.
            self.container_asked(Ticket { call: 0, ..ticket }, c, asked);
            self.containers[c].cut = true;
            self.soon(10_000, 110_000, Event::Mended(Blow::CutOff, c));
            self.faults_hit.hit("container is replaced at a start, and lives");
            return self.another_container();
        }
        if self.rng.chance(faults.0) {
            self.faults_hit.hit(if start { "start late" } else { "list late" });
            return self.soon(7_000, 400_000, Event::Asked(ticket, c, asked));
        }
        if start && self.rng.chance(faults.1) {
            self.faults_hit.hit("start twice");
            self.soon(1, 30_000, Event::Asked(ticket, c, asked.clone()));
        }
        self.soon(1, 60, Event::Asked(ticket, c, asked));
    }

    /// The container's answer is on its way to the tick.
    pub(crate) fn answer_tick(&mut self, ticket: Ticket, said: Said) {
        let lost = self.rng.chance(self.faults.lost);
        if lost {
            let what = if matches!(said, Said::Start(_)) {
                "start's answer lost"
            } else {
                "list's answer lost"
            };
            self.faults_hit.hit(what);
            return;
        }
        self.soon(1, 60, Event::Said(ticket, said));
    }

    /// The town's own answer where the container does not hear.
    pub(crate) fn unheard(&mut self, ticket: Ticket, asked: &Asked) {
        let said = match asked {
            // Probed, and not sent.
            Asked::Start(_) | Asked::Merge(_) if self.rng.chance(700) => {
                Said::Start(StartAnswer::NoRoom("the container does not answer".to_owned()))
            }
            Asked::Start(_) | Asked::Merge(_) => {
                Said::Start(StartAnswer::Unknown("no answer".to_owned()))
            }
            _ => Said::Nothing,
        };
        self.soon(1_500, 5_500, Event::Said(ticket, said));
    }

    /// A big thing happens, and maybe is over some time later.
    fn blow(&mut self) {
        if self.healing {
            return;
        }
        if self.faults.storm {
            self.faults_hit.hit("container restarts all the time");
            self.soon(5_000, 60_000, Event::Blow);
        } else {
            self.soon(120_000, 1_500_000, Event::Blow);
        }
        let blows = self.faults.blows.clone();
        let Some(&blow) = self.rng.pick(&blows) else { return };
        let c = self.current;
        let name = match blow {
            Blow::ContainerDies => {
                self.kill_container(c);
                "container dies"
            }
            Blow::ContainerRestarts => {
                self.kill_container(c);
                self.boot(c);
                "container restarts"
            }
            Blow::Wedged => {
                self.containers[c].wedged = true;
                "container wedged"
            }
            Blow::CutOff => {
                self.containers[c].cut = true;
                "container is cut off"
            }
            Blow::ThoughtDead => {
                self.containers[c].cut = self.rng.chance(600);
                self.another_container();
                "container is thought dead and lives"
            }
            Blow::NoRoom => {
                self.containers[c].full = true;
                "container has no room"
            }
            Blow::RigAway => {
                self.rig.away_until = self.t + self.rng.range(5_000, 900_000);
                self.build();
                "rig is away"
            }
            Blow::DiskFull => {
                self.rig.sql.stays_full.set(true);
                self.rig.sql.writes_left.set(Some(0));
                "disk is full"
            }
            Blow::Restored => return self.restore(),
            Blow::Clock => return self.jump(),
        };
        self.faults_hit.hit(name);
        self.say(format_args!("blow     {name}"));
        if !matches!(blow, Blow::ContainerRestarts | Blow::RigAway) {
            self.soon(10_000, 900_000, Event::Mended(blow, c));
        }
    }

    fn another_container(&mut self) {
        self.boots += 1;
        let (boot, t) = (self.boots, self.t);
        self.containers.push(Container::new(boot, t));
        self.current = self.containers.len() - 1;
        self.soon(1, 36_000, Event::Beat(self.current, boot));
    }

    fn mended(&mut self, blow: Blow, c: usize) {
        self.say(format_args!("mended   {blow:?} {c}"));
        match blow {
            Blow::ContainerDies if !self.containers[c].up => self.boot(c),
            Blow::Wedged => self.containers[c].wedged = false,
            Blow::CutOff | Blow::ThoughtDead => self.containers[c].cut = false,
            Blow::NoRoom => self.containers[c].full = false,
            Blow::DiskFull => {
                self.rig.sql.stays_full.set(false);
                self.rig.sql.writes_left.set(None);
            }
            _ => {}
        }
    }

    /// The rig's rows are copied; some time later they are what they were then.
    fn restore(&mut self) {
        match self.yesterday.take() {
            None => {
                self.rig.sql.mark("yesterday");
                self.yesterday = Some((self.oracle.clone(), self.rig.alarm));
                self.say(format_args!("blow     the rig is copied"));
            }
            Some((oracle, alarm)) => {
                self.rig.sql.take_back("yesterday");
                self.oracle.restored(oracle);
                self.people.forget(&self.oracle.known());
                self.crash("rig is restored to an earlier day");
                match alarm {
                    Some(at) => self.set_alarm_at(at),
                    None => self.rig.alarm = None,
                }
            }
        }
    }

    fn jump(&mut self) {
        let by = if self.rng.chance(500) {
            self.faults_hit.hit("clock jumps forward");
            self.rng.range(10_000, 3_600_000)
        } else {
            self.faults_hit.hit("clock jumps back");
            -self.rng.range(1_000, 240_000)
        };
        self.skew += by;
        self.say(format_args!("blow     clock jumps by {by} ms"));
        self.oracle.clock_jumped();
        self.rig.stirred = true;
        if let Some(at) = self.rig.alarm {
            self.set_alarm_at(at);
        }
    }

    /// The faults stop, and what is broken is mended.
    fn heal(&mut self) {
        self.say(format_args!("heal"));
        self.healing = true;
        self.healed_at = self.t;
        self.faults = Faults::default();
        self.rig.away_until = self.t;
        self.rig.sql.writes_left.set(None);
        self.rig.sql.stays_full.set(false);
        self.heal_more();
        for c in 0..self.containers.len() {
            let it = &mut self.containers[c];
            (it.cut, it.full, it.refuses) = (false, false, false);
            if !it.up && c == self.current {
                self.boot(c);
            } else if it.wedged {
                self.kill_container(c);
                self.boot(c);
            }
        }
        self.plan(self.t, Event::Unpause);
        // After what was sent before and comes late.
        self.plan(self.t + 260_000, Event::Unpause);
        self.plan(self.t, Event::Deployment(false));
        self.plan(self.t + 300_000, Event::Unwanted(std::collections::BTreeSet::new()));
    }
}
