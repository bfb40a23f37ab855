//! Towns and rigs: what is made through a user's directory works, and what is deleted there is over.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Answer, Rig};
use crate::runs::is_there;
use crate::support::{LATER, SOON, World, until};

/// Longer than several ticks of the stack.
const TICKS: Duration = Duration::from_secs(3);

/// Calls the directory of a user.
fn users(world: &World, method: &str, path: &str, body: &Value) -> Answer {
    let token = world.stack.token();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let path = format!("/api/users/ann%40example.org{path}");
    world.rig("none").send(Some(token), method, &path, &body).unwrap()
}

/// What must be answered well.
#[track_caller]
fn data(answer: Answer) -> Value {
    assert!(answer.status < 300, "{answer:?}");
    answer.body["data"].clone()
}

fn town(world: &World, body: &Value) -> String {
    data(users(world, "POST", "/towns", body))["id"].as_str().unwrap().to_owned()
}

fn rig(world: &World, body: &Value) -> Rig {
    let made = data(users(world, "POST", "/rigs", body));
    world.rig(made["id"].as_str().unwrap())
}

/// How often the rig set its alarm since it was asked last: each tick does.
fn alarms(rig: &Rig) -> i64 {
    rig.debug("bench", "stats").unwrap().body["set_alarm"].as_i64().unwrap()
}

#[test]
fn a_rig_of_a_town_works_until_it_is_deleted_and_again_when_it_is_made_again() {
    let world = World::start(|options| options);
    let local = town(&world, &json!({"name": "Here", "id": "local"}));
    let made = rig(&world, &json!({"town_id": local, "name": "app", "id": "app"}));
    made.runs.open(&["started", "noted", "working", "closing", "closed"]);
    let first = made.assigned("to be done");
    made.status_until(&first, "closed", LATER);

    // Deleted while an agent is at work.
    let other = rig(&world, &json!({"town_id": local, "name": "busy"}));
    let bead = other.assigned("never to be done");
    let run = other.runs.wait(&bead, "started", LATER);
    let events = users(&world, "GET", "/towns/local/events?limit=1000", &Value::Null);
    let events = data(events).as_array().unwrap().clone();
    for name in ["app", "busy"] {
        assert!(events.iter().any(|it| it["rig_name"] == name), "{events:#?}");
    }
    assert!(events.is_sorted_by_key(|it| it["created_at"].as_str().unwrap().to_owned()));
    alarms(&other);
    std::thread::sleep(TICKS);
    assert!(alarms(&other) > 0, "a rig at work ticks");
    let id = other.path("").rsplit('/').next().unwrap().to_owned();
    let deleted = users(&world, "DELETE", &format!("/rigs/{id}"), &Value::Null);
    assert_eq!((deleted.status, &deleted.body["data"]), (200, &json!({"deleted": true})));
    until("end of the agent", SOON, || {
        if is_there(run.pid) { Err("there".to_owned()) } else { Ok(()) }
    });
    let gone = other.operator("GET", "/beads", "").unwrap();
    assert_eq!((gone.status, gone.code()), (404, "not_found"));
    assert_eq!(users(&world, "GET", &format!("/rigs/{id}"), &Value::Null).status, 404);
    alarms(&other);
    std::thread::sleep(TICKS);
    assert_eq!(alarms(&other), 0, "incident 48: a deleted rig ticked");

    // Made again it is empty, and works.
    let again = rig(&world, &json!({"town_id": local, "name": "busy", "id": id}));
    assert_eq!(again.get("/beads"), json!([]));
    again.runs.open(&["started", "noted", "working", "closing", "closed"]);
    let bead = again.assigned("to be done");
    again.status_until(&bead, "closed", LATER);

    let deleted = users(&world, "DELETE", "/towns/local", &Value::Null);
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(made.operator("GET", "/beads", "").unwrap().status, 404);
    assert_eq!(data(users(&world, "GET", "/towns", &Value::Null)), json!([]));
}

#[test]
fn a_rig_of_another_town_does_not_use_the_container_of_this_one() {
    let world = World::start(|options| options);
    let far = town(&world, &json!({"name": "Far"}));
    let made = rig(&world, &json!({"town_id": far, "name": "app"}));
    assert_eq!(made.get("/config")["town"], far);
    let bead = made.assigned("to wait");
    made.bead_until(&bead, "waiting for a container", LATER, |bead| {
        bead["waiting"]["reason"] == "container_unavailable"
    });
    assert_eq!(made.runs.entries(), []);
    // A stranger, and a user that is none.
    let list = "/api/users/ann/towns";
    assert_eq!(made.send(None, "GET", list, "").unwrap().status, 401);
    let container = beadrig::token::container_token("x", "local");
    assert_eq!(made.send(Some(&container), "GET", list, "").unwrap().status, 401);
    let token = world.stack.token();
    assert_eq!(made.send(Some(token), "GET", "/api/users/a%20b/towns", "").unwrap().status, 400);
    let deleted = users(&world, "DELETE", &format!("/towns/{far}"), &Value::Null);
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(made.operator("GET", "/health", "").unwrap().status, 404);
}

/// Calls what the rigs of a town have together.
fn local(world: &World, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let path = format!("/api/towns/local{path}");
    world.rig("none").send(Some(world.stack.token()), method, &path, &body).unwrap()
}

#[test]
fn a_town_sees_its_rigs_as_one_and_sets_what_holds_for_all() {
    let world = World::start(|options| options);
    town(&world, &json!({"name": "Here", "id": "local"}));
    let api = rig(&world, &json!({"town_id": "local", "name": "API", "id": "api"}));
    // In no directory, as on a desk.
    let web = world.rig("web");
    let set = json!({"env_vars": {"GREETING": "hello-town"}, "max_polecats_per_rig": 3});
    let shown = data(local(&world, "PATCH", "/config", &set));
    assert_eq!(shown["env_vars"], json!({"GREETING": "****town"}));

    // What was set holds for the first agent already.
    web.runs.open(&["started", "noted", "working", "closing", "closed"]);
    api.runs.open(&["started", "noted", "working", "closing", "closed"]);
    let (one, two) = (api.assigned("there"), web.assigned("here"));
    api.runs.wait(&one, "hello-town", LATER);
    web.runs.wait(&two, "hello-town", LATER);
    api.status_until(&one, "closed", LATER);
    web.status_until(&two, "closed", LATER);
    assert_eq!(web.get("/config")["max_agents"], 3);
    assert_eq!(web.get("/config")["of_town"], json!(["max_agents", "env_vars.GREETING"]));

    let open = data(web.operator("POST", "/beads", r#"{"title":"last"}"#).unwrap());
    let open = open["id"].as_str().unwrap().to_owned();
    let beads = json!([{"rig_id": "api", "bead_id": one}, {"rig_id": "web", "bead_id": two},
        {"rig_id": "web", "bead_id": open}]);
    let made = local(&world, "POST", "/convoys", &json!({"title": "both", "beads": beads}));
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/convoys/{}", data(made)["id"].as_str().unwrap());
    let seen = data(local(&world, "GET", &path, &Value::Null));
    assert_eq!((&seen["status"], &seen["closed_beads"]), (&json!("active"), &json!(2)));
    data(web.operator("POST", &format!("/beads/{open}/close"), "").unwrap());
    let seen = data(local(&world, "GET", &path, &Value::Null));
    assert_eq!((&seen["status"], &seen["total_beads"]), (&json!("landed"), &json!(3)));

    // A rig that has started an agent is one of the town, whether a directory has it or not.
    for rig in [&api, &web] {
        data(rig.operator("POST", "/escalations", r#"{"title":"help"}"#).unwrap());
    }
    let found = data(local(&world, "GET", "/escalations?acknowledged=false", &Value::Null));
    let mut from: Vec<&str> =
        found.as_array().unwrap().iter().map(|it| it["source_rig_id"].as_str().unwrap()).collect();
    from.sort_unstable();
    assert_eq!(from, ["api", "web"]);
    let id = found[0]["id"].as_str().unwrap();
    let path = format!("/escalations/{id}/acknowledge");
    assert_eq!(data(local(&world, "POST", &path, &Value::Null))["acknowledged"], true);
    let left = data(local(&world, "GET", "/escalations?acknowledged=false", &Value::Null));
    assert_eq!(left.as_array().unwrap().len(), 1);

    // Nobody else, and nothing from inside.
    let container = beadrig::token::container_token("x", "local");
    assert_eq!(
        web.send(Some(&container), "GET", "/api/towns/local/config", "").unwrap().status,
        401
    );
    let token = world.stack.token();
    for path in ["/layer/web", "/api/towns/local/layer/web", "/api/towns/local/everything"] {
        assert_eq!(web.send(Some(token), "GET", path, "").unwrap().status, 404, "{path}");
    }

    // With the town its secrets go.
    data(users(&world, "DELETE", "/towns/local", &Value::Null));
    assert_eq!(data(local(&world, "GET", "/config", &Value::Null))["env_vars"], json!({}));
    assert_eq!(data(local(&world, "GET", "/convoys", &Value::Null)), json!([]));
}
