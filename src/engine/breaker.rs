//! What the rig's breaker does: it holds back starts, and sets right what an outage did to beads. See the drawing in
//! [`breaker`](crate::breaker).
//!
//! Starts that failed while the container was at fault are taken from the runs of their beads: those that opened the
//! breaker, and those that fail while it is open, 20 of a bead a day at most. So no bead is given up for an outage of the container, and work goes on
//! by itself when it is over.

use std::collections::BTreeMap;

use super::beads::in_window;
use super::{Apply, WITNESS};
use crate::attempt::Attempt;
use crate::bead::Bead;
use crate::breaker::{Breaker, Event};
use crate::command::{Effect, Error};
use crate::escalation::Severity;
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::Sql;

/// The cause of the escalation that an open breaker is.
const CAUSE: &str = "breaker_open";

impl<S: Sql> Apply<'_, S> {
    /// Lets a start pass, or refuses: while the breaker is open, one at a time.
    pub(super) fn pass_breaker(&mut self) -> Result<(), Error> {
        let breaker = self.store().breaker()?;
        if let Some(says) = breaker.says() {
            if !breaker.lets_through(self.now) {
                return Err(Refusal::new(Code::Conflict, says).into());
            }
            self.store().save_breaker(&breaker.after(Event::Probed, self.now))?;
        }
        Ok(())
    }

    /// A start failed for good: the container is asked for it no more.
    pub(super) fn start_failed(&mut self, live: &Attempt, why: &str) -> Result<(), Error> {
        let before = self.store().breaker()?;
        let why = super::check::cut(why, limits::NAME_CHARS_MAX);
        let event = Event::Failed(live.asked_at, live.bead.clone(), why);
        let after = before.after(event, self.now);
        if after != before {
            self.store().save_breaker(&after)?;
        }
        if after.is_open() && !before.is_open() {
            self.opened(live, &after)?;
        }
        Ok(())
    }

    fn opened(&mut self, live: &Attempt, breaker: &Breaker) -> Result<(), Error> {
        let says = breaker.says().unwrap_or_default();
        self.event(&live.bead, WITNESS, "breaker_opened", (None, None), Some(says.clone()))?;
        self.excuse(breaker)?;
        self.effects.extend(breaker.probe_at.map(Effect::WakeAt));
        let title = "the container fails every start of the rig".to_owned();
        let body = format!(
            "{says}. Nothing needs to be reset: the rig tries one start at a time, and goes on with all beads when one \
             succeeds."
        );
        self.call_for_help(CAUSE, None, (title, body), Severity::High)
    }

    /// The starts that opened the breaker count against no bead.
    fn excuse(&mut self, breaker: &Breaker) -> Result<(), Error> {
        let mut by_bead: BTreeMap<&str, Vec<Millis>> = BTreeMap::new();
        for (at, bead) in &breaker.failures {
            by_bead.entry(bead).or_default().push(*at);
        }
        let soon = self.now.plus(self.settings()?.back_off(1));
        for (id, starts) in by_bead {
            let Some(before) = self.store().bead(id)? else { continue };
            let mut bead = before.clone();
            for at in starts {
                self.excuse_start(&mut bead, at);
            }
            // One that waited whether the container is at fault knows now.
            bead.not_before = bead.not_before.map(|at| at.min(soon));
            self.store().save_bead(&before, &bead)?;
            let excused = before.runs.len() - bead.runs.len();
            if excused > 0 && !before.status.is_finished() {
                let (old, new) = (before.runs.len().to_string(), bead.runs.len().to_string());
                let why = format!(
                    "{excused} attempts do not count: the starts of the whole rig fail, so the container is at fault"
                );
                let change = (Some(old.as_str()), Some(new.as_str()));
                self.event(id, WITNESS, "attempts_excused", change, Some(why))?;
            }
        }
        Ok(())
    }

    /// Takes a start from the runs of a bead, unless too many were; answers whether it does not count.
    pub(super) fn excuse_start(&self, bead: &mut Bead, asked_at: Millis) -> bool {
        bead.ties.excused = in_window(&bead.ties.excused, self.now);
        if bead.ties.excused.len() >= limits::EXCUSED_MAX && !crate::mutant!(ExcusedWithoutEnd) {
            return false;
        }
        if bead.runs.contains(&asked_at) {
            bead.runs.retain(|at| *at != asked_at);
            bead.ties.excused.push(asked_at);
        }
        true
    }

    /// A start was accepted; one that was asked for since the breaker opened closes it.
    pub(super) fn start_succeeded(&mut self, live: &Attempt) -> Result<(), Error> {
        let before = self.store().breaker()?;
        let after = before.after(Event::Succeeded(live.asked_at), self.now);
        let Some(since) = before.opened_at.filter(|_| !after.is_open()) else { return Ok(()) };
        self.store().save_breaker(&after)?;
        let said = format!("was open since {since}; a start was accepted");
        self.event(&live.bead, WITNESS, "breaker_closed", (None, None), Some(said.clone()))?;
        self.wake();
        let Some(known) = self.store().open_escalation(CAUSE)? else { return Ok(()) };
        let by = crate::token::Caller::Operator { actor: WITNESS.to_owned() };
        self.close_bead(&by, &known.bead, Some(said)).map(drop)
    }
}
