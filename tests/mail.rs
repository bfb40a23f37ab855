//! Messages to agents: delivered at least once, bounded, and from whoever may send them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::limits;
use beadrig::store::{Sql, Store};
use beadrig::token::Caller;
use beadrig::wire::container::StartAgent;
use expect_test::expect;
use serde_json::json;
use support::{TestRig, TestSql, agent, container, operator};

/// A rig in which two agents work.
fn two_at_work() -> (TestRig, StartAgent, StartAgent) {
    let mut rig = TestRig::new();
    rig.assigned("mine");
    rig.assigned("other");
    rig.schedule();
    let mut starts = rig.accept();
    let them = starts.remove(1);
    (rig, starts.remove(0), them)
}

fn send(
    rig: &mut TestRig,
    by: &Caller,
    from: &str,
    to: &str,
    subject: &str,
) -> (u16, serde_json::Value) {
    let body = json!({"from_agent_id": from, "to_agent_id": to, "subject": subject, "body": "b"});
    rig.call(by, "POST", "/mail", &body.to_string())
}

/// The subjects of an agent's mail, with a star for what was delivered before.
fn read(rig: &mut TestRig, start: &StartAgent, query: &str) -> String {
    let path = format!("/agents/{}/mail{query}", start.agent_id);
    let (status, answer) = rig.call(&agent(start), "GET", &path, "");
    assert_eq!(status, 200, "{answer}");
    let star = |it: &serde_json::Value| if it["delivered"] == true { "*" } else { "" };
    let all = answer["data"].as_array().unwrap();
    let subjects = all.iter().map(|it| format!("{}{}", it["subject"].as_str().unwrap(), star(it)));
    subjects.collect::<Vec<_>>().join(" ")
}

/// Incident 42 and traps 2 and 3: mail of a sender who is no row among the agents was a foreign key error, which
/// ended the whole alarm.
#[test]
fn incident_42_traps_2_and_3_the_witness_the_mayor_and_the_operator_send_without_being_agents() {
    let (mut rig, me, them) = two_at_work();
    for from in ["witness", "mayor", "operator", &them.agent_id] {
        let (status, answer) = send(&mut rig, &operator(), from, &me.agent_id, from);
        assert_eq!(status, 201, "{answer}");
        assert_eq!(answer["data"]["sent"], true);
        assert!(answer["data"]["id"].is_string());
    }
    assert_eq!(read(&mut rig, &me, ""), format!("witness mayor operator {}", them.agent_id));
    // And the sender may go, with nothing else broken.
    assert_eq!(rig.operator("DELETE", &format!("/agents/{}", them.agent_id), "").0, 200);
    assert!(read(&mut rig, &me, "?include_delivered=true").starts_with("witness* mayor*"));
}

#[test]
fn what_an_old_client_reads_is_delivered_and_can_still_be_read_when_its_answer_was_lost() {
    let (mut rig, me, them) = two_at_work();
    for subject in ["one", "two"] {
        assert_eq!(send(&mut rig, &agent(&them), &them.agent_id, &me.agent_id, subject).0, 201);
    }
    assert_eq!(read(&mut rig, &me, ""), "one two");
    assert_eq!(read(&mut rig, &me, ""), "");
    send(&mut rig, &operator(), "operator", &me.agent_id, "three");
    assert_eq!(read(&mut rig, &me, "?include_delivered=true&peek=true"), "one* two* three");
    assert_eq!(read(&mut rig, &me, ""), "three");
    assert_eq!(read(&mut rig, &me, "?include_delivered=true"), "one* two* three*");
}

#[test]
fn who_acknowledges_gets_each_mail_until_it_has_said_so() {
    let (mut rig, me, them) = two_at_work();
    for subject in ["one", "two"] {
        send(&mut rig, &operator(), "operator", &me.agent_id, subject);
    }
    for query in ["?ack=explicit", "?peek=true", "?ack=explicit"] {
        assert_eq!(read(&mut rig, &me, query), "one two");
    }
    let path = format!("/agents/{}/mail", me.agent_id);
    let first = rig.call(&agent(&me), "GET", &format!("{path}?peek=true"), "").1;
    let id = first["data"][0]["id"].clone();
    let ack = json!({"ids": [id]}).to_string();
    for count in [1, 0] {
        let (status, answer) = rig.call(&agent(&me), "POST", &format!("{path}/ack"), &ack);
        assert_eq!((status, &answer["data"]), (200, &json!({"acknowledged": count})));
    }
    assert_eq!(read(&mut rig, &me, "?ack=explicit"), "two");
    // Another's mail is not to be had by its number.
    let path = format!("/agents/{}/mail/ack", them.agent_id);
    let (_, answer) = rig.call(&agent(&them), "POST", &path, &ack);
    assert_eq!(answer["data"], json!({"acknowledged": 0}));
    let (status, answer) = rig.call(&agent(&them), "POST", &path, r#"{"ids":["x"]}"#);
    assert_eq!((status, answer["error"].as_str().unwrap()), (400, r#"ids "x" is no mail's id"#));
}

#[test]
fn mail_that_cannot_be_sent_is_refused_with_the_reason() {
    let (mut rig, me, them) = two_at_work();
    let (mine, theirs) = (me.agent_id.clone(), them.agent_id.clone());
    rig.operator("POST", "/agents", r#"{"role":"mayor","name":"x","identity":"x"}"#);
    let mayor = rig.operator("GET", "/agents?role=mayor", "").1["data"][0]["id"].clone();
    let mayor = mayor.as_str().unwrap().to_owned();
    rig.operator("PATCH", &format!("/agents/{mayor}/status"), r#"{"status":"dead"}"#);
    let long = "x".repeat(limits::MAIL_BYTES_MAX + 1);
    let calls = [
        (
            agent(&me),
            json!({"from_agent_id": theirs, "to_agent_id": theirs, "subject": "s", "body": "b"}),
        ),
        (
            agent(&me),
            json!({"from_agent_id": "witness", "to_agent_id": theirs, "subject": "s", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "nobody", "to_agent_id": theirs, "subject": "s", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": "nobody", "subject": "s", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": "witness", "subject": "s", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": mayor, "subject": "s", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": " ", "to_agent_id": mine, "subject": "s", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": "", "subject": "s", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": mine, "subject": " ", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": mine, "subject": "s\nt", "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": mine, "subject": "x".repeat(201), "body": "b"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": mine, "subject": "s", "body": "\n"}),
        ),
        (
            operator(),
            json!({"from_agent_id": "mayor", "to_agent_id": mine, "subject": "s", "body": long}),
        ),
        (
            container(),
            json!({"from_agent_id": "mayor", "to_agent_id": mine, "subject": "s", "body": "b"}),
        ),
    ];
    let said: Vec<String> = calls
        .iter()
        .map(|(by, body)| {
            let (status, answer) = rig.call(by, "POST", "/mail", &body.to_string());
            let (code, error) =
                (answer["code"].as_str().unwrap(), answer["error"].as_str().unwrap());
            format!("{status} {code}: {error}").replace(&mayor, "MAYOR")
        })
        .collect();
    expect![[r#"
        403 forbidden: from_agent_id does not match authenticated agent
        403 forbidden: from_agent_id does not match authenticated agent
        404 not_found: Agent nobody not found
        404 not_found: Agent nobody not found
        404 not_found: Agent witness not found
        409 conflict: Agent MAYOR is dead and reads no mail; write to another
        400 invalid: from_agent_id is required
        400 invalid: to_agent_id is required
        400 invalid: subject is required
        400 invalid: subject must be one line without control characters
        400 invalid: subject must be 200 characters or less (got 201)
        400 invalid: body is required
        413 too_large: body has 16385 bytes, it may have 16384
        403 forbidden: the container may only report on its runs"#]]
    .assert_eq(&said.join("\n"));
    assert_eq!(read(&mut rig, &me, ""), "");
}

#[test]
fn a_box_holds_so_many_and_no_more() {
    let (mut rig, me, _) = two_at_work();
    for n in 0..limits::MAIL_PER_AGENT_MAX {
        assert_eq!(send(&mut rig, &operator(), "operator", &me.agent_id, &n.to_string()).0, 201);
    }
    let (status, answer) = send(&mut rig, &operator(), "operator", &me.agent_id, "more");
    assert_eq!((status, &answer["code"]), (429, &json!("limit_reached")));
    expect!["Agent WHO has 100 mails that it has not read, which is as many as may wait; write again when it has read some"].assert_eq(&answer["error"].as_str().unwrap().replace(&me.agent_id, "WHO"));
    read(&mut rig, &me, "");
    assert_eq!(send(&mut rig, &operator(), "operator", &me.agent_id, "more").0, 201);
}

#[test]
fn delivered_mail_is_forgotten_after_a_month_or_when_there_is_too_much() {
    let (mut rig, me, _) = two_at_work();
    let path = format!("/agents/{}/mail", me.agent_id);
    let count = |rig: &mut TestRig| {
        let (status, answer) =
            rig.operator("GET", &format!("{path}?include_delivered=true&peek=true"), "");
        assert_eq!(status, 200);
        answer["data"].as_array().unwrap().len()
    };
    for n in 0..3 * limits::MAIL_DELIVERED_KEPT {
        send(&mut rig, &operator(), "operator", &me.agent_id, &n.to_string());
        assert_eq!(rig.operator("GET", &path, "").0, 200);
    }
    let kept = usize::try_from(limits::MAIL_DELIVERED_KEPT).unwrap();
    assert_eq!(count(&mut rig), kept);
    // What nobody has read is kept however old it is, and when it is read it is not gone at once.
    send(&mut rig, &operator(), "operator", &me.agent_id, "late");
    rig.pass(limits::MAIL_KEEP_MS + 1);
    assert_eq!(count(&mut rig), kept + 1);
    assert_eq!(rig.operator("GET", &path, "").1["data"][0]["subject"], "late");
    assert_eq!(count(&mut rig), 1);
    // A number never comes twice, so that what is acknowledged late is not another mail.
    let (_, one) = send(&mut rig, &operator(), "operator", &me.agent_id, "next");
    let (_, two) = send(&mut rig, &operator(), "operator", &me.agent_id, "next");
    assert!(one["data"]["id"].as_str() < two["data"]["id"].as_str());
}

#[test]
fn a_box_is_its_agents_and_costs_what_is_in_it() {
    let (mut rig, me, them) = two_at_work();
    let theirs = format!("/agents/{}/mail", them.agent_id);
    for (method, path, body) in
        [("GET", theirs.clone(), ""), ("POST", format!("{theirs}/ack"), r#"{"ids":["1"]}"#)]
    {
        for caller in [agent(&me), container()] {
            assert_eq!(rig.call(&caller, method, &path, body).0, 403, "{method} {path}");
        }
    }
    assert_eq!(rig.operator("GET", "/agents/nobody/mail", "").0, 404);
    send(&mut rig, &operator(), "operator", &me.agent_id, "one");
    rig.engine.store.sql().asked.borrow_mut().clear();
    send(&mut rig, &operator(), "operator", &me.agent_id, "two");
    read(&mut rig, &me, "");
    let store = rig.engine.store.sql();
    let mut plan: Vec<String> = store
        .asked
        .take()
        .iter()
        .filter(|sql| sql.contains("mail"))
        .flat_map(|sql| store.plan(sql))
        .collect();
    plan.sort();
    plan.dedup();
    expect![[r#"
        LIST SUBQUERY 1
        SCALAR SUBQUERY 1
        SCALAR SUBQUERY 2
        SCAN CONSTANT ROW
        SCAN json_each VIRTUAL TABLE INDEX 1:
        SEARCH mail USING PRIMARY KEY (to_agent=? AND delivered=? AND n=?)
        SEARCH mail USING PRIMARY KEY (to_agent=? AND delivered=?)"#]]
    .assert_eq(&plan.join("\n"));
}

/// A rig that is older than mail keeps its agents, and they get mail.
#[test]
fn a_rig_from_before_there_was_mail_is_brought_up_to_date_with_its_agents() {
    let sql = TestSql::new();
    sql.script("CREATE TABLE migration (version INTEGER NOT NULL PRIMARY KEY) STRICT").unwrap();
    sql.script(include_str!("../migrations/0001_init.sql")).unwrap();
    sql.script(
        "INSERT INTO migration VALUES (1);
         INSERT INTO agent VALUES ('polecat-1', 'polecat', 'Toast', 'polecat/Toast', 1);",
    )
    .unwrap();
    let store = Store::open(sql).unwrap();
    assert_eq!(store.member("polecat-1").unwrap().unwrap().status(), "idle");
    assert_eq!(store.mail_waiting("polecat-1").unwrap(), 0);
}
