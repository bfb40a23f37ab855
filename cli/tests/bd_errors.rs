//! bd's words for what goes wrong, where they are printed, and that all of it exits with 1.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::too_many_lines, reason = "most of them are what is printed")]

mod support;

use expect_test::expect;
use support::linked::RealRig;

#[test]
fn what_cannot_be_is_said_in_bds_words() {
    let rig = RealRig::new("errors");
    for line in [
        r#"create "Epic" --id demo-e -t epic -d d"#,
        r#"create "Child" --id demo-c --parent demo-e -d d"#,
        r#"create "One" --id demo-1 -d d"#,
        r#"create "Two" --id demo-2 -d d --deps demo-1"#,
    ] {
        let printed = rig.sh(line);
        assert!(printed.ends_with("exit 0\n"), "{line}: {printed}");
    }
    expect![[r#"
        $ bd show nope --json
        {
          "error": "no issues found matching the provided IDs"
        }
        --- stderr
        Error fetching nope: no issue found matching "nope"
        exit 1
        $ bd create --json
        --- stderr
        {
          "error": "title required (or use --file to create from markdown)"
        }
        exit 1
        $ bd create T -p 9
        --- stderr
        Error: invalid priority "9" (expected 0-4 or P0-P4, not words like high/medium/low)
        exit 1
        $ bd frob
        --- stderr
        Error: unknown command "frob" for "bd"
        Run 'bd --help' for usage.
        exit 1
        $ bd update nope -s open
        --- stderr
        Error resolving nope: no issue found matching "nope"
        exit 1
        $ bd update demo-1 -s done
        --- stderr
        Error: invalid status "done" (built-in: open, in_progress, in_review, blocked, deferred, closed, failed)
        exit 1
        $ bd update demo-1
        No updates specified
        exit 0
        $ bd update -s open
        --- stderr
        Error: no issue ID provided and no last touched issue
        exit 1
        $ bd list -s done
        --- stderr
        Error: invalid status "done" (built-in: open, in_progress, in_review, blocked, deferred, closed, failed)
        exit 1
        $ bd close demo-2
        --- stderr
        Error closing demo-2: cannot close demo-2: blocked by open issues [demo-1] (use --force to override)
        exit 1
        $ bd close demo-2 --json
        --- stderr
        Error closing demo-2: cannot close demo-2: blocked by open issues [demo-1] (use --force to override)
        exit 1
        $ bd close demo-2 nope demo-1
        ✓ Closed demo-1 — One: Closed
        --- stderr
        Error closing demo-2: cannot close demo-2: blocked by open issues [demo-1] (use --force to override)
        Error resolving nope: no issue found matching "nope"
        exit 0
        $ bd close demo-2 --force
        ✓ Closed demo-2 — Two: Closed
        exit 0
        $ bd close demo-e
        --- stderr
        Error closing demo-e: cannot close epic demo-e: 1 open child issue(s); close children first or use --force to override
        exit 1
        $ bd dep add demo-1 demo-1
        --- stderr
        Error: cannot add self-dependency
        Hint: Bead demo-1 cannot depend on itself
        exit 1
        $ bd reopen demo-1
        ↻ Reopened demo-1
        exit 0
        $ bd reopen demo-2
        ↻ Reopened demo-2
        exit 0
        $ bd reopen demo-2
        --- stderr
        Error reopening demo-2: demo-2 is already open
        exit 1
        $ bd dep add demo-1 demo-2
        --- stderr
        Error: adding dependency would create a cycle
        Hint: Bead demo-1 would wait for itself: demo-1 -> demo-2 -> demo-1; remove one of these steps first
        exit 1
        $ bd dep add demo-1 demo-2 --json
        {
          "error": "adding dependency would create a cycle",
          "hint": "Bead demo-1 would wait for itself: demo-1 -\u003e demo-2 -\u003e demo-1; remove one of these steps first"
        }
        exit 1
        $ bd dep add demo-2 demo-1 -t related
        --- stderr
        Error: dependency demo-2 -> demo-1 already exists with type "blocks" (requested "related"); remove it first with 'bd dep remove' then re-add
        Hint: Bead demo-2 depends on demo-1 already, with type blocks; remove that first
        exit 1
        $ bd dep add demo-1 demo-e
        --- stderr
        Error: tasks can only block other tasks, not epics
        exit 1
        $ bd dep add demo-e demo-1
        --- stderr
        Error: epics can only block other epics, not tasks
        exit 1
        $ bd dep add demo-c demo-e -t related
        --- stderr
        Error: cannot add dependency: demo-c is already a child of demo-e. Children inherit dependency on parent completion via hierarchy. Adding an explicit dependency would create a deadlock
        Hint: Bead demo-c depends on demo-e already, with type parent-child; remove that first
        exit 1
        $ bd dep add demo-1 nope
        --- stderr
        Error: resolving issue ID nope: no issue found matching "nope"
        exit 1
        $ bd dep add demo-1 nope --json
        {
          "error": "resolving issue ID nope: no issue found matching \"nope\""
        }
        exit 1
        $ bd dep remove demo-1 demo-2
        --- stderr
        Error: Bead demo-1 does not depend on demo-2
        exit 1
        $ bd note demo-1
        --- stderr
        Error: no note text provided (use positional args, --stdin, or --file)
        exit 1
        $ bd note demo-1 ''
        --- stderr
        Error: note text is empty
        exit 1
        $ bd note demo-1 --json
        {
          "error": "no note text provided (use positional args, --stdin, or --file)"
        }
        exit 1
        $ bd assign nope bob --json
        {
          "error": "resolving nope: no issue found matching \"nope\""
        }
        exit 1
        $ bd query ''
        --- stderr
        Error: query expression is required
        exit 1
        $ bd query 'status='
        --- stderr
        Error: parsing query: expected value at position 7, got the end
        exit 1
        $ bd query 'status=open AND'
        --- stderr
        Error: parsing query: expected field name at position 15, got the end
        exit 1
        $ bd query '(status=open'
        --- stderr
        Error: parsing query: expected ')' at position 12, got the end
        exit 1
        $ bd query 'status open'
        --- stderr
        Error: parsing query: expected comparison operator at position 7, got "open"
        exit 1
        $ bd query 'status=open type=bug' --json
        {
          "error": "parsing query: unexpected token \"type\" at position 12 (expected end of query)"
        }
        exit 1
        $ bd query 'frob=1'
        --- stderr
        Error: evaluating query: unknown field: frob
        exit 1
        $ bd query 'status>open'
        --- stderr
        Error: evaluating query: status only supports = and != operators
        exit 1
        $ bd query 'status=done'
        --- stderr
        Error: evaluating query: invalid status: done
        exit 1
        $ bd query 'priority=9'
        --- stderr
        Error: evaluating query: priority must be between 0 and 4
        exit 1
        $ bd query 'updated>soon'
        --- stderr
        Error: evaluating query: invalid updated time: soon
        exit 1
        $ bd label add demo-1 ''
        --- stderr
        Error: label cannot be empty
        exit 1
        $ bd label add nope x
        --- stderr
        Error resolving nope: no issue found matching "nope"
        exit 1
        $ bd label list nope --json
        {
          "error": "resolving nope: no issue found matching \"nope\""
        }
        exit 1
        $ bd count --by-type --by-status
        --- stderr
        Error: only one --by-* flag can be specified
        exit 1
        $ bd stale --days 0
        --- stderr
        Error: --days must be at least 1
        exit 1
        $ bd stale -s closed --json
        {
          "error": "invalid status 'closed'. Valid values: open, in_progress, blocked, deferred"
        }
        exit 1
        $ bd delete
        --- stderr
        Error: no issue IDs provided
        exit 1
        $ bd delete nope
        --- stderr
        Error: issue nope not found
        exit 1
        $ bd delete nope nix
        --- stderr
        Error: issues not found: nope, nix
        exit 1
        $ bd comments nope
        --- stderr
        Error: resolving nope: no issue found matching "nope"
        exit 1
        $ bd comment demo-1
        --- stderr
        Error: comment text cannot be empty
        Hint: use positional args, --stdin, or -f to read from file
        exit 1
        $ bd search ''
        --- stderr
        Error: search query is required
        exit 1
        $ bd create T -d d --deps nope,frob:
        ✓ Created issue: demo-9g6 — T
          Priority: P2
          Status: open
        --- stderr
        Warning: failed to add dependency demo-9g6 -> nope: no issue found matching "nope"
        Warning: invalid dependency format 'frob:', expected 'type:id' or 'id'
        exit 0
        $ bd create T -d d --parent nope
        --- stderr
        Error: resolving parent nope: no issue found matching "nope"
        exit 1
        $ bd create T -d d --estimate 5 --id demo-t
        ✓ Created issue: demo-t — T
          Priority: P2
          Status: open
        --- stderr
        Warning: a rig keeps nothing of the kind: --estimate is ignored
        exit 0
        $ bd --readonly update demo-1 -s open
        --- stderr
        Error: operation 'update' is not allowed in read-only mode
        exit 1
        $ bd --readonly label add demo-1 x
        --- stderr
        Error: operation 'label add' is not allowed in read-only mode
        exit 1
        $ bd dep
        --- stderr
        Error: nothing to do
        Hint: say `dep add ID DEPENDS_ON`, or `dep ID --blocks ID`; `dep --help` has the rest
        exit 1
        $ bd dep tree demo-1 --max-depth 0
        --- stderr
        Error: --max-depth must be >= 1
        exit 1
    "#]].assert_eq(&rig.tell(&[
        "show nope --json",
        "create --json",
        "create T -p 9",
        "frob",
        "update nope -s open",
        "update demo-1 -s done",
        "update demo-1",
        "update -s open",
        "list -s done",
        "close demo-2",
        "close demo-2 --json",
        "close demo-2 nope demo-1",
        "close demo-2 --force",
        "close demo-e",
        "dep add demo-1 demo-1",
        "reopen demo-1",
        "reopen demo-2",
        "reopen demo-2",
        "dep add demo-1 demo-2",
        "dep add demo-1 demo-2 --json",
        "dep add demo-2 demo-1 -t related",
        "dep add demo-1 demo-e",
        "dep add demo-e demo-1",
        "dep add demo-c demo-e -t related",
        "dep add demo-1 nope",
        "dep add demo-1 nope --json",
        "dep remove demo-1 demo-2",
        "note demo-1",
        "note demo-1 ''",
        "note demo-1 --json",
        "assign nope bob --json",
        "query ''",
        "query 'status='",
        "query 'status=open AND'",
        "query '(status=open'",
        "query 'status open'",
        "query 'status=open type=bug' --json",
        "query 'frob=1'",
        "query 'status>open'",
        "query 'status=done'",
        "query 'priority=9'",
        "query 'updated>soon'",
        "label add demo-1 ''",
        "label add nope x",
        "label list nope --json",
        "count --by-type --by-status",
        "stale --days 0",
        "stale -s closed --json",
        "delete",
        "delete nope",
        "delete nope nix",
        "comments nope",
        "comment demo-1",
        "search ''",
        "create T -d d --deps nope,frob:",
        "create T -d d --parent nope",
        "create T -d d --estimate 5 --id demo-t",
        "--readonly update demo-1 -s open",
        "--readonly label add demo-1 x",
        "dep",
        "dep tree demo-1 --max-depth 0",
    ]));
}
