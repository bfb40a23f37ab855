//! A local stack, and what a test asks of its rigs.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::time::{Duration, Instant};

use beadrig::token::Claims;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::stack::{Options, Stack, TOWN};

/// A stack with a directory of its own.
pub(crate) struct Live {
    pub(crate) stack: Stack,
    http: ureq::Agent,
    _dir: TempDir,
}

impl Live {
    /// Starts one with these settings.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// Starts one that keeps everything there.
    pub(crate) fn start_in(dir: TempDir, settings: &[(&str, &str)]) -> Self {
        let options = Options::for_test(dir.path()).unwrap();
        let options = settings.iter().fold(options, |it, (name, value)| it.set(name, value));
        let stack = Stack::start(options).unwrap();
        Self { stack, http: client(), _dir: dir }
    }

    /// One of its rigs.
    pub(crate) fn rig(&self, name: impl Into<String>) -> Rig<'_> {
        Rig { live: self, name: name.into(), token: self.stack.token().to_owned() }
    }
}

/// A client that keeps its connections and takes every status for an answer.
pub(crate) fn client() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_mins(1)));
    config.build().into()
}

/// A rig as one caller sees it.
pub(crate) struct Rig<'a> {
    pub(crate) live: &'a Live,
    pub(crate) name: String,
    pub(crate) token: String,
}

impl Rig<'_> {
    /// As its container.
    pub(crate) fn as_container(&self) -> Self {
        let token = self.live.stack.container_token();
        Self { live: self.live, name: self.name.clone(), token }
    }

    /// As an agent of it, in this attempt.
    pub(crate) fn as_agent(&self, agent: &str, attempt: i64) -> Self {
        let secrets = self.live.stack.secrets();
        let secrets = beadrig::token::Secrets::new(&secrets.token, &secrets.jwt_secret).unwrap();
        let token = secrets.sign(&Claims {
            agent_id: agent.to_owned(),
            rig_id: self.name.clone(),
            town_id: TOWN.to_owned(),
            user_id: "operator".to_owned(),
            attempt,
            iat: 0,
            exp: i64::MAX / 2_000,
        });
        Self { live: self.live, name: self.name.clone(), token }
    }

    /// The address of a path of the API.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/api/rigs/{}{path}", self.live.stack.url(), self.name)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let url = self.url(path);
        let request = self.live.http.get(&url);
        let answer = request.header("authorization", format!("Bearer {}", self.token)).call();
        read(&url, answer)["data"].take()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.send(&self.url(path), body)["data"].take()
    }

    /// A debug route.
    pub(crate) fn bench(&self, what: &str, body: &Value) -> Value {
        self.send(&format!("{}/__bench/rigs/{}/{what}", self.live.stack.url(), self.name), body)
    }

    fn send(&self, url: &str, body: &Value) -> Value {
        let request = self.live.http.post(url);
        let answer =
            request.header("authorization", format!("Bearer {}", self.token)).send_json(body);
        read(url, answer)
    }

    /// Files a bead for agents.
    pub(crate) fn assign(&self, title: &str) -> Value {
        self.post(
            "/beads",
            &json!({"title": title, "acceptance_criteria": "it works", "assignee": "agent"}),
        )
    }

    /// The agents and the numbers of their attempts, once so many run.
    pub(crate) fn running(&self, count: usize) -> Vec<(String, i64)> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let agents = self.get("/agents");
            let agents = agents.as_array().unwrap();
            let running: Vec<_> = agents
                .iter()
                .filter(|it| it["attempt"]["state"] == "running")
                .map(|it| {
                    (
                        it["id"].as_str().unwrap().to_owned(),
                        it["attempt"]["number"].as_i64().unwrap(),
                    )
                })
                .collect();
            if running.len() == count {
                return running;
            }
            assert!(Instant::now() < deadline, "not {count} agents run: {agents:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn read(url: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let mut answer = answer.unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    assert!(answer.status().is_success(), "{url}: {} {body}", answer.status());
    serde_json::from_str(&body).unwrap()
}
