//! What `list` asks, filters, sorts and prints: bd's JSON, and a table that fits.

mod support;

use beadrig::wire::rig::BeadView;
use beadrig_cli::text::{self, Style};
use expect_test::expect;
use support::{Asked, Reply, Rig, bead, check, failed_bead, full_bead, ok, run, waiting_bead};
use unicode_width::UnicodeWidthStr as _;

fn three(_: &Asked) -> Reply {
    ok([BeadView { notes: None, ..full_bead() }, failed_bead(), waiting_bead()])
}

#[test]
fn list_prints_counts_and_parents() {
    check(
        three,
        &"list --json -s open,failed -a agent -t feat -p P2 -l x&y".split(' ').collect::<Vec<_>>(),
        expect![[r#"
            GET /beads?status=open%2Cfailed&assignee=agent&type=feature&priority=2&label=x%26y&limit=1000&offset=0
            ---
            [
              {
                "id": "rig-2",
                "title": "Fix the parser",
                "description": "Read /etc/hostname inside \u003csandbox\u003e \u0026 say it\nin one line",
                "design": "With cat",
                "acceptance_criteria": "A note includes 'hostname='",
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
                "dependency_count": 0,
                "dependent_count": 0,
                "comment_count": 0,
                "parent": "rig-1"
              },
              {
                "id": "rig-3",
                "title": "Fix the parser",
                "status": "open",
                "priority": 2,
                "issue_type": "task",
                "assignee": "agent",
                "created_at": "2026-11-20T03:40:44.939Z",
                "created_by": "alice",
                "updated_at": "2026-11-20T03:41:00.000Z",
                "dependency_count": 0,
                "dependent_count": 0,
                "comment_count": 0,
                "waiting": {
                  "reason": "no_acceptance_criteria",
                  "message": "no agent takes it without acceptance criteria: give it some with `beadrig update`",
                  "until": null
                }
              },
              {
                "id": "rig-4",
                "title": "Fix the parser",
                "status": "failed",
                "priority": 2,
                "issue_type": "task",
                "created_at": "2026-11-20T03:40:44.939Z",
                "created_by": "alice",
                "updated_at": "2026-11-20T03:41:00.000Z",
                "dependency_count": 0,
                "dependent_count": 0,
                "comment_count": 0,
                "failure": {
                  "code": "attempts_used_up",
                  "message": "5 runs in 24 h ended without a result: see the notes, then reopen it"
                }
              }
            ]
            exit 0
        "#]],
    );
}

#[test]
fn list_prints_a_table_and_says_when_there_is_more() {
    check(
        three,
        &["list", "-n", "2"],
        expect![[r#"
        GET /beads?exclude_status=closed&limit=1000&offset=0
        ---
        ID     P   STATUS  TYPE  ASSIGNEE  TITLE
        rig-2  P1  closed  task  agent     Fix the parser
        rig-3  P2  open    task  agent     Fix the parser
        --- stderr

        Showing 2 issues (use --limit 0 for all)
        exit 0
    "#]],
    );
    check(
        |_| ok(Vec::<BeadView>::new()),
        &["list", "--all", "--json"],
        expect![[r#"
        GET /beads?limit=1000&offset=0
        ---
        []
        exit 0
    "#]],
    );
    check(
        |_| ok(Vec::<BeadView>::new()),
        &["list"],
        expect![[r#"
        GET /beads?exclude_status=closed&limit=1000&offset=0
        ---
        No issues found.
        exit 0
    "#]],
    );
}

#[test]
fn list_filters_and_sorts_what_the_rig_does_not() {
    fn ids(args: &[&str]) -> String {
        let made = |id: &str, title: &str, priority: &str, labels: &[&str]| BeadView {
            title: title.into(),
            priority: priority.into(),
            labels: labels.iter().map(|&label| label.into()).collect(),
            created_at: format!("2026-11-20T00:00:0{}.000Z", &id[4..]),
            ..bead(id)
        };
        let beads = [
            made("rig-4", "delta", "high", &["x", "y"]),
            made("rig-3", "Alpha", "backlog", &["x"]),
            made("rig-2", "beta", "critical", &["y"]),
            made("rig-1", "alphabet", "high", &[]),
        ];
        let rig = Rig::new(move |_| ok(&beads));
        let printed = run(&rig, &[&["list"], args].concat());
        let ids: Vec<_> = printed
            .lines()
            .filter_map(|line| line.split(' ').next().filter(|id| id.starts_with("rig-")))
            .collect();
        format!("{:32} {}\n", args.join(" "), ids.join(" "))
    }
    let cases: [&[&str]; 12] = [
        &[],
        &["-r"],
        &["--sort", "created"],
        &["--sort", "created", "-n", "2"],
        &["--sort", "id"],
        &["--sort", "title", "--reverse"],
        &["--title", "ALPHA"],
        &["--label-any", "x,y"],
        &["-l", "x,y"],
        &["--priority-min", "1", "--priority-max", "2"],
        &["--id", "rig-2,rig-9"],
        &["-n", "1"],
    ];
    let printed: String = cases.into_iter().map(ids).collect();
    expect![[r#"
                                         rig-2 rig-4 rig-1 rig-3
        -r                               rig-3 rig-4 rig-1 rig-2
        --sort created                   rig-4 rig-3 rig-2 rig-1
        --sort created -n 2              rig-4 rig-3
        --sort id                        rig-1 rig-2 rig-3 rig-4
        --sort title --reverse           rig-4 rig-2 rig-1 rig-3
        --title ALPHA                    rig-1 rig-3
        --label-any x,y                  rig-2 rig-4 rig-3
        -l x,y                           rig-2 rig-4
        --priority-min 1 --priority-max 2 rig-4 rig-1
        --id rig-2,rig-9                 rig-2
        -n 1                             rig-2
    "#]]
    .assert_eq(&printed);
}

#[test]
fn list_reads_page_after_page_and_shows_none_twice() {
    let answer = |asked: &Asked| {
        // The second page starts with the last of the first: one was made meanwhile.
        let from = if asked.line.ends_with("offset=0") { 0 } else { 999 };
        ok((from..from + 1000)
            .take_while(|n| *n < 1500)
            .map(|n| bead(&format!("rig-{n}")))
            .collect::<Vec<_>>())
    };
    let rig = Rig::new(answer);
    let printed = run(&rig, &["list", "--json", "-n", "0"]);
    expect![[r#"
        GET /beads?exclude_status=closed&limit=1000&offset=0
        GET /beads?exclude_status=closed&limit=1000&offset=1000
        1500 beads"#]]
    .assert_eq(&format!("{}{} beads", rig.asked(), printed.matches("\"id\"").count()));
}

#[test]
fn a_list_fits_its_terminal() {
    let beads = [
        BeadView {
            title: "a title that is rather long for so small a terminal".into(),
            ..full_bead()
        },
        BeadView {
            title: "日本語の題名はもっと幅を取ります、とても".into(), ..waiting_bead()
        },
        failed_bead(),
    ];
    let table = |color, width| text::table(&beads, Style { color, width });
    let narrow = table(false, Some(60));
    assert!(narrow.lines().all(|line| line.width() <= 60), "{narrow}");
    expect![[r#"
        ID     P   STATUS  TYPE  ASSIGNEE  TITLE
        rig-2  P1  closed  task  agent     a title that is rather l…
        rig-3  P2  open    task  agent     日本語の題名はもっと幅を…
        rig-4  P2  failed  task  -         Fix the parser
        ^[2mID     P   STATUS  TYPE  ASSIGNEE  TITLE^[0m
        rig-2  P1  ^[2mclosed^[0m  task  agent     a title that is rather long for so…
        rig-3  P2  open    task  agent     日本語の題名はもっと幅を取ります、…
        rig-4  P2  ^[31mfailed^[0m  task  -         Fix the parser
    "#]]
    .assert_eq(&format!("{narrow}{}", table(true, Some(70)).replace('\u{1b}', "^")));
}
