//! `watch` and `logs`: what happens is shown once, in order, and whatever happens to the connection. Against the real
//! core of a rig.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/core.rs"]
mod core;
mod support;

use beadrig::wire::container::{Event, EventPage, Problem};
use core::Core;
use expect_test::expect;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::{Asked, Reply, Rig, command, json, run};

/// Longer than any wait of the command.
const DEADLINE: Duration = Duration::from_secs(30);

/// A command that goes on, and what it prints line by line.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn new(rig: &Rig, args: &[&str]) -> Self {
        let mut command = command(&rig.url, args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (line, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|it| line.send(it)));
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line in time")
    }

    fn take(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Ends by itself; what it said beside.
    fn end(mut self) -> (bool, Vec<String>, String) {
        let until = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(20));
        };
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status.success(), self.lines.iter().collect(), err)
    }

    /// Is ended; what it said beside.
    fn stop(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert_eq!(self.lines.iter().count(), 0, "nothing came twice");
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        err
    }
}

/// A connection that can be cut; the rig still hears what is asked.
#[derive(Clone, Default)]
struct Weather(Arc<Mutex<u32>>);

impl Weather {
    fn cut(&self, answers: u32) {
        *self.0.lock().unwrap() = answers;
    }

    fn reply(&self, asked: &Asked, about: &str) -> Option<Reply> {
        let mut left = self.0.lock().unwrap();
        if *left == 0 || !asked.line.contains(about) {
            return None;
        }
        *left -= 1;
        Some(Reply::Cut)
    }
}

fn seqs(lines: &[String]) -> Vec<i64> {
    let seq = |line: &String| serde_json::from_str::<Value>(line).unwrap()["seq"].as_i64().unwrap();
    lines.iter().map(seq).collect()
}

#[test]
fn watch_shows_each_event_once_though_the_connection_is_lost() {
    let core = Core::new();
    let weather = Weather::default();
    let over = weather.clone();
    let rig = core.serve(move |asked| over.reply(asked, "/events"));
    let one = core.with(|rig| rig.assigned("One"));
    let watch = Following::new(&rig, &["watch", "--after", "0", "--json"]);
    let all = || json(&rig, &["watch", "--after", "0", "--once"]).as_array().unwrap().clone();
    let known = all().len();
    assert!(known > 0);
    let mut shown = watch.take(known);
    for round in 0..3 {
        weather.cut(2);
        for name in ["bob", "carol"] {
            run(&rig, &["assign", &one, &format!("{name}-{round}")]);
        }
        shown.extend(watch.take(2));
        assert_eq!(*weather.0.lock().unwrap(), 0, "it was cut");
    }
    let expected: Vec<_> = all().iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs(&shown), expected);
    let err = watch.stop();
    assert_eq!(err.lines().count(), 1, "said once: {err}");
    assert!(err.contains("lost the connection") && err.contains("trying again"), "{err}");
}

#[test]
fn watch_begins_now_and_may_look_at_one_bead_alone() {
    let core = Core::new();
    let rig = core.serve(|_| None);
    let (one, other) = core.with(|rig| (rig.assigned("One"), rig.assigned("Other")));
    // The clock of this rig stands in the past, so what was is not shown.
    let watch = Following::new(&rig, &["watch", "--bead", &one, "--json"]);
    let until = Instant::now() + DEADLINE;
    while !rig.asked().contains("/events") {
        assert!(Instant::now() < until, "it does not ask");
        thread::sleep(Duration::from_millis(10));
    }
    core.with(|rig| rig.pass(400 * 24 * 3_600_000));
    run(&rig, &["assign", &other, "bob"]);
    run(&rig, &["assign", &one, "bob"]);
    let event: Value = serde_json::from_str(&watch.next()).unwrap();
    assert_eq!(event["bead_id"], one.as_str(), "{event}");
    watch.stop();
}

#[test]
fn watch_waits_for_no_bead_that_never_was_and_tells_of_one_that_was_deleted() {
    let core = Core::new();
    let rig = core.serve(|_| None);
    let one = core.with(|rig| rig.assigned("One"));
    expect![[r#"
        --- stderr
        Error: no issue found matching "rig-none"
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["watch", "--bead", "rig-none"]));
    run(&rig, &["delete", &one, "--force"]);
    let told = run(&rig, &["watch", "--bead", &one, "--after", "0", "--once"]);
    assert!(told.contains(&one) && told.ends_with("exit 0\n"), "{told}");
}

#[test]
fn what_happened_is_told_in_words() {
    let core = Core::new();
    let rig = core.serve(|_| None);
    let made = json(&rig, &["sling", "Fix the parser", "--acceptance", "it works"]);
    let bead = made["bead"]["id"].as_str().unwrap().to_owned();
    core.tick();
    run(&rig, &["close", &bead, "-r", "done in 4f2c9d1"]);
    let told = run(&rig, &["watch", "--after", "0", "--once"]);
    let agent = made["agent"]["id"].as_str().unwrap();
    expect![[r#"
        00:00:00  BEAD  created  issue by ann: Fix the parser (P2)
        00:00:00  BEAD  hooked  AGENT by ann: Toast
        00:00:00  BEAD  agent spawned  1767225600000 by AGENT
        00:00:00  BEAD  closed  in_progress → closed by ann: done in 4f2c9d1
        exit 0
    "#]]
    .assert_eq(&told.replace(&bead, "BEAD").replace(agent, "AGENT"));
    expect![[r#"
        --- stderr
        Error: invalid --since format "whenever". Examples: +6h, +2d, tomorrow, 2025-01-15
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["watch", "--since", "whenever"]));
}

fn said(id: u64, text: &str, second: u32) -> Event {
    let timestamp = format!("2026-01-01T00:00:{second:02}.000Z");
    Event { id, event: "stdout".into(), data: text.into(), timestamp }
}

/// A container that has an agent's output; none knows no agent.
#[derive(Clone, Default)]
struct Container(Arc<Mutex<Option<Vec<Event>>>>);

impl Container {
    fn says(&self, events: Vec<Event>) {
        *self.0.lock().unwrap() = Some(events);
    }

    fn reply(&self, asked: &Asked) -> Option<Reply> {
        let (_, query) = asked.line.split_once("/container/agents/")?;
        let after: u64 = query.split("after=").nth(1)?.split('&').next()?.parse().ok()?;
        let Some(events) = &*self.0.lock().unwrap() else {
            let problem = Problem { error: "no such agent".into(), code: "not_found".into() };
            return Some(Reply::Answer(404, serde_json::to_string(&problem).unwrap()));
        };
        let events = events.iter().filter(|event| event.id > after).cloned().collect();
        Some(Reply::Answer(200, serde_json::to_string(&EventPage { events }).unwrap()))
    }
}

/// A rig with one run, its container, and a line that can be cut.
fn running() -> (Core, Rig, Container, Weather, String, String) {
    let (core, container, weather) = (Core::new(), Container::default(), Weather::default());
    let (there, over) = (container.clone(), weather.clone());
    let rig = core.serve(move |asked| over.reply(asked, "events?").or_else(|| there.reply(asked)));
    let made = json(&rig, &["sling", "Fix the parser", "--acceptance", "it works"]);
    core.tick();
    let name = |key: &str| made[key]["id"].as_str().unwrap().to_owned();
    (core, rig, container, weather, name("bead"), name("agent"))
}

#[test]
fn logs_shows_what_the_container_and_the_agent_itself_said_by_time() {
    let (core, rig, container, _, bead, agent) = running();
    expect![[r#"
        --- stderr
        Warning: it has said nothing yet
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["logs", &bead]));
    container.says(vec![said(1, "reading", 1), said(2, "\u{1b}[31mtests fail\u{1b}[0m", 3)]);
    let event =
        r#"{"event_type":"tool","data":{"text":"cargo test"},"at":"2026-01-01T00:00:02.000Z"}"#;
    core.post("/agent-events", &format!(r#"{{"agent_id":"{agent}","events":[{event}]}}"#));
    expect![[r#"
        reading
        [tool] cargo test
        tests fail
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["logs", &bead]));
    assert_eq!(run(&rig, &["logs", &agent]), run(&rig, &["logs", "toast"]));
    expect![[r#"
        2026-01-01 00:00:03  tests fail
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["logs", "toast", "-n", "1", "-t"]));
    let lines = json(&rig, &["logs", &bead]);
    let sources: Vec<_> = lines.as_array().unwrap().iter().map(|it| &it["source"]).collect();
    assert_eq!(sources, ["container", "rig", "container"], "{lines}");
    expect![[r#"
        --- stderr
        Error: there is no agent and no bead "rig-none"
        Hint: `beadrig agents` and `beadrig list` show them
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["logs", "rig-none"]));
    let loose = core.bead(r#"{"title":"Loose"}"#);
    expect![[r#"
        --- stderr
        Error: no agent has had BEAD yet
        Hint: `beadrig why BEAD` says why
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["logs", &loose]).replace(&loose, "BEAD"));
}

#[test]
fn logs_follows_a_bead_to_its_end_without_a_gap_or_a_double() {
    let (core, rig, container, weather, bead, _) = running();
    let logs = Following::new(&rig, &["logs", "-f", &bead]);
    let mut events = vec![said(1, "one", 1), said(2, "two", 2)];
    container.says(events.clone());
    assert_eq!(logs.take(2), ["one", "two"]);
    weather.cut(3);
    events.extend([said(3, "three", 3), said(4, "four", 4)]);
    container.says(events.clone());
    assert_eq!(logs.take(2), ["three", "four"]);
    core.post(&format!("/beads/{bead}/close"), "{}");
    events.push(said(5, "the last word", 5));
    container.says(events);
    assert_eq!(logs.next(), "the last word");
    let (well, rest, err) = logs.end();
    assert!(well && rest.is_empty(), "{rest:?} {err}");
    assert!(err.contains("lost the connection"), "{err}");
}

#[test]
fn logs_goes_over_to_the_agent_that_takes_the_bead_next() {
    let (core, rig, container, _, bead, agent) = running();
    container.says(vec![said(1, "one", 1)]);
    let logs = Following::new(&rig, &["logs", "-f", &bead, "--json"]);
    assert!(logs.next().contains(&agent));
    run(&rig, &["unhook", &agent]);
    let made = core.post("/agents", r#"{"role":"polecat","name":"Nux","identity":"nux"}"#);
    let other = made["id"].as_str().unwrap().to_owned();
    run(&rig, &["hook", &bead, &other]);
    let line = logs.next();
    assert!(line.contains(&other) && line.contains("one"), "{line}");
    run(&rig, &["close", &bead]);
    let (well, rest, err) = logs.end();
    assert!(well && rest.is_empty(), "{rest:?} {err}");
}

#[test]
fn a_container_that_counts_from_one_again_is_followed_too() {
    let (_core, rig, container, _, _, _) = running();
    let logs = Following::new(&rig, &["logs", "-f", "toast", "--json"]);
    container.says((1..=9).map(|id| said(id, "before", 1)).collect());
    logs.take(9);
    container.says(vec![said(1, "after", 20), said(2, "it was started anew", 21)]);
    let texts = logs.take(2);
    assert!(texts[0].contains("after") && texts[1].contains("anew"), "{texts:?}");
    logs.stop();
}

#[test]
fn a_container_that_is_away_is_left_out_and_said() {
    let (core, rig, _, _, bead, agent) = running();
    core.post(
        "/agent-events",
        &format!(r#"{{"agent_id":"{agent}","event_type":"output","data":{{"text":"hello"}}}}"#),
    );
    let away = core.serve(|asked| {
        asked.line.contains("/container/").then(|| {
            Reply::Answer(
                503,
                r#"{"error":"the container does not answer","code":"capacity"}"#.into(),
            )
        })
    });
    expect![[r#"
        hello
        --- stderr
        Warning: the container's part is not here: the container does not answer
        exit 0
    "#]]
    .assert_eq(&run(&away, &["logs", &bead]));
    drop(rig);
}
