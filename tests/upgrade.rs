//! A rig whose rows were written by an older version is brought up to date, and its work goes on.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::path::Path;

use beadrig::store::{Sql as _, Store};
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::AgentList;
use serde_json::json;
use support::{START, TestRig, TestSql};

/// The scripts, oldest first.
fn migrations() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some_and(|it| it == "sql"));
    files.sort();
    files.iter().map(|it| fs::read_to_string(it).unwrap()).collect()
}

/// As the first version wrote them: one bead waits, one is at work under attempt 7, one is closed.
const ROWS: &str = "
    INSERT INTO agent (id, role, name, identity, created_at)
        VALUES ('a1', 'polecat', 'Toast', 'Toast-polecat-demo@local', 1);
    INSERT INTO bead (id, kind, status, title, acceptance_criteria, priority, assignee, created_at, created_by,
            updated_at, finished)
        VALUES ('demo-old1', 'issue', 'open', 'waits', 'it works', 2, 'agent', 1, 'ann', 1, 0);
    INSERT INTO bead (id, kind, status, title, acceptance_criteria, priority, assignee, assignee_agent_id, hooked_by,
            created_at, created_by, updated_at, started_at, finished)
        VALUES ('demo-old2', 'issue', 'in_progress', 'at work', 'it works', 2, 'agent', 'a1', 'a1', 1, 'ann', 1, 1, 0);
    INSERT INTO bead (id, kind, status, title, priority, created_at, created_by, updated_at, closed_at, finished)
        VALUES ('demo-old3', 'issue', 'closed', 'over', 2, 1, 'ann', 1, 1, 1);
    INSERT INTO attempt (number, agent, bead, job, state, asked_at, accepted_at, last_seen, last_activity)
        VALUES (7, 'a1', 'demo-old2', 'abcdef012345', 'running', 1, 1, 1, 1);
";

#[test]
fn a_rig_of_any_older_version_keeps_its_beads_and_goes_on_with_its_work() {
    let scripts = migrations();
    for version in 1..=scripts.len() {
        let sql = TestSql::new();
        sql.script("CREATE TABLE migration (version INTEGER NOT NULL PRIMARY KEY) STRICT").unwrap();
        sql.script(&scripts[0]).unwrap();
        sql.script(ROWS).unwrap();
        sql.run("INSERT INTO migration (version) VALUES (1)", &[]).unwrap();
        for (n, script) in (2i64..).zip(&scripts[1..version]) {
            sql.script(script).unwrap();
            sql.run("INSERT INTO migration (version) VALUES (?)", &[n.into()]).unwrap();
        }
        let mut rig = TestRig::new();
        rig.engine.store = Store::open(sql).unwrap();
        assert_eq!(rig.tell("demo-old3"), "closed attempts=0", "version {version}");
        assert!(rig.tell("demo-old2").starts_with("in_progress"), "version {version}");
        // The container shows the run of before, under its number.
        let shown = json!([{"agentId": "a1", "rigId": "demo", "beadId": "demo-old2", "attempt": 7,
            "jobId": "abcdef012345", "status": "running", "startedAt": START.to_string(),
            "lastActivityAt": START.to_string()}]);
        let list = AgentList {
            boot_id: "b".to_owned(),
            protocol: PROTOCOL,
            agents: serde_json::from_value(shown).unwrap(),
        };
        rig.engine.settings.run_timeout_s = 86_400;
        rig.now = beadrig::id::Millis(60_000);
        rig.schedule();
        rig.patrol(Some(&list));
        let starts = rig.accept();
        assert_eq!(starts.len(), 1, "version {version}");
        assert_eq!(starts[0].bead_id, "demo-old1", "version {version}");
        assert!(starts[0].attempt > 7, "version {version}: {}", starts[0].attempt);
        assert_eq!(rig.tell("demo-old1"), "in_progress attempts=1", "version {version}");
        let runs = rig.engine.store.crew().unwrap().0;
        let kept = runs.iter().filter_map(|it| it.attempt.as_ref()).any(|it| it.number == 7);
        assert!(kept, "version {version}: the run of before is lost");
    }
}

#[test]
fn what_was_tied_with_conditional_blocks_waits_from_then_on() {
    let sql = TestSql::new();
    sql.script("CREATE TABLE migration (version INTEGER NOT NULL PRIMARY KEY) STRICT").unwrap();
    for (n, script) in (1i64..).zip(&migrations()[..9]) {
        sql.script(script).unwrap();
        sql.run("INSERT INTO migration (version) VALUES (?)", &[n.into()]).unwrap();
    }
    sql.script(ROWS).unwrap();
    sql.script(
        "INSERT INTO bead (id, kind, status, title, priority, created_at, created_by, updated_at, finished, parent)
             VALUES ('demo-child', 'task', 'open', 'below', 2, 1, 'ann', 1, 0, 'demo-old1'),
                    ('demo-free', 'task', 'open', 'free', 2, 1, 'ann', 1, 0, NULL);
         INSERT INTO dependency (bead, depends_on, kind, created_at, created_by)
             VALUES ('demo-old1', 'demo-old2', 'conditional-blocks', 1, 'ann'),
                    ('demo-free', 'demo-old3', 'conditional-blocks', 1, 'ann'),
                    ('demo-free', 'demo-old2', 'waits-for', 1, 'ann');",
    )
    .unwrap();
    let mut rig = TestRig::new();
    rig.engine.store = Store::open(sql).unwrap();
    let blocked = rig.operator("GET", "/blocked", "").1;
    let ids: Vec<_> =
        blocked["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["demo-old1", "demo-child"], "{blocked}");
    rig.operator("POST", "/beads/demo-old2/close", "{}");
    assert_eq!(rig.operator("GET", "/blocked", "").1["data"], json!([]));
}
