//! Starts that are refused, and starts whose answer does not come.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::proxy::{Fate, Proxy};
use crate::rig::{Rig, notes};
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, until};

const NO_SUCH: &str = "/no/such/command";

#[test]
fn a_start_that_is_refused_is_taken_back_with_its_reason() {
    let world =
        World::start(|options| options.set("AGENT_COMMAND", NO_SUCH).set("BACK_OFF_MS", 600_000));
    let rig = world.rig("refused");
    let id = rig.assigned("cannot be started");
    let bead = rig.bead_until(&id, "taken back", SOON, |bead| {
        bead["attempts"] == 1 && bead["status"] == "open"
    });
    // Said by the answer to the start, or by the report if the machine is so busy that nobody waits for it.
    let note = find(&notes(&bead), "attempt 1 of 5: ");
    assert!(note.contains(NO_SUCH), "{note}");
    assert_eq!(bead["waiting"]["reason"], "back_off", "{bead:#}");
    assert!(bead["waiting"]["until"].is_string(), "{bead:#}");
    rig.idle(SOON);
    let event = until("event with the reason", SOON, || event(&world, "unhooked"));
    assert!(event["detail"].as_str().unwrap().contains(NO_SUCH), "{event}");
    let shown = rig.say(&["show", &id]);
    assert!(shown.contains(NO_SUCH), "{shown}");
}

#[test]
fn a_bead_whose_starts_are_all_refused_fails_and_says_why() {
    let world = World::start(|options| {
        options.set("AGENT_COMMAND", NO_SUCH).set("BACK_OFF_MS", 100).set("MAX_ATTEMPTS", 2)
    });
    let rig = world.rig("refused");
    let id = rig.assigned("cannot be started");
    let bead = rig.status_until(&id, "failed", LATER);
    assert_eq!(bead["attempts"], 2, "{bead:#}");
    assert_eq!(bead["failure"]["code"], "attempts_exhausted", "{bead:#}");
    let why = bead["failure"]["message"].as_str().unwrap();
    assert!(why.contains("2 attempts") && why.contains(NO_SUCH), "{why}");
    let shown = rig.say(&["show", &id]);
    assert!(shown.to_lowercase().contains("failed") && shown.contains(why), "{shown}");
}

/// The line of a text that has a word in it.
#[track_caller]
fn find(text: &str, word: &str) -> String {
    let found = text.lines().find(|line| line.contains(word));
    found.unwrap_or_else(|| panic!("no line has \"{word}\":\n{text}")).to_owned()
}

/// The first event of a kind that the worker has written to its log.
fn event(world: &World, kind: &str) -> Result<Value, String> {
    let log = world.stack.worker.log();
    let lines = log.lines().filter_map(|line| line.find('{').map(|at| &line[at..]));
    let mut events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.find(|event| event["event"] == kind).ok_or(log)
}

/// A bead whose first start meets a fate, and which is then done.
fn first_start(fate: Fate) -> (World, Proxy, Rig, String) {
    let mut proxy = None;
    let world = World::start(|options| {
        let between = proxy.insert(Proxy::to(options.container_port.number()));
        let url = between.url.clone();
        options.set("CONTAINER_URL", url)
    });
    let proxy = proxy.unwrap();
    proxy.next(&[fate]);
    let rig = world.rig("starts");
    rig.runs.open(&GATES);
    let id = rig.assigned("to be started once");
    rig.status_until(&id, "closed", LATER);
    rig.idle(SOON);
    (world, proxy, rig, id)
}

/// One process has acted, and one attempt counts.
#[track_caller]
fn check_once(rig: &Rig, id: &str) {
    let bead = rig.bead(id);
    assert_eq!(rig.runs.of(id).len(), 1, "{}", rig.runs.told());
    assert_eq!(bead["attempts"], 1, "{bead:#}");
    let said = notes(&bead).matches("dispatched: job=").count();
    assert_eq!(said, 1, "{bead:#}");
}

#[test]
fn a_start_whose_answer_is_lost_starts_one_process() {
    let (_world, proxy, rig, id) = first_start(Fate::LoseAnswer);
    assert_eq!(proxy.answers()[0], 201, "{:?}", proxy.answers());
    check_once(&rig, &id);
}

#[test]
fn a_start_whose_connection_breaks_starts_one_process() {
    let (_world, proxy, rig, id) = first_start(Fate::Break);
    assert_eq!(proxy.answers()[0], 201, "{:?}", proxy.answers());
    check_once(&rig, &id);
}

#[test]
fn a_start_that_never_arrives_is_asked_for_again_and_starts_one_process() {
    let (_world, proxy, rig, id) = first_start(Fate::Lose);
    assert_eq!((proxy.starts(), proxy.answers()), (2, vec![201]));
    check_once(&rig, &id);
}

#[test]
fn a_start_that_arrives_after_its_work_is_done_starts_nothing() {
    let wait = Duration::from_secs(8);
    let (_world, proxy, rig, id) = first_start(Fate::Late(wait));
    let answers = until("late start", wait * 2, || {
        let answers = proxy.answers();
        if answers.len() > 1 { Ok(answers) } else { Err(format!("{answers:?}")) }
    });
    // 201 is a process, 200 is "it was so already".
    assert_eq!(answers, [201, 200]);
    check_once(&rig, &id);
}

/// Where a connection can break between a claim and its run, in the order in which they come. Before the first of
/// them the claim is in the rows (`kills`: the worker is killed there); after the last the run speaks for itself.
const BREAKS: [(&str, Fate); 4] = [
    ("before the request", Fate::Shut),
    ("in the middle of the request", Fate::HalfRequest),
    ("between the request and its answer", Fate::Break),
    ("in the middle of the answer", Fate::HalfAnswer),
];

/// Bugs 2 and 5 of the pollers: a connection that broke left the bead in progress, or ran it twice.
#[test]
fn wherever_the_connection_breaks_between_claim_and_start_the_bead_is_done_once() {
    let mut proxy = None;
    let world = World::start(|options| {
        let between = proxy.insert(Proxy::to(options.container_port.number()));
        let url = between.url.clone();
        options.set("CONTAINER_URL", url)
    });
    let proxy = proxy.unwrap();
    // Once, and so often that all the patience for one start is used up.
    for times in [1, 3] {
        for (n, (step, fate)) in BREAKS.into_iter().enumerate() {
            let rig = world.rig(&format!("breaks-{n}-{times}"));
            rig.runs.open(&GATES);
            let (starts, begin) = (proxy.starts(), Instant::now());
            proxy.next(&vec![fate; times]);
            let id = rig.assigned("to be started once");
            rig.status_until(&id, "closed", LATER);
            rig.idle(SOON);
            eprintln!(
                "broken {times} times {step}: {} starts, done after {:?}",
                proxy.starts() - starts,
                begin.elapsed()
            );
            assert!(proxy.starts() > starts, "{step}");
            proxy.next(&[]);
            check_once(&rig, &id);
        }
    }
}
