//! A service, its rig and its client: what every test here begins with.

use std::ffi::OsString;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use beadrig::wire::container::{AgentStatus, EventPage, Phase};
use beadrig_container::rig::client;
use beadrig_container::{Config, Service};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};
use tempfile::TempDir;

use crate::rig::FakeRig;

pub(crate) const TOKEN: &str = "brc_t1.0123456789abcdef0123456789abcdef";

/// A condition that does not come true within this long never will.
const DEADLINE: Duration = Duration::from_secs(40);

pub(crate) struct Town {
    pub(crate) rig: FakeRig,
    pub(crate) data: TempDir,
    pub(crate) url: String,
    pub(crate) config: Config,
    pub(crate) service: Option<Service>,
    http: reqwest::Client,
}

impl Town {
    /// A service with a short grace and a heartbeat that never comes by itself.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A service with these settings too.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let mut town = Self::without_service(settings).await;
        let service = Service::start(town.config.clone()).await.unwrap();
        town.url = format!("http://{}", service.address());
        town.service = Some(service);
        town
    }

    /// Only the rig and the settings.
    pub(crate) async fn without_service(settings: &[(&str, &str)]) -> Self {
        let rig = FakeRig::default();
        let rig_url = rig.listen().await;
        let data = tempfile::tempdir().unwrap();
        let data_dir = data.path().to_str().unwrap();
        let defaults = [
            ("BEADRIG_CONTAINER_TOKEN", TOKEN),
            ("BEADRIG_URL", &rig_url),
            ("BEADRIG_CONTAINER_LISTEN", "127.0.0.1:0"),
            ("BEADRIG_DATA_DIR", data_dir),
            ("HEARTBEAT_MS", "3600000"),
            ("GRACE_MS", "200"),
            ("DRAIN_MS", "200"),
            // As in most containers; `cgroups` has those that need one.
            ("RUN_CGROUPS", "off"),
        ];
        let config = Config::read(|name| {
            let found = settings.iter().chain(&defaults).find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        Self {
            rig,
            config: config.unwrap(),
            data,
            url: String::new(),
            service: None,
            http: client().unwrap(),
        }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(TOKEN);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, Value::Null).await
    }

    /// Starts a shell script as an agent.
    pub(crate) async fn start(
        &self,
        agent: &str,
        attempt: i64,
        script: &str,
    ) -> (StatusCode, Value) {
        self.post("/agents/start", start(agent, attempt, script)).await
    }

    /// Starts a shell script as an agent, and it goes well.
    pub(crate) async fn run(&self, agent: &str, attempt: i64, script: &str) {
        let (status, body) = self.start(agent, attempt, script).await;
        assert_eq!(status, 201, "{body}");
    }

    pub(crate) async fn status(&self, agent: &str) -> AgentStatus {
        let (status, body) = self.get(&format!("/agents/{agent}/status")).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }

    /// Waits for an agent to be in a phase.
    pub(crate) async fn phase(&self, agent: &str, phase: Phase) -> AgentStatus {
        until(async || {
            let status = self.status(agent).await;
            if status.status == phase { Ok(status) } else { Err(status) }
        })
        .await
    }

    /// What an agent has said, both streams, without the status changes.
    pub(crate) async fn said(&self, agent: &str) -> Vec<String> {
        let (status, body) = self.get(&format!("/agents/{agent}/events")).await;
        assert_eq!(status, 200, "{body}");
        let page: EventPage = serde_json::from_value(body).unwrap();
        let said = page.events.into_iter().filter(|event| event.event != "status");
        said.map(|event| event.data).collect()
    }

    /// Waits until an agent has said a line.
    pub(crate) async fn hears(&self, agent: &str, line: &str) {
        until(async || {
            let said = self.said(agent).await;
            if said.iter().any(|other| other == line) { Ok(()) } else { Err(said) }
        })
        .await;
    }

    /// Waits for the exit report of an attempt that was accepted.
    pub(crate) async fn report(
        &self,
        agent: &str,
        attempt: i64,
    ) -> beadrig::wire::container::ExitReport {
        until(async || {
            let sent = self.rig.reports(agent);
            let accepted = sent
                .iter()
                .find(|sent| sent.answered == 200 && sent.report.attempt == Some(attempt));
            accepted.map(|sent| sent.report.clone()).ok_or(sent)
        })
        .await
    }

    /// The processes of this service's agents.
    pub(crate) fn processes(&self) -> Vec<String> {
        marked(self.data.path())
    }

    pub(crate) async fn nothing_is_left(&self) {
        until(async || {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }

    pub(crate) fn workdir(&self, agent: &str) -> PathBuf {
        self.data.path().canonicalize().unwrap().join("work/r1").join(agent)
    }
}

/// Asks to start a shell script for the rig `r1`.
pub(crate) fn start(agent: &str, attempt: i64, script: &str) -> Value {
    json!({
        "protocol": 1,
        "agentId": agent,
        "rigId": "r1",
        "townId": "t1",
        "beadId": format!("b-{agent}"),
        "attempt": attempt,
        "jobId": "0123456789ab",
        "role": "polecat",
        "name": "Toast",
        "identity": "Toast-polecat-r1",
        "command": ["/bin/sh", "-c", script],
        "prompt": "read the hostname of {title}",
        "title": "a {prompt}",
        "sessionToken": "session-token",
        "timeLimitS": 3600,
    })
}

/// What lives and has this data directory in its environment.
pub(crate) fn marked(data: &Path) -> Vec<String> {
    let mut mark = OsString::from("BEADRIG_SUPERVISOR=");
    mark.push(data.canonicalize().unwrap());
    let mut system = System::new().unwrap();
    let environment =
        ProcessRefreshKind::nothing().without_tasks().with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, environment);
    let found = system.processes().values().filter(|process| {
        process.status() != ProcessStatus::Zombie && process.environ().contains(&mark)
    });
    found.map(|process| format!("{} {}", process.pid(), process.name().display())).collect()
}

/// What lives and has this word in its command line, whatever its environment is.
pub(crate) fn called(word: &str) -> Vec<String> {
    let mut system = System::new().unwrap();
    let command = ProcessRefreshKind::nothing().without_tasks().with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, command);
    let found = system.processes().values().filter(|process| {
        let has = |part: &OsString| part.to_string_lossy().contains(word);
        process.status() != ProcessStatus::Zombie && process.cmd().iter().any(has)
    });
    found.map(|process| format!("{} {:?}", process.pid(), process.cmd())).collect()
}

/// Asks again until there is an answer; the last "not yet" is what the test fails with.
pub(crate) async fn until<T, E: Debug>(mut condition: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match condition().await {
            Ok(answer) => return answer,
            Err(last) => assert!(Instant::now() < deadline, "still {last:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
