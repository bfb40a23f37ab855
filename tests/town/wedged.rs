//! A container says that it runs and answers nothing: it is replaced, not for ever, and people are told once.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::stack::Options;

use crate::machine::Boot;
use crate::support::{SOON, World, until};

/// What takes three replacements, each after its grace.
const LONG: Duration = Duration::from_mins(1);

fn impatient(options: Options) -> Options {
    options.set("CONTAINER_GRACE_MS", 2_000).set("CONTAINER_WEDGED_MS", 2_000)
}

/// What the town says of its container.
fn watch(world: &World) -> Value {
    let (status, watch) = world.container("GET", "/watch");
    assert_eq!(status, 200, "{watch}");
    watch
}

/// The numbers that the containers were given, by their age.
fn incarnations(world: &World) -> Vec<i64> {
    let machines = world.engine.machines();
    machines.iter().map(|it| it.env()["BEADRIG_INCARNATION"].parse().unwrap()).collect()
}

fn escalations(world: &World) -> Vec<Value> {
    let (status, answer) = world.send("GET", "/api/rigs/main/escalations", &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer["data"].as_array().unwrap().clone()
}

#[test]
fn incident_12_a_container_that_takes_connections_and_answers_nothing_is_replaced() {
    let world = World::with_waiting_agents(impatient);
    let bead = world.assigned("cut short");
    let first = world.at_work(&bead, None);
    // It accepts connections still, as the kernel does that for it.
    world.engine.machines()[0].signal(Signal::SIGSTOP);
    let second = world.at_work(&bead, Some(first));
    assert!(second > first);
    assert_eq!((world.engine.machines().len(), world.engine.processes()), (2, 1));
    let numbers = incarnations(&world);
    assert!(numbers[1] > numbers[0], "{numbers:?}");
    let (_, health) = world.container("GET", "/health");
    assert_eq!(health["incarnation"], numbers[1], "{health}");
    world.open();
    let bead = world.closed(&bead);
    assert_eq!(bead["attempts"], 1, "what is lost with the container is no attempt: {bead:#}");

    let watch = watch(&world);
    assert_eq!((&watch["incarnation"], &watch["outage"]), (&numbers[1].into(), &Value::Null));
    assert_eq!(watch["lastOutage"]["replaced"], 1, "{watch:#}");
    assert!(escalations(&world).is_empty(), "it has mended itself");
}

#[test]
fn incidents_12_and_13_one_that_never_answers_is_replaced_three_times_and_told_of_once() {
    let world = World::with_waiting_agents(impatient);
    let bead = world.assigned("beyond help");
    world.at_work(&bead, None);
    world.engine.boot(Boot::Never);
    world.engine.machines()[0].signal(Signal::SIGSTOP);
    let told = until("escalation", LONG, || match escalations(&world).as_slice() {
        [one] => Ok(one.clone()),
        other => Err(format!("{other:?}\n{:#}", watch(&world))),
    });
    let body = told["body"].as_str().unwrap();
    assert!(body.contains("was replaced 3 times since") && body.contains("/destroy"), "{body}");
    assert_eq!(world.engine.machines().len(), 4, "one, and three in its place");

    // What was counted is not forgotten with the object.
    world.stack.worker.restart().unwrap();
    for _ in 0..10 {
        let (status, answer) = world.container("GET", "/health");
        assert_eq!((status, &answer["code"]), (503, &"capacity".into()), "{answer}");
    }
    let seen = watch(&world);
    assert_eq!(
        (&seen["outage"]["givenUp"], &seen["outage"]["replaced"]),
        (&true.into(), &3.into())
    );
    assert_eq!(world.engine.machines().len(), 4, "no fourth time");
    assert_eq!(escalations(&world).len(), 1);

    // A person ends it, and it comes up.
    world.engine.boot(Boot::After(Duration::ZERO));
    assert_eq!(world.container("POST", "/destroy").0, 200);
    world.open();
    world.closed(&bead);
    let last = watch(&world)["lastOutage"].clone();
    assert_eq!((&last["replaced"], last["until"].is_string()), (&3.into(), true), "{last:#}");
    let id = told["id"].as_str().unwrap();
    let told = world.bead_until(id, "told of the end", SOON, |bead| {
        bead["notes"].to_string().contains("the container answers again")
    });
    assert!(told["notes"].to_string().contains("was replaced 3 times"), "{told:#}");
    assert_eq!(escalations(&world).len(), 1, "one outage");
    let numbers = incarnations(&world);
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

#[test]
fn a_container_that_answers_for_another_incarnation_is_not_believed_and_is_replaced() {
    let world = World::start(impatient);
    world.engine.boot(Boot::Stranger);
    let bead = world.assigned("asked of a stranger");
    let why = world.waits_for_the_container(&bead);
    let number = incarnations(&world)[0];
    let said = format!("the container that answers is incarnation 1, not {number}");
    assert!(why.contains(&said), "{why}");
    world.engine.boot(Boot::After(Duration::ZERO));
    until("replacement", LONG, || {
        let (status, answer) = world.container("GET", "/health");
        if status == 200 { Ok(()) } else { Err(answer.to_string()) }
    });
    let bead = world.bead_until(&bead, "closed", LONG, |bead| bead["status"] == "closed");
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    assert_eq!(world.engine.machines().len(), 2);
    assert_eq!(watch(&world)["lastOutage"]["replaced"], 1);
}

#[test]
fn ten_that_ask_at_once_start_one_container() {
    let world = World::start(|options| options);
    let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let asks: Vec<_> =
            (0..10).map(|_| scope.spawn(|| world.container("GET", "/health"))).collect();
        asks.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(incarnations(&world).len(), 1);
    for (status, health) in answers {
        assert_eq!((status, &health["incarnation"]), (200, &json!(incarnations(&world)[0])));
    }
}
