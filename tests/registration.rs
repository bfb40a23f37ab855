//! A rig as one of a town, and its end: what it is told, what is left of it, and what it still answers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::store::{Sql as _, Value as Cell};
use beadrig::token::Caller;
use serde_json::{Value, json};
use support::{START, TestRig, agent, container, operator};

fn of_town(town: &str) -> Caller {
    Caller::Container { town: town.to_owned() }
}

fn register(rig: &mut TestRig, user: &str, town: &str) -> (u16, Value) {
    let body =
        json!({"user_id": user, "town_id": town, "git_url": "/srv/repo", "default_branch": "dev"});
    rig.operator("PUT", "/registration", &body.to_string())
}

/// Every table with its rows, but for those that are empty.
fn rows(rig: &TestRig) -> Vec<String> {
    let sql = rig.engine.store.sql();
    let tables = sql.run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &[]);
    let mut found = Vec::new();
    for table in tables.unwrap() {
        let Cell::Text(table) = table else { panic!("{table:?}") };
        let count = sql.run(&format!("SELECT count(*) FROM \"{table}\""), &[]).unwrap().remove(0);
        if let (Cell::Integer(1..), true) = (&count, table != "migration") {
            found.push(format!("{table} {count:?}"));
        }
    }
    found
}

#[test]
fn the_town_of_a_rig_is_that_of_its_container_and_its_agents() {
    let mut rig = TestRig::new();
    assert_eq!(register(&mut rig, "ann", "harbor").0, 200);
    let config = rig.operator("GET", "/config", "").1["data"].take();
    assert_eq!((&config["town"], &config["git_url"]), (&"harbor".into(), &"/srv/repo".into()));
    assert_eq!(config["overridden"], json!(["default_branch", "git_url", "town"]));
    rig.assigned("mine");
    rig.schedule();
    let start = rig.accept().remove(0);
    assert_eq!(start.town_id, "harbor");
    let beats = r#"{"protocol":1,"boot_id":"b","agents":[]}"#;
    assert_eq!(rig.call(&of_town("harbor"), "POST", "/heartbeats", beats).0, 200);
    let (status, answer) = rig.call(&container(), "POST", "/heartbeats", beats);
    assert_eq!(
        (status, &answer["error"]),
        (403, &"Token townId does not match the rig's town".into())
    );
}

#[test]
fn a_rig_moves_only_while_nothing_runs() {
    let mut rig = TestRig::new();
    rig.assigned("mine");
    rig.schedule();
    rig.accept();
    let (status, answer) = register(&mut rig, "ann", "harbor");
    assert_eq!((status, &answer["code"]), (409, &"conflict".into()));
    let (status, _) = rig.operator("PATCH", "/config", r#"{"town":"harbor"}"#);
    assert_eq!(status, 409);
    // To where it is it may be registered, and stays there whatever the deployment becomes.
    assert_eq!(register(&mut rig, "ann", "local").0, 200);
    rig.engine.settings.town = "elsewhere".to_owned();
    assert_eq!(rig.engine.effective().unwrap().town, "local");
    let (status, answer) = rig.operator("PATCH", "/config", r#"{"town":"a b"}"#);
    assert_eq!((status, &answer["code"]), (400, &"invalid".into()));
    // What its directory says holds; one that is in none may be moved by hand.
    let (status, answer) = rig.operator("PATCH", "/config", r#"{"town":"harbor"}"#);
    let error =
        "Rig demo is in town local by the directory of user ann; delete it there and make it anew";
    assert_eq!((status, &answer["error"]), (409, &error.into()));
    let mut free = TestRig::new();
    let (status, answer) = free.operator("PATCH", "/config", r#"{"town":"harbor"}"#);
    assert_eq!((status, &answer["data"]["town"]), (200, &"harbor".into()));
}

#[test]
fn a_rig_is_in_one_directory() {
    let mut rig = TestRig::new();
    assert_eq!(register(&mut rig, "ann", "harbor").0, 200);
    assert_eq!(register(&mut rig, "ann", "harbor").0, 200);
    let (status, answer) = register(&mut rig, "bob", "harbor");
    assert_eq!((status, &answer["code"]), (409, &"already_exists".into()));
    rig.operator("DELETE", "/everything", "");
    assert_eq!(register(&mut rig, "bob", "harbor").0, 200);
}

#[test]
fn incident_48_of_a_deleted_rig_nothing_is_left_and_nothing_wakes_it() {
    let mut rig = TestRig::new();
    register(&mut rig, "ann", "harbor");
    rig.operator("PATCH", "/config", r#"{"env_vars":{"API_TOKEN":"secret-1234"}}"#);
    let bead = rig.assigned("mine");
    let other = rig.assigned("yours");
    let depends = json!({ "depends_on": bead }).to_string();
    rig.operator("POST", &format!("/beads/{other}/dependencies"), &depends);
    rig.operator("POST", &format!("/beads/{bead}/notes"), r#"{"text":"a note"}"#);
    rig.operator("POST", "/escalations", r#"{"title":"help"}"#);
    rig.schedule();
    let start = rig.accept().remove(0);
    let mail =
        json!({"from_agent_id": "ann", "to_agent_id": start.agent_id, "subject": "s", "body": "b"});
    rig.operator("POST", "/mail", &mail.to_string());
    let me = agent(&start);
    assert_eq!(rig.call(&me, "DELETE", "/everything", "").0, 403);
    assert_eq!(rig.call(&me, "PUT", "/registration", "{}").0, 403);
    assert!(rows(&rig).len() > 8, "{:?}", rows(&rig));

    let done = (200, json!({"success": true, "data": {"deleted": true}}));
    assert_eq!(rig.operator("DELETE", "/everything", ""), done);
    assert_eq!(rig.stops, [(start.agent_id.clone(), start.attempt)]);
    assert_eq!(rows(&rig), ["config Integer(2)"]);
    let kept =
        rig.engine.store.sql().run("SELECT name || '=' || value FROM config ORDER BY name", &[]);
    let kept_as = |text: &str| Cell::Text(text.to_owned());
    assert_eq!(
        kept.unwrap(),
        [kept_as(&format!("deleted_at={}", START.0)), kept_as("town=harbor")]
    );
    assert_eq!(rig.engine.next_wake(rig.now).unwrap(), None);
    rig.pass(1);
    assert_eq!(rig.operator("DELETE", "/everything", ""), done);
    assert_eq!(rig.engine.store.deleted_at().unwrap(), Some(START));

    let gone = "Rig demo was deleted at 2026-01-01T00:00:00.000Z";
    for (caller, method, path) in [
        (operator(), "GET", "/beads"),
        (operator(), "POST", "/beads"),
        (operator(), "PATCH", "/config"),
        (operator(), "GET", "/health"),
        (me.clone(), "GET", "/beads"),
        (of_town("harbor"), "POST", "/agents/x/completed"),
    ] {
        let (status, answer) = rig.call(&caller, method, path, r#"{"title":"x"}"#);
        assert_eq!((status, &answer["error"]), (404, &gone.into()), "{method} {path}");
    }
    // The container learns that what still runs is wanted no more.
    let beats = json!({"protocol": 1, "boot_id": "b", "agents": [{"agent_id": start.agent_id,
        "attempt": start.attempt, "job_id": start.job_id, "last_activity_at": "2026-01-01T00:00:00Z"}]});
    let (status, answer) = rig.call(&of_town("harbor"), "POST", "/heartbeats", &beats.to_string());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["data"]["verdicts"][0]["verdict"], "stale", "{answer}");
    rig.schedule();
    assert!(rig.starts.is_empty());
    assert_eq!(rows(&rig), ["config Integer(2)"]);
}

#[test]
fn a_deleted_rig_comes_back_by_registration_alone() {
    let mut rig = TestRig::new();
    let before = rig.assigned("mine");
    rig.operator("DELETE", "/everything", "");
    assert_eq!(rig.operator("GET", "/beads", "").0, 404);
    assert_eq!(register(&mut rig, "ann", "harbor").0, 200);
    let (status, beads) = rig.operator("GET", "/beads", "");
    assert_eq!((status, &beads["data"]), (200, &json!([])));
    assert_eq!(rig.operator("GET", &format!("/beads/{before}"), "").0, 404);
    rig.assigned("anew");
    rig.schedule();
    assert_eq!(rig.accept().len(), 1);
}
