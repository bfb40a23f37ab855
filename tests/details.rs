//! What belongs to many beads at once, names by a part of them, and closes that are refused while something waits.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::limits;
use expect_test::expect;
use serde_json::{Value, json};
use support::TestRig;

fn make(rig: &mut TestRig, id: &str, more: Value) {
    let mut bead = json!({ "id": id, "title": format!("Bead {id}") });
    bead.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = rig.operator("POST", "/beads", &bead.to_string());
    assert_eq!(status, 201, "{answer}");
    rig.pass(1_000);
}

fn note(rig: &mut TestRig, id: &str, text: &str) {
    let body = json!({ "text": text }).to_string();
    assert_eq!(rig.operator("POST", &format!("/beads/{id}/notes"), &body).0, 201);
}

fn ask(rig: &mut TestRig, path: &str) -> Value {
    let (status, answer) = rig.operator("GET", path, "");
    assert_eq!(status, 200, "{path}: {answer}");
    answer["data"].clone()
}

fn said(rig: &mut TestRig, method: &str, path: &str, body: &str) -> String {
    let (status, answer) = rig.operator(method, path, body);
    format!("{status} {}\n", answer["error"].as_str().unwrap_or("ok"))
}

fn ids(beads: &Value) -> Vec<&str> {
    beads.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[test]
fn what_belongs_to_beads_is_told_in_the_order_asked_for() {
    let mut rig = TestRig::new();
    make(&mut rig, "demo-p", json!({ "type": "epic" }));
    make(&mut rig, "demo-1", json!({ "parent": "demo-p" }));
    let waits = json!([{ "depends_on": "demo-1" }, { "depends_on": "demo-p", "type": "related" }]);
    make(&mut rig, "demo-2", json!({ "dependencies": waits }));
    note(&mut rig, "demo-1", "first");
    note(&mut rig, "demo-1", "second");
    let comment = r#"{"text": "looks good"}"#;
    assert_eq!(rig.operator("POST", "/beads/demo-1/comments", comment).0, 201);
    let told = ask(&mut rig, "/details?ids=demo-2,nope,demo-1");
    let told: Vec<String> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let on: Vec<_> = it["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| format!("{} {}", it["type"], it["depends_on"]))
                .collect();
            let notes: Vec<_> =
                it["notes"].as_array().unwrap().iter().map(|it| &it["text"]).collect();
            format!(
                "{} on {on:?}, blocked by {}, blocks {}, comments {}, notes {notes:?}",
                it["id"], it["dependency_count"], it["dependent_count"], it["comment_count"]
            )
            .replace('"', "")
            .replace('\\', "")
        })
        .collect();
    expect![[r#"
        demo-2 on [blocks demo-1, related demo-p], blocked by 1, blocks 0, comments 0, notes []
        demo-1 on [parent-child demo-p], blocked by 0, blocks 1, comments 1, notes [String(first), String(second)]"#]]
    .assert_eq(&told.join("\n"));
    let named = ask(&mut rig, "/beads?ids=demo-2,nope,demo-p&status=closed");
    assert_eq!(ids(&named), ["demo-2", "demo-p"]);
}

#[test]
fn an_answer_with_details_has_a_size_and_the_rest_is_asked_for_again() {
    let mut rig = TestRig::new();
    let long = "x".repeat(limits::NOTE_BYTES_MAX);
    let notes = limits::DETAILS_NOTE_BYTES_MAX / long.len() as u64 + 1;
    for id in ["demo-1", "demo-2", "demo-3"] {
        make(&mut rig, id, json!({}));
    }
    for _ in 0..notes {
        note(&mut rig, "demo-2", &long);
    }
    assert_eq!(ids(&ask(&mut rig, "/details?ids=demo-1,demo-2,demo-3")), ["demo-1"]);
    assert_eq!(ids(&ask(&mut rig, "/details?ids=demo-2,demo-3")), ["demo-2", "demo-3"]);
    assert_eq!(ids(&ask(&mut rig, "/details?ids=demo-3")), ["demo-3"]);
}

#[test]
fn too_many_names_are_refused_and_none_mean_none() {
    let mut rig = TestRig::new();
    let many = vec!["demo-1"; limits::DETAILS_BEADS_MAX + 1].join(",");
    let long = "x".repeat(limits::ID_CHARS_MAX + 1);
    let mut told = String::new();
    for path in [
        format!("/details?ids={many}"),
        format!("/beads?ids={many}"),
        format!("/names?part={long}"),
    ] {
        told.push_str(&said(&mut rig, "GET", &path, ""));
    }
    expect![[r#"
        400 ids must be 100 names at most
        400 ids must be 100 names at most
        400 part must have 64 characters at most
    "#]]
    .assert_eq(&told);
    for path in ["/details", "/details?ids=,", "/beads?ids=", "/names", "/names?part=demo-"] {
        assert_eq!(ask(&mut rig, path), json!([]), "{path}");
    }
}

#[test]
fn a_part_of_a_name_means_what_has_it() {
    let mut rig = TestRig::new();
    for id in ["demo-abc", "demo-abd", "demo-xab", "demo-xyz", "other-ab"] {
        make(&mut rig, id, json!({}));
    }
    rig.operator("POST", "/beads/demo-abd/close", "");
    let mut names = |part: &str| ask(&mut rig, &format!("/names?part={part}")).to_string();
    assert_eq!(names("ab"), r#"["demo-abc","demo-abd","demo-xab","other-ab"]"#);
    assert_eq!(names("AB"), names("ab"));
    assert_eq!(names("demo-ab"), names("ab"));
    assert_eq!(names("yz"), r#"["demo-xyz"]"#);
    assert_eq!(names("demo"), "[]", "the prefix is no part");
    assert_eq!(names("%25"), "[]");
}

#[test]
fn what_is_asked_by_name_walks_through_no_table() {
    let mut rig = TestRig::new();
    make(&mut rig, "demo-1", json!({}));
    rig.engine.store.sql().asked.borrow_mut().clear();
    ask(&mut rig, "/details?ids=demo-1");
    ask(&mut rig, "/beads?ids=demo-1");
    let asked = rig.engine.store.sql().asked.borrow().clone();
    assert!(asked.len() >= 4, "{asked:?}");
    for sql in asked {
        let plan = rig.engine.store.sql().plan(&sql);
        for step in &plan {
            let walks = step.starts_with("SCAN") && !step.contains("json_each");
            // The list that was given.
            let given = step.starts_with("SCAN wanted");
            assert!(!walks || given, "{sql}\n{plan:#?}");
        }
    }
}

#[test]
fn a_close_that_asks_for_it_is_refused_while_something_waits() {
    let mut rig = TestRig::new();
    make(&mut rig, "demo-e", json!({ "type": "epic" }));
    make(&mut rig, "demo-1", json!({ "parent": "demo-e" }));
    make(&mut rig, "demo-2", json!({ "dependencies": [{ "depends_on": "demo-1" }] }));
    let careful = r#"{"unless_blocked":true}"#;
    let mut told = String::new();
    for (id, body) in [
        ("demo-2", careful),
        ("demo-e", careful),
        ("demo-1", careful),
        ("demo-2", careful),
        ("demo-2", careful),
        ("demo-e", careful),
    ] {
        told.push_str(&said(&mut rig, "POST", &format!("/beads/{id}/close"), body));
    }
    expect![[r#"
        409 cannot close demo-2: blocked by open issues [demo-1] (use --force to override)
        409 cannot close epic demo-e: 1 open child issue(s); close children first or use --force to override
        200 ok
        200 ok
        200 ok
        200 ok
    "#]].assert_eq(&told);
    rig.operator("POST", "/beads/demo-1/reopen", "");
    rig.operator("POST", "/beads/demo-2/reopen", "");
    assert_eq!(said(&mut rig, "POST", "/beads/demo-2/close", ""), "200 ok\n", "with force");
}
