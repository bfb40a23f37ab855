//! bd's verbs against the real core of a rig: what people read.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::too_many_lines, reason = "most of them are what is printed")]

mod support;

use expect_test::expect;
use support::linked::RealRig;

#[test]
fn lists_are_what_bd_lists() {
    let rig = RealRig::five("lists");
    expect![[r#"
        $ bd list
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-bug  P0  open    bug   bob       Crash on empty input
        demo-ep1  P1  open    epic  -         Parse dates
        demo-a1c  P2  open    task  -         Read words
        demo-a1b  P2  open    task  -         Read ISO dates
        exit 0
        $ bd list --all --sort id
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-a1b  P2  open    task  -         Read ISO dates
        demo-a1c  P2  open    task  -         Read words
        demo-bug  P0  open    bug   bob       Crash on empty input
        demo-ep1  P1  open    epic  -         Parse dates
        demo-old  P2  closed  task  -         Old
        exit 0
        $ bd list --parent demo-ep1 --exclude-label slow
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-a1b  P2  open    task  -         Read ISO dates
        exit 0
        $ bd list --parent ep1 -l slow
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-a1c  P2  open    task  -         Read words
        exit 0
        $ bd list --parent nope
        --- stderr
        Error: resolving parent: no issue found matching "nope"
        exit 1
        $ bd list --no-assignee --no-parent
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-ep1  P1  open    epic  -         Parse dates
        exit 0
        $ bd list --created-before 2026-01-01T00:00:05Z --all
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-ep1  P1  open    epic  -         Parse dates
        demo-a1c  P2  open    task  -         Read words
        demo-a1b  P2  open    task  -         Read ISO dates
        exit 0
        $ bd list --id demo-bug,demo-old --all
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-bug  P0  open    bug   bob       Crash on empty input
        demo-old  P2  closed  task  -         Old
        exit 0
        $ bd ready
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-bug  P0  open    bug   bob       Crash on empty input
        demo-ep1  P1  open    epic  -         Parse dates
        demo-a1b  P2  open    task  -         Read ISO dates
        exit 0
        $ bd ready --sort oldest -n 1
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-ep1  P1  open    epic  -         Parse dates
        --- stderr
        Showing 1 of 3 ready issues. Use --limit 0 for all, or --limit N to raise the cap.
        exit 0
        $ bd ready -u -t task
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-a1b  P2  open    task  -         Read ISO dates
        exit 0
        $ bd blocked
        [P2] demo-a1c: Read words
          Blocked by 1 open dependencies: [demo-a1b]
        exit 0
        $ bd search DATES
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-ep1  P1  open    epic  -         Parse dates
        demo-a1b  P2  open    task  -         Read ISO dates
        exit 0
        $ bd search old -s closed --sort id
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-old  P2  closed  task  -         Old
        exit 0
        $ bd search nothing
        No issues found matching 'nothing'
        exit 0
        $ bd count
        5
        exit 0
        $ bd count -s open
        4
        exit 0
        $ bd count --by-type
        Total: 5

        bug: 1
        epic: 1
        task: 3
        exit 0
        $ bd count --by-label
        Total: 5

        (no labels): 2
        core: 3
        slow: 1
        exit 0
        $ bd stale
        4 issues not updated in 30+ days
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-ep1  P1  open    epic  -         Parse dates
        demo-a1b  P2  open    task  -         Read ISO dates
        demo-a1c  P2  open    task  -         Read words
        demo-bug  P0  open    bug   bob       Crash on empty input
        exit 0
        $ bd status
        Rig demo
        Beads     1 closed, 4 open
        Agents    0 of 5 at work
        Dispatch  on
        Next tick none: nothing to do
        exit 0
    "#]]
    .assert_eq(&rig.tell(&[
        "list",
        "list --all --sort id",
        "list --parent demo-ep1 --exclude-label slow",
        "list --parent ep1 -l slow",
        "list --parent nope",
        "list --no-assignee --no-parent",
        "list --created-before 2026-01-01T00:00:05Z --all",
        "list --id demo-bug,demo-old --all",
        "ready",
        "ready --sort oldest -n 1",
        "ready -u -t task",
        "blocked",
        "search DATES",
        "search old -s closed --sort id",
        "search nothing",
        "count",
        "count -s open",
        "count --by-type",
        "count --by-label",
        "stale",
        "status",
    ]));
}

#[test]
fn what_waits_for_what_is_said_drawn_and_taken_back() {
    let rig = RealRig::five("links");
    expect![[r#"
        $ bd dep add demo-bug demo-a1c
        ✓ Added dependency: demo-bug (Crash on empty input) depends on demo-a1c (Read words) (blocks)
        exit 0
        $ bd dep add demo-bug --blocked-by demo-old -t related
        ✓ Added dependency: demo-bug (Crash on empty input) depends on demo-old (Old) (related)
        exit 0
        $ bd dep demo-a1b --blocks demo-bug
        ✓ Added dependency: demo-a1b (Read ISO dates) blocks demo-bug (Crash on empty input)
        exit 0
        $ bd dep list demo-bug
        Dependencies of demo-bug:
          demo-a1c: Read words [P2] (open) via blocks
          demo-old: Old [P2] (closed) via related
          demo-a1b: Read ISO dates [P2] (open) via blocks
        exit 0
        $ bd dep list demo-a1b --direction up -t blocks
        Issues that depend on demo-a1b:
          demo-a1c: Read words [P2] (open) via blocks
          demo-bug: Crash on empty input [P0] (open) via blocks
        exit 0
        $ bd dep list demo-old
        demo-old has no dependencies
        exit 0
        $ bd dep tree demo-bug
        demo-bug: Crash on empty input [P0] (open)
        ├── demo-a1c: Read words [P2] (open)
        │   ├── demo-ep1: Parse dates [P1] (open)
        │   └── demo-a1b: Read ISO dates [P2] (open)
        │       └── demo-ep1 (shown above)
        ├── demo-old: Old [P2] (closed)
        └── demo-a1b (shown above)
        exit 0
        $ bd dep tree demo-a1b --direction up --max-depth 1
        demo-a1b: Read ISO dates [P2] (open)
        ├── demo-a1c: Read words [P2] (open) …
        └── demo-bug: Crash on empty input [P0] (open) …
        exit 0
        $ bd dep cycles
        ✓ No dependency cycles detected
        exit 0
        $ bd blocked
        [P0] demo-bug: Crash on empty input
          Blocked by 2 open dependencies: [demo-a1b demo-a1c]
        [P2] demo-a1c: Read words
          Blocked by 1 open dependencies: [demo-a1b]
        exit 0
        $ bd show demo-a1c
        demo-a1c — Read words

        Status    open
        Priority  P2 (medium)
        Type      task
        Parent    demo-ep1
        Labels    core, slow
        Created   2026-01-01 00:00 by alice
        Updated   2026-01-01 00:00

        DESCRIPTION
        d

        DEPENDS ON
          demo-ep1: Parse dates (open) via parent-child
          demo-a1b: Read ISO dates (open) via blocks

        NEEDED BY
          demo-bug: Crash on empty input (open) via blocks
        exit 0
        $ bd show demo-a1b demo-bug --short
        demo-a1b [open] P2 task: Read ISO dates
        demo-bug [open] P0 bug: Crash on empty input
        exit 0
        $ bd show demo-a1b --refs
        References to demo-a1b:
          demo-a1c: Read words (open) via blocks
          demo-bug: Crash on empty input (open) via blocks
        exit 0
        $ bd show demo-ep1 --children
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-a1b  P2  open    task  -         Read ISO dates
        demo-a1c  P2  open    task  -         Read words
        exit 0
        $ bd close demo-a1b --suggest-next
        ✓ Closed demo-a1b — Read ISO dates: Closed

        Newly unblocked:
          • demo-a1c — Read words
        exit 0
        $ bd dep remove demo-bug demo-a1c
        ✓ Removed dependency: demo-bug (Crash on empty input) no longer depends on demo-a1c (Read words)
        exit 0
        $ bd dep list demo-bug
        Dependencies of demo-bug:
          demo-old: Old [P2] (closed) via related
          demo-a1b: Read ISO dates [P2] (closed) via blocks
        exit 0
        $ bd epic status
        ○ demo-ep1 Parse dates
           Progress: 1/2 children closed (50%)
        exit 0
        $ bd close demo-a1c
        ✓ Closed demo-a1c — Read words: Closed
        exit 0
        $ bd epic close-eligible --dry-run
        Would close 1 epic(s) with reason "All children completed":
          - demo-ep1: Parse dates
        exit 0
        $ bd epic close-eligible
        ✓ Closed 1 epic(s) with reason "All children completed"
          - demo-ep1
        exit 0
        $ bd epic status
        No open epics found
        exit 0
    "#]].assert_eq(&rig.tell(&[
        "dep add demo-bug demo-a1c",
        "dep add demo-bug --blocked-by demo-old -t related",
        "dep demo-a1b --blocks demo-bug",
        "dep list demo-bug",
        "dep list demo-a1b --direction up -t blocks",
        "dep list demo-old",
        "dep tree demo-bug",
        "dep tree demo-a1b --direction up --max-depth 1",
        "dep cycles",
        "blocked",
        "show demo-a1c",
        "show demo-a1b demo-bug --short",
        "show demo-a1b --refs",
        "show demo-ep1 --children",
        "close demo-a1b --suggest-next",
        "dep remove demo-bug demo-a1c",
        "dep list demo-bug",
        "epic status",
        "close demo-a1c",
        "epic close-eligible --dry-run",
        "epic close-eligible",
        "epic status",
    ]));
}

#[test]
fn beads_are_changed_labelled_and_deleted() {
    let rig = RealRig::five("changes");
    expect![[r#"
        $ bd q 'Quick one' -p 3
        demo-ld9
        exit 0
        $ bd create 'Another' -d d --parent ep1 --no-inherit-labels --deps blocks:demo-a1b,related:bug
        ✓ Created issue: demo-vxo — Another
          Priority: P2
          Status: open
        exit 0
        $ bd label list demo-a1b
        Labels for demo-a1b:
          - core
        exit 0
        $ bd label add demo-a1b demo-bug urgent
        ✓ Added label 'urgent' to demo-a1b
        ✓ Added label 'urgent' to demo-bug
        exit 0
        $ bd label list demo-bug
        Labels for demo-bug:
          - urgent
        exit 0
        $ bd label remove demo-bug urgent
        ✓ Removed label 'urgent' from demo-bug
        exit 0
        $ bd label list demo-bug
        demo-bug has no labels
        exit 0
        $ bd label list-all
        All labels (3 unique):
          core  (3 issues)
          slow  (1 issues)
          urgent  (1 issues)
        exit 0
        $ bd priority demo-bug P3
        ✓ Set priority of demo-bug — Crash on empty input to P3
        exit 0
        $ bd update demo-bug --defer 2099-01-01 --due 2099-02-01
        ✓ Updated issue: demo-bug — Crash on empty input
        exit 0
        $ bd ready -t bug
        No ready work found
        exit 0
        $ bd update demo-bug --defer '' -s open --unset-metadata x
        ✓ Updated issue: demo-bug — Crash on empty input
        exit 0
        $ bd ready -t bug
        ID        P   STATUS  TYPE  ASSIGNEE  TITLE
        demo-bug  P3  open    bug   bob       Crash on empty input
        exit 0
        $ bd update demo-bug
        No updates specified
        exit 0
        $ bd delete demo-bug
        DELETE PREVIEW

        Issues to delete:
          demo-bug: Crash on empty input

        Dependency links to remove: 1
        Would orphan: demo-vxo

        This operation cannot be undone!
        To proceed, run: bd delete demo-bug --force
        exit 0
        $ bd delete demo-ep1 --dry-run --cascade
        DELETE PREVIEW

        Issues to delete:
          demo-ep1: Parse dates
          demo-a1b: Read ISO dates
          demo-a1c: Read words
          demo-vxo: Another

        Dependency links to remove: 6

        (Dry-run mode - no changes made)
        exit 0
        $ bd delete demo-bug --force
        ✓ Deleted demo-bug
          Removed 1 dependency link(s)
        exit 0
        $ bd show demo-bug
        --- stderr
        Error fetching demo-bug: no issue found matching "demo-bug"
        exit 1
        $ bd history demo-a1b --limit 3
        2026-01-01 00:00:18  alice updated
        2026-01-01 00:00:14  alice dependency_added demo-vxo
        2026-01-01 00:00:02  alice created task
        exit 0
    "#]].assert_eq(&rig.tell(&[
        "q 'Quick one' -p 3",
        "create 'Another' -d d --parent ep1 --no-inherit-labels --deps blocks:demo-a1b,related:bug",
        "label list demo-a1b",
        "label add demo-a1b demo-bug urgent",
        "label list demo-bug",
        "label remove demo-bug urgent",
        "label list demo-bug",
        "label list-all",
        "priority demo-bug P3",
        "update demo-bug --defer 2099-01-01 --due 2099-02-01",
        "ready -t bug",
        "update demo-bug --defer '' -s open --unset-metadata x",
        "ready -t bug",
        "update demo-bug",
        "delete demo-bug",
        "delete demo-ep1 --dry-run --cascade",
        "delete demo-bug --force",
        "show demo-bug",
        "history demo-a1b --limit 3",
    ]));
}

#[test]
fn a_part_of_a_name_is_enough_if_no_other_has_it() {
    let rig = RealRig::five("names");
    expect![[r#"
        $ bd show ug --short
        demo-bug [open] P0 bug: Crash on empty input
        exit 0
        $ bd assign demo-bu carol
        ✓ Assigned carol to demo-bug — Crash on empty input
        exit 0
        $ bd note a1 text
        --- stderr
        Error: resolving a1: ambiguous ID "a1" matches 2 issues: [demo-a1b demo-a1c]
        Hint: use more characters
        exit 1
        $ bd close a1 --force
        --- stderr
        Error resolving a1: ambiguous ID "a1" matches 2 issues: [demo-a1b demo-a1c]
        Hint: use more characters
        exit 1
        $ bd show bug --short
        demo-bug [open] P0 bug: Crash on empty input
        exit 0
        $ bd label add ld old-label
        ✓ Added label 'old-label' to demo-old
        exit 0
        $ bd dep add ug a1c
        ✓ Added dependency: demo-bug (Crash on empty input) depends on demo-a1c (Read words) (blocks)
        exit 0
        $ bd show x
        --- stderr
        Error fetching x: no issue found matching "x"
        exit 1
        $ bd comment a1 text
        --- stderr
        Error: resolving a1: ambiguous ID "a1" matches 2 issues: [demo-a1b demo-a1c]
        Hint: use more characters
        exit 1
    "#]].assert_eq(&rig.tell(&[
        "show ug --short",
        "assign demo-bu carol",
        "note a1 text",
        "close a1 --force",
        "show bug --short",
        "label add ld old-label",
        "dep add ug a1c",
        "show x",
        "comment a1 text",
    ]));
}

#[test]
fn every_help_has_an_example() {
    let rig = RealRig::new("help");
    let help = rig.sh("--help");
    assert!(!help.contains("beadrig "), "{help}");
    let verbs = |help: &str| -> Vec<String> {
        let (_, list) = help.split_once("Commands:\n").unwrap();
        let lines = list.lines().take_while(|line| line.starts_with("  "));
        let words = lines.filter(|line| !line.starts_with("   "));
        words
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .filter(|verb| verb != "help")
            .collect()
    };
    let mut missing = Vec::new();
    let mut look = |words: &[&str], help: &str| {
        let called = format!("\n  bd {}", words.join(" "));
        if !(help.contains("Example") && (help.contains(&called) || help.contains("$(bd "))) {
            missing.push(words.join(" "));
        }
    };
    for verb in verbs(&help) {
        let help = rig.sh(&format!("{verb} --help"));
        look(&[&verb], &help);
        if help.contains("Commands:\n") {
            for below in verbs(&help) {
                look(&[&verb, &below], &rig.sh(&format!("{verb} {below} --help")));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn a_dependency_on_what_is_not_here_is_taken_away_by_the_name_it_has() {
    let rig = RealRig::new("loose");
    let at = "2025-01-01T00:00:00Z";
    let edge = format!(
        r#"{{"issue_id":"demo-1","depends_on_id":"external:other:api","type":"blocks","created_at":"{at}"}}"#
    );
    let line = format!(
        r#"{{"id":"demo-1","title":"One","created_at":"{at}","updated_at":"{at}","dependencies":[{edge}]}}"#
    );
    assert!(rig.piped(&["import", "-"], &line).contains("exit 0"));
    assert!(rig.sh("export").contains("external:other:api"));
    expect![[r#"
        $ bd dep remove 1 external:other:ap
        --- stderr
        Error: resolving issue ID external:other:ap: no issue found matching "external:other:ap"
        exit 1
        $ bd dep remove 1 external:other:api
        ✓ Removed dependency: demo-1 (One) no longer depends on external:other:api
        exit 0
        $ bd dep remove 1 external:other:api --json
        {
          "error": "resolving issue ID external:other:api: no issue found matching \"external:other:api\""
        }
        exit 1
    "#]].assert_eq(&rig.tell(&[
        "dep remove 1 external:other:ap",
        "dep remove 1 external:other:api",
        "dep remove 1 external:other:api --json",
    ]));
    assert!(!rig.sh("export").contains("external:other:api"));
    assert!(rig.piped(&["import", "-"], &line).contains("exit 0"));
    expect![[r#"
        {
          "status": "removed",
          "issue_id": "demo-1",
          "depends_on_id": "external:other:api"
        }
        exit 0
    "#]]
    .assert_eq(&rig.sh("dep remove demo-1 external:other:api --json"));
}

#[test]
fn conditional_blocks_is_a_reason_to_wait() {
    let rig = RealRig::five("conditional");
    assert!(rig.sh("dep add demo-bug demo-a1b -t conditional-blocks").ends_with("exit 0\n"));
    assert_eq!(
        rig.json(&["ready"]).as_array().unwrap().iter().filter(|it| it["id"] == "demo-bug").count(),
        0
    );
    assert!(rig.sh("close demo-bug").contains("blocked by open issues [demo-a1b]"));
    assert_eq!(rig.json(&["why", "demo-bug"])["blocked_by"][0]["id"], "demo-a1b");
    let next = rig.json(&["close", "demo-a1b", "--suggest-next"]);
    let freed: Vec<_> =
        next["unblocked"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert!(freed.contains(&"demo-bug".into()), "{freed:?}");
}
