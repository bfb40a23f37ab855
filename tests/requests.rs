//! What a request asks of the database, and what the document says of it: counts, which no busy machine blurs.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fmt::Write as _;

use beadrig::limits;
use beadrig::store::Sql as _;
use expect_test::expect;
use serde_json::{Value, json};
use support::TestRig;

/// The statements of a request, by their first words.
fn asked(rig: &mut TestRig, method: &str, path: &str, body: &str) -> String {
    rig.engine.store.sql().asked.borrow_mut().clear();
    let (status, answer) = rig.operator(method, path, body);
    assert!(status < 300, "{answer}");
    let asked = rig.engine.store.sql().asked.take();
    let mut text = format!("{method} {}: {}\n", path.split('?').next().unwrap(), asked.len());
    for sql in asked {
        let words: Vec<&str> = sql.split_whitespace().collect();
        let at = words.iter().position(|it| matches!(*it, "FROM" | "INTO" | "UPDATE"));
        let table = at.map_or("", |at| words[at + 1]);
        writeln!(text, "  {} {table}", words[0]).unwrap();
    }
    text
}

#[test]
fn a_request_asks_the_database_few_things() {
    let mut rig = TestRig::new();
    rig.operator("POST", "/beads", r#"{"title":"first","id":"demo-1"}"#);
    let mut text = asked(&mut rig, "POST", "/beads", r#"{"title":"x"}"#);
    text += &asked(&mut rig, "GET", "/beads/demo-1", "");
    text += &asked(&mut rig, "GET", "/beads?limit=100", "");
    text += &asked(&mut rig, "POST", "/beads/demo-1/notes", r#"{"text":"x"}"#);
    text += &asked(&mut rig, "GET", "/status", "");
    expect![[r#"
        POST /beads: 3
          SELECT bead
          INSERT bead
          INSERT bead_event
        GET /beads/demo-1: 2
          SELECT bead
          SELECT note
        GET /beads: 1
          SELECT (SELECT
        POST /beads/demo-1/notes: 3
          SELECT bead
          INSERT note
          SELECT note
        GET /status: 2
          SELECT (SELECT
          SELECT agent
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_status_counts_so_many_finished_beads_and_says_so() {
    let mut rig = TestRig::new();
    rig.operator("POST", "/beads", r#"{"title":"open","id":"demo-1"}"#);
    let fill = |rig: &TestRig, from: u32, to: u32| {
        let sql = format!(
            "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {to})
             INSERT INTO bead (id, kind, status, title, priority, created_at, created_by, updated_at, closed_at, finished)
             SELECT 'old-' || i, 'issue', 'closed', 'x', 2, i, 'ann', i, i, 1 FROM n"
        );
        rig.engine.store.sql().run(&sql, &[]).unwrap();
    };
    let max = limits::STATUS_FINISHED_MAX;
    fill(&rig, 0, max - 1);
    let status = rig.operator("GET", "/status", "").1["data"].take();
    assert_eq!(
        (&status["beads"], &status["more_finished"]),
        (&json!({"closed": max - 1, "open": 1}), &json!(false))
    );
    fill(&rig, max - 1, max + 100);
    let status = rig.operator("GET", "/status", "").1["data"].take();
    assert_eq!(
        (&status["beads"], &status["more_finished"]),
        (&json!({"closed": max, "open": 1}), &json!(true))
    );
}

#[test]
fn the_words_that_the_document_names_are_those_that_are_taken() {
    let document: Value = serde_json::from_str(beadrig::api::OPENAPI).unwrap();
    let words = |schema: &str, field: &str| {
        let found = &document["components"]["schemas"][schema]["properties"][field]["enum"];
        found.as_array().unwrap_or_else(|| panic!("{schema}.{field}: {found}")).clone()
    };
    let mut rig = TestRig::new();
    for (n, role) in words("RegisterAgent", "role").iter().enumerate() {
        let body = json!({"role": role, "name": n.to_string(), "identity": n.to_string()});
        assert_eq!(rig.operator("POST", "/agents", &body.to_string()).0, 201, "{role}");
    }
    for status in words("BeadView", "status") {
        let path = format!("/beads?status={}", status.as_str().unwrap());
        assert_eq!(rig.operator("GET", &path, "").0, 200, "{status}");
    }
    assert_eq!(words("BeadView", "status").len(), 7);
    let agents = rig.operator("GET", "/agents", "").1["data"].take();
    for agent in agents.as_array().unwrap() {
        assert!(words("AgentView", "role").contains(&agent["role"]), "{agent}");
        assert!(words("AgentView", "status").contains(&agent["status"]), "{agent}");
    }
}
