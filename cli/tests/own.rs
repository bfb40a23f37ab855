//! Beadrig's own verbs against the real core of a rig: what is typed, what is printed, what the rig knows then.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/core.rs"]
mod core;
mod support;

use core::Core;
use expect_test::expect;
use support::{Rig, command, json, output, run};

fn rig() -> (Core, Rig) {
    let core = Core::new();
    let rig = core.serve(|_| None);
    (core, rig)
}

/// Slings one bead and has the container accept its run; answers bead and agent.
fn slung(core: &Core, rig: &Rig) -> (String, String) {
    let made =
        json(rig, &["sling", "Fix the parser", "--acceptance", "cargo test passes", "-p", "1"]);
    core.tick();
    let name = |key: &str| made[key]["id"].as_str().unwrap().to_owned();
    (name("bead"), name("agent"))
}

/// The agent's process ends.
fn ended(core: &Core, rig: &Rig, agent: &str, status: &str) {
    let run = json(rig, &["agents", "show", agent])["attempt"]["number"].clone();
    let report =
        format!(r#"{{"status":"{status}","reason":"exited","exit_code":3,"attempt":{run}}}"#);
    core.post(&format!("/agents/{agent}/completed"), &report);
}

fn as_agent(rig: &Rig, agent: &str, args: &[&str]) -> String {
    let mut command = command(&rig.url, args);
    command.env("BEADRIG_AGENT_ID", agent);
    output(command)
}

/// Ids are made anew with each version of the core; what they are is not what is told here.
fn plain(text: &str, ids: &[&String]) -> String {
    let named = ["BEAD", "AGENT", "OTHER", "MORE"];
    let text = ids
        .iter()
        .zip(named)
        .fold(text.to_owned(), |text, (id, name)| text.replace(id.as_str(), name));
    let mut jobs = text.split("job=");
    let first = jobs.next().unwrap().to_owned();
    jobs.fold(first, |all, rest| all + "job=JOB" + &rest[12..])
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
        ID                NAME   ROLE     STATUS   BEAD      RUN      LAST ACTIVE
        AGENT  Toast  polecat  working  BEAD  running  2026-01-01 00:00:00
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

#[test]
fn reviews_are_listed_shown_and_completed_by_a_person() {
    let (core, rig) = rig();
    expect![[r#"
        Nothing waits to be merged.
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["review"]));
    run(&rig, &["settings", "set", "git_url=https://example.com/site.git"]);
    let (bead, agent) = slung(&core, &rig);
    core.post(&format!("/agents/{agent}/done"), r#"{"summary":"it takes tabs"}"#);
    let review = json(&rig, &["review", "list"])[0]["id"].as_str().unwrap().to_owned();
    let branch = json(&rig, &["review", "list"])[0]["branch"].as_str().unwrap().to_owned();
    let ids = [&bead, &agent, &branch, &review];
    expect![[r#"
        ID                   BEAD      STATUS   BRANCH             SINCE             MESSAGE
        MORE  BEAD  pending  gt/toast/BEAD  2026-01-01 00:00  -
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["review", "list", "--status", "pending"]), &ids));
    expect![[r#"
        Review        MORE
        Bead          BEAD
        Agent         AGENT
        Status        pending
        Branch        gt/toast/BEAD
        Summary       it takes tabs
        Handed in     2026-01-01 00:00:00
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["review", "show", &review]), &ids));
    expect![[r#"
        BEAD — Fix the parser (in_review)
        Why         the merge of its branch gt/toast/BEAD is pending
        Since       2026-01-01 00:00:00
        Ends when   the merge is over; it is tried again by itself
        Tried       1 run in the last 24 h; dispatched: job=JOB; done: branch=gt/toast/BEAD summary=it takes tabs
        exit 0
    "#]].assert_eq(&plain(&run(&rig, &["why", &bead]), &ids));
    expect![[r#"
        ✓ Review MORE is merged
        exit 0
    "#]]
    .assert_eq(&plain(
        &run(&rig, &["review", "complete", &review, "merged", "--commit", "4f2c9d1"]),
        &ids,
    ));
    assert_eq!(json(&rig, &["show", &bead])[0]["status"], "closed");
    expect![[r#"
        --- stderr
        Error: status "lost" is not one of pending, running, waiting, merged, conflict, failed
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["review", "list", "--status", "lost"]));
}

#[test]
fn a_convoy_tracks_beads_until_all_are_closed() {
    let (core, rig) = rig();
    let (one, other) = core.with(|rig| (rig.assigned("One"), rig.assigned("Other")));
    let made = json(&rig, &["convoy", "create", "Release 2", &one, &other]);
    let id = made["id"].as_str().unwrap().to_owned();
    run(&rig, &["close", &one]);
    expect![[r#"
        ID                   STATUS  CLOSED  STRANDED  TITLE
        BEAD  active  1 of 2  -         Release 2
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["convoy"]), &[&id]));
    run(&rig, &["close", &other]);
    expect![[r#"
        Convoy    BEAD
        Title     Release 2
        Status    landed
        Closed    2 of 2
        Made      2026-01-01 00:00 by ann
        Landed    2026-01-01 00:00
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["convoy", "show", &id]), &[&id]));
}

#[test]
fn escalations_wait_until_somebody_looks_after_them() {
    let (core, rig) = rig();
    expect![[r#"
        Nothing waits for a person.
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["escalations"]));
    let made = core.post("/escalations", r#"{"title":"The disk is full","severity":"high"}"#);
    let id = made["id"].as_str().unwrap().to_owned();
    expect![[r#"
        BEAD      SEVERITY  TIMES  SINCE             WITH  TITLE
        BEAD  high      1      2026-01-01 00:00  -     The disk is full
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["escalations"]), &[&id]));
    expect![[r#"
        ✓ You look after BEAD — The disk is full
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["escalations", "ack", &id]), &[&id]));
    expect![[r#"
        Nothing waits for a person.
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["escalations", "list"]));
    assert_eq!(json(&rig, &["escalations", "list", "--all"])[0]["acknowledged"], true);
}

#[test]
fn the_settings_of_a_rig_are_set_and_given_back_and_secrets_stay_masked() {
    let (core, rig) = rig();
    expect![[r#"
        5
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["settings", "get", "max_agents"]));
    expect![[r#"
        ✓ Set default_branch: it is trunk now
        ✓ Set max_agents: it is 3 now
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["settings", "set", "max_agents=3", "default_branch=trunk"]));
    run(&rig, &["settings", "set", "env_vars.API_KEY=sk-0123456789abcdef"]);
    run(&rig, &["settings", "set", "env_vars.REGION=eu"]);
    run(&rig, &["sling", "Fix the parser", "--acceptance", "cargo test passes"]);
    let told = core.with(|rig| {
        rig.schedule();
        rig.engine.with_layer(&rig.starts[0]).unwrap().env_vars
    });
    assert_eq!(told["API_KEY"], "sk-0123456789abcdef", "the other one is kept");
    let shown = run(&rig, &["settings"]);
    assert!(!shown.contains("sk-0123456789abcdef"), "{shown}");
    let set: Vec<_> = shown.lines().filter(|line| line.contains(" rig ")).collect();
    expect![[r#"
        default_branch        rig         trunk
        env_vars              rig         {"API_KEY":"****cdef","REGION":"****"}
        max_agents            rig         3
    "#]]
    .assert_eq(&(set.join("\n") + "\n"));
    expect![[r#"
        ✓ Gave back max_agents: it is 5 now
        exit 0
    "#]]
    .assert_eq(&run(&rig, &["settings", "unset", "max_agents"]));
    expect![[r#"
        --- stderr
        Error: a rig has no setting "colour"
        Hint: there are active_alarm_ms, agent_command, agent_model, back_off_ms, default_branch, dispatch_enabled, env_vars, git_url, idle_alarm_ms, max_agents, max_attempts, merge_gates, merge_gates_parallel, merge_strategy, of_town, overridden, prefix, rig_id, run_timeout_s, town
        exit 1
    "#]].assert_eq(&run(&rig, &["settings", "get", "colour"]));
    expect![[r#"
        --- stderr
        Error: "max_agents" is no KEY=VALUE
        Hint: for example max_agents=3
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["settings", "set", "max_agents"]));
    expect![[r#"
        --- stderr
        Error: max_agents is "many", but it takes a number from 1 to 50
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["settings", "set", "max_agents=many"]));
}

#[test]
fn why_says_what_a_bead_waits_for_and_what_ends_that() {
    let (core, rig) = rig();
    let loose = core.bead(r#"{"title":"Loose","assignee":"agent"}"#);
    expect![[r#"
        BEAD — Loose (open)
        Why         has no acceptance criteria, and an agent takes no bead without; add them: beadrig update BEAD --acceptance "…"
        Since       2026-01-01 00:00:00
        Ends when   `beadrig update BEAD --acceptance "when it is done"`
        exit 0
    "#]].assert_eq(&plain(&run(&rig, &["why", &loose]), &[&loose]));
    let other = core.with(|rig| rig.assigned("Depends"));
    core.post(&format!("/beads/{other}/dependencies"), &format!(r#"{{"depends_on":"{loose}"}}"#));
    let ids = [&loose, &other];
    expect![[r#"
        AGENT — Depends (open)
        Why         waits for BEAD to be closed
                    BEAD (open) Loose
        Since       2026-01-01 00:00:00
        Ends when   BEAD is closed; `beadrig why BEAD` goes on from there
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["why", &other]), &ids));
    let blockers = json(&rig, &["why", &other])["blocked_by"].clone();
    assert_eq!(blockers[0]["id"], loose.as_str(), "{blockers}");
    expect![[r#"
        --- stderr
        Error: no issue found matching "rig-none"
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["why", "rig-none"]));
    let free = core.bead(r#"{"title":"Nobody's"}"#);
    expect![[r#"
        BEAD — Nobody's (open)
        Why         nobody was asked to do it
        Since       2026-01-01 00:00:00
        Ends when   `beadrig assign BEAD agent`
        exit 0
    "#]]
    .assert_eq(&plain(&run(&rig, &["why", &free]), &[&free]));
}

#[test]
fn why_tells_of_runs_and_of_what_went_wrong_last() {
    let (core, rig) = rig();
    let (bead, agent) = slung(&core, &rig);
    expect![[r#"
        BEAD — Fix the parser (in_progress)
        Why         agent Toast is at it: run 1767225600000 is running, last sign of life 2026-01-01 00:00:00
        Since       2026-01-01 00:00:00
        Ends when   it says done; `beadrig logs -f BEAD` shows how it goes
        Tried       1 run in the last 24 h; dispatched: job=JOB
        exit 0
    "#]].assert_eq(&plain(&run(&rig, &["why", &bead]), &[&bead, &agent]));
    ended(&core, &rig, &agent, "failed");
    expect![[r#"
        BEAD — Fix the parser (in_progress)
        Why         agent Toast has it, and does not run
        Since       2026-01-01 00:00:00
        Ends when   the next run is begun, by itself, and says done
        Tried       1 run in the last 24 h; dispatched: job=JOB; attempt 1 of 5: exited with code 3 without closing the bead; next try at 2026-01-01T00:00:30.000Z
        Last error  attempt 1 of 5: exited with code 3 without closing the bead; next try at 2026-01-01T00:00:30.000Z
        exit 0
    "#]].assert_eq(&plain(&run(&rig, &["why", &bead]), &[&bead, &agent]));
    run(&rig, &["update", &bead, "-s", "blocked"]);
    expect![[r#"
        BEAD — Fix the parser (blocked)
        Why         it waits for a person
        Since       2026-01-01 00:00:00
        Ends when   a person looks at it, then `beadrig reopen BEAD`
        Tried       1 run in the last 24 h; dispatched: job=JOB; attempt 1 of 5: exited with code 3 without closing the bead; next try at 2026-01-01T00:00:30.000Z
        Last error  attempt 1 of 5: exited with code 3 without closing the bead; next try at 2026-01-01T00:00:30.000Z
        exit 0
    "#]].assert_eq(&plain(&run(&rig, &["why", &bead]), &[&bead, &agent]));
    run(&rig, &["close", &bead]);
    expect![[r#"
        BEAD — Fix the parser (closed)
        Why         it is closed, and waits for nothing
        Since       2026-01-01 00:00:00
        Ends when   `beadrig reopen BEAD` opens it again
        Tried       1 run in the last 24 h; dispatched: job=JOB; attempt 1 of 5: exited with code 3 without closing the bead; next try at 2026-01-01T00:00:30.000Z
        Last error  attempt 1 of 5: exited with code 3 without closing the bead; next try at 2026-01-01T00:00:30.000Z
        exit 0
    "#]].assert_eq(&plain(&run(&rig, &["why", &bead]), &[&bead, &agent]));
}

#[test]
fn every_list_is_one_json_value_and_fits_any_terminal() {
    let (core, rig) = rig();
    let (bead, agent) = slung(&core, &rig);
    let asks = core.post(
        "/escalations",
        r#"{"title":"The disk is full of logs that nobody reads any more","severity":"high"}"#,
    )["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for verb in ["agents", "review", "convoy", "escalations", "settings"] {
        json(&rig, &[verb]);
    }
    let mut all = String::new();
    for width in [40, 80, 120] {
        for verb in ["agents", "escalations", "settings"] {
            let shown = in_terminal(&rig, width, &[verb]);
            assert!(
                shown.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= width),
                "{verb} in {width} columns:\n{shown}"
            );
            assert!(!shown.contains('\u{1b}'), "no colours were asked for");
            if width == 80 || verb == "agents" {
                all += &format!("{verb} in {width} columns\n{shown}\n");
            }
        }
    }
    expect![[r#"
        agents in 40 columns
        ID           AGENT
        NAME         Toast
        ROLE         polecat
        STATUS       working
        BEAD         BEAD
        RUN          running
        LAST ACTIVE  2026-01-01 00:00:00

        agents in 80 columns
        ID           AGENT
        NAME         Toast
        ROLE         polecat
        STATUS       working
        BEAD         BEAD
        RUN          running
        LAST ACTIVE  2026-01-01 00:00:00

        escalations in 80 columns
        BEAD      SEVERITY  TIMES  SINCE             WITH  TITLE
        OTHER  high      1      2026-01-01 00:00  -     The disk is full of logs tha…

        settings in 80 columns
        SETTING               SET BY      VALUE
        active_alarm_ms       deployment  30000
        agent_command         deployment  ["example-agent"]
        agent_model           deployment  -
        back_off_ms           deployment  [30000,60000,120000,300000,600000]
        default_branch        deployment  -
        dispatch_enabled      deployment  true
        env_vars              deployment  {}
        git_url               deployment  -
        idle_alarm_ms         deployment  300000
        max_agents            deployment  5
        max_attempts          deployment  5
        merge_gates           deployment  []
        merge_gates_parallel  deployment  false
        merge_strategy        deployment  direct
        prefix                deployment  demo
        run_timeout_s         deployment  2700
        town                  deployment  local

        agents in 120 columns
        ID                NAME   ROLE     STATUS   BEAD      RUN      LAST ACTIVE
        AGENT  Toast  polecat  working  BEAD  running  2026-01-01 00:00:00

    "#]]
    .assert_eq(&plain(&all, &[&bead, &agent, &asks]));
}

/// What is printed where a terminal is so wide.
fn in_terminal(rig: &Rig, width: usize, args: &[&str]) -> String {
    use beadrig_cli::{args::Cli, text::Style, verbs};
    use clap::Parser as _;
    let dir = support::directory("terminal");
    let token = dir.join("token");
    std::fs::write(&token, support::TOKEN).unwrap();
    let flags =
        ["beadrig", "--url", &rig.url, "--rig", "main", "--token-file", token.to_str().unwrap()];
    let cli = Cli::parse_from(flags.iter().chain(args));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let style = Style { color: false, width: Some(width) };
    let mut screen =
        verbs::Screen { out: &mut out, err: &mut err, json: false, quiet: false, style };
    verbs::run(cli, &mut screen).unwrap();
    String::from_utf8(out).unwrap()
}
