//! Many beads at once, and many who speak at once: the order holds, the slots hold, nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Answer, Rig};
use crate::support::{SOON, World, agent, until};

const BEADS: usize = 100;
const SLOTS: usize = 5;

/// For all of them, on a machine with other things to do.
const ALL: Duration = Duration::from_mins(5);

/// Who speaks at the same time.
const VOICES: usize = 10;

/// Sends the same from many at once.
fn at_once(rig: &Rig, path: &str, body: impl Fn(usize) -> String + Sync) -> Vec<Answer> {
    thread::scope(|scope| {
        let (body, path) = (&body, &path);
        let calls: Vec<_> = (0..VOICES)
            .map(|n| {
                scope.spawn(move || {
                    rig.send_as(&format!("person {n}"), "POST", path, &body(n)).unwrap()
                })
            })
            .collect();
        calls.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

#[test]
fn a_hundred_beads_at_once_are_taken_by_priority_and_age_five_at_a_time_and_all_closed() {
    let world = World::start(|options| {
        options
            .set("AGENT_COMMAND", agent("quick"))
            .set("MAX_AGENTS", SLOTS)
            .set("MAX_CONCURRENCY", 2 * SLOTS)
    });
    let rig = world.rig("hundred");
    // Nobody takes one before all are there.
    assert_eq!(rig.operator("POST", "/pause", "").unwrap().status, 200);
    let mut order = Vec::new();
    for n in 0..BEADS {
        // No two neighbours alike.
        let priority = (n * 7 + n / 10) % 5;
        let bead = json!({"title": format!("bead {n}"), "acceptance_criteria": "it is done",
            "priority": priority, "assignee": "agent"});
        let made = rig.operator("POST", "/beads", &bead.to_string()).unwrap().body["data"].clone();
        let age = made["updated_at"].as_str().unwrap().to_owned();
        let then = Instant::now();
        until("the next millisecond", SOON, || match then.elapsed() {
            since if since >= Duration::from_millis(2) => Ok(()),
            since => Err(format!("{since:?}")),
        });
        order.push((priority, age, made["id"].as_str().unwrap().to_owned()));
    }
    // What is of one millisecond has no order.
    let mut ages: Vec<&String> = order.iter().map(|(_, age, _)| age).collect();
    ages.dedup();
    assert_eq!(ages.len(), BEADS, "each bead has an age of its own");
    order.sort();
    let begin = Instant::now();
    assert_eq!(rig.operator("POST", "/resume", "").unwrap().status, 200);
    until("hundred closed beads", ALL, || {
        let closed = rig.try_get("/beads?status=closed&limit=1000")?;
        match closed.as_array().map(Vec::len) {
            Some(BEADS) => Ok(()),
            n => Err(format!("{n:?} of {BEADS}: {}", rig.try_get("/status")?)),
        }
    });
    let took = begin.elapsed();
    rig.idle(SOON);

    let claimed = claims(&rig);
    let expected: Vec<&String> = order.iter().map(|(_, _, id)| id).collect();
    assert_eq!(claimed.iter().collect::<Vec<_>>(), expected, "in the order of priority and age");
    let (most, ran) = most_at_once(&world, "hundred");
    assert_eq!(ran.len(), BEADS);
    assert!(ran.values().all(|runs| *runs == 1), "once each: {ran:?}");
    assert!((2..=SLOTS).contains(&most), "{most} at a time");
    eprintln!("{BEADS} beads with {SLOTS} slots took {took:?}, at most {most} at a time");
}

/// The beads that were claimed, in the order of the audit.
fn claims(rig: &Rig) -> Vec<String> {
    let (mut claimed, mut after) = (Vec::new(), 0);
    loop {
        let page = rig.get(&format!("/events?after={after}&limit=1000"));
        let page = page.as_array().unwrap();
        let Some(last) = page.last() else { return claimed };
        after = last["seq"].as_i64().unwrap();
        let hooked =
            page.iter().filter(|it| it["event"] == "hooked" || it["event_type"] == "hooked");
        claimed.extend(hooked.map(|it| it["bead_id"].as_str().unwrap().to_owned()));
    }
}

/// How many processes were there at the same time by their own words, and how many each bead had.
fn most_at_once(world: &World, rig: &str) -> (usize, BTreeMap<String, usize>) {
    let log = fs::read_to_string(world.dir().join("runs").join(rig).join("log")).unwrap();
    let mut steps = Vec::new();
    let mut runs = BTreeMap::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [bead, _, _, said, at] = words[..] else { panic!("{line}") };
        let begins = said == "started";
        if begins {
            *runs.entry(bead.to_owned()).or_insert(0) += 1;
        }
        steps.push((at.parse::<u64>().unwrap(), begins));
    }
    steps.sort_unstable();
    let (mut now, mut most) = (0_usize, 0);
    for (_, begins) in steps {
        now = if begins { now + 1 } else { now - 1 };
        most = most.max(now);
    }
    (most, runs)
}

#[test]
fn ten_notes_at_the_same_time_are_ten_notes() {
    let world = World::start(|options| options);
    let rig = world.rig("notes");
    let bead = rig.create("with notes");
    let path = rig.path(&format!("/beads/{bead}/notes"));
    let answers = at_once(&rig, &path, |n| json!({"text": format!("note {n}")}).to_string());
    assert!(answers.iter().all(|it| it.status == 201), "{answers:?}");
    let bead = rig.bead(&bead);
    let mut said: Vec<(&str, &str)> = bead["notes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["author"].as_str().unwrap(), it["text"].as_str().unwrap()))
        .collect();
    said.sort_unstable();
    let expected: Vec<_> =
        (0..VOICES).map(|n| (format!("person {n}"), format!("note {n}"))).collect();
    let expected: Vec<_> =
        expected.iter().map(|(who, what)| (who.as_str(), what.as_str())).collect();
    assert_eq!(said, expected);
}

#[test]
fn of_ten_who_claim_a_bead_at_the_same_time_one_gets_it_and_nine_are_told_who() {
    let world = World::start(|options| options);
    let rig = world.rig("claims");
    let bead = rig.create("for one of them");
    let answers = at_once(&rig, &rig.path(&format!("/beads/{bead}/claim")), |_| String::new());
    let shown = rig.bead(&bead);
    let winner = shown["assignee"].as_str().unwrap();
    let (won, lost): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|it| it.status == 200);
    assert_eq!((won.len(), &won[0].body["data"]["assignee"]), (1, &Value::from(winner)));
    assert_eq!(lost.len(), VOICES - 1);
    for answer in lost {
        let told = answer.body["error"].as_str().unwrap_or_default();
        assert_eq!((answer.status, answer.code()), (409, "conflict"), "{answer:?}");
        assert_eq!(told, format!("issue already claimed by {winner}"));
    }
    assert_eq!(shown["status"], "in_progress");
}

/// As [`at_once`], with a process of the command for each voice.
fn commands_at_once(rig: &Rig, args: impl Fn(usize) -> Vec<String> + Sync) -> Vec<Output> {
    thread::scope(|scope| {
        let args = &args;
        let calls: Vec<_> = (0..VOICES)
            .map(|n| {
                scope.spawn(move || {
                    let who = format!("person {n}");
                    let mut words = args(n);
                    words.extend(["--actor".to_owned(), who]);
                    rig.cli(&words.iter().map(String::as_str).collect::<Vec<_>>())
                })
            })
            .collect();
        calls.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

#[test]
fn of_ten_commands_that_claim_a_bead_one_gets_it_and_nine_are_told_who_and_ten_notes_are_ten() {
    let world = World::start(|options| options);
    let rig = world.rig("commands");
    let bead = rig.create("for one of them");
    let claims = commands_at_once(&rig, |_| ["update", &bead, "--claim"].map(str::to_owned).into());
    let winner = rig.bead(&bead)["assignee"].as_str().unwrap().to_owned();
    let (won, lost): (Vec<&Output>, Vec<&Output>) =
        claims.iter().partition(|it| it.status.success());
    assert_eq!((won.len(), lost.len()), (1, VOICES - 1), "{claims:?}");
    let told = format!("Error claiming {bead}: issue already claimed by {winner}\n");
    for it in lost {
        assert_eq!((it.status.code(), &*String::from_utf8_lossy(&it.stderr)), (Some(1), &*told));
    }
    let notes = commands_at_once(&rig, |n| vec!["note".into(), bead.clone(), format!("note {n}")]);
    assert!(notes.iter().all(|it| it.status.success()), "{notes:?}");
    let told = rig.notes(&bead);
    let mut said: Vec<&str> = told.lines().collect();
    said.sort_unstable();
    assert_eq!(said, (0..VOICES).map(|n| format!("note {n}")).collect::<Vec<_>>());
}
