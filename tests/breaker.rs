//! The breaker: what happens to a rig whose container fails every start, and after it. `UPDATE_EXPECT=1` writes what
//! happens today; the figures of the long outage are printed with `-- --nocapture`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints figures")]

mod support;

use std::collections::BTreeMap;

use beadrig::breaker::{Breaker, Event};
use beadrig::command::{Command, StartAnswer};
use beadrig::id::Millis;
use beadrig::limits;
use beadrig::store::{Sql as _, Value};
use expect_test::expect;
use support::{START, TestRig, story};

const MINUTE: i64 = 60_000;

/// How the modelled container answers a start.
#[derive(Clone, Copy, PartialEq)]
enum Container {
    Works,
    Refuses,
    Full,
}

/// A rig, a clock that goes from alarm to alarm, and what was counted on the way.
struct World {
    rig: TestRig,
    container: Container,
    ticks: u64,
    /// Of each bead, when it was asked for; the same attempt asked again is one start.
    starts: BTreeMap<String, Vec<i64>>,
    attempts: Vec<i64>,
    /// These do not start even when the container works.
    bad: Vec<String>,
    /// When two alarms were closest.
    closest: i64,
}

impl World {
    fn new(beads: usize) -> (Self, Vec<String>) {
        let mut rig = TestRig::new();
        let ids = (0..beads).map(|n| rig.assigned(&format!("bead {n}"))).collect();
        let world = Self {
            rig,
            container: Container::Refuses,
            ticks: 0,
            starts: BTreeMap::new(),
            attempts: Vec::new(),
            bad: Vec::new(),
            closest: i64::MAX,
        };
        (world, ids)
    }

    /// A tick; what is accepted is closed by its agent at once.
    fn tick(&mut self) {
        self.ticks += 1;
        self.rig.schedule();
        for start in std::mem::take(&mut self.rig.starts) {
            if !self.attempts.contains(&start.attempt) {
                self.attempts.push(start.attempt);
                self.starts.entry(start.bead_id.clone()).or_default().push(self.rig.now.0);
            }
            let works = self.container == Container::Works && !self.bad.contains(&start.bead_id);
            let answer = match self.container {
                Container::Works if !works => StartAnswer::Refused("no such branch".to_owned()),
                Container::Works => StartAnswer::Accepted,
                Container::Refuses => StartAnswer::Refused("no space left on device".to_owned()),
                Container::Full => StartAnswer::NoRoom("10 of 10 agents run".to_owned()),
            };
            let said = Command::StartAnswered(start.agent_id.clone(), start.attempt, answer);
            self.rig.apply(said).unwrap();
            if works {
                let path = format!("/beads/{}/close", start.bead_id);
                assert_eq!(self.rig.call(&support::agent(&start), "POST", &path, "").0, 200);
            }
        }
        let list =
            serde_json::json!({"bootId": "b", "protocol": beadrig::wire::PROTOCOL, "agents": []});
        self.rig.patrol(Some(&serde_json::from_value(list).unwrap()));
    }

    /// From alarm to alarm, for so many minutes.
    fn run(&mut self, minutes: i64) {
        let until = self.rig.now.plus(minutes * MINUTE);
        while let Some(at) = self.rig.engine.next_wake(self.rig.now).unwrap() {
            if at > until {
                break;
            }
            self.closest = self.closest.min(at.since(self.rig.now));
            self.rig.now = at;
            self.tick();
        }
        self.rig.now = until;
    }

    fn all(&self) -> Vec<i64> {
        let mut all: Vec<i64> = self.starts.values().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    fn count(&mut self, status: &str) -> u64 {
        let beads = self.rig.operator("GET", "/status", "").1["data"]["beads"].clone();
        beads[status].as_u64().unwrap_or(0)
    }

    fn number(&self, sql: &str) -> i64 {
        match self.rig.engine.store.sql().run(sql, &[]).unwrap()[0] {
            Value::Integer(n) => n,
            _ => panic!("{sql}"),
        }
    }
}

/// The most of these within a window.
fn most_within(times: &[i64], window: i64) -> usize {
    (0..times.len())
        .map(|first| times[first..].iter().filter(|at| **at < times[first] + window).count())
        .max()
        .unwrap_or(0)
}

/// Incident 2: 3,612 failures in 70 hours. Incident 74: 4,075 an hour.
#[test]
fn incidents_2_74_a_container_that_fails_every_start_for_72_hours_costs_little_and_then_all_is_done()
 {
    let (mut world, beads) = World::new(50);
    world.tick();
    world.run(72 * 60);
    let all = world.all();
    let (starts, ticks) = (all.len(), world.ticks);
    let opened = all[limits::BREAKER_FAILURES - 1];
    // What had been asked for when the breaker opened goes on; from then on it is one at a time.
    let probes: Vec<i64> = all.iter().copied().filter(|at| *at > opened).collect();
    let closest = probes.windows(2).map(|it| it[1] - it[0]).min().unwrap();
    let most = world.starts.values().map(|it| most_within(it, limits::ATTEMPT_WINDOW_MS)).max();
    let escalations = world.number("SELECT count(*) FROM escalation");
    let rows = world.number("SELECT total_changes()");
    println!(
        "72 h: {starts} starts ({} probes, at least {} min apart), at most {} of a bead in 24 h; {ticks} ticks, \
         {rows} rows written, {escalations} escalations, alarms at least {} s apart",
        probes.len(),
        closest / MINUTE,
        most.unwrap(),
        world.closest / 1_000
    );
    assert!(most.unwrap() <= 5, "{most:?}");
    assert!(closest >= limits::BREAKER_PROBE_MS, "{closest}");
    assert!(starts <= 30 + 72 * 60 / 5, "{starts}");
    assert_eq!(escalations, 1);
    assert!(ticks <= 72 * 12 + 200, "{ticks}");
    assert!(world.closest >= limits::ALARM_MIN_MS);
    assert!(rows < 6_000, "{rows}");
    assert_eq!(world.count("open"), 51, "50 beads and the escalation");
    let why = world.rig.bead(&beads[7])["waiting"].clone();
    assert_eq!(why["reason"], "breaker_open", "{why}");
    assert!(why["message"].as_str().unwrap().contains("no space left on device"), "{why}");
    let status = world.rig.operator("GET", "/status", "").1["data"]["breaker"].clone();
    assert_eq!(status["next_probe_at"], why["until"]);

    world.container = Container::Works;
    world.run(40);
    assert_eq!(world.count("closed"), 51, "and the escalation is closed too");
    assert!(world.rig.operator("GET", "/status", "").1["data"].get("breaker").is_none());
}

/// Incident 3: ten minutes burnt all attempts, and 9 agents stood idle for half a day.
#[test]
fn incident_3_after_ten_minutes_in_which_every_start_failed_all_work_is_done_within_forty() {
    for beads in [4, 5, 12] {
        let (mut world, ids) = World::new(beads);
        world.tick();
        world.run(10);
        assert_eq!(world.count("failed"), 0, "{beads} beads");
        world.container = Container::Works;
        world.run(40);
        for id in &ids {
            let told = world.rig.tell(id);
            assert!(told.starts_with("closed"), "{beads} beads: {told}");
        }
    }
}

/// Where only one bead does not start it is the bead, and it is given up; so are two, when the window has passed.
#[test]
fn few_failures_are_the_beads_and_end_as_ever() {
    let (mut world, ids) = World::new(1);
    world.tick();
    world.run(20);
    assert_eq!(world.rig.tell(&ids[0]), "failed attempts=5 failure=attempts_exhausted");
    world.run(3 * 24 * 60);
    assert_eq!(world.starts[&ids[0]].len(), 5);
    let (mut world, ids) = World::new(2);
    world.tick();
    world.run(2 * 60);
    for id in &ids {
        assert!(world.rig.tell(id).starts_with("failed attempts=5"), "{}", world.rig.tell(id));
        assert_eq!(world.starts[id].len(), 5);
    }
}

/// Beads that never start, in a rig where others do: the breaker opens for them and is closed by the others, again and
/// again. That must not go on for ever.
#[test]
fn beads_that_do_not_start_where_others_do_are_given_up_whatever_the_breaker_says() {
    let (mut world, bad) = World::new(10);
    world.bad.clone_from(&bad);
    world.container = Container::Works;
    world.tick();
    for _ in 0..23 * 6 {
        // Something that works comes in all the time.
        world.rig.assigned("good");
        world.run(10);
    }
    for id in &bad {
        let most = most_within(&world.starts[id], limits::ATTEMPT_WINDOW_MS);
        assert!(most <= limits::EXCUSED_MAX + 5, "{most}");
        assert!(world.rig.tell(id).starts_with("failed"), "{}", world.rig.tell(id));
    }
    let good = world.count("closed");
    assert!(good > 100, "the others are done: {good}");
}

#[test]
fn a_container_without_room_opens_no_breaker() {
    let (mut world, _) = World::new(10);
    world.container = Container::Full;
    world.tick();
    world.run(5 * 60);
    assert_eq!(world.number("SELECT count(*) FROM breaker"), 0);
    world.container = Container::Works;
    world.run(10);
    assert_eq!(world.count("closed"), 10);
}

#[test]
fn the_breaker_is_told_in_the_audit_and_to_whoever_waits() {
    let told = story::tell(
        "
        bead b1 one
        bead b2 two
        bead b3 three
        bead b4 four
        container refuses
        tick
        wait 30s
        tick
        wait 1m
        tick
        wait 2m
        tick
        wait 5m
        tick
        why b1
        show b4
        escalations
        next
        wait 5m
        tick
        container up
        wait 5m
        tick
        show b1
        why b2
        escalations
        ",
    );
    let of_breaker: Vec<&str> = told
        .lines()
        .skip_while(|it| !it.contains("wait 5m"))
        .filter(|it| !it.contains("claimed at") && !it.contains("dispatched"))
        .collect();
    expect![[r#"
        wait 5m
        tick
            start Maple #17 on b1
            b1 agent_exited: attempt #17: start refused: no such command
            b1 note: attempt 5 of 5: start refused: no such command; other beads do not start either, so it waits whether the container is at fault; …
            start Toast #18 on b2
            b2 agent_exited: attempt #18: start refused: no such command
            b2 note: attempt 5 of 5: start refused: no such command; other beads do not start either, so it waits whether the container is at fault; …
            start Birch #19 on b3
            b3 agent_exited: attempt #19: start refused: no such command
            b3 note: attempt 5 of 5: start refused: no such command; other beads do not start either, so it waits whether the container is at fault; …
            start Shadow #20 on b4
            b4 agent_exited: attempt #20: start refused: no such command
            b4 breaker_opened: breaker_open since 00:08:30.000Z: 20 starts failed in 30 min, the last one: start refused: no such command; next probe at 00:13:30.000Z
            b1 attempts_excused: 5 attempts do not count: the starts of the whole rig fail, so the container is at fault
            b3 attempts_excused: 5 attempts do not count: the starts of the whole rig fail, so the container is at fault
            b4 attempts_excused: 5 attempts do not count: the starts of the whole rig fail, so the container is at fault
            b2 attempts_excused: 5 attempts do not count: the starts of the whole rig fail, so the container is at fault
            demo-8aj created: the container fails every start of the rig (P1)
            b4 note: start refused: no such command; not counted, for the starts of the whole rig fail; next try at 00:09:00.000Z
        why b1
            breaker_open since 00:08:30.000Z: 20 starts failed in 30 min, the last one: start refused: no such command; next probe at 00:13:30.000Z
        show b4
            open attempts=0 waiting=breaker_open
        escalations
            the container fails every start of the rig high x1
        next
            00:13:30.000Z
        wait 5m
        tick
            start Maple #21 on b1
            b1 agent_exited: attempt #21: start refused: no such command
            b1 note: start refused: no such command; not counted, for the starts of the whole rig fail; next try at 00:14:00.000Z
        container up
        wait 5m
        tick
            start Maple #22 on b2
            b2 breaker_closed: was open since 00:08:30.000Z; a start was accepted
            demo-8aj closed: was open since 00:08:30.000Z; a start was accepted
        show b1
            open attempts=0 waiting=queued
        why b2
            it does not wait
        escalations"#]].assert_eq(&of_breaker.join("\n"));
}

/// A hook by hand waits too: there is no way around.
#[test]
fn a_bead_that_is_hooked_by_hand_waits_for_the_probe_like_the_others() {
    let (mut world, _) = World::new(5);
    world.tick();
    world.run(4);
    assert!(world.rig.engine.store.breaker().unwrap().is_open());
    let body = r#"{"title":"by hand"}"#;
    let (status, slung) = world.rig.operator("POST", "/sling", body);
    assert_eq!(status, 201, "{slung}");
    let id = slung["data"]["bead"]["id"].as_str().unwrap().to_owned();
    let before = world.all().len();
    for _ in 0..4 {
        world.rig.pass(1_000);
        world.tick();
    }
    assert_eq!(world.all().len(), before, "nothing starts before the probe");
    world.run(60);
    let after = world.all();
    let probes = &after[before..];
    assert!(probes.windows(2).all(|it| it[1] - it[0] >= limits::BREAKER_PROBE_MS), "{probes:?}");
    assert!(world.starts.contains_key(&id));
}

/// The life of a breaker, event by event.
#[test]
fn twenty_failures_in_half_an_hour_open_it_and_a_start_since_then_closes_it() {
    let at = |minutes: i64| START.plus(minutes * MINUTE);
    let failed = |minutes: i64| Event::Failed(at(minutes), "b".to_owned(), "why".to_owned());
    // 19 within 30 minutes, again and again.
    let mut it = Breaker::default();
    for minute in 0..200 {
        it = it.after(failed(minute * 2), at(minute * 2));
        assert!(!it.is_open(), "{minute}");
        assert!(it.failures.len() <= 15);
    }
    let mut it = Breaker::default();
    for n in 0..20 {
        assert!(!it.is_open());
        it = it.after(failed(n), at(n));
    }
    assert_eq!((it.opened_at, it.probe_at), (Some(at(19)), Some(at(24))));
    assert!(!it.lets_through(at(23)) && it.lets_through(at(24)));
    let mut probe = at(24);
    let mut waits = Vec::new();
    for _ in 0..12 {
        it = it.after(Event::Probed, probe).after(failed(30), probe);
        let next = it.probe_at.unwrap();
        waits.push(next.since(probe) / MINUTE);
        probe = next;
    }
    assert_eq!(waits, [5, 5, 5, 5, 5, 5, 5, 6, 7, 9, 10, 12]);
    let far = it.after(Event::Probed, probe.plus(72 * 60 * MINUTE));
    assert_eq!(far.probe_at, Some(probe.plus(72 * 60 * MINUTE + limits::BREAKER_PROBE_MAX_MS)));
    // One from before says nothing.
    assert!(it.after(Event::Succeeded(at(18)), probe).is_open());
    assert_eq!(it.after(Event::Succeeded(probe), probe), Breaker::default());
    assert_eq!(Breaker::default().after(Event::Succeeded(Millis(0)), probe), Breaker::default());
}
