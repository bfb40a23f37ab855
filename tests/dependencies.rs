//! Dependencies, readiness, deletion and the audit over HTTP: the bodies, the bounds, and who may.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::limits;
use expect_test::expect;
use serde_json::{Value, json};
use support::{TestRig, agent, container};

fn file(rig: &mut TestRig, id: &str, more: Value) {
    let mut body = json!({"title": format!("bead {id}"), "id": id});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = rig.operator("POST", "/beads", &body.to_string());
    assert_eq!(status, 201, "{answer}");
}

/// What is refused: status, code and words.
fn refused(rig: &mut TestRig, method: &str, path: &str, body: &Value) -> String {
    let (status, answer) = rig.operator(method, path, &body.to_string());
    format!(
        "{status} {}: {}",
        answer["code"].as_str().unwrap_or("ok"),
        answer["error"].as_str().unwrap_or_default()
    )
}

fn ids(answer: &Value) -> String {
    let all = answer["data"].as_array().unwrap().iter();
    all.map(|it| it["id"].as_str().unwrap().replace("demo-", "")).collect::<Vec<_>>().join(" ")
}

fn pretty(answer: &Value) -> String {
    serde_json::to_string_pretty(&answer["data"]).unwrap()
}

#[test]
fn conditional_blocks_gates_as_blocks_does() {
    let mut rig = TestRig::new();
    for id in ["demo-1", "demo-2", "demo-3"] {
        file(&mut rig, id, json!({"acceptance_criteria": "it works"}));
    }
    file(&mut rig, "demo-4", json!({"parent": "2"}));
    let tie = |rig: &mut TestRig, bead: &str, on: &str, kind: &str| {
        let body = json!({"depends_on": on, "type": kind});
        refused(rig, "POST", &format!("/beads/{bead}/dependencies"), &body)
    };
    let ready = |rig: &mut TestRig| ids(&rig.operator("GET", "/ready", "").1);
    assert_eq!(tie(&mut rig, "2", "demo-1", "conditional-blocks"), "201 ok: ");
    assert_eq!(tie(&mut rig, "3", "demo-2", "blocks"), "201 ok: ");
    // It holds up what is below, and makes no circle, in whichever type the last step is.
    assert_eq!(ready(&mut rig), "1");
    assert_eq!(rig.bead("demo-4")["waiting"]["reason"], Value::Null);
    for kind in ["conditional-blocks", "blocks"] {
        let told = tie(&mut rig, "1", "demo-3", kind);
        assert!(told.starts_with("409 ") && told.contains("would wait for itself"), "{told}");
    }
    let told = refused(&mut rig, "POST", "/beads/2/close", &json!({"unless_blocked": true}));
    assert!(told.contains("blocked by open issues [demo-1]"), "{told}");
    let blocked = rig.operator("GET", "/blocked", "").1;
    assert_eq!(ids(&blocked), "2 3 4");
    assert_eq!(blocked["data"][0]["blocked_by"], json!(["demo-1"]));
    // The close frees it, whatever its reason, and what is reopened holds it up again.
    rig.operator("POST", "/beads/1/close", r#"{"reason":"failed"}"#);
    assert_eq!(ready(&mut rig), "2 4");
    rig.operator("POST", "/beads/1/reopen", "{}");
    assert_eq!(ready(&mut rig), "1");
    rig.operator("DELETE", "/beads/2/dependencies/demo-1", "");
    assert_eq!(ready(&mut rig), "1 2 4");
}

#[test]
fn a_dependency_that_is_not_tied_can_be_taken_away() {
    const AT: &str = "2026-01-01T00:00:00Z";
    let mut rig = TestRig::new();
    let import = |rig: &mut TestRig, issue: Value| {
        let (status, report) =
            rig.operator("POST", "/import", &json!({"issues": [issue]}).to_string());
        assert_eq!(status, 200, "{report}");
        report["data"].clone()
    };
    let edge = |on: &str, kind: &str| json!({"issue_id": "x-1", "depends_on_id": on, "type": kind, "created_at": AT});
    let edges = [
        edge("external:other:api", "blocks"),
        edge("external:other:api", "related"),
        edge("x-1", "blocks"),
        edge("x-9", "tracks"),
    ];
    let line = json!({"id": "x-1", "title": "one", "created_at": AT, "updated_at": AT, "dependencies": edges});
    import(&mut rig, line);
    let left = |rig: &mut TestRig| {
        let page = rig.operator("GET", "/export", "").1;
        let edges = page["data"]["issues"][0]["dependencies"].clone();
        let edges = edges.as_array().cloned().unwrap_or_default();
        edges.iter().map(|it| it["depends_on_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(left(&mut rig).len(), 4);
    let mut delete =
        |other: &str| rig.operator("DELETE", &format!("/beads/x-1/dependencies/{other}"), "").0;
    assert_eq!(delete("external:other:api"), 200);
    assert_eq!(delete("external:other:api"), 404);
    // Also one on a bead that is here, itself here.
    assert_eq!(delete("x-1"), 200);
    assert_eq!(delete("x-8"), 404);
    assert_eq!(left(&mut rig), ["x-9"]);
    let events = rig.operator("GET", "/events?bead_id=x-1", "").1;
    let removed = &events["data"][1];
    assert_eq!(removed["event_type"], "dependency_removed");
    assert_eq!(removed["old_value"], "external:other:api");
    assert_eq!(removed["metadata"]["type"], "blocks, related");
    // It does not come back when the other bead comes.
    let two =
        json!({"id": "external:other:api", "title": "two", "created_at": AT, "updated_at": AT});
    assert_eq!(import(&mut rig, two)["tied"], 0);
}

#[test]
fn a_dependency_is_seen_from_both_ends() {
    let mut rig = TestRig::new();
    file(&mut rig, "demo-1", json!({}));
    file(&mut rig, "demo-2", json!({"parent": "1"}));
    rig.pass(1_000);
    let body = r#"{"depends_on":"1","type":"related"}"#;
    file(&mut rig, "demo-3", json!({}));
    let (status, added) = rig.operator("POST", "/beads/3/dependencies", body);
    assert_eq!(status, 201);
    // Said twice, it is there once.
    assert_eq!(rig.operator("POST", "/beads/3/dependencies", body).0, 201);
    expect![[r#"
        {
          "created_at": "2026-01-01T00:00:01.000Z",
          "created_by": "ann",
          "id": "demo-1",
          "status": "open",
          "title": "bead demo-1",
          "type": "related"
        }"#]]
    .assert_eq(&pretty(&added));
    let both = rig.operator("GET", "/beads/demo-1/dependencies", "").1;
    expect![[r#"
        {
          "dependencies": [],
          "dependents": [
            {
              "created_at": "2026-01-01T00:00:01.000Z",
              "created_by": "ann",
              "id": "demo-3",
              "status": "open",
              "title": "bead demo-3",
              "type": "related"
            },
            {
              "created_at": "2026-01-01T00:00:00.000Z",
              "created_by": "ann",
              "id": "demo-2",
              "status": "open",
              "title": "bead demo-2",
              "type": "parent-child"
            }
          ]
        }"#]]
    .assert_eq(&pretty(&both));
    let one = rig.operator("GET", "/beads/demo-2/dependencies", "").1;
    assert_eq!(one["data"]["dependencies"][0]["type"], "parent-child");
    let (status, gone) = rig.operator("DELETE", "/beads/demo-3/dependencies/demo-1", "");
    assert_eq!((status, gone["data"].clone()), (200, json!({"deleted": true})));
    assert_eq!(rig.operator("DELETE", "/beads/demo-3/dependencies/demo-1", "").0, 404);
}

#[test]
fn a_bead_is_made_with_all_its_dependencies_or_not_at_all() {
    let mut rig = TestRig::new();
    file(&mut rig, "demo-1", json!({}));
    file(&mut rig, "demo-2", json!({}));
    let mut make = |dependencies: Value| {
        let body =
            json!({"title": "x", "id": "demo-3", "parent": "demo-2", "dependencies": dependencies});
        refused(&mut rig, "POST", "/beads", &body)
    };
    let said = [
        make(json!([{"depends_on": "demo-1"}, {"depends_on": "demo-9"}])),
        make(json!([{"depends_on": "demo-1"}, {"depends_on": "demo-1", "type": "related"}])),
        make(json!([{"depends_on": "demo-1", "type": "parent-child"}])),
        make(json!([{"depends_on": "demo-2"}])),
        make(json!([{"depends_on": "demo-1", "type": " "}])),
        make(json!([{"depends_on": "demo-1", "type": "x".repeat(51)}])),
        make(json!([{"type": "related"}])),
    ];
    expect![[r#"
        404 not_found: Bead demo-9 not found
        409 conflict: Bead demo-3 depends on demo-1 already, with type blocks; remove that first
        400 invalid: dependencies name two parents
        409 conflict: Bead demo-3 depends on demo-2 already, with type parent-child; remove that first
        400 invalid: type is required
        400 invalid: type must be 50 characters or less (got 51)
        400 invalid: Invalid request body: dependencies[0]: missing field `depends_on` at line 1 column 35"#]].assert_eq(&said.join("\n"));
    assert_eq!(rig.operator("GET", "/beads/demo-3", "").0, 404);
    let dependencies = json!([{"depends_on": "1"}, {"depends_on": "2", "type": "parent-child"}]);
    file(&mut rig, "demo-3", json!({"dependencies": dependencies}));
    assert_eq!(rig.bead("demo-3")["parent"], "demo-2");
    let blocked = rig.operator("GET", "/blocked", "").1;
    assert_eq!(
        (ids(&blocked), &blocked["data"][0]["blocked_by"]),
        ("3".to_owned(), &json!(["demo-1"]))
    );
}

#[test]
fn what_may_grow_has_a_bound() {
    let mut rig = TestRig::new();
    file(&mut rig, "demo-hub", json!({}));
    for n in 0..=limits::DEPENDENCIES_PER_BEAD_MAX {
        file(&mut rig, &format!("demo-d{n}"), json!({}));
    }
    for n in 0..limits::DEPENDENCIES_PER_BEAD_MAX {
        let body = json!({"depends_on": format!("demo-d{n}")});
        assert_eq!(refused(&mut rig, "POST", "/beads/hub/dependencies", &body), "201 ok: ");
    }
    let last = json!({"depends_on": format!("demo-d{}", limits::DEPENDENCIES_PER_BEAD_MAX)});
    let full = refused(&mut rig, "POST", "/beads/hub/dependencies", &last);
    file(&mut rig, "demo-g0", json!({}));
    for n in 1..=limits::PARENT_DEPTH_MAX {
        file(&mut rig, &format!("demo-g{n}"), json!({"parent": format!("demo-g{}", n - 1)}));
    }
    let deeper = json!({"title": "x", "parent": format!("demo-g{}", limits::PARENT_DEPTH_MAX)});
    let deep = refused(&mut rig, "POST", "/beads", &deeper);
    // What has generations below it goes under nothing that has as many above it.
    let below = refused(&mut rig, "PATCH", "/beads/demo-g0", &json!({"parent": "demo-d0"}));
    expect![[r#"
        429 limit_reached: Bead demo-hub has 50 dependencies, which is as many as it may have
        429 limit_reached: More than 10 generations would come of a bead under demo-g10; put it higher up
        429 limit_reached: More than 10 generations would come of a bead under demo-d0; put it higher up"#]]
    .assert_eq(&[full, deep, below].join("\n"));
}

#[test]
fn ready_and_blocked_are_the_most_urgent_first() {
    let mut rig = TestRig::new();
    for (id, more) in [
        ("demo-1", json!({"priority": 1})),
        ("demo-2", json!({"priority": 0, "assignee": "bob"})),
        ("demo-3", json!({"priority": 1, "type": "bug"})),
        ("demo-4", json!({"defer_until": "2026-01-01T01:00:00Z"})),
        ("demo-5", json!({"dependencies": [{"depends_on": "1"}, {"depends_on": "3"}]})),
        ("demo-6", json!({"parent": "5", "priority": 0})),
        ("demo-7", json!({})),
        ("demo-8", json!({})),
    ] {
        rig.pass(1);
        file(&mut rig, id, more);
    }
    rig.operator("POST", "/beads/7/close", "");
    rig.operator("PATCH", "/beads/8", r#"{"status":"in_progress"}"#);
    let mut list = |path: &str| {
        let (status, answer) = rig.operator("GET", path, "");
        assert_eq!(status, 200, "{answer}");
        ids(&answer)
    };
    assert_eq!(list("/ready"), "2 3 1");
    assert_eq!(list("/ready?limit=1&offset=1"), "3");
    assert_eq!(list("/ready?limit=0"), "");
    assert_eq!(list("/ready?assignee=bob"), "2");
    assert_eq!(list("/ready?type=bug"), "3");
    assert_eq!(list("/blocked"), "6 5");
    assert_eq!(list("/blocked?priority=0"), "6");
    assert_eq!(list("/beads/5/children"), "6");
    assert_eq!(list("/beads/6/children"), "");
    rig.pass(3_600_000);
    assert_eq!(ids(&rig.operator("GET", "/ready", "").1), "2 3 1 4");
    let blocked = rig.operator("GET", "/blocked?limit=1", "").1;
    assert_eq!(blocked["data"][0]["blocked_by"], json!(["demo-1", "demo-3"]));
    for (method, path) in [("GET", "/ready?limit=x"), ("GET", "/beads/9/children")] {
        assert!(rig.operator(method, path, "").0 >= 400);
    }
}

#[test]
fn the_audit_is_read_in_pages_without_a_gap() {
    let mut rig = TestRig::new();
    for n in 0..5 {
        file(&mut rig, &format!("demo-{n}"), json!({}));
    }
    rig.pass(1_000);
    let change = r#"{"title":"another","add_labels":["a"],"assignee":"bob"}"#;
    rig.operator("PATCH", "/beads/demo-1", change);
    let mut get = |query: &str| rig.operator("GET", &format!("/events?{query}"), "").1;
    let all = get("");
    let seqs = |answer: &Value| {
        let all = answer["data"].as_array().unwrap().iter();
        all.map(|it| it["seq"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let mut paged = Vec::new();
    loop {
        let page = seqs(&get(&format!("limit=2&after={}", paged.last().unwrap_or(&0))));
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!((paged, seqs(&all).len()), (seqs(&all), 7));
    assert_eq!(seqs(&get("since=2026-01-01T00:00:00.000Z")), [6, 7]);
    assert_eq!(seqs(&get("since=2025-12-31T23:59:59Z&limit=1")), [1]);
    assert_eq!(seqs(&get("since=2026-01-01T00:00:00Z&after=6")), [7]);
    assert_eq!(seqs(&get("since=2026-01-01T00:00:01Z")), [0; 0]);
    assert_eq!(seqs(&get("bead_id=1&limit=")), [2, 6, 7]);
    assert_eq!(seqs(&get("bead_id=nothing")), [0; 0]);
    expect![[r#"
        [
          {
            "actor": "ann",
            "agent_id": null,
            "bead_id": "demo-1",
            "created_at": "2026-01-01T00:00:00.000Z",
            "event_type": "created",
            "id": "2",
            "metadata": {
              "priority": 2,
              "title": "bead demo-1"
            },
            "new_value": "issue",
            "old_value": null,
            "seq": 2
          },
          {
            "actor": "ann",
            "agent_id": null,
            "bead_id": "demo-1",
            "created_at": "2026-01-01T00:00:01.000Z",
            "event_type": "assigned",
            "id": "6",
            "metadata": {},
            "new_value": "bob",
            "old_value": null,
            "seq": 6
          },
          {
            "actor": "ann",
            "agent_id": null,
            "bead_id": "demo-1",
            "created_at": "2026-01-01T00:00:01.000Z",
            "event_type": "updated",
            "id": "7",
            "metadata": {
              "fields": [
                "title",
                "labels"
              ]
            },
            "new_value": null,
            "old_value": null,
            "seq": 7
          }
        ]"#]]
    .assert_eq(&pretty(&get("bead_id=demo-1")));
    for query in ["since=yesterday", "after=-1", "after=x", "limit=many"] {
        assert_eq!(rig.operator("GET", &format!("/events?{query}"), "").0, 400, "{query}");
    }
}

#[test]
fn a_deleted_bead_leaves_one_line_and_no_number_of_the_audit_comes_twice() {
    let mut rig = TestRig::new();
    file(&mut rig, "demo-1", json!({}));
    file(&mut rig, "demo-2", json!({}));
    rig.operator("POST", "/beads/demo-2/notes", r#"{"text":"so far"}"#);
    let (status, answer) = rig.operator("DELETE", "/beads/2", "");
    assert_eq!((status, answer["data"].clone()), (200, json!({"deleted": true})));
    assert_eq!(rig.operator("DELETE", "/beads/demo-2", "").0, 404);
    assert_eq!(rig.operator("GET", "/beads/demo-2", "").0, 404);
    let left = rig.operator("GET", "/events?bead_id=demo-2", "").1;
    assert_eq!(left["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&left["data"][0]["event_type"], &left["data"][0]["seq"]),
        (&json!("deleted"), &json!(3))
    );
    // Its name is free again, and what is new is not what was.
    file(&mut rig, "demo-2", json!({}));
    assert_eq!(rig.bead("demo-2")["notes"], json!([]));
    assert_eq!(rig.operator("GET", "/events?after=3", "").1["data"][0]["seq"], 4);
}

#[test]
fn a_report_of_a_run_that_was_deleted_with_its_bead_finds_nothing_to_do() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("a bead");
    rig.schedule();
    let run = rig.accept().remove(0);
    let path = format!("/agents/{}/completed", run.agent_id);
    let report = json!({"status": "failed", "attempt": run.attempt, "exit_code": 1}).to_string();
    assert_eq!(rig.call(&container(), "POST", &path, &report).0, 200);
    assert_eq!(rig.operator("DELETE", &format!("/beads/{bead}"), "").0, 200);
    // The newest run of all stays, for its number's sake, and does not run again.
    let before = rig.operator("GET", "/events", "").1;
    assert_eq!(rig.call(&container(), "POST", &path, &report).0, 200);
    assert_eq!(rig.operator("GET", "/events", "").1, before);
    // One that was over before goes with its bead: 404, which the container takes for "wanted no more".
    let older = rig.assigned("an older one");
    rig.assigned("a newer one");
    rig.schedule();
    let gone = rig.accept().remove(0);
    let path = format!("/agents/{}/completed", gone.agent_id);
    let report = json!({"status": "failed", "attempt": gone.attempt, "exit_code": 1}).to_string();
    assert_eq!(rig.call(&container(), "POST", &path, &report).0, 200);
    assert_eq!(rig.operator("DELETE", &format!("/beads/{older}"), "").0, 200);
    assert_eq!(rig.call(&container(), "POST", &path, &report).0, 404);
    // One that is alive stays until it is over, and its end is taken, as often as it is said.
    let bead = rig.assigned("another");
    rig.schedule();
    let run = rig.accept().remove(0);
    let path = format!("/agents/{}/completed", run.agent_id);
    let report = json!({"status": "failed", "attempt": run.attempt, "exit_code": 1}).to_string();
    assert_eq!(rig.operator("DELETE", &format!("/beads/{bead}"), "").0, 200);
    assert_eq!(rig.call(&agent(&run), "GET", "/beads", "").0, 409);
    assert_eq!(rig.call(&container(), "POST", &path, &report).0, 200);
    assert_eq!(rig.call(&container(), "POST", &path, &report).0, 200);
}

#[test]
fn an_agent_links_the_bead_that_it_holds_and_deletes_none() {
    let mut rig = TestRig::new();
    file(&mut rig, "demo-1", json!({}));
    let bead = rig.assigned("a bead");
    rig.schedule();
    let me = agent(&rig.accept()[0]);
    let mut call = |method: &str, path: &str, body: &str| rig.call(&me, method, path, body).0;
    let link = r#"{"depends_on":"demo-1"}"#;
    assert_eq!(call("POST", &format!("/beads/{bead}/dependencies"), link), 201);
    assert_eq!(call("DELETE", &format!("/beads/{bead}/dependencies/demo-1"), ""), 200);
    let link = format!(r#"{{"depends_on":"{bead}"}}"#);
    assert_eq!(call("POST", "/beads/demo-1/dependencies", &link), 403);
    assert_eq!(call("DELETE", &format!("/beads/{bead}"), ""), 403);
    let found = json!({"title": "found", "dependencies": [{"depends_on": bead, "type": "discovered-from"}]});
    assert_eq!(call("POST", "/beads", &found.to_string()), 201);
    assert_eq!(call("GET", "/ready", ""), 200);
    assert_eq!(call("GET", "/events", ""), 200);
}
