//! The store on a real SQLite: migrations, lists, and how SQLite looks for what the tick asks.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::store::{Sql, SqlError, Store, Value};
use expect_test::expect;
use support::{TestRig, TestSql};

#[test]
fn opening_twice_migrates_once_and_then_costs_one_statement() {
    let sql = TestSql::new();
    let store = Store::open(sql).unwrap();
    let tables = "SELECT count(*) FROM sqlite_schema";
    let before = store.sql().run(tables, &[]).unwrap();
    store.sql().statements.set(0);
    let again = Store::open(Borrowed(store.sql())).unwrap();
    assert_eq!(store.sql().statements.get(), 1);
    assert_eq!(again.sql().0.run(tables, &[]).unwrap(), before);
}

/// A store over a database that is open already.
struct Borrowed<'a>(&'a TestSql);

impl Sql for Borrowed<'_> {
    fn run(&self, sql: &str, args: &[Value]) -> Result<Vec<Value>, SqlError> {
        self.0.run(sql, args)
    }

    fn script(&self, sql: &str) -> Result<(), SqlError> {
        self.0.script(sql)
    }

    fn atomically<T, E: From<SqlError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.atomically(work)
    }
}

#[test]
fn what_fails_leaves_nothing_behind() {
    let rig = TestRig::new();
    let store = &rig.engine.store;
    let failed = store.atomically(|| {
        store.add_note("b", "ann", rig.now, "no such bead").map(drop)?;
        Ok::<_, SqlError>(())
    });
    assert!(failed.is_err(), "a note belongs to a bead");
    let value = "x".repeat(2_000_001);
    let refused = store.add_note("b", "ann", rig.now, &value).unwrap_err();
    assert_eq!(refused, SqlError::Refused("a value of 2000001 bytes".to_owned()));
}

/// Every statement of the tick, with the way SQLite goes: none may walk through a table that grows.
#[test]
fn no_statement_of_the_tick_walks_through_a_table_that_grows() {
    let mut rig = TestRig::new();
    for n in 0..3 {
        rig.assigned(&format!("bead {n}"));
    }
    rig.engine.store.sql().asked.borrow_mut().clear();
    rig.schedule();
    rig.accept();
    rig.patrol(None);
    rig.pass(200_000);
    rig.patrol(None);
    rig.engine.next_wake(rig.now).unwrap();
    let asked = rig.engine.store.sql().asked.take();
    let mut walks: Vec<String> = asked
        .iter()
        .filter(|sql| !sql.starts_with("INSERT INTO bead_event"))
        .flat_map(|sql| rig.engine.store.sql().plan(sql))
        .filter(|step| step.contains("SCAN") && !step.contains("CONSTANT ROW"))
        .collect();
    walks.sort();
    walks.dedup();
    // Agents are a hundred at most; `bead_queue` holds only what waits for an agent and for nothing else; `json_each`
    // is a list given; `deferred` and `queue` are the few rows that were found.
    expect![[r#"
        SCAN a USING INDEX sqlite_autoindex_agent_2
        SCAN bead USING INDEX bead_queue
        SCAN deferred
        SCAN orphans
        SCAN queue
        SCAN unseen"#]]
    .assert_eq(&walks.join("\n"));
}

/// The steps of SQLite that a tick takes, and the statements of the calls that look through a table.
#[test]
fn what_waits_for_other_beads_costs_the_tick_nothing() {
    let mut rig = TestRig::new();
    let tick = |rig: &mut TestRig| {
        rig.engine.store.sql().steps.set(0);
        rig.schedule();
        rig.engine.next_wake(rig.now).unwrap();
        rig.engine.store.sql().steps.get()
    };
    rig.operator("POST", "/beads", r#"{"title":"the gate","id":"demo-gate"}"#);
    tick(&mut rig);
    let alone = tick(&mut rig);
    for n in 0..500 {
        let body = serde_json::json!({
            "title": format!("bead {n}"), "assignee": "agent", "acceptance_criteria": "it works",
            "dependencies": [{"depends_on": "demo-gate"}],
        });
        assert_eq!(rig.operator("POST", "/beads", &body.to_string()).0, 201);
    }
    assert_eq!(tick(&mut rig), alone);
    rig.operator("POST", "/beads/demo-gate/close", "");
    assert!(tick(&mut rig) > alone);
    assert_eq!(rig.starts.len(), rig.engine.settings.max_agents as usize);
}

#[test]
fn no_call_walks_through_a_table_that_grows() {
    let mut rig = TestRig::new();
    for id in ["demo-1", "demo-2", "demo-3"] {
        rig.operator("POST", "/beads", &format!(r#"{{"title":"x","id":"{id}"}}"#));
    }
    rig.engine.store.sql().asked.borrow_mut().clear();
    let mut walks = String::new();
    for (method, path, body) in [
        ("POST", "/beads/demo-2/dependencies", r#"{"depends_on":"demo-1"}"#),
        ("PATCH", "/beads/demo-3", r#"{"parent":"demo-2"}"#),
        ("GET", "/beads/demo-2/dependencies", ""),
        ("GET", "/beads/demo-2/children", ""),
        ("GET", "/ready", ""),
        ("GET", "/blocked", ""),
        ("GET", "/events?bead_id=demo-1", ""),
        ("GET", "/events?after=3", ""),
        ("POST", "/beads/demo-1/close", ""),
        ("DELETE", "/beads/demo-2", ""),
    ] {
        assert!(rig.operator(method, path, body).0 < 300, "{method} {path}");
        let asked = rig.engine.store.sql().asked.take();
        let plans = asked.iter().filter(|sql| !sql.contains("INSERT INTO bead_event"));
        let plans = plans.flat_map(|sql| rig.engine.store.sql().plan(sql));
        let grows =
            ["SCAN bead", "SCAN bead_event", "SCAN dependency", "SCAN attempt", "SCAN note"];
        let bad: Vec<String> =
            plans.filter(|it| grows.iter().any(|name| it.starts_with(name))).collect();
        walks.push_str(&format!("{method} {path}: {}\n", bad.join(", ")));
    }
    expect![[r#"
        POST /beads/demo-2/dependencies: 
        PATCH /beads/demo-3: 
        GET /beads/demo-2/dependencies: 
        GET /beads/demo-2/children: 
        GET /ready: 
        GET /blocked: 
        GET /events?bead_id=demo-1: 
        GET /events?after=3: 
        POST /beads/demo-1/close: 
        DELETE /beads/demo-2: 
    "#]]
    .assert_eq(&walks);
}

#[test]
fn lists_are_newest_first_by_pages_and_by_what_is_asked() {
    let mut rig = TestRig::new();
    for n in 0..6 {
        rig.pass(1);
        let body = serde_json::json!({
            "title": format!("bead {n}"), "id": format!("demo-{n}"), "priority": n % 5,
            "labels": if n % 2 == 0 { vec!["even"] } else { vec![] },
            "type": if n == 3 { "bug" } else { "task" },
        });
        assert_eq!(rig.operator("POST", "/beads", &body.to_string()).0, 201);
    }
    for id in ["demo-1", "demo-4"] {
        rig.operator("POST", &format!("/beads/{id}/close"), "");
    }
    let mut list = |query: &str| {
        let (status, answer) = rig.operator("GET", &format!("/beads?{query}"), "");
        assert_eq!(status, 200, "{answer}");
        let ids = answer["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned());
        ids.map(|id| id.replace("demo-", "")).collect::<String>()
    };
    assert_eq!(list(""), "543210");
    assert_eq!(list("limit=2"), "54");
    assert_eq!(list("limit=2&offset=2"), "32");
    assert_eq!(list("limit=2&offset=5"), "0");
    assert_eq!(list("limit="), "");
    assert_eq!(list("status=open"), "5320");
    assert_eq!(list("status=closed"), "41");
    assert_eq!(list("status=open,closed&limit=3"), "543");
    assert_eq!(list("exclude_status=closed"), "5320");
    assert_eq!(list("label=even"), "420");
    assert_eq!(list("type=bug"), "3");
    assert_eq!(list("priority=critical"), "50");
    assert_eq!(list("assignee=agent"), "");
}
