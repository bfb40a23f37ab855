//! A rig made of canned answers, and the real command run against it. Must never answer in a shape of its own: bodies
//! are made of the wire types.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(unreachable_pub, reason = "a module of several test crates")]
#![allow(dead_code, reason = "each test crate uses its part")]

use beadrig::wire::Envelope;
use beadrig::wire::rig::{BeadView, Failure, NoteView, Waiting};
use serde::Serialize;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;

pub const TOKEN: &str = "s3cret-token";

pub mod linked;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST /api/rigs/main/beads`.
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What the rig does with a request.
pub enum Reply {
    Answer(u16, String),
    /// With the clock of whoever answers.
    Dated(String, String),
    /// Hears it, and hangs up.
    Cut,
    /// Hears it, and says nothing.
    Silence,
}

pub fn ok(data: impl Serialize) -> Reply {
    Reply::Answer(200, serde_json::to_string(&Envelope::ok(data)).unwrap())
}

pub fn refused(status: u16, code: &str, sentence: &str) -> Reply {
    Reply::Answer(status, serde_json::to_string(&Envelope::error(code, sentence)).unwrap())
}

/// A rig that answers until the test ends.
pub struct Rig {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Rig {
    pub fn new(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    /// What belongs to a bead is nothing, unless a test is about it: then it answers itself.
    pub fn on(
        listener: TcpListener,
        mut answer: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let answer = move |asked: &Asked| answer(asked);
        Self::with(listener, besides, move || answer)
    }

    /// `besides` answers what is not told in [`asked`](Self::asked); `make` is called where the requests are heard.
    pub fn with<A: FnMut(&Asked) -> Reply>(
        listener: TcpListener,
        besides: fn(&Asked) -> Option<Reply>,
        make: impl FnOnce() -> A + Send + 'static,
    ) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            let mut answer = make();
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = hear(&stream);
                let reply = besides(&request).unwrap_or_else(|| {
                    log.lock().unwrap().push(request.clone());
                    answer(&request)
                });
                match reply {
                    Reply::Answer(status, body) => {
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                        );
                        // The command may have given up meanwhile.
                        let _ = stream.write_all((head + &body).as_bytes());
                    }
                    Reply::Dated(date, body) => {
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 200 X\r\nconnection: close\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n"
                        );
                        let _ = stream.write_all((head + &body).as_bytes());
                    }
                    Reply::Cut => {}
                    Reply::Silence => silent.push(stream),
                }
            }
        });
        Self { url, asked }
    }

    /// `METHOD /path body`, without what all have.
    pub fn asked(&self) -> String {
        let asked = self.asked.lock().unwrap();
        let line = |asked: &Asked| {
            format!("{} {}", asked.line.replace("/api/rigs/main", ""), asked.body).trim().to_owned()
                + "\n"
        };
        asked.iter().map(line).collect()
    }

    pub fn requests(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Nothing belongs to a bead, and no part of a name means one.
fn besides(asked: &Asked) -> Option<Reply> {
    let nothing = serde_json::json!([]);
    let none = serde_json::json!({ "dependencies": [], "dependents": [] });
    match asked.line.as_str() {
        line if !line.starts_with("GET ") => None,
        line if line.contains("/main/details?") || line.contains("/main/names?") => {
            Some(ok(nothing))
        }
        line if line.contains("/main/ready?") || line.contains("/main/blocked?") => {
            Some(ok(nothing))
        }
        line if line.ends_with("/comments") => Some(ok(nothing)),
        line if line.ends_with("/dependencies") => Some(ok(none)),
        _ => None,
    }
}

fn hear(stream: &TcpStream) -> Asked {
    let mut lines = BufReader::new(stream);
    let mut next = || {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let line = next().trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<String> =
        std::iter::from_fn(|| Some(next()).filter(|line| !line.is_empty())).collect();
    let mut asked = Asked { line, headers, body: String::new() };
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    asked.body = String::from_utf8(body).unwrap();
    asked
}

/// An address where nobody listens; not that of the rigs here, one of which might get the port.
pub fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.2:0").or_else(|_| TcpListener::bind("127.0.0.1:0"));
    listener.unwrap().local_addr().unwrap().to_string()
}

/// A directory that is a project of its own, so that none above is found.
pub fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(path.join(".beadrig")).unwrap();
    fs::write(path.join(".beadrig/config.json"), "{}").unwrap();
    path
}

/// Made once: tests run at the same time.
static HERE: LazyLock<PathBuf> = LazyLock::new(|| directory("here"));

/// The command with an environment of its own.
pub fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beadrig"));
    command
        .args(args)
        .env_clear()
        .envs([
            ("BEADRIG_URL", url),
            ("BEADRIG_TOKEN", TOKEN),
            ("BEADS_ACTOR", "alice"),
            ("TZ", "UTC"),
        ])
        .current_dir(&*HERE)
        .stdin(Stdio::null());
    command
}

/// What it prints, each stream under its name, and how it ends.
pub fn output(mut command: Command) -> String {
    show(&command.output().unwrap())
}

pub fn show(output: &std::process::Output) -> String {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let err = String::from_utf8(output.stderr.clone()).unwrap();
    let code = output.status.code().unwrap();
    let text = match err.as_str() {
        "" => format!("{out}exit {code}\n"),
        _ => format!("{out}--- stderr\n{err}exit {code}\n"),
    };
    assert!(!text.contains(TOKEN), "the token is printed: {text}");
    text
}

/// Runs it against a rig; its address reads `http://rig`.
pub fn run(rig: &Rig, args: &[&str]) -> String {
    output(command(&rig.url, args)).replace(&rig.url, "http://rig")
}

/// A bead with nothing in it but what it must have.
pub fn bead(id: &str) -> BeadView {
    BeadView {
        id: id.into(),
        kind: "task".into(),
        status: "open".into(),
        title: "Fix the parser".into(),
        body: None,
        design: None,
        acceptance_criteria: None,
        priority: "medium".into(),
        assignee: None,
        assignee_agent_id: None,
        parent: None,
        labels: Vec::new(),
        metadata: serde_json::Map::new(),
        external_ref: None,
        due_at: None,
        defer_until: None,
        attempts: 0,
        cost_usd: None,
        created_at: "2026-11-20T03:40:44.939Z".into(),
        created_by: "alice".into(),
        updated_at: "2026-11-20T03:41:00.000Z".into(),
        started_at: None,
        closed_at: None,
        close_reason: None,
        failure: None,
        waiting: None,
        convoy_id: None,
        molecule_id: None,
        branch: None,
        pr_url: None,
        notes: None,
    }
}

/// A bead with everything in it.
pub fn full_bead() -> BeadView {
    BeadView {
        status: "closed".into(),
        body: Some("Read /etc/hostname inside <sandbox> & say it\nin one line".into()),
        design: Some("With cat".into()),
        acceptance_criteria: Some("A note includes 'hostname='".into()),
        priority: "high".into(),
        assignee: Some("agent".into()),
        assignee_agent_id: Some("a1".into()),
        parent: Some("rig-1".into()),
        labels: vec!["infra".into(), "smoke".into()],
        metadata: serde_json::from_str(r#"{"tries": 2, "where": "here"}"#).unwrap(),
        external_ref: Some("gh-9".into()),
        due_at: Some("2026-12-01T00:00:00.000Z".into()),
        defer_until: Some("2026-11-21T00:00:00.000Z".into()),
        attempts: 2,
        cost_usd: None,
        started_at: Some("2026-11-20T03:42:00.000Z".into()),
        closed_at: Some("2026-11-20T03:45:00.000Z".into()),
        close_reason: Some("completed by agent abcdef123456".into()),
        notes: Some(vec![
            note("claimed by agent"),
            NoteView { author: "a1".into(), ..note("two\nlines") },
        ]),
        ..bead("rig-2")
    }
}

pub fn waiting_bead() -> BeadView {
    BeadView {
        assignee: Some("agent".into()),
        waiting: Some(Waiting {
            reason: "no_acceptance_criteria".into(),
            message:
                "no agent takes it without acceptance criteria: give it some with `beadrig update`"
                    .into(),
            until: None,
        }),
        ..bead("rig-3")
    }
}

pub fn failed_bead() -> BeadView {
    BeadView {
        status: "failed".into(),
        failure: Some(Failure {
            code: "attempts_used_up".into(),
            message: "5 runs in 24 h ended without a result: see the notes, then reopen it".into(),
        }),
        ..bead("rig-4")
    }
}

pub fn note(text: &str) -> NoteView {
    NoteView { author: "alice".into(), at: "2026-11-20T03:43:00.000Z".into(), text: text.into() }
}

pub fn noted(notes: &[&str]) -> BeadView {
    BeadView { notes: Some(notes.iter().map(|text| note(text)).collect()), ..bead("rig-1") }
}

/// What is asked, then what is printed.
pub fn check(
    answer: impl FnMut(&Asked) -> Reply + Send + 'static,
    args: &[&str],
    expect: expect_test::Expect,
) {
    let rig = Rig::new(answer);
    let printed = run(&rig, args);
    expect.assert_eq(&format!("{}---\n{printed}", rig.asked()));
}

/// Runs it without a terminal, in JSON.
pub fn json(rig: &Rig, args: &[&str]) -> serde_json::Value {
    let mut command = command(&rig.url, args);
    let output = command.arg("--json").output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?} is no JSON: {error}\n{}", show(&output)))
}
