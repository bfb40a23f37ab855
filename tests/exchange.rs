//! Import and export: nothing is lost, nothing is done twice, nothing is begun by surprise.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

#[path = "exchange/generated.rs"]
mod generated;

use beadrig::issue::{self, Issue};
use generated::issues;
use serde_json::{Value, json};
use support::{TestRig, agent};

const AT: &str = "2026-01-01T00:00:00.123456789Z";

fn send(rig: &mut TestRig, body: &Value) -> Value {
    let (status, answer) = rig.operator("POST", "/import", &body.to_string());
    assert_eq!(status, 200, "{answer}");
    answer["data"].clone()
}

/// What became of each line.
fn outcomes(report: &Value) -> Vec<&str> {
    report["lines"].as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect()
}

#[track_caller]
fn all_are(report: &Value, outcome: &str) {
    let lines = report["lines"].as_array().unwrap();
    let other = lines.iter().find(|it| it["outcome"] != outcome);
    assert!(other.is_none(), "{other:?}");
}

fn import(rig: &mut TestRig, issues: &[Value]) -> Value {
    send(rig, &json!({ "issues": issues }))
}

fn export(rig: &mut TestRig) -> Vec<Issue> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let (status, page) = rig.operator("GET", &format!("/export?limit=100&after={after}"), "");
        assert_eq!(status, 200, "{page}");
        let issues = page["data"]["issues"].as_array().unwrap();
        all.extend(issues.iter().map(|it| it.as_object().unwrap().clone()));
        match page["data"]["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return all,
        }
    }
}

fn exported(rig: &mut TestRig, id: &str) -> Issue {
    export(rig).into_iter().find(|it| it["id"] == id).unwrap()
}

fn object(value: &Value) -> Issue {
    issue::normal(value.as_object().unwrap().clone())
}

fn all_rows(rig: &TestRig) -> u64 {
    use beadrig::store::{Sql as _, Value as Cell};
    let sql = rig.engine.store.sql();
    let count =
        |table: &str| match &sql.run(&format!("SELECT count(*) FROM {table}"), &[]).unwrap()[..] {
            [Cell::Integer(n)] => u64::try_from(*n).unwrap(),
            other => panic!("{other:?}"),
        };
    ["bead", "note", "comment", "dependency", "loose_dependency", "imported", "bead_event"]
        .map(count)
        .iter()
        .sum()
}

#[test]
fn what_goes_in_comes_out_as_it_was_and_twice_changes_nothing() {
    let mut rig = TestRig::new();
    let all = issues(1_500, 7);
    for batch in all.chunks(500) {
        let report = import(&mut rig, batch);
        all_are(&report, "created");
    }
    let rows = all_rows(&rig);
    for batch in all.chunks(500) {
        let report = import(&mut rig, batch);
        all_are(&report, "unchanged");
    }
    assert_eq!(all_rows(&rig), rows, "the second time nothing was written");
    let out = export(&mut rig);
    assert_eq!(out.len(), all.len());
    for it in &all {
        let it = object(it);
        let other = out.iter().find(|other| other["id"] == it["id"]).unwrap();
        // Not only to the millisecond: to the letter.
        let sorted = |it: &Issue| {
            let mut it = it.clone();
            for key in ["dependencies", "comments"] {
                if let Some(list) = it.get_mut(key).and_then(Value::as_array_mut) {
                    list.sort_by_key(ToString::to_string);
                }
            }
            it
        };
        assert_eq!(sorted(&it), sorted(other));
        assert!(issue::same(&it, other));
    }
}

#[test]
fn what_the_rig_exports_another_rig_takes_and_says_the_same() {
    let (mut one, mut other) = (TestRig::new(), TestRig::new());
    for batch in issues(300, 11).chunks(100) {
        import(&mut one, batch);
    }
    one.assigned("made here");
    one.operator("POST", "/beads/x-1/notes", r#"{"text":"one\ntwo"}"#);
    one.operator("POST", "/beads/x-1/comments", r#"{"text":"said here"}"#);
    let first: Vec<Value> = export(&mut one).into_iter().map(Value::Object).collect();
    for batch in first.chunks(100) {
        let report = import(&mut other, batch);
        all_are(&report, "created");
    }
    let second: Vec<Value> = export(&mut other).into_iter().map(Value::Object).collect();
    assert_eq!(first.len(), second.len());
    for (a, b) in first.iter().zip(&second) {
        assert!(issue::same(&object(a), &object(b)), "\n{a}\n{b}");
    }
}

#[test]
fn an_older_line_is_skipped_and_a_newer_one_is_taken() {
    let mut rig = TestRig::new();
    let line = |title: &str, at: &str| json!({"id": "x-1", "title": title, "created_at": AT, "updated_at": at});
    import(&mut rig, &[line("first", "2026-01-01T00:00:05Z")]);
    let report = import(&mut rig, &[line("older", "2026-01-01T00:00:04Z")]);
    assert_eq!(outcomes(&report), ["skipped"]);
    assert!(report["lines"][0]["reason"].as_str().unwrap().contains("newer"), "{report}");
    assert_eq!(rig.bead("x-1")["title"], "first");
    assert_eq!(outcomes(&import(&mut rig, &[line("newer", "2026-01-01T00:00:06Z")])), ["updated"]);
    assert_eq!(rig.bead("x-1")["title"], "newer");
    // Changed here after that: what the file said then is old.
    rig.pass(3_600_000);
    rig.operator("PATCH", "/beads/x-1", r#"{"title":"changed here"}"#);
    assert_eq!(outcomes(&import(&mut rig, &[line("newer", "2026-01-01T00:00:06Z")])), ["skipped"]);
}

#[test]
fn other_programs_statuses_begin_nothing_and_come_back_until_the_bead_moves() {
    let mut rig = TestRig::new();
    let words = ["pinned", "hooked", "draft", "waiting_for_legal", "in_progress", "failed"];
    let lines: Vec<Value> = words
        .iter()
        .map(|word| {
            json!({"id": format!("x-{word}"), "title": "t", "status": word, "created_at": AT, "updated_at": AT,
                "assignee": "agent", "acceptance_criteria": "it works"})
        })
        .collect();
    import(&mut rig, &lines);
    rig.schedule();
    assert!(rig.starts.is_empty(), "{:?}", rig.starts);
    let ours: Vec<Value> =
        words.iter().map(|it| rig.bead(&format!("x-{it}"))["status"].clone()).collect();
    assert_eq!(ours, ["deferred", "in_progress", "deferred", "blocked", "in_progress", "blocked"]);
    for word in words {
        assert_eq!(exported(&mut rig, &format!("x-{word}"))["status"], word);
    }
    rig.operator("PATCH", "/beads/x-pinned", r#"{"status":"closed"}"#);
    assert_eq!(exported(&mut rig, "x-pinned")["status"], "closed");
}

#[test]
fn a_bead_for_agents_that_is_open_wakes_the_rig_as_any_assign() {
    let mut rig = TestRig::new();
    let line =
        json!({"id": "x-1", "title": "t", "assignee": "agent", "created_at": AT, "updated_at": AT});
    import(&mut rig, std::slice::from_ref(&line));
    assert_eq!(rig.wake, None, "without acceptance criteria nobody takes it");
    let mut line = line;
    line["acceptance_criteria"] = "it works".into();
    import(&mut rig, std::slice::from_ref(&line));
    assert!(rig.wake.is_some());
    rig.schedule();
    assert_eq!(rig.starts.len(), 1);
}

#[test]
fn what_a_run_holds_keeps_its_status_and_its_assignee() {
    let mut rig = TestRig::new();
    let id = rig.assigned("at work");
    rig.schedule();
    rig.accept();
    let mut line = Value::Object(exported(&mut rig, &id));
    line["updated_at"] = "2027-01-01T00:00:00Z".into();
    line["status"] = "closed".into();
    line["assignee"] = "bob".into();
    line["title"] = "renamed".into();
    let report = import(&mut rig, std::slice::from_ref(&line));
    assert_eq!(outcomes(&report), ["updated"]);
    assert!(
        report["lines"][0]["warnings"][0].as_str().unwrap().contains("in_progress"),
        "{report}"
    );
    let bead = rig.bead(&id);
    assert_eq!(
        (&bead["status"], &bead["assignee"], &bead["title"]),
        (&json!("in_progress"), &json!("agent"), &json!("renamed"))
    );
    assert_eq!(outcomes(&import(&mut rig, &[line])), ["unchanged"]);
}

#[test]
fn dependencies_are_tied_when_the_other_bead_comes() {
    let mut rig = TestRig::new();
    let edge = json!({"issue_id": "x-1", "depends_on_id": "x-2", "type": "blocks", "created_at": AT,
        "created_by": "bob", "metadata": "{\"a\":1}", "thread_id": "th-1"});
    let one = json!({"id": "x-1", "title": "one", "created_at": AT, "updated_at": AT, "dependencies": [edge]});
    let two = json!({"id": "x-2", "title": "two", "created_at": AT, "updated_at": AT});
    let report = import(&mut rig, std::slice::from_ref(&one));
    assert_eq!(report["lines"][0]["warnings"][0], "blocks x-2 is not tied: x-2 is not here");
    assert_eq!(object(&Value::Object(exported(&mut rig, "x-1"))), object(&one), "it is not lost");
    assert_eq!(rig.operator("GET", "/blocked", "").1["data"], json!([]));
    assert_eq!(import(&mut rig, std::slice::from_ref(&two))["tied"], 1);
    assert_eq!(rig.operator("GET", "/blocked", "").1["data"][0]["id"], "x-1");
    assert_eq!(object(&Value::Object(exported(&mut rig, "x-1"))), object(&one));
    for it in [one, two] {
        assert_eq!(outcomes(&import(&mut rig, &[it])), ["unchanged"]);
    }
}

#[test]
fn a_circle_is_kept_and_not_tied() {
    let mut rig = TestRig::new();
    let line = |id: &str, on: &str, kind: &str| {
        json!({"id": id, "title": id, "created_at": AT, "updated_at": AT,
            "dependencies": [{"issue_id": id, "depends_on_id": on, "type": kind, "created_at": AT}]})
    };
    let lines = [
        line("a-1", "a-2", "blocks"),
        line("a-2", "a-3", "parent-child"),
        line("a-3", "a-1", "blocks"),
        line("a-4", "a-4", "blocks"),
    ];
    let report = import(&mut rig, &lines);
    let warned: Vec<bool> = (0..4).map(|n| !report["lines"][n]["warnings"][0].is_null()).collect();
    assert_eq!(warned, [false, false, true, true], "{report}");
    assert_eq!(outcomes(&import(&mut rig, &lines)), ["unchanged"; 4]);
    for it in &lines {
        let id = it["id"].as_str().unwrap();
        assert_eq!(object(&Value::Object(exported(&mut rig, id))), object(it));
    }
}

#[test]
fn sets_grow_or_are_replaced() {
    let mut rig = TestRig::new();
    let line = |labels: &[&str], at: u32, on: &[&str], more: bool| {
        let edges: Vec<Value> = on
            .iter()
            .map(|on| json!({"depends_on_id": on, "type": "blocks", "created_at": AT}))
            .collect();
        let mut it = json!({"id": "x-1", "title": "t", "created_at": AT, "labels": labels,
            "updated_at": format!("2026-01-01T00:00:{at:02}Z"), "dependencies": edges});
        if more {
            it["owner"] = "ann@example.com".into();
        }
        it
    };
    let others: Vec<Value> =
        ["x-2", "x-3"].map(|id| json!({"id": id, "title": id, "created_at": AT})).to_vec();
    import(&mut rig, &others);
    import(&mut rig, &[line(&["a", "b"], 1, &["x-2"], true)]);
    import(&mut rig, &[line(&["c"], 2, &["x-3"], false)]);
    let it = exported(&mut rig, "x-1");
    assert_eq!(
        (&it["labels"], it["dependencies"].as_array().unwrap().len(), &it["owner"]),
        (&json!(["a", "b", "c"]), 2, &json!("ann@example.com"))
    );
    let report =
        send(&mut rig, &json!({"sets": "replace", "issues": [line(&["c"], 3, &[], false)]}));
    assert_eq!(outcomes(&report), ["updated"]);
    let it = exported(&mut rig, "x-1");
    assert_eq!(
        (&it["labels"], it.get("dependencies"), it.get("owner")),
        (&json!(["c"]), None, None)
    );
    assert_eq!(
        rig.operator("GET", "/blocked", "").1["data"],
        json!([]),
        "nothing blocks it any more"
    );
}

#[test]
fn comments_come_once_and_have_no_date_of_the_bead() {
    let mut rig = TestRig::new();
    let line = json!({"id": "x-1", "title": "t", "created_at": AT, "updated_at": AT, "comments": [
        {"id": 1, "issue_id": "x-1", "author": "bob", "text": "one\nmore", "created_at": AT},
        {"id": "7d0c", "issue_id": "x-1", "author": "bob", "text": "two", "created_at": AT}]});
    import(&mut rig, std::slice::from_ref(&line));
    rig.pass(1_000);
    let (status, answer) =
        rig.operator("POST", "/beads/x-1/comments", r#"{"text":"three","author":"eve"}"#);
    assert_eq!((status, &answer["data"]["author"]), (201, &json!("eve")));
    assert_eq!(
        outcomes(&import(&mut rig, &[line])),
        ["unchanged"],
        "a comment does not date the bead"
    );
    let (_, list) = rig.operator("GET", "/beads/x-1/comments", "");
    let texts: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one\nmore", "two", "three"]);
    assert_eq!(exported(&mut rig, "x-1")["comments"][0]["id"], 1);
    for body in [r#"{"text":" "}"#, "{}"] {
        assert_eq!(rig.operator("POST", "/beads/x-1/comments", body).0, 400);
    }
}

#[test]
fn an_agent_comments_on_its_bead_and_under_its_own_name() {
    let mut rig = TestRig::new();
    let (mine, other) = (rig.assigned("mine"), rig.assigned("other"));
    rig.operator("PATCH", &format!("/beads/{other}"), r#"{"assignee":null}"#);
    rig.schedule();
    let me = agent(&rig.accept().remove(0));
    let body = r#"{"text":"look","author":"the boss"}"#;
    let (status, answer) = rig.call(&me, "POST", &format!("/beads/{mine}/comments"), body);
    assert_eq!(status, 201, "{answer}");
    assert_ne!(answer["data"]["author"], "the boss");
    assert_eq!(rig.call(&me, "POST", &format!("/beads/{other}/comments"), body).0, 403);
    assert_eq!(rig.call(&me, "POST", "/import", r#"{"issues":[]}"#).0, 403);
}

#[test]
fn lines_that_cannot_be_kept_are_named_and_the_others_are_taken() {
    let mut rig = TestRig::new();
    let with = |id: &str, key: &str, value: Value| {
        let mut it = json!({"id": id, "title": "t", "created_at": AT, "updated_at": AT});
        it[key] = value;
        it
    };
    let lines = [
        with("x-1", "title", "good".into()),
        json!("text"),
        json!({"title": "no id"}),
        json!({"_type": "memory", "key": "k", "value": "v"}),
        with("x-2", "status", "tombstone".into()),
        with("x 3", "title", "bad id".into()),
        with("x-4", "title", "bell \u{7}".into()),
        with("x-5", "title", "x".repeat(501).into()),
        with("x-6", "priority", 5.into()),
        with("x-7", "created_at", "yesterday".into()),
        with("x-8", "description", "x".repeat(300_000).into()),
        with("x-9", "unknown", "x".repeat(200_000).into()),
        with("x-10", "comments", json!([{"author": "a"}])),
        with("x-11", "dependencies", json!([{"type": "blocks"}])),
        with("x-12", "labels", json!([1])),
        with("x-1", "updated_at", "2026-02-01T00:00:00Z".into()),
    ];
    let report = import(&mut rig, &lines);
    let told: Vec<String> = report["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!("{} {}", it["outcome"].as_str().unwrap(), it["reason"].as_str().unwrap_or(""))
        })
        .collect();
    expect_test::expect![[r#"
        skipped the same id comes again in this batch, as new or newer
        dropped no issue: it is no JSON object
        dropped no issue: it has no id
        dropped a memory, which a rig does not keep
        dropped a tombstone: the issue was deleted
        dropped id must be 1 to 64 letters, digits, '-', '_' and '.', and begin with a letter or digit
        dropped title must be one line without control characters
        dropped title must be 500 characters or less (got 501)
        dropped priority must be between 0 and 4 (got 5)
        dropped created_at is no time such as 2026-01-31T12:00:00Z (got "yesterday")
        dropped description has 300000 bytes, it may have 262144
        dropped what has no place in a bead has 200171 bytes, it may have 131072
        dropped comments has one without a text
        dropped depends_on_id is required
        dropped labels must be a list of texts
        created "#]]
    .assert_eq(&told.join("\n"));
    assert_eq!(export(&mut rig).len(), 1);
    let many = json!({"issues": vec![json!({}); 501]}).to_string();
    assert_eq!(rig.operator("POST", "/import", &many).0, 400);
}

#[test]
fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let mut rig = TestRig::new();
    let line = json!({"id": "x-1", "title": "t", "created_at": AT, "updated_at": AT});
    let body = json!({"issues": [line], "dry_run": true});
    assert_eq!(outcomes(&send(&mut rig, &body)), ["created"]);
    assert!(export(&mut rig).is_empty());
}

#[test]
fn notes_are_one_text_in_a_file_and_rows_here() {
    let mut rig = TestRig::new();
    let line = |notes: &str, at: u32| {
        json!({"id": "x-1", "title": "t", "created_at": AT, "notes": notes,
        "updated_at": format!("2026-01-01T00:00:{at:02}Z")})
    };
    import(&mut rig, &[line("one\n\ntwo", 1)]);
    rig.pass(60_000);
    rig.operator("POST", "/beads/x-1/notes", r#"{"text":"three"}"#);
    assert_eq!(exported(&mut rig, "x-1")["notes"], "one\n\ntwo\nthree");
    let mut next = line("one\n\ntwo\nthree\nfour", 0);
    next["updated_at"] = "2026-01-02T00:00:00Z".into();
    import(&mut rig, &[next]);
    assert_eq!(rig.notes("x-1"), "ann: one\n\ntwo\nann: three\nann: four\n");
}

/// Whatever the number of lines, an import of new beads asks a bounded number of questions.
#[test]
fn an_import_costs_statements_by_the_batch_and_an_export_by_the_page() {
    let mut rig = TestRig::new();
    let all = issues(2_000, 3);
    for batch in all.chunks(500) {
        rig.engine.store.sql().statements.set(0);
        import(&mut rig, batch);
        let asked = rig.engine.store.sql().statements.get();
        assert!(asked <= 30, "{asked} statements for 500 new beads");
    }
    for batch in all.chunks(500) {
        rig.engine.store.sql().statements.set(0);
        import(&mut rig, batch);
        let asked = rig.engine.store.sql().statements.get();
        assert!(asked <= 10, "{asked} statements for 500 that are there");
    }
    rig.engine.store.sql().statements.set(0);
    rig.operator("GET", "/export?limit=500", "");
    let asked = rig.engine.store.sql().statements.get();
    assert!(asked <= 8, "{asked} statements for a page");
}

#[test]
fn a_page_ends_where_its_texts_are_too_long_and_misses_nothing() {
    let mut rig = TestRig::new();
    for n in 0..40 {
        let line = json!({"id": format!("x-{n:02}"), "title": "t", "created_at": AT, "updated_at": AT,
            "description": "d".repeat(250_000)});
        import(&mut rig, &[line]);
    }
    let (_, page) = rig.operator("GET", "/export", "");
    let first = page["data"]["issues"].as_array().unwrap().len();
    assert!((10..20).contains(&first), "{first}");
    assert_eq!(export(&mut rig).len(), 40);
}

/// The same ids, a year later, with everything else another.
fn a_year_later(count: usize, seed: u64) -> Vec<Value> {
    let mut all = issues(count, seed);
    for it in &mut all {
        for key in ["created_at", "updated_at"] {
            it[key] = it[key].as_str().unwrap().replace("2026-", "2027-").into();
        }
    }
    all
}

#[test]
fn with_replace_the_rig_says_afterwards_what_the_newer_line_says() {
    let mut rig = TestRig::new();
    for batch in issues(600, 21).chunks(300) {
        import(&mut rig, batch);
    }
    let later = a_year_later(600, 22);
    for outcome in ["updated", "unchanged"] {
        for batch in later.chunks(300) {
            let report = send(&mut rig, &json!({"issues": batch, "sets": "replace"}));
            all_are(&report, outcome);
            let warned =
                report["lines"].as_array().unwrap().iter().find(|it| !it["warnings"].is_null());
            assert!(warned.is_none(), "{warned:?}");
        }
    }
    let out = export(&mut rig);
    for it in &later {
        let other = out.iter().find(|other| other["id"] == it["id"]).unwrap();
        let (mut it, mut other) = (object(it), other.clone());
        // Comments are only ever added.
        it.remove("comments");
        other.remove("comments");
        assert!(issue::same(&it, &other), "\n{}\n{}", issue::line(&it), issue::line(&other));
    }
    no_gate_is_wrong(&rig);
}

#[test]
fn with_union_a_newer_line_twice_is_as_once_in_whichever_order() {
    let mut rig = TestRig::new();
    for batch in issues(400, 31).chunks(200) {
        import(&mut rig, batch);
    }
    let mut later = a_year_later(400, 32);
    later.reverse();
    for outcome in ["updated", "unchanged"] {
        for batch in later.chunks(200) {
            all_are(&import(&mut rig, batch), outcome);
        }
    }
    no_gate_is_wrong(&rig);
}

/// What is blocked by the column is what is blocked by the rows.
#[track_caller]
fn no_gate_is_wrong(rig: &TestRig) {
    use beadrig::store::Sql as _;
    let wrong = "WITH RECURSIVE up (bead, id) AS (
            SELECT id, id FROM bead
            UNION
            SELECT up.bead, b.parent FROM up JOIN bead AS b ON b.id = up.id WHERE b.parent IS NOT NULL)
        SELECT id FROM bead WHERE blocked <> EXISTS (
            SELECT 1
            FROM up
            JOIN dependency AS d ON d.bead = up.id AND d.kind IN ('blocks', 'conditional-blocks')
            JOIN bead AS other ON other.id = d.depends_on AND other.status <> 'closed'
            WHERE up.bead = bead.id)";
    assert_eq!(rig.engine.store.sql().run(wrong, &[]).unwrap(), []);
    let blocked = "SELECT id FROM bead WHERE blocked = 1";
    assert!(rig.engine.store.sql().run(blocked, &[]).unwrap().len() > 20, "some are blocked");
}

#[test]
fn every_character_that_json_has_comes_back() {
    let mut rig = TestRig::new();
    let mut text: String = (0..0x3000).filter_map(char::from_u32).collect();
    text.push_str("\u{fffe}\u{ffff}\u{10ffff}🦀");
    let line = json!({"id": "x-1", "title": "t", "created_at": AT, "updated_at": AT, "description": text,
        "notes": text, "my_key": text, "close_reason": text,
        "comments": [{"id": 1, "issue_id": "x-1", "author": text, "text": text, "created_at": AT}]});
    import(&mut rig, std::slice::from_ref(&line));
    assert_eq!(object(&Value::Object(exported(&mut rig, "x-1"))), object(&line));
    assert_eq!(outcomes(&import(&mut rig, &[line])), ["unchanged"]);
}

#[test]
fn an_import_and_an_export_walk_through_no_table_and_make_no_index() {
    let mut rig = TestRig::new();
    let (first, later) = (issues(400, 41), a_year_later(400, 42));
    rig.engine.store.sql().asked.borrow_mut().clear();
    for batch in first.chunks(200).chain(later.chunks(200)) {
        send(&mut rig, &json!({"issues": batch, "sets": "replace"}));
    }
    let orphan = json!({"id": "y-1", "title": "t", "created_at": AT, "dependencies": [{"depends_on_id": "y-2"}]});
    let other = json!({"id": "y-2", "title": "t", "created_at": AT});
    import(&mut rig, &[orphan]);
    import(&mut rig, &[other]);
    export(&mut rig);
    let asked: std::collections::BTreeSet<String> =
        rig.engine.store.sql().asked.take().into_iter().collect();
    assert!(asked.len() > 20, "{}", asked.len());
    let tables = [
        "bead",
        "note",
        "comment",
        "dependency",
        "loose_dependency",
        "imported",
        "bead_event",
        "child",
        "d",
    ];
    for sql in &asked {
        let plan = rig.engine.store.sql().plan(sql);
        let walks = |step: &&String| {
            step.contains("AUTOMATIC")
                || tables.iter().any(|it| {
                    **step == format!("SCAN {it}") || step.starts_with(&format!("SCAN {it} "))
                })
        };
        assert!(!plan.iter().any(|it| walks(&it)), "{sql}\n{plan:#?}");
    }
}
