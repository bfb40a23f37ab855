//! What is tried again, what is not, and that a change is never done twice.

mod support;

use expect_test::expect;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::Stdio;
use support::{Reply, Rig, bead, command, nowhere, ok, output, refused};

/// Long enough for any machine; every test here ends by an event, not by time.
const PATIENCE_S: &str = "60";

fn patient(rig: &Rig, args: &[&str]) -> String {
    let mut command = command(&rig.url, args);
    command.env("BEADRIG_RETRY_S", PATIENCE_S);
    let printed = output(command).replace(&rig.url, "http://rig");
    format!("{}---\n{printed}", rig.asked())
}

/// The first answers, then the last one for ever.
fn script(first: Vec<Reply>, last: impl Fn() -> Reply + Send + 'static) -> Rig {
    let mut first = first.into_iter();
    Rig::new(move |_| first.next().unwrap_or_else(&last))
}

fn busy() -> Reply {
    refused(503, "unavailable", "the rig starts")
}

#[test]
fn a_rig_that_comes_up_later_is_waited_for() {
    let address = nowhere();
    let mut close = command(&format!("http://{address}"), &["close", "rig-1"]);
    close.env("BEADRIG_RETRY_S", PATIENCE_S).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut close = close.spawn().unwrap();
    // It says that it waits; then the rig comes.
    let mut stderr = BufReader::new(close.stderr.take().unwrap());
    let mut warning = String::new();
    stderr.read_line(&mut warning).unwrap();
    let rig = Rig::on(TcpListener::bind(&address).unwrap(), |_| ok(bead("rig-1")));
    let mut printed = String::new();
    close.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(close.wait().unwrap().success());
    let text = format!("{warning}{printed}{}", rig.asked()).replace(&address, "rig");
    expect![[r#"
        Warning: cannot reach the rig at http://rig: connection refused; trying again for 60 s
        ✓ Closed rig-1 — Fix the parser: Closed
        POST /beads/rig-1/close {"reason":"Closed","unless_blocked":true}
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_busy_rig_is_asked_again_whatever_is_asked() {
    let rig = script(vec![busy(), busy()], || ok(bead("rig-1")));
    expect![[r#"
        POST /beads {"title":"T","type":"task"}
        POST /beads {"title":"T","type":"task"}
        POST /beads {"title":"T","type":"task"}
        ---
        rig-1
        --- stderr
        Warning: the rig starts; trying again for 60 s
        exit 0
    "#]]
    .assert_eq(&patient(&rig, &["create", "T", "--silent"]));
}

#[test]
fn what_sets_something_is_repeated_after_a_lost_connection() {
    let gateway = Reply::Answer(502, "bad gateway".into());
    let rig = script(vec![Reply::Cut, gateway], || ok(bead("rig-1")));
    expect![[r#"
        PATCH /beads/rig-1 {"status":"open"}
        PATCH /beads/rig-1 {"status":"open"}
        PATCH /beads/rig-1 {"status":"open"}
        ---
        ✓ Updated issue: rig-1 — Fix the parser
        --- stderr
        Warning: lost the connection to the rig at http://rig: Peer disconnected; trying again for 60 s
        exit 0
    "#]].assert_eq(&patient(&rig, &["update", "rig-1", "-s", "open"]));
}

#[test]
fn what_was_lost_is_sent_again_under_the_same_key() {
    for args in [&["create", "T", "--silent"][..], &["note", "rig-1", "hello"]] {
        let rig = script(vec![Reply::Cut, Reply::Cut], || ok(bead("rig-1")));
        let printed = patient(&rig, args);
        assert!(printed.ends_with("exit 0\n"), "{printed}");
        let keys: Vec<_> = rig
            .requests()
            .iter()
            .map(|asked| asked.header("idempotency-key").unwrap().to_owned())
            .collect();
        assert_eq!(keys.len(), 3);
        assert!(keys[0].len() == 32 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
}

#[test]
fn every_change_has_a_key_of_its_own_and_reads_have_none() {
    let rig = script(vec![], || ok(bead("rig-1")));
    for args in [["close", "rig-1"], ["close", "rig-1"], ["show", "rig-1"]] {
        output(command(&rig.url, &args));
    }
    let asked = rig.requests();
    let keys: Vec<_> = asked.iter().map(|asked| asked.header("idempotency-key")).collect();
    assert!(keys[0].is_some() && keys[1].is_some() && keys[0] != keys[1]);
    assert_eq!(keys[2], None);
}

#[test]
fn a_refusal_is_final() {
    let rig = script(vec![], || refused(409, "stale_attempt", "attempt 1 is over"));
    expect![[r#"
        POST /beads/rig-1/close {"reason":"Closed","unless_blocked":true}
        ---
        --- stderr
        Error closing rig-1: attempt 1 is over
        exit 1
    "#]]
    .assert_eq(&patient(&rig, &["close", "rig-1"]));
}

#[test]
fn a_person_is_told_at_once() {
    let rig = script(vec![], || Reply::Cut);
    let printed =
        output(command(&rig.url, &["note", "rig-1", "hello"])).replace(&rig.url, "http://rig");
    assert!(printed.contains("it may have been done: look before you repeat it"), "{printed}");
    assert_eq!(rig.requests().len(), 1);
}

#[test]
fn changes_carry_a_name_and_reads_need_none() {
    let rig = script(vec![], || ok(bead("rig-1")));
    let mut close = command(&rig.url, &["close", "rig-1"]);
    close.env("BEADRIG_ACTOR", "Zoë");
    output(close);
    output(command(&rig.url, &["show", "rig-1", "--actor", "bob"]));
    output(command(&rig.url, &["close", "rig-1", "--actor", "bob"]));
    let names: Vec<_> = rig
        .requests()
        .iter()
        .map(|asked| asked.header("x-beadrig-actor").map(str::to_owned))
        .collect();
    expect![[r#"[Some("Zoë"), None, Some("bob")]"#]].assert_eq(&format!("{names:?}"));
}
