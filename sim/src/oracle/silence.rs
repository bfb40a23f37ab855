//! What must hold of pauses, of runs that are silent, and of starts that all fail. It never looks at a table.

use super::Oracle;
use crate::known::Known;
use crate::rules::Findings;

/// So many failed starts …
const FAILURES: usize = 20;

/// … in so long, in milliseconds, are the container's fault; a little less than the rig's half hour …
const OUTAGE_MS: i64 = 28 * 60_000;

/// … and then one start is tried each five minutes, in milliseconds.
const PROBE_MS: i64 = 299_000;

impl Oracle {
    /// Something outside the rig explains what becomes of a run.
    pub(crate) fn explained(&mut self, number: i64) {
        let Some((_, id)) = self.numbers.get(&number) else { return };
        let runs = self.beads.get_mut(id).map(|it| it.runs.iter_mut());
        for run in runs.into_iter().flatten().filter(|it| it.number == number) {
            // Its end is not told as a failure: the rig may have taken it for lost before.
            (run.explained, run.off) = (true, true);
        }
    }

    /// Whether a person chose the agent of this run.
    pub(crate) fn is_by_hand(&self, number: i64) -> bool {
        let bead = self.numbers.get(&number).and_then(|it| self.beads.get(&it.1));
        bead.is_none_or(|it| it.hooked || it.assigned != Known::Yes)
    }

    /// The switch of the deployment was turned, or (not done) not.
    pub(crate) fn deployment_paused(&mut self, pause: bool, done: bool) {
        self.deployment = match (pause, done) {
            (_, false) => Known::Maybe,
            (true, true) => Known::Yes,
            (false, true) => Known::No,
        };
    }

    pub(super) fn is_paused(&self) -> bool {
        [self.paused, self.switched, self.deployment].contains(&Known::Yes)
    }

    /// A process did something.
    pub(crate) fn sign(&mut self, number: i64, boot: u64, t: i64) {
        self.signs.entry(number).or_default().insert(boot, t);
    }

    /// When a run last did something, where it is believed to be; what it does elsewhere is not its own.
    fn last_sign(&self, number: i64) -> i64 {
        let Some(signs) = self.signs.get(&number) else { return 0 };
        let believed = self.believed.get(&number).and_then(|boot| signs.get(boot));
        believed.or_else(|| signs.values().min()).copied().unwrap_or(0)
    }

    /// A run was stopped, for nothing moved for so long.
    pub(crate) fn reaped(
        &mut self,
        id: &str,
        (reaper, silence): (bool, i64),
        t: i64,
        found: &mut Findings,
    ) {
        let Some(number) = self.beads.get(id).and_then(|it| it.runs.last()).map(|it| it.number)
        else {
            return;
        };
        // One that is silent for four times as long is stopped all the same.
        found.check("nothing is reaped while paused", !reaper || !self.is_paused(), || {
            format!("run {number} of {id} is")
        });
        found.check("a silent run is stopped", true, String::new);
        let touched = self.touched.get(id).copied().unwrap_or(0);
        let sign = self.last_sign(number).max(touched);
        // What the container said a tick ago is enough.
        let silent = t - sign + 20_000;
        found.check("what is reaped was silent", self.jumped || silent >= silence, || {
            format!("run {number} of {id} did something {} s ago", (t - sign) / 1_000)
        });
    }

    /// While nothing but the container's starts fails: twenty in half an hour, and one in five minutes is tried.
    pub(super) fn one_at_a_time(&mut self, number: i64, now: i64, found: &mut Findings) {
        let since = now - std::mem::replace(&mut self.last_start, now);
        let open = self.breaker.values().filter(|at| now - **at < OUTAGE_MS).count() >= FAILURES;
        // Once open it stays so until a start is accepted.
        self.open = self.outage && !self.breaker.is_empty() && (self.open || open);
        if self.open && !self.jumped {
            let rule = "one start at a time while the breaker is open";
            found.check(rule, since >= PROBE_MS, || {
                format!("run {number} is started {since} ms after the last one")
            });
        }
    }
}
