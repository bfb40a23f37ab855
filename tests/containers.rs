//! A town's container, as its town remembers it: when it is replaced, how often, and when people are told.

use beadrig::id::Millis;
use beadrig::limits::{CONTAINER_REPLACED_MAX, CONTAINER_REPLACED_WINDOW_MS};
use beadrig::settings::Settings;
use beadrig::town::{Next, Patience, Stranger, Watch};
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::Who;

const START: Millis = Millis(1_767_225_600_000);
const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;

fn patience() -> Patience {
    Settings::default().patience()
}

/// A container that is asked every ten seconds and never answers: when it is replaced, in seconds, and when it is
/// given up. It is started again at once.
fn silent(watch: &mut Watch, begin: Millis, seconds: i64) -> (Vec<i64>, Option<i64>) {
    let (mut replaced, mut given_up) = (Vec::new(), None);
    for at in (0..seconds).step_by(10) {
        let now = begin.plus(at * SECOND);
        match watch.failed("silence", true, patience(), now) {
            Next::Wait => {}
            Next::Replace => {
                replaced.push(at);
                let n = watch.next_incarnation(now);
                watch.started(n, now);
            }
            Next::GivenUp => given_up = given_up.or(Some(at)),
        }
    }
    (replaced, given_up)
}

fn started() -> Watch {
    let mut watch = Watch::default();
    let n = watch.next_incarnation(START);
    watch.started(n, START);
    watch
}

#[test]
fn a_container_that_takes_ninety_seconds_to_come_up_is_left_alone() {
    let mut watch = started();
    let (replaced, given_up) = silent(&mut watch, START, 91);
    assert_eq!((replaced, given_up), (Vec::new(), None));
    assert_eq!(watch.answered(START.plus(91 * SECOND)), None, "and it was no outage");
}

#[test]
fn incident_12_a_container_that_never_answers_is_replaced_three_times_and_then_given_up() {
    let mut watch = started();
    // 120 s of grace, then three probes that fail over 60 s; the same after each replacement.
    let (replaced, given_up) = silent(&mut watch, START, 4 * 3_600);
    assert_eq!(replaced, [180, 360, 540]);
    assert_eq!(given_up, Some(720), "and it stays so, long after the hour is over");
    let told = watch.untold(patience(), START.plus(4 * HOUR));
    assert_eq!(told.map(|it| (it.replaced, it.given_up)), Some((3, true)));
}

#[test]
fn incident_13_an_outage_with_three_replacements_is_one_with_its_whole_time() {
    let mut watch = started();
    let (replaced, _) = silent(&mut watch, START, 600);
    assert_eq!(replaced.len(), CONTAINER_REPLACED_MAX);
    let over = watch.answered(START.plus(650 * SECOND)).unwrap();
    assert_eq!((over.since, over.replaced, over.given_up), (START, 3, false));
    assert_eq!(over.lasted_ms(START.plus(9 * HOUR)), 650 * SECOND, "until it answered");
    assert_eq!(watch.answered(START.plus(660 * SECOND)), None, "it ends once");
}

#[test]
fn one_probe_that_is_lost_and_many_at_once_replace_nothing() {
    let mut watch = started();
    let now = START.plus(HOUR);
    for ms in 0..1_000 {
        assert_eq!(watch.failed("lost", true, patience(), now.plus(ms)), Next::Wait);
    }
    assert_eq!(watch.answered(now.plus(2 * SECOND)), None);
    // What was counted before an answer counts no more.
    for at in [70, 75, 80] {
        let next = watch.failed("lost", true, patience(), now.plus(at * SECOND));
        assert_eq!(next, Next::Wait, "{at}");
    }
}

#[test]
fn a_container_that_flaps_is_replaced_three_times_an_hour() {
    let mut watch = started();
    let (mut replaced, mut now) = (Vec::new(), START.plus(HOUR));
    let begin = now;
    while now.since(begin) < 2 * HOUR {
        let (ended, given_up) = silent(&mut watch, now, 200);
        replaced.extend(ended.into_iter().map(|at| now.plus(at * SECOND)));
        now = now.plus(200 * SECOND);
        // It answers for a moment after each.
        watch.answered(now);
        assert!(given_up.is_none() || replaced.len() >= CONTAINER_REPLACED_MAX);
    }
    for (n, at) in replaced.iter().enumerate() {
        let within =
            replaced[..n].iter().filter(|it| at.since(**it) < CONTAINER_REPLACED_WINDOW_MS);
        assert!(within.count() < CONTAINER_REPLACED_MAX, "{replaced:?}");
    }
    assert!(replaced.len() > CONTAINER_REPLACED_MAX, "and again in the next hour: {replaced:?}");
}

#[test]
fn a_container_that_was_given_up_is_replaced_again_after_a_person_has_ended_it() {
    let mut watch = started();
    assert!(silent(&mut watch, START, 1_000).1.is_some());
    watch.ended_by_a_person();
    let now = START.plus(1_100 * SECOND);
    let n = watch.next_incarnation(now);
    watch.started(n, now);
    let (replaced, given_up) = silent(&mut watch, now, 400);
    assert_eq!((replaced, given_up), (vec![180, 360], None));
    assert_eq!(watch.outage.as_ref().map(|it| (it.since, it.replaced)), Some((START, 5)));
}

#[test]
fn a_service_that_is_not_ours_is_told_of_and_never_replaced() {
    let mut watch = Watch::default();
    let next: Vec<Next> = (0..7)
        .map(|n| watch.failed("silence", false, patience(), START.plus(n * 10 * SECOND)))
        .collect();
    assert_eq!(next[..6], [Next::Wait; 6]);
    assert_eq!(next[6], Next::GivenUp);
    let now = START.plus(60 * SECOND);
    let outage = watch.untold(patience(), now).unwrap();
    assert_eq!((outage.replaced, outage.lasted_ms(now)), (0, 60 * SECOND));
}

#[test]
fn a_container_that_never_comes_up_is_told_of_after_24_minutes() {
    let mut watch = Watch::default();
    let mut told = None;
    // Each question starts it anew, and each start has its grace.
    for at in (0..7_200).step_by(30) {
        let now = START.plus(at * SECOND);
        let n = watch.next_incarnation(now);
        watch.started(n, now);
        assert_eq!(watch.failed("no room", true, patience(), now), Next::Wait);
        if watch.untold(patience(), now).is_some() {
            told = told.or(Some(at));
        }
    }
    assert_eq!(told, Some(1_440));
}

#[test]
fn what_failed_yesterday_is_not_an_outage_of_today() {
    let mut watch = started();
    let now = START.plus(HOUR);
    watch.failed("it is going down", true, patience(), now);
    // Nobody had work for a day, and now it boots.
    let now = now.plus(24 * HOUR);
    let n = watch.next_incarnation(now);
    watch.started(n, now);
    assert_eq!(watch.failed("it is coming up", true, patience(), now), Next::Wait);
    assert_eq!(watch.untold(patience(), now), None);
}

#[test]
fn the_number_of_a_container_only_grows_even_when_its_town_was_restored_to_yesterday() {
    let mut watch = Watch::default();
    let first = watch.next_incarnation(START);
    assert_eq!(first, START.0);
    assert_eq!(watch.next_incarnation(START), first + 1, "twice in one millisecond");
    let yesterday = serde_json::to_string(&watch).unwrap();
    let last = watch.next_incarnation(START.plus(24 * HOUR));
    let mut restored: Watch = serde_json::from_str(&yesterday).unwrap();
    assert!(restored.next_incarnation(START.plus(24 * HOUR + 1)) > last);
    // A clock that was set back gives no number again.
    assert!(watch.next_incarnation(START.plus(-HOUR)) > last);
}

#[test]
fn what_another_incarnation_or_another_protocol_says_is_not_believed() {
    let mut watch = Watch::default();
    let who = |protocol, incarnation| Who { protocol, incarnation };
    assert_eq!(watch.meets(&who(PROTOCOL, Some(7))), Ok(()), "none was started here yet");
    let n = watch.next_incarnation(START);
    watch.started(n, START);
    assert_eq!(watch.meets(&who(PROTOCOL, Some(n))), Ok(()));
    assert_eq!(watch.meets(&who(PROTOCOL, None)), Ok(()), "an older image says none");
    let Err(Stranger::Incarnation(why)) = watch.meets(&who(PROTOCOL, Some(n - 1))) else {
        panic!("the one before was believed");
    };
    assert!(why.contains(&format!("is incarnation {}, not {n}", n - 1)), "{why}");
    let Err(Stranger::Protocol(why)) = watch.meets(&who(PROTOCOL + 1, Some(n))) else {
        panic!("another protocol was believed");
    };
    assert!(why.starts_with("protocol: the container speaks 2, the rig 1"), "{why}");
    let later = r#"{"protocol":2,"status":{"now":"an object"},"more":1}"#;
    assert_eq!(serde_json::from_str::<Who>(later).unwrap().protocol, 2, "whatever else it says");
}

#[test]
fn a_clock_that_is_set_back_an_hour_does_not_make_a_wedged_container_last_an_hour() {
    let mut watch = Watch::default();
    let n = watch.next_incarnation(START);
    watch.started(n, START);
    let (replaced, _) = silent(&mut watch, START.plus(-HOUR), 400);
    // The grace is counted from when the clock was set.
    assert_eq!(replaced, [180, 360]);
}
