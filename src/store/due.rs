//! What the scheduler is to do by the clock, from all tables in one question, since a tick pays by the question.

use serde::Deserialize;

use super::beads::QUEUE;
use super::{Sql, SqlError, Store};
use crate::id::Millis;
use crate::limits;

/// What goes back to the queue at a time; word for word the condition of the index `bead_deferred`.
const DEFERRED: &str = "status = 'deferred' AND assignee = 'agent' AND defer_until IS NOT NULL";

/// What is in progress for an agent and held by none; word for word the condition of the index `bead_orphan`.
const ORPHANS: &str = "status = 'in_progress' AND assignee = 'agent' AND hooked_by IS NULL";

/// What is to be done with a bead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// An agent may take it.
    Claim,
    /// It was put off until now.
    Undefer,
    /// It is in progress for an agent, and none holds it.
    Orphaned,
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
    /// the most urgent first; for a probe the one that was tried least lately.
    pub fn due(&self, now: Millis, room: usize, probe: bool) -> Result<Vec<Due>, SqlError> {
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
                 SELECT json_array(id, 'orphaned')
                 FROM (SELECT id FROM bead WHERE {ORPHANS} AND updated_at <= ?3 ORDER BY updated_at LIMIT {orphans})
                      AS orphans
                 UNION ALL
                 SELECT json_array(id, 'claim')
                 FROM (SELECT id
                       FROM bead
                       WHERE {QUEUE} AND coalesce(not_before, 0) <= ?1 AND coalesce(defer_until, 0) <= ?1
                       ORDER BY {order}
                       LIMIT ?2) AS queue",
                escalations = limits::PAGE_ROWS,
                deferred = limits::DEFERRED_PER_TICK,
                orphans = limits::ORPHANS_PER_TICK,
                order = if probe { "updated_at" } else { "priority, updated_at" },
            ),
            &[now.into(), room.into(), now.plus(-limits::ORPHAN_MS).into()],
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
                       SELECT min(updated_at) + ?2 FROM bead WHERE {ORPHANS}
                       UNION ALL
                       SELECT min(max(coalesce(not_before, 0), coalesce(defer_until, 0)))
                       FROM bead
                       WHERE ?1 AND {QUEUE}) AS next"
            ),
            &[i64::from(room).into(), limits::ORPHAN_MS.into()],
        )?;
        Ok(at.map(Millis))
    }
}
