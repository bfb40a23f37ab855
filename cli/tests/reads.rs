//! What `show` and `status` ask and print: bd's JSON, and text for people.

mod support;

use beadrig::wire::dispatch::DispatchView;
use beadrig::wire::rig::{AgentView, AttemptView, BeadView, RigStatus};
use expect_test::expect;
use support::{Asked, check, failed_bead, full_bead, noted, ok};

#[test]
fn show_prints_an_array_or_everything_in_text() {
    check(
        |_| ok(full_bead()),
        &["show", "rig-2", "--json"],
        expect![[r#"
        GET /beads/rig-2
        ---
        [
          {
            "id": "rig-2",
            "title": "Fix the parser",
            "description": "Read /etc/hostname inside \u003csandbox\u003e \u0026 say it\nin one line",
            "design": "With cat",
            "acceptance_criteria": "A note includes 'hostname='",
            "notes": "claimed by agent\ntwo\nlines",
            "status": "closed",
            "priority": 1,
            "issue_type": "task",
            "assignee": "agent",
            "created_at": "2026-11-20T03:40:44.939Z",
            "created_by": "alice",
            "updated_at": "2026-11-20T03:41:00.000Z",
            "started_at": "2026-11-20T03:42:00.000Z",
            "closed_at": "2026-11-20T03:45:00.000Z",
            "close_reason": "completed by agent abcdef123456",
            "due_at": "2026-12-01T00:00:00.000Z",
            "defer_until": "2026-11-21T00:00:00.000Z",
            "external_ref": "gh-9",
            "metadata": {
              "tries": 2,
              "where": "here"
            },
            "labels": [
              "infra",
              "smoke"
            ],
            "parent": "rig-1"
          }
        ]
        exit 0
    "#]],
    );
    check(
        |_| ok(full_bead()),
        &["view", "rig-2"],
        expect![[r#"
        GET /beads/rig-2
        ---
        rig-2 — Fix the parser

        Status    closed
        Priority  P1 (high)
        Type      task
        Assignee  agent
        Agent     a1
        Attempts  2 in the last 24 h
        Parent    rig-1
        Labels    infra, smoke
        External  gh-9
        Due       2026-12-01 00:00
        Deferred  2026-11-21 00:00
        Created   2026-11-20 03:40 by alice
        Updated   2026-11-20 03:41
        Started   2026-11-20 03:42
        Closed    2026-11-20 03:45: completed by agent abcdef123456

        DESCRIPTION
        Read /etc/hostname inside <sandbox> & say it
        in one line

        DESIGN
        With cat

        ACCEPTANCE CRITERIA
        A note includes 'hostname='

        METADATA
        {
          "tries": 2,
          "where": "here"
        }

        NOTES
        2026-11-20 03:43 alice
          claimed by agent
        2026-11-20 03:43 a1
          two
          lines
        exit 0
    "#]],
    );
    check(
        |_| ok(failed_bead()),
        &["show", "a/b?c"],
        expect![[r#"
        GET /beads/a%2Fb%3Fc
        ---
        rig-4 — Fix the parser
        Failed: 5 runs in 24 h ended without a result: see the notes, then reopen it

        Status    failed
        Priority  P2 (medium)
        Type      task
        Created   2026-11-20 03:40 by alice
        Updated   2026-11-20 03:41
        exit 0
    "#]],
    );
}

#[test]
fn what_an_agent_writes_cannot_drive_the_terminal() {
    let answer = |_: &Asked| {
        ok(BeadView { title: "red\u{1b}[31m\nline".into(), ..noted(&["\u{1b}]0;x\u{7}y"]) })
    };
    check(
        answer,
        &["show", "rig-1"],
        expect![[r#"
        GET /beads/rig-1
        ---
        rig-1 — red[31m line

        Status    open
        Priority  P2 (medium)
        Type      task
        Created   2026-11-20 03:40 by alice
        Updated   2026-11-20 03:41

        NOTES
        2026-11-20 03:43 alice
          ]0;xy
        exit 0
    "#]],
    );
}

#[test]
fn status_counts_and_tells_what_agents_do() {
    let agent = AgentView {
        id: "a1".into(),
        role: "polecat".into(),
        name: "Toast".into(),
        identity: "rig/polecat/Toast".into(),
        status: "working".into(),
        current_hook_bead_id: Some("rig-2".into()),
        dispatch_attempts: 1,
        attempt: Some(AttemptView {
            number: 3,
            job_id: "j3".into(),
            state: "running".into(),
            reason: None,
            started_at: "2026-11-20T03:42:00.000Z".into(),
            ended_at: None,
            cost_usd: None,
        }),
        last_activity_at: Some("2026-11-20T03:44:00.000Z".into()),
        checkpoint: None,
        created_at: "2026-11-20T03:00:00.000Z".into(),
    };
    let status = RigStatus {
        rig_id: "main".into(),
        beads: [("open".into(), 3), ("in_progress".into(), 1)].into(),
        more_finished: false,
        agents: vec![
            agent.clone(),
            AgentView {
                name: "Nux".into(),
                status: "idle".into(),
                current_hook_bead_id: None,
                attempt: None,
                ..agent
            },
        ],
        max_agents: 5,
        dispatch_enabled: false,
        breaker: None,
        dispatch: DispatchView { enabled: false, paused: Vec::new() },
        next_tick_at: Some("2026-11-20T03:44:30.000Z".into()),
    };
    let other = status.clone();
    check(
        move |_| ok(&status),
        &["status"],
        expect![[r#"
        GET /status
        ---
        Rig main
        Beads     1 in_progress, 3 open
        Agents    1 of 5 at work
                    Toast (polecat) working on rig-2, attempt 3 running, last active 2026-11-20 03:44:00
                    Nux (polecat) idle, last active 2026-11-20 03:44:00
        Dispatch  off: no bead is handed to an agent until it is switched on
        Next tick 2026-11-20 03:44:30
        exit 0
    "#]],
    );
    check(
        move |_| ok(RigStatus { agents: Vec::new(), ..other.clone() }),
        &["stats", "--json"],
        expect![[r#"
            GET /status
            ---
            {
              "summary": {
                "total_issues": 4,
                "open_issues": 3,
                "in_progress_issues": 1,
                "closed_issues": 0,
                "blocked_issues": 0,
                "deferred_issues": 0,
                "ready_issues": 0,
                "pinned_issues": 0,
                "in_review_issues": 0,
                "failed_issues": 0
              },
              "rig_id": "main",
              "beads": {
                "in_progress": 1,
                "open": 3
              },
              "more_finished": false,
              "agents": [],
              "max_agents": 5,
              "dispatch_enabled": false,
              "dispatch": {
                "enabled": false,
                "paused": []
              },
              "next_tick_at": "2026-11-20T03:44:30.000Z"
            }
            exit 0
        "#]],
    );
}
