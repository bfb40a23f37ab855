//! What came of a merge, and what becomes of the review and its bead.
//!
//! | what is said | the review | the bead |
//! |---|---|---|
//! | `merged` | merged | closed, with the commit |
//! | `pushed` (a pull request) | waits for a person | stays in review |
//! | `conflict`; a gate failed; nothing to merge; no branch | over | worked on again, twice; then blocked, and a person is asked |
//! | the push was rejected; the fetch, or the container failed | put back, three times; then over | stays in review; then blocked |
//! | `failed`, and no reason | over | blocked |
//!
//! What is said twice changes nothing the second time, and what an older start of the merge says is refused.

use serde_json::json;

use super::merging::not_begun;
use super::{Apply, WITNESS, actor, check, dispatch, refs, reviews};
use crate::agent::Agent;
use crate::bead::{self, Bead, Status};
use crate::command::{Effect, Error, Reply};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::review::{Event, Review, State};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::merge::MergeReason;
use crate::wire::review::CompleteReview;
use crate::wire::rig::CreateBead;

/// The name in notes of what merges.
const REFINERY: &str = "refinery";

/// What was said of a merge, as far as it decides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It is where a person can merge it.
    Pushed,
    /// It did not work through no fault of the branch: another try may.
    TryAgain(MergeReason),
    /// It is over.
    Over(State, Option<MergeReason>),
}

impl<S: Sql> Apply<'_, S> {
    /// What came of a merge. The name in the path counts.
    pub(super) fn complete_review(
        &mut self,
        by: &Caller,
        id: &str,
        fields: CompleteReview,
    ) -> Result<Reply, Error> {
        let before = self.review(id)?;
        let mut said = Said::read(&fields)?;
        let commit_sha = refs::commit(fields.commit_sha)?;
        let pr_url = reviews::url(fields.pr_url)?;
        let older = |it: &i64| *it != before.attempts && !crate::mutant!(AnyMergeReportIsTaken);
        if let Some(number) = fields.attempt.filter(older) {
            let message = format!(
                "start {number} of the merge of review {id} is over; {} is current",
                before.attempts
            );
            return Err(Refusal::new(Code::StaleAttempt, message).into());
        }
        // What was allowed to land has landed, if nothing is left of it; only the report was lost.
        if before.cleared.is_some()
            && said == Said::Over(State::Failed, Some(MergeReason::NothingToMerge))
        {
            said = Said::Over(State::Merged, Some(MergeReason::Merged));
        }
        let message = check::reason(Some(&fields.message));
        if before.state.is_over() {
            return said_again(&before, said);
        }
        match said {
            Said::Pushed if before.state == State::Waiting => Ok(Reply::Done),
            Said::Pushed => self.left_to_person(by, &before, message, pr_url),
            // It was put back for this already.
            Said::TryAgain(_) if before.state == State::Pending && fields.attempt.is_some() => {
                Ok(Reply::Done)
            }
            Said::TryAgain(reason) => self.put_off(Some(by), &before, reason, message),
            Said::Over(end, reason) => {
                let after = Review {
                    state: before.state.after(Event::Ended(end))?,
                    message,
                    commit_sha,
                    pr_url: pr_url.or_else(|| before.pr_url.clone()),
                    ..before.clone()
                };
                self.end_review(Some(by), &before, after, reason)
            }
        }
    }

    /// The branch is pushed as it is: a person merges it and says so, or moves the bead. No alarm waits for that.
    fn left_to_person(
        &mut self,
        by: &Caller,
        before: &Review,
        message: Option<String>,
        pr_url: Option<String>,
    ) -> Result<Reply, Error> {
        let pr_url = pr_url.or_else(|| before.pr_url.clone());
        let state = before.state.after(Event::Pushed)?;
        let after = Review { pr_url, state, message, ..before.clone() };
        self.store().save_review(before, &after)?;
        let old = self.bead(&before.bead)?;
        let mut bead = old.clone();
        bead.ties.pr_url.clone_from(&after.pr_url);
        let place = after.pr_url.as_deref().unwrap_or("no pull request yet");
        let text = format!(
            "branch {} is pushed and waits for a person: {place}. When it is merged, complete review {} with \
             `merged`; to have it worked on again, reopen the bead",
            after.branch, after.id
        );
        self.write_note(&mut bead, REFINERY, &text)?;
        self.store().save_bead(&old, &bead)?;
        let data = json!({"entry_id": after.id, "pr_url": after.pr_url}).to_string();
        let change = (None, Some(after.branch.as_str()));
        self.event(&bead.id, actor(by), "review_waiting", change, Some(data))?;
        self.wake();
        Ok(Reply::Done)
    }

    /// It failed through no fault of the branch: it is tried again after a wait, a few times.
    pub(super) fn put_off(
        &mut self,
        by: Option<&Caller>,
        before: &Review,
        reason: MergeReason,
        message: Option<String>,
    ) -> Result<Reply, Error> {
        let Some(wait) = limits::MERGE_BACK_OFF_MS.get(before.faults) else {
            let state = before.state.after(Event::Ended(State::Failed))?;
            let after = Review { state, message, ..before.clone() };
            return self.end_review(by, before, after, Some(reason));
        };
        let at = self.now.plus(*wait);
        let after = Review {
            state: before.state.after(Event::PutBack)?,
            faults: before.faults + 1,
            not_before: Some(at),
            message,
            ..not_begun(before)
        };
        self.store().save_review(before, &after)?;
        let why = after.message.as_deref().unwrap_or("no reason given");
        let why = format!("{}: {why}; next try at {at}", name(reason));
        let who = by.map_or(WITNESS, actor).to_owned();
        self.event(&before.bead, &who, "review_retried", (None, None), Some(why))?;
        self.effects.push(Effect::WakeAt(at));
        self.wake();
        Ok(Reply::Done)
    }

    /// Closes the book on a review and moves its bead; without a caller, the patrol does it.
    pub(super) fn end_review(
        &mut self,
        by: Option<&Caller>,
        before: &Review,
        after: Review,
        reason: Option<MergeReason>,
    ) -> Result<Reply, Error> {
        let after = Review { finished_at: Some(self.now), ..after };
        self.store().save_review(before, &after)?;
        // Its branch is free for the next one, and what waited for the bead too.
        self.wake();
        let who = by.map_or(WITNESS, actor).to_owned();
        let data = json!({"entry_id": after.id, "branch": after.branch, "reason": reason,
            "commit_sha": after.commit_sha, "message": after.message});
        let change = (Some(Status::InReview.as_str()), Some(after.state.as_str()));
        self.event(&after.bead, &who, "review_completed", change, Some(data.to_string()))?;
        let found = self.store().bead(&after.bead)?;
        // Whoever took it out of review has ended the review; so this is only for a bead that is gone.
        let Some(old) = found.filter(|bead| bead.status == Status::InReview) else {
            return Ok(Reply::Done);
        };
        let mut bead = old.clone();
        bead.updated_at = self.now;
        let message = after.message.as_deref().unwrap_or("no reason given");
        match (after.state, reason.and_then(back)) {
            (State::Merged, _) => self.merged(&who, &mut bead, &after)?,
            (_, Some(back)) => self.sent_back(&mut bead, &after, &back, message)?,
            (..) => {
                let (code, tries) = match reason.filter(|_| before.faults > 0) {
                    Some(reason) => (name(reason), format!(" {} times", before.faults + 1)),
                    None => (reason.map_or("merge_failed", name), String::new()),
                };
                let text = format!("the merge of branch {} failed{tries}: {message}", after.branch);
                self.get_stuck(&mut bead, code, &text)?;
            }
        }
        self.store().save_bead(&old, &bead)?;
        Ok(Reply::Done)
    }

    fn merged(&mut self, who: &str, bead: &mut Bead, review: &Review) -> Result<(), Error> {
        let commit = review.commit_sha.as_deref();
        let commit = commit.map_or_else(String::new, |sha| format!(" as {sha}"));
        let reason = format!("merged {} into {}{commit}", review.branch, review.target_name());
        let old = bead.status;
        bead.status = old.after(bead::Event::Closed)?;
        bead.closed_at = Some(self.now);
        bead.close_reason = Some(reason.clone());
        bead.ties.conflicts = 0;
        let (id, change) = (bead.id.clone(), (Some(old.as_str()), Some(bead.status.as_str())));
        self.event(&id, who, "closed", change, Some(reason))?;
        Ok(())
    }

    /// Twice the bead is worked on again, with the reason in a note; then a person is asked.
    fn sent_back(
        &mut self,
        bead: &mut Bead,
        review: &Review,
        why: &Back,
        message: &str,
    ) -> Result<(), Error> {
        let (branch, target, max) = (&review.branch, review.target_name(), limits::CONFLICTS_MAX);
        let [wrong, mend] = [why.wrong, why.mend]
            .map(|text| text.replace("{branch}", branch).replace("{target}", target));
        bead.ties.conflicts += 1;
        let n = bead.ties.conflicts;
        if n > max {
            let text = format!("branch {branch} still {wrong} after {max} more runs: {message}");
            self.get_stuck(bead, why.code, &text)?;
            return self.escalate_merge(bead, review, why, message);
        }
        let old = bead.status;
        bead.status = old.after(bead::Event::SentBack)?;
        bead.not_before = None;
        let text =
            format!("{} ({n} of {max}): branch {branch} {wrong}: {message}\n{mend}", why.title);
        self.write_note(bead, REFINERY, &check::cut(&text, limits::NOTE_BYTES_MAX))?;
        let (id, change) = (bead.id.clone(), (Some(old.as_str()), Some(bead.status.as_str())));
        self.event(&id, REFINERY, "status_changed", change, Some(why.title.to_lowercase()))?;
        if bead.is_for_agents() && bead.acceptance_criteria.is_some() {
            self.wake_for(bead);
            return Ok(());
        }
        self.hand_back(&review.agent, bead)
    }

    /// A bead that came onto its hook by hand is taken from no queue: it goes back to its agent, or to a free one.
    fn hand_back(&mut self, agent: &str, bead: &mut Bead) -> Result<(), Error> {
        let agent = match self.who_mends(agent, bead) {
            Ok(agent) => agent,
            Err(Error::Refused(refusal)) => {
                let text = format!("nobody takes it by itself: {refusal}. Hook it to an agent");
                self.write_note(bead, REFINERY, &text)?;
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        self.hook(&agent, bead, REFINERY)?;
        self.wake();
        Ok(())
    }

    /// Who takes such a bead again, if anybody may: it is the rig that hands it out here, and nobody's hand.
    fn who_mends(&mut self, agent: &str, bead: &Bead) -> Result<Agent, Error> {
        let dispatch = self.engine.dispatch(&self.settings()?)?;
        let why = match dispatch::in_words(&dispatch) {
            _ if bead.assignee_agent_id.is_none() => {
                Some("it was taken back from the agents".to_owned())
            }
            _ if bead.blocked => Some(format!("it {}", self.engine.waits_for(&bead.id)?)),
            paused => paused,
        };
        if let Some(why) = why {
            return Err(Refusal::new(Code::Conflict, why).into());
        }
        let own = self.store().member(agent)?.filter(Member::is_free).map(|it| it.agent);
        own.map_or_else(|| self.free_polecat(), Ok)
    }

    fn escalate_merge(
        &mut self,
        of: &Bead,
        review: &Review,
        why: &Back,
        message: &str,
    ) -> Result<(), Error> {
        // Only a name: who made the bead.
        let by = Caller::Operator { actor: REFINERY.to_owned() };
        let title = format!("{}: {}", capital(why.title), review.branch);
        let metadata = json!({"source_bead_id": of.id, "source_branch": review.branch,
            "agent_id": review.agent, "entry_id": review.id});
        let mut bead = self.new_bead(
            &by,
            CreateBead {
                title: check::cut(&title, limits::NAME_CHARS_MAX),
                kind: Some("escalation".to_owned()),
                priority: Some("high".into()),
                body: Some(message.to_owned()),
                metadata: metadata.as_object().cloned(),
                ..CreateBead::default()
            },
        )?;
        self.name_and_add(&mut bead)?;
        let data = format!("{} (P{})", bead.title, bead.priority);
        self.event(&bead.id, REFINERY, "created", (None, Some(&bead.kind)), Some(data))?;
        let id = bead.id.clone();
        self.event(&of.id, REFINERY, "escalated", (None, Some(&id)), Some(message.to_owned()))?;
        Ok(())
    }
}

impl Said {
    fn read(fields: &CompleteReview) -> Result<Self, Refusal> {
        use MergeReason as R;
        let refuse = |problem: String| Err(Refusal::invalid("status", problem));
        match (fields.status.as_str(), fields.reason) {
            ("merged", None | Some(R::Merged)) => Ok(Self::Over(State::Merged, Some(R::Merged))),
            ("pushed", None | Some(R::PullRequest)) => Ok(Self::Pushed),
            ("conflict", None | Some(R::Conflict)) => {
                Ok(Self::Over(State::Conflict, Some(R::Conflict)))
            }
            ("failed", None) => Ok(Self::Over(State::Failed, None)),
            ("failed", Some(reason @ (R::GateFailed | R::BranchMissing | R::NothingToMerge))) => {
                Ok(Self::Over(State::Failed, Some(reason)))
            }
            ("failed", Some(reason @ (R::PushRejected | R::FetchFailed | R::ContainerFailed))) => {
                Ok(Self::TryAgain(reason))
            }
            (status @ ("merged" | "pushed" | "conflict" | "failed"), Some(reason)) => {
                refuse(format!("{status:?} does not go with the reason {}", name(reason)))
            }
            (got, _) => {
                let got = check::cut(got, limits::ID_CHARS_MAX);
                refuse(format!("{got:?} is not one of merged, pushed, conflict, failed"))
            }
        }
    }
}

/// What is said of a review that is over: the same as before, or too late.
fn said_again(before: &Review, said: Said) -> Result<Reply, Error> {
    let end = match said {
        Said::Pushed => None,
        Said::TryAgain(_) => Some(State::Failed),
        Said::Over(end, _) => Some(end),
    };
    if Some(before.state) == end {
        return Ok(Reply::Done);
    }
    let (id, why) = (&before.id, before.message.as_deref().unwrap_or("no reason"));
    let message = format!("Review {id} is over already: {} ({why}); it stays so", before.state);
    Err(Refusal::new(Code::Conflict, message).into())
}

/// A fault of the branch: how it is called, and what its agent shall do about it.
struct Back {
    code: &'static str,
    title: &'static str,
    wrong: &'static str,
    mend: &'static str,
}

/// Whether a reason sends the work back to an agent.
fn back(reason: MergeReason) -> Option<Back> {
    Some(match reason {
        MergeReason::Conflict => Back {
            code: "merge_conflict",
            title: "merge conflict",
            wrong: "conflicts with {target}",
            mend: "Take {target} into {branch}, resolve the conflict, and say done again",
        },
        MergeReason::GateFailed => Back {
            code: "gate_failed",
            title: "gate failed",
            wrong: "does not pass what must succeed before it is merged into {target}",
            mend: "Mend it on {branch}, and say done again",
        },
        MergeReason::NothingToMerge => Back {
            code: "nothing_to_merge",
            title: "nothing to merge",
            wrong: "has nothing that {target} has not",
            mend: "Commit the work on {branch} and say done again; if there is nothing to commit, close the bead",
        },
        MergeReason::BranchMissing => Back {
            code: "branch_missing",
            title: "branch missing",
            wrong: "is not there",
            mend: "Commit the work on {branch}, and say done again",
        },
        MergeReason::Merged
        | MergeReason::PullRequest
        | MergeReason::PushRejected
        | MergeReason::FetchFailed
        | MergeReason::ContainerFailed => return None,
    })
}

/// The reason as it is sent.
fn name(reason: MergeReason) -> &'static str {
    match reason {
        MergeReason::Merged => "merged",
        MergeReason::PullRequest => "pull_request",
        MergeReason::Conflict => "conflict",
        MergeReason::GateFailed => "gate_failed",
        MergeReason::PushRejected => "push_rejected",
        MergeReason::FetchFailed => "fetch_failed",
        MergeReason::BranchMissing => "branch_missing",
        MergeReason::NothingToMerge => "nothing_to_merge",
        MergeReason::ContainerFailed => "container_failed",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
