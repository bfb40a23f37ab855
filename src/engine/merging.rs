//! Merges as the tick and the container see them: begun, asked for, at work, lost.
//!
//! ```text
//!  pending --started, asked for--> running, not confirmed --202, or seen--> running --> what came of it (`outcomes`)
//!     ^                                |           |                           |
//!     +--no room for it: later---------+           +--never answered, or------+
//!     +--never came back: at most 3 times-------------not seen for 5 min------+
//!     +--the same-------------------------------------at work for too long----+
//! ```
//!
//! One merge at a time for each target branch, of up to five reviews. A container that asks may land what runs under
//! the number it names; for whatever was taken back meanwhile the answer is that it is stale.

use super::{Apply, Engine, WITNESS, check};
use crate::command::{Command, Effect, Error, Reply, StartAnswer, Tell};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::review::{Event, Review, State};
use crate::store::{Sql, SqlError};
use crate::wire::PROTOCOL;
use crate::wire::container::Advice;
use crate::wire::merge::{LandingVerdict, MergeAtWork, MergeEntry, MergeReason, MergeRequest};

impl<S: Sql> Engine<S> {
    /// Merges of which nothing was heard for too long, and those that take too long.
    pub(super) fn merges_to_recover(&self, now: Millis) -> Result<Vec<Command>, SqlError> {
        let merging = self.store.standing()?.merging.clone();
        let Some(running_since) = merging.running_since else { return Ok(Vec::new()) };
        if crate::mutant!(NoMergeIsRecovered) {
            return Ok(Vec::new());
        }
        let heard = now.plus(-limits::REVIEW_RUNNING_MS);
        let started = now.plus(-self.gates()?.overtime_ms());
        if running_since > started && merging.silent_since.is_none_or(|since| since > heard) {
            return Ok(Vec::new());
        }
        let ids = self.store.overdue_reviews(heard, started, limits::REVIEWS_A_TICK)?;
        Ok(ids.into_iter().map(Command::RecoverReview).collect())
    }

    /// Merges that were asked for, and nobody said that they began: asked for once more, as they were.
    pub(super) fn merges_to_ask_for(&self, _: Millis) -> Result<Vec<Command>, SqlError> {
        if self.store.standing()?.merging.unconfirmed_since.is_none() || self.git_url()?.is_none() {
            return Ok(Vec::new());
        }
        let found = self.store.unconfirmed_merges(limits::REVIEWS_A_TICK)?;
        Ok(batches(found).into_iter().map(Command::AskToMergeAgain).collect())
    }

    /// One batch for each target branch that is free. Without a repository everything waits.
    pub(super) fn merges_to_start(&self, now: Millis) -> Result<Vec<Command>, SqlError> {
        let due = self.store.standing()?.merging.due.is_some_and(|at| at <= now);
        if !due || self.git_url()?.is_none() {
            return Ok(Vec::new());
        }
        let found = self.store.startable_merges(now, limits::REVIEWS_A_TICK)?;
        Ok(batches(found).into_iter().map(Command::StartReviews).collect())
    }

    /// When the review queue wants a tick. What waits for a person, or for a repository, wants none.
    pub(super) fn next_merge(&self, now: Millis, active: Millis) -> Option<Millis> {
        let merging = self.store.standing().ok()?.merging.clone();
        let recover = merging.silent_since.map(|since| since.plus(limits::REVIEW_RUNNING_MS));
        let overtime = self.gates().map_or(i64::MAX / 2, |gates| gates.overtime_ms());
        let end = merging.running_since.map(|since| since.plus(overtime));
        let has_git = self.git_url().is_ok_and(|it| it.is_some());
        let ask = merging.unconfirmed_since.map(|_| now.plus(limits::MERGE_ASK_AGAIN_MS));
        // What could have been started and was not waits for a tick like everything else.
        let start = merging.due.map(|at| if at <= now { active } else { at });
        let wanted = [recover, end, ask.filter(|_| has_git), start.filter(|_| has_git)];
        wanted.into_iter().flatten().min()
    }
}

impl<S: Sql> Apply<'_, S> {
    /// Begins the merge of reviews that wait, all of one target branch.
    pub(super) fn start_reviews(&mut self, ids: &[String]) -> Result<Reply, Error> {
        for id in ids {
            let before = self.review(id)?;
            let after = Review {
                state: before.state.after(Event::Started)?,
                attempts: before.attempts + 1,
                started_at: Some(self.now),
                seen_at: None,
                not_before: None,
                asks: 1,
                ..before.clone()
            };
            self.store().save_review(&before, &after)?;
        }
        self.order_merge(ids)?;
        Ok(Reply::Done)
    }

    /// Asks again for merges that nobody has confirmed.
    pub(super) fn ask_to_merge_again(&mut self, ids: &[String]) -> Result<Reply, Error> {
        let mut open = Vec::new();
        for id in ids {
            let Some(before) = self.store().review(id)? else { continue };
            if before.state == State::Running && before.seen_at.is_none() {
                let after = Review { asks: before.asks + 1, ..before.clone() };
                self.store().save_review(&before, &after)?;
                open.push(id.clone());
            }
        }
        self.order_merge(&open)?;
        Ok(Reply::Done)
    }

    /// Has the container asked for a merge; under the same numbers it is the same merge.
    fn order_merge(&mut self, ids: &[String]) -> Result<(), Error> {
        let Some(git_url) = self.engine.git_url()? else {
            let message = "the rig has no repository; set git_url";
            return Err(Refusal::new(Code::Conflict, message).into());
        };
        let rows = self.store().merge_rows(ids)?;
        let Some(target_branch) = rows.first().map(|it| it.target.clone()) else { return Ok(()) };
        let entries = rows.into_iter().map(|it| MergeEntry {
            entry_id: it.entry,
            attempt: it.attempt,
            bead_id: it.bead,
            title: it.title,
            agent_name: it.agent_name,
            branch: it.branch,
        });
        let gates = self.engine.gates()?;
        self.effects.push(Effect::Merge(Box::new(MergeRequest {
            protocol: PROTOCOL,
            rig_id: self.engine.rig.clone(),
            git_url,
            target_branch,
            strategy: gates.strategy,
            time_limit_s: Some(gates.merge_s()),
            gates: gates.list,
            gates_parallel: gates.parallel,
            entries: entries.collect(),
            env_vars: self.engine.env_vars()?,
        })));
        Ok(())
    }

    /// What the container said to a merge.
    pub(super) fn merge_answered(
        &mut self,
        merges: &[MergeAtWork],
        answer: &StartAnswer,
    ) -> Result<Reply, Error> {
        for merge in merges {
            let Some(before) = self.store().review(&merge.entry_id)? else { continue };
            // One that was seen at work is not undone by an answer that took longer.
            let open = before.state == State::Running && before.seen_at.is_none();
            if !open || before.attempts != merge.attempt {
                continue;
            }
            match answer {
                StartAnswer::Accepted => {
                    let seen_at = Some(self.now);
                    let after = Review { seen_at, refusals: 0, ..before.clone() };
                    self.store().save_review(&before, &after)?;
                }
                // An earlier request may have got through: then it is seen, or recovered.
                StartAnswer::NoRoom(why) if before.asks == 1 => {
                    self.no_room_to_merge(&before, why)?;
                }
                StartAnswer::NoRoom(why) | StartAnswer::Unknown(why) => {
                    self.tell_merge(&before, "merge_unknown", why);
                }
                StartAnswer::Refused(why) => {
                    let why = format!("the container refused it: {why}");
                    self.put_off(None, &before, MergeReason::ContainerFailed, Some(why))?;
                }
            }
        }
        Ok(Reply::Done)
    }

    /// Waits for room: nothing was started, so nothing counts and the number is given again.
    fn no_room_to_merge(&mut self, before: &Review, why: &str) -> Result<(), Error> {
        let waits = limits::CAPACITY_BACK_OFF_MS;
        let at = self.now.plus(waits[before.refusals.min(waits.len() - 1)]);
        let after = Review {
            state: before.state.after(Event::PutBack)?,
            attempts: before.attempts - 1,
            refusals: before.refusals + 1,
            not_before: Some(at),
            message: check::reason(Some(why)),
            ..not_begun(before)
        };
        self.store().save_review(before, &after)?;
        // Once, not at each try.
        if before.refusals == 0 {
            let why = Some(why.to_owned());
            self.event(&before.bead, WITNESS, "waiting_for_container", (None, None), why)?;
        }
        self.effects.push(Effect::WakeAt(at));
        Ok(())
    }

    /// A merge was started, and nothing was heard of it, or not its end: it may be tried again, a few times. What its
    /// container says of it later is refused, for the next start has another number.
    pub(super) fn recover_review(&mut self, id: &str) -> Result<Reply, Error> {
        let before = self.review(id)?;
        let heard = self.now.plus(-limits::REVIEW_RUNNING_MS);
        let started = self.now.plus(-self.engine.gates()?.overtime_ms());
        let is_silent = before.last_sign().is_some_and(|at| at <= heard);
        let is_endless = before.started_at.is_some_and(|at| at <= started);
        if before.state != State::Running || !(is_silent || is_endless) {
            return Ok(Reply::Done);
        }
        let lost = before.recoveries + 1;
        if lost > limits::REVIEW_RECOVERIES_MAX && !crate::mutant!(MergesWithoutEnd) {
            let message = format!("it was started {lost} times and never came back");
            let mut after = before.clone();
            after.state = before.state.after(Event::Ended(State::Failed))?;
            after.message = Some(message);
            return self.end_review(None, &before, after, None);
        }
        let state = before.state.after(Event::PutBack)?;
        let after = Review { state, recoveries: lost, ..not_begun(&before) };
        self.store().save_review(&before, &after)?;
        let what = if is_silent {
            "did not come back".to_owned()
        } else {
            let ran_ms = before.started_at.map_or(0, |at| self.now.since(at));
            format!("is at work for {} min and does not end", ran_ms / 60_000)
        };
        let why = format!("the merge of {} {what}; it is tried again", before.branch);
        self.event(&before.bead, WITNESS, "review_recovered", (None, None), Some(why))?;
        self.wake();
        Ok(Reply::Done)
    }

    /// The container asks whether these may land.
    pub(super) fn landing(&mut self, merges: &[MergeAtWork]) -> Result<Reply, Error> {
        let verdicts = self.judge_merges(merges)?;
        let ok = verdicts.iter().filter(|it| it.verdict == Advice::Ok);
        let ok: Vec<&str> = ok.map(|it| it.entry_id.as_str()).collect();
        self.store().cleared_merges(&ok)?;
        Ok(Reply::Landings(verdicts))
    }

    /// The container says what it is at.
    pub(super) fn merging(&mut self, merges: &[MergeAtWork]) -> Result<Reply, Error> {
        Ok(Reply::Landings(self.judge_merges(merges)?))
    }

    /// Whether each is wanted; what is wanted was seen.
    fn judge_merges(&mut self, merges: &[MergeAtWork]) -> Result<Vec<LandingVerdict>, Error> {
        if merges.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = merges.iter().map(|it| it.entry_id.as_str()).collect();
        let at_work = self.store().merges_at_work(&ids)?;
        let current = |it: &MergeAtWork| {
            at_work.iter().find(|live| {
                live.entry == it.entry_id
                    && (live.attempt == it.attempt || crate::mutant!(OldMergesLand))
            })
        };
        let news: Vec<&str> = merges
            .iter()
            .filter_map(current)
            .filter(|it| it.seen_at.is_none_or(|at| self.now.since(at) >= limits::SEEN_EVERY_MS))
            .map(|it| it.entry.as_str())
            .collect();
        self.store().saw_merges(&news, self.now)?;
        let verdict = |it: &MergeAtWork| LandingVerdict {
            entry_id: it.entry_id.clone(),
            attempt: it.attempt,
            verdict: if current(it).is_some() || crate::mutant!(LandingIsFree) {
                Advice::Ok
            } else {
                Advice::Stale
            },
        };
        Ok(merges.iter().map(verdict).collect())
    }

    pub(super) fn tell_merge(&mut self, review: &Review, event: &str, detail: &str) {
        self.effects.push(Effect::Tell(Tell {
            event: event.to_owned(),
            bead: Some(review.bead.clone()),
            actor: None,
            detail: Some(check::cut(detail, limits::NAME_CHARS_MAX)),
        }));
    }
}

/// A review whose merge is not at work.
pub(super) fn not_begun(review: &Review) -> Review {
    Review { started_at: None, seen_at: None, asks: 0, ..review.clone() }
}

/// Neighbours that belong together, without what says so.
fn batches<K: PartialEq>(found: Vec<(String, K)>) -> Vec<Vec<String>> {
    found
        .chunk_by(|(_, one), (_, other)| one == other)
        .map(|batch| batch.iter().map(|(id, _)| id.clone()).collect())
        .collect()
}
