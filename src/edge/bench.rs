//! Debug routes that count what the rig costs, in builds with the feature `bench` and never in the product:
//! `POST /__bench/rigs/:rig/tick?n=K`, `GET …/stats`, `POST …/seed`.

use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::json;
use worker::{Response, Url};

use super::http::{answer, moment, now};
use super::rig::{Rig, platform};
use super::sql::DurableSql;
use crate::engine::Engine;
use crate::refusal::{Code, Refusal};
use crate::store::{Sql as _, SqlError, Value};

#[derive(Deserialize)]
struct Seed {
    #[serde(default)]
    beads: i64,
    #[serde(default)]
    agents: Vec<String>,
    /// Makes every live run's last sign of life so much older.
    #[serde(default)]
    silence_ms: i64,
}

/// The beginning of an object, which an evicted one has again.
pub(super) struct Opened {
    /// Another number each time.
    id: u64,
    /// What the database was asked until then.
    statements: u64,
}

impl Opened {
    pub(super) fn of(engine: &Result<Engine<DurableSql>, String>) -> Self {
        let statements = engine
            .as_ref()
            .map_or(0, |it| it.store.sql().counted.statements.load(Ordering::Relaxed));
        // What JavaScript can hold.
        Self { id: moment().seed >> 11, statements }
    }
}

impl Rig {
    pub(super) async fn bench(&self, url: &Url, body: &[u8]) -> Result<Response, Refusal> {
        match url.path().rsplit('/').next() {
            Some("tick") => {
                let n = url.query_pairs().find(|(key, _)| key == "n");
                let n: u32 = n.and_then(|(_, n)| n.parse().ok()).unwrap_or(1);
                self.take_counts()?;
                for _ in 0..n.min(10_000) {
                    self.tick().await?;
                }
            }
            Some("stats") => {}
            Some("seed") => self.seed(body)?,
            _ => return Err(Refusal::new(Code::NotFound, "Not found")),
        }
        let counts = self.take_counts()?;
        answer(200, &counts.to_string()).map_err(platform)
    }

    /// The counters since the last call.
    fn take_counts(&self) -> Result<serde_json::Value, Refusal> {
        let sql = self.engine()?.store.sql();
        let take = |counter: &std::sync::atomic::AtomicU64| counter.swap(0, Ordering::Relaxed);
        Ok(json!({
            "statements": take(&sql.counted.statements),
            "rows_read": take(&sql.counted.rows_read),
            "rows_written": take(&sql.counted.rows_written),
            "get_alarm": take(&self.alarms_read),
            "set_alarm": take(&self.alarms_set),
            "db_bytes": sql.database_size(),
            "opened": self.opened.id,
            "open_statements": self.opened.statements,
        }))
    }

    /// Puts closed beads, which the first agent held, and three events each straight into storage.
    fn seed(&self, body: &[u8]) -> Result<(), Refusal> {
        let seed: Seed = serde_json::from_slice(body)
            .map_err(|err| Refusal::new(Code::Invalid, err.to_string()))?;
        let sql = self.engine()?.store.sql();
        let holder: Value = seed.agents.first().into();
        let (at, beads): (Value, Value) = (now().into(), seed.beads.into());
        sql.atomically(|| {
            // Two statements, however much past there is.
            sql.run(
                "INSERT INTO bead (id, kind, status, title, body, priority, assignee, assignee_agent_id,
                     created_at, created_by, updated_at, closed_at, close_reason, finished)
                 WITH RECURSIVE past (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM past WHERE n < ?2)
                 SELECT 'seed-' || n, 'issue', 'closed', 'seeded', 'a closed bead', 2, 'agent', ?3,
                     ?1 - ?2 + n, 'seed', ?1 - ?2 + n, ?1 - ?2 + n, 'Closed', 1
                 FROM past
                 WHERE n <= ?2",
                &[at.clone(), beads.clone(), holder],
            )?;
            sql.run(
                "INSERT INTO bead_event (bead, at, actor, event)
                 WITH RECURSIVE past (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM past WHERE n < ?2)
                 SELECT 'seed-' || n, ?1 - ?2 + n, 'seed', event.value
                 FROM past, json_each('[\"created\", \"hooked\", \"closed\"]') AS event
                 WHERE n <= ?2",
                &[at, beads],
            )?;
            if seed.silence_ms > 0 {
                sql.run(
                    "UPDATE attempt SET last_seen = last_seen - ? WHERE ended_at IS NULL",
                    &[seed.silence_ms.into()],
                )?;
            }
            Ok::<_, SqlError>(())
        })
        .map_err(|err| Refusal::new(Code::Conflict, err.to_string()))
    }
}
