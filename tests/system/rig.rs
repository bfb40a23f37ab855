//! One rig as its users see it: through the command line, through HTTP, and through what its agents write down.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use beadrig::wire::PROTOCOL_HEADER;
use serde_json::{Value, json};
use xtask::repo;

use crate::runs::Runs;
use crate::support::until;

/// What an HTTP request was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// 200 and so on.
    pub(crate) status: u16,
    /// JSON, or null.
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A rig.
#[derive(Clone)]
pub(crate) struct Rig {
    /// What its agents write down, and the gates that they wait at.
    pub(crate) runs: Runs,
    url: String,
    token: String,
    name: String,
    http: ureq::Agent,
}

impl Rig {
    pub(crate) fn new(url: String, token: String, name: &str, runs: PathBuf) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None);
        let http = config.build().into();
        Self { runs: Runs::new(runs), url, token, name: name.to_owned(), http }
    }

    /// Runs `beadrig`.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        let mut command = Command::new(repo::programs(!cfg!(debug_assertions)).join("beadrig"));
        command
            .args(args)
            .env("BEADRIG_URL", &self.url)
            .env("BEADRIG_RIG", &self.name)
            .env("BEADRIG_TOKEN", &self.token)
            .env("BEADRIG_ACTOR", "ann");
        command.output().unwrap()
    }

    /// Runs `beadrig`, which must succeed, and answers what it printed.
    #[track_caller]
    pub(crate) fn say(&self, args: &[&str]) -> String {
        let output = self.cli(args);
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "beadrig {args:?}: {}\n{out}{err}", output.status);
        out.into_owned()
    }

    /// Makes a bead that says when it is done, and answers its id.
    #[track_caller]
    pub(crate) fn create(&self, title: &str) -> String {
        let made = self.say(&["create", title, "--acceptance", "it is done", "--silent"]);
        made.trim().to_owned()
    }

    /// Hands a bead to the rig's agents.
    #[track_caller]
    pub(crate) fn assign(&self, bead: &str) {
        self.say(&["assign", bead, "agent"]);
    }

    /// Makes a bead and hands it to the rig's agents.
    #[track_caller]
    pub(crate) fn assigned(&self, title: &str) -> String {
        let bead = self.create(title);
        self.assign(&bead);
        bead
    }

    /// Sends a request with any token, or none; `path` follows the service's address.
    pub(crate) fn send(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let headers: Vec<_> =
            token.map(|it| ("authorization", format!("Bearer {it}"))).into_iter().collect();
        self.send_with(&headers, method, path, body)
    }

    /// Sends a request with the token of this one, in a version of the protocol.
    pub(crate) fn send_as_version(
        &self,
        version: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let token = format!("Bearer {}", self.token);
        let headers = [("authorization", token), (PROTOCOL_HEADER, version.to_owned())];
        self.send_with(&headers, method, path, body)
    }

    fn send_with(
        &self,
        headers: &[(&str, String)],
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body.to_owned()).unwrap();
        let mut response = self.http.run(request).map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }

    /// Sends a request as the operator under a name.
    pub(crate) fn send_as(
        &self,
        actor: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let token = format!("Bearer {}", self.token);
        let headers = [("authorization", token), ("x-beadrig-actor", actor.to_owned())];
        self.send_with(&headers, method, path, body)
    }

    /// The path of something in this rig.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/rigs/{}{rest}", self.name)
    }

    /// Sends a request to the rig as its operator.
    pub(crate) fn operator(&self, method: &str, rest: &str, body: &str) -> Result<Answer, String> {
        self.send(Some(&self.token), method, &self.path(rest), body)
    }

    /// Sends a request without a body to any path, as the operator.
    pub(crate) fn as_operator(&self, method: &str, path: &str) -> Result<Answer, String> {
        self.send(Some(&self.token), method, path, "")
    }

    /// Asks the rig as its operator; the worker may be away.
    pub(crate) fn try_get(&self, rest: &str) -> Result<Value, String> {
        let answer = self.operator("GET", rest, "")?;
        match answer.status {
            200 => Ok(answer.body["data"].clone()),
            status => Err(format!("{status} {}", answer.body)),
        }
    }

    /// Asks the rig as its operator.
    #[track_caller]
    pub(crate) fn get(&self, rest: &str) -> Value {
        self.try_get(rest).unwrap()
    }

    /// Uses a route of the test build, such as `fault` `alarm/panic`.
    pub(crate) fn debug(&self, kind: &str, what: &str) -> Result<Answer, String> {
        let path = format!("/__{kind}/rigs/{}/{what}", self.name);
        self.send(Some(&self.token), "POST", &path, "")
    }

    /// A bead with its notes.
    #[track_caller]
    pub(crate) fn bead(&self, id: &str) -> Value {
        self.get(&format!("/beads/{id}"))
    }

    /// The texts of a bead's notes, one a line.
    #[track_caller]
    pub(crate) fn notes(&self, id: &str) -> String {
        notes(&self.bead(id))
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
            let bead = self.try_get(&format!("/beads/{id}"))?;
            if fits(&bead) { Ok(bead) } else { Err(self.told(&bead)) }
        })
    }

    /// Waits until a bead has a status.
    #[track_caller]
    pub(crate) fn status_until(&self, id: &str, status: &str, patience: Duration) -> Value {
        self.bead_until(id, status, patience, |bead| bead["status"] == status)
    }

    /// Waits until no agent of the rig has a bead or a run.
    #[track_caller]
    pub(crate) fn idle(&self, patience: Duration) {
        until("idle rig", patience, || {
            let status = self.try_get("/status")?;
            let agents = status["agents"].as_array().cloned().unwrap_or_default();
            let busy = |it: &&Value| {
                it["attempt"] != json!(null) || it["current_hook_bead_id"] != json!(null)
            };
            match agents.iter().find(busy) {
                None => Ok(()),
                Some(agent) => Err(format!("{agent:#}\n{}", self.runs.told())),
            }
        });
    }

    /// A bead, and what its agents wrote down, for a failed test.
    fn told(&self, bead: &Value) -> String {
        let status = &bead["status"];
        let (waiting, failure) = (&bead["waiting"], &bead["failure"]);
        let (notes, runs) = (notes(bead), self.runs.told());
        format!(
            "status {status}, waiting {waiting}, failure {failure}\nnotes:\n{notes}\nruns:\n{runs}"
        )
    }
}

/// The texts of a bead's notes, one a line.
pub(crate) fn notes(bead: &Value) -> String {
    let notes = bead["notes"].as_array().cloned().unwrap_or_default();
    let texts: Vec<_> = notes.iter().filter_map(|note| note["text"].as_str()).collect();
    texts.join("\n")
}
