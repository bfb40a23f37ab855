//! Molecules: the steps of a bead. Convoys: beads that belong together.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::wire::container::StartAgent;
use serde_json::{Value, json};
use support::{TestRig, agent, container};

fn with_steps() -> (TestRig, String, StartAgent) {
    let mut rig = TestRig::new();
    let bead = rig.assigned("fix it");
    let body = json!({"bead_id": bead, "formula": {"steps": [
        {"title": "look", "instructions": "read the code"},
        {"title": "write", "instructions": "write the code"},
    ]}});
    let (status, made) = rig.operator("POST", "/molecules", &body.to_string());
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["data"]["id"], rig.bead(&bead)["molecule_id"]);
    rig.schedule();
    let start = rig.accept().remove(0);
    (rig, bead, start)
}

fn current(rig: &mut TestRig, start: &StartAgent) -> (u16, Value) {
    let path = format!("/agents/{}/molecule/current", start.agent_id);
    rig.call(&agent(start), "GET", &path, "")
}

fn advance(rig: &mut TestRig, start: &StartAgent, body: &Value) -> (u16, Value) {
    let path = format!("/agents/{}/molecule/advance", start.agent_id);
    rig.call(&agent(start), "POST", &path, &body.to_string())
}

#[test]
fn a_bead_is_done_step_by_step() {
    let (mut rig, bead, start) = with_steps();
    let id = rig.bead(&bead)["molecule_id"].take();
    assert!(start.prompt.contains("## Step 1 of 2: look\n\nread the code"), "{}", start.prompt);
    assert_eq!(
        current(&mut rig, &start).1["data"],
        json!({"moleculeId": id, "currentStep": 0, "totalSteps": 2, "status": "active",
            "step": {"title": "look", "instructions": "read the code"}})
    );
    let path = format!("/agents/{}/prime", start.agent_id);
    let primed = rig.operator("GET", &path, "").1;
    assert_eq!(
        primed["data"]["current_step"]["step"]["title"], "look",
        "an agent is primed with it"
    );
    let first = json!({"moleculeId": id, "previousStep": 0, "currentStep": 1, "totalSteps": 2,
        "completed": false});
    // Said twice with its step, it is said once.
    for _ in 0..2 {
        let (status, answer) = advance(&mut rig, &start, &json!({"summary": "read it", "step": 0}));
        assert_eq!((status, &answer["data"]), (200, &first));
    }
    assert_eq!(current(&mut rig, &start).1["data"]["currentStep"], 1);
    let (status, refused) = advance(&mut rig, &start, &json!({"summary": "x", "step": 2}));
    assert_eq!((status, refused["code"].as_str()), (409, Some("conflict")));
    for summary in [String::new(), " ".to_owned(), "x".repeat(5_001)] {
        assert_eq!(advance(&mut rig, &start, &json!({"summary": summary})).0, 400);
    }
    let (_, answer) = advance(&mut rig, &start, &json!({"summary": "wrote it"}));
    assert_eq!(answer["data"]["completed"], true);
    let (status, gone) = current(&mut rig, &start);
    assert_eq!((status, &gone["error"]), (404, &json!("No active molecule for this agent")));
    let (status, refused) = advance(&mut rig, &start, &json!({"summary": "more"}));
    assert_eq!((status, &refused["error"]), (409, &json!("Molecule is completed, cannot advance")));
    let again = advance(&mut rig, &start, &json!({"summary": "wrote it", "step": 1})).1;
    assert_eq!(again["data"]["completed"], true);
    // That is the agent's to say.
    assert_eq!(rig.tell(&bead), "in_progress attempts=1");
    let events = rig.engine.store.events_of(&bead).unwrap();
    let steps: Vec<&str> = events
        .iter()
        .filter(|it| it.event == "molecule_step_completed")
        .map(|it| it.data.as_deref().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            r#"{"step":0,"step_title":"look","summary":"read it"}"#,
            r#"{"step":1,"step_title":"write","summary":"wrote it"}"#,
        ]
    );
}

#[test]
fn the_next_run_goes_on_where_the_last_one_was() {
    let (mut rig, _, start) = with_steps();
    advance(&mut rig, &start, &json!({"summary": "read it"}));
    let report = json!({"status": "failed", "attempt": start.attempt, "exit_code": 1});
    let path = format!("/agents/{}/completed", start.agent_id);
    rig.call(&container(), "POST", &path, &report.to_string());
    rig.pass(60_000);
    rig.schedule();
    let next = rig.accept().remove(0);
    assert!(next.prompt.contains("## Step 2 of 2: write"), "{}", next.prompt);
    assert_eq!(current(&mut rig, &next).1["data"]["currentStep"], 1);
    // The run before has no say in it any more.
    let (status, stale) = advance(&mut rig, &start, &json!({"summary": "x"}));
    assert_eq!((status, stale["code"].as_str()), (409, Some("stale_attempt")));
}

#[test]
fn what_cannot_have_steps_is_refused() {
    let (mut rig, bead, start) = with_steps();
    let step = json!({"title": "t", "instructions": "i"});
    let make = |rig: &mut TestRig, bead: &str, steps: Value| {
        let body = json!({"bead_id": bead, "formula": {"steps": steps}}).to_string();
        let (status, answer) = rig.operator("POST", "/molecules", &body);
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(make(&mut rig, "demo-none", json!([step])).0, 404);
    assert_eq!(make(&mut rig, &bead, json!([step])).0, 409, "it has some");
    let other = rig.assigned("another");
    assert_eq!(
        make(&mut rig, &other, json!([])),
        (400, "formula.steps must be 1 to 50 (got 0)".to_owned())
    );
    assert_eq!(make(&mut rig, &other, json!(vec![step.clone(); 51])).0, 400);
    let blank = json!([{"title": "t", "instructions": " "}]);
    assert_eq!(
        make(&mut rig, &other, blank),
        (400, "formula.steps[0].instructions is required".to_owned())
    );
    // An agent gives steps to its own bead, not to another's.
    let body = json!({"bead_id": other, "formula": {"steps": [step]}}).to_string();
    assert_eq!(rig.call(&agent(&start), "POST", "/molecules", &body).0, 403);
    // One without a bead, one whose bead has no steps.
    let spare = rig.operator("POST", "/agents/get-or-create", r#"{"role":"polecat"}"#).1;
    let path = format!("/agents/{}/molecule/advance", spare["data"]["id"].as_str().unwrap());
    let (status, refused) = rig.operator("POST", &path, r#"{"summary":"x"}"#);
    assert_eq!((status, &refused["error"]), (409, &json!("Agent has no hooked bead")));
    rig.schedule();
    let second = rig.accept().remove(0);
    let (status, refused) = advance(&mut rig, &second, &json!({"summary": "x"}));
    assert_eq!((status, &refused["error"]), (409, &json!("No molecule attached to hooked bead")));
}

#[test]
fn a_convoy_lands_when_all_of_its_beads_are_closed() {
    let mut rig = TestRig::new();
    let beads: Vec<String> = (0..3).map(|n| rig.assigned(&format!("bead {n}"))).collect();
    let members: Vec<Value> = beads.iter().map(|id| json!({"bead_id": id})).collect();
    let body = json!({"title": "three", "beads": members}).to_string();
    let (status, made) = rig.operator("POST", "/convoys", &body);
    assert_eq!(status, 201, "{made}");
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.bead(&beads[0])["convoy_id"], id.as_str());
    assert_eq!(
        rig.operator("GET", &format!("/beads?convoy_id={id}"), "").1["data"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let tell = |rig: &mut TestRig| {
        let it = rig.operator("GET", &format!("/convoys/{id}"), "").1["data"].take();
        assert_eq!(rig.operator("GET", "/convoys", "").1["data"], json!([it]));
        let landed = if it["landed_at"].is_null() { "" } else { ", with its time" };
        format!(
            "{} {}/{} stranded {}{landed}",
            it["status"].as_str().unwrap(),
            it["closed_beads"],
            it["total_beads"],
            it["stranded"].as_array().unwrap().len()
        )
    };
    let close = |rig: &mut TestRig, n: usize| {
        assert_eq!(rig.operator("POST", &format!("/beads/{}/close", beads[n]), "").0, 200);
    };
    assert_eq!(tell(&mut rig), "active 0/3 stranded 0");
    close(&mut rig, 0);
    close(&mut rig, 0);
    assert_eq!(tell(&mut rig), "active 1/3 stranded 0", "closed twice counts once");
    let body = r#"{"status":"blocked"}"#;
    rig.operator("PATCH", &format!("/beads/{}", beads[1]), body);
    assert_eq!(tell(&mut rig), "active 1/3 stranded 1");
    close(&mut rig, 1);
    close(&mut rig, 2);
    assert_eq!(tell(&mut rig), "landed 3/3 stranded 0, with its time");
    // The work is not done then.
    rig.operator("POST", &format!("/beads/{}/reopen", beads[2]), "");
    assert_eq!(tell(&mut rig), "active 2/3 stranded 0");
    close(&mut rig, 2);
    assert_eq!(tell(&mut rig), "landed 3/3 stranded 0, with its time");
}

#[test]
fn what_cannot_be_a_convoy_is_refused_and_leaves_nothing() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("bead");
    let make = |rig: &mut TestRig, beads: Value| {
        let body = json!({"title": "x", "beads": beads}).to_string();
        rig.operator("POST", "/convoys", &body).0
    };
    let one = json!({"bead_id": bead});
    assert_eq!(make(&mut rig, json!([])), 400);
    assert_eq!(make(&mut rig, json!(vec![one.clone(); 101])), 400);
    assert_eq!(make(&mut rig, json!([one, {"bead_id": "demo-none"}])), 404);
    assert_eq!(rig.operator("GET", "/convoys", "").1["data"], json!([]));
    assert!(rig.bead(&bead)["convoy_id"].is_null());
    assert_eq!(make(&mut rig, json!([one, one])), 201, "named twice, it is in it once");
    assert_eq!(make(&mut rig, json!([one])), 409);
    assert_eq!(rig.operator("GET", "/convoys/none", "").0, 404);
    let shown = rig.operator("GET", "/convoys", "").1["data"].take();
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["total_beads"]), (1, &json!(1)));
}
