//! What looks after a rig from outside: an alarm that is lost, and a container service that is not ours.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, until};

/// A round of the watchdog: what it found.
#[track_caller]
pub(crate) fn round(rig: &Rig) -> Value {
    let answer = rig.as_operator("POST", "/api/watchdog").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].clone()
}

#[track_caller]
fn lose_the_alarm(rig: &Rig) {
    assert_eq!(rig.debug("fault", "alarm/lose").map(|it| it.status), Ok(200));
    assert_eq!(rig.get("/status")["next_tick_at"], Value::Null);
}

#[test]
fn a_rig_with_work_whose_alarm_was_lost_goes_on_after_a_round() {
    // Long enough for nothing to happen before.
    let world = World::start(|options| options.set("ARM_DELAY_MS", 60_000));
    let rig = world.rig("lost");
    rig.runs.open(&GATES);
    let bead = rig.assigned("nobody comes");
    assert_eq!(round(&rig)["asked"], 1, "it became known when it first had work");
    assert_eq!(rig.bead(&bead)["status"], "open", "an alarm that is set is left alone");
    lose_the_alarm(&rig);
    let begin = Instant::now();
    let found = round(&rig);
    assert_eq!((&found["asked"], &found["woken"]), (&1.into(), &1.into()), "{found}");
    rig.status_until(&bead, "closed", LATER);
    eprintln!("{:?} after the round the work was done", begin.elapsed());
    let found = round(&rig);
    assert_eq!((&found["woken"], &found["silent"]), (&0.into(), &0.into()), "{found}");
}

#[test]
fn an_alarm_that_a_clock_left_for_tomorrow_is_set_for_today_after_a_round() {
    let world = World::start(|options| options.set("ARM_DELAY_MS", 60_000));
    let rig = world.rig("tomorrow");
    rig.runs.open(&GATES);
    let bead = rig.assigned("nobody comes");
    assert_eq!(rig.debug("fault", "alarm/far").map(|it| it.status), Ok(200));
    let found = round(&rig);
    assert_eq!((&found["asked"], &found["woken"]), (&1.into(), &1.into()), "{found}");
    rig.status_until(&bead, "closed", LATER);
}

#[test]
fn what_the_watchdog_knows_outlives_the_worker() {
    let world = World::start(|options| options.set("ARM_DELAY_MS", 60_000));
    let rig = world.rig("outlives");
    rig.runs.open(&GATES);
    let bead = rig.assigned("nobody comes");
    lose_the_alarm(&rig);
    world.stack.worker.restart().unwrap();
    // As `cargo xtask up` does it every five minutes.
    let answer = world.stack.watchdog()().unwrap();
    assert!(answer.body.contains("\"woken\":1"), "{answer:?}");
    rig.status_until(&bead, "closed", LATER);
}

#[test]
fn a_rig_that_has_nothing_to_do_is_forgotten_sleeps_on_and_is_known_again_with_new_work() {
    let world = World::start(|options| options.set("IDLE_ALARM_MS", 0));
    let rig = world.rig("sleeps");
    rig.runs.open(&GATES);
    let bead = rig.assigned("the first");
    rig.status_until(&bead, "closed", LATER);
    rig.idle(SOON);
    until("sleep", SOON, || match &rig.try_get("/status")?["next_tick_at"] {
        Value::Null => Ok(()),
        at => Err(at.to_string()),
    });
    let found = round(&rig);
    assert_eq!((&found["idle"], &found["woken"]), (&1.into(), &0.into()), "{found}");
    assert_eq!(rig.get("/status")["next_tick_at"], Value::Null, "it was not woken");
    assert_eq!(round(&rig)["asked"], 0, "and is not asked again");
    let bead = rig.assigned("the second");
    assert_eq!(round(&rig)["asked"], 1);
    rig.status_until(&bead, "closed", LATER);
}

#[test]
fn a_round_costs_a_rig_whose_alarm_is_set_one_statement_and_one_whose_alarm_was_lost_five() {
    let world = World::start(|options| options.set("IDLE_ALARM_MS", 60_000));
    let rig = world.rig("cheap");
    rig.runs.open(&GATES);
    let bead = rig.assigned("done and over");
    rig.status_until(&bead, "closed", LATER);
    rig.idle(SOON);
    until("long sleep", SOON, || {
        rig.debug("bench", "stats")?;
        std::thread::sleep(Duration::from_millis(1_500));
        let counts = rig.debug("bench", "stats")?.body;
        if counts["statements"] == 0 { Ok(()) } else { Err(counts.to_string()) }
    });
    assert_eq!(round(&rig)["asked"], 1);
    let counts = rig.debug("bench", "stats").unwrap().body;
    // What it knows of the switch of the deployment is compared with what it is told.
    assert!(counts["statements"].as_u64() <= Some(1), "{counts}");
    assert_eq!((&counts["get_alarm"], &counts["rows_written"]), (&1.into(), &0.into()), "{counts}");
    assert_eq!(rig.debug("fault", "alarm/lose").map(|it| it.status), Ok(200));
    rig.debug("bench", "stats").unwrap();
    assert_eq!(round(&rig)["woken"], 1);
    let counts = rig.debug("bench", "stats").unwrap().body;
    assert!(counts["statements"].as_u64() <= Some(5), "{counts}");
    assert_eq!(counts["rows_written"], 0, "{counts}");
}

#[test]
fn only_the_operator_sends_the_watchdog_on_its_round() {
    let world = World::start(|options| options);
    let rig = world.rig("asks");
    let container = world.stack.container_token();
    let answer = rig.send(Some(&container), "POST", "/api/watchdog", "").unwrap();
    assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{answer:?}");
    assert_eq!(rig.send(None, "POST", "/api/watchdog", "").unwrap().status, 401);
    assert_eq!(rig.as_operator("GET", "/api/watchdog").unwrap().status, 405);
    // By this path nobody comes to a rig.
    assert_eq!(rig.as_operator("GET", "/poke").unwrap().status, 404);
}

#[test]
fn a_service_that_is_not_ours_is_not_replaced_but_its_outage_is_told_of() {
    let world = World::start(|options| options.set("CONTAINER_WEDGED_MS", 2_000));
    let rig = world.rig("told");
    let bead = rig.assigned("waits for its container");
    rig.runs.wait(&bead, "started", LATER);
    until("run that is known", SOON, || {
        let status = rig.try_get("/status")?;
        let at_work = status["agents"][0]["attempt"]["state"] == "running";
        if at_work { Ok(()) } else { Err(format!("{status:#}")) }
    });
    world.stack.container.freeze();
    let told = until("escalation", LATER, || {
        let told = rig.try_get("/escalations")?;
        told.get(0).cloned().ok_or_else(|| told.to_string())
    });
    let body = told["body"].as_str().unwrap();
    assert!(body.contains("not this worker's to replace"), "{body}");
    world.stack.container.thaw();
    rig.runs.open(&GATES);
    rig.status_until(&bead, "closed", LATER);
    let id = told["id"].as_str().unwrap();
    rig.bead_until(id, "told of the end", SOON, |bead| {
        bead["notes"].to_string().contains("the container answers again")
    });
    let watch = rig.as_operator("GET", "/api/towns/local/container/watch").unwrap().body;
    let last = &watch["lastOutage"];
    assert_eq!((&last["replaced"], &watch["outage"]), (&0.into(), &Value::Null), "{watch:#}");
    assert!(last["lastedMs"].as_i64() >= Some(2_000), "{watch:#}");
    assert_eq!(rig.get("/escalations").as_array().map(Vec::len), Some(1));
    assert_eq!(last["escalation"], json!({"rigId": "told", "beadId": id}));
}
