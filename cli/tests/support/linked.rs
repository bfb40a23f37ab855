//! A rig with the real core on a real SQLite, behind HTTP, and the command linked as `bd`. Must hold no rule of its own.

use super::{Asked, Reply, Rig, TOKEN, directory, show};
use beadrig::api;
use beadrig::command::Moment;
use beadrig::engine::Engine;
use beadrig::id::Millis;
use beadrig::settings::Settings;
use beadrig::store::{Sql, SqlError, Store, Value};
use beadrig::token::{Caller, Secrets};
use rusqlite::{Connection, params_from_iter, types};
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

/// 2026-01-01T00:00:00Z, when every story begins; each request comes a second later.
const START: i64 = 1_767_225_600_000;

struct Memory(Connection);

impl Sql for Memory {
    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, SqlError> {
        let mut stmt = self.0.prepare_cached(sql).map_err(refused)?;
        let args = args.iter().map(|value| match value {
            Value::Null => types::Value::Null,
            Value::Integer(n) => types::Value::Integer(*n),
            Value::Text(text) => types::Value::Text(text.clone()),
        });
        let rows = stmt.query_map(params_from_iter(args), |row| row.get(0)).map_err(refused)?;
        rows.map(|value| match value.map_err(refused)? {
            types::Value::Null => Ok(Value::Null),
            types::Value::Integer(n) => Ok(Value::Integer(n)),
            types::Value::Text(text) => Ok(Value::Text(text)),
            other => panic!("the schema has no {other:?}"),
        })
        .collect()
    }

    fn script(&self, sql: &str) -> Result<(), SqlError> {
        self.0.execute_batch(sql).map_err(refused)
    }

    fn atomically<T, E: From<SqlError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = self.0.unchecked_transaction().map_err(refused)?;
        let done = work()?;
        tx.commit().map_err(refused)?;
        Ok(done)
    }
}

fn refused(err: rusqlite::Error) -> SqlError {
    SqlError::Refused(err.to_string())
}

/// A rig, its clock, and a directory where the command is called.
pub struct RealRig {
    pub rig: Rig,
    clock: Arc<AtomicI64>,
    pub here: PathBuf,
}

impl RealRig {
    /// `name` is the test's, so that tests do not meet.
    pub fn new(name: &str) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let time = Arc::clone(&clock);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let rig = Rig::with(listener, |_| None, move || answers(time));
        Self { rig, clock, here: directory(&format!("real-{name}")) }
    }

    /// A rig with five beads: an epic, two tasks of it that wait for each other, a bug, and one that is closed.
    pub fn five(name: &str) -> Self {
        let rig = Self::new(name);
        for line in [
            r#"create "Parse dates" --id demo-ep1 -t epic -p 1 -d "All of them" -l core"#,
            r#"create "Read ISO dates" --id demo-a1b --parent demo-ep1 -d d -p 2 --acceptance "tests pass""#,
            r#"create "Read words" --id demo-a1c --parent demo-ep1 -d d --deps demo-a1b -l slow"#,
            r#"create "Crash on empty input" --id demo-bug -t bug -p 0 -d "boom" -a bob"#,
            r#"create "Old" --id demo-old -d d"#,
            r#"close demo-old -r "not needed""#,
        ] {
            let printed = rig.sh(line);
            assert!(printed.ends_with("exit 0\n"), "{line}: {printed}");
        }
        rig
    }

    /// Time goes by.
    pub fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// The command under the name `bd`, in the name of alice.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&*BD);
        command
            .args(args)
            .env_clear()
            .envs([
                ("BEADRIG_URL", self.rig.url.as_str()),
                ("BEADRIG_RIG", "demo"),
                ("BEADRIG_TOKEN", TOKEN),
                ("BEADS_ACTOR", "alice"),
                ("TZ", "UTC"),
            ])
            .current_dir(&self.here)
            .stdin(Stdio::null());
        command
    }

    /// What it prints, and how it ends.
    pub fn bd(&self, args: &[&str]) -> String {
        show(&self.command(args).output().unwrap()).replace(&self.rig.url, "http://rig")
    }

    /// Words as a shell splits them.
    pub fn sh(&self, line: &str) -> String {
        let words = shlex::split(line).unwrap();
        self.bd(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A command line and what it prints.
    pub fn tell(&self, lines: &[&str]) -> String {
        lines.iter().fold(String::new(), |told, line| {
            let printed = self.sh(line);
            format!("{told}$ bd {line}\n{printed}")
        })
    }

    /// What it prints as JSON; it must succeed.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.command(&[args, &["--json"]].concat()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", show(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// With something on stdin.
    pub fn piped(&self, args: &[&str], text: &str) -> String {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        show(&child.wait_with_output().unwrap())
    }
}

/// The command, linked as `bd`.
static BD: LazyLock<PathBuf> = LazyLock::new(|| {
    let link = directory("bin").join(format!("{}/bd", std::process::id()));
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(Path::new(env!("CARGO_BIN_EXE_beadrig")), &link).unwrap();
    link
});

/// What a deployment does with a request, without Cloudflare.
fn answers(clock: Arc<AtomicI64>) -> impl FnMut(&Asked) -> Reply {
    let engine = Engine {
        store: Store::open(Memory(Connection::open_in_memory().unwrap())).unwrap(),
        settings: Settings::default(),
        secrets: Secrets::new(&"o".repeat(32), &"s".repeat(32)).unwrap(),
        rig: "demo".to_owned(),
    };
    let mut seed = 0;
    move |asked| {
        seed += 1;
        let now = Millis(clock.fetch_add(1000, Ordering::Relaxed));
        let (method, path) = asked.line.split_once(' ').unwrap();
        if path == "/health" {
            // The deployment's clock is the rig's.
            let there = jiff::Timestamp::from_millisecond(now.0).unwrap();
            let there = there.to_zoned(jiff::tz::TimeZone::UTC);
            return Reply::Dated(jiff::fmt::rfc2822::to_string(&there).unwrap(), "{}".into());
        }
        let path = path.strip_prefix("/api/rigs/demo").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        let actor = asked.header("x-beadrig-actor").unwrap_or_default().to_owned();
        let request = api::Request {
            method,
            path,
            query,
            body: asked.body.as_bytes(),
            caller: Caller::Operator { actor },
            idempotency_key: asked.header("idempotency-key"),
            if_none_match: None,
            next_tick: None,
        };
        let response = api::handle(&engine, Moment { now, seed }, &request);
        assert_eq!(response.fault, None, "{} {}", asked.line, asked.body);
        Reply::Answer(response.status, response.body)
    }
}
