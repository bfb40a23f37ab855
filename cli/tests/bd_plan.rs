//! `create --file` and `create --graph`: several beads at once, all of them or none.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::too_many_lines, reason = "most of them are what is printed")]

#[path = "support/core.rs"]
mod core;
mod support;

use core::Core;
use expect_test::expect;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use support::linked::RealRig;
use support::{command, directory, output, refused};

/// A rig with a bead, and a file beside.
fn some(name: &str, file: &str, text: &str) -> RealRig {
    let rig = RealRig::new(name);
    fs::write(rig.here.join(file), text).unwrap();
    assert!(rig.sh("create There --id demo-there -d d").ends_with("exit 0\n"));
    rig
}

/// Ids are random; which is which is told by the title.
fn ids(rig: &RealRig, told: &str) -> String {
    let beads = rig.json(&["list", "--all", "-n", "0"]);
    beads.as_array().unwrap().iter().fold(told.to_owned(), |told, bead| {
        let id = bead["id"].as_str().unwrap();
        if id == "demo-there" {
            return told;
        }
        told.replace(id, &format!("<{}>", bead["title"].as_str().unwrap()))
    })
}

const TEXT: &str = "\
# Not an issue
before the first

## Parse dates

first line

second line

### Priority
0
### Type
feat
### Acceptance Criteria
- tests pass
- no panic

### Design

with care

### Labels
core, slow
### Assignee
agent
### Dependencies
demo-there, related:demo-there2

## Read words
### Description
##is no title without a space
### Priority
urgent
### Frob
nothing
";

#[test]
fn a_text_says_several_issues() {
    let rig = some("plan-md", "plan.md", TEXT);
    // A dependency that is not there: nothing is made.
    expect![[r#"
        --- stderr
        Warning: invalid priority 'urgent' in 'Read words', using default P2
        Error: resolving issue ID demo-there2: no issue found matching "demo-there2"
        exit 1
    "#]]
    .assert_eq(&rig.sh("create --file plan.md"));
    assert_eq!(rig.json(&["list"]).as_array().unwrap().len(), 1);
    fs::write(rig.here.join("plan.md"), TEXT.replace(", related:demo-there2", "")).unwrap();
    let told = rig.sh("create -f plan.md");
    expect![[r#"
        ✓ Created 2 issues from plan.md:
          <Parse dates>: Parse dates [P0, feature]
          Waiting: waits for demo-there to be closed
          <Read words>: Read words [P2, task]
        --- stderr
        Warning: invalid priority 'urgent' in 'Read words', using default P2
        exit 0
    "#]]
    .assert_eq(&ids(&rig, &told));
    let beads = rig.json(&["list"]);
    let dates = beads.as_array().unwrap().iter().find(|it| it["title"] == "Parse dates").unwrap();
    assert_eq!(dates["description"], "first line\nsecond line");
    assert_eq!(dates["issue_type"], "feature");
    assert_eq!(dates["acceptance_criteria"], "- tests pass\n- no panic");
    assert_eq!(dates["design"], "with care");
    assert_eq!(dates["labels"], json!(["core", "slow"]));
    assert_eq!(dates["assignee"], "agent");
    assert_eq!(dates["dependencies"][0]["depends_on_id"], "demo-there");
    let made = rig.json(&["create", "-f", "plan.md"]);
    assert_eq!(made.as_array().unwrap().len(), 2);
    assert_eq!(made[0]["title"], "Parse dates");
}

#[test]
fn what_no_file_can_say_is_refused() {
    let rig = some("plan-bad", "empty.md", "# only a head\n");
    fs::write(rig.here.join("notes.txt"), "## x\n").unwrap();
    fs::write(rig.here.join("huge.md"), format!("## x\n{}", "y".repeat(1 << 20))).unwrap();
    fs::write(rig.here.join("many.md"), "## x\n".repeat(501)).unwrap();
    expect![[r#"
        $ bd create -f empty.md
        --- stderr
        Error: parsing markdown file: no issues found in markdown file (expected ## Issue Title format)
        exit 1
        $ bd create -f notes.txt
        --- stderr
        Error: parsing markdown file: invalid file type: only .md and .markdown files are supported
        exit 1
        $ bd create -f nope.md
        --- stderr
        Error: cannot access file: nope.md: No such file or directory (os error 2)
        exit 1
        $ bd create -f huge.md
        --- stderr
        Error: huge.md has more than 1048576 bytes
        Hint: split it, or write an issues.jsonl and import that
        exit 1
        $ bd create -f many.md
        --- stderr
        Error: 501 issues and 0 dependencies are too many at once: 500 and 2000 are the most
        Hint: split it, or write an issues.jsonl and import that
        exit 1
        $ bd create title -f empty.md
        --- stderr
        Error: cannot specify both title and --file flag
        exit 1
        $ bd create -f empty.md --dry-run
        --- stderr
        Error: --dry-run is not supported with --file flag
        exit 1
        $ bd create -f empty.md --graph empty.md
        --- stderr
        Error: the argument '--file <FILE.md>' cannot be used with '--graph <FILE.json>'

        Usage: bd create --file <FILE.md> [TITLE]

        For more information, try '--help'.
        exit 1
        $ bd create --graph empty.md
        --- stderr
        Error: parsing graph plan: expected value at line 1 column 1
        exit 1
    "#]].assert_eq(&rig.tell(&[
        "create -f empty.md",
        "create -f notes.txt",
        "create -f nope.md",
        "create -f huge.md",
        "create -f many.md",
        "create title -f empty.md",
        "create -f empty.md --dry-run",
        "create -f empty.md --graph empty.md",
        "create --graph empty.md",
    ]));
    assert_eq!(rig.json(&["list"]).as_array().unwrap().len(), 1);
}

fn graph() -> serde_json::Value {
    json!({
        "commit_message": "x",
        "nodes": [
            {"key": "b", "title": "Words", "priority": 0, "parent_key": "root", "assignee": "bob",
             "assign_after_create": true, "labels": ["x"], "metadata": {"n": "1"},
             "metadata_refs": {"root": "root"}},
            {"key": "a", "title": "Dates", "type": "bug", "description": "d", "parent_key": "root"},
            {"key": "root", "title": "All", "type": "epic"},
            {"key": "under", "title": "Under", "parent_id": "demo-there"},
        ],
        "edges": [
            {"from_key": "b", "to_key": "a"},
            {"from_key": "a", "to_id": "there", "type": "related"},
        ],
    })
}

#[test]
fn a_plan_says_a_whole_graph() {
    let rig = some("plan-graph", "g.json", &graph().to_string());
    expect![[r#"
        $ bd create --graph g.json --dry-run
        Dry run: would create 4 issue(s) and 2 edge(s) (3 parent-child link(s))
          b [task] P0 "Words" parent_key=root
          a [bug] P2 "Dates" parent_key=root
          root [epic] P2 "All"
          under [task] P2 "Under" parent_id=demo-there
        exit 0
        $ bd create --graph g.json --dry-run --json
        {
          "dry_run": true,
          "node_count": 4,
          "edge_count": 2,
          "parent_deps": 3,
          "nodes": [
            {
              "key": "b",
              "title": "Words",
              "type": "task",
              "priority": 0,
              "parent_key": "root"
            },
            {
              "key": "a",
              "title": "Dates",
              "type": "bug",
              "priority": 2,
              "parent_key": "root"
            },
            {
              "key": "root",
              "title": "All",
              "type": "epic",
              "priority": 2
            },
            {
              "key": "under",
              "title": "Under",
              "type": "task",
              "priority": 2,
              "parent_id": "demo-there"
            }
          ]
        }
        exit 0
    "#]]
    .assert_eq(
        &rig.tell(&["create --graph g.json --dry-run", "create --graph g.json --dry-run --json"]),
    );
    assert_eq!(rig.json(&["list"]).as_array().unwrap().len(), 1);
    let told = rig.sh("create --graph g.json");
    expect![[r#"
        Created 4 issues
          a -> <Dates>
          b -> <Words>
          root -> <All>
          under -> <Under>
        exit 0
    "#]]
    .assert_eq(&ids(&rig, &told));
    let beads = rig.json(&["list"]);
    let of = |title: &str| {
        beads.as_array().unwrap().iter().find(|it| it["title"] == title).unwrap().clone()
    };
    let (words, dates, root) = (of("Words"), of("Dates"), of("All"));
    assert_eq!(words["parent"], root["id"]);
    assert_eq!(words["assignee"], "bob");
    assert_eq!(words["priority"], 0);
    assert_eq!(words["metadata"], json!({"n": "1", "root": root["id"]}));
    assert_eq!(dates["issue_type"], "bug");
    assert_eq!(of("Under")["parent"], "demo-there");
    let blocked = rig.json(&["blocked"]);
    assert_eq!(blocked[0]["blocked_by"], json!([dates["id"]]));
    let made = rig.json(&["create", "--graph", "g.json"]);
    assert_eq!(made["ids"].as_object().unwrap().len(), 4);
}

#[test]
fn a_plan_that_cannot_be_meant_makes_nothing() {
    let rig = some("plan-graph-bad", "g.json", "");
    let mut told = String::new();
    let cases = [
        json!({}),
        json!({"nodes": [{"title": "x"}]}),
        json!({"nodes": [{"key": "a", "title": " "}]}),
        json!({"nodes": [{"key": "a", "title": "x"}, {"key": "a", "title": "y"}]}),
        json!({"nodes": [{"key": "a", "title": "x", "priority": 7}]}),
        json!({"nodes": [{"key": "a", "title": "x", "parent_key": "b"}]}),
        json!({"nodes": [{"key": "a", "title": "x", "metadata_refs": {"m": "b"}}]}),
        json!({"nodes": [{"key": "a", "title": "x"}], "edges": [{"from_key": "a"}]}),
        json!({"nodes": [{"key": "a", "title": "x"}], "edges": [{"from_key": "b", "to_key": "a"}]}),
        json!({"nodes": [{"key": "a", "title": "x", "parent_id": "nope"}]}),
        // Only the rig knows that this is a circle: both are made, and deleted again.
        json!({"nodes": [{"key": "a", "title": "x", "assignee": "agent"}, {"key": "b", "title": "y"}],
               "edges": [{"from_key": "a", "to_key": "b"}, {"from_key": "b", "to_key": "a"}]}),
        // An unknown field is told, and a slip in the title refused by the rig.
        json!({"nodes": [{"key": "a", "title": "x", "parent": "b"},
                         {"key": "b", "title": "x".repeat(501), "frob": 1}], "x": 1}),
    ];
    for case in cases {
        fs::write(rig.here.join("g.json"), case.to_string()).unwrap();
        told += &rig.sh("create --graph g.json");
    }
    let known = told.split("demo-").skip(1).map(|it| it[..3].to_owned()).collect::<Vec<_>>();
    let told = known.iter().fold(told, |told, id| told.replace(&format!("demo-{id}"), "<ID>"));
    expect![[r#"
        --- stderr
        Error: invalid graph plan: plan has no nodes
        exit 1
        --- stderr
        Error: invalid graph plan: node 0 has empty key
        exit 1
        --- stderr
        Error: invalid graph plan: node "a" has empty title
        exit 1
        --- stderr
        Error: invalid graph plan: duplicate node key "a"
        exit 1
        --- stderr
        Error: invalid graph plan: node "a": priority must be between 0 and 4 (got 7)
        exit 1
        --- stderr
        Error: invalid graph plan: node "a": parent key "b" not found in plan
        exit 1
        --- stderr
        Error: invalid graph plan: node "a": metadata ref "m" references unknown key "b"
        exit 1
        --- stderr
        Error: invalid graph plan: edge 0: must specify to_key or to_id
        exit 1
        --- stderr
        Error: invalid graph plan: edge 0: from key "b" not found in plan
        exit 1
        --- stderr
        Error: graph create: resolving issue ID nope: no issue found matching "nope"
        exit 1
        --- stderr
        Error: graph create: "b -> a": Bead <ID> would wait for itself: <ID> -> <ID> -> <ID>; remove one of these steps first
        Hint: nothing was created
        exit 1
        --- stderr
        Warning: graph plan plan has unknown field(s): [x]
        Warning: graph plan node["a"] has unknown field(s): [parent]; a parent is named by parent_key or parent_id
        Warning: graph plan node["b"] has unknown field(s): [frob]
        Error: graph create: "b": title must be 500 characters or less (got 501)
        Hint: nothing was created
        exit 1
    "#]].assert_eq(&told);
    assert_eq!(rig.json(&["list", "--all"]).as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_deleted_again_is_named_and_is_nobodys() {
    let core = Core::new();
    // Whoever is cut off from the rig in the middle cannot clean up.
    let rig = core.serve(|asked| {
        asked.line.starts_with("DELETE ").then(|| refused(403, "forbidden", "only a person may"))
    });
    let here: PathBuf = directory("plan-left");
    let plan = json!({
        "nodes": [{"key": "a", "title": "x", "assignee": "agent"}, {"key": "b", "title": "y"}],
        "edges": [{"from_key": "a", "to_key": "b"}, {"from_key": "b", "to_key": "a"}],
    });
    fs::write(here.join("g.json"), plan.to_string()).unwrap();
    let mut create = command(&rig.url, &["create", "--graph", "g.json"]);
    create.current_dir(&here);
    let told = output(create);
    let left = support::json(&rig, &["list", "--sort", "created", "--reverse"]);
    let ids: Vec<_> =
        left.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert!(
        told.contains(&format!("these were created and are nobody's: {} {}", ids[0], ids[1])),
        "{told}"
    );
    assert!(told.ends_with("exit 1\n"));
    assert!(left.as_array().unwrap().iter().all(|it| it.get("assignee").is_none()), "{left}");
}
