//! `doctor`: a chain that is whole, and each of its links broken in turn. The rig is the real core, the repository a
//! real one; only the worker's front door and the container are given.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/core.rs"]
mod core;
mod support;

use beadrig::command::{Command as RigCommand, StartAnswer};
use beadrig::id::Millis;
use beadrig::store::Pause;
use core::Core;
use expect_test::expect;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{Asked, Reply, Rig, command, nowhere, ok, output, run};

/// The chain, and what of it is not as it should be.
struct Chain {
    core: Core,
    rig: Rig,
}

impl Chain {
    fn new() -> Self {
        Self::broken(|_| None)
    }

    /// What `link` answers, nobody else does.
    fn broken(mut link: impl FnMut(&Asked) -> Option<Reply> + Send + 'static) -> Self {
        let core = Core::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        core.with(move |rig| rig.pass(i64::try_from(now).unwrap() - rig.now.0));
        let rig = core.serve(move |asked| link(asked).or_else(|| well(asked)));
        run(&rig, &["settings", "set", "agent_command=/bin/sh -c true"]);
        Self { core, rig }
    }

    fn doctor(&self) -> Value {
        let mut doctor = command(&self.rig.url, &["doctor", "--json"]);
        doctor.env("PATH", std::env::var_os("PATH").unwrap());
        let output = doctor.output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.success(), answer["healthy"] == true, "{answer}");
        answer
    }

    /// What is not well: its name, how it is, what is said of it.
    fn ills(&self) -> BTreeMap<String, (String, String)> {
        ills(&self.doctor())
    }

    /// That this alone is not well, and what is said of it.
    #[track_caller]
    fn only(&self, name: &str, state: &str) -> String {
        let mut ills = self.ills();
        ills.retain(|_, (state, _)| state != "skip");
        let (found, said) = ills.remove(name).unwrap_or_default();
        assert_eq!((found.as_str(), ills.len()), (state, 0), "{said}; {ills:?}");
        said
    }
}

fn ills(answer: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = answer["checks"].as_array().unwrap().iter();
    let ill = checks.filter(|check| check["state"] != "ok");
    ill.map(|it| (text(&it["name"]), (text(&it["state"]), text(&it["message"])))).collect()
}

/// What the worker and the container answer when they are well.
fn well(asked: &Asked) -> Option<Reply> {
    match asked.line.as_str() {
        "GET /health" => Some(Reply::Answer(200, r#"{"status":"ok"}"#.into())),
        "GET /openapi.json" => Some(version(env!("CARGO_PKG_VERSION"))),
        line if line.ends_with("/container/health") => Some(container(&json!({}))),
        _ => None,
    }
}

fn version(version: &str) -> Reply {
    Reply::Answer(200, json!({"openapi": "3.1.0", "info": {"version": version}}).to_string())
}

fn container(other: &Value) -> Reply {
    let mut health = json!({"status": "ok", "bootId": "b1", "protocol": 1, "agents": 1,
        "capacity": 10, "uptime": 61_000, "diskFree": "12 GB"});
    health.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    Reply::Answer(200, health.to_string())
}

/// A repository with one branch, `main`.
fn repository(name: &str) -> String {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    for args in [
        &["init", "-q", "-b", "main"][..],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "first",
        ],
    ] {
        assert!(Command::new("git").args(args).current_dir(&dir).status().unwrap().success());
    }
    dir.to_str().unwrap().to_owned()
}

#[test]
fn a_chain_that_is_whole() {
    let chain = Chain::new();
    let url = format!("git_url=file://{}", repository("doctor-whole"));
    run(&chain.rig, &["settings", "set", &url, "default_branch=main"]);
    chain.core.with(|rig| rig.wake = None);
    let mut doctor = command(&chain.rig.url, &["doctor"]);
    doctor.env("PATH", std::env::var_os("PATH").unwrap());
    let told = output(doctor).replace(&chain.rig.url, "http://rig");
    expect![[r#"
        ok    settings       rig main at http://rig, token from BEADRIG_TOKEN
        ok    worker         http://rig answers
        ok    token          accepted, from BEADRIG_TOKEN
        ok    rig            main answers, protocol 1
        ok    version        both are VERSION
        ok    clock          the same machine
        ok    alarm          none, and nothing to do
        ok    dispatch       on: beads are handed to agents
        ok    breaker        closed: starts succeed
        ok    container      town local: 1 of 10 places taken, boot b1, up 61 s, protocol 1, diskFree "12 GB"
        ok    git            file:///tmp/doctor-whole answers, 1 branches
        ok    agent command  /bin/sh
        ok    beads          none is stuck
        ok    escalations    none waits for a person

        All is well.
        exit 0
    "#]].assert_eq(
        &told
            .replace(env!("CARGO_TARGET_TMPDIR"), "/tmp")
            .replace(env!("CARGO_PKG_VERSION"), "VERSION"),
    );
    assert_eq!(chain.doctor()["healthy"], true);
}

#[test]
fn without_a_token_nothing_else_is_looked_at() {
    let mut doctor = command("http://127.0.0.1:1", &["doctor"]);
    doctor.env_remove("BEADRIG_TOKEN");
    expect![[r#"
        bad   settings       no token for the rig
                             → give it with --token-file FILE, in BEADRIG_TOKEN, or as "token" in .beadrig/config.json
        -     worker         not looked at: something before it is broken
        -     token          not looked at: something before it is broken
        -     rig            not looked at: something before it is broken
        -     version        not looked at: something before it is broken
        -     clock          not looked at: something before it is broken
        -     alarm          not looked at: something before it is broken
        -     dispatch       not looked at: something before it is broken
        -     breaker        not looked at: something before it is broken
        -     container      not looked at: something before it is broken
        -     git            not looked at: something before it is broken
        -     agent command  not looked at: something before it is broken
        -     beads          not looked at: something before it is broken
        -     escalations    not looked at: something before it is broken

        1 broken.
        exit 1
    "#]].assert_eq(&output(doctor));
}

#[test]
fn a_worker_that_is_not_there_or_is_something_else() {
    let url = format!("http://{}", nowhere());
    let told = output(command(&url, &["doctor", "--json"])).replace(&url, "http://rig");
    assert!(told.contains("cannot reach the rig at http://rig"), "{told}");
    assert!(told.ends_with("exit 1\n"), "{told}");
    let other = Rig::new(|_| Reply::Answer(200, "<html>hello</html>".into()));
    let told = run(&other, &["doctor"]);
    assert!(
        told.contains("bad   worker") && told.contains("is the URL the one of a Beadrig worker?"),
        "{told}"
    );
    let service = Rig::new(|_| container(&json!({})));
    let told = run(&service, &["doctor"]);
    assert!(told.contains("http://rig is a container service, not a worker"), "{told}");
    let told = output(command("http://no-such-host.invalid", &["doctor"]));
    assert!(
        told.contains("cannot reach the rig") && told.contains("there is no such host"),
        "{told}"
    );
}

#[test]
fn a_token_that_is_refused() {
    let chain = Chain::broken(|asked| {
        asked
            .line
            .ends_with("/status")
            .then(|| support::refused(401, "unauthorized", "the token is not valid"))
    });
    let ills = chain.ills();
    assert_eq!(ills["token"].0, "bad");
    assert!(ills["token"].1.contains("from BEADRIG_TOKEN is refused"), "{ills:?}");
    assert_eq!(ills["container"].0, "skip", "{ills:?}");
}

#[test]
fn a_rig_that_was_deleted_and_one_that_speaks_another_protocol() {
    let gone = Chain::broken(|asked| {
        asked
            .line
            .ends_with("/status")
            .then(|| support::refused(404, "not_found", "Rig main was deleted"))
    });
    assert!(gone.only("rig", "bad").contains("Rig main was deleted"));
    let old = Chain::broken(|asked| {
        let health = json!({"status": "ok", "protocol": 99, "next_tick_at": null});
        (asked.line == "GET /api/rigs/main/health").then(|| ok(health))
    });
    assert_eq!(old.only("rig", "bad"), "it speaks protocol 99, this command 1");
}

#[test]
fn another_version_and_another_clock() {
    let of = |there: &'static str| {
        Chain::broken(move |asked| asked.line.ends_with("openapi.json").then(|| version(there)))
    };
    assert!(
        of("0.0.1").only("version", "bad").starts_with("the worker is 0.0.1, this command is ")
    );
    let own = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap().0;
    let near = format!("{own}.999").leak();
    assert!(
        of(near).only("version", "warn").starts_with("the worker is "),
        "the same but for a patch"
    );
    let off = |seconds: i64| {
        Chain::broken(move |asked| {
            let there = jiff::Zoned::now() - jiff::SignedDuration::from_secs(seconds);
            let date = jiff::fmt::rfc2822::to_string(&there).unwrap();
            (asked.line == "GET /health").then(|| Reply::Dated(date, r#"{"status":"ok"}"#.into()))
        })
    };
    assert!(off(3_600).only("clock", "bad").ends_with("s ahead of the worker's"));
    assert!(off(-3_600).only("clock", "bad").ends_with("s behind the worker's"));
    assert!(off(100).only("clock", "warn").ends_with("s ahead of the worker's"));
    assert!(!off(30).ills().contains_key("clock"));
}

#[test]
fn an_alarm_that_is_not_set_or_late() {
    let chain = Chain::new();
    chain.core.with(|rig| rig.assigned("Work"));
    chain.core.with(|rig| rig.wake = None);
    let said = chain.only("alarm", "bad");
    assert!(said.starts_with("there is work (") && said.ends_with("no alarm is set"), "{said}");
    chain.core.with(|rig| rig.wake = Some(rig.now.plus(-3_600_000)));
    assert!(chain.only("alarm", "bad").ends_with("s ago"));
    chain.core.with(|rig| rig.wake = Some(rig.now.plus(1_000)));
    assert!(chain.ills().is_empty() || chain.doctor()["healthy"] == true);
}

#[test]
fn dispatch_that_is_paused_says_by_whom() {
    let chain = Chain::new();
    let pause =
        Pause { by: "bob".into(), at: Millis(1_767_225_600_000), reason: Some("deploying".into()) };
    chain.core.with(move |rig| rig.apply(RigCommand::DeploymentPaused(Some(pause))).unwrap());
    assert_eq!(
        chain.only("dispatch", "warn"),
        "off: all rigs paused by bob since 2026-01-01 00:00:00 (deploying); ends with `beadrig resume --all`"
    );
    let off = Chain::new();
    run(&off.rig, &["settings", "set", "dispatch_enabled=false"]);
    assert!(off.only("dispatch", "warn").starts_with("off: off by a setting; ends with"));
}

#[test]
fn a_breaker_that_is_open() {
    let chain = Chain::broken(|asked| {
        let status = json!({"rig_id": "main", "beads": {}, "agents": [], "max_agents": 5,
            "dispatch_enabled": true, "next_tick_at": null,
            "breaker": {"message": "5 starts failed", "next_probe_at": "2026-11-20T03:41:00.000Z"}});
        asked.line.ends_with("/status").then(|| ok(status))
    });
    assert_eq!(
        chain.only("breaker", "bad"),
        "open: 5 starts failed; the next start is tried at 2026-11-20 03:41:00"
    );
}

#[test]
fn a_container_that_is_away_old_full_or_ending() {
    let with = |reply: fn() -> Reply| {
        Chain::broken(move |asked| asked.line.ends_with("/container/health").then(reply))
    };
    let away = with(|| {
        Reply::Answer(503, r#"{"error":"it does not answer","code":"unavailable"}"#.into())
    });
    assert_eq!(away.only("container", "bad"), "town local: it does not answer");
    let old = with(|| container(&json!({"protocol": 99})));
    assert_eq!(old.only("container", "bad"), "it speaks protocol 99, this command 1");
    let full = with(|| container(&json!({"agents": 10})));
    assert!(full.only("container", "warn").contains("10 of 10 places taken"));
    let ending = with(|| container(&json!({"status": "draining"})));
    assert!(ending.only("container", "warn").starts_with("draining: "));
    let quiet = with(|| panic!("nobody asks"));
    let told = run(&quiet.rig, &["doctor", "--no-container"]);
    assert!(told.contains("not asked, as --no-container says"), "{told}");
}

#[test]
fn a_repository_that_is_gone_or_has_another_branch() {
    let chain = Chain::new();
    let there = repository("doctor-branch");
    run(
        &chain.rig,
        &["settings", "set", &format!("git_url=file://{there}"), "default_branch=trunk"],
    );
    assert!(chain.only("git", "bad").ends_with("has no branch trunk"));
    run(&chain.rig, &["settings", "set", "git_url=file:///nowhere/at/all.git"]);
    let said = chain.only("git", "bad");
    assert!(said.contains("fatal: ") && said.contains("'/nowhere/at/all.git'"), "{said}");
}

#[test]
fn a_repository_that_does_not_answer_is_waited_for_ten_seconds_and_no_longer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git_url=https://127.0.0.1:{}/site.git", silent.local_addr().unwrap().port());
    let chain = Chain::new();
    run(&chain.rig, &["settings", "set", &url]);
    assert!(chain.only("git", "bad").ends_with("it did not answer within 10 s"));
    // Whoever asked is gone: nobody holds the other end any more.
    let (mut asked, _) = silent.accept().unwrap();
    asked.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    asked.read_to_end(&mut Vec::new()).expect("git's helper ended with it");
}

#[test]
fn an_agent_command_that_is_not_there() {
    let chain = Chain::new();
    run(&chain.rig, &["settings", "set", "agent_command=/no/such/agent -p"]);
    assert_eq!(
        chain.only("agent_command", "bad"),
        "/no/such/agent is not there, or not executable"
    );
    run(&chain.rig, &["settings", "set", "agent_command=no-such-agent -p"]);
    let ills = chain.ills();
    assert!(
        ills["agent_command"].1.starts_with("no-such-agent is not in this shell's PATH"),
        "{ills:?}"
    );
}

/// A name that only the container service looks up: a start that it refused tells.
#[test]
fn an_agent_command_that_the_container_service_does_not_find() {
    let chain = Chain::new();
    run(&chain.rig, &["settings", "set", "agent_command=no-such-agent -p"]);
    chain.core.with(|rig| {
        rig.assigned("Work");
        rig.schedule();
        let start = rig.starts.remove(0);
        let why = "no-such-agent could not be started: No such file or directory (os error 2)";
        let answer = StartAnswer::Refused(why.into());
        rig.apply(RigCommand::StartAnswered(start.agent_id, start.attempt, answer)).unwrap();
    });
    let said = "no-such-agent could not be started: No such file or directory (os error 2)";
    assert_eq!(chain.only("agent_command", "bad"), said);
    // Another one was not tried yet.
    run(&chain.rig, &["settings", "set", "agent_command=/bin/sh -c true"]);
    assert!(!chain.ills().contains_key("agent_command"));
}

#[test]
fn beads_and_escalations_that_wait_for_a_person() {
    let chain = Chain::new();
    let loose = chain.core.bead(r#"{"title":"Loose","assignee":"agent"}"#);
    assert_eq!(chain.only("beads", "warn"), format!("1 waits for a person: {loose}"));
    run(&chain.rig, &["close", &loose]);
    let asks = chain.core.post("/escalations", r#"{"title":"The disk is full","severity":"high"}"#);
    let asks = asks["id"].as_str().unwrap();
    assert_eq!(chain.only("escalations", "warn"), format!("1 waits for a person: {asks}"));
}
