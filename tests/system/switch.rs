//! The switch: nobody claims while it is off, wherever it was turned, and nothing that waited is lost.

use std::time::Duration;

use serde_json::{Value, json};

use crate::access::{claims, holder, refused, secrets};
use crate::rig::Rig;
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, until};
use crate::watchdog::round;

/// Longer than several ticks of the stack.
const TICKS: Duration = Duration::from_secs(3);

/// Turns the switch of the deployment, under a name.
#[track_caller]
fn turn(rig: &Rig, actor: &str, how: &str, body: &str) -> Value {
    let answer = rig.send_as(actor, "POST", &format!("/api/{how}"), body).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].clone()
}

/// How the switch of the deployment stands.
#[track_caller]
fn stands(rig: &Rig) -> Value {
    let answer = rig.as_operator("GET", "/api/pause").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].clone()
}

/// Waits until a bead says that it waits for the switch, and who turned it.
#[track_caller]
fn waits(rig: &Rig, bead: &str) {
    let bead = rig.bead_until(bead, "waiting for the switch", SOON, |bead| {
        bead["waiting"]["reason"] == "dispatch_paused"
    });
    let why = bead["waiting"]["message"].as_str().unwrap();
    let said = "dispatch is paused for all rigs by bob since 20";
    assert!(why.starts_with(said) && why.contains("(the disk is full)"), "{why}");
}

/// A rig without work, of which the watchdog knows nothing any more.
fn asleep(world: &World) -> Rig {
    let rig = world.rig("asleep");
    rig.runs.open(&GATES);
    let bead = rig.assigned("done and over");
    rig.status_until(&bead, "closed", LATER);
    rig.idle(SOON);
    until("sleep", SOON, || match &rig.try_get("/status")?["next_tick_at"] {
        Value::Null => Ok(()),
        at => Err(at.to_string()),
    });
    assert_eq!(round(&rig)["idle"], 1);
    rig
}

#[test]
fn the_pause_of_the_deployment_reaches_rigs_at_work_idle_ones_and_new_ones_and_outlives_the_worker()
{
    let world = World::start(|options| options.set("IDLE_ALARM_MS", 0));
    let asleep = asleep(&world);
    let at_work = ["one", "two"].map(|name| world.rig(name));
    let running = at_work.each_ref().map(|rig| rig.assigned("begun before the pause"));
    for (rig, bead) in at_work.iter().zip(&running) {
        rig.runs.wait(bead, "started", LATER);
    }

    let paused = turn(&asleep, "bob", "pause", r#"{"reason":"the disk is full"}"#);
    assert_eq!(paused["enabled"], false, "{paused}");
    let by = &paused["paused"][0];
    assert_eq!(
        (&by["scope"], &by["by"], &by["reason"]),
        (&json!("deployment"), &json!("bob"), &json!("the disk is full"))
    );
    assert!(by["at"].as_str().unwrap().starts_with("20"), "{by}");
    // Who was first is remembered.
    assert_eq!(turn(&asleep, "eve", "pause", ""), paused);
    assert_eq!(stands(&asleep), paused);
    // Rigs at work know when the call is answered.
    for rig in &at_work {
        assert_eq!(rig.get("/dispatch"), paused);
        assert_eq!(rig.get("/status")["dispatch_enabled"], false);
    }

    let rigs = [at_work[0].clone(), at_work[1].clone(), asleep, world.rig("new")];
    let waiting = rigs.each_ref().map(|rig| rig.assigned("after the pause"));
    for (rig, bead) in rigs.iter().zip(&waiting) {
        waits(rig, bead);
    }
    // What runs goes on.
    for (rig, bead) in at_work.iter().zip(&running) {
        rig.runs.open(&GATES);
        rig.status_until(bead, "closed", LATER);
    }
    std::thread::sleep(TICKS);
    world.stack.worker.restart().unwrap();
    assert_eq!(stands(&rigs[0]), paused);
    std::thread::sleep(TICKS);
    for (rig, bead) in rigs.iter().zip(&waiting) {
        waits(rig, bead);
        assert_eq!(rig.runs.of(bead), [], "{}", rig.runs.told());
    }

    rigs[3].runs.open(&GATES);
    let resumed = turn(&rigs[0], "eve", "resume", "");
    assert_eq!(resumed, json!({"enabled": true, "paused": []}));
    for (rig, bead) in rigs.iter().zip(&waiting) {
        let bead = rig.status_until(bead, "closed", LATER);
        assert_eq!(bead["attempts"], 1, "{bead:#}");
    }
    assert_eq!(stands(&rigs[0]), resumed);
}

#[test]
fn a_rig_that_is_paused_for_itself_stays_so_through_a_restart_and_when_all_others_go_on() {
    let world = World::start(|options| options);
    let (paused, other) = (world.rig("paused"), world.rig("other"));
    let answer = paused.send_as("bob", "POST", &paused.path("/pause"), r#"{"reason":"mine"}"#);
    assert_eq!(answer.unwrap().status, 200);
    let bead = paused.assigned("to wait");
    turn(&paused, "bob", "pause", "");
    turn(&paused, "bob", "resume", "");
    world.stack.worker.restart().unwrap();
    other.runs.open(&GATES);
    let done = other.assigned("not to wait");
    other.status_until(&done, "closed", LATER);
    std::thread::sleep(TICKS);
    let waiting = paused.bead(&bead)["waiting"].clone();
    assert_eq!(waiting["reason"], "dispatch_paused", "{waiting}");
    assert!(waiting["message"].as_str().unwrap().contains("(mine)"), "{waiting}");
    assert_eq!(paused.runs.entries(), []);
    let view = paused.get("/dispatch");
    assert_eq!(
        (&view["paused"][0]["scope"], &view["paused"][0]["by"]),
        (&json!("rig"), &json!("bob"))
    );
    paused.runs.open(&GATES);
    assert_eq!(paused.operator("POST", "/resume", "").unwrap().status, 200);
    paused.status_until(&bead, "closed", LATER);
}

#[test]
fn only_the_operator_turns_a_switch() {
    let world = World::start(|options| options);
    let rig = world.rig("agents");
    let bead = rig.assigned("at work");
    rig.runs.wait(&bead, "started", LATER);
    let (me, attempt) = holder(&rig, &bead);
    let agent = secrets(&world).sign(&claims("agents", &me, attempt));
    let container = world.stack.container_token();
    let own = ["pause", "resume"].map(|how| rig.path(&format!("/{how}")));
    let all = ["/api/pause".to_owned(), "/api/resume".to_owned()];
    for path in own.iter().chain(&all) {
        let call = ("POST", path.as_str(), "");
        for token in [&agent, &container] {
            refused(&rig, Some(token), call, (403, "forbidden"));
        }
        refused(&rig, None, call, (401, "unauthorized"));
    }
    for token in [&agent, &container] {
        refused(&rig, Some(token), ("GET", "/api/pause", ""), (403, "forbidden"));
    }
    let token = Some(world.stack.token());
    let post =
        |path: &str, body: &str, expected| refused(&rig, token, ("POST", path, body), expected);
    post("/api/pause", "{", (400, "invalid"));
    post("/api/pause", r#"{"reason":7}"#, (400, "invalid"));
    refused(&rig, token, ("DELETE", "/api/pause", ""), (405, "method_not_allowed"));
    refused(&rig, token, ("GET", "/api/resume", ""), (405, "method_not_allowed"));
    assert_eq!(stands(&rig), json!({"enabled": true, "paused": []}), "nothing was turned");
    assert_eq!(rig.get("/dispatch"), json!({"enabled": true, "paused": []}));
}
