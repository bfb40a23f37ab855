//! The rig API: who may do what, and what is answered to what cannot be.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fmt::Write as _;

use beadrig::token::Caller;
use expect_test::expect;
use support::{TestRig, agent, container, operator};

fn tell(rig: &mut TestRig, caller: &Caller, calls: &[(&str, &str, &str)]) -> String {
    let mut out = String::new();
    for (method, path, body) in calls {
        let (status, answer) = rig.call(caller, method, path, body);
        let said = match answer["error"].as_str() {
            Some(error) => format!("{}: {error}", answer["code"].as_str().unwrap()),
            None => "ok".to_owned(),
        };
        let body: String = body.chars().take(60).collect();
        writeln!(out, "{method} {path} {body}\n    {status} {said}").unwrap();
    }
    out
}

#[test]
fn what_cannot_be_is_refused_with_its_name_and_what_to_do() {
    let mut rig = TestRig::new();
    let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(501));
    let large = format!(r#"{{"title":"x","body":"{}"}}"#, "x".repeat(300_000));
    let said = tell(
        &mut rig,
        &operator(),
        &[
            ("POST", "/beads", "{"),
            ("POST", "/beads", "[]"),
            ("POST", "/beads", "{}"),
            ("POST", "/beads", r#"{"title":" "}"#),
            ("POST", "/beads", r#"{"title":7}"#),
            ("POST", "/beads", r#"{"title":"x","labels":["a",7]}"#),
            ("POST", "/beads", &long),
            ("POST", "/beads", &large),
            ("POST", "/beads", r#"{"title":"x","priority":5}"#),
            ("POST", "/beads", r#"{"title":"x","priority":"urgent"}"#),
            ("POST", "/beads", r#"{"title":"x","id":"../x"}"#),
            ("POST", "/beads", r#"{"title":"x","defer_until":"tomorrow"}"#),
            ("POST", "/beads", r#"{"title":"x\ny"}"#),
            ("POST", "/beads", r#"{"title":"x","id":"demo-1","unknown":{"is":"ignored"}}"#),
            ("POST", "/beads", r#"{"title":"x","id":"demo-1"}"#),
            ("GET", "/beads/demo-9", ""),
            ("GET", "/beads/1", ""),
            ("GET", "/beads?status=done", ""),
            ("GET", "/beads?limit=-1", ""),
            ("PATCH", "/beads/demo-1", r#"{"status":"done"}"#),
            ("PATCH", "/beads/demo-1", r#"{"status":"failed"}"#),
            ("POST", "/beads/demo-1/notes", r#"{"text":" \n"}"#),
            ("POST", "/beads/demo-1/reopen", ""),
            ("POST", "/beads/demo-9/close", ""),
        ],
    );
    expect![[r#"
        POST /beads {
            400 invalid: Invalid request body: EOF while parsing an object at line 1 column 1
        POST /beads []
            400 invalid: Invalid request body: must be a JSON object
        POST /beads {}
            400 invalid: Invalid request body: missing field `title` at line 1 column 2
        POST /beads {"title":" "}
            400 invalid: title is required
        POST /beads {"title":7}
            400 invalid: Invalid request body: title: invalid type: integer `7`, expected a string at line 1 column 10
        POST /beads {"title":"x","labels":["a",7]}
            400 invalid: Invalid request body: labels[1]: invalid type: integer `7`, expected a string at line 1 column 28
        POST /beads {"title":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            400 invalid: title must be 500 characters or less (got 501)
        POST /beads {"title":"x","body":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            413 too_large: body has 300000 bytes, it may have 262144
        POST /beads {"title":"x","priority":5}
            400 invalid: priority must be 0 to 4 or one of critical, high, medium, low, backlog (got 5)
        POST /beads {"title":"x","priority":"urgent"}
            400 invalid: priority must be 0 to 4 or one of critical, high, medium, low, backlog (got "urgent")
        POST /beads {"title":"x","id":"../x"}
            400 invalid: id must be 1 to 64 letters, digits, '-', '_' and '.', and begin with a letter or digit
        POST /beads {"title":"x","defer_until":"tomorrow"}
            400 invalid: defer_until must be a time such as 2026-01-31T12:00:00Z (got "tomorrow")
        POST /beads {"title":"x\ny"}
            400 invalid: title must be one line without control characters
        POST /beads {"title":"x","id":"demo-1","unknown":{"is":"ignored"}}
            201 ok
        POST /beads {"title":"x","id":"demo-1"}
            409 already_exists: Bead demo-1 exists already
        GET /beads/demo-9 
            404 not_found: Bead demo-9 not found
        GET /beads/1 
            200 ok
        GET /beads?status=done 
            400 invalid: status "done" is not one of open, in_progress, in_review, blocked, deferred, closed, failed
        GET /beads?limit=-1 
            400 invalid: limit and offset must be non-negative integers
        PATCH /beads/demo-1 {"status":"done"}
            400 invalid: status "done" is not one of open, in_progress, in_review, blocked, deferred, closed, failed
        PATCH /beads/demo-1 {"status":"failed"}
            409 conflict: a bead that is open cannot be set to failed
        POST /beads/demo-1/notes {"text":" \n"}
            400 invalid: text is empty; write what the note shall say
        POST /beads/demo-1/reopen 
            409 conflict: demo-1 is already open
        POST /beads/demo-9/close 
            404 not_found: Bead demo-9 not found
    "#]].assert_eq(&said);
}

#[test]
fn what_is_not_there_is_refused_and_what_is_not_allowed_too() {
    let mut rig = TestRig::new();
    let said = tell(
        &mut rig,
        &operator(),
        &[
            ("POST", "/agents", r#"{"role":"king","name":"x","identity":"x"}"#),
            ("POST", "/agents", r#"{"role":"polecat","name":"x","identity":"x"}"#),
            ("POST", "/agents", r#"{"role":"polecat","name":"y","identity":"x"}"#),
            ("POST", "/agents/nobody/hook", r#"{"bead_id":"demo-1"}"#),
            ("POST", "/agents/nobody/done", ""),
            ("POST", "/agents/nobody/completed", r#"{"status":"failed","attempt":1}"#),
            ("GET", "/agents/nobody", ""),
            ("DELETE", "/beads", ""),
            ("PUT", "/beads/demo-1", ""),
            ("GET", "/nothing", ""),
            ("POST", "/heartbeats", r#"{"protocol":2,"boot_id":"b","agents":[]}"#),
        ],
    );
    expect![[r#"
        POST /agents {"role":"king","name":"x","identity":"x"}
            400 invalid: role "king" is not one of polecat, refinery, mayor, witness
        POST /agents {"role":"polecat","name":"x","identity":"x"}
            201 ok
        POST /agents {"role":"polecat","name":"y","identity":"x"}
            409 already_exists: An agent with identity x exists already
        POST /agents/nobody/hook {"bead_id":"demo-1"}
            404 not_found: Bead demo-1 not found
        POST /agents/nobody/done 
            404 not_found: Agent nobody not found
        POST /agents/nobody/completed {"status":"failed","attempt":1}
            404 not_found: Agent nobody not found
        GET /agents/nobody 
            404 not_found: Agent nobody not found
        DELETE /beads 
            405 method_not_allowed: DELETE is not allowed here, but POST, GET
        PUT /beads/demo-1 
            405 method_not_allowed: PUT is not allowed here, but GET, PATCH, DELETE
        GET /nothing 
            404 not_found: Not found
        POST /heartbeats {"protocol":2,"boot_id":"b","agents":[]}
            426 protocol: protocol 2 is not 1; roll out both parts
    "#]]
    .assert_eq(&said);
}

#[test]
fn an_agent_may_do_what_is_its_own_and_nothing_else() {
    let mut rig = TestRig::new();
    let (mine, other) = (rig.assigned("mine"), rig.assigned("other"));
    rig.schedule();
    let starts = rig.accept();
    let (me, them) = (starts[0].clone(), starts[1].clone());
    assert_eq!((&me.bead_id, &them.bead_id), (&mine, &other));
    let path = |path: &str| path.replace("ME", &me.agent_id).replace("THEM", &them.agent_id);
    let calls = [
        ("GET", "/beads".to_owned(), String::new()),
        ("GET", "/status".to_owned(), String::new()),
        ("POST", format!("/beads/{mine}/notes"), r#"{"text":"half done"}"#.to_owned()),
        ("POST", format!("/beads/{other}/notes"), r#"{"text":"half done"}"#.to_owned()),
        ("POST", format!("/beads/{other}/close"), String::new()),
        ("PATCH", format!("/beads/{mine}"), r#"{"status":"open"}"#.to_owned()),
        (
            "PATCH",
            format!("/beads/{mine}/status"),
            r#"{"status":"blocked","agent_id":"THEM"}"#.to_owned(),
        ),
        ("POST", "/beads".to_owned(), r#"{"title":"found on the way"}"#.to_owned()),
        ("POST", "/beads".to_owned(), r#"{"title":"more of me","assignee":"agent"}"#.to_owned()),
        (
            "POST",
            "/agents".to_owned(),
            r#"{"role":"polecat","name":"x","identity":"x"}"#.to_owned(),
        ),
        (
            "POST",
            "/heartbeats".to_owned(),
            r#"{"protocol":1,"boot_id":"b","agents":[]}"#.to_owned(),
        ),
        ("POST", "/agents/THEM/done".to_owned(), "{}".to_owned()),
        ("DELETE", "/agents/THEM/hook".to_owned(), String::new()),
        ("POST", "/agents/ME/checkpoint".to_owned(), r#"{"data":{"step":3}}"#.to_owned()),
        ("POST", "/agents/ME/heartbeat".to_owned(), "{}".to_owned()),
        ("POST", "/agents/ME/done".to_owned(), r#"{"summary":"did it"}"#.to_owned()),
        ("POST", "/agents/ME/done".to_owned(), r#"{"summary":"did it"}"#.to_owned()),
        ("POST", format!("/beads/{mine}/notes"), r#"{"text":"too late"}"#.to_owned()),
        ("GET", "/beads".to_owned(), String::new()),
    ]
    .map(|(method, at, body)| (method, path(&at), path(&body)));
    let calls =
        calls.each_ref().map(|(method, path, body)| (*method, path.as_str(), body.as_str()));
    let said = tell(&mut rig, &agent(&me), &calls)
        .replace(&mine, "mine")
        .replace(&other, "other")
        .replace(&me.agent_id, "ME")
        .replace(&them.agent_id, "THEM")
        .replace(&me.attempt.to_string(), "#1");
    expect![[r#"
        GET /beads 
            200 ok
        GET /status 
            200 ok
        POST /beads/mine/notes {"text":"half done"}
            201 ok
        POST /beads/other/notes {"text":"half done"}
            403 forbidden: agent ME does not hold bead other
        POST /beads/other/close 
            403 forbidden: agent ME does not hold bead other
        PATCH /beads/mine {"status":"open"}
            403 forbidden: an agent may close its bead or set it blocked, not open
        PATCH /beads/mine/status {"status":"blocked","agent_id":"THEM"}
            403 forbidden: agent_id does not match authenticated agent
        POST /beads {"title":"found on the way"}
            201 ok
        POST /beads {"title":"more of me","assignee":"agent"}
            403 forbidden: an agent may not assign work to `agent`; leave that to a person
        POST /agents {"role":"polecat","name":"x","identity":"x"}
            403 forbidden: an agent may not do this; leave it to a person
        POST /heartbeats {"protocol":1,"boot_id":"b","agents":[]}
            403 forbidden: an agent may not do this; leave it to a person
        POST /agents/THEM/done {}
            403 forbidden: Token agentId does not match route
        DELETE /agents/THEM/hook 
            403 forbidden: Token agentId does not match route
        POST /agents/ME/checkpoint {"data":{"step":3}}
            200 ok
        POST /agents/ME/heartbeat {}
            200 ok
        POST /agents/ME/done {"summary":"did it"}
            200 ok
        POST /agents/ME/done {"summary":"did it"}
            200 ok
        POST /beads/mine/notes {"text":"too late"}
            409 stale_attempt: attempt #1 of agent ME is over; stop
        GET /beads 
            409 stale_attempt: attempt #1 of agent ME is over; stop
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_stranger_from_another_rig_or_town_is_refused() {
    let mut rig = TestRig::new();
    rig.assigned("mine");
    rig.schedule();
    let mut start = rig.accept().remove(0);
    start.rig_id = "elsewhere".to_owned();
    let (status, answer) = rig.call(&agent(&start), "GET", "/beads", "");
    assert_eq!(
        (status, answer["error"].as_str().unwrap()),
        (403, "Token rigId does not match route")
    );
    let stranger = Caller::Container { town: "elsewhere".to_owned() };
    let body = r#"{"protocol":1,"boot_id":"b","agents":[]}"#;
    assert_eq!(rig.call(&stranger, "POST", "/heartbeats", body).0, 403);
    assert_eq!(rig.call(&container(), "POST", "/heartbeats", body).0, 200);
    assert_eq!(rig.call(&container(), "POST", "/beads", r#"{"title":"x"}"#).0, 403);
}

#[test]
fn gastowns_clients_find_their_shapes() {
    let mut rig = TestRig::new();
    let (status, bead) = rig.operator(
        "POST",
        "/beads",
        r#"{"type":"issue","title":"Fix it","priority":"high","labels":["b","a"]}"#,
    );
    let keys = [
        "assignee_agent_id",
        "body",
        "closed_at",
        "convoy_id",
        "created_at",
        "id",
        "labels",
        "metadata",
        "molecule_id",
        "priority",
        "status",
        "title",
        "type",
        "updated_at",
    ];
    assert_eq!(status, 201);
    assert!(keys.iter().all(|key| bead["data"].get(key).is_some()), "{bead}");
    assert_eq!(
        (&bead["data"]["priority"], &bead["data"]["labels"][0]),
        (&"high".into(), &"a".into())
    );
    let id = bead["data"]["id"].as_str().unwrap().to_owned();
    let (status, made) = rig.operator("POST", "/agents/get-or-create", r#"{"role":"polecat"}"#);
    assert_eq!((status, made["data"]["status"].as_str().unwrap()), (200, "idle"));
    let who = made["data"]["id"].as_str().unwrap().to_owned();
    let said = tell(
        &mut rig,
        &operator(),
        &[("POST", &format!("/agents/{who}/hook"), &format!(r#"{{"bead_id":"{id}"}}"#))],
    );
    assert!(said.ends_with("200 ok\n"), "{said}");
    let hooked = rig.operator("GET", &format!("/agents/{who}"), "").1;
    assert_eq!(hooked["data"]["current_hook_bead_id"], id.as_str());
    // Hooked and not yet accepted by the container: idle, as their tests have it.
    assert_eq!(hooked["data"]["status"], "idle");
    let body = format!(r#"{{"status":"closed","agent_id":"{who}"}}"#);
    let closed = rig.operator("PATCH", &format!("/beads/{id}/status"), &body).1;
    assert_eq!(closed["data"]["status"], "closed");
    let at = closed["data"]["closed_at"].clone();
    rig.pass(5);
    let again = rig
        .operator("POST", &format!("/beads/{id}/close"), &format!(r#"{{"agent_id":"{who}"}}"#))
        .1;
    assert_eq!(again["data"]["closed_at"], at, "a second close changes nothing");
}

#[test]
fn the_health_of_a_rig_makes_sure_that_it_wakes() {
    let mut rig = TestRig::new();
    rig.assigned("mine");
    rig.wake = None;
    assert_eq!(rig.operator("GET", "/health", "").0, 200);
    assert!(rig.wake.is_some());
}
