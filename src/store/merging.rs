//! The table `review` as the tick and the container ask about it: what is to be merged, what is at work, and since
//! when. What is over is in none of these answers, and costs them nothing.

use serde::Deserialize;

use super::{Sql, SqlError, Store, to_json};
use crate::id::Millis;
use crate::limits;

/// Whether something is merged into the target of `next` already.
const TAKEN: &str = "EXISTS (SELECT 1 FROM review AS other WHERE other.state = 'running' AND other.target IS next.target)";

/// What the review queue wants of the tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Merging {
    /// The last sign of life of the merge that was silent for longest.
    pub silent_since: Option<Millis>,
    /// When the oldest merge was asked for of which nobody has confirmed that it began.
    pub unconfirmed_since: Option<Millis>,
    /// When the next merge may begin, of those whose target is free.
    pub due: Option<Millis>,
    /// When the merge was started that is at work for longest.
    pub running_since: Option<Millis>,
}

/// A merge as the container is asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "columns, and the bead's title and the agent's name")]
pub struct MergeRow {
    pub entry: String,
    pub attempt: i64,
    pub bead: String,
    pub title: String,
    pub agent_name: String,
    pub branch: String,
    pub target: Option<String>,
}

/// A merge that is at work.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "columns")]
pub struct AtWork {
    pub entry: String,
    pub attempt: i64,
    pub seen_at: Option<Millis>,
}

/// What was started at a time for a target was started together, and is asked for together.
pub(super) type Together = (Option<String>, Option<Millis>);

/// [`Merging`] as JSON.
pub(super) fn merging() -> String {
    format!(
        "json_array(
            (SELECT min(coalesce(seen_at, started_at)) FROM review WHERE state = 'running'),
            (SELECT min(started_at) FROM review WHERE state = 'running' AND seen_at IS NULL),
            (SELECT min(coalesce(not_before, 0)) FROM review AS next WHERE state = 'pending' AND NOT {TAKEN}),
            (SELECT min(started_at) FROM review WHERE state = 'running'))"
    )
}

impl<S: Sql> Store<S> {
    /// Merges of which nothing was heard since a time, and those that were started before another.
    pub fn overdue_reviews(
        &self,
        heard: Millis,
        started: Millis,
        limit: u32,
    ) -> Result<Vec<String>, SqlError> {
        self.all(
            "SELECT json_quote(id)
             FROM review
             WHERE state = 'running' AND (coalesce(seen_at, started_at) <= ? OR started_at <= ?)
             LIMIT ?",
            &[heard.into(), started.into(), limit.into()],
        )
    }

    /// Merges of which nobody has confirmed that they began.
    pub fn unconfirmed_merges(&self, limit: u32) -> Result<Vec<(String, Together)>, SqlError> {
        self.all(
            "SELECT json_array(id, json_array(target, started_at))
             FROM review
             WHERE state = 'running' AND seen_at IS NULL
             ORDER BY target, started_at, id
             LIMIT ?",
            &[limit.into()],
        )
    }

    /// What may be merged now, each with its target: the oldest of each target that is free.
    pub fn startable_merges(
        &self,
        now: Millis,
        limit: u32,
    ) -> Result<Vec<(String, Option<String>)>, SqlError> {
        self.all(
            &format!(
                "SELECT json_array(id, target)
                 FROM (SELECT id, target, row_number() OVER (PARTITION BY target ORDER BY id) AS place
                       FROM review AS next
                       WHERE state = 'pending' AND coalesce(not_before, 0) <= ? AND NOT {TAKEN}) AS batch
                 WHERE place <= {}
                 ORDER BY target, id
                 LIMIT ?",
                limits::MERGE_BATCH_MAX
            ),
            &[now.into(), limit.into()],
        )
    }

    /// These merges as the container is asked for them, oldest first.
    pub fn merge_rows(&self, ids: &[String]) -> Result<Vec<MergeRow>, SqlError> {
        self.all(
            "SELECT json_array(review.id, review.attempts, review.bead, bead.title,
                 coalesce(agent.name, review.agent), review.branch, review.target)
             FROM json_each(?) AS named
             JOIN review ON review.id = named.value
             JOIN bead ON bead.id = review.bead
             LEFT JOIN agent ON agent.id = review.agent
             WHERE review.state = 'running'
             ORDER BY review.id",
            &[to_json(&ids)],
        )
    }

    /// Which of these are at work, for a bead that still waits for it.
    pub fn merges_at_work(&self, ids: &[&str]) -> Result<Vec<AtWork>, SqlError> {
        self.all(
            "SELECT json_array(review.id, review.attempts, review.seen_at)
             FROM json_each(?) AS named
             JOIN review ON review.id = named.value
             JOIN bead ON bead.id = review.bead
             WHERE review.state = 'running' AND bead.status = 'in_review'",
            &[to_json(&ids)],
        )
    }

    /// These merges are at work.
    pub fn saw_merges(&self, ids: &[&str], now: Millis) -> Result<(), SqlError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.forget_standing();
        self.run(
            "UPDATE review SET seen_at = ? WHERE id IN (SELECT value FROM json_each(?))",
            &[now.into(), to_json(&ids)],
        )?;
        Ok(())
    }

    /// These merges were told that they may land.
    pub fn cleared_merges(&self, ids: &[&str]) -> Result<(), SqlError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.run(
            "UPDATE review
             SET cleared = attempts
             WHERE id IN (SELECT value FROM json_each(?)) AND cleared IS NOT attempts",
            &[to_json(&ids)],
        )?;
        Ok(())
    }
}
