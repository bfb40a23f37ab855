//! What every route has: a description, a key against doing it twice, a tag against reading it twice, and a trace when
//! it is refused.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::path::Path;

use beadrig::api::{self, Request, Response};
use beadrig::token::Caller;
use expect_test::expect_file;
use support::{TestRig, TestSql, agent, operator};

/// A call with headers.
fn ask(rig: &mut TestRig, caller: &Caller, call: [&str; 3], key: &str, tag: &str) -> Response {
    let moment = rig.moment();
    let [method, path, body] = call;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = Request {
        method,
        path,
        query,
        body: body.as_bytes(),
        caller: caller.clone(),
        idempotency_key: (!key.is_empty()).then_some(key),
        if_none_match: (!tag.is_empty()).then_some(tag),
        next_tick: None,
    };
    let response = api::handle(&rig.engine, moment, &request);
    assert_eq!(response.fault, None);
    response
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str())
}

fn code(response: &Response) -> String {
    let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    format!("{} {}", response.status, body["code"].as_str().unwrap_or("ok"))
}

#[test]
fn every_route_is_described() {
    let missing = api::openapi::missing::<TestSql>();
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// `UPDATE_EXPECT=1` writes it.
#[test]
fn the_document_is_that_of_the_routes() {
    let mut text = serde_json::to_string_pretty(&api::openapi::document::<TestSql>()).unwrap();
    text.push('\n');
    expect_file!["../src/api/openapi.json"].assert_eq(&text);
}

/// `UPDATE_EXPECT=1` writes them.
#[test]
fn the_routes_in_the_documentation_are_the_routes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("<!-- routes").unwrap();
    let (marker, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /routes -->").unwrap();
    let table = api::openapi::table::<TestSql>();
    let whole = format!("{before}<!-- routes{marker}-->\n{table}<!-- /routes -->{after}");
    expect_file!["../docs/api.md"].assert_eq(&whole);
}

#[test]
fn a_change_with_a_key_is_done_once() {
    let mut rig = TestRig::new();
    let new = ["POST", "/beads", r#"{"title":"once"}"#];
    let first = ask(&mut rig, &operator(), new, "key-1", "");
    rig.pass(1_000);
    let again = ask(&mut rig, &operator(), new, "key-1", "");
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(header(&first, "idempotency-replayed"), None);
    assert_eq!(header(&again, "idempotency-replayed"), Some("true"));
    assert!(again.effects.is_empty(), "nothing is done again");
    let other = ask(&mut rig, &operator(), ["POST", "/beads", r#"{"title":"x"}"#], "key-1", "");
    assert_eq!(code(&other), "409 idempotency_mismatch");
    let elsewhere = r#"{"role":"polecat","name":"a","identity":"a"}"#;
    assert_eq!(
        code(&ask(&mut rig, &operator(), ["POST", "/agents", elsewhere], "key-1", "")),
        "201 ok"
    );
    let (_, beads) = rig.operator("GET", "/beads", "");
    assert_eq!(beads["data"].as_array().unwrap().len(), 1);
    rig.pass(24 * 3_600_000);
    assert_eq!(code(&ask(&mut rig, &operator(), new, "key-1", "")), "201 ok");
    let (_, beads) = rig.operator("GET", "/beads", "");
    assert_eq!(beads["data"].as_array().unwrap().len(), 2, "a day later it is another");
}

#[test]
fn a_key_that_is_none_is_refused() {
    let mut rig = TestRig::new();
    for key in ["a b", "ü", &"x".repeat(129)] {
        let refused = ask(&mut rig, &operator(), ["POST", "/beads", "{}"], key, "");
        assert_eq!(code(&refused), "400 invalid", "{key}");
    }
}

#[test]
fn a_refusal_is_not_kept_and_leaves_nothing() {
    let mut rig = TestRig::new();
    let close = ["POST", "/beads/demo-1/close", ""];
    assert_eq!(code(&ask(&mut rig, &operator(), close, "k", "")), "404 not_found");
    rig.operator("POST", "/beads", r#"{"title":"x","id":"demo-1"}"#);
    assert_eq!(code(&ask(&mut rig, &operator(), close, "k", "")), "200 ok");
}

#[test]
fn of_an_answer_too_large_to_keep_it_is_known_that_it_was_given() {
    let mut rig = TestRig::new();
    let body = serde_json::json!({ "title": "x", "body": "y".repeat(70_000) }).to_string();
    let call = ["POST", "/beads", body.as_str()];
    assert_eq!(code(&ask(&mut rig, &operator(), call, "k", "")), "201 ok");
    assert_eq!(code(&ask(&mut rig, &operator(), call, "k", "")), "409 conflict");
    assert_eq!(rig.operator("GET", "/beads", "").1["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_stale_run_leaves_its_line_with_a_key_too() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("mine");
    rig.schedule();
    let start = rig.accept().remove(0);
    let me = agent(&start);
    let close = format!("/beads/{bead}/close");
    let done = ask(&mut rig, &me, ["POST", &close, ""], "k1", "");
    assert_eq!(code(&done), "200 ok");
    // The run is over now: its own answer it still gets, anything new it does not.
    assert_eq!(ask(&mut rig, &me, ["POST", &close, ""], "k1", "").body, done.body);
    let note = format!("/beads/{bead}/notes");
    let late = ask(&mut rig, &me, ["POST", &note, r#"{"text":"late"}"#], "k2", "");
    assert_eq!(code(&late), "409 stale_attempt");
    let events = rig.engine.store.events_of(&bead).unwrap();
    assert_eq!(events.iter().filter(|it| it.event == "stale_attempt").count(), 1);
}

#[test]
fn what_is_kept_is_bounded_in_time_and_costs_no_walk() {
    let mut rig = TestRig::new();
    for n in 0..5 {
        let body = format!(r#"{{"title":"{n}"}}"#);
        ask(&mut rig, &operator(), ["POST", "/beads", &body], &format!("k{n}"), "");
    }
    rig.pass(24 * 3_600_000);
    rig.engine.store.sql().asked.borrow_mut().clear();
    for n in 5..8 {
        let body = format!(r#"{{"title":"{n}"}}"#);
        ask(&mut rig, &operator(), ["POST", "/beads", &body], &format!("k{n}"), "");
    }
    let asked = rig.engine.store.sql().asked.take();
    for sql in asked.iter().filter(|it| it.contains("kept_answer")) {
        let walks = |step: &String| step.contains("SCAN kept_answer") && !sql.contains("LIMIT 2");
        assert!(!rig.engine.store.sql().plan(sql).iter().any(walks), "{sql}");
    }
    let left =
        beadrig::store::Sql::run(rig.engine.store.sql(), "SELECT count(*) FROM kept_answer", &[]);
    assert_eq!(left.unwrap(), [beadrig::store::Value::Integer(3)], "two old ones go with each new");
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let mut rig = TestRig::new();
    rig.operator("POST", "/beads", r#"{"title":"x","id":"demo-1"}"#);
    let bead = ["GET", "/beads/demo-1", ""];
    let first = ask(&mut rig, &operator(), bead, "", "");
    let tag = header(&first, "etag").unwrap().to_owned();
    for known in [tag.as_str(), tag.trim_start_matches("W/"), "*", &format!("\"a\", {tag}")] {
        let same = ask(&mut rig, &operator(), bead, "", known);
        assert_eq!((same.status, same.body.as_str()), (304, ""), "{known}");
        assert_eq!(header(&same, "etag"), Some(tag.as_str()));
    }
    rig.operator("POST", "/beads/demo-1/notes", r#"{"text":"new"}"#);
    let changed = ask(&mut rig, &operator(), bead, "", &tag);
    assert_eq!(changed.status, 200);
    assert_ne!(header(&changed, "etag"), Some(tag.as_str()));
}

#[test]
fn methods_and_paths() {
    let mut rig = TestRig::new();
    let mut said = |method, path: &str| {
        let response = ask(&mut rig, &operator(), [method, path, ""], "", "");
        let allow = header(&response, "allow").unwrap_or_default().to_owned();
        (response.status, allow)
    };
    assert_eq!(said("HEAD", "/beads"), (200, String::new()));
    assert_eq!(said("HEAD", "/beads/demo-9"), (404, String::new()));
    assert_eq!(said("PUT", "/beads"), (405, "POST, GET, HEAD".to_owned()));
    assert_eq!(said("GET", "/beads/demo-9/close"), (405, "POST".to_owned()));
    assert_eq!(said("GET", "/beads/").0, 404, "an id is never empty");
    assert_eq!(said("GET", "/status/").0, 404);
    assert_eq!(said("GET", &format!("/beads/{}", "x".repeat(3_000))).0, 400);
    assert_eq!(said("GET", &format!("/beads?x={}", "x".repeat(9_000))).0, 400);
    assert_eq!(said("GET", "/beads?x=y").0, 200);
}

#[test]
fn refused_calls_leave_a_trace_that_is_bounded() {
    let mut rig = TestRig::new();
    rig.assigned("mine");
    rig.schedule();
    let me = agent(&rig.accept().remove(0));
    let register = ["POST", "/agents?secret=1", r#"{"role":"polecat","name":"x","identity":"x"}"#];
    for n in 0..100 {
        let refused = ask(&mut rig, &me, register, "", "");
        assert_eq!(code(&refused), "403 forbidden", "{n}");
    }
    rig.pass(60_000);
    ask(&mut rig, &me, register, "", "");
    // What anyone mistypes is not written down.
    rig.operator("GET", "/nothing", "");
    rig.operator("POST", "/beads", "{}");
    let (status, all) = rig.operator("GET", "/refusals?limit=1000", "");
    let all = all["data"].as_array().unwrap().clone();
    assert_eq!((status, all.len()), (200, 62));
    assert_eq!((&all[59]["code"], &all[60]["code"]), (&"forbidden".into(), &"more".into()));
    assert_eq!(all[61]["code"], "forbidden");
    assert_eq!((&all[0]["path"], &all[0]["caller"]), (&"/agents".into(), &"agent".into()));
    let (_, rest) = rig.operator("GET", "/refusals?after=61", "");
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert_eq!(code(&ask(&mut rig, &me, ["GET", "/refusals", ""], "", "")), "403 forbidden");
    for _ in 0..30 {
        rig.pass(60_000);
        for _ in 0..40 {
            ask(&mut rig, &me, register, "", "");
        }
    }
    let (_, all) = rig.operator("GET", "/refusals?limit=1000", "");
    assert_eq!(all["data"].as_array().unwrap().len(), 1_000, "the oldest went");
    assert_eq!(all["data"][999]["seq"], 63 + 1_200);
}

#[test]
fn only_the_origin_of_the_settings_may_ask() {
    let origin = "https://board.example.com";
    let board = Some(origin);
    assert!(api::preflight(None, board).is_none());
    assert!(api::preflight(None, None).is_none());
    assert!(api::preflight(board, Some("https://evil.example.com")).is_none());
    let headers = api::preflight(board, board).unwrap();
    assert!(headers.contains(&("access-control-allow-origin", origin.to_owned())));
    assert!(api::cors(None, board).is_empty());
    let stranger = api::cors(board, Some("https://evil.example.com"));
    assert_eq!(stranger, [("vary", "Origin".to_owned())]);
}
