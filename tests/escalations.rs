//! Escalations: one a cause, louder on a schedule that ends, and quiet when somebody has seen them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::limits;
use beadrig::settings::Settings;
use expect_test::expect;
use serde_json::{Value, json};
use support::{TestRig, agent, container};

const HOUR: i64 = 3_600_000;

fn escalate(rig: &mut TestRig, body: Value) -> (u16, Value) {
    let (status, answer) = rig.operator("POST", "/escalations", &body.to_string());
    (status, answer["data"].clone())
}

/// What each escalation says of itself, the newest first.
fn list(rig: &mut TestRig, query: &str) -> String {
    let (status, answer) = rig.operator("GET", &format!("/escalations{query}"), "");
    assert_eq!(status, 200, "{answer}");
    let all = answer["data"].as_array().unwrap();
    let lines = all.iter().map(|it| {
        format!(
            "{} {} priority={} count={} bumps={}{}\n",
            it["title"].as_str().unwrap(),
            it["severity"].as_str().unwrap(),
            it["priority"].as_str().unwrap(),
            it["count"],
            it["re_escalation_count"],
            if it["acknowledged"] == true { " acknowledged" } else { "" },
        )
    });
    lines.collect()
}

fn acknowledge(rig: &mut TestRig, id: &Value) -> u16 {
    rig.operator("POST", &format!("/escalations/{}/acknowledge", id.as_str().unwrap()), "").0
}

/// Incident 65: three bumps in nine minutes.
#[test]
fn incident_65_an_escalation_is_bumped_every_four_hours_and_three_times_at_most() {
    let mut rig = TestRig::new();
    let (status, made) = escalate(&mut rig, json!({"title": "help", "severity": "low"}));
    assert_eq!((status, &made["type"]), (201, &json!("escalation")));
    let mut story = String::new();
    for minutes in [0, 239, 240, 241, 300, 479, 480, 720, 721, 960, 5_000] {
        rig.now = support::START.plus(minutes * 60_000);
        for _ in 0..3 {
            rig.schedule();
        }
        story.push_str(&format!("{minutes} min: {}", list(&mut rig, "")));
    }
    expect![[r#"
        0 min: help low priority=low count=1 bumps=0
        239 min: help low priority=low count=1 bumps=0
        240 min: help medium priority=medium count=1 bumps=1
        241 min: help medium priority=medium count=1 bumps=1
        300 min: help medium priority=medium count=1 bumps=1
        479 min: help medium priority=medium count=1 bumps=1
        480 min: help high priority=high count=1 bumps=2
        720 min: help critical priority=critical count=1 bumps=3
        721 min: help critical priority=critical count=1 bumps=3
        960 min: help critical priority=critical count=1 bumps=3
        5000 min: help critical priority=critical count=1 bumps=3
    "#]]
    .assert_eq(&story);
    expect![[r#"
        witness: nobody acknowledged this for 4 h: severity medium (bump 1 of 3)
        witness: nobody acknowledged this for 8 h: severity high (bump 2 of 3)
        witness: nobody acknowledged this for 12 h: severity critical (bump 3 of 3)
    "#]]
    .assert_eq(&rig.notes(made["id"].as_str().unwrap()));
    let events = rig.engine.store.events_of(made["id"].as_str().unwrap()).unwrap();
    assert_eq!(events.iter().filter(|it| it.event == "escalated").count(), 3);
}

#[test]
fn a_rig_that_slept_through_several_bumps_gives_one() {
    let mut rig = TestRig::new();
    escalate(&mut rig, json!({"title": "help"}));
    rig.pass(13 * HOUR);
    for _ in 0..20 {
        rig.schedule();
        rig.pass(30_000);
    }
    assert_eq!(list(&mut rig, ""), "help high priority=high count=1 bumps=1\n");
}

/// Incident 64: escalations came again after all of them were closed.
#[test]
fn incident_64_what_is_closed_or_acknowledged_never_escalates_again() {
    let mut rig = TestRig::new();
    let (_, closed) = escalate(&mut rig, json!({"title": "closed"}));
    let (_, seen) = escalate(&mut rig, json!({"title": "seen"}));
    rig.operator("POST", &format!("/beads/{}/close", closed["id"].as_str().unwrap()), "");
    assert_eq!(
        list(&mut rig, "?acknowledged=false"),
        "seen medium priority=medium count=1 bumps=0\n"
    );
    assert_eq!(
        (acknowledge(&mut rig, &seen["id"]), acknowledge(&mut rig, &seen["id"])),
        (200, 200)
    );
    for _ in 0..10 {
        rig.pass(5 * HOUR);
        rig.schedule();
    }
    expect![[r#"
        seen medium priority=medium count=1 bumps=0 acknowledged
        closed medium priority=medium count=1 bumps=0
    "#]]
    .assert_eq(&list(&mut rig, ""));
    assert_eq!(list(&mut rig, "?acknowledged=false"), "");
    assert_eq!(list(&mut rig, "?acknowledged=true").lines().count(), 1);
    assert_eq!(rig.operator("GET", "/escalations?acknowledged=x", "").0, 400);
    // Nothing is left to wake for.
    let idle = rig.now.plus(rig.engine.settings.idle_alarm_ms);
    assert_eq!(rig.engine.next_wake(rig.now).unwrap(), Some(idle));
}

#[test]
fn one_cause_has_one_open_escalation_which_counts() {
    let mut rig = TestRig::new();
    let disk =
        |severity: &str| json!({"title": "disk full", "cause": "disk", "severity": severity});
    let (status, first) = escalate(&mut rig, disk("low"));
    assert_eq!((status, &first["count"]), (201, &json!(1)));
    let (status, again) = escalate(&mut rig, disk("high"));
    assert_eq!((status, &again["id"], &again["count"]), (200, &first["id"], &json!(2)));
    assert_eq!((&again["severity"], &again["priority"]), (&json!("high"), &json!("high")));
    assert_eq!(escalate(&mut rig, json!({"title": "other", "cause": "net"})).0, 201);
    assert_eq!(escalate(&mut rig, json!({"title": "no cause"})).0, 201);
    assert_eq!(escalate(&mut rig, json!({"title": "no cause"})).0, 201);
    // Acknowledged it is still the one; closed it is over, and what comes then is new.
    acknowledge(&mut rig, &first["id"]);
    assert_eq!(escalate(&mut rig, disk("low")).0, 200);
    rig.operator("POST", &format!("/beads/{}/close", first["id"].as_str().unwrap()), "");
    let (status, new) = escalate(&mut rig, disk("low"));
    assert_eq!(status, 201);
    assert_ne!(new["id"], first["id"]);
}

#[test]
fn an_escalation_has_the_priority_of_its_severity_and_tells_where_it_comes_from() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("mine");
    rig.schedule();
    let start = rig.accept().remove(0);
    let body = r#"{"title":"stuck","body":"no network","severity":"critical"}"#;
    let (status, answer) = rig.call(&agent(&start), "POST", "/escalations", body);
    let made = &answer["data"];
    assert_eq!((status, &made["priority"]), (201, &json!("critical")));
    assert_eq!(
        (&made["metadata"]["source_bead_id"], &made["created_by"]),
        (&json!(bead), &json!(start.agent_id))
    );
    assert_eq!(made["assignee"], json!(null), "it is for people");
    let events = rig.engine.store.events_of(&bead).unwrap();
    assert!(
        events.iter().any(|it| it.event == "escalated" && it.new.as_deref() == made["id"].as_str())
    );
    let (_, made) = escalate(&mut rig, json!({"title": "x", "priority": "high"}));
    assert_eq!((&made["severity"], &made["priority"]), (&json!("high"), &json!("high")));
    let said: Vec<String> = [
        json!({"title": " "}),
        json!({"title": "x", "severity": "huge"}),
        json!({"title": "x", "priority": 9}),
        json!({"severity": "low"}),
    ]
    .iter()
    .map(|body| {
        let (status, answer) = rig.operator("POST", "/escalations", &body.to_string());
        format!("{status} {}", answer["error"].as_str().unwrap())
    })
    .collect();
    expect![[r#"
        400 title is required
        400 severity "huge" is not one of low, medium, high, critical
        400 priority must be 0 to 4 or one of critical, high, medium, low, backlog (got 9)
        400 Invalid request body: missing field `title` at line 1 column 18"#]]
    .assert_eq(&said.join("\n"));
}

#[test]
fn only_people_acknowledge_and_only_what_is_there() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("mine");
    rig.schedule();
    let start = rig.accept().remove(0);
    let (_, made) = escalate(&mut rig, json!({"title": "x"}));
    let path = format!("/escalations/{}/acknowledge", made["id"].as_str().unwrap());
    for caller in [agent(&start), container()] {
        assert_eq!(rig.call(&caller, "POST", &path, "").0, 403);
    }
    assert_eq!(rig.call(&agent(&start), "GET", "/escalations", "").0, 200);
    assert_eq!(rig.call(&container(), "POST", "/escalations", r#"{"title":"x"}"#).0, 403);
    for id in ["demo-0", bead.as_str()] {
        let (status, answer) = rig.operator("POST", &format!("/escalations/{id}/acknowledge"), "");
        assert_eq!(
            (status, answer["error"].as_str().unwrap()),
            (404, format!("Escalation {id} not found").as_str())
        );
    }
    let mut old = start.clone();
    old.attempt -= 1;
    assert_eq!(rig.call(&agent(&old), "POST", "/escalations", r#"{"title":"x"}"#).0, 409);
}

#[test]
fn an_agent_in_a_loop_does_not_bury_what_people_shall_see() {
    let mut rig = TestRig::new();
    for n in 0..limits::ESCALATIONS_WAITING_MAX {
        assert_eq!(escalate(&mut rig, json!({"title": n.to_string()})).0, 201);
    }
    let (status, answer) = rig.operator("POST", "/escalations", r#"{"title":"x"}"#);
    assert_eq!(status, 429);
    expect!["200 escalations wait to be acknowledged, which is as many as may wait; a person must acknowledge some first"].assert_eq(answer["error"].as_str().unwrap());
}

#[test]
fn a_rig_that_sleeps_for_ever_wakes_for_an_escalation_and_walks_through_none() {
    let mut rig = TestRig::with(Settings { idle_alarm_ms: 0, ..Settings::default() });
    assert_eq!(rig.engine.next_wake(rig.now).unwrap(), None);
    escalate(&mut rig, json!({"title": "x"}));
    assert_eq!(rig.wake, Some(rig.now.plus(4 * HOUR)));
    assert!(rig.engine.next_wake(rig.now).unwrap().is_some());
    rig.engine.store.sql().asked.borrow_mut().clear();
    rig.pass(4 * HOUR);
    rig.schedule();
    rig.engine.next_wake(rig.now).unwrap();
    escalate(&mut rig, json!({"title": "x", "cause": "y"}));
    let store = rig.engine.store.sql();
    let mut plan: Vec<String> = store
        .asked
        .take()
        .iter()
        .filter(|sql| sql.contains("escalation"))
        .flat_map(|sql| store.plan(sql))
        .collect();
    plan.sort();
    plan.dedup();
    expect![[r#"
        CO-ROUTINE deferred
        CO-ROUTINE next
        CO-ROUTINE orphans
        CO-ROUTINE queue
        CO-ROUTINE unseen
        COMPOUND QUERY
        LEFT-MOST SUBQUERY
        SCALAR SUBQUERY 1
        SCAN bead USING INDEX bead_queue
        SCAN deferred
        SCAN orphans
        SCAN queue
        SCAN unseen
        SEARCH b USING INDEX sqlite_autoindex_bead_1 (id=?)
        SEARCH bead USING INDEX bead_deferred (defer_until>? AND defer_until<?)
        SEARCH bead USING INDEX bead_deferred (defer_until>?)
        SEARCH bead USING INDEX bead_orphan
        SEARCH bead USING INDEX bead_orphan (updated_at<?)
        SEARCH bead USING INDEX bead_queue
        SEARCH e USING INDEX sqlite_autoindex_escalation_1 (bead=?)
        SEARCH e USING INTEGER PRIMARY KEY (rowid=?)
        SEARCH escalation
        SEARCH escalation USING COVERING INDEX escalation_cause (cause=?)
        SEARCH escalation USING COVERING INDEX escalation_next (next_at>?)
        SEARCH escalation USING INDEX escalation_next (next_at<?)
        SEARCH escalation USING INDEX sqlite_autoindex_escalation_1 (bead=?)
        SEARCH escalation USING INTEGER PRIMARY KEY (rowid<?)
        SEARCH next
        UNION ALL"#]]
    .assert_eq(&plan.join("\n"));
}
