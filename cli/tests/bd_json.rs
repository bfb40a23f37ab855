//! bd's verbs against the real core of a rig: what scripts read. Objects are objects and arrays arrays as in bd, and a
//! list that is empty is `[]`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::too_many_lines, reason = "most of them are what is printed")]

mod support;

use expect_test::expect;
use serde_json::Value;
use support::linked::RealRig;

fn some(name: &str) -> RealRig {
    let rig = RealRig::new(name);
    for line in [
        r#"create "All of it" --id demo-ep1 -t epic -d "whole""#,
        r#"create "First" --id demo-1 --parent demo-ep1 -d "a < b & c" --acceptance "tests pass" -l x"#,
        r#"create "Second" --id demo-2 --parent demo-ep1 -d d --deps demo-1 -a agent"#,
        "note demo-2 one",
        "note demo-2 two",
    ] {
        let printed = rig.sh(line);
        assert!(printed.ends_with("exit 0\n"), "{line}: {printed}");
    }
    rig
}

#[test]
fn show_has_whole_issues_at_both_ends() {
    let rig = some("json-show");
    expect![[r#"
        [
          {
            "id": "demo-2",
            "title": "Second",
            "description": "d",
            "notes": "one\ntwo",
            "status": "open",
            "priority": 2,
            "issue_type": "task",
            "assignee": "agent",
            "created_at": "2026-01-01T00:00:04.000Z",
            "created_by": "alice",
            "updated_at": "2026-01-01T00:00:08.000Z",
            "dependencies": [
              {
                "id": "demo-ep1",
                "title": "All of it",
                "description": "whole",
                "status": "open",
                "priority": 2,
                "issue_type": "epic",
                "created_at": "2026-01-01T00:00:00.000Z",
                "created_by": "alice",
                "updated_at": "2026-01-01T00:00:00.000Z",
                "dependency_type": "parent-child"
              },
              {
                "id": "demo-1",
                "title": "First",
                "description": "a \u003c b \u0026 c",
                "acceptance_criteria": "tests pass",
                "status": "open",
                "priority": 2,
                "issue_type": "task",
                "created_at": "2026-01-01T00:00:02.000Z",
                "created_by": "alice",
                "updated_at": "2026-01-01T00:00:02.000Z",
                "labels": [
                  "x"
                ],
                "dependency_type": "blocks"
              }
            ],
            "parent": "demo-ep1",
            "waiting": {
              "reason": "no_acceptance_criteria",
              "message": "has no acceptance criteria, and an agent takes no bead without; add them: beadrig update demo-2 --acceptance \"…\"",
              "until": null
            }
          }
        ]
        exit 0
    "#]].assert_eq(&rig.bd(&["show", "demo-2", "--json"]));
    let one = &rig.json(&["show", "demo-1"])[0];
    assert_eq!(one["dependents"][0]["id"], "demo-2");
    assert_eq!(one["dependents"][0]["dependency_type"], "blocks");
    let epic = &rig.json(&["show", "demo-ep1"])[0];
    assert_eq!(epic["epic_total_children"], 2);
    assert_eq!(epic["epic_closed_children"], 0);
    assert_eq!(epic["epic_closeable"], false);
    assert_eq!(epic["dependents"].as_array().unwrap().len(), 2);
}

#[test]
fn lists_have_counts_records_and_notes() {
    let rig = some("json-lists");
    expect![[r#"
        [
          {
            "id": "demo-2",
            "title": "Second",
            "description": "d",
            "notes": "one\ntwo",
            "status": "open",
            "priority": 2,
            "issue_type": "task",
            "assignee": "agent",
            "created_at": "2026-01-01T00:00:04.000Z",
            "created_by": "alice",
            "updated_at": "2026-01-01T00:00:08.000Z",
            "dependencies": [
              {
                "issue_id": "demo-2",
                "depends_on_id": "demo-ep1",
                "type": "parent-child",
                "created_at": "2026-01-01T00:00:04.000Z",
                "created_by": "alice"
              },
              {
                "issue_id": "demo-2",
                "depends_on_id": "demo-1",
                "type": "blocks",
                "created_at": "2026-01-01T00:00:06.000Z",
                "created_by": "alice"
              }
            ],
            "dependency_count": 1,
            "dependent_count": 0,
            "comment_count": 0,
            "parent": "demo-ep1",
            "waiting": {
              "reason": "no_acceptance_criteria",
              "message": "has no acceptance criteria, and an agent takes no bead without; add them: beadrig update demo-2 --acceptance \"…\"",
              "until": null
            }
          }
        ]
        exit 0
    "#]].assert_eq(&rig.bd(&["list", "-a", "agent", "--json"]));
    let ready = rig.json(&["ready"]);
    let first = ready.as_array().unwrap().iter().find(|it| it["id"] == "demo-1").unwrap();
    assert_eq!(first["dependent_count"], 1);
    assert_eq!(first["dependency_count"], 0);
    assert_eq!(first["comment_count"], 0);
    assert_eq!(first["parent"], "demo-ep1");
    let queried = rig.json(&["query", "assignee=agent AND status=open"]);
    assert_eq!(queried[0]["notes"], "one\ntwo");
    assert_eq!(queried[0]["dependency_count"], 1);
    for empty in ["ready -t bug", "list -s deferred", "query type=bug", "search nothing"] {
        let words: Vec<_> = empty.split(' ').chain(["--json"]).collect();
        assert_eq!(rig.bd(&words), "[]\nexit 0\n", "{empty}");
    }
    rig.sh("dep remove demo-2 demo-1");
    assert_eq!(rig.bd(&["blocked", "--json"]), "[]\nexit 0\n");
}

#[test]
fn notes_that_do_not_fit_into_one_answer_come_all_the_same() {
    let rig = RealRig::new("json-many-notes");
    for id in ["demo-1", "demo-2", "demo-3"] {
        rig.sh(&format!("create T -d d --id {id}"));
        rig.bd(&["note", id, "short"]);
    }
    let long = "x".repeat(16 * 1024);
    for _ in 0..70 {
        rig.piped(&["note", "demo-2", "--stdin"], &long);
    }
    let listed = rig.json(&["list"]);
    let lines: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["notes"].as_str().unwrap().lines().count())
        .collect();
    assert_eq!(lines, [1, 71, 1]);
    let asked = rig.rig.asked();
    assert!(asked.matches("/details?").count() > 1, "{asked}");
}

#[test]
fn every_verb_prints_an_object_or_an_array_as_bd_does() {
    let rig = some("json-shapes");
    let shape = |line: &str| {
        let words = shlex::split(line).unwrap();
        let value = rig.json(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let inside = match &value {
            Value::Array(all) => format!("array of {}", all.first().map_or("nothing", kind)),
            other => kind(other).to_owned(),
        };
        format!("{line:44} {inside}\n")
    };
    let lines = [
        "create Third -d d --id demo-3",
        "q Fourth",
        "note demo-1 text",
        "assign demo-1 bob",
        "priority demo-1 0",
        "update demo-1 -t bug",
        "show demo-1",
        "list",
        "ready",
        "blocked",
        "query id=demo-1",
        "search first",
        "stale",
        "count",
        "count --by-label",
        "status",
        "history demo-1",
        "label add demo-1 y",
        "label list demo-1",
        "label list-all",
        "dep add demo-3 demo-1 -t related",
        "dep list demo-3",
        "dep tree demo-3",
        "dep cycles",
        "dep remove demo-3 demo-1",
        "dep demo-1 --blocks demo-3",
        "epic status",
        "epic close-eligible",
        "close demo-1",
        "close demo-2 --suggest-next",
        "reopen demo-1",
        "delete demo-3",
        "delete demo-3 --force",
        "init",
    ];
    let shapes: String = lines.into_iter().map(shape).collect();
    expect![[r#"
        create Third -d d --id demo-3                object
        q Fourth                                     object
        note demo-1 text                             object
        assign demo-1 bob                            object
        priority demo-1 0                            object
        update demo-1 -t bug                         array of object
        show demo-1                                  array of object
        list                                         array of object
        ready                                        array of object
        blocked                                      array of object
        query id=demo-1                              array of object
        search first                                 array of object
        stale                                        array of object
        count                                        object
        count --by-label                             object
        status                                       object
        history demo-1                               array of object
        label add demo-1 y                           array of object
        label list demo-1                            array of string
        label list-all                               array of object
        dep add demo-3 demo-1 -t related             object
        dep list demo-3                              array of object
        dep tree demo-3                              array of object
        dep cycles                                   array of nothing
        dep remove demo-3 demo-1                     object
        dep demo-1 --blocks demo-3                   object
        epic status                                  array of object
        epic close-eligible                          array of nothing
        close demo-1                                 array of object
        close demo-2 --suggest-next                  object
        reopen demo-1                                array of object
        delete demo-3                                object
        delete demo-3 --force                        object
        init                                         object
    "#]]
    .assert_eq(&shapes);
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        _ => "other",
    }
}

#[test]
fn small_answers_have_bds_keys() {
    let rig = some("json-small");
    expect![[r#"
        $ bd dep add demo-ep1 demo-1 -t related --json
        {
          "status": "added",
          "issue_id": "demo-ep1",
          "depends_on_id": "demo-1",
          "type": "related"
        }
        exit 0
        $ bd dep demo-2 --blocks demo-1 --json
        {
          "error": "adding dependency would create a cycle",
          "hint": "Bead demo-1 would wait for itself: demo-1 -\u003e demo-2 -\u003e demo-1; remove one of these steps first"
        }
        exit 1
        $ bd dep remove demo-2 demo-1 --json
        {
          "status": "removed",
          "issue_id": "demo-2",
          "depends_on_id": "demo-1"
        }
        exit 0
        $ bd dep demo-2 --blocks demo-1 --json
        {
          "status": "added",
          "blocker_id": "demo-2",
          "blocked_id": "demo-1",
          "type": "blocks"
        }
        exit 0
        $ bd label add demo-1 demo-2 y --json
        [
          {
            "status": "added",
            "issue_id": "demo-1",
            "label": "y"
          },
          {
            "status": "added",
            "issue_id": "demo-2",
            "label": "y"
          }
        ]
        exit 0
        $ bd count --json
        {
          "count": 3
        }
        exit 0
        $ bd count --by-priority --json
        {
          "total": 3,
          "groups": [
            {
              "group": "P2",
              "count": 3
            }
          ]
        }
        exit 0
        $ bd blocked --json
        [
          {
            "id": "demo-1",
            "title": "First",
            "description": "a \u003c b \u0026 c",
            "acceptance_criteria": "tests pass",
            "status": "open",
            "priority": 2,
            "issue_type": "task",
            "created_at": "2026-01-01T00:00:02.000Z",
            "created_by": "alice",
            "updated_at": "2026-01-01T00:00:21.000Z",
            "labels": [
              "x",
              "y"
            ],
            "blocked_by_count": 1,
            "blocked_by": [
              "demo-2"
            ]
          }
        ]
        exit 0
        $ bd history demo-1 --limit 1 --json
        [
          {
            "id": "8",
            "issue_id": "demo-1",
            "event_type": "updated",
            "actor": "alice",
            "created_at": "2026-01-01T00:00:21.000Z"
          }
        ]
        exit 0
        $ bd delete demo-1 --json
        {
          "dry_run": true,
          "would_delete": [
            "demo-1"
          ],
          "dependencies_removed": 3,
          "orphaned_issues": [
            "demo-ep1"
          ]
        }
        exit 0
        $ bd delete demo-1 --force --json
        {
          "deleted": "demo-1",
          "dependencies_removed": 3,
          "references_updated": 0
        }
        exit 0
        $ bd epic status --json
        [
          {
            "epic": {
              "id": "demo-ep1",
              "title": "All of it",
              "description": "whole",
              "status": "open",
              "priority": 2,
              "issue_type": "epic",
              "created_at": "2026-01-01T00:00:00.000Z",
              "created_by": "alice",
              "updated_at": "2026-01-01T00:00:00.000Z"
            },
            "total_children": 1,
            "closed_children": 0,
            "eligible_for_close": false
          }
        ]
        exit 0
    "#]].assert_eq(&rig.tell(&[
        "dep add demo-ep1 demo-1 -t related --json",
        "dep demo-2 --blocks demo-1 --json",
        "dep remove demo-2 demo-1 --json",
        "dep demo-2 --blocks demo-1 --json",
        "label add demo-1 demo-2 y --json",
        "count --json",
        "count --by-priority --json",
        "blocked --json",
        "history demo-1 --limit 1 --json",
        "delete demo-1 --json",
        "delete demo-1 --force --json",
        "epic status --json",
    ]));
    let status = rig.json(&["status"]);
    let summary = &status["summary"];
    for (key, count) in [
        ("total_issues", 2),
        ("open_issues", 2),
        ("closed_issues", 0),
        ("blocked_issues", 0),
        ("ready_issues", 2),
        ("pinned_issues", 0),
    ] {
        assert_eq!(summary[key], count, "{key}: {status}");
    }
    assert_eq!(
        rig.json(&["status", "--assigned", "--actor", "agent"])["summary"]["total_issues"],
        1
    );
}
