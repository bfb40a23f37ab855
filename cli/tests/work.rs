//! Work that is under way, and what is set for the rig, against the real core of a rig: reviews, convoys, escalations,
//! settings, why a bead waits, and that all of it fits the terminal.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/core.rs"]
mod core;
mod support;

use core::{ended, plain, rig, slung};
use expect_test::expect;
use support::{Rig, json, run};

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
        Hint: there are active_alarm_ms, agent_command, agent_model, back_off_ms, default_branch, dispatch_enabled, env_vars, git_url, gupp_ms, idle_alarm_ms, max_agents, max_attempts, max_budget_usd, merge_gates, merge_gates_parallel, merge_strategy, of_town, overridden, prefix, reaper_ms, rig_id, run_timeout_s, town
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
        Why         1 of 5 attempts failed; next try at 2026-01-01T00:00:30.000Z
        Since       2026-01-01 00:00:00
        Until       2026-01-01 00:00:30
        Ends when   the wait is over, by itself
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
    let watch = ["watch", "--after", "0", "--once"];
    for width in [40, 80, 120] {
        let verbs: [&[&str]; 7] = [
            &["agents"],
            &["escalations"],
            &["settings"],
            &["why", &bead],
            &["why", &asks],
            &["history", &bead],
            &watch,
        ];
        for args in verbs {
            let verb = args[0];
            let shown = in_terminal(&rig, width, args);
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
        LAST ACTIVE  2026-01-01 00:00:00

        agents in 80 columns
        ID                NAME   ROLE     STATUS   BEAD      LAST ACTIVE
        AGENT  Toast  polecat  working  BEAD  2026-01-01 00:00:00

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
        gupp_ms               deployment  1800000
        idle_alarm_ms         deployment  300000
        max_agents            deployment  5
        max_attempts          deployment  5
        max_budget_usd        deployment  5
        merge_gates           deployment  []
        merge_gates_parallel  deployment  false
        merge_strategy        deployment  direct
        prefix                deployment  demo
        reaper_ms             deployment  1800000
        run_timeout_s         deployment  2700
        town                  deployment  local

        why in 80 columns
        BEAD — Fix the parser (in_progress)
        Why         agent Toast is at it: run 1767225600000 is running, last sign of
                    life 2026-01-01 00:00:00
        Since       2026-01-01 00:00:00
        Ends when   it says done; `beadrig logs -f BEAD` shows how it goes
        Tried       1 run in the last 24 h; dispatched: job=JOB

        why in 80 columns
        OTHER — The disk is full of logs that nobody reads any more (open)
        Why         nobody was asked to do it
        Since       2026-01-01 00:00:00
        Ends when   `beadrig assign OTHER agent`

        history in 80 columns
        2026-01-01 00:00:00  AGENT agent_spawned 1767225600000
        2026-01-01 00:00:00  ann hooked AGENT: Toast
        2026-01-01 00:00:00  ann created issue: Fix the parser (P1)

        watch in 80 columns
        00:00:00  BEAD  created  issue by ann: Fix the parser (P1)
        00:00:00  BEAD  hooked  AGENT by ann: Toast
        00:00:00  BEAD  agent spawned  1767225600000 by AGENT
        00:00:00  OTHER  created  escalation by ann

        agents in 120 columns
        ID                NAME   ROLE     STATUS   BEAD      LAST ACTIVE
        AGENT  Toast  polecat  working  BEAD  2026-01-01 00:00:00

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
    let mut screen = verbs::Screen {
        out: &mut out,
        err: &mut err,
        json: false,
        quiet: false,
        style,
        name: "beadrig",
    };
    verbs::run(cli, &mut screen).unwrap();
    String::from_utf8(out).unwrap()
}
