//! Towns and rigs: what a directory takes and says, what it wants of the rigs, and what becomes of a rig that is deleted.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fmt::Write as _;

use beadrig::command::Moment;
use beadrig::directory::{Directory, Request, Said, Todo, handle, user};
use beadrig::limits;
use beadrig::store::{Registry, Town, TownRig};
use beadrig::token::Caller;
use expect_test::expect;
use serde_json::{Value, json};
use support::{START, TestSql, container, operator};

struct Book {
    directory: Directory<TestSql>,
    seed: u64,
}

impl Book {
    fn new() -> Self {
        let registry = Registry::open(TestSql::new()).unwrap();
        Self { directory: Directory { registry, user: "ann".to_owned() }, seed: 0 }
    }

    fn todo(&mut self, caller: Caller, method: &str, path: &str, body: &str) -> Todo {
        self.seed += 1;
        let moment = Moment { now: START.plus(self.seed.cast_signed()), seed: self.seed };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let body = body.as_bytes();
        let request = Request { method, path, query, body, caller, if_none_match: None };
        handle(&self.directory, moment, &request)
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        match self.todo(operator(), method, path, body) {
            Todo::Answer(response) => {
                assert_eq!(response.fault, None);
                (response.status, serde_json::from_str(&response.body).unwrap())
            }
            todo => panic!("{method} {path}: {todo:?}"),
        }
    }

    fn town(&mut self, name: &str) -> String {
        let (status, answer) = self.ask("POST", "/towns", &json!({ "name": name }).to_string());
        assert_eq!(status, 201, "{answer}");
        answer["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a rig, of which this is what it says to its registration.
    fn rig(&mut self, fields: &Value, said: &Said) -> (u16, Value, bool) {
        match self.todo(operator(), "POST", "/rigs", &fields.to_string()) {
            Todo::Answer(it) => (it.status, serde_json::from_str(&it.body).unwrap(), false),
            Todo::Register { rig, new } => {
                let (it, undo) = self.directory.registered(&rig, new, said).unwrap();
                (it.status, serde_json::from_str(&it.body).unwrap(), undo)
            }
            todo => panic!("{todo:?}"),
        }
    }

    fn rigs(&self, town: &str) -> Vec<TownRig> {
        self.directory.registry.rigs(town).unwrap()
    }

    fn end_town(&mut self, id: &str) -> (Town, Vec<TownRig>) {
        match self.todo(operator(), "DELETE", &format!("/towns/{id}"), "") {
            Todo::EndTown(town, rigs) => (town, rigs),
            todo => panic!("{todo:?}"),
        }
    }
}

fn nothing() -> Said {
    Said::Nothing("the rig did not answer within 5000 ms".to_owned())
}

#[test]
fn towns_are_made_shown_and_deleted() {
    let mut book = Book::new();
    let (status, made) = book.ask("POST", "/towns", r#"{"name":" Home "}"#);
    assert_eq!(status, 201);
    expect![[r#"
        {
          "data": {
            "created_at": "2026-01-01T00:00:00.001Z",
            "id": "910a2dec-8902-4cc1-beeb-8da1658eec67",
            "name": "Home",
            "owner_user_id": "ann",
            "updated_at": "2026-01-01T00:00:00.001Z"
          },
          "success": true
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&made).unwrap());
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(book.ask("GET", &format!("/towns/{id}"), "").1["data"], made["data"]);
    let local = book.ask("POST", "/towns", r#"{"name":"Here","id":"local"}"#).1["data"].take();
    assert_eq!(book.ask("GET", "/towns", "").1["data"], json!([made["data"], local]));
    assert_eq!(book.ask("GET", "/towns/local/rigs", "").1["data"], json!([]));
    let (town, rigs) = book.end_town(&id);
    assert_eq!(rigs, []);
    let gone = book.directory.town_ended(&town, &[], &Said::Done).unwrap();
    assert_eq!((gone.status, &*gone.body), (200, r#"{"success":true,"data":{"deleted":true}}"#));
    assert_eq!(book.ask("GET", "/towns", "").1["data"], json!([local]));
}

#[test]
fn what_is_refused_and_how() {
    let mut book = Book::new();
    book.ask("POST", "/towns", r#"{"name":"Here","id":"local"}"#);
    let long = json!({"name": "x".repeat(65)}).to_string();
    let mut said = String::new();
    for (method, path, body) in [
        ("POST", "/towns", ""),
        ("POST", "/towns", "{}"),
        ("POST", "/towns", r#"{"name":" "}"#),
        ("POST", "/towns", &long),
        ("POST", "/towns", r#"{"name":"x","id":"a/b"}"#),
        ("POST", "/towns", r#"{"name":"x","id":"local"}"#),
        ("GET", "/towns/none", ""),
        ("DELETE", "/towns/none", ""),
        ("GET", "/towns/none/rigs", ""),
        ("GET", "/towns/none/events", ""),
        ("GET", "/towns/local/events?since=soon", ""),
        ("GET", "/towns/local/events?limit=x", ""),
        ("GET", "/rigs/none", ""),
        ("DELETE", "/rigs/none", ""),
        ("POST", "/rigs", r#"{"name":"x"}"#),
        ("POST", "/rigs", r#"{"town_id":"none","name":"x"}"#),
        ("POST", "/rigs", r#"{"town_id":"local","name":""}"#),
        ("POST", "/rigs", r#"{"town_id":"local","name":"x","git_url":"ftp://x"}"#),
        ("POST", "/rigs", r#"{"town_id":"local","name":"x","default_branch":"-x"}"#),
        ("GET", "/nothing", ""),
        ("GET", "/towns/", ""),
        ("PUT", "/towns", ""),
        ("GET", "/rigs", ""),
    ] {
        let (status, answer) = book.ask(method, path, body);
        let (code, error) = (answer["code"].as_str().unwrap(), answer["error"].as_str().unwrap());
        let body: String = body.chars().take(50).collect();
        writeln!(said, "{method} {path} {body}\n    {status} {code} {error}").unwrap();
    }
    expect![[r#"
        POST /towns 
            400 invalid Invalid request body: must be a JSON object
        POST /towns {}
            400 invalid Invalid request body: missing field `name` at line 1 column 2
        POST /towns {"name":" "}
            400 invalid name must be 1 to 64 characters on one line (got 0)
        POST /towns {"name":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            400 invalid name must be 1 to 64 characters on one line (got 65)
        POST /towns {"name":"x","id":"a/b"}
            400 invalid id must be 1 to 64 letters, digits, '-' and '_'
        POST /towns {"name":"x","id":"local"}
            409 already_exists Town local is in this directory already
        GET /towns/none 
            404 not_found Town not found
        DELETE /towns/none 
            404 not_found Town not found
        GET /towns/none/rigs 
            404 not_found Town not found
        GET /towns/none/events 
            404 not_found Town not found
        GET /towns/local/events?since=soon 
            400 invalid since must be RFC 3339, such as 2026-01-31T12:00:00Z (got "soon")
        GET /towns/local/events?limit=x 
            400 invalid limit must be a non-negative integer
        GET /rigs/none 
            404 not_found Rig not found
        DELETE /rigs/none 
            404 not_found Rig not found
        POST /rigs {"name":"x"}
            400 invalid Invalid request body: missing field `town_id` at line 1 column 12
        POST /rigs {"town_id":"none","name":"x"}
            404 not_found Town not found
        POST /rigs {"town_id":"local","name":""}
            400 invalid name must be 1 to 64 characters on one line (got 0)
        POST /rigs {"town_id":"local","name":"x","git_url":"ftp://x"}
            400 invalid git_url must be https://host/path, ssh://host/path, user@host:path, file:///path or /path, without blanks and at most 1024 bytes
        POST /rigs {"town_id":"local","name":"x","default_branch":"-x
            400 invalid default_branch "-x" is no branch that git takes, such as main or gt/toast/x1 (at most 250 bytes)
        GET /nothing 
            404 not_found Not found
        GET /towns/ 
            404 not_found Town not found
        PUT /towns 
            405 method_not_allowed PUT is not allowed here, but POST, GET
        GET /rigs 
            405 method_not_allowed GET is not allowed here, but POST
    "#]].assert_eq(&said);
    let Todo::Answer(put) = book.todo(operator(), "PUT", "/towns", "") else { panic!() };
    assert_eq!(put.headers, [("allow", "POST, GET, HEAD".to_owned())]);
    let Todo::Answer(no) = book.todo(container(), "GET", "/towns", "") else { panic!() };
    assert_eq!(no.status, 403);
}

#[test]
fn a_user_has_any_visible_name() {
    assert_eq!(user("oauth%2Fgoogle%3A1").unwrap(), "oauth/google:1");
    for none in ["", "a%20b", "%C3%BC", &"x".repeat(129)] {
        assert_eq!(user(none).unwrap_err().code.status(), 400, "{none}");
    }
}

#[test]
fn a_rig_is_there_when_it_was_registered() {
    let mut book = Book::new();
    let town = book.town("Home");
    let fields = json!({"town_id": town, "name": "app", "git_url": "git@example.org:o/r.git"});
    let (status, made, undo) = book.rig(&fields, &Said::Done);
    assert_eq!((status, undo), (201, false));
    let data = &made["data"];
    let shown = json!({"id": data["id"], "town_id": town, "name": "app", "default_branch": "main",
        "git_url": "git@example.org:o/r.git", "created_at": data["created_at"], "updated_at": data["created_at"]});
    assert_eq!(*data, shown);
    let path = format!("/rigs/{}", data["id"].as_str().unwrap());
    assert_eq!(book.ask("GET", &path, "").1["data"], *data);
    assert_eq!(book.ask("GET", &format!("/towns/{town}/rigs"), "").1["data"], json!([data]));
    let registration = book.directory.registration(&book.rigs(&town)[0]);
    assert_eq!((registration.user_id, registration.town_id), ("ann".to_owned(), town));
}

#[test]
fn a_rig_that_cannot_be_configured_leaves_no_row() {
    let mut book = Book::new();
    let town = book.town("Home");
    let new = json!({"town_id": town, "name": "app"});
    let known = json!({"town_id": town, "name": "app", "id": "demo"});
    let busy = Said::Refused(409, "Rig demo is in the directory of user bob".to_owned());
    // A rig that was there before is not ended for a lost answer.
    for (fields, said, status, undo) in [
        (&new, nothing(), 503, true),
        (&known, nothing(), 503, false),
        (&known, busy, 409, false),
        (&new, Said::Refused(400, "no".to_owned()), 503, false),
    ] {
        let (got, answer, undone) = book.rig(fields, &said);
        assert_eq!((got, undone), (status, undo), "{answer}");
        assert_eq!(book.rigs(&town), []);
    }
    let (_, answer, _) = book.rig(&new, &nothing());
    let error = "Failed to configure rig: the rig did not answer within 5000 ms; nothing was kept, ask again";
    assert_eq!(answer["error"], error);
}

#[test]
fn a_rig_that_is_deleted_while_it_is_made_is_ended() {
    let mut book = Book::new();
    let town = book.town("Home");
    let body = json!({"town_id": town, "name": "app"}).to_string();
    let Todo::Register { rig, new } = book.todo(operator(), "POST", "/rigs", &body) else {
        panic!()
    };
    assert_eq!(book.directory.rig_ended(&rig, &Said::Done).unwrap().status, 200);
    let (response, undo) = book.directory.registered(&rig, new, &Said::Done).unwrap();
    assert_eq!((response.status, undo), (404, true));
}

#[test]
fn a_rig_that_does_not_answer_stays_in_the_list_until_it_is_gone() {
    let mut book = Book::new();
    let town = book.town("Home");
    for id in ["one", "two"] {
        let fields = json!({"town_id": town, "name": id, "id": id});
        assert_eq!(book.rig(&fields, &Said::Done).0, 201);
    }
    let Todo::EndRig(one) = book.todo(operator(), "DELETE", "/rigs/one", "") else { panic!() };
    let response = book.directory.rig_ended(&one, &nothing()).unwrap();
    assert_eq!(response.status, 503);
    assert!(response.body.contains("Rig one was not deleted: the rig did not answer"));
    assert_eq!(book.rigs(&town).len(), 2);

    let (ended, rigs) = book.end_town(&town);
    let said: Vec<_> = rigs.into_iter().zip([Said::Done, nothing()]).collect();
    let response = book.directory.town_ended(&ended, &said, &Said::Done).unwrap();
    assert_eq!(response.status, 503);
    assert!(response.body.contains("these rigs are left: two (the rig did not answer"));
    assert_eq!(book.rigs(&town).len(), 1);
    let (ended, rigs) = book.end_town(&town);
    let said: Vec<_> = rigs.into_iter().map(|it| (it, Said::Done)).collect();
    // What is set for the town, secrets among it, must go first.
    let response = book.directory.town_ended(&ended, &said, &nothing()).unwrap();
    assert_eq!(response.status, 503);
    assert_eq!(book.ask("GET", "/towns", "").1["data"].as_array().unwrap().len(), 1);
    let response = book.directory.town_ended(&ended, &said, &Said::Done).unwrap();
    assert_eq!((response.status, book.ask("GET", "/towns", "").1["data"].take()), (200, json!([])));
}

#[test]
fn there_are_so_many_towns_and_rigs_and_no_more() {
    let mut book = Book::new();
    let town = book.town("first");
    for n in 0..limits::RIGS_PER_TOWN_MAX {
        assert_eq!(book.rig(&json!({"town_id": town, "name": n.to_string()}), &Said::Done).0, 201);
    }
    let (status, answer, _) = book.rig(&json!({"town_id": town, "name": "more"}), &Said::Done);
    assert_eq!((status, &answer["code"]), (429, &"limit_reached".into()));
    for n in 1..limits::TOWNS_PER_USER_MAX {
        book.town(&n.to_string());
    }
    let (status, answer) = book.ask("POST", "/towns", r#"{"name":"more"}"#);
    assert_eq!((status, &answer["code"]), (429, &"limit_reached".into()));
}

#[test]
fn the_events_of_a_town_are_those_of_its_rigs_by_time() {
    let mut book = Book::new();
    let town = book.town("Home");
    for id in ["one", "two", "dead"] {
        book.rig(&json!({"town_id": town, "name": id.to_uppercase(), "id": id}), &Said::Done);
    }
    let path = format!("/towns/{town}/events?limit=3&since=2026-01-01T00:00:00Z");
    let Todo::Events(rigs, asked) = book.todo(operator(), "GET", &path, "") else { panic!() };
    assert_eq!(asked.path(), "/events?limit=3&since=2026-01-01T00:00:00.000Z");
    let page = |times: &[&str]| {
        let events = times.iter().enumerate().map(|(n, at)| {
            json!({"seq": n, "id": n.to_string(), "bead_id": "b", "agent_id": null, "actor": "ann", "event_type": "created",
                "old_value": null, "new_value": null, "metadata": {}, "created_at": at})
        });
        Ok(json!({"success": true, "data": events.collect::<Vec<_>>()}).to_string().into_bytes())
    };
    let mut merged = beadrig::directory::Merged::new(&asked);
    merged.add(&rigs[1], page(&["2026-01-01T00:00:02.000Z", "2026-01-01T00:00:04.000Z"]));
    let gone = json!({"success": false, "code": "not_found", "error": "Rig dead was deleted"});
    merged.add(&rigs[2], Ok(gone.to_string().into_bytes()));
    merged.add(&rigs[0], page(&["2026-01-01T00:00:01.000Z", "2026-01-01T00:00:03.000Z"]));
    let answer: Value = serde_json::from_str(&merged.answer().body).unwrap();
    let seen: Vec<String> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["rig_name"].as_str().unwrap(), it["created_at"]))
        .collect();
    expect![[r#"
        ONE "2026-01-01T00:00:01.000Z"
        TWO "2026-01-01T00:00:02.000Z"
        ONE "2026-01-01T00:00:03.000Z""#]]
    .assert_eq(&seen.join("\n"));
    let missing = json!([{"rig_id": "dead", "rig_name": "DEAD", "error": "Rig dead was deleted"}]);
    assert_eq!(answer["missing"], missing);
}

#[test]
fn what_is_asked_by_name_walks_through_no_table() {
    let mut book = Book::new();
    let town = book.town("Home");
    book.rig(&json!({"town_id": town, "name": "app", "id": "app"}), &Said::Done);
    let sql = book.directory.registry.sql();
    sql.asked.borrow_mut().clear();
    book.ask("GET", "/rigs/app", "");
    book.ask("GET", &format!("/towns/{town}/rigs"), "");
    book.end_town(&town);
    let sql = book.directory.registry.sql();
    let asked = sql.asked.take();
    assert!(asked.len() > 4, "{asked:?}");
    let walks = asked.iter().flat_map(|it| sql.plan(it)).filter(|it| it.contains("SCAN"));
    assert_eq!(walks.collect::<Vec<_>>(), [""; 0]);
}
