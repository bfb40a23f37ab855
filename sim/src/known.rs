//! What is known of one bead and of its runs, and the rules about them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::op::{Call, Op, Who};
use crate::rules::Findings;

/// Silence ends a run after so many questions without an answer …
pub(crate) const ASKS: u32 = 3;

/// … over so long, in milliseconds.
pub(crate) const SILENCE_MS: i64 = 180_000;

/// Runs of a bead in a day that fail …
const FAILURES_MAX: usize = 5;

/// Runs of a bead in a day that are lost with their container …
const LOSSES_MAX: usize = 10;

/// … and all of them, failed and lost.
const STARTS_MAX: usize = 15;

/// Starts that do not count, for those of the whole rig failed.
const EXCUSED_MAX: usize = 20;

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The first wait after a failure, in milliseconds; the next ones are not shorter.
const BACK_OFF_MS: [i64; 4] = [30_000, 60_000, 120_000, 300_000];

/// What is known of a yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Known {
    #[default]
    No,
    Maybe,
    Yes,
}

/// One run, as the rig asked for it.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something that is known of it, and they combine"
)]
pub(crate) struct Run {
    pub(crate) number: i64,
    pub(crate) asked_at: i64,
    /// Something that explains why it is over: what, is for the reader of the trace.
    pub(crate) explained: bool,
    /// Its end was acknowledged, or a person took its bead: nothing that it says may be taken.
    pub(crate) over: bool,
    /// Somebody took its bead from it, or may have: that it ends then is no failure.
    pub(crate) off: bool,
    /// When the rig could first know that it is over.
    pub(crate) ended_at: Option<i64>,
    /// When its failure was acknowledged.
    pub(crate) failed_at: Option<i64>,
    /// It was heard of, and then the container did not know it any more.
    pub(crate) heard: bool,
    pub(crate) lost: bool,
    pub(crate) unanswered: u32,
    pub(crate) first_unanswered: i64,
    /// It was silent for long enough to be given up; whether it was shows in what comes of what it says.
    pub(crate) may_be_lost: bool,
    /// The last that the rig heard of it: there was no room for it, and why. What a container shows or not says nothing
    /// of it before it is asked for again.
    pub(crate) waits: Option<String>,
    /// Something was heard of it since it was asked for.
    pub(crate) signed: bool,
}

/// One bead, as people were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bead {
    pub(crate) title: String,
    pub(crate) closed: Known,
    pub(crate) deleted: Known,
    pub(crate) assigned: Known,
    pub(crate) criteria: Known,
    pub(crate) deferred: Option<(i64, Known)>,
    pub(crate) needs: BTreeMap<String, Known>,
    pub(crate) notes: BTreeSet<String>,
    pub(crate) hooked: bool,
    /// It was made by a call whose first answer was lost: it may have been worked at since.
    pub(crate) learnt_late: bool,
    pub(crate) runs: Vec<Run>,
    /// The first of `runs` that counts: a person's reopening starts anew.
    pub(crate) epoch: usize,
    /// What its runs cost since, as far as it is sure, in millionths of a dollar.
    pub(crate) spent: i64,
    /// It was handed in to be merged.
    pub(crate) in_review: bool,
    /// By this run, which may say so again.
    pub(crate) handed_in: Option<i64>,
}

impl Known {
    pub(crate) fn max_of(self, other: Self) -> Self {
        if self == Self::Yes || other == Self::Yes { Self::Yes } else { other }
    }
}

impl Run {
    /// The rig takes it for alive.
    pub(crate) fn seen_alive(&mut self) {
        (self.waits, self.signed) = (None, true);
        (self.unanswered, self.may_be_lost) = (0, false);
    }
}

impl Bead {
    /// What a call about it that was done, or (not told) may have been, makes of what is known.
    pub(crate) fn changed(&mut self, call: &Call, told: bool, merges: bool) {
        let sure = if told { Known::Yes } else { Known::Maybe };
        let person = call.who == Who::Person;
        let explains = !matches!(
            call.op,
            Op::Note { .. }
                | Op::Checkpoint { .. }
                | Op::Alive { .. }
                | Op::Criteria { .. }
                | Op::Escalate { .. }
                | Op::Mail { .. }
                | Op::ReadMail { .. }
                | Op::AckMail { .. }
        );
        if explains && !matches!(call.op, Op::Exit { .. }) {
            for run in &mut self.runs {
                (run.explained, run.off) = (true, true);
            }
        }
        match &call.op {
            Op::Note { text, .. } if told => {
                self.notes.insert(text.clone());
            }
            // What came of the merge is seen when somebody looks.
            Op::Done { .. } if merges => {
                self.in_review = true;
                if let Who::Run { attempt, .. } = call.who {
                    self.handed_in = Some(attempt);
                }
            }
            Op::Close { .. } | Op::Done { .. } => {
                if sure == Known::Yes {
                    if self.closed != Known::Yes && person {
                        self.dismiss();
                    }
                    self.closed = Known::Yes;
                } else if self.closed == Known::No {
                    self.closed = Known::Maybe;
                }
            }
            Op::Reopen { .. } | Op::Status { .. } | Op::Defer { .. } | Op::Block { .. } => {
                if person || self.closed != Known::Yes {
                    self.closed = if told { Known::No } else { Known::Maybe };
                }
                if person {
                    self.epoch = self.runs.len();
                    self.spent = 0;
                }
                if let Op::Defer { until, .. } = &call.op {
                    let at = beadrig::id::Millis::parse(until).map_or(0, |it| it.0);
                    self.deferred = Some((at, sure));
                }
            }
            Op::Delete { .. } => self.deleted = self.deleted.max_of(sure),
            Op::Assign { .. } => {
                self.assigned = if told { Known::Yes } else { Known::Maybe };
            }
            Op::TakeBack { .. } => {
                if told && self.assigned == Known::Yes && !self.hooked {
                    self.dismiss();
                }
                self.assigned = if told { Known::No } else { Known::Maybe };
                self.epoch = self.runs.len();
                self.spent = 0;
            }
            Op::Criteria { .. } => self.criteria = sure,
            Op::Needs { other, .. } => {
                let before = self.needs.get(other).copied().unwrap_or_default();
                self.needs.insert(other.clone(), before.max_of(sure));
            }
            Op::Frees { other, .. } => {
                self.needs.insert(other.clone(), if told { Known::No } else { Known::Maybe });
            }
            Op::Hook { .. } => self.hooked = true,
            _ => {}
        }
    }

    /// Nothing that its runs say may be taken from now on.
    pub(crate) fn dismiss(&mut self) {
        for run in &mut self.runs {
            run.over = true;
        }
    }

    pub(crate) fn count_starts(&self, id: &str, now: i64, outage: bool, found: &mut Findings) {
        let today: Vec<&Run> = self
            .runs
            .iter()
            .skip(self.epoch)
            .filter(|it| now - it.asked_at < DAY_MS - 60_000)
            .collect();
        let failed = today.iter().filter(|it| it.failed_at.is_some()).count();
        found.check("failures in a day are bounded", failed < FAILURES_MAX, || {
            format!("{id} is started after {failed} failures")
        });
        let lost = today.iter().filter(|it| it.lost).count();
        found.check("losses in a day are bounded", lost < LOSSES_MAX, || {
            format!("{id} is started after {lost} losses")
        });
        let most = STARTS_MAX + if outage { EXCUSED_MAX } else { 0 };
        found.check("starts in a day are bounded", today.len() < most, || {
            format!("{id} is started after {} starts", today.len())
        });
        if let Some(at) = today.last().and_then(|it| it.failed_at) {
            let wait = BACK_OFF_MS[failed.clamp(1, BACK_OFF_MS.len()) - 1];
            found.check("a failed run is tried again after a wait", now - at >= wait, || {
                format!("{id} is started {} ms after its failure {failed}", now - at)
            });
        }
    }

    pub(crate) fn silence(&self, id: &str, found: &mut Findings) {
        let Some(run) = self.runs.last().filter(|it| !it.explained) else { return };
        let rule = "a silent run is given up only after three questions over 180 s";
        found.check(rule, run.may_be_lost, || {
            format!("{id}: run {} after {} questions", run.number, run.unanswered)
        });
    }

    /// The last thing that is known of its run is that there was no room for it.
    pub(crate) fn waits(&self) -> Option<&str> {
        self.runs.last().filter(|it| !it.off).and_then(|it| it.waits.as_deref())
    }

    fn seen_waiting(&self, id: &str, view: &Value, found: &mut Findings) {
        let waiting = &view["waiting"];
        let Some(why) = self.waits().filter(|_| waiting["reason"] == "container_unavailable")
        else {
            return;
        };
        let said = waiting["message"].as_str().is_some_and(|it| it.contains(why));
        // One may have been claimed and never asked for.
        let free = self.runs.len() > 1
            || self.learnt_late
            || view["attempts"].as_i64().is_some_and(|it| it <= 1);
        found.check("who waits for the container is told why", said && free, || {
            format!("{id}: {why:?}, after {} attempts: {waiting}", view["attempts"])
        });
    }

    pub(crate) fn seen_status(
        &mut self,
        id: &str,
        view: &Value,
        (alarm, landed): (bool, bool),
        found: &mut Findings,
    ) {
        let status = view["status"].as_str().unwrap_or_default();
        let merged = view["close_reason"].as_str().is_some_and(|it| it.starts_with("merged "));
        if status == "closed" && merged {
            found.check("a bead closed as merged was merged", landed, || id.to_owned());
            if self.in_review && self.closed == Known::No {
                self.closed = Known::Maybe;
            }
        }
        match (self.closed, status == "closed") {
            (Known::Yes, closed) => {
                found.check("a closed bead stays closed until a person opens it", closed, || {
                    format!("{id} is {status}")
                });
            }
            (Known::No, closed) => {
                found.check("nothing closes a bead but a close or a done", !closed, || {
                    format!("{id} is closed")
                });
            }
            (Known::Maybe, closed) => {
                self.closed = if closed { Known::Yes } else { Known::No };
            }
        }
        if status == "open" && view["assignee"] == "agent" {
            let reason = view["waiting"]["reason"].as_str().unwrap_or_default();
            let timeless =
                ["no_acceptance_criteria", "blocked_by", "dispatch_paused"].contains(&reason);
            found.check(
                "a waiting bead says why, and when",
                !reason.is_empty() && (timeless || alarm),
                || format!("{id} is open, {}, alarm {alarm}", view["waiting"]),
            );
        }
        self.seen_waiting(id, view, found);
        let code = view["failure"]["code"].as_str().unwrap_or_default();
        let runs = self.runs.len();
        let needed = match code {
            // One or two may have been claimed and never asked for.
            "attempts_exhausted" => FAILURES_MAX - 1,
            "lost_too_often" => 8,
            _ => 0,
        };
        if status == "failed" || needed > 0 {
            found.check(
                "what gave up says why, and it is so",
                !code.is_empty() && (runs >= needed || self.learnt_late),
                || format!("{id} is {status} ({code}) after {runs} runs"),
            );
        }
    }
}
