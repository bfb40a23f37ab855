//! The table `review`: the queue of branches that wait to be merged, and what became of them.

use super::{Sql, SqlError, Store, Value};
use crate::id::time36;
use crate::limits;
use crate::review::{Review, State};

/// A row as JSON, in the order of the fields of [`Review`].
const ROW: &str = "json_array(id, bead, agent, attempt, branch, pr_url, summary, state, attempts, created_at, \
     started_at, finished_at, message, commit_sha, target, seen_at, not_before, asks, refusals, recoveries, faults, \
     cleared)";

impl<S: Sql> Store<S> {
    /// The review of this name.
    pub fn review(&self, id: &str) -> Result<Option<Review>, SqlError> {
        self.one(&format!("SELECT {ROW} FROM review WHERE id = ?"), &[id.into()])
    }

    /// The review of a bead that is not over; there is one at most.
    pub fn open_review(&self, bead: &str) -> Result<Option<Review>, SqlError> {
        self.one(
            &format!(
                "SELECT {ROW}
                 FROM review
                 WHERE bead = ? AND state IN ('pending', 'running', 'waiting')"
            ),
            &[bead.into()],
        )
    }

    /// Reviews in a state, or all; those that wait in their order, all others newest first.
    pub fn reviews(
        &self,
        state: Option<State>,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<Review>, SqlError> {
        let order = if state == Some(State::Pending) { "ASC" } else { "DESC" };
        let (condition, mut args) = match state {
            Some(state) => ("WHERE state = ?", vec![Value::from(state.as_str())]),
            None => ("", Vec::new()),
        };
        args.extend([Value::from(limit), Value::from(offset)]);
        self.all(
            &format!("SELECT {ROW} FROM review {condition} ORDER BY id {order} LIMIT ? OFFSET ?"),
            &args,
        )
    }

    /// Files a review. Those that are long over are forgotten; the oldest are at one end.
    pub fn add_review(&self, review: &Review) -> Result<(), SqlError> {
        self.forget_standing();
        let oldest = review.created_at.plus(-limits::REVIEW_KEEP_MS);
        self.run(
            "DELETE FROM review WHERE id < ? AND finished_at IS NOT NULL",
            &[format!("review-{}", time36(oldest)).into()],
        )?;
        let columns = columns(review);
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let args: Vec<Value> = columns.into_iter().map(|(_, value)| value).collect();
        let names = names.join(", ");
        self.run(&format!("INSERT INTO review ({names}) VALUES ({marks})"), &args)?;
        Ok(())
    }

    /// Writes what differs between two states of a review.
    pub fn save_review(&self, before: &Review, after: &Review) -> Result<(), SqlError> {
        self.forget_standing();
        let (mut sets, mut args) = (Vec::new(), Vec::new());
        for ((name, old), (_, new)) in columns(before).into_iter().zip(columns(after)) {
            if old != new {
                sets.push(format!("{name} = ?"));
                args.push(new);
            }
        }
        if sets.is_empty() {
            return Ok(());
        }
        args.push((&before.id).into());
        self.run(&format!("UPDATE review SET {} WHERE id = ?", sets.join(", ")), &args)?;
        Ok(())
    }
}

fn columns(review: &Review) -> Vec<(&'static str, Value)> {
    vec![
        ("id", (&review.id).into()),
        ("bead", (&review.bead).into()),
        ("agent", (&review.agent).into()),
        ("attempt", review.attempt.into()),
        ("branch", (&review.branch).into()),
        ("pr_url", review.pr_url.as_ref().into()),
        ("summary", review.summary.as_ref().into()),
        ("state", review.state.as_str().into()),
        ("attempts", review.attempts.into()),
        ("created_at", review.created_at.into()),
        ("started_at", review.started_at.into()),
        ("finished_at", review.finished_at.into()),
        ("message", review.message.as_ref().into()),
        ("commit_sha", review.commit_sha.as_ref().into()),
        ("target", review.target.as_ref().into()),
        ("seen_at", review.seen_at.into()),
        ("not_before", review.not_before.into()),
        ("asks", review.asks.into()),
        ("refusals", count(review.refusals)),
        ("recoveries", review.recoveries.into()),
        ("faults", count(review.faults)),
        ("cleared", review.cleared.into()),
    ]
}

fn count(n: usize) -> Value {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}
