//! The rules by name, how often each applied, and what was found wrong.

use crate::trace::Counts;

/// What is checked. A long run in which one of them never applied shows nothing about it.
pub(crate) const RULES: [&str; 55] = [
    "an acknowledged bead is there",
    "an acknowledged note is there",
    "a call with a key is done once",
    "a closed bead stays closed until a person opens it",
    "nothing closes a bead but a close or a done",
    "numbers of runs grow",
    "the same number is the same run",
    "at most one run writes",
    "a run that is over writes nothing",
    "a run goes on in one container",
    "two processes at one bead end soon",
    "failures in a day are bounded",
    "losses in a day are bounded",
    "starts in a day are bounded",
    "a failed run is tried again after a wait",
    "a closed bead is not started",
    "a bead that was taken back is not started",
    "a bead without criteria is not started",
    "a deferred bead is not started before its time",
    "a blocked bead is not started",
    "nothing is started while paused",
    "no more agents than allowed",
    "a silent run is given up only after three questions over 180 s",
    "a refusal has a code and a reason",
    "a waiting bead says why, and when",
    "what gave up says why, and it is so",
    "a process that is not wanted is ended",
    "the alarm does not spin",
    "all that is ready is done",
    "an idle rig hardly wakes",
    "one start at a time while the breaker is open",
    "what is reaped was silent",
    "nothing is reaped while paused",
    "a silent run is stopped",
    "no run begins above the budget",
    "only the newest start of a merge lands",
    "what was withdrawn does not land",
    "what an older start of a merge says is refused",
    "a merge is started a few times at most",
    "a bead closed as merged was merged",
    "every review ends",
    "what a container of another version says is refused",
    "what waits for the container keeps its number",
    "who waits for the container is told why",
    "an escalation is there until it is closed",
    "a cause has one escalation",
    "what is closed or acknowledged is not raised",
    "an escalation is raised after four hours each, three times at most",
    "what nobody acknowledges is raised three times",
    "a mail waits until it is read",
    "a mail that was read comes no more",
    "mail is read in the order that it was sent",
    "a mail is there once",
    "a text that is too large is refused",
    "a silent run is told once an hour",
];

/// The part that a restored rig does not forget.
pub(crate) struct Findings {
    pub(crate) rules: Counts,
    pub(crate) wrong: Vec<String>,
}

impl Findings {
    pub(crate) fn new() -> Self {
        Self { rules: Counts::expecting(&RULES), wrong: Vec::new() }
    }

    /// One rule, applied once.
    pub(crate) fn check(&mut self, rule: &'static str, holds: bool, why: impl FnOnce() -> String) {
        self.rules.hit(rule);
        if !holds {
            self.wrong.push(format!("{rule}: {}", why()));
        }
    }
}
