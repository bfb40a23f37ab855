//! The rows of jobs: the only place of the service with SQL.
//!
//! One thread has the connection and does one question at a time, so that nothing about jobs happens at the same
//! moment. What it has answered is on disk: the log is written ahead and synced, a killed service or a machine
//! without power loses nothing that a caller was told. The output is not here but in files beside it.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::life::{Event, Status};
use super::request::JobRequest;
use crate::limits::JOB_STORE_QUEUE_MAX;

/// Version 1. One that shipped never changes; the next one is appended.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE job (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT    NOT NULL UNIQUE,
    key           TEXT    UNIQUE,
    status        TEXT    NOT NULL,
    prompt        TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    budget_micros INTEGER NOT NULL,
    time_limit_s  INTEGER NOT NULL,
    metadata      TEXT,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER,
    exit_code     INTEGER,
    error         TEXT,
    session_id    TEXT,
    cost_micros   INTEGER,
    stdout_cut    INTEGER NOT NULL DEFAULT 0,
    stderr_cut    INTEGER NOT NULL DEFAULT 0,
    kept_bytes    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX job_live ON job (status, seq) WHERE finished_at IS NULL;
CREATE INDEX job_over ON job (finished_at, seq) WHERE finished_at IS NOT NULL;
"];

const COLUMNS: &str = "id, status, prompt, agent, budget_micros, time_limit_s, metadata, created_at, \
     started_at, finished_at, exit_code, error, session_id, cost_micros, stdout_cut, stderr_cut";

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database says so.
    #[error("the jobs cannot be read or written: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A newer service was here.
    #[error("the jobs are of version {0}, newer than this service knows: take the newer service")]
    Newer(usize),
    /// The thread is gone.
    #[error("the thread with the jobs has ended")]
    Down,
}

/// A job as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// 12 hex digits.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// What was asked for.
    pub request: JobRequest,
    /// Milliseconds since 1970, as all times here.
    pub created_at: i64,
    /// When it got its place.
    pub started_at: Option<i64>,
    /// How it ended.
    pub end: End,
    /// When that was.
    pub finished_at: Option<i64>,
}

/// How a job ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The code, or minus the signal.
    pub exit_code: Option<i64>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// The agent's session.
    pub session_id: Option<String>,
    /// What it cost, in millionths of a dollar.
    pub cost_micros: Option<i64>,
    /// Bytes of standard output that were not kept.
    pub stdout_cut: i64,
    /// Bytes of standard error that were not kept.
    pub stderr_cut: i64,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It waits.
    New,
    /// It was here before, and this is it.
    Known {
        /// Its id.
        id: String,
        /// Where it is in its life.
        status: Status,
    },
    /// The key belongs to another request.
    OtherRequest,
    /// As many as may be.
    Full,
}

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// The way to the thread with the rows.
#[derive(Clone, Debug)]
pub struct Store(mpsc::Sender<Work>);

impl Store {
    /// Opens the database and begins the thread. It blocks.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut connection)?;
        let (work, mut queue) = mpsc::channel::<Work>(JOB_STORE_QUEUE_MAX);
        std::thread::spawn(move || {
            while let Some(work) = queue.blocking_recv() {
                work(&mut connection);
            }
        });
        Ok(Self(work))
    }

    /// Takes a request, unless it is known or there are too many.
    pub async fn submit(
        &self,
        id: String,
        key: Option<String>,
        request: JobRequest,
        depth: usize,
        now: i64,
    ) -> Result<Submitted, StoreError> {
        self.ask(move |db| submit(db, &id, key.as_deref(), &request, depth, now)).await
    }

    /// The job of that id.
    pub async fn job(&self, id: String) -> Result<Option<Job>, StoreError> {
        self.ask(move |db| one(db, "id", &id)).await
    }

    /// How many wait, and how many run.
    pub async fn counts(&self) -> Result<(u64, u64), StoreError> {
        self.ask(|db| counts(db)).await
    }

    /// Gives the job that has waited longest its place.
    pub async fn take(&self, now: i64) -> Result<Option<Job>, StoreError> {
        self.ask(move |db| {
            let change = db.transaction()?;
            let queued = Status::Queued.name();
            let next = change
                .query_row(
                    "SELECT id FROM job WHERE finished_at IS NULL AND status = ? ORDER BY seq LIMIT 1",
                    [queued],
                    |row| row.get::<_, String>(0),
                )
                .optional()?;
            let Some(id) = next else { return Ok(None) };
            enter(&change, &id, Event::Taken)?;
            change.execute("UPDATE job SET started_at = ? WHERE id = ?", params![now, id])?;
            let job = one(&change, "id", &id)?;
            change.commit()?;
            Ok(job)
        })
        .await
    }

    /// Writes down how a job ended; what is over stays as it is.
    pub async fn finish(
        &self,
        id: String,
        event: Event,
        end: End,
        kept_bytes: u64,
        now: i64,
    ) -> Result<(), StoreError> {
        self.ask(move |db| {
            let change = db.transaction()?;
            if enter(&change, &id, event)?.is_some() {
                finish(&change, &id, &end, kept_bytes, now)?;
            }
            change.commit()
        })
        .await
    }

    /// Ends what an earlier service left running. `kept` says how much of a job's output there is.
    pub async fn interrupt(
        &self,
        kept: impl Fn(&str) -> u64 + Send + 'static,
        now: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.ask(move |db| {
            let change = db.transaction()?;
            let left = ids(
                &change,
                "SELECT id FROM job WHERE finished_at IS NULL AND status = ? ORDER BY seq",
                [Status::Running.name()],
            )?;
            for id in &left {
                let error =
                    "the service was ended while it ran; the output is what was said until then";
                let end = End { error: Some(error.to_owned()), ..End::default() };
                enter(&change, id, Event::ServiceEnded)?;
                finish(&change, id, &end, kept(id), now)?;
            }
            change.commit()?;
            Ok(left)
        })
        .await
    }

    /// The jobs to forget: those that ended before a time, and the oldest while there are too many or too large.
    pub async fn outdated(
        &self,
        before: i64,
        count: usize,
        bytes: u64,
    ) -> Result<Vec<String>, StoreError> {
        self.ask(move |db| {
            let mut newest_first = db.prepare_cached(
                "SELECT id, finished_at, kept_bytes FROM job WHERE finished_at IS NOT NULL \
                 ORDER BY finished_at DESC, seq DESC",
            )?;
            let mut rows = newest_first.query([])?;
            let (mut seen, mut sum, mut outdated) = (0, 0, Vec::new());
            while let Some(row) = rows.next()? {
                seen += 1;
                sum += u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
                if row.get::<_, i64>(1)? < before || seen > count || (sum > bytes && seen > 1) {
                    outdated.push(row.get(0)?);
                }
            }
            Ok(outdated)
        })
        .await
    }

    /// Forgets a job.
    pub async fn forget(&self, id: String) -> Result<(), StoreError> {
        self.ask(move |db| db.execute("DELETE FROM job WHERE id = ?", [id]).map(drop)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |db| drop(answer.send(question(db))));
        self.0.send(work).await.map_err(|_| StoreError::Down)?;
        Ok(answered.await.map_err(|_| StoreError::Down)??)
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(StoreError::Newer(version));
    }
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let change = connection.transaction()?;
        change.execute_batch(migration)?;
        change.pragma_update(None, "user_version", i64::try_from(at + 1).unwrap_or(i64::MAX))?;
        change.commit()?;
    }
    Ok(())
}

fn submit(
    db: &mut Connection,
    id: &str,
    key: Option<&str>,
    request: &JobRequest,
    depth: usize,
    now: i64,
) -> rusqlite::Result<Submitted> {
    let change = db.transaction()?;
    if let Some(key) = key
        && let Some(known) = one(&change, "key", key)?
    {
        let same = known.request == *request;
        return Ok(if same {
            Submitted::Known { id: known.id, status: known.status }
        } else {
            Submitted::OtherRequest
        });
    }
    let (queued, running) = counts(&change)?;
    if queued + running >= depth as u64 {
        return Ok(Submitted::Full);
    }
    change.execute(
        "INSERT INTO job (id, key, status, prompt, agent, budget_micros, time_limit_s, metadata, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id,
            key,
            Status::Queued.name(),
            request.prompt,
            request.agent,
            request.budget_micros,
            i64::try_from(request.time_limit_s).unwrap_or(i64::MAX),
            request.metadata,
            now,
        ],
    )?;
    change.commit()?;
    Ok(Submitted::New)
}

fn counts(db: &Connection) -> rusqlite::Result<(u64, u64)> {
    let mut count =
        db.prepare_cached("SELECT count(*) FROM job WHERE finished_at IS NULL AND status = ?")?;
    let mut of = |status: Status| -> rusqlite::Result<u64> {
        let count: i64 = count.query_row([status.name()], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    };
    Ok((of(Status::Queued)?, of(Status::Running)?))
}

/// Moves a job on in its life; nothing if the event means nothing to it.
fn enter(db: &Connection, id: &str, event: Event) -> rusqlite::Result<Option<Status>> {
    let status = db
        .query_row("SELECT status FROM job WHERE id = ?", [id], |row| row.get::<_, String>(0))
        .optional()?;
    let next = status.as_deref().and_then(Status::named).and_then(|status| status.after(event));
    if let Some(next) = next {
        db.execute("UPDATE job SET status = ? WHERE id = ?", params![next.name(), id])?;
    }
    Ok(next)
}

fn finish(db: &Connection, id: &str, end: &End, kept: u64, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE job SET exit_code = ?, error = ?, session_id = ?, cost_micros = ?, stdout_cut = ?, \
         stderr_cut = ?, kept_bytes = ?, finished_at = ? WHERE id = ?",
        params![
            end.exit_code,
            end.error,
            end.session_id,
            end.cost_micros,
            end.stdout_cut,
            end.stderr_cut,
            i64::try_from(kept).unwrap_or(i64::MAX),
            now,
            id,
        ],
    )
    .map(drop)
}

fn ids(db: &Connection, sql: &str, of: [&str; 1]) -> rusqlite::Result<Vec<String>> {
    db.prepare(sql)?.query_map(of, |row| row.get(0))?.collect()
}

/// `column` is one of ours, never a caller's.
fn one(db: &Connection, column: &str, value: &str) -> rusqlite::Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE {column} = ?");
    db.prepare_cached(&sql)?.query_row([value], job).optional()
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let status: String = row.get("status")?;
    Ok(Job {
        id: row.get("id")?,
        status: Status::named(&status).unwrap_or(Status::Error),
        request: JobRequest {
            prompt: row.get("prompt")?,
            agent: row.get("agent")?,
            budget_micros: row.get("budget_micros")?,
            time_limit_s: u64::try_from(row.get::<_, i64>("time_limit_s")?).unwrap_or_default(),
            metadata: row.get("metadata")?,
        },
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        end: End {
            exit_code: row.get("exit_code")?,
            error: row.get("error")?,
            session_id: row.get("session_id")?,
            cost_micros: row.get("cost_micros")?,
            stdout_cut: row.get("stdout_cut")?,
            stderr_cut: row.get("stderr_cut")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(prompt: &str) -> JobRequest {
        JobRequest {
            prompt: prompt.to_owned(),
            agent: "a".to_owned(),
            budget_micros: 1,
            time_limit_s: 1,
            metadata: None,
        }
    }

    async fn submit(store: &Store, id: &str, key: Option<&str>, depth: usize) -> Submitted {
        let key = key.map(ToOwned::to_owned);
        store.submit(id.to_owned(), key, request("p"), depth, 1).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_that_came_is_taken_once_and_what_is_over_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        for id in ["1", "2"] {
            assert_eq!(submit(&store, id, Some(id), 2).await, Submitted::New);
        }
        assert_eq!(submit(&store, "3", None, 2).await, Submitted::Full);
        let known = Submitted::Known { id: "2".to_owned(), status: Status::Queued };
        assert_eq!(submit(&store, "3", Some("2"), 2).await, known);
        let other = store.submit("3".to_owned(), Some("2".to_owned()), request("other"), 9, 1);
        assert_eq!(other.await.unwrap(), Submitted::OtherRequest);
        let first = store.take(5).await.unwrap().unwrap();
        assert_eq!((first.id.as_str(), first.started_at), ("1", Some(5)));
        assert_eq!(store.take(5).await.unwrap().unwrap().id, "2");
        assert_eq!(store.take(5).await.unwrap(), None);
        for event in [Event::OutOfTime, Event::Exited { well: true }] {
            store.finish("1".to_owned(), event, End::default(), 0, 7).await.unwrap();
        }
        let left = store.interrupt(|_| 3, 9).await.unwrap();
        assert_eq!(left, ["2"]);
        let first = store.job("1".to_owned()).await.unwrap().unwrap();
        assert_eq!((first.status, first.finished_at), (Status::Timeout, Some(7)));
        assert_eq!(store.counts().await.unwrap(), (0, 0));
    }

    #[tokio::test]
    async fn the_oldest_jobs_go_by_age_by_number_and_by_size_and_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        for (n, id) in ["1", "2", "3", "4"].into_iter().enumerate() {
            submit(&store, id, None, 9).await;
            store.take(1).await.unwrap();
            let at = i64::try_from(n).unwrap() + 1;
            let event = Event::Exited { well: true };
            store.finish(id.to_owned(), event, End::default(), 100, at).await.unwrap();
        }
        submit(&store, "5", None, 9).await;
        let outdated =
            async |before, count, bytes| store.outdated(before, count, bytes).await.unwrap();
        assert_eq!(outdated(0, 9, 400).await, Vec::<String>::new());
        assert_eq!(outdated(3, 9, 400).await, ["2", "1"]);
        assert_eq!(outdated(0, 3, 400).await, ["1"]);
        assert_eq!(outdated(0, 9, 250).await, ["2", "1"]);
        assert_eq!(outdated(0, 9, 1).await, ["3", "2", "1"]);
        store.forget("1".to_owned()).await.unwrap();
        assert_eq!(store.job("1".to_owned()).await.unwrap(), None);
    }

    #[test]
    fn rows_of_a_newer_service_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99_i64).unwrap();
        let refused = Store::open(&path).unwrap_err().to_string();
        assert!(refused.contains("version 99"), "{refused}");
    }
}
