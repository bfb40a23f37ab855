//! The runbook of the dispatcher that this replaces, command by command, with the command linked as `bd`: hand over, take
//! back, inspect, re-arm, smoke. What `jq` read is read here.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::too_many_lines, reason = "most of them are what is printed")]

mod support;

use expect_test::expect;
use std::thread;
use support::linked::RealRig;
use support::{Asked, Reply, Rig, bead, check, command, ok, refused, show};

#[test]
fn a_bead_is_handed_over_taken_back_and_handed_over_again() {
    let rig = RealRig::new("runbook");
    let created = rig.bd(&[
        "create",
        "Title",
        "-d",
        "Full context — files, services, error messages.",
        "--acceptance",
        "Concrete, verifiable criteria",
        "-p",
        "2",
        "--id",
        "demo-1",
    ]);
    expect![[r#"
        ✓ Created issue: demo-1 — Title
          Priority: P2
          Status: open
        exit 0
    "#]]
    .assert_eq(&created);
    expect![[r#"
        $ bd assign demo-1 agent
        ✓ Assigned agent to demo-1 — Title
          Waiting: will be taken at the next tick
        exit 0
        $ bd query 'assignee=agent AND status=open'
        ID      P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-1  P2  open    task  agent     Title
        exit 0
        $ bd assign demo-1 ''
        ✓ Unassigned demo-1
        exit 0
        $ bd query 'assignee=agent AND status=open'
        No issues found matching query: assignee=agent AND status=open
        exit 0
        $ bd assign demo-1 agent
        ✓ Assigned agent to demo-1 — Title
          Waiting: will be taken at the next tick
        exit 0
        $ bd update demo-1 -s in_progress
        ✓ Updated issue: demo-1 — Title
          Waiting: no agent holds it; it goes back to the queue (until 2026-01-01 00:01:06)
        exit 0
        $ bd assign demo-1 ''
        ✓ Unassigned demo-1
        exit 0
        $ bd update demo-1 -s open
        ✓ Updated issue: demo-1 — Title
        exit 0
    "#]]
    .assert_eq(&rig.tell(&[
        "assign demo-1 agent",
        "query 'assignee=agent AND status=open'",
        "assign demo-1 ''",
        "query 'assignee=agent AND status=open'",
        "assign demo-1 agent",
        "update demo-1 -s in_progress",
        "assign demo-1 ''",
        "update demo-1 -s open",
    ]));
}

#[test]
fn the_dispatchers_query_gives_what_its_jq_reads() {
    let rig = RealRig::new("dispatch");
    rig.sh("create 'No criteria' --id demo-1 -d d -a agent -p 0");
    rig.sh("create 'Low' --id demo-2 -d d -a agent -p 3 --acceptance ok");
    rig.sh("create 'High' --id demo-3 -d d -a agent -p 1 --acceptance ok");
    rig.sh("create 'Of somebody else' --id demo-4 -d d -a bob --acceptance ok");
    let found = rig.json(&["query", "assignee=agent AND status=open"]);
    // jq: [.[] | select(.acceptance_criteria and (.acceptance_criteria | length) > 0)] | sort_by(.priority, .updated_at) | .[0].id
    let mut ready: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| {
            it.get("acceptance_criteria").is_some_and(|it| !it.as_str().unwrap().is_empty())
        })
        .collect();
    ready.sort_by_key(|it| (it["priority"].as_i64(), it["updated_at"].as_str()));
    let ids: Vec<_> = ready.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["demo-3", "demo-2"], "{found:#}");
}

#[test]
fn a_blocked_bead_is_inspected_and_armed_again() {
    let rig = RealRig::new("rearm");
    rig.sh("create 'Stuck' --id demo-1 -d d -a agent --acceptance ok");
    rig.sh("update demo-1 -s in_progress");
    rig.sh("note demo-1 'reaper: no progress for 31m (threshold 30m) — blocking'");
    rig.sh("update demo-1 -s blocked");
    let shown = rig.json(&["show", "demo-1"]);
    // jq: .[0] | {status, assignee, notes, updated_at}
    let shown = &shown[0];
    assert_eq!(shown["status"], "blocked");
    assert_eq!(shown["assignee"], "agent");
    assert_eq!(shown["notes"], "reaper: no progress for 31m (threshold 30m) — blocking");
    let before = shown["updated_at"].as_str().unwrap().to_owned();
    // The reaper's: [.[] | select(.updated_at < $threshold)] | .[].id
    let stuck = rig.json(&["query", "assignee=agent AND status=blocked AND updated<1h"]);
    assert_eq!(stuck[0]["id"], "demo-1");
    expect![[r#"
        $ bd update demo-1 -s open
        ✓ Updated issue: demo-1 — Stuck
          Waiting: will be taken at the next tick
        exit 0
        $ bd assign demo-1 agent
        ✓ Assigned agent to demo-1 — Stuck
          Waiting: will be taken at the next tick
        exit 0
    "#]]
    .assert_eq(&rig.tell(&["update demo-1 -s open", "assign demo-1 agent"]));
    let after = rig.json(&["show", "demo-1"]);
    assert_eq!(after[0]["status"], "open");
    assert!(after[0]["updated_at"].as_str().unwrap() > before.as_str());
}

#[test]
fn the_smoke_test_leaves_its_notes_on_the_bead() {
    let rig = RealRig::new("smoke");
    let id = rig.bd(&[
        "create",
        "auto-dispatch smoke test",
        "-d",
        "Read /etc/hostname inside the agent sandbox and close.",
        "--acceptance",
        "bd note includes 'hostname=' and bead is closed.",
        "--silent",
    ]);
    let id = id.trim_end_matches("\nexit 0\n");
    rig.bd(&["assign", id, "agent"]);
    // What the rig and its agent write, in the words of the document.
    rig.bd(&["note", id, "auto-dispatcher claimed at 2026-01-01T00:00:02Z"]);
    rig.bd(&["note", id, "dispatched: job=abcdef123456"]);
    rig.piped(&["note", id, "--stdin"], "hostname=box\n");
    rig.bd(&["close", id, "-r", "completed by agent abcdef123456"]);
    let shown = rig.json(&["show", id]);
    let notes = shown[0]["notes"].as_str().unwrap();
    let lines: Vec<_> = notes.lines().collect();
    assert_eq!(
        lines,
        [
            "auto-dispatcher claimed at 2026-01-01T00:00:02Z",
            "dispatched: job=abcdef123456",
            "hostname=box"
        ]
    );
    assert_eq!(shown[0]["status"], "closed");
    assert_eq!(shown[0]["close_reason"], "completed by agent abcdef123456");
}

#[test]
fn ten_notes_at_once_are_ten_notes() {
    let rig = RealRig::new("ten-notes");
    rig.sh("create Busy --id demo-1 -d d");
    thread::scope(|scope| {
        for n in 0..10 {
            let rig = &rig;
            scope.spawn(move || {
                let printed = rig.bd(&["note", "demo-1", &format!("note-{n}")]);
                assert!(printed.ends_with("exit 0\n"), "{printed}");
            });
        }
    });
    let shown = rig.json(&["show", "demo-1"]);
    let mut notes: Vec<_> = shown[0]["notes"].as_str().unwrap().lines().collect();
    notes.sort_unstable();
    assert_eq!(notes, (0..10).map(|n| format!("note-{n}")).collect::<Vec<_>>());
}

/// A rig on which somebody was faster.
fn taken(asked: &Asked) -> Reply {
    match asked.line.rsplit('/').next().unwrap() {
        "claim" if asked.line.contains("rig-1") => {
            refused(409, "conflict", "issue already claimed by bob")
        }
        _ => ok(bead("rig-2")),
    }
}

#[test]
fn who_comes_second_is_told_who_was_first() {
    check(
        taken,
        &["update", "rig-1", "--claim"],
        expect![[r#"
            POST /beads/rig-1/claim
            ---
            --- stderr
            Error claiming rig-1: issue already claimed by bob
            exit 1
        "#]],
    );
    check(
        taken,
        &["update", "rig-2", "--claim", "--append-notes", "mine"],
        expect![[r#"
        POST /beads/rig-2/claim
        POST /beads/rig-2/notes {"text":"mine"}
        ---
        ✓ Updated issue: rig-2 — Fix the parser
        exit 0
    "#]],
    );
}

#[test]
fn the_first_bead_that_is_ready_is_claimed_unless_somebody_is_faster() {
    let rig = Rig::with(
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        |asked| asked.line.contains("/details?").then(|| ok(serde_json::json!([]))),
        || {
            |asked: &Asked| {
                if asked.line.contains("/ready?") {
                    ok([bead("rig-1"), bead("rig-2")])
                } else {
                    taken(asked)
                }
            }
        },
    );
    let printed = show(&command(&rig.url, &["ready", "--claim"]).output().unwrap());
    expect![[r#"
        GET /ready?limit=1000&offset=0
        POST /beads/rig-1/claim
        POST /beads/rig-2/claim
        ✓ Claimed issue: rig-2 — Fix the parser
        exit 0
    "#]]
    .assert_eq(&format!("{}{printed}", rig.asked()));
}

#[test]
fn comments_are_written_and_read() {
    let comment = || {
        serde_json::json!({
            "id": "c1", "issue_id": "rig-1", "author": "alice", "text": "two\nlines",
            "created_at": "2026-11-20T03:43:00.000Z",
        })
    };
    let answers = move |asked: &Asked| match asked.line.as_str() {
        line if line.starts_with("POST ") => Reply::Answer(
            201,
            serde_json::json!({ "success": true, "data": comment() }).to_string(),
        ),
        line if line.ends_with("/comments") => ok([comment()]),
        line if line.ends_with("/dependencies") => {
            ok(serde_json::json!({ "dependencies": [], "dependents": [] }))
        }
        _ => ok(bead("rig-1")),
    };
    let rig =
        Rig::with(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), |_| None, move || answers);
    let calls: [&[&str]; 5] = [
        &["comment", "rig-1", "two", "words"],
        &["comments", "add", "rig-1", "text", "-a", "carol", "--json"],
        &["comments", "rig-1"],
        &["comments", "rig-1", "--json"],
        &["show", "rig-1"],
    ];
    let mut told = String::new();
    for call in calls {
        told.push_str(&format!(
            "$ {}\n{}",
            call.join(" "),
            show(&command(&rig.url, call).output().unwrap())
        ));
    }
    expect![[r#"
        POST /beads/rig-1/comments {"text":"two words"}
        POST /beads/rig-1/comments {"text":"text","author":"carol"}
        GET /beads/rig-1
        GET /beads/rig-1/comments
        GET /beads/rig-1
        GET /beads/rig-1/comments
        GET /beads/rig-1
        GET /beads/rig-1/dependencies
        GET /beads/rig-1/comments
        $ comment rig-1 two words
        Comment added to rig-1
        exit 0
        $ comments add rig-1 text -a carol --json
        {
          "id": "c1",
          "issue_id": "rig-1",
          "author": "alice",
          "text": "two\nlines",
          "created_at": "2026-11-20T03:43:00.000Z"
        }
        exit 0
        $ comments rig-1

        COMMENTS
        2026-11-20 03:43 alice
          two
          lines
        exit 0
        $ comments rig-1 --json
        [
          {
            "id": "c1",
            "issue_id": "rig-1",
            "author": "alice",
            "text": "two\nlines",
            "created_at": "2026-11-20T03:43:00.000Z"
          }
        ]
        exit 0
        $ show rig-1
        rig-1 — Fix the parser

        Status    open
        Priority  P2 (medium)
        Type      task
        Created   2026-11-20 03:40 by alice
        Updated   2026-11-20 03:41

        COMMENTS
        2026-11-20 03:43 alice
          two
          lines
        exit 0
    "#]]
    .assert_eq(&format!("{}{told}", rig.asked()));
}

#[test]
fn a_directory_is_told_its_rig_once() {
    let rig = RealRig::new("init");
    let file = rig.here.join(".beadrig/config.json");
    let _ = std::fs::remove_file(&file);
    expect![[r#"
        $ bd init --url http://127.0.0.1:9 --rig demo
        ✓ Initialized .beadrig/config.json: rig demo
        exit 0
        $ bd init --url http://127.0.0.1:9 --rig demo
        .beadrig/config.json is as it should be: rig demo
        exit 0
        $ bd init --json
        {
          "path": ".beadrig/config.json",
          "rig": "demo",
          "status": "unchanged"
        }
        exit 0
        $ bd init --rig other
        ✓ Changed .beadrig/config.json: rig other
        exit 0
        $ bd init --force --rig demo
        ✓ Changed .beadrig/config.json: rig demo
        exit 0
        $ bd init --url ftp://x
        --- stderr
        Error: the URL "ftp://x" must start with http:// or https:// and a host
        exit 1
    "#]]
    .assert_eq(&rig.tell(&[
        "init --url http://127.0.0.1:9 --rig demo",
        "init --url http://127.0.0.1:9 --rig demo",
        "init --json",
        "init --rig other",
        "init --force --rig demo",
        "init --url ftp://x",
    ]));
    expect![[r#"
        {
          "rig": "demo"
        }
    "#]]
    .assert_eq(&std::fs::read_to_string(&file).unwrap());
    // What ids begin with is the rig's.
    let url = rig.rig.url.clone();
    rig.bd(&["init", "--force", "--url", &url, "--rig", "demo", "--prefix", "code-"]);
    let made = rig.bd(&["q", "new"]);
    assert!(made.starts_with("code-"), "{made}");
}
