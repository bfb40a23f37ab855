//! A rig on a real SQLite in memory, with the limits of production, and a script language to tell its story.

#![allow(dead_code, reason = "each test crate uses its part")]

pub(crate) mod story;

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;

use beadrig::api;
use beadrig::command::{Command, Effect, Moment, StartAnswer};
use beadrig::engine::Engine;
use beadrig::id::Millis;
use beadrig::settings::Settings;
use beadrig::store::{Sql, SqlError, Store, Value};
use beadrig::token::{Caller, Claims, Secrets};
use beadrig::wire::container::StartAgent;
use beadrig::wire::merge::MergeRequest;
use rusqlite::limits::Limit;
use rusqlite::{Connection, StatementStatus, params_from_iter, types};

/// A SQLite that stands in for a Durable Object's: same engine, same limits, and it counts.
pub(crate) struct TestSql {
    conn: Connection,
    pub(crate) statements: Cell<u64>,
    pub(crate) asked: RefCell<Vec<String>>,
    /// How many steps the virtual machine of SQLite took: what a statement costs, whatever the machine.
    pub(crate) steps: Cell<i64>,
}

impl TestSql {
    pub(crate) fn new() -> Self {
        let conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "foreign_keys", true).unwrap();
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_LENGTH, 2_000_000),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
            (Limit::SQLITE_LIMIT_COLUMN, 100),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
            (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
            (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
        ] {
            conn.set_limit(limit, value).unwrap();
        }
        Self {
            conn,
            statements: Cell::new(0),
            asked: RefCell::new(Vec::new()),
            steps: Cell::new(0),
        }
    }

    /// How SQLite would look for the answer.
    pub(crate) fn plan(&self, sql: &str) -> Vec<String> {
        let mut stmt = self.conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![types::Value::Null; stmt.parameter_count()];
        let rows = stmt.query_map(params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

impl Sql for TestSql {
    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, SqlError> {
        self.statements.set(self.statements.get() + 1);
        self.asked.borrow_mut().push(sql.to_owned());
        let mut stmt = self.conn.prepare_cached(sql).map_err(refused)?;
        stmt.reset_status(StatementStatus::VmStep);
        let rows = stmt
            .query_map(params_from_iter(args.iter().map(bind)), |row| row.get(0))
            .and_then(|rows| rows.map(|value| value.map(read)).collect())
            .map_err(refused);
        self.steps.set(self.steps.get() + i64::from(stmt.get_status(StatementStatus::VmStep)));
        rows
    }

    fn script(&self, sql: &str) -> Result<(), SqlError> {
        self.conn.execute_batch(sql).map_err(refused)
    }

    fn atomically<T, E: From<SqlError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = self.conn.unchecked_transaction().map_err(refused)?;
        let done = work()?;
        tx.commit().map_err(refused)?;
        Ok(done)
    }
}

fn bind(value: &Value) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Integer(n) => types::Value::Integer(*n),
        Value::Text(text) => types::Value::Text(text.clone()),
    }
}

fn read(value: types::Value) -> Value {
    match value {
        types::Value::Null => Value::Null,
        types::Value::Integer(n) => Value::Integer(n),
        types::Value::Text(text) => Value::Text(text),
        other => panic!("the schema has no {other:?}"),
    }
}

fn refused(err: rusqlite::Error) -> SqlError {
    SqlError::Refused(err.to_string())
}

/// 2026-01-01T00:00:00Z, when every story begins.
pub(crate) const START: Millis = Millis(1_767_225_600_000);

/// A rig with a clock that a test turns.
pub(crate) struct TestRig {
    pub(crate) engine: Engine<TestSql>,
    pub(crate) now: Millis,
    seed: u64,
    /// What the rig last wanted to be woken at, at the earliest.
    pub(crate) wake: Option<Millis>,
    /// The starts that were asked for, in order.
    pub(crate) starts: Vec<StartAgent>,
    pub(crate) stops: Vec<(String, i64)>,
    /// The merges that were asked for, in order.
    pub(crate) merges: Vec<MergeRequest>,
    /// The lines that were to be handed to processes.
    pub(crate) nudges: Vec<(String, String)>,
}

impl TestRig {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let engine = Engine {
            store: Store::open(TestSql::new()).unwrap(),
            settings,
            secrets: Secrets::new(&"o".repeat(32), &"s".repeat(32)).unwrap(),
            rig: "demo".to_owned(),
        };
        Self {
            engine,
            now: START,
            seed: 0,
            wake: None,
            starts: Vec::new(),
            stops: Vec::new(),
            merges: Vec::new(),
            nudges: Vec::new(),
        }
    }

    pub(crate) fn moment(&mut self) -> Moment {
        self.seed += 1;
        Moment { now: self.now, seed: self.seed }
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
    }

    /// Takes what a command or a step of the tick wants done, as the edge would.
    pub(crate) fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(start) => self.starts.push(*start),
                Effect::Merge(merge) => self.merges.push(*merge),
                Effect::Stop { agent, attempt, .. } => self.stops.push((agent, attempt)),
                Effect::Nudge { agent, text } => self.nudges.push((agent, text)),
                Effect::WakeAt(at) => self.wake = Some(self.wake.map_or(at, |set| set.min(at))),
                Effect::Tell(_) => {}
            }
        }
    }

    pub(crate) fn apply(&mut self, command: Command) -> Result<(), beadrig::command::Error> {
        let moment = self.moment();
        let outcome = self.engine.apply(moment, command)?;
        self.take(outcome.effects);
        Ok(())
    }

    /// A call of the API.
    pub(crate) fn call(
        &mut self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, serde_json::Value) {
        let moment = self.moment();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let response = api::handle(
            &self.engine,
            moment,
            &api::Request {
                method,
                path,
                query,
                body: body.as_bytes(),
                caller: caller.clone(),
                idempotency_key: None,
                if_none_match: None,
                next_tick: self.wake,
            },
        );
        assert_eq!(response.fault, None, "{method} {path} {body}");
        self.take(response.effects);
        (response.status, serde_json::from_str(&response.body).unwrap())
    }

    pub(crate) fn operator(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, serde_json::Value) {
        self.call(&operator(), method, path, body)
    }

    /// Makes a bead that an agent will take, and answers its id.
    pub(crate) fn assigned(&mut self, title: &str) -> String {
        let body = serde_json::json!({
            "title": title, "acceptance_criteria": "it works", "assignee": "agent",
        });
        let (status, answer) = self.operator("POST", "/beads", &body.to_string());
        assert_eq!(status, 201, "{answer}");
        answer["data"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn bead(&mut self, id: &str) -> serde_json::Value {
        self.operator("GET", &format!("/beads/{id}"), "").1["data"].clone()
    }

    /// The first step of a tick.
    pub(crate) fn schedule(&mut self) {
        let moment = self.moment();
        let scheduled = self.engine.schedule_pending_work(moment);
        self.take(scheduled.effects);
    }

    /// The second step of a tick, with the container's answer.
    pub(crate) fn patrol(&mut self, answer: Option<&beadrig::wire::container::AgentList>) {
        let moment = self.moment();
        let effects = self.engine.witness_patrol(moment, self.now, answer);
        self.take(effects);
    }

    /// Accepts every start that was asked for and not answered.
    pub(crate) fn accept(&mut self) -> Vec<StartAgent> {
        let starts = std::mem::take(&mut self.starts);
        for start in &starts {
            let answer = StartAnswer::Accepted;
            self.apply(Command::StartAnswered(start.agent_id.clone(), start.attempt, answer))
                .unwrap();
        }
        starts
    }

    /// What the bead looks like, for a story.
    pub(crate) fn tell(&mut self, id: &str) -> String {
        let bead = self.bead(id);
        let mut story =
            format!("{} attempts={}", bead["status"].as_str().unwrap(), bead["attempts"]);
        for key in ["waiting", "failure"] {
            if let Some(it) = bead[key].as_object() {
                let name = it.get("reason").or(it.get("code")).unwrap().as_str().unwrap();
                write!(story, " {key}={name}").unwrap();
            }
        }
        story
    }

    pub(crate) fn notes(&mut self, id: &str) -> String {
        let bead = self.bead(id);
        let notes = bead["notes"].as_array().unwrap();
        let lines = notes.iter().map(|it| {
            format!("{}: {}\n", it["author"].as_str().unwrap(), it["text"].as_str().unwrap())
        });
        lines.collect()
    }
}

pub(crate) fn operator() -> Caller {
    Caller::Operator { actor: "ann".to_owned() }
}

pub(crate) fn container() -> Caller {
    Caller::Container { town: "local".to_owned() }
}

/// The agent that this start made.
pub(crate) fn agent(start: &StartAgent) -> Caller {
    Caller::Agent(Claims {
        agent_id: start.agent_id.clone(),
        rig_id: start.rig_id.clone(),
        town_id: start.town_id.clone(),
        user_id: "operator".to_owned(),
        attempt: start.attempt,
        iat: 0,
        exp: i64::MAX / 2_000,
    })
}
