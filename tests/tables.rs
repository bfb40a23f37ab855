//! The lives as whole tables, tokens, and settings: everything that needs no rows.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;

use beadrig::attempt::{self, State};
use beadrig::bead::{Event, Status};
use beadrig::id::{Dice, Millis};
use beadrig::settings::{NAMES, Settings};
use beadrig::token::{Caller, Claims, Secrets, container_token};
use expect_test::expect;

#[test]
fn the_life_of_a_bead() {
    let events = [
        Event::Hooked,
        Event::Released,
        Event::GaveUp,
        Event::Stuck,
        Event::Submitted,
        Event::SentBack,
        Event::Due,
        Event::Closed,
    ];
    let mut table = String::new();
    for status in Status::ALL {
        for event in events {
            let after = status.after(event).map_or_else(|_| "-".to_owned(), |it| it.to_string());
            writeln!(table, "{:<12} {:<21} {after}", status.as_str(), event.to_string()).unwrap();
        }
        assert!(status.after(Event::Set(Status::Failed)).is_err());
        assert_eq!(status.after(Event::Set(Status::Open)), Ok(Status::Open));
    }
    expect![[r#"
        open         hooked                in_progress
        open         released              -
        open         given up              failed
        open         blocked by the rig    blocked
        open         submitted for review  in_review
        open         sent back from review -
        open         due                   -
        open         closed                closed
        in_progress  hooked                in_progress
        in_progress  released              open
        in_progress  given up              failed
        in_progress  blocked by the rig    blocked
        in_progress  submitted for review  in_review
        in_progress  sent back from review -
        in_progress  due                   -
        in_progress  closed                closed
        in_review    hooked                -
        in_review    released              -
        in_review    given up              -
        in_review    blocked by the rig    blocked
        in_review    submitted for review  in_review
        in_review    sent back from review open
        in_review    due                   -
        in_review    closed                closed
        blocked      hooked                -
        blocked      released              -
        blocked      given up              -
        blocked      blocked by the rig    -
        blocked      submitted for review  -
        blocked      sent back from review -
        blocked      due                   -
        blocked      closed                closed
        deferred     hooked                -
        deferred     released              -
        deferred     given up              -
        deferred     blocked by the rig    -
        deferred     submitted for review  -
        deferred     sent back from review -
        deferred     due                   open
        deferred     closed                closed
        closed       hooked                -
        closed       released              -
        closed       given up              -
        closed       blocked by the rig    -
        closed       submitted for review  -
        closed       sent back from review -
        closed       due                   -
        closed       closed                closed
        failed       hooked                -
        failed       released              -
        failed       given up              -
        failed       blocked by the rig    -
        failed       submitted for review  -
        failed       sent back from review -
        failed       due                   -
        failed       closed                closed
    "#]]
    .assert_eq(&table);
}

#[test]
fn the_life_of_an_attempt() {
    use attempt::Event as E;
    let states = [
        State::Claimed,
        State::Starting,
        State::Running,
        State::Stopping,
        State::Done,
        State::Exited,
        State::Lost,
    ];
    let events = [
        ("asked", E::Asked),
        ("no room", E::NoRoom),
        ("alive", E::Alive),
        ("dismissed, done", E::Dismissed(State::Done)),
        ("gone, exited", E::Gone(State::Exited)),
    ];
    let mut table = String::new();
    for state in states {
        let outcome = (state == State::Stopping).then_some(State::Timeout);
        for (name, event) in events {
            let after = match state.after(outcome, event) {
                Ok((after, None)) => after.to_string(),
                Ok((after, Some(end))) => format!("{after}, then {end}"),
                Err(_) => "-".to_owned(),
            };
            writeln!(table, "{:<9} {name:<16} {after}", state.as_str()).unwrap();
        }
    }
    expect![[r#"
        claimed   asked            starting
        claimed   no room          claimed
        claimed   alive            running
        claimed   dismissed, done  done
        claimed   gone, exited     exited
        starting  asked            starting
        starting  no room          claimed
        starting  alive            running
        starting  dismissed, done  stopping, then done
        starting  gone, exited     exited
        running   asked            -
        running   no room          -
        running   alive            running
        running   dismissed, done  stopping, then done
        running   gone, exited     exited
        stopping  asked            -
        stopping  no room          stopping, then timeout
        stopping  alive            stopping, then timeout
        stopping  dismissed, done  stopping, then timeout
        stopping  gone, exited     timeout
        done      asked            -
        done      no room          -
        done      alive            -
        done      dismissed, done  -
        done      gone, exited     -
        exited    asked            -
        exited    no room          -
        exited    alive            -
        exited    dismissed, done  -
        exited    gone, exited     -
        lost      asked            -
        lost      no room          -
        lost      alive            -
        lost      dismissed, done  -
        lost      gone, exited     -
    "#]]
    .assert_eq(&table);
}

/// The container may say anything twice; the second time changes nothing.
#[test]
fn a_report_that_is_repeated_changes_nothing() {
    use attempt::Event as E;
    for state in [State::Claimed, State::Starting, State::Running, State::Stopping] {
        for event in [E::Alive, E::NoRoom, E::Dismissed(State::Done)] {
            if let Ok((once, outcome)) = state.after(Some(State::Done), event)
                && !once.is_over()
            {
                assert_eq!(once.after(outcome, event), Ok((once, outcome)), "{state} {event:?}");
            }
        }
    }
}

fn secrets() -> Secrets {
    Secrets::new(&"o".repeat(32), &"s".repeat(32)).unwrap()
}

fn claims() -> Claims {
    Claims {
        agent_id: "polecat-1".to_owned(),
        rig_id: "demo".to_owned(),
        town_id: "local".to_owned(),
        user_id: "operator".to_owned(),
        attempt: 7,
        iat: 100,
        exp: 200,
    }
}

#[test]
fn a_caller_is_who_the_token_says() {
    let (now, secrets) = (Millis(150_000), secrets());
    let ask = |header: &str| secrets.caller(Some(header), Some(" ann "), now);
    let operator = Caller::Operator { actor: "ann".to_owned() };
    assert_eq!(ask(&format!("Bearer {}", "o".repeat(32))), Ok(operator.clone()));
    assert_eq!(ask(&format!("bearer  {}", "o".repeat(32))), Ok(operator));
    let token = container_token(&"s".repeat(32), "local");
    let container = Caller::Container { town: "local".to_owned() };
    assert_eq!(ask(&format!("Bearer {token}")), Ok(container));
    let token = secrets.sign(&claims());
    assert_eq!(ask(&format!("Bearer {token}")), Ok(Caller::Agent(claims())));
    let other = Secrets::new(&"o".repeat(32), &"t".repeat(32)).unwrap();
    let said: Vec<String> = [
        None,
        Some("Basic b3A6b3A=".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer ooo".to_owned()),
        Some("Bearer a.b.c".to_owned()),
        Some(format!("Bearer {}", container_token(&"t".repeat(32), "local"))),
        Some(format!("Bearer {}", other.sign(&claims()))),
        Some(format!("Bearer {}", secrets.sign(&Claims { exp: 150, ..claims() }))),
        Some(format!("Bearer {}x", secrets.sign(&claims()))),
    ]
    .into_iter()
    .map(|header| secrets.caller(header.as_deref(), None, now).unwrap_err().to_string())
    .collect();
    expect![[r#"
        Authentication required
        Authentication required
        Authentication required
        Invalid token signature
        Invalid token signature
        Invalid token signature
        Invalid token signature
        Token expired
        Invalid token signature"#]]
    .assert_eq(&said.join("\n"));
}

#[test]
fn a_secret_that_is_being_changed_has_two_values_and_the_first_one_signs() {
    let now = Millis(150_000);
    let (old, new) = (secrets(), Secrets::new(&"p".repeat(32), &"t".repeat(32)).unwrap());
    let both = |name: &str| format!("{}, {}", name[..1].repeat(32), name[1..].repeat(32));
    let changing = Secrets::new(&both("po"), &both("ts")).unwrap();
    let ask = |secrets: &Secrets, token: &str| {
        secrets.caller(Some(&format!("Bearer {token}")), None, now).is_ok()
    };
    assert!(ask(&changing, &"p".repeat(32)) && ask(&changing, &"o".repeat(32)));
    assert!(!ask(&changing, &both("po")), "the two together are no token");
    assert!(ask(&changing, &old.sign(&claims())) && ask(&changing, &new.sign(&claims())));
    assert_eq!(changing.sign(&claims()), new.sign(&claims()));
    let of = |secrets: &Secrets| secrets.container_tokens("local");
    assert_eq!(of(&changing), [of(&new), of(&old)].concat());
    assert!(of(&changing).iter().all(|it| ask(&changing, it)));
    assert!(!ask(&old, &of(&new)[0]));
    let said = |operator: &str| Secrets::new(operator, &"s".repeat(32)).err().unwrap();
    assert_eq!(
        said(&format!("{},", "o".repeat(32))),
        "BEADRIG_TOKEN must have at least 32 characters, it has 0"
    );
    assert_eq!(
        said("a,b,c"),
        "BEADRIG_TOKEN may hold 2 values with a comma, new and old; it has 3"
    );
}

#[test]
fn a_short_secret_is_refused_with_its_name_and_not_shown() {
    let said = Secrets::new("short", &"s".repeat(32)).err().unwrap();
    assert_eq!(said, "BEADRIG_TOKEN must have at least 32 characters, it has 5");
}

#[test]
fn a_bad_setting_is_refused_with_its_name_and_what_it_takes() {
    let read = |name: &'static str, value: &'static str| {
        Settings::read(|it| (it == name).then(|| value.to_owned()))
    };
    assert_eq!(Settings::read(|_| None), Ok(Settings::default()));
    assert_eq!(Settings::read(|_| Some(" ".to_owned())), Ok(Settings::default()));
    let asked = std::cell::RefCell::new(Vec::new());
    Settings::read(|name| {
        asked.borrow_mut().push(name.to_owned());
        None
    })
    .unwrap();
    assert_eq!(asked.into_inner(), NAMES, "the list of names is the list of what is read");
    let command = read("AGENT_COMMAND", "claude -p '{prompt}' --x").unwrap().agent_command;
    assert_eq!(command, ["claude", "-p", "{prompt}", "--x"]);
    assert_eq!(read("BACK_OFF_MS", "10, 20").unwrap().back_off(9), 20);
    let said: Vec<String> = [
        ("MAX_AGENTS", "0"),
        ("MAX_ATTEMPTS", "many"),
        ("BACK_OFF_MS", "10,x"),
        ("ACTIVE_ALARM_MS", "10"),
        ("IDLE_ALARM_MS", "-1"),
        ("DISPATCH_ENABLED", "yes"),
        ("AGENT_COMMAND", "claude 'open"),
        ("RUN_TIMEOUT_S", "0"),
        ("TOWN", "a/b"),
        ("CORS_ORIGIN", "*"),
        ("CORS_ORIGIN", "https://board.example.com/"),
    ]
    .into_iter()
    .map(|(name, value)| read(name, value).unwrap_err().to_string())
    .collect();
    expect![[r#"
        MAX_AGENTS is "0", but it takes a number from 1 to 50
        MAX_ATTEMPTS is "many", but it takes a number from 1 to 20
        BACK_OFF_MS is "10,x", but it takes 1 to 10 waits in milliseconds with commas, such as 30000,60000
        ACTIVE_ALARM_MS is "10", but it takes milliseconds from 1000 to 86400000 (a day)
        IDLE_ALARM_MS is "-1", but it takes milliseconds from 0 to 86400000 (a day)
        DISPATCH_ENABLED is "yes", but it takes true or false
        AGENT_COMMAND is "claude 'open", but it takes a command with its arguments, quoted as in a shell
        RUN_TIMEOUT_S is "0", but it takes seconds from 1 to 86400
        TOWN is "a/b", but it takes 1 to 64 letters, digits, '-' and '_'
        CORS_ORIGIN is "*", but it takes an origin such as https://board.example.com, without a slash at the end
        CORS_ORIGIN is "https://board.example.com/", but it takes an origin such as https://board.example.com, without a slash at the end"#]].assert_eq(&said.join("\n"));
}

#[test]
fn times_and_chance() {
    let at = Millis::parse("2026-01-31T12:00:00.5+01:00").unwrap();
    assert_eq!(at.to_string(), "2026-01-31T11:00:00.500Z");
    assert_eq!((Millis(5).since(Millis(9)), Millis(9).since(Millis(5))), (0, 4));
    assert_eq!(Millis::parse("yesterday"), None);
    let (mut one, mut two) = (Dice::new(7), Dice::new(7));
    assert_eq!(one.base36(8), two.base36(8));
    assert_eq!(one.job_id().len(), 12);
}

#[test]
fn the_life_of_a_review() {
    use beadrig::review::{Event, State};
    let ends = [State::Merged, State::Conflict, State::Failed].map(Event::Ended);
    let mut events = vec![Event::Started, Event::PutBack, Event::Pushed];
    events.extend(ends);
    let mut table = String::new();
    for state in State::ALL {
        for event in &events {
            let after = state.after(*event).map_or_else(|_| "-".to_owned(), |it| it.to_string());
            writeln!(table, "{:<9} {:<10} {after}", state.as_str(), event.to_string()).unwrap();
        }
        assert!(state.after(Event::Ended(State::Pending)).is_err(), "pending is no end");
    }
    expect![[r#"
        pending   started    running
        pending   put back   pending
        pending   pushed     waiting
        pending   merged     merged
        pending   conflict   conflict
        pending   failed     failed
        running   started    -
        running   put back   pending
        running   pushed     waiting
        running   merged     merged
        running   conflict   conflict
        running   failed     failed
        waiting   started    -
        waiting   put back   -
        waiting   pushed     -
        waiting   merged     merged
        waiting   conflict   conflict
        waiting   failed     failed
        merged    started    -
        merged    put back   -
        merged    pushed     -
        merged    merged     -
        merged    conflict   -
        merged    failed     -
        conflict  started    -
        conflict  put back   -
        conflict  pushed     -
        conflict  merged     -
        conflict  conflict   -
        conflict  failed     -
        failed    started    -
        failed    put back   -
        failed    pushed     -
        failed    merged     -
        failed    conflict   -
        failed    failed     -
    "#]]
    .assert_eq(&table);
}

#[test]
fn the_life_of_a_molecule() {
    use beadrig::molecule::{Event, State};
    let next = Event::Advanced { last: false };
    let last = Event::Advanced { last: true };
    assert_eq!(State::Active.after(next), Ok(State::Active));
    assert_eq!(State::Active.after(last), Ok(State::Completed));
    let refused = State::Completed.after(last).unwrap_err();
    assert_eq!(refused.to_string(), "Molecule is completed, cannot advance");
}

#[test]
fn what_a_container_says_is_wrong_with_itself_is_no_fault_of_the_bead() {
    use beadrig::command::StartAnswer;
    use beadrig::wire::container::Problem;
    let said =
        |code: &str| StartAnswer::of(Problem { error: "why".to_owned(), code: code.to_owned() });
    for code in ["capacity", "unauthorized", "protocol"] {
        assert_eq!(said(code), StartAnswer::NoRoom("why".to_owned()), "{code}");
    }
    for code in ["invalid", "stale_attempt", "spawn_failed", "something new"] {
        assert_eq!(said(code), StartAnswer::Refused("why".to_owned()), "{code}");
    }
    for code in ["unknown", "internal"] {
        assert_eq!(said(code), StartAnswer::Unknown("why".to_owned()), "{code}");
    }
}
