//! The review queue: branches handed in, taken back, and listed.
//!
//! A bead is in review exactly while a review of it is open. Both move together, in one transaction; so no bead
//! waits for a review that is over, and none that is over keeps the rig awake.

use serde_json::json;

use super::{Apply, Engine, actor, check, refs};
use crate::attempt;
use crate::bead::{self, Bead};
use crate::command::{Error, Reply};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::review::{Event, Review, State};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::review::{ReviewView, SubmitReview};

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
        // Whose work it is: a person who hands in a branch says so.
        bead.assignee_agent_id = Some(member.agent.id.clone());
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
            target: self.engine.default_branch()?,
            seen_at: None,
            not_before: None,
            asks: 0,
            refusals: 0,
            recoveries: 0,
            faults: 0,
            cleared: None,
        };
        self.store().add_review(&review)?;
        if review.pr_url.is_some() {
            bead.ties.pr_url.clone_from(&review.pr_url);
        }
        self.wake();
        let data = json!({"entry_id": review.id, "pr_url": review.pr_url, "from": old.as_str()});
        let (id, change) = (bead.id.clone(), (None, Some(review.branch.as_str())));
        self.event(&id, actor(by), "review_submitted", change, Some(data.to_string()))?;
        Ok(review.id)
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
        if before.state == State::Running {
            // Its branch is free for the next one.
            self.wake();
        }
        Ok(())
    }

    pub(super) fn review(&self, id: &str) -> Result<Review, Error> {
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
        target_branch: review.target,
        retry_at: review.not_before.map(|at| at.to_string()),
    }
}
