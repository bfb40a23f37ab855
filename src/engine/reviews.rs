//! The review queue: branches handed in, and what came of their merges.
//!
//! A bead is in review exactly while a review of it is open. Both move together, in one transaction; so no bead
//! waits for a review that is over, and none that is over keeps the rig awake.

use serde_json::json;

use super::{Apply, Engine, WITNESS, actor, check, refs};
use crate::attempt;
use crate::bead::{self, Bead, Status};
use crate::command::{Error, Reply};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::review::{Event, Review, State};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::review::{CompleteReview, ReviewView, SubmitReview};
use crate::wire::rig::CreateBead;

/// The name in notes of what merges.
const REFINERY: &str = "refinery";

/// A branch as it is handed in.
pub(super) struct Work {
    pub(super) branch: String,
    pub(super) pr_url: Option<String>,
    pub(super) summary: Option<String>,
}

impl<S: Sql> Apply<'_, S> {
    /// Hands in a branch without saying `done`: the same thing, said otherwise.
    pub(super) fn submit_review(
        &mut self,
        by: &Caller,
        fields: SubmitReview,
    ) -> Result<Reply, Error> {
        let before = self.bead(&fields.bead_id)?;
        let branch = refs::branch("branch", &fields.branch)?;
        let open = self.store().open_review(&before.id)?;
        if let Some(open) = open.filter(|it| it.branch == branch && handed_in_by(by, it)) {
            return Ok(Reply::Submitted(open.id));
        }
        let member = match self.speaker(by)? {
            Some(speaker) => speaker,
            None => self.member(&fields.agent_id)?,
        };
        let holder = before.hooked_by.as_ref();
        if matches!(by, Caller::Agent(_)) && holder != Some(&member.agent.id) {
            let message = format!("agent {} does not hold bead {}", member.agent.id, before.id);
            return Err(Refusal::new(Code::Forbidden, message).into());
        }
        if let Some(other) = holder.filter(|it| **it != member.agent.id) {
            let message = format!("Bead {} is hooked by agent {other}; unhook it first", before.id);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let work = Work {
            branch,
            pr_url: url(fields.pr_url)?,
            summary: check::reason(fields.summary.as_deref()),
        };
        let mut bead = before.clone();
        let id = self.queue_review(by, &member, &mut bead, work)?;
        self.store().save_bead(&before, &bead)?;
        Ok(Reply::Submitted(id))
    }

    /// Puts a bead's branch into the queue and takes the bead off its hook; the caller saves the bead.
    pub(super) fn queue_review(
        &mut self,
        by: &Caller,
        member: &Member,
        bead: &mut Bead,
        work: Work,
    ) -> Result<String, Error> {
        if let Some(open) = self.store().open_review(&bead.id)? {
            let message = format!(
                "Bead {} waits for the review {} of branch {}; complete that first, or reopen the bead",
                bead.id, open.id, open.branch
            );
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let old = bead.status;
        bead.status = old.after(bead::Event::Submitted)?;
        bead.updated_at = self.now;
        let live = member.attempt.as_ref().filter(|live| live.bead == bead.id);
        if bead.hooked_by.take().is_some()
            && let Some(live) = live
        {
            let why = format!("{} handed in branch {}", actor(by), work.branch);
            self.dismiss(live, attempt::State::Done, &why)?;
        }
        let review = Review {
            id: self.dice.dated("review", self.now),
            bead: bead.id.clone(),
            agent: member.agent.id.clone(),
            attempt: live.map(|live| live.number),
            branch: work.branch,
            pr_url: work.pr_url,
            summary: work.summary,
            state: State::Pending,
            attempts: 0,
            created_at: self.now,
            started_at: None,
            finished_at: None,
            message: None,
            commit_sha: None,
        };
        self.store().add_review(&review)?;
        let data = json!({"entry_id": review.id, "pr_url": review.pr_url, "from": old.as_str()});
        let (id, change) = (bead.id.clone(), (None, Some(review.branch.as_str())));
        self.event(&id, actor(by), "review_submitted", change, Some(data.to_string()))?;
        Ok(review.id)
    }

    /// Says that the merge of a review begins. This is what the tick will do for the oldest of each target branch
    /// once the container can merge.
    pub(super) fn start_review(&mut self, id: &str) -> Result<Reply, Error> {
        let before = self.review(id)?;
        let state = before.state.after(Event::Started)?;
        let attempts = before.attempts + 1;
        let after = Review { state, attempts, started_at: Some(self.now), ..before.clone() };
        self.store().save_review(&before, &after)?;
        Ok(Reply::Done)
    }

    /// A merge was started, and nothing was heard of it: it may be tried again, a few times.
    pub(super) fn recover_review(&mut self, id: &str) -> Result<Reply, Error> {
        let before = self.review(id)?;
        let overdue = self.now.plus(-limits::REVIEW_RUNNING_MS);
        if before.state != State::Running || before.started_at.is_none_or(|at| at > overdue) {
            return Ok(Reply::Done);
        }
        if before.attempts > limits::REVIEW_RECOVERIES_MAX {
            let message = format!("it was started {} times and never came back", before.attempts);
            let mut after = before.clone();
            after.state = before.state.after(Event::Ended(State::Failed))?;
            after.message = Some(message);
            return self.end_review(None, &before, after);
        }
        let state = before.state.after(Event::Recovered)?;
        let after = Review { state, started_at: None, ..before.clone() };
        self.store().save_review(&before, &after)?;
        let why = format!("the merge of {} did not come back; it is tried again", before.branch);
        self.event(&before.bead, WITNESS, "review_recovered", (None, None), Some(why))?;
        Ok(Reply::Done)
    }

    /// What came of a merge. The name in the path counts; what is said twice changes nothing the second time.
    pub(super) fn complete_review(
        &mut self,
        by: &Caller,
        id: &str,
        fields: CompleteReview,
    ) -> Result<Reply, Error> {
        let before = self.review(id)?;
        let end =
            State::parse(&fields.status).filter(|state| state.is_over()).ok_or_else(|| {
                let got = check::cut(&fields.status, limits::ID_CHARS_MAX);
                Refusal::invalid(
                    "status",
                    format!("{got:?} is not one of merged, conflict, failed"),
                )
            })?;
        let commit_sha = refs::commit(fields.commit_sha)?;
        if before.state.is_over() {
            if before.state == end {
                return Ok(Reply::Done);
            }
            let why = before.message.as_deref().unwrap_or("no reason");
            let message =
                format!("Review {id} is over already: {} ({why}); it stays so", before.state);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let after = Review {
            state: before.state.after(Event::Ended(end))?,
            message: check::reason(Some(&fields.message)),
            commit_sha,
            ..before.clone()
        };
        self.end_review(Some(by), &before, after)
    }

    /// A person has moved the bead: what was handed in is not to be merged any more.
    pub(super) fn withdraw_review(&mut self, bead: &str, why: &str) -> Result<(), Error> {
        let Some(before) = self.store().open_review(bead)? else { return Ok(()) };
        let after = Review {
            state: before.state.after(Event::Ended(State::Failed))?,
            message: Some(format!("withdrawn: {why}")),
            finished_at: Some(self.now),
            ..before.clone()
        };
        self.store().save_review(&before, &after)?;
        Ok(())
    }

    /// Closes the book on a review and moves its bead; without a caller, the patrol does it.
    fn end_review(
        &mut self,
        by: Option<&Caller>,
        before: &Review,
        after: Review,
    ) -> Result<Reply, Error> {
        let after = Review { finished_at: Some(self.now), ..after };
        self.store().save_review(before, &after)?;
        let who = by.map_or(WITNESS, actor).to_owned();
        let data = json!({"entry_id": after.id, "branch": after.branch,
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
        let (branch, message) =
            (&after.branch, after.message.as_deref().unwrap_or("no reason given"));
        match after.state {
            State::Merged => self.merged(&who, &mut bead, &after)?,
            State::Conflict => self.conflicted(&mut bead, &after, message)?,
            State::Failed | State::Pending | State::Running => {
                let message = format!("the merge of branch {branch} failed: {message}");
                self.get_stuck(&mut bead, "merge_failed", &message)?;
            }
        }
        self.store().save_bead(&old, &bead)?;
        Ok(Reply::Done)
    }

    fn merged(&mut self, who: &str, bead: &mut Bead, review: &Review) -> Result<(), Error> {
        let target = self.engine.default_branch()?;
        let commit = review.commit_sha.as_deref();
        let commit = commit.map_or_else(String::new, |sha| format!(" as {sha}"));
        let reason = format!("merged {} into {target}{commit}", review.branch);
        let old = bead.status;
        bead.status = old.after(bead::Event::Closed)?;
        bead.closed_at = Some(self.now);
        bead.close_reason = Some(reason.clone());
        bead.ties.conflicts = 0;
        let (id, change) = (bead.id.clone(), (Some(old.as_str()), Some(bead.status.as_str())));
        self.event(&id, who, "closed", change, Some(reason))?;
        Ok(())
    }

    /// Twice the bead is worked on again, with the conflict in a note; then a person is asked.
    fn conflicted(&mut self, bead: &mut Bead, review: &Review, message: &str) -> Result<(), Error> {
        let target = self.engine.default_branch()?;
        let (branch, max) = (&review.branch, limits::CONFLICTS_MAX);
        bead.ties.conflicts += 1;
        let n = bead.ties.conflicts;
        if n > max {
            let text = format!(
                "branch {branch} still conflicts with {target} after {max} more runs: {message}"
            );
            self.get_stuck(bead, "merge_conflict", &text)?;
            return self.escalate_conflict(bead, review, message);
        }
        let old = bead.status;
        bead.status = old.after(bead::Event::SentBack)?;
        bead.not_before = None;
        let text = format!(
            "merge conflict ({n} of {max}): branch {branch} conflicts with {target}: {message}\n\
             Take {target} into {branch}, resolve the conflict, and say done again"
        );
        self.write_note(bead, REFINERY, &check::cut(&text, limits::NOTE_BYTES_MAX))?;
        let (id, change) = (bead.id.clone(), (Some(old.as_str()), Some(bead.status.as_str())));
        self.event(&id, REFINERY, "status_changed", change, Some("merge conflict".to_owned()))?;
        if bead.is_for_agents() && bead.acceptance_criteria.is_some() {
            self.wake_for(bead);
            return Ok(());
        }
        self.hand_back(&review.agent, bead)
    }

    /// A bead that came onto its hook by hand is taken from no queue: it goes back to its agent, or to a free one.
    fn hand_back(&mut self, agent: &str, bead: &mut Bead) -> Result<(), Error> {
        let own = self.store().member(agent)?.filter(Member::is_free).map(|it| it.agent);
        let agent = match own.map_or_else(|| self.free_polecat(), Ok) {
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

    fn escalate_conflict(
        &mut self,
        of: &Bead,
        review: &Review,
        message: &str,
    ) -> Result<(), Error> {
        // Only a name: who made the bead.
        let by = Caller::Operator { actor: REFINERY.to_owned() };
        let title = format!("Merge conflict: {}", review.branch);
        let metadata = json!({"source_bead_id": of.id, "source_branch": review.branch,
            "agent_id": review.agent, "entry_id": review.id});
        let mut bead = self.new_bead(
            &by,
            CreateBead {
                title,
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

    fn review(&self, id: &str) -> Result<Review, Error> {
        self.store().review(id)?.ok_or_else(|| no_review(id).into())
    }
}

impl<S: Sql> Engine<S> {
    /// One review, or why there is none.
    pub fn review(&self, id: &str) -> Result<ReviewView, Error> {
        Ok(review_view(self.store.review(id)?.ok_or_else(|| no_review(id))?))
    }

    /// The queue, by a query string's pairs (`status`, `limit`, `offset`).
    pub fn list_reviews(&self, query: &[(String, String)]) -> Result<Vec<ReviewView>, Error> {
        let page = super::view::page(query, limits::PAGE_ROWS_MAX)?;
        let state = query.iter().find(|(key, _)| key == "status").map(|(_, value)| {
            State::parse(value).ok_or_else(|| {
                let all = State::ALL.map(State::as_str).join(", ");
                Refusal::invalid("status", format!("{value:?} is not one of {all}"))
            })
        });
        let reviews = self.store.reviews(state.transpose()?, page.limit, page.offset)?;
        Ok(reviews.into_iter().map(review_view).collect())
    }
}

fn no_review(id: &str) -> Refusal {
    let id = check::cut(id, limits::ID_CHARS_MAX);
    Refusal::new(Code::NotFound, format!("Review {id} not found"))
}

/// Whether this caller handed it in, or is a person; an agent may be asking for the answer that it did not get.
fn handed_in_by(by: &Caller, review: &Review) -> bool {
    match by {
        Caller::Operator { .. } => true,
        Caller::Agent(it) => review.agent == it.agent_id && review.attempt == Some(it.attempt),
        Caller::Container { .. } => false,
    }
}

/// The address of a pull request.
pub(super) fn url(text: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(url) = text.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let fits = url.len() <= limits::URL_BYTES_MAX
        && !url.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits {
        return Ok(Some(url));
    }
    let max = limits::URL_BYTES_MAX;
    Err(Refusal::invalid("pr_url", format!("must be one word of at most {max} bytes")))
}

fn review_view(review: Review) -> ReviewView {
    ReviewView {
        id: review.id,
        bead_id: review.bead,
        agent_id: review.agent,
        attempt: review.attempt,
        branch: review.branch,
        pr_url: review.pr_url,
        summary: review.summary,
        status: review.state.as_str().to_owned(),
        attempts: review.attempts,
        created_at: review.created_at.to_string(),
        started_at: review.started_at.map(|at| at.to_string()),
        finished_at: review.finished_at.map(|at| at.to_string()),
        message: review.message,
        commit_sha: review.commit_sha,
    }
}
