//! The real core of a rig behind HTTP: every rule, on a real SQLite, with the clock of the core's own tests. Must never
//! answer anything by itself; what the worker adds around a rig is given by each test.

#![allow(dead_code, reason = "each test crate uses its part")]

#[path = "../../../tests/support/mod.rs"]
mod rig;

use super::support::{Asked, Reply, Rig, json, refused};
pub(crate) use rig::TestRig;
use std::sync::mpsc::{Sender, channel};
use std::thread;

type Work = Box<dyn FnOnce(&mut TestRig) + Send>;

/// A rig in a thread of its own: its store knows one thread, as a Durable Object does.
#[derive(Clone)]
pub(crate) struct Core(Sender<Work>);

impl Core {
    pub(crate) fn new() -> Self {
        let (work, todo) = channel::<Work>();
        thread::spawn(move || {
            let mut rig = TestRig::new();
            for work in todo {
                work(&mut rig);
            }
        });
        Self(work)
    }

    /// Does something to it beside HTTP.
    pub(crate) fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut TestRig) -> T + Send + 'static,
    ) -> T {
        let (answer, answers) = channel();
        let work = move |rig: &mut TestRig| answer.send(work(rig)).unwrap();
        self.0.send(Box::new(work)).unwrap();
        answers.recv().unwrap()
    }

    /// An operator's call, beside HTTP.
    pub(crate) fn post(&self, path: &str, body: &str) -> serde_json::Value {
        let (path, body) = (path.to_owned(), body.to_owned());
        let (status, answer) = self.with(move |rig| rig.operator("POST", &path, &body));
        assert!(status < 300, "{status} {answer}");
        answer["data"].clone()
    }

    /// Makes a bead, and answers its id.
    pub(crate) fn bead(&self, body: &str) -> String {
        self.post("/beads", body)["id"].as_str().unwrap().to_owned()
    }

    /// Starts what is to be started, and has the container accept it.
    pub(crate) fn tick(&self) {
        self.with(|rig| {
            rig.schedule();
            rig.accept();
        });
    }

    /// Serves it; what `first` answers never reaches the rig.
    pub(crate) fn serve(
        &self,
        mut first: impl FnMut(&Asked) -> Option<Reply> + Send + 'static,
    ) -> Rig {
        let core = self.clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let answer = move |asked: &Asked| first(asked).unwrap_or_else(|| core.answer(asked));
        // What belongs to a bead is asked of the core too.
        Rig::with(listener, |_| None, move || answer)
    }

    fn answer(&self, asked: &Asked) -> Reply {
        let (method, path) = asked.line.split_once(' ').unwrap();
        let Some(path) = path.strip_prefix("/api/rigs/main") else {
            return refused(404, "not_found", "Not found");
        };
        let (method, path, body) = (method.to_owned(), path.to_owned(), asked.body.clone());
        let (status, body) = self.with(move |rig| rig.operator(&method, &path, &body));
        Reply::Answer(status, body.to_string())
    }
}

pub(crate) fn rig() -> (Core, Rig) {
    let core = Core::new();
    let rig = core.serve(|_| None);
    (core, rig)
}

/// Slings one bead and has the container accept its run; answers bead and agent.
pub(crate) fn slung(core: &Core, rig: &Rig) -> (String, String) {
    let made =
        json(rig, &["sling", "Fix the parser", "--acceptance", "cargo test passes", "-p", "1"]);
    core.tick();
    let name = |key: &str| made[key]["id"].as_str().unwrap().to_owned();
    (name("bead"), name("agent"))
}

/// The agent's process ends.
pub(crate) fn ended(core: &Core, rig: &Rig, agent: &str, status: &str) {
    let run = json(rig, &["agents", "show", agent])["attempt"]["number"].clone();
    let report =
        format!(r#"{{"status":"{status}","reason":"exited","exit_code":3,"attempt":{run}}}"#);
    core.post(&format!("/agents/{agent}/completed"), &report);
}

/// Ids are made anew with each version of the core; what they are is not what is told here.
pub(crate) fn plain(text: &str, ids: &[&String]) -> String {
    let named = ["BEAD", "AGENT", "OTHER", "MORE"];
    let text = ids
        .iter()
        .zip(named)
        .fold(text.to_owned(), |text, (id, name)| text.replace(id.as_str(), name));
    let mut jobs = text.split("job=");
    let first = jobs.next().unwrap().to_owned();
    jobs.fold(first, |all, rest| all + "job=JOB" + &rest[12..])
}
