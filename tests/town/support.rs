//! A stack whose containers come from the fake engine, and one rig on it as its operator sees it.
//!
//! Nothing here waits in hope: [`until`] looks again and again, and tells what it saw last when the time is over.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::repo;
use xtask::stack::{Options, Stack};

use crate::engine::Engine;

/// For what takes a start, a tick or two, and the first wait for room.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// So that nothing waits for half a minute to be looked at again.
const QUICK: [(&str, &str); 7] = [
    ("ACTIVE_ALARM_MS", "1000"),
    ("ARM_DELAY_MS", "50"),
    ("BACK_OFF_MS", "200"),
    ("DRAIN_MS", "500"),
    ("GRACE_MS", "1000"),
    ("HEARTBEAT_MS", "300"),
    ("MAX_CONCURRENCY", "7"),
];

/// Looks until there is what is looked for; else ends the test with what was there instead.
#[track_caller]
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begin.elapsed() > patience => {
                panic!("no {what} within {patience:?}; instead:\n{seen}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A worker on workerd, and the engine that gives it containers.
pub(crate) struct World {
    // Ended in this order.
    pub(crate) stack: Stack,
    pub(crate) engine: Engine,
    runs: PathBuf,
    http: ureq::Agent,
    _dir: TempDir,
}

impl World {
    /// Starts both. Its agent is the example agent.
    pub(crate) fn start(change: impl FnOnce(Options) -> Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::start(dir.path());
        let runs = dir.path().join("runs");
        fs::create_dir(&runs).unwrap();
        let mut options = Options::for_test(&dir.path().join("data")).unwrap();
        options.engine = Some(engine.socket().to_owned());
        for (name, value) in QUICK {
            options = options.set(name, value);
        }
        let stack = Stack::start(change(options)).unwrap();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None);
        Self { stack, engine, runs, http: config.build().into(), _dir: dir }
    }

    /// Starts both. Its agents wait for [`World::open`].
    pub(crate) fn with_waiting_agents(change: impl FnOnce(Options) -> Options) -> Self {
        let agent = repo::root().join("tests/town/agents/waits");
        let agent = shlex::try_quote(agent.to_str().unwrap()).unwrap().into_owned();
        Self::start(|options| {
            // Beside the stack's own data.
            let runs = options.data.with_file_name("runs");
            change(options.set("AGENT_COMMAND", format!("{agent} {}", runs.display())))
        })
    }

    /// Sends a request as the operator: what it was answered, and the body as JSON.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let token = format!("Bearer {}", self.stack.token());
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.stack.url()))
            .header("authorization", token);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = self.http.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Asks the town's container.
    pub(crate) fn container(&self, method: &str, path: &str) -> (u16, Value) {
        self.send(method, &format!("/api/towns/local/container{path}"), &Value::Null)
    }

    /// Makes a bead for the rig's agents, which the example agent can do, and answers its id.
    #[track_caller]
    pub(crate) fn assigned(&self, title: &str) -> String {
        let bead = json!({
            "title": title,
            "body": "Read /etc/hostname inside the agent sandbox and close.",
            "acceptance_criteria": "bd note includes 'hostname=' line and bead is closed.",
            "assignee": "agent",
        });
        let (status, answer) = self.send("POST", "/api/rigs/main/beads", &bead);
        assert_eq!(status, 201, "{answer}");
        answer["data"]["id"].as_str().unwrap().to_owned()
    }

    /// A bead with its notes.
    #[track_caller]
    pub(crate) fn bead(&self, id: &str) -> Value {
        let (status, answer) =
            self.send("GET", &format!("/api/rigs/main/beads/{id}"), &Value::Null);
        assert_eq!(status, 200, "{answer}");
        answer["data"].clone()
    }

    /// Waits until a bead is as it should be.
    #[track_caller]
    pub(crate) fn bead_until(
        &self,
        id: &str,
        what: &str,
        patience: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        until(&format!("bead that is {what}"), patience, || {
            let bead = self.bead(id);
            if fits(&bead) { Ok(bead) } else { Err(format!("{bead:#}\n{}", self.told())) }
        })
    }

    /// Waits until a bead is closed.
    #[track_caller]
    pub(crate) fn closed(&self, id: &str) -> Value {
        self.bead_until(id, "closed", SOON, |bead| bead["status"] == "closed")
    }

    /// Waits until a bead says that it waits for the container, and answers why.
    #[track_caller]
    pub(crate) fn waits_for_the_container(&self, id: &str) -> String {
        let bead = self.bead_until(id, "waiting for the container", SOON, |bead| {
            bead["waiting"]["reason"] == "container_unavailable"
        });
        assert_eq!(bead["attempts"], 0, "waiting costs no attempt: {bead:#}");
        bead["waiting"]["message"].as_str().unwrap().to_owned()
    }

    /// Lets waiting agents close their beads, for good.
    pub(crate) fn open(&self) {
        fs::write(self.runs.join("open"), "").unwrap();
    }

    /// What the waiting agents of a bead wrote, in its order: attempt and word.
    pub(crate) fn runs(&self, bead: &str) -> Vec<(i64, String)> {
        let text = fs::read_to_string(self.runs.join("log")).unwrap_or_default();
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let of_bead = lines.filter_map(|words| match words.as_slice() {
            [of, attempt, _, word] if *of == bead => {
                Some((attempt.parse().ok()?, (*word).to_owned()))
            }
            _ => None,
        });
        of_bead.collect()
    }

    /// Waits until a waiting agent is at work on a bead, in another run than that one, and answers its attempt.
    #[track_caller]
    pub(crate) fn at_work(&self, bead: &str, but: Option<i64>) -> i64 {
        until("agent at work", SOON, || {
            let other = self.runs(bead).into_iter().find(|(attempt, _)| Some(*attempt) != but);
            other.map(|(attempt, _)| attempt).ok_or_else(|| self.told())
        })
    }

    /// What the parts wrote last.
    fn told(&self) -> String {
        let mut logs = vec![("worker".to_owned(), self.stack.worker.log())];
        for (n, machine) in self.engine.machines().iter().enumerate() {
            logs.push((format!("container {n}"), machine.log()));
        }
        let mut out = String::new();
        for (name, log) in logs {
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(30)..].join("\n");
            out.push_str(&format!("--- the end of the log of the {name}\n{tail}\n"));
        }
        out
    }
}
