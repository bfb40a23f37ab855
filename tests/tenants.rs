//! Who may do what to whose: every route, asked by everyone who is not the operator, about things of somebody else.
//!
//! What may pass is written down here. A route that is not in [`ROUTES`] fails the test with its name, so that
//! whoever adds one has to say who may use it on what is not theirs.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fmt::Write as _;

use beadrig::api::Routes;
use beadrig::store::{Sql, Value};
use beadrig::token::Caller;
use beadrig::wire::container::StartAgent;
use serde_json::json;
use support::{TestRig, TestSql, agent, container};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Another agent of the rig, at work.
    Peer,
    /// An agent of another rig, with the same name.
    Foreign,
    /// The agent itself, from a run that is over, while its next one works.
    Over,
    /// The agent itself, from its last run, which is over.
    Idle,
    /// The container of the rig's town.
    Container,
    /// The container of another town.
    Stranger,
}

use Who::{Container, Foreign, Idle, Over, Peer, Stranger};

/// What is read of a rig by whoever works in it.
const READ: &[Who] = &[Peer];

/// What anyone who works in the rig may add to it.
const ADD: &[Who] = &[Peer];

/// What the container says about runs and merges.
const REPORT: &[Who] = &[Container];

/// What is said about a run by the run itself as well; said again, it changes nothing.
const END: &[Who] = &[Container, Idle];

const NOBODY: &[Who] = &[];

/// Every route, with a body that is right, and who of those above may pass. `AGENT` and all that is named in capitals
/// belongs to an agent that is at work.
const ROUTES: &[(&str, &str, &str, &[Who])] = &[
    ("POST", "/beads", r#"{"title":"found on the way"}"#, ADD),
    ("GET", "/beads", "", READ),
    ("GET", "/beads/BEAD", "", READ),
    ("PATCH", "/beads/BEAD", r#"{"title":"another"}"#, NOBODY),
    ("PATCH", "/beads/BEAD/status", r#"{"status":"blocked","agent_id":"AGENT"}"#, NOBODY),
    ("POST", "/beads/BEAD/notes", r#"{"text":"done"}"#, NOBODY),
    ("POST", "/beads/BEAD/comments", r#"{"text":"look"}"#, NOBODY),
    ("GET", "/beads/BEAD/comments", "", READ),
    ("POST", "/import", r#"{"issues":[{"id":"demo-imported","title":"x"}]}"#, NOBODY),
    ("GET", "/export", "", NOBODY),
    ("POST", "/beads/BEAD/close", r#"{"reason":"done"}"#, NOBODY),
    ("POST", "/beads/CLOSED/reopen", "{}", NOBODY),
    ("POST", "/beads/LINKED/claim", "", NOBODY),
    ("DELETE", "/beads/BEAD", "", NOBODY),
    ("GET", "/beads/BEAD/children", "", READ),
    ("GET", "/beads/BEAD/dependencies", "", READ),
    ("POST", "/beads/BEAD/dependencies", r#"{"depends_on":"CLOSED"}"#, NOBODY),
    ("DELETE", "/beads/BEAD/dependencies/LINKED", "", NOBODY),
    ("GET", "/ready", "", READ),
    ("GET", "/blocked", "", READ),
    ("GET", "/events", "", READ),
    ("GET", "/details", "", READ),
    ("GET", "/names", "", READ),
    ("POST", "/agents", r#"{"role":"polecat","name":"x","identity":"x"}"#, NOBODY),
    ("GET", "/agents", "", READ),
    ("POST", "/agents/get-or-create", r#"{"role":"polecat"}"#, NOBODY),
    ("GET", "/agents/AGENT", "", READ),
    ("POST", "/agents/AGENT/hook", r#"{"bead_id":"LINKED"}"#, NOBODY),
    ("DELETE", "/agents/AGENT/hook", "", NOBODY),
    ("POST", "/agents/AGENT/checkpoint", r#"{"data":{"step":9}}"#, NOBODY),
    ("POST", "/agents/AGENT/heartbeat", "{}", NOBODY),
    ("POST", "/agents/AGENT/done", r#"{"summary":"done"}"#, NOBODY),
    ("POST", "/agents/AGENT/completed", r#"{"status":"failed","attempt":ATTEMPT}"#, END),
    ("DELETE", "/agents/AGENT", "", NOBODY),
    ("PATCH", "/agents/AGENT/status", r#"{"status":"blocked"}"#, NOBODY),
    ("GET", "/agents/AGENT/prime", "", NOBODY),
    ("GET", "/agents/AGENT/checkpoint", "", NOBODY),
    ("GET", "/agents/AGENT/events", "", NOBODY),
    ("POST", "/agent-events", r#"{"agent_id":"AGENT","event_type":"output"}"#, NOBODY),
    (
        "POST",
        "/mail",
        r#"{"from_agent_id":"AGENT","to_agent_id":"PEER","subject":"x","body":"x"}"#,
        NOBODY,
    ),
    ("GET", "/agents/AGENT/mail", "", NOBODY),
    ("POST", "/agents/AGENT/mail/ack", r#"{"ids":["MAIL"]}"#, NOBODY),
    ("POST", "/escalations", r#"{"title":"help"}"#, ADD),
    ("GET", "/escalations", "", READ),
    ("POST", "/escalations/ESCALATION/acknowledge", "", NOBODY),
    ("POST", "/heartbeats", r#"{"protocol":1,"boot_id":"b","agents":[]}"#, REPORT),
    ("POST", "/sling", r#"{"title":"more"}"#, NOBODY),
    ("GET", "/dispatch", "", READ),
    ("POST", "/pause", "", NOBODY),
    ("POST", "/resume", "", NOBODY),
    ("POST", "/agent-dispatch", r#"{"taskId":"BEAD"}"#, NOBODY),
    ("GET", "/agent-status", "", NOBODY),
    ("GET", "/config", "", NOBODY),
    ("PATCH", "/config", r#"{"max_agents":1}"#, NOBODY),
    (
        "POST",
        "/review-queue",
        r#"{"agent_id":"AGENT","bead_id":"BEAD","branch":"gt/toast/x"}"#,
        NOBODY,
    ),
    ("GET", "/review-queue", "", READ),
    ("GET", "/review-queue/REVIEW", "", READ),
    ("POST", "/review-queue/landing", r#"{"entries":[{"entry_id":"REVIEW","attempt":1}]}"#, REPORT),
    ("POST", "/review-queue/REVIEW/complete", r#"{"status":"merged","message":""}"#, REPORT),
    (
        "POST",
        "/molecules",
        r#"{"bead_id":"BEAD","formula":{"steps":[{"title":"a","instructions":"b"}]}}"#,
        NOBODY,
    ),
    ("GET", "/agents/AGENT/molecule/current", "", NOBODY),
    ("POST", "/agents/AGENT/molecule/advance", r#"{"summary":"did it"}"#, NOBODY),
    ("POST", "/convoys", r#"{"title":"all","beads":[{"bead_id":"LINKED"}]}"#, NOBODY),
    ("GET", "/convoys", "", READ),
    ("GET", "/convoys/CONVOY", "", READ),
    ("POST", "/tracked", r#"{"town_id":"local","bead_ids":["BEAD"]}"#, NOBODY),
    ("PUT", "/registration", r#"{"user_id":"ann","town_id":"local"}"#, NOBODY),
    ("GET", "/status", "", READ),
    ("GET", "/health", "", READ),
    ("GET", "/refusals", "", NOBODY),
    // Last, for nothing is left after it.
    ("DELETE", "/everything", "", NOBODY),
];

/// Where the path is the caller's own, and the body names what is not: what is answered.
const CROSSED: &[(&str, &str, &str, u16)] = &[
    ("POST", "/agents/PEER/hook", r#"{"bead_id":"BEAD"}"#, 409),
    ("POST", "/agents/PEER/hook", r#"{"bead_id":"LINKED"}"#, 409),
    ("PATCH", "/beads/BEAD/status", r#"{"status":"closed","agent_id":"PEER"}"#, 403),
    ("POST", "/beads/BEAD/close", r#"{"agent_id":"PEER"}"#, 403),
    ("POST", "/beads/OWN/close", r#"{"agent_id":"AGENT"}"#, 403),
    ("POST", "/review-queue", r#"{"agent_id":"PEER","bead_id":"BEAD","branch":"gt/x"}"#, 403),
    ("POST", "/review-queue", r#"{"agent_id":"AGENT","bead_id":"OWN","branch":"gt/x"}"#, 403),
    ("POST", "/beads", r#"{"title":"x","assignee":"agent"}"#, 403),
    ("PATCH", "/beads/OWN", r#"{"status":"open"}"#, 403),
];

/// A rig in which an agent has something of everything, from a second run, and a peer is at work.
struct World {
    rig: TestRig,
    names: Vec<(&'static str, String)>,
    owner: StartAgent,
    over: StartAgent,
    peer: StartAgent,
}

impl World {
    fn new() -> Self {
        let mut rig = TestRig::new();
        made(rig.operator("PATCH", "/config", r#"{"git_url":"https://example.org/o/r.git"}"#));
        let (bead, own) = (rig.assigned("theirs"), rig.assigned("the peer's"));
        rig.schedule();
        let starts = rig.accept();
        let (over, peer) = (starts[0].clone(), starts[1].clone());
        assert_eq!((&over.bead_id, &peer.bead_id), (&bead, &own));
        let report = json!({"status": "failed", "attempt": over.attempt, "exit_code": 1});
        let path = format!("/agents/{}/completed", over.agent_id);
        made(rig.call(&container(), "POST", &path, &report.to_string()));
        rig.pass(60_000);
        rig.schedule();
        let owner = rig.accept().remove(0);
        assert_eq!((&owner.bead_id, &owner.agent_id), (&bead, &over.agent_id));
        let mut world = Self { rig, names: Vec::new(), owner, over, peer };
        world.furnish(bead, own);
        world
    }

    /// Something of everything.
    fn furnish(&mut self, bead: String, own: String) {
        let (owner, peer) = (self.owner.clone(), self.peer.clone());
        let me = agent(&owner);
        let rig = &mut self.rig;
        let id = |answer: (u16, serde_json::Value), key: &str| match &made(answer)["data"][key] {
            serde_json::Value::String(id) => id.clone(),
            other => panic!("{key}: {other}"),
        };
        let closed = id(rig.operator("POST", "/beads", r#"{"title":"closed"}"#), "id");
        made(rig.operator("POST", &format!("/beads/{closed}/close"), ""));
        let linked = id(rig.operator("POST", "/beads", r#"{"title":"linked"}"#), "id");
        let link = json!({"depends_on": linked, "type": "related"}).to_string();
        made(rig.operator("POST", &format!("/beads/{bead}/dependencies"), &link));
        let reviewed = id(rig.operator("POST", "/beads", r#"{"title":"reviewed"}"#), "id");
        let body = json!({"agent_id": owner.agent_id, "bead_id": reviewed, "branch": "gt/a/b"});
        let review = id(rig.operator("POST", "/review-queue", &body.to_string()), "entry_id");
        let body = json!({"from_agent_id": "operator", "to_agent_id": owner.agent_id,
            "subject": "hello", "body": "you"});
        let mail = id(rig.operator("POST", "/mail", &body.to_string()), "id");
        let steps = json!([{"title": "look", "instructions": "read"}]);
        let body = json!({"bead_id": bead, "formula": {"steps": steps}});
        made(rig.operator("POST", "/molecules", &body.to_string()));
        let body = json!({"title": "one", "beads": [{"bead_id": bead}]});
        let convoy = id(rig.operator("POST", "/convoys", &body.to_string()), "id");
        let escalation = id(rig.call(&me, "POST", "/escalations", r#"{"title":"help"}"#), "id");
        let said = json!({"agent_id": owner.agent_id, "event_type": "output", "data": {}});
        made(rig.call(&me, "POST", "/agent-events", &said.to_string()));
        let path = format!("/agents/{}/checkpoint", owner.agent_id);
        made(rig.call(&me, "POST", &path, r#"{"data":{"step":1}}"#));
        self.names = vec![
            ("ATTEMPT", owner.attempt.to_string()),
            ("AGENT", owner.agent_id),
            ("BEAD", bead),
            ("CLOSED", closed),
            ("CONVOY", convoy),
            ("ESCALATION", escalation),
            ("LINKED", linked),
            ("MAIL", mail),
            ("OWN", own),
            ("PEER", peer.agent_id),
            ("REVIEW", review),
        ];
    }

    fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
    }

    fn caller(&self, who: Who) -> Caller {
        match who {
            Peer => agent(&self.peer),
            Foreign => agent(&StartAgent { rig_id: "elsewhere".to_owned(), ..self.owner.clone() }),
            Over => agent(&self.over),
            Idle => agent(&self.owner),
            Container => container(),
            Stranger => Caller::Container { town: "elsewhere".to_owned() },
        }
    }

    /// The owner as this caller has it: at work, or idle and its bead open.
    fn of(who: Who) -> Self {
        let mut world = Self::new();
        if who == Idle {
            let report = json!({"status": "failed", "attempt": world.owner.attempt}).to_string();
            let path = format!("/agents/{}/completed", world.owner.agent_id);
            made(world.rig.call(&container(), "POST", &path, &report));
        }
        world
    }

    fn ask(&mut self, who: Who, method: &str, path: &str, body: &str) -> (u16, String) {
        let caller = self.caller(who);
        // The run that is over speaks of itself.
        let body = match who {
            Over => body.replace("ATTEMPT", &self.over.attempt.to_string()),
            _ => body.to_owned(),
        };
        let (path, body) = (self.named(path), self.named(&body));
        let (status, answer) = self.rig.call(&caller, method, &path, &body);
        (status, answer["code"].as_str().unwrap_or("ok").to_owned())
    }

    /// All that the rig knows, but for the traces that a refusal may leave.
    fn rows(&self) -> Vec<String> {
        let sql = self.rig.engine.store.sql();
        let texts = |query: &str| -> Vec<String> {
            let rows = sql.run(query, &[]).unwrap().into_iter();
            rows.map(|it| match it {
                Value::Text(text) => text,
                other => panic!("{other:?} is no text"),
            })
            .collect()
        };
        let tables = texts(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        );
        assert!(tables.len() > 10, "{tables:?}");
        let mut rows = Vec::new();
        for table in tables.iter().filter(|it| *it != "refused_call") {
            let columns = texts(&format!("SELECT name FROM pragma_table_info('{table}')"));
            let quoted: Vec<String> = columns.iter().map(|it| format!("quote(\"{it}\")")).collect();
            let but = if table == "bead_event" { "WHERE event <> 'stale_attempt'" } else { "" };
            let row = quoted.join(" || ',' || ");
            let all = texts(&format!("SELECT {row} FROM {table} {but} ORDER BY 1"));
            rows.extend(all.into_iter().map(|row| format!("{table}: {row}")));
        }
        rows
    }
}

/// An answer that must be a good one.
#[track_caller]
fn made((status, answer): (u16, serde_json::Value)) -> serde_json::Value {
    assert!(status < 300, "{status} {answer}");
    answer
}

/// Whether a route of the test is the route of this pattern: what is open in the pattern is in capitals here.
fn is_route(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(part, it)| {
            if part.starts_with(':') {
                !it.is_empty() && it.bytes().all(|b| b.is_ascii_uppercase())
            } else {
                part == it
            }
        })
}

#[test]
fn every_route_says_who_may_use_it_on_what_is_not_theirs() {
    let routes = Routes::<TestSql>::ALL;
    let missing: Vec<String> = routes
        .iter()
        .filter(|it| {
            !ROUTES.iter().any(|(method, path, ..)| *method == it.method && is_route(it.path, path))
        })
        .map(|it| format!("{} {}", it.method, it.path))
        .collect();
    assert!(missing.is_empty(), "tests/tenants.rs does not say who may use {missing:?}");
    for (method, path, ..) in ROUTES {
        let there = routes.iter().any(|it| it.method == *method && is_route(it.path, path));
        assert!(there, "{method} {path} is no route");
    }
}

/// What is refused below is refused for who asks, not for what is asked.
#[test]
fn every_call_of_the_table_is_one_that_the_operator_may_make() {
    for (method, path, body, _) in ROUTES {
        // Only who is idle takes another bead.
        let hooks = *method == "POST" && path.ends_with("/hook");
        let mut world = World::of(if hooks { Idle } else { Peer });
        let (path, body) = (world.named(path), world.named(body));
        let (status, answer) = world.rig.operator(method, &path, &body);
        // It has steps already.
        let there = status == 409 && path == "/molecules";
        assert!(status < 300 || there, "{method} {path} {body}: {status} {answer}");
    }
}

#[test]
fn what_is_somebody_elses_is_left_alone() {
    let mut wrong = String::new();
    for who in [Peer, Foreign, Over, Idle, Container, Stranger] {
        let over = matches!(who, Over | Idle);
        let mut world = World::of(who);
        let mut before = world.rows();
        for (method, path, body, may) in ROUTES {
            let (status, code) = world.ask(who, method, path, body);
            let after = world.rows();
            let passed = status < 300;
            let fits = if may.contains(&who) {
                passed
            } else {
                code == "forbidden" || (over && code == "stale_attempt")
            };
            // What is read, what is refused and what is said again changes nothing.
            let may_change = passed && *method != "GET" && !over;
            if !fits || (before != after && !may_change) {
                let changed: Vec<_> = after.iter().filter(|it| !before.contains(it)).collect();
                writeln!(wrong, "{who:?} {method} {path}: {status} {code} {changed:#?}").unwrap();
            }
            if before != after {
                // The next route finds everything as it was.
                world = World::of(who);
                before = world.rows();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_is_somebody_elses_cannot_be_named_in_ones_own_call() {
    let mut wrong = String::new();
    for (method, path, body, expected) in CROSSED {
        let mut world = World::new();
        let before = world.rows();
        let (status, code) = world.ask(Peer, method, path, body);
        let after = world.rows();
        if status != *expected || before != after {
            let changed: Vec<_> = after.iter().filter(|it| !before.contains(it)).collect();
            writeln!(wrong, "{method} {path} {body}: {status} {code} {changed:#?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A mail's number is one of its reader's box: another box has a mail of that number too.
#[test]
fn a_mail_is_acknowledged_in_ones_own_box_alone() {
    let mut world = World::new();
    let mail = |world: &World| -> Vec<String> {
        world.rows().into_iter().filter(|it| it.starts_with("mail: ")).collect()
    };
    let before = mail(&world);
    let (status, _) = world.ask(Peer, "POST", "/agents/PEER/mail/ack", r#"{"ids":["MAIL"]}"#);
    assert_eq!((status, mail(&world), before.len()), (200, before, 1));
}
