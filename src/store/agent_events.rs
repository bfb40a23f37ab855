//! The table `agent_event`: what agents printed and which tools they used. One row a call.

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Sql, SqlError, Store, to_json};
use crate::id::Millis;
use crate::limits;

/// Something that an agent did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentEvent {
    /// Grows by one an agent; the cursor.
    pub id: i64,
    /// `output`, `tool`, …: the agent's words.
    pub kind: String,
    /// When.
    pub at: Millis,
    /// More.
    pub data: Json,
}

/// The events of one call, as they are stored.
#[derive(Deserialize)]
struct Batch {
    last: i64,
    events: Vec<(String, Millis, Json)>,
}

impl<S: Sql> Store<S> {
    /// Appends events and answers the number of the last one.
    ///
    /// What is too old or too much goes with it. Nothing is counted for that: numbers have no gaps and totals only
    /// grow, so that both bounds are a place in the key, found from the oldest row on.
    pub fn add_agent_events(
        &self,
        agent: &str,
        events: &[(String, Millis, Json)],
    ) -> Result<i64, SqlError> {
        let newest: Option<(i64, i64)> = self.one(
            "SELECT json_array(last, before + bytes) FROM agent_event WHERE agent = ? ORDER BY last DESC LIMIT 1",
            &[agent.into()],
        )?;
        let (last, before) = newest.unwrap_or_default();
        let text = to_json(&events);
        let last = last + i64::try_from(events.len()).unwrap_or(i64::MAX);
        let bytes = i64::try_from(text.bytes()).unwrap_or(i64::MAX);
        self.run(
            "INSERT INTO agent_event (agent, last, before, bytes, events) VALUES (?, ?, ?, ?, ?)",
            &[agent.into(), last.into(), before.into(), bytes.into(), text],
        )?;
        self.run(
            "DELETE FROM agent_event
             WHERE agent = ?1 AND last < max(?2, (
                 SELECT kept.last FROM agent_event AS kept
                 WHERE kept.agent = ?1 AND kept.before >= ?3
                 ORDER BY kept.last LIMIT 1))",
            &[
                agent.into(),
                (last - limits::AGENT_EVENTS_KEPT + 1).into(),
                (before + bytes - limits::AGENT_EVENTS_BYTES_KEPT).into(),
            ],
        )?;
        Ok(last)
    }

    /// An agent's events after a number, oldest first.
    pub fn agent_events(
        &self,
        agent: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<AgentEvent>, SqlError> {
        let newest = self
            .number(
                "SELECT last FROM agent_event WHERE agent = ? ORDER BY last DESC LIMIT 1",
                &[agent.into()],
            )?
            .unwrap_or(0);
        // The oldest row may hold events that are too old already.
        let after = after.max(newest - limits::AGENT_EVENTS_KEPT);
        let batches: Vec<Batch> = self.all(
            "SELECT json_object('last', last, 'events', json(events))
             FROM agent_event
             WHERE agent = ? AND last > ?
             ORDER BY last
             LIMIT ?",
            &[agent.into(), after.into(), limit.into()],
        )?;
        let events = batches.into_iter().flat_map(|batch| {
            let first = batch.last - i64::try_from(batch.events.len()).unwrap_or(0) + 1;
            (first..).zip(batch.events).map(|(id, (kind, at, data))| AgentEvent {
                id,
                kind,
                at,
                data,
            })
        });
        let limit = usize::try_from(limit).unwrap_or(0);
        Ok(events.filter(|event| event.id > after).take(limit).collect())
    }
}
