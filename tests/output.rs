//! What agents print and which tools they use: read by pages, bounded, and cheap to append to.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::limits;
use beadrig::store::{Sql, Value};
use beadrig::wire::container::StartAgent;
use expect_test::expect;
use serde_json::json;
use support::{TestRig, agent};

/// A rig in which an agent works on a bead.
fn at_work() -> (TestRig, String, StartAgent) {
    let mut rig = TestRig::new();
    let bead = rig.assigned("mine");
    rig.schedule();
    let start = rig.accept().remove(0);
    (rig, bead, start)
}

fn rows(rig: &TestRig, sql: &str) -> i64 {
    match rig.engine.store.sql().run(sql, &[]).unwrap().remove(0) {
        Value::Integer(n) => n,
        other => panic!("{other:?} is no number"),
    }
}

#[test]
fn what_an_agent_prints_is_read_by_pages() {
    let (mut rig, _, start) = at_work();
    let me = agent(&start);
    let one = json!({"agent_id": start.agent_id, "event_type": "output", "data": {"line": 0}});
    let (status, answer) = rig.call(&me, "POST", "/agent-events", &one.to_string());
    assert_eq!((status, &answer["data"]), (201, &json!({"appended": true})));
    let events: Vec<_> = (1..6)
        .map(|n| json!({"event_type": "tool", "data": n, "at": "2026-01-01T01:00:00+01:00"}))
        .collect();
    let many = json!({"agent_id": start.agent_id, "events": events});
    let (status, answer) = rig.call(&me, "POST", "/agent-events", &many.to_string());
    assert_eq!((status, &answer["data"]), (201, &json!({"appended": true, "count": 5})));
    let mut list = |query: &str| {
        let path = format!("/agents/{}/events{query}", start.agent_id);
        let (status, answer) = rig.call(&me, "GET", &path, "");
        let shown = answer["data"].as_array().map(|all| {
            let all = all.iter().map(|it| format!("{}={}", it["id"], it["data"]));
            all.collect::<Vec<_>>().join(" ")
        });
        shown.unwrap_or_else(|| format!("{status} {}", answer["error"].as_str().unwrap()))
    };
    assert_eq!(list(""), r#"1={"line":0} 2=1 3=2 4=3 5=4 6=5"#);
    assert_eq!(list("?after_id=3&limit=2"), "4=3 5=4");
    assert_eq!(list("?after_id=6"), "");
    expect![[r#"
        400 Invalid query parameters: limit must be 1 to 1000 (got "0")
        400 Invalid query parameters: limit must be 1 to 1000 (got "1001")
        400 Invalid query parameters: after_id must be 0 or more (got "-1")
        400 Invalid query parameters: limit must be 1 to 1000 (got "x")"#]]
    .assert_eq(
        &[list("?limit=0"), list("?limit=1001"), list("?after_id=-1"), list("?limit=x")].join("\n"),
    );
    let first = rig
        .call(&me, "GET", &format!("/agents/{}/events?limit=1&after_id=1", start.agent_id), "")
        .1;
    expect![[r#"{"agent_id":"WHO","created_at":"2026-01-01T00:00:00.000Z","data":1,"event_type":"tool","id":2}"#]].assert_eq(&first["data"][0].to_string().replace(&start.agent_id, "WHO"));
}

#[test]
fn what_an_agent_may_not_print_is_refused_and_nothing_of_it_kept() {
    let (mut rig, _, start) = at_work();
    let who = &start.agent_id;
    let event = |data: serde_json::Value| json!({"event_type": "output", "data": data});
    let long = "x".repeat(limits::AGENT_EVENT_BYTES_MAX);
    let said: Vec<String> = [
        json!({"agent_id": who}),
        json!({"agent_id": who, "events": []}),
        json!({"agent_id": who, "event_type": "x", "events": [event(json!(1))]}),
        json!({"agent_id": who, "event_type": " "}),
        json!({"agent_id": who, "event_type": "x", "data": long}),
        json!({"agent_id": who, "events": [event(json!(1)), event(json!(long))]}),
        json!({"agent_id": who, "events": vec![event(json!(1)); limits::AGENT_EVENTS_CALL_MAX + 1]}),
        json!({"agent_id": who, "events": [{"event_type": "x", "at": "later"}]}),
        json!({"agent_id": "other", "event_type": "x"}),
    ]
    .iter()
    .map(|body| {
        let (status, answer) = rig.call(&agent(&start), "POST", "/agent-events", &body.to_string());
        format!("{status} {}: {}", answer["code"].as_str().unwrap(), answer["error"].as_str().unwrap())
    })
    .collect();
    expect![[r#"
        400 invalid: Invalid request body: give event_type and data, or a list of events
        400 invalid: Invalid request body: give event_type and data, or a list of events
        400 invalid: Invalid request body: give event_type and data, or a list of events
        400 invalid: event_type is required
        413 too_large: data has 65538 bytes, it may have 65536
        413 too_large: data has 65538 bytes, it may have 65536
        413 too_large: events are 501 in one call, they may be 500
        400 invalid: at must be a time such as 2026-01-31T12:00:00Z (got "later")
        403 forbidden: agent_id does not match authenticated agent"#]]
    .assert_eq(&said.join("\n"));
    assert_eq!(rows(&rig, "SELECT count(*) FROM agent_event"), 0);
}

/// A peer that counts reads 4,004 rows at each event of an agent that has 2,000.
#[test]
fn an_event_costs_a_handful_of_rows_however_many_there_are_and_what_is_kept_is_bounded() {
    let (mut rig, _, start) = at_work();
    let append = |rig: &mut TestRig, data: serde_json::Value| {
        let body = json!({"agent_id": start.agent_id, "event_type": "output", "data": data});
        assert_eq!(rig.operator("POST", "/agent-events", &body.to_string()).0, 201);
    };
    let changes = "SELECT total_changes()";
    for n in 0..limits::AGENT_EVENTS_KEPT + 50 {
        append(&mut rig, json!(n));
    }
    let kept = "SELECT count(*) FROM agent_event";
    assert_eq!(rows(&rig, kept), limits::AGENT_EVENTS_KEPT);
    let before = rows(&rig, changes);
    rig.engine.store.sql().asked.borrow_mut().clear();
    append(&mut rig, json!("one more"));
    let asked = rig.engine.store.sql().asked.take();
    assert_eq!(rows(&rig, changes) - before, 2, "one in, one out");
    let events: Vec<&String> = asked.iter().filter(|sql| sql.contains("agent_event")).collect();
    assert_eq!(events.len(), 3);
    let plan: Vec<String> =
        events.iter().flat_map(|sql| rig.engine.store.sql().plan(sql)).collect();
    // Both ends of the agent's part of the key, never the rows between.
    expect![[r#"
        SEARCH agent_event USING PRIMARY KEY (agent=?)
        SEARCH agent_event USING PRIMARY KEY (agent=? AND last<?)
        SCALAR SUBQUERY 1
        SEARCH kept USING PRIMARY KEY (agent=?)"#]]
    .assert_eq(&plan.join("\n"));
    for sql in events {
        assert!(!sql.contains("count("), "{sql}");
    }
    // Few large ones: bytes are what counts then.
    let large = "x".repeat(60_000);
    for _ in 0..90 {
        append(&mut rig, json!(large));
    }
    let bytes = rows(&rig, "SELECT sum(length(events)) FROM agent_event");
    let max = limits::AGENT_EVENTS_BYTES_KEPT;
    assert!(bytes <= max && bytes > max - 70_000, "{bytes}");
    let path = format!("/agents/{}/events?limit=1000", start.agent_id);
    let page = rig.operator("GET", &path, "").1;
    let page = page["data"].as_array().unwrap();
    let last = limits::AGENT_EVENTS_KEPT + 51 + 90;
    assert_eq!(page.last().unwrap()["id"], last);
    assert_eq!(page[0]["id"].as_i64().unwrap(), last - i64::try_from(page.len()).unwrap() + 1);
}
