//! What the scheduler is to do by the clock, from all tables in one question, since a tick pays by the question.

use serde::Deserialize;

use super::beads::QUEUE;
use super::{Sql, SqlError, Store};
use crate::id::Millis;
use crate::limits;

/// What goes back to the queue at a time; word for word the condition of the index `bead_deferred`.
const DEFERRED: &str = "status = 'deferred' AND assignee = 'agent' AND defer_until IS NOT NULL";

/// What is to be done with a bead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// An agent may take it.
    Claim,
    /// It was put off until now.
    Undefer,
    /// It is an escalation that nobody has seen to.
    Escalate,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Due {
    /// With which bead.
    pub bead: String,
    /// What.
    pub deed: Deed,
}

impl<S: Sql> Store<S> {
    /// What is to be done now: escalations, what is deferred no more, and as much of the queue as there is room for,
    /// the most urgent first.
    pub fn due(&self, now: Millis, room: usize) -> Result<Vec<Due>, SqlError> {
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        self.all(
            &format!(
                "SELECT json_array(bead, 'escalate')
                 FROM (SELECT bead FROM escalation WHERE next_at <= ?1 ORDER BY next_at LIMIT {escalations}) AS unseen
                 UNION ALL
                 SELECT json_array(id, 'undefer')
                 FROM (SELECT id FROM bead WHERE {DEFERRED} AND defer_until <= ?1 ORDER BY defer_until LIMIT {deferred})
                      AS deferred
                 UNION ALL
                 SELECT json_array(id, 'claim')
                 FROM (SELECT id
                       FROM bead
                       WHERE {QUEUE} AND coalesce(not_before, 0) <= ?1 AND coalesce(defer_until, 0) <= ?1
                       ORDER BY priority, updated_at
                       LIMIT ?2) AS queue",
                escalations = limits::PAGE_ROWS,
                deferred = limits::DEFERRED_PER_TICK
            ),
            &[now.into(), room.into()],
        )
    }

    /// When something is to be done next: the queue counts if there is room; what waits for other beads has no time.
    pub fn next_due(&self, room: bool) -> Result<Option<Millis>, SqlError> {
        let at = self.number(
            &format!(
                "SELECT min(at)
                 FROM (SELECT min(next_at) AS at FROM escalation WHERE next_at IS NOT NULL
                       UNION ALL
                       SELECT min(defer_until) FROM bead WHERE {DEFERRED}
                       UNION ALL
                       SELECT min(max(coalesce(not_before, 0), coalesce(defer_until, 0)))
                       FROM bead
                       WHERE ? AND {QUEUE}) AS next"
            ),
            &[i64::from(room).into()],
        )?;
        Ok(at.map(Millis))
    }
}
