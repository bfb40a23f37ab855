//! What the verbs that change something send, and print when all goes well: bd's JSON, and text for people.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::wire::rig::BeadView;
use expect_test::expect;
use std::fs;
use support::{
    Asked, Reply, Rig, bead, check, command, directory, full_bead, noted, ok, output, waiting_bead,
};

#[test]
fn create_prints_an_object() {
    let flags = "--json -d D<1> --design D --acceptance A -p P1 -t feat -a agent -l b,,a --id rig-2 --parent rig-1 \
        --external-ref gh-9 --due 2026-12-01 --defer 2026-11-21T10:00:00+02:00 --metadata {\"tries\":2}";
    let args: Vec<_> =
        ["create", "Fix the parser"].into_iter().chain(flags.split_whitespace()).collect();
    check(
        |_| ok(BeadView { notes: None, ..full_bead() }),
        &args,
        expect![[r#"
            GET /beads/rig-1
            POST /beads {"title":"Fix the parser","type":"feature","id":"rig-2","body":"D<1>","design":"D","acceptance_criteria":"A","priority":1,"assignee":"agent","parent":"rig-2","labels":["b","a","infra","smoke"],"metadata":{"tries":2},"external_ref":"gh-9","due_at":"2026-12-01T00:00:00.000Z","defer_until":"2026-11-21T08:00:00.000Z"}
            ---
            {
              "id": "rig-2",
              "title": "Fix the parser",
              "description": "Read /etc/hostname inside \u003csandbox\u003e \u0026 say it\nin one line",
              "design": "With cat",
              "acceptance_criteria": "A note includes 'hostname='",
              "status": "closed",
              "priority": 1,
              "issue_type": "task",
              "assignee": "agent",
              "created_at": "2026-11-20T03:40:44.939Z",
              "created_by": "alice",
              "updated_at": "2026-11-20T03:41:00.000Z",
              "started_at": "2026-11-20T03:42:00.000Z",
              "closed_at": "2026-11-20T03:45:00.000Z",
              "close_reason": "completed by agent abcdef123456",
              "due_at": "2026-12-01T00:00:00.000Z",
              "defer_until": "2026-11-21T00:00:00.000Z",
              "external_ref": "gh-9",
              "metadata": {
                "tries": 2,
                "where": "here"
              },
              "labels": [
                "infra",
                "smoke"
              ]
            }
            exit 0
        "#]],
    );
}

#[test]
fn create_in_text_says_what_it_waits_for() {
    check(
        |_| ok(waiting_bead()),
        &["new", "Fix the parser", "-a", "agent"],
        expect![[r#"
        POST /beads {"title":"Fix the parser","type":"task","assignee":"agent"}
        ---
        ✓ Created issue: rig-3 — Fix the parser
          Priority: P2
          Status: open
          Waiting: no agent takes it without acceptance criteria: give it some with `beadrig update`
        --- stderr
        Warning: Creating issue without description.
        exit 0
    "#]],
    );
}

#[test]
fn create_adds_its_note_and_can_print_only_the_id() {
    check(
        |_| ok(noted(&["n"])),
        &["create", "--title", "T", "--notes", "n", "--silent"],
        expect![[r#"
            POST /beads {"title":"T","type":"task"}
            POST /beads/rig-1/notes {"text":"n"}
            ---
            rig-1
            exit 0
        "#]],
    );
}

#[test]
fn a_created_bead_is_told_even_if_its_note_is_lost() {
    let answer =
        |asked: &Asked| if asked.line.ends_with("/notes") { Reply::Cut } else { ok(bead("rig-1")) };
    check(
        answer,
        &["create", "T", "--notes", "n", "--json"],
        expect![[r#"
            POST /beads {"title":"T","type":"task"}
            POST /beads/rig-1/notes {"text":"n"}
            ---
            {
              "id": "rig-1",
              "title": "Fix the parser",
              "status": "open",
              "priority": 2,
              "issue_type": "task",
              "created_at": "2026-11-20T03:40:44.939Z",
              "created_by": "alice",
              "updated_at": "2026-11-20T03:41:00.000Z"
            }
            --- stderr
            Warning: rig-1 is created, but its note failed: lost the connection to the rig at http://rig: Peer disconnected; it may have been done: look before you repeat it
            exit 0
        "#]],
    );
}

#[test]
fn a_rehearsal_asks_nobody() {
    check(
        |_| Reply::Cut,
        &["create", "T", "-d", "D", "--dry-run"],
        expect![[r#"
        ---
        Would create issue: T
          Priority: P2
          Type: task
        exit 0
    "#]],
    );
    check(
        |_| Reply::Cut,
        &["create", "T", "-d", "D", "--dry-run", "--json"],
        expect![[r#"
        ---
        {
          "description": "D",
          "issue_type": "task",
          "priority": 2,
          "status": "open",
          "title": "T"
        }
        exit 0
    "#]],
    );
}

#[test]
fn assign_prints_an_object_or_a_line() {
    check(
        |_| ok(noted(&["n"])),
        &["assign", "rig-1", "agent", "--json"],
        expect![[r#"
        PATCH /beads/rig-1 {"assignee":"agent"}
        ---
        {
          "id": "rig-1",
          "title": "Fix the parser",
          "notes": "n",
          "status": "open",
          "priority": 2,
          "issue_type": "task",
          "created_at": "2026-11-20T03:40:44.939Z",
          "created_by": "alice",
          "updated_at": "2026-11-20T03:41:00.000Z"
        }
        exit 0
    "#]],
    );
    check(
        |_| ok(waiting_bead()),
        &["assign", "rig-3", "agent"],
        expect![[r#"
        PATCH /beads/rig-3 {"assignee":"agent"}
        ---
        ✓ Assigned agent to rig-3 — Fix the parser
          Waiting: no agent takes it without acceptance criteria: give it some with `beadrig update`
        exit 0
    "#]],
    );
    check(
        |_| ok(bead("rig-1")),
        &["assign", "rig-1", ""],
        expect![[r#"
        PATCH /beads/rig-1 {"assignee":null}
        ---
        ✓ Unassigned rig-1
        exit 0
    "#]],
    );
}

#[test]
fn update_sends_what_is_given_and_prints_an_array() {
    let set = "update rig-1 -s blocked -p 0 --title T --set-metadata n=2 --set-metadata s=a=b --unset-metadata x";
    let emptied =
        ["-d=", "-a=", "--parent=", "--due=", "--external-ref=", "--set-labels=", "--json"];
    let args: Vec<_> = set.split(' ').chain(emptied).collect();
    let answer = |asked: &Asked| {
        if asked.line.starts_with("GET") { ok(noted(&["n"])) } else { ok(bead("rig-1")) }
    };
    check(
        answer,
        &args,
        expect![[r#"
            GET /beads/rig-1
            PATCH /beads/rig-1 {"title":"T","status":"blocked","body":null,"priority":0,"assignee":null,"parent":null,"labels":[],"metadata":{"n":2,"s":"a=b","x":null},"external_ref":null,"due_at":null}
            ---
            [
              {
                "id": "rig-1",
                "title": "Fix the parser",
                "status": "open",
                "priority": 2,
                "issue_type": "task",
                "created_at": "2026-11-20T03:40:44.939Z",
                "created_by": "alice",
                "updated_at": "2026-11-20T03:41:00.000Z"
              }
            ]
            exit 0
        "#]],
    );
}

#[test]
fn update_appends_notes_before_it_changes_anything() {
    let args = ["update", "rig-1", "--append-notes", "- needs a key", "-s", "blocked"];
    check(
        |_| ok(noted(&["- needs a key"])),
        &args,
        expect![[r#"
        POST /beads/rig-1/notes {"text":"- needs a key"}
        PATCH /beads/rig-1 {"status":"blocked"}
        ---
        ✓ Updated issue: rig-1 — Fix the parser
        exit 0
    "#]],
    );
}

#[test]
fn labels_are_changed_in_one_step() {
    let answer = |_: &Asked| ok(BeadView { labels: vec!["b".into(), "c".into()], ..bead("rig-1") });
    check(
        answer,
        &["update", "rig-1", "--add-label", "a", "--remove-label", "c"],
        expect![[r#"
            PATCH /beads/rig-1 {"add_labels":["a"],"remove_labels":["c"]}
            ---
            ✓ Updated issue: rig-1 — Fix the parser
            exit 0
        "#]],
    );
}

#[test]
fn nothing_to_update_is_no_failure() {
    check(
        |_| Reply::Cut,
        &["update", "rig-1"],
        expect![[r#"
        ---
        No updates specified
        exit 0
    "#]],
    );
}

#[test]
fn note_close_and_reopen_print_what_bd_prints() {
    check(
        |_| ok(noted(&["one", "two"])),
        &["note", "rig-1", "two", "words", "--json"],
        expect![[r#"
            POST /beads/rig-1/notes {"text":"two words"}
            ---
            {
              "id": "rig-1",
              "title": "Fix the parser",
              "notes": "one\ntwo",
              "status": "open",
              "priority": 2,
              "issue_type": "task",
              "created_at": "2026-11-20T03:40:44.939Z",
              "created_by": "alice",
              "updated_at": "2026-11-20T03:41:00.000Z"
            }
            exit 0
        "#]],
    );
    check(
        |_| ok(bead("rig-1")),
        &["note", "rig-1", "two", "words"],
        expect![[r#"
        POST /beads/rig-1/notes {"text":"two words"}
        ---
        ✓ Note added to rig-1 — Fix the parser
        exit 0
    "#]],
    );
    check(
        |_| ok(bead("rig-1")),
        &["done", "rig-1", "rig-2", "-f"],
        expect![[r#"
        POST /beads/rig-1/close {"reason":"Closed"}
        POST /beads/rig-2/close {"reason":"Closed"}
        ---
        ✓ Closed rig-1 — Fix the parser: Closed
        ✓ Closed rig-1 — Fix the parser: Closed
        exit 0
    "#]],
    );
    check(
        |_| ok(full_bead()),
        &["close", "rig-2", "-m", "completed", "--json"],
        expect![[r#"
            POST /beads/rig-2/close {"reason":"completed","unless_blocked":true}
            ---
            [
              {
                "id": "rig-2",
                "title": "Fix the parser",
                "description": "Read /etc/hostname inside \u003csandbox\u003e \u0026 say it\nin one line",
                "design": "With cat",
                "acceptance_criteria": "A note includes 'hostname='",
                "notes": "claimed by agent\ntwo\nlines",
                "status": "closed",
                "priority": 1,
                "issue_type": "task",
                "assignee": "agent",
                "created_at": "2026-11-20T03:40:44.939Z",
                "created_by": "alice",
                "updated_at": "2026-11-20T03:41:00.000Z",
                "started_at": "2026-11-20T03:42:00.000Z",
                "closed_at": "2026-11-20T03:45:00.000Z",
                "close_reason": "completed by agent abcdef123456",
                "due_at": "2026-12-01T00:00:00.000Z",
                "defer_until": "2026-11-21T00:00:00.000Z",
                "external_ref": "gh-9",
                "metadata": {
                  "tries": 2,
                  "where": "here"
                },
                "labels": [
                  "infra",
                  "smoke"
                ]
              }
            ]
            exit 0
        "#]],
    );
    check(
        |_| ok(bead("rig-1")),
        &["reopen", "rig-1", "-r", "again"],
        expect![[r#"
        POST /beads/rig-1/reopen {"reason":"again"}
        ---
        ↻ Reopened rig-1: again
        exit 0
    "#]],
    );
}

#[test]
fn texts_come_from_files_and_stdin_too() {
    let here = directory("texts");
    fs::write(here.join("text"), "two\nlines\n").unwrap();
    let rig = Rig::new(|_| ok(bead("rig-1")));
    let typed = [
        "note rig-1 --stdin",
        "note rig-1 --file text",
        "close rig-1 --reason-file text",
        "create T --body-file - --silent",
        "create T --stdin --silent",
        "update rig-1 --body-file text",
    ];
    for args in typed {
        let mut command = command(&rig.url, &args.split(' ').collect::<Vec<_>>());
        command.current_dir(&here).stdin(fs::File::open(here.join("text")).unwrap());
        output(command);
    }
    expect![[r#"
        POST /beads/rig-1/notes {"text":"two\nlines"}
        POST /beads/rig-1/notes {"text":"two\nlines"}
        POST /beads/rig-1/close {"reason":"two\nlines","unless_blocked":true}
        POST /beads {"title":"T","type":"task","body":"two\nlines"}
        POST /beads {"title":"T","type":"task","body":"two\nlines"}
        PATCH /beads/rig-1 {"body":"two\nlines"}
    "#]]
    .assert_eq(&rig.asked());
}

#[test]
fn an_agent_that_is_done_hands_its_own_bead_in_and_anyone_else_closes() {
    let rig = Rig::new(|_| ok(bead("rig-2")));
    let agent = |args: &[&str]| {
        let mut command = command(&rig.url, args);
        command.env("BEADRIG_AGENT_ID", "polecat-1").env("BEADRIG_BEAD_ID", "rig-1");
        output(command)
    };
    let printed = agent(&["done", "rig-1", "-r", "the parser takes tabs"]);
    expect![[r#"
        ✓ Done rig-1: it is handed in; stop now
        exit 0
    "#]]
    .assert_eq(&printed);
    agent(&["done", "rig-1", "--json"]);
    agent(&["done"]);
    agent(&["done", "rig-2"]);
    agent(&["close", "rig-1"]);
    expect![[r#"
        POST /agents/polecat-1/done {"summary":"the parser takes tabs"}
        POST /agents/polecat-1/done {}
        POST /agents/polecat-1/done {}
        POST /beads/rig-2/close {"reason":"Closed","unless_blocked":true}
        POST /beads/rig-1/close {"reason":"Closed","unless_blocked":true}
    "#]]
    .assert_eq(&rig.asked());
}
