//! What must hold of runs that there is no room for: they wait under their number. It never looks at a table.

use super::Oracle;
use crate::known::{Known, Run};
use crate::op::{Call, Op, Who};
use crate::rules::Findings;

impl Oracle {
    pub(super) fn run(&mut self, number: i64) -> Option<&mut Run> {
        let (_, id) = self.numbers.get(&number)?;
        self.beads.get_mut(id)?.runs.iter_mut().find(|it| it.number == number)
    }

    /// The container is asked for a run, for the first time or again.
    pub(super) fn asked_for(&mut self, number: i64) {
        if let Some(run) = self.run(number) {
            (run.waits, run.signed) = (None, false);
        }
    }

    /// There was no room for it, and the rig knows.
    pub(crate) fn waits(&mut self, number: i64, why: String) {
        if let Some(run) = self.run(number).filter(|it| !it.signed) {
            run.waits = Some(why);
        }
    }

    /// Something may have been heard of runs: an earlier request for them got through.
    pub(super) fn signed(&mut self, call: &Call) {
        let numbers = match (&call.who, &call.op) {
            (Who::Run { attempt, .. }, _) | (_, Op::Exit { attempt, .. }) => vec![*attempt],
            (_, Op::Beats { runs, .. }) => runs.iter().map(|it| it.1).collect(),
            _ => return,
        };
        for number in numbers {
            if let Some(run) = self.run(number) {
                (run.waits, run.signed) = (None, true);
            }
        }
    }

    /// A bead that waits for the container gets no new number, and so no attempt is lost.
    pub(super) fn keeps_number(&self, id: &str, number: i64, found: &mut Findings) {
        let Some(bead) = self.beads.get(id) else { return };
        let waits = bead.waits();
        found.check("what waits for the container keeps its number", waits.is_none(), || {
            format!("run {number} of {id} in place of one that waits: {waits:?}")
        });
    }

    /// Of the beads that are open, the one that was started most often.
    pub(crate) fn most_started(&self) -> Option<String> {
        let open = self.beads.iter().filter(|(_, it)| {
            it.closed == Known::No && it.deleted == Known::No && it.assigned == Known::Yes
        });
        open.max_by_key(|(_, it)| it.runs.len()).map(|(id, _)| id.clone())
    }

    /// A process is told that it is silent.
    pub(crate) fn nudged(&mut self, agent: &str, now: i64, found: &mut Findings) {
        let newest = self.numbers.iter().rev().find(|(_, it)| it.0 == agent).map(|it| *it.0);
        let jumped = self.jumped;
        if let Some(number) = newest {
            self.help.nudged(number, now, jumped, found);
        }
    }
}
