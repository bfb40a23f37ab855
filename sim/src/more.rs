//! Faults that are drawn from a chance of their own, so that a seed without them tells the story that it told before
//! they were thought of: rollouts, a container without disk or memory, hangs and outages of hours.
//!
//! ```text
//! rollout   rig and container are of different versions --1 to 25 min--> both agree; the container may begin anew
//! short     every start is refused with the figures     --1 to 20 min--> there is room
//! ```
//!
//! It never decides what the rig makes of them.

use beadrig::settings::Settings;
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::Problem;

use crate::asked::{Asked, Said};
use crate::faults::Kind;
use crate::op::{Op, Who};
use crate::rng::Rng;
use crate::world::{Event, HEAL_MS, World};

/// Letters and calls for help of a seed: more would be more of the same.
pub(crate) const TEXTS_MAX: u64 = 40;

/// Where agents hang for hours, the rig has so much longer to end them, in milliseconds.
const HANGS_MS: i64 = 125 * 60_000;

/// What a seed has of this, and how it stands.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that a seed has or has not")]
pub(crate) struct More {
    pub(crate) rng: Rng,
    /// People and agents write to each other, and ask for help.
    pub(crate) help: bool,
    /// Agents hang for hours.
    pub(crate) hangs: bool,
    /// Every start fails for half a day, and in the end of one bead alone.
    outage: bool,
    /// People do nothing any more.
    pub(crate) hush: bool,
    rollouts: bool,
    shortages: bool,
    /// How the container speaks, while that is not how the rig does.
    spoken: Option<Spoken>,
    /// What there is too little of for a start.
    short: Option<String>,
    pub(crate) texts: u64,
}

/// What a container says of its version.
#[derive(Clone, Copy, Debug)]
struct Spoken {
    /// In what it says.
    body: u32,
    /// Whether each of its requests says so too; it refuses whoever speaks otherwise then.
    header: bool,
}

/// Something of this that is to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happens {
    /// Somebody writes, or asks for help.
    Help,
    Rollout(bool),
    Shortage(bool),
    /// People close all beads but one, and go.
    OneIsLeft,
}

impl More {
    pub(crate) fn of(seed: u64, kind: Kind) -> Self {
        let mut rng = Rng::new(!seed);
        let calm = kind == Kind::Outage;
        Self {
            help: rng.chance(250) && !calm,
            hangs: rng.chance(300) && kind == Kind::Silent,
            outage: rng.chance(250) && calm,
            rollouts: rng.chance(120) && !calm,
            shortages: rng.chance(120) && !calm,
            hush: false,
            spoken: None,
            short: None,
            texts: 0,
            rng,
        }
    }

    /// How the rig is set for it.
    pub(crate) fn set(&mut self, settings: &mut Settings) {
        if self.hangs {
            // So that the rule for silence of two hours is what ends some of them.
            let minutes = if self.rng.chance(500) { 30 } else { 180 };
            (settings.gupp_ms, settings.reaper_ms) = (30 * 60_000, minutes * 60_000);
            settings.run_timeout_s = 5 * 3_600;
        }
    }

    /// How long the faults last, in milliseconds, if not as long as ever.
    pub(crate) fn faults_ms(&mut self) -> Option<i64> {
        match () {
            () if self.hangs => Some(self.rng.range(120, 200) * 60_000),
            () if self.outage => Some(self.rng.range(840, 900) * 60_000),
            () => None,
        }
    }

    /// How long it may take until all is done, in milliseconds.
    pub(crate) fn heal_ms(&self) -> i64 {
        HEAL_MS + if self.hangs { HANGS_MS } else { 0 }
    }

    /// What a container says of its version in the header of a request, and in what it says.
    pub(crate) fn speaks(&self) -> (Option<u32>, u32) {
        match self.spoken {
            None => (Some(PROTOCOL), PROTOCOL),
            Some(Spoken { body, header }) => (header.then_some(body), body),
        }
    }

    /// Why there is no room for a start, if so.
    pub(crate) fn no_room(&self) -> Option<Said> {
        let error = self.short.clone()?;
        Some(Said::Problem(Problem { error, code: "capacity".to_owned() }))
    }

    fn pause(&mut self, low_s: i64, high_s: i64) -> i64 {
        self.rng.range(low_s * 1_000, high_s * 1_000)
    }
}

impl World {
    /// Plans what this seed has of it.
    pub(crate) fn plan_more(&mut self) {
        let (minute, more) = (60, &mut self.more);
        let all = [
            (more.help, Happens::Help, 5, minute),
            (more.rollouts, Happens::Rollout(true), minute, 40 * minute),
            (more.shortages, Happens::Shortage(true), minute, 40 * minute),
            (more.outage, Happens::OneIsLeft, 50 * minute, 80 * minute),
        ];
        for (_, happens, low, high) in all.into_iter().filter(|it| it.0) {
            let at = self.t + self.more.pause(low, high);
            self.plan(at, Event::More(happens));
        }
    }

    pub(crate) fn more(&mut self, happens: Happens) {
        match happens {
            Happens::Help => self.help_acts(),
            Happens::Rollout(_) | Happens::Shortage(true) if self.healing => {}
            Happens::Rollout(begins) => self.rollout(begins),
            Happens::Shortage(true) => {
                let (what, name) = if self.more.rng.chance(500) {
                    ("disk", "container's disk is full")
                } else {
                    ("memory", "container's memory is full")
                };
                let free = self.more.rng.range(0, 511);
                self.more.short =
                    Some(format!("{free} MiB of {what} are free, a start takes 512 MiB"));
                self.faults_hit.hit(name);
                self.say(format_args!("blow     {name}"));
                let at = self.t + self.more.pause(60, 1_200);
                self.plan(at, Event::More(Happens::Shortage(false)));
            }
            Happens::Shortage(false) => {
                self.more.short = None;
                let at = self.t + self.more.pause(600, 2_400);
                self.plan(at, Event::More(Happens::Shortage(true)));
            }
            Happens::OneIsLeft => self.one_is_left(),
        }
    }

    /// One of the two parts is rolled out, and later the other one, or the first one back. Its runs go on if it is the
    /// rig, and are gone if it is the container.
    fn rollout(&mut self, begins: bool) {
        let restarts = self.more.rng.chance(500);
        if begins {
            let newer = self.more.rng.chance(500);
            let body = if newer { PROTOCOL + 1 } else { PROTOCOL - 1 };
            // One of long ago knows no header.
            let header = newer || self.more.rng.chance(300);
            self.more.spoken = Some(Spoken { body, header });
            self.faults_hit.hit("rig and container are of different versions");
        } else {
            self.more.spoken = None;
        }
        self.say(format_args!("blow     the container speaks {:?}", self.more.speaks()));
        for c in 0..self.containers.len() {
            if restarts && self.containers[c].up {
                self.kill_container(c);
                self.boot(c);
            }
        }
        let high = if begins { 1_500 } else { 3_000 };
        let at = self.t + self.more.pause(60, high);
        self.plan(at, Event::More(Happens::Rollout(!begins)));
    }

    /// The faults stop.
    pub(crate) fn heal_more(&mut self) {
        (self.more.spoken, self.more.short) = (None, None);
    }

    /// What comes of a question to a container that is of another version, if it makes a difference: the town refuses
    /// it in its place, or the container does.
    pub(crate) fn other_version(&mut self, asked: &Asked) -> Option<Said> {
        let Spoken { body, header } = self.more.spoken?;
        match asked {
            Asked::Start(_) | Asked::Merge(_) => {
                let error = format!("the container speaks {body}, the rig {PROTOCOL}");
                Some(Said::Problem(Problem { error, code: "protocol".to_owned() }))
            }
            // What knows no header does what it is asked; what it answers says its version.
            Asked::List | Asked::Stop { .. } if !header && self.more.rng.chance(500) => None,
            Asked::List | Asked::Stop { .. } => Some(Said::Nothing),
        }
    }

    /// What a container of another version says is refused.
    pub(crate) fn version_checked(&mut self, who: &Who, op: &Op, status: u16) {
        let (header, body) = self.more.speaks();
        let told = header.is_some_and(|it| it != PROTOCOL)
            || matches!(op, Op::Beats { .. }) && body != PROTOCOL;
        if told && matches!(who, Who::Container(..)) {
            let rule = "what a container of another version says is refused";
            self.found.check(rule, status >= 400, || {
                format!("{} of version {body} was answered {status}", op.word())
            });
        }
    }

    fn one_is_left(&mut self) {
        self.faults_hit.hit("every start fails for half a day");
        self.more.hush = true;
        let known = self.oracle.known();
        let left = self.oracle.most_started();
        for bead in known.into_iter().filter(|it| Some(it) != left.as_ref()) {
            self.send(Who::Person, Op::Close { bead }, 3);
        }
    }
}
