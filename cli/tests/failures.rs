//! What the command says when something is wrong, where it says it, and that it always exits with 1.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use expect_test::expect;
use support::{Asked, Reply, Rig, bead, command, nowhere, ok, output, refused, run};

fn check(args: &[&str], expect: expect_test::Expect) {
    let rig = Rig::new(|asked: &Asked| match asked.line.rsplit("/beads").next().unwrap() {
        path if path.starts_with("/rig-1") => ok(bead("rig-1")),
        path if path.starts_with("/rig-8") => {
            refused(409, "illegal_transition", "bead rig-8 is in review: it cannot be closed")
        }
        path if path.starts_with('/') => refused(404, "not_found", "there is no such bead"),
        _ => refused(400, "invalid", "the title has 501 characters; 500 is the most"),
    });
    expect.assert_eq(&run(&rig, args));
}

#[test]
fn flags_that_cannot_be_meant() {
    check(
        &["frob"],
        expect![[r#"
        --- stderr
        Error: unknown command "frob" for "beadrig"
        Run 'beadrig --help' for usage.
        exit 1
    "#]],
    );
    check(
        &["frob", "--json"],
        expect![[r#"
        --- stderr
        {
          "error": "unknown command \"frob\" for \"beadrig\""
        }
        exit 1
    "#]],
    );
    check(
        &["agents", "frob"],
        expect![[r#"
        --- stderr
        Error: unknown command "frob" for "beadrig agents"
        Run 'beadrig agents --help' for usage.
        exit 1
    "#]],
    );
    check(
        &["create", "--json"],
        expect![[r#"
            --- stderr
            {
              "error": "title required (or use --file to create from markdown)"
            }
            exit 1
        "#]],
    );
    check(
        &["create", "T", "-p", "9"],
        expect![[r#"
        --- stderr
        Error: invalid priority "9" (expected 0-4 or P0-P4, not words like high/medium/low)
        exit 1
    "#]],
    );
    check(
        &["create", "T", "-p", "high", "--json"],
        expect![[r#"
        --- stderr
        {
          "error": "invalid priority \"high\" (expected 0-4 or P0-P4, not words like high/medium/low)"
        }
        exit 1
    "#]],
    );
    check(
        &["create", "T", "--due", "soon"],
        expect![[r#"
        --- stderr
        Error: invalid --due format "soon". Examples: +6h, +2d, tomorrow, 2025-01-15
        exit 1
    "#]],
    );
    check(
        &["create", "T", "--metadata", "[1]"],
        expect![[r#"
        --- stderr
        Error: invalid JSON in --metadata: must be an object
        exit 1
    "#]],
    );
    check(
        &["create", "T", "--body-file", "/no/such/file"],
        expect![[r#"
        --- stderr
        Error: failed to read file /no/such/file: No such file or directory (os error 2)
        exit 1
    "#]],
    );
}

#[test]
fn changes_that_cannot_be_meant() {
    check(
        &["update", "rig-1", "--notes", "n"],
        expect![[r#"
        --- stderr
        Error: a rig's notes are appended, never replaced
        Hint: use --append-notes TEXT
        exit 1
    "#]],
    );
    check(
        &["update", "rig-1", "--title", " "],
        expect![[r#"
        --- stderr
        Error: title cannot be empty
        exit 1
    "#]],
    );
    check(
        &["update", "rig-1", "--set-metadata", "k"],
        expect![[r#"
        --- stderr
        Error: invalid --set-metadata "k": expected key=value
        exit 1
    "#]],
    );
    check(
        &["note", "rig-1"],
        expect![[r#"
        --- stderr
        Error: no note text provided (use positional args, --stdin, or --file)
        exit 1
    "#]],
    );
    check(
        &["note", "rig-1", " "],
        expect![[r#"
        --- stderr
        Error: note text is empty
        exit 1
    "#]],
    );
    check(
        &["assign", "rig-1"],
        expect![[r#"
        --- stderr
        Error: the following required arguments were not provided:
          <NAME>

        Usage: beadrig assign <ID> <NAME>

        For more information, try '--help'.
        exit 1
    "#]],
    );
    check(
        &["list", "--sort", "size", "--json"],
        expect![[r#"
        --- stderr
        {
          "error": "invalid value 'size' for '--sort \u003cKEY\u003e'"
        }
        exit 1
    "#]],
    );
}

#[test]
fn a_bead_that_is_not_there() {
    check(
        &["show", "nope"],
        expect![[r#"
        --- stderr
        Error fetching nope: no issue found matching "nope"
        exit 1
    "#]],
    );
    check(
        &["show", "nope", "--json"],
        expect![[r#"
        {
          "error": "no issues found matching the provided IDs"
        }
        --- stderr
        Error fetching nope: no issue found matching "nope"
        exit 1
    "#]],
    );
    check(
        &["update", "nope", "-s", "open"],
        expect![[r#"
        --- stderr
        Error resolving nope: no issue found matching "nope"
        exit 1
    "#]],
    );
    check(
        &["update", "rig-1", "--parent", "nope", "nope"],
        expect![[r#"
            --- stderr
            Error: resolving parent nope: no issue found matching "nope"
            exit 1
        "#]],
    );
    check(
        &["close", "nope", "--json"],
        expect![[r#"
        --- stderr
        Error resolving nope: no issue found matching "nope"
        exit 1
    "#]],
    );
    check(
        &["note", "nope", "text"],
        expect![[r#"
            --- stderr
            Error: resolving nope: no issue found matching "nope"
            exit 1
        "#]],
    );
    check(
        &["assign", "nope", "agent", "--json"],
        expect![[r#"
            {
              "error": "resolving nope: no issue found matching \"nope\""
            }
            exit 1
        "#]],
    );
}

#[test]
fn one_of_several_is_enough() {
    check(
        &["close", "nope", "rig-1", "rig-8"],
        expect![[r#"
        ✓ Closed rig-1 — Fix the parser: Closed
        --- stderr
        Error resolving nope: no issue found matching "nope"
        Error closing rig-8: bead rig-8 is in review: it cannot be closed
        exit 0
    "#]],
    );
    check(
        &["close", "rig-8"],
        expect![[r#"
        --- stderr
        Error closing rig-8: bead rig-8 is in review: it cannot be closed
        exit 1
    "#]],
    );
}

#[test]
fn the_rigs_sentence_is_shown() {
    check(
        &["create", "T", "-d", "D"],
        expect![[r#"
        --- stderr
        Error: the title has 501 characters; 500 is the most
        exit 1
    "#]],
    );
    check(
        &["create", "T", "-d", "D", "--json"],
        expect![[r#"
        --- stderr
        {
          "error": "the title has 501 characters; 500 is the most"
        }
        exit 1
    "#]],
    );
}

#[test]
fn a_rig_that_is_not_there() {
    let address = nowhere();
    let url = format!("http://{address}/");
    let printed = output(command(&url, &["close", "rig-1", "rig-2"])).replace(&address, "rig");
    expect![[r#"
        --- stderr
        Error: cannot reach the rig at http://rig: connection refused
        Hint: is it running? start it with `cargo xtask up`; another place is given with --url or BEADRIG_URL
        exit 1
    "#]].assert_eq(&printed);
    let printed = output(command(&url, &["list", "--json"])).replace(&address, "rig");
    expect![[r#"
        --- stderr
        {
          "error": "cannot reach the rig at http://rig: connection refused",
          "hint": "is it running? start it with `cargo xtask up`; another place is given with --url or BEADRIG_URL"
        }
        exit 1
    "#]].assert_eq(&printed);
}

#[test]
fn something_that_is_no_rig() {
    let rig = Rig::new(|_| Reply::Answer(200, "<html>hello</html>".into()));
    expect![[r#"
        --- stderr
        Error: http://rig answered 200, and not as a rig does
        Hint: is the URL the one of a Beadrig service?
        exit 1
    "#]]
    .assert_eq(&run(&rig, &["list"]));
    let rig = Rig::new(|_| ok("a newer shape"));
    expect![[r#"
        --- stderr
        Error: the rig said yes, but its answer is not understood: invalid type: string "a newer shape", expected struct BeadView at line 1 column 38
        Hint: is this command of the same version as the rig?
        exit 1
    "#]].assert_eq(&run(&rig, &["close", "rig-1"]));
    for url in ["ftp://x", "http://", "http://user:pass@host"] {
        let printed = output(command(url, &["list"]));
        assert!(
            printed.contains("URL") && printed.ends_with("exit 1\n") && !printed.contains("pass"),
            "{printed}"
        );
    }
}

#[test]
fn a_rig_that_says_nothing() {
    let rig = Rig::new(|_| Reply::Silence);
    let mut list = command(&rig.url, &["list"]);
    list.env("BEADRIG_DEADLINE_MS", "300");
    let printed = output(list).replace(&rig.url, "http://rig");
    expect![[r#"
        --- stderr
        Error: the rig at http://rig did not answer within 0.3 s
        exit 1
    "#]]
    .assert_eq(&printed);
}
