//! What is known of a town's container, and when it is replaced. Pure: what was seen and the time come in.
//!
//! ```text
//!  well --a probe fails--> in doubt --enough of them, long enough--> replaced --the same again--> replaced ...
//!   ^                          |                                        |
//!   |                          | (not ours)                             | as often as may be in a window
//!   |                          +-------------> given up <---------------+
//!   +-- it answers: from any of these, and an outage is over ----------------------------------------------
//! ```
//!
//! Probes that fail while a start may still be under way say nothing. From the first replacement to the next answer
//! it is one outage, however often the container was replaced in it. After it was given up only an answer, or a
//! person who ends the container, makes it replaceable again.
//!
//! It must never give a number (incarnation) twice, not even after its own memory was restored to yesterday.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::id::Millis;
use crate::limits;
use crate::wire::PROTOCOL;
use crate::wire::container::Who;

/// What an operator may set of it, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// So long after a start nothing is expected of the container.
    pub grace_ms: i64,
    /// It must fail to answer for so long.
    pub wedged_ms: i64,
}

impl Patience {
    /// Probes that fail closer together count as one: ten runs that start at once are one question.
    fn apart_ms(self) -> i64 {
        self.wedged_ms / i64::from(limits::CONTAINER_PROBES)
    }

    /// After so long without an answer people are told in any case: twice as long as all replacements take, so that
    /// it is about one that never comes up and that nothing replaces.
    fn told_ms(self) -> i64 {
        let replacements = i64::try_from(limits::CONTAINER_REPLACED_MAX).unwrap_or(i64::MAX);
        (self.grace_ms + self.wedged_ms).saturating_mul(2 * (replacements + 1))
    }
}

/// A town's memory of its container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// The highest number that was given to a container.
    pub highest: i64,
    /// The number of the container that is believed; 0: none was started yet.
    pub incarnation: i64,
    started_at: Option<Millis>,
    /// Since when nothing has answered.
    silent_since: Option<Millis>,
    failed_at: Option<Millis>,
    failures: u32,
    counted_at: Option<Millis>,
    doubted_since: Option<Millis>,
    replaced: Vec<Millis>,
    /// The outage that goes on.
    pub outage: Option<Outage>,
    last: Option<Outage>,
}

/// From the first probe that failed to the next answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outage {
    /// When the container was first found not to answer.
    pub since: Millis,
    /// When it answered again.
    pub until: Option<Millis>,
    /// How often it was replaced meanwhile.
    pub replaced: u32,
    /// It is replaced no more.
    pub given_up: bool,
    /// What the last probe met.
    pub why: String,
    /// The rig that has an escalation about it, and the escalation's bead.
    pub told: Option<(String, String)>,
}

impl Outage {
    /// How long it took, or takes until now.
    pub fn lasted_ms(&self, now: Millis) -> i64 {
        self.until.unwrap_or(now).since(self.since)
    }
}

/// What follows from a probe that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing yet.
    Wait,
    /// End it and start another.
    Replace,
    /// It was replaced as often as may be, or is not ours to replace.
    GivenUp,
}

/// Why a container that answers is not taken for the town's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// Another start of it than the last one.
    Incarnation(String),
    /// It is well, and speaks otherwise.
    Protocol(String),
}

impl Watch {
    /// The number for a container that is about to be started; to be stored before it is.
    pub fn next_incarnation(&mut self, now: Millis) -> i64 {
        self.highest = (self.highest + 1).max(now.0);
        self.highest
    }

    /// A container with this number was started.
    pub fn started(&mut self, incarnation: i64, now: Millis) {
        self.incarnation = incarnation;
        self.started_at = Some(now);
        self.undoubted();
    }

    /// Whether the one that answers is the one that was started.
    pub fn meets(&self, who: &Who) -> Result<(), Stranger> {
        if who.protocol != PROTOCOL {
            return Err(Stranger::Protocol(format!(
                "protocol: the container speaks {}, the rig {PROTOCOL}; roll out both parts",
                who.protocol
            )));
        }
        match who.incarnation {
            // An image of before the numbers tells none.
            Some(shown) if self.incarnation != 0 && shown != self.incarnation => {
                Err(Stranger::Incarnation(format!(
                    "the container that answers is incarnation {shown}, not {}",
                    self.incarnation
                )))
            }
            _ => Ok(()),
        }
    }

    /// It answered. What was an outage is one no more.
    pub fn answered(&mut self, now: Millis) -> Option<Outage> {
        self.undoubted();
        self.silent_since = None;
        let over = Outage { until: Some(now), ..self.outage.take()? };
        self.last = Some(over.clone());
        Some(over)
    }

    /// It did not answer. `ours` says whether it could be replaced.
    pub fn failed(&mut self, why: &str, ours: bool, patience: Patience, now: Millis) -> Next {
        self.not_after(now);
        // Nobody asked for so long that what was seen before is another story.
        let last = self.failed_at.replace(now);
        if self.outage.is_none() && last.is_none_or(|at| now.since(at) >= patience.told_ms()) {
            self.undoubted();
            self.silent_since = None;
        }
        let silent_since = *self.silent_since.get_or_insert(now);
        if now.since(silent_since) >= patience.told_ms() {
            self.note_outage(silent_since, why);
        }
        if self.started_at.is_some_and(|at| now.since(at) < patience.grace_ms) {
            return Next::Wait;
        }
        if self.counted_at.is_none_or(|at| now.since(at) >= patience.apart_ms()) {
            self.counted_at = Some(now);
            self.failures += 1;
        }
        let doubted_since = *self.doubted_since.get_or_insert(now);
        if self.failures < limits::CONTAINER_PROBES || now.since(doubted_since) < patience.wedged_ms
        {
            return Next::Wait;
        }
        self.replaced.retain(|at| now.since(*at) < limits::CONTAINER_REPLACED_WINDOW_MS);
        let may = ours && self.replaced.len() < limits::CONTAINER_REPLACED_MAX;
        let outage = self.note_outage(silent_since, why);
        if outage.given_up || !may {
            outage.given_up = true;
            return Next::GivenUp;
        }
        outage.replaced += 1;
        self.replaced.push(now);
        // Whoever ends it may fail, too; so another look comes only after as long as a start may take.
        self.started_at = Some(now);
        self.undoubted();
        Next::Replace
    }

    /// A person ended the container: what was counted begins anew.
    pub fn ended_by_a_person(&mut self) {
        self.undoubted();
        self.replaced.clear();
        if let Some(outage) = &mut self.outage {
            outage.given_up = false;
        }
    }

    /// The outage that nobody was told of and that does not end by itself.
    pub fn untold(&self, patience: Patience, now: Millis) -> Option<&Outage> {
        self.outage.as_ref().filter(|it| {
            it.told.is_none() && (it.given_up || it.lasted_ms(now) >= patience.told_ms())
        })
    }

    /// What an operator sees.
    pub fn view(&self, now: Millis) -> Value {
        let time = |at: Option<Millis>| at.map(|at| at.to_string());
        let outage = |it: &Outage| {
            json!({
                "since": it.since.to_string(),
                "until": time(it.until),
                "lastedMs": it.lasted_ms(now),
                "replaced": it.replaced,
                "givenUp": it.given_up,
                "reason": it.why,
                "escalation": it.told.as_ref().map(|(rig, bead)| json!({"rigId": rig, "beadId": bead})),
            })
        };
        json!({
            "incarnation": self.incarnation,
            "startedAt": time(self.started_at),
            "failedProbes": self.failures,
            "outage": self.outage.as_ref().map(outage),
            "lastOutage": self.last.as_ref().map(outage),
        })
    }

    fn note_outage(&mut self, since: Millis, why: &str) -> &mut Outage {
        let outage = self.outage.get_or_insert_with(|| Outage { since, ..Outage::default() });
        why.clone_into(&mut outage.why);
        outage
    }

    fn undoubted(&mut self) {
        self.failures = 0;
        self.counted_at = None;
        self.doubted_since = None;
    }

    /// What is remembered of the future, because a clock was set back, was now: else it would be waited for.
    fn not_after(&mut self, now: Millis) {
        let all = [
            &mut self.started_at,
            &mut self.silent_since,
            &mut self.failed_at,
            &mut self.counted_at,
            &mut self.doubted_since,
        ];
        for at in all.into_iter().flatten().chain(&mut self.replaced) {
            *at = (*at).min(now);
        }
        if let Some(outage) = &mut self.outage {
            outage.since = outage.since.min(now);
        }
    }
}
