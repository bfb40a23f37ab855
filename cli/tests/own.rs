//! Beadrig's own verbs against the real core of a rig: what is typed, what is printed, what the rig knows then.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/core.rs"]
mod core;
mod support;

use core::{ended, plain, rig, slung};
use expect_test::expect;
use support::{Rig, command, json, output, run};

fn as_agent(rig: &Rig, agent: &str, args: &[&str]) -> String {
    let mut command = command(&rig.url, args);
    command.env("BEADRIG_AGENT_ID", agent);
    output(command)
}

#[test]
fn sling_hands_work_over_in_one_step_and_hook_shows_it() {
    let (core, rig) = rig();
    let (bead, agent) = slung(&core, &rig);
    let mut told = run(&rig, &["sling", "Write the docs"]);
    told.truncate(told.find(" is with").unwrap());
    assert!(told.starts_with("✓ "), "{told}");
    assert!(told.ends_with("— Write the docs"), "{told}");
    expect![[r#"
        BEAD
        exit 0
    "#]]
    .assert_eq(&plain(&as_agent(&rig, &agent, &["hook"]), &[&bead]));
    expect![[r#"
        ✓ Unhooked AGENT; its run is being ended
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["unhook", &agent]), &[&bead, &agent]));
    expect![[r#"
        nothing is hooked
        exit 0
    "#]]
    .assert_eq(&plain(&as_agent(&rig, &agent, &["hook"]), &[&bead]));
    expect![[r#"
        --- stderr
        Error: which agent?
        Hint: name one; an agent finds itself in BEADRIG_AGENT_ID
        exit 1
    "#]]
    .assert_eq(&plain(&run(&rig, &["hook"]), &[&bead]));
}

#[test]
fn a_bead_is_hooked_to_an_agent_that_is_named() {
    let (core, rig) = rig();
    let (_, agent) = slung(&core, &rig);
    run(&rig, &["unhook", &agent]);
    ended(&core, &rig, &agent, "completed");
    let other = core.with(|rig| rig.assigned("Another"));
    expect![[r#"
        ✓ Hooked BEAD to AGENT
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["hook", &other, &agent]), &[&other, &agent]));
    expect![[r#"
        --- stderr
        Error: Bead rig-none not found
        exit 1
    "#]]
    .assert_eq(&plain(&run(&rig, &["hook", "rig-none", &agent]), &[&other, &agent]));
}

#[test]
fn an_agent_is_primed_with_all_it_needs() {
    let (core, rig) = rig();
    let (bead, agent) = slung(&core, &rig);
    run(
        &rig,
        &["mail", "send", &agent, "-s", "The API changed", "-m", "see the docs\nand the tests"],
    );
    run(
        &rig,
        &["molecule", "create", &bead, "--step", "Plan: write it down", "--step", "Do: change it"],
    );
    core.post(&format!("/agents/{agent}/checkpoint"), r#"{"data":{"at":3}}"#);
    expect![[r#"
        You are Toast (AGENT)

        BEAD — Fix the parser

        Status    in_progress
        Priority  P1 (high)
        Type      issue
        Agent     AGENT
        Attempts  1 in the last 24 h
        Created   2026-01-01 00:00 by ann
        Updated   2026-01-01 00:00
        Started   2026-01-01 00:00

        ACCEPTANCE CRITERIA
        cargo test passes

        STEP 1 OF 2: Plan
        write it down

        LEFT BY THE LAST RUN
        {
          "at": 3
        }

        MAIL 1767225600000 FROM operator: The API changed
        see the docs
        and the tests
        exit 0
    "#]]
    .assert_eq(&plain(&as_agent(&rig, &agent, &["prime"]), &[&bead, &agent]));
    let prime = json(&rig, &["prime", &agent]);
    assert_eq!(prime["hooked_bead"]["id"], bead.as_str(), "{prime}");
    expect![[r#"
        --- stderr
        Error: which agent?
        Hint: name one; an agent finds itself in BEADRIG_AGENT_ID
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["prime"]));
}

#[test]
fn an_agent_is_named_by_its_name_or_the_beginning_of_its_id() {
    let (core, rig) = rig();
    let (_, agent) = slung(&core, &rig);
    let whole = run(&rig, &["agents", "show", &agent]);
    assert_eq!(run(&rig, &["agents", "show", "toast"]), whole);
    assert_eq!(run(&rig, &["agents", "show", &agent[..agent.len() - 2]]), whole);
    expect![[r#"
        --- stderr
        Error: there is no agent "nobody"
        Hint: `beadrig agents` shows them
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["agents", "show", "nobody"]));
    expect![[r#"
        --- stderr
        Error: there is no agent ""
        Hint: `beadrig agents` shows them
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["agents", "show", ""]));
}

#[test]
fn agents_are_listed_shown_set_aside_and_deleted() {
    let (core, rig) = rig();
    expect![[r#"
        No agents: the rig makes them as it needs them.
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["agents"]));
    let (bead, agent) = slung(&core, &rig);
    expect![[r#"
        ID                NAME   ROLE     STATUS   BEAD      LAST ACTIVE
        AGENT  Toast  polecat  working  BEAD  2026-01-01 00:00:00
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["agents", "list"]), &[&bead, &agent]));
    expect![[r#"
        Agent        AGENT
        Name         Toast
        Role         polecat
        Status       working
        Bead         BEAD
        Run          1767225600000 (running), job=JOB
        Since        2026-01-01 00:00:00
        Last active  2026-01-01 00:00:00
        Made         2026-01-01 00:00:00
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["agents", "show", &agent]), &[&bead, &agent]));
    expect![[r#"
        ✓ Agent Toast is blocked
        exit 0
    "#]]
    .assert_eq(&plain(
        &run(&rig, &["agents", "mark", &agent, "blocked", "-r", "its key has expired"]),
        &[&bead, &agent],
    ));
    assert_eq!(json(&rig, &["agents"])[0]["id"], agent.as_str());
    expect![[r#"
        ✓ Deleted agent AGENT
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["agents", "delete", &agent]), &[&bead, &agent]));
    expect![[r#"
        --- stderr
        Error: there is no agent "AGENT"
        Hint: `beadrig agents` shows them
        exit 1
    "#]]
    .assert_eq(&plain(&run(&rig, &["agents", "show", &agent]), &[&bead, &agent]));
}

#[test]
fn mail_is_read_as_often_as_one_likes_and_marked_on_demand() {
    let (core, rig) = rig();
    let (_, agent) = slung(&core, &rig);
    expect![[r#"
        ✓ Sent to BEAD
        exit 0
    "#]]
    .assert_eq(&plain(
        &run(&rig, &["mail", "send", &agent, "-s", "One", "-m", "first\nsecond"]),
        &[&agent],
    ));
    let inbox = ["mail", "inbox", agent.as_str()];
    let first = run(&rig, &inbox);
    expect![[r#"
        1767225600000 from operator: One  2026-01-01 00:00
          first
          second
        exit 0
    "#]]
    .assert_eq(&first);
    assert_eq!(run(&rig, &inbox), first, "reading marks nothing");
    assert_eq!(as_agent(&rig, &agent, &["mail", "inbox"]), first);
    let id = json(&rig, &inbox)[0]["id"].as_str().unwrap().to_owned();
    expect![[r#"
        ✓ 1 marked as read
        exit 0
    "#]]
    .assert_eq(&as_agent(&rig, &agent, &["mail", "ack", &id]));
    expect![[r#"
        No mail.
        exit 0
    "#]]
    .assert_eq(&run(&rig, &inbox));
    assert_eq!(json(&rig, &["mail", "inbox", &agent, "--all"])[0]["subject"], "One");
}

#[test]
fn a_molecule_is_done_step_by_step() {
    let (core, rig) = rig();
    let (bead, agent) = slung(&core, &rig);
    expect![[r#"
        --- stderr
        Error: the step ": nothing" must be TITLE: what is to be done
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["molecule", "create", &bead, "--step", ": nothing"]));
    let made = run(
        &rig,
        &["molecule", "create", &bead, "--step", "Plan: write it down", "--step", "Do: change it"],
    );
    assert!(made.contains("is done in 2 steps"), "{made}");
    expect![[r#"
        Step 1 of 2: Plan
        write it down
        exit 0
    "#]]
    .assert_eq(&as_agent(&rig, &agent, &["molecule", "current"]));
    expect![[r#"
        ✓ Step 2 of 2 is next
        exit 0
    "#]]
    .assert_eq(&as_agent(&rig, &agent, &["molecule", "advance", "-m", "planned", "--step", "1"]));
    let again = as_agent(&rig, &agent, &["molecule", "advance", "-m", "planned", "--step", "1"]);
    expect![[r#"
        ✓ Step 2 of 2 is next
        exit 0
    "#]]
    .assert_eq(&again);
    expect![[r#"
        ✓ All steps are done
        exit 0
    "#]]
    .assert_eq(&as_agent(&rig, &agent, &["molecule", "advance", "-m", "changed"]));
}
