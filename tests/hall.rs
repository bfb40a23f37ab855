//! A town as one thing: convoys over several rigs, the escalations of all of them, and what is set for all. The rigs are
//! real ones in memory; what the edge would carry is carried here.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use beadrig::command::{Command, Moment};
use beadrig::hall::{Hall, Request, Said, Todo, handle};
use beadrig::limits;
use beadrig::store::HallBook;
use beadrig::token::Caller;
use expect_test::expect;
use serde_json::{Value, json};
use support::{START, TestRig, TestSql, container, operator};

/// A town with rigs, some of which may not answer.
struct World {
    hall: Hall<TestSql>,
    rigs: BTreeMap<&'static str, TestRig>,
    silent: Vec<&'static str>,
    seed: u64,
}

impl World {
    fn new(rigs: &[&'static str]) -> Self {
        let hall = Hall { book: HallBook::open(TestSql::new()).unwrap(), town: "local".to_owned() };
        let made = |id: &&'static str| {
            let mut rig = TestRig::new();
            (*id).clone_into(&mut rig.engine.rig);
            (*id, rig)
        };
        let rigs = rigs.iter().map(made).collect();
        Self { hall, rigs, silent: Vec::new(), seed: 0 }
    }

    fn ask_as(&mut self, caller: Caller, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.seed += 1;
        let moment = Moment { now: START.plus(self.seed.cast_signed()), seed: self.seed };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request { method, path, query, body: body.as_bytes(), caller };
        let response = match handle(&self.hall, moment, &request) {
            Todo::Answer(response) => response,
            Todo::Ask(calls, then) => {
                let said: Vec<_> = calls
                    .into_iter()
                    .map(|it| {
                        let said = self.carry(&it.rig, it.method, &it.path, it.body.as_deref());
                        (it.rig, said)
                    })
                    .collect();
                self.hall.answered(moment, then, &said)
            }
        };
        assert_eq!(response.fault, None);
        (response.status, serde_json::from_str(&response.body).unwrap())
    }

    fn carry(&mut self, rig: &str, method: &str, path: &str, body: Option<&str>) -> Said {
        if self.silent.contains(&rig) {
            return Err("the rig did not answer within 5000 ms".to_owned());
        }
        let (status, body) =
            self.rigs.get_mut(rig).unwrap().operator(method, path, body.unwrap_or_default());
        Ok((status, body.to_string().into_bytes()))
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_as(operator(), method, path, &body)
    }

    fn get(&mut self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn bead(&mut self, rig: &str, id: &str) {
        let body = json!({"title": id, "id": id}).to_string();
        let (status, answer) = self.rigs.get_mut(rig).unwrap().operator("POST", "/beads", &body);
        assert_eq!(status, 201, "{answer}");
    }

    fn rig(&mut self, rig: &str, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) =
            self.rigs.get_mut(rig).unwrap().operator(method, path, &body.to_string());
        assert!(status < 300, "{answer}");
        answer["data"].clone()
    }

    /// A convoy of one bead in each of these rigs; its id.
    fn convoy(&mut self, beads: &[(&str, &str)]) -> String {
        let beads: Vec<Value> =
            beads.iter().map(|(rig, bead)| json!({"rig_id": rig, "bead_id": bead})).collect();
        let (status, made) = self.ask("POST", "/convoys", &json!({"title": "all", "beads": beads}));
        assert_eq!(status, 201, "{made}");
        made["data"]["id"].as_str().unwrap().to_owned()
    }
}

/// Two rigs with a bead each, in one convoy.
fn two() -> (World, String) {
    let mut world = World::new(&["api", "web"]);
    world.bead("api", "api-1");
    world.bead("web", "web-1");
    let id = world.convoy(&[("api", "api-1"), ("web", "web-1"), ("web", "web-1")]);
    (world, id)
}

#[test]
fn a_convoy_has_landed_when_all_of_its_beads_in_all_rigs_are_closed_whoever_was_told() {
    let (mut world, id) = two();
    let path = format!("/convoys/{id}");
    let fresh = world.get(&path);
    expect![[r#"
        {
          "closed_beads": 0,
          "created_at": "2026-01-01T00:00:00.001Z",
          "created_by": "ann",
          "id": "ID",
          "landed_at": null,
          "status": "active",
          "stranded": [],
          "title": "all",
          "total_beads": 2,
          "unanswered": []
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&fresh["data"]).unwrap().replace(&id, "ID"));
    world.rig("api", "POST", "/beads/api-1/close", &json!({}));
    assert_eq!(world.get(&path)["data"]["closed_beads"], 1);
    // Nobody tells the town.
    world.rigs.get_mut("web").unwrap().pass(5_000);
    world.rig("web", "POST", "/beads/web-1/close", &json!({}));
    let landed = world.get(&path)["data"].take();
    assert_eq!((&landed["status"], &landed["closed_beads"]), (&json!("landed"), &json!(2)));
    assert_eq!(landed["landed_at"], "2026-01-01T00:00:05.000Z");
    assert_eq!(world.get("/convoys")["data"], json!([landed]));
    // What is told twice, as Gastown's rigs do, changes nothing.
    let told = json!({"convoy_id": id, "bead_id": "web-1"});
    for _ in 0..2 {
        assert_eq!(world.ask("POST", "/convoys/bead-closed", &told).1["data"], landed);
    }
    world.rig("web", "POST", "/beads/web-1/reopen", &json!({}));
    let again = world.get(&path)["data"].take();
    assert_eq!((&again["status"], &again["landed_at"]), (&json!("active"), &Value::Null));
}

#[test]
fn what_strands_is_named_and_what_is_deleted_is_not_waited_for() {
    let (mut world, id) = two();
    let path = format!("/convoys/{id}");
    world.rig("api", "PATCH", "/beads/api-1", &json!({"status": "blocked"}));
    let stranded = world.get(&path)["data"]["stranded"].take();
    assert_eq!(stranded, json!([{"rig_id": "api", "bead_id": "api-1"}]));
    world.rig("api", "DELETE", "/beads/api-1", &json!({}));
    world.rig("web", "POST", "/beads/web-1/close", &json!({}));
    let landed = world.get(&path)["data"].take();
    assert_eq!((&landed["status"], &landed["total_beads"]), (&json!("landed"), &json!(1)));
    // With its rig all of a rig's beads are gone.
    world.rig("web", "DELETE", "/everything", &json!({}));
    let empty = world.get(&path)["data"].take();
    assert_eq!((&empty["status"], &empty["total_beads"]), (&json!("active"), &json!(0)));
}

#[test]
fn a_rig_that_does_not_answer_keeps_a_convoy_from_landing_and_is_named() {
    let (mut world, id) = two();
    for (rig, bead) in [("api", "api-1"), ("web", "web-1")] {
        world.rig(rig, "POST", &format!("/beads/{bead}/close"), &json!({}));
    }
    world.silent.push("web");
    let answer = world.get(&format!("/convoys/{id}"));
    assert_eq!(
        (&answer["data"]["status"], &answer["data"]["closed_beads"]),
        (&json!("active"), &json!(1))
    );
    assert_eq!(answer["data"]["unanswered"], json!(["web"]));
    let missing = json!([{"rig_id": "web", "rig_name": "web", "error": "the rig did not answer within 5000 ms"}]);
    assert_eq!(answer["missing"], missing);
    assert_eq!(world.get("/convoys")["missing"], missing);
    // Nor is a convoy made of what nobody saw.
    let beads = json!([{"rig_id": "web", "bead_id": "web-1"}]);
    let (status, answer) = world.ask("POST", "/convoys", &json!({"title": "x", "beads": beads}));
    assert_eq!((status, &answer["code"]), (503, &json!("unavailable")));
    world.silent.clear();
    assert_eq!(world.get("/convoys")["data"][0]["status"], "landed");
}

#[test]
fn what_is_refused_and_how() {
    let (mut world, _) = two();
    world.rig("web", "PATCH", "/config", &json!({"town": "far"}));
    let many: Vec<Value> =
        (0..101).map(|n| json!({"rig_id": "api", "bead_id": n.to_string()})).collect();
    let convoy = |beads: Value| json!({"title": "x", "beads": beads});
    let mut said = String::new();
    for (method, path, body) in [
        ("POST", "/convoys", json!({})),
        ("POST", "/convoys", convoy(json!([]))),
        ("POST", "/convoys", convoy(json!(many))),
        ("POST", "/convoys", convoy(json!([{"rig_id": "a/b", "bead_id": "x"}]))),
        ("POST", "/convoys", convoy(json!([{"rig_id": "api", "bead_id": "none"}]))),
        ("POST", "/convoys", convoy(json!([{"rig_id": "web", "bead_id": "web-1"}]))),
        ("GET", "/convoys/none", Value::Null),
        ("GET", "/convoys?limit=many", Value::Null),
        ("POST", "/convoys/bead-closed", json!({"convoy_id": "none", "bead_id": "x"})),
        ("GET", "/escalations?acknowledged=maybe", Value::Null),
        ("POST", "/escalations/none/acknowledge", Value::Null),
        ("POST", "/escalations/api:none/acknowledge", Value::Null),
        ("POST", "/escalations/other:none/acknowledge", Value::Null),
        ("POST", "/escalations/api:..%2Fx/acknowledge", Value::Null),
        ("PATCH", "/config", json!({"refinery": {"gates": []}})),
        ("PATCH", "/config", json!({"max_polecats_per_rig": 21})),
        ("PATCH", "/config", json!({"alarm_interval_active": "soon"})),
        ("PATCH", "/config", json!({"env_vars": {"GASTOWN_X": "1"}})),
        ("PATCH", "/config", json!({"git_auth": {"other": "1"}})),
        ("PATCH", "/config", json!({"git_auth": {"github_token": "****abcd"}})),
        ("PATCH", "/config", json!({"git_auth": {"gitlab_instance_url": "https://u:p@host"}})),
        ("PUT", "/rigs/a%2Fb", Value::Null),
        ("GET", "/nothing", Value::Null),
        ("DELETE", "/convoys", Value::Null),
    ] {
        let (status, answer) = world.ask(method, path, &body);
        let (code, error) = (answer["code"].as_str().unwrap(), answer["error"].as_str().unwrap());
        let body: String = body.to_string().chars().take(60).collect();
        writeln!(said, "{method} {path} {body}\n    {status} {code} {error}").unwrap();
    }
    expect![[r#"
        POST /convoys {}
            400 invalid Invalid request body: missing field `title` at line 1 column 2
        POST /convoys {"beads":[],"title":"x"}
            400 invalid beads must be 1 to 100 (got 0)
        POST /convoys {"beads":[{"bead_id":"0","rig_id":"api"},{"bead_id":"1","rig
            400 invalid beads must be 1 to 100 (got 101)
        POST /convoys {"beads":[{"bead_id":"x","rig_id":"a/b"}],"title":"x"}
            400 invalid beads.rig_id must be 1 to 64 letters, digits, '-' and '_'
        POST /convoys {"beads":[{"bead_id":"none","rig_id":"api"}],"title":"x"}
            404 not_found Bead none of rig api not found
        POST /convoys {"beads":[{"bead_id":"web-1","rig_id":"web"}],"title":"x"}
            409 conflict Rig web is in town far, not in local
        GET /convoys/none null
            404 not_found Convoy none not found
        GET /convoys?limit=many null
            400 invalid limit and offset must be non-negative integers
        POST /convoys/bead-closed {"bead_id":"x","convoy_id":"none"}
            404 not_found Convoy none not found
        GET /escalations?acknowledged=maybe null
            400 invalid acknowledged must be true or false (got "maybe")
        POST /escalations/none/acknowledge null
            404 not_found Escalation none not found
        POST /escalations/api:none/acknowledge null
            404 not_found Escalation none not found
        POST /escalations/other:none/acknowledge null
            404 not_found Escalation other:none not found
        POST /escalations/api:..%2Fx/acknowledge null
            404 not_found Escalation api:../x not found
        PATCH /config {"refinery":{"gates":[]}}
            400 invalid refinery is no setting of a town; there are env_vars, git_auth, default_model, max_polecats_per_rig, alarm_interval_active, alarm_interval_idle
        PATCH /config {"max_polecats_per_rig":21}
            400 invalid max_polecats_per_rig must be a number from 1 to 20
        PATCH /config {"alarm_interval_active":"soon"}
            400 invalid alarm_interval_active must be a number from 5 to 600
        PATCH /config {"env_vars":{"GASTOWN_X":"1"}}
            400 invalid env_vars.GASTOWN_X is reserved: names that begin with BEADRIG_ or GASTOWN_ are the rig's own
        PATCH /config {"git_auth":{"other":"1"}}
            400 invalid git_auth has github_token, gitlab_token, gitlab_instance_url alone
        PATCH /config {"git_auth":{"github_token":"****abcd"}}
            400 invalid git_auth.github_token looks masked, and is not what is stored; send the value itself
        PATCH /config {"git_auth":{"gitlab_instance_url":"https://u:p@host"}}
            400 invalid git_auth.gitlab_instance_url must be https://host, without credentials
        PUT /rigs/a%2Fb null
            400 invalid rig must be 1 to 64 letters, digits, '-' and '_'
        GET /nothing null
            404 not_found Not found
        DELETE /convoys null
            405 method_not_allowed DELETE is not allowed here, but POST, GET
    "#]].assert_eq(&said);
    for caller in [container(), Caller::Container { town: "far".to_owned() }] {
        assert_eq!(world.ask_as(caller, "GET", "/config", "").0, 403);
    }
}

#[test]
fn the_escalations_of_all_rigs_are_one_list_and_each_is_acknowledged_where_it_is() {
    let mut world = World::new(&["api", "web", "dead", "gone"]);
    for (rig, name) in [("api", "API"), ("web", "Web"), ("dead", "Dead"), ("gone", "Gone")] {
        world.ask("PUT", &format!("/rigs/{rig}"), &json!({"name": name}));
    }
    for (n, rig) in [(1, "api"), (2, "web"), (3, "api")] {
        world.rigs.get_mut(rig).unwrap().pass(n * 1_000);
        let body = json!({"title": format!("help {n}"), "body": "me", "id": n.to_string()});
        world.rig(rig, "POST", "/escalations", &body);
    }
    world.silent.push("dead");
    world.rig("gone", "DELETE", "/everything", &json!({}));
    let answer = world.get("/escalations?acknowledged=false");
    let shown: Vec<String> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {} {}", it["rig_name"], it["message"], it["created_at"]))
        .collect();
    expect![[r#"
        "API" "help 3\n\nme" "2026-01-01T00:00:04.000Z"
        "Web" "help 2\n\nme" "2026-01-01T00:00:02.000Z"
        "API" "help 1\n\nme" "2026-01-01T00:00:01.000Z""#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(answer["missing"][0]["rig_name"], "Dead");
    assert_eq!(answer["missing"].as_array().unwrap().len(), 1, "a rig that is gone is forgotten");
    let first = answer["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/escalations/{first}/acknowledge");
    let (status, seen) = world.ask("POST", &path, &Value::Null);
    assert_eq!((status, &seen["data"]["acknowledged"]), (200, &json!(true)));
    assert_eq!(world.get("/escalations?acknowledged=true")["data"], json!([seen["data"]]));
    let left = world.get("/escalations?acknowledged=false")["data"].take();
    assert_eq!(left.as_array().unwrap().len(), 2);
    // A rig that moved is none of the town any more, and its escalations are not the town's.
    world.rig("web", "PATCH", "/config", &json!({"town": "far"}));
    let left = world.get("/escalations?acknowledged=false")["data"].take();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(world.hall.book.rigs().unwrap().len(), 2);
}

#[test]
fn what_a_town_sets_lies_under_what_its_rigs_set_and_secrets_stay_masked() {
    let mut world = World::new(&["api"]);
    let secret = "ghp_0123456789abcdef";
    let body = json!({
        "env_vars": {"SHARED": "of the town, a secret", "MINE": "of the town"},
        "git_auth": {"github_token": secret},
        "default_model": "large", "max_polecats_per_rig": 2, "alarm_interval_idle": 60,
    });
    let (status, shown) = world.ask("PATCH", "/config", &body);
    assert_eq!(status, 200, "{shown}");
    expect![[r#"
        {
          "alarm_interval_active": null,
          "alarm_interval_idle": 60,
          "default_model": "large",
          "env_vars": {
            "MINE": "****town",
            "SHARED": "****cret"
          },
          "git_auth": {
            "github_token": "****cdef",
            "gitlab_instance_url": null,
            "gitlab_token": null
          },
          "max_polecats_per_rig": 2
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&shown["data"]).unwrap());
    // Sent back as it was read, it changes nothing.
    let layer = world.hall.layer().unwrap();
    assert_eq!(world.ask("PATCH", "/config", &shown["data"]).0, 200);
    assert_eq!(world.hall.layer().unwrap(), layer);
    assert!(!format!("{layer:?}").contains(secret));

    let rig = world.rigs.get_mut("api").unwrap();
    rig.operator("PATCH", "/config", r#"{"env_vars":{"MINE":"of the rig"}}"#);
    rig.assigned("to do");
    rig.schedule();
    let start = rig.starts.pop().unwrap();
    assert_eq!((start.model.as_deref(), start.env_vars.len()), (None, 1));
    assert!(!rig.engine.knows_layer(&layer).unwrap());
    rig.apply(Command::SetLayer(layer.clone())).unwrap();
    assert!(rig.engine.knows_layer(&layer).unwrap());
    let start = rig.engine.with_layer(&start).unwrap();
    assert_eq!(start.model.as_deref(), Some("large"));
    let vars: Vec<_> = start.env_vars.iter().map(|(name, it)| format!("{name}={it}")).collect();
    assert_eq!(
        vars,
        ["GIT_TOKEN=ghp_0123456789abcdef", "MINE=of the rig", "SHARED=of the town, a secret",]
    );
    let config = rig.operator("GET", "/config", "").1["data"].take();
    assert_eq!((&config["max_agents"], &config["idle_alarm_ms"]), (&json!(2), &json!(60_000)));
    assert_eq!(
        (&config["env_vars"], &config["overridden"]),
        (&json!({"MINE": "**** rig"}), &json!(["env_vars"]))
    );
    assert!(!config.to_string().contains("of the town"), "{config}");
    // What the deployment has is something of its own here.
    let patched = rig.operator("PATCH", "/config", r#"{"max_agents":5}"#).1["data"].take();
    assert_eq!(patched["max_agents"], 5);
    // In another town it has nothing of this one.
    let stop = rig.engine.effective().unwrap();
    assert_eq!(stop.agent_model.as_deref(), Some("large"));
    rig.engine.store.set_config("town", Some("far")).unwrap();
    assert_eq!(rig.engine.effective().unwrap().agent_model, None);
    rig.engine.store.set_config("town", None).unwrap();
    rig.apply(Command::SetLayer(beadrig::wire::town_config::TownLayer::default())).unwrap();
    assert_eq!(rig.engine.effective().unwrap().agent_model, None);

    // Null takes away.
    let body = json!({"git_auth": null, "default_model": null, "env_vars": {}});
    world.ask("PATCH", "/config", &body);
    let layer = world.hall.layer().unwrap();
    assert_eq!((layer.env_vars.len(), layer.settings.len()), (0, 2));
}

#[test]
fn a_town_has_so_many_rigs_and_remembers_so_many_convoys() {
    let mut world = World::new(&["api"]);
    world.bead("api", "api-1");
    for n in 0..limits::RIGS_PER_TOWN_MAX {
        assert_eq!(world.ask("PUT", &format!("/rigs/r{n}"), &Value::Null).0, 200);
    }
    let (status, answer) = world.ask("PUT", "/rigs/more", &Value::Null);
    assert_eq!((status, &answer["code"]), (429, &json!("limit_reached")));
    // Who asks for the settings gets them, whether there is room or not.
    assert!(world.hall.layer_for("more", START).is_ok());
    world.ask("DELETE", "/rigs/r0", &Value::Null);
    assert_eq!(world.ask("PUT", "/rigs/api", &Value::Null).0, 200);
    for n in 0..3 {
        let convoy = beadrig::store::TownConvoy {
            id: format!("convoy-{n}"),
            title: "x".to_owned(),
            created_by: "ann".to_owned(),
            created_at: START,
            beads: vec![("api".to_owned(), "api-1".to_owned())],
        };
        world.hall.book.add_convoy(&convoy, 2).unwrap();
    }
    let left: Vec<String> =
        world.hall.book.convoys(10, 0).unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(left, ["convoy-2", "convoy-1"]);
}
