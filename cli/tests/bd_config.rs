//! `config`: bd's outputs, and what is kept where. No secret is ever written or shown.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::too_many_lines, reason = "most of them are what is printed")]

mod support;

use expect_test::expect;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use support::linked::RealRig;
use support::{TOKEN, show};

/// A rig, and its project's file with nothing in it.
fn some(name: &str) -> (RealRig, PathBuf) {
    let rig = RealRig::new(name);
    let file = rig.here.join(".beadrig/config.json");
    fs::write(&file, "{}").unwrap();
    (rig, file)
}

#[test]
fn settings_are_set_shown_listed_and_taken_back_as_in_bd() {
    let (rig, file) = some("config");
    let told = rig.tell(&[
        "config list",
        "config list --json",
        "config get custom.team",
        "config get custom.team --json",
        "config set custom.team parsers",
        "config set custom.team lexers --json",
        "config get custom.team",
        "config set custm.team x",
        "config set jira.url https://example.com",
        "config set status.custom awaiting_review",
        "config get rig --json",
        "config get actor",
        "config get issue_prefix",
        "config set issue_prefix code-",
        "config get issue_prefix --json",
        "config list",
        "config list --json",
        "config unset custom.team",
        "config unset custom.team --json",
        "config get custom.team",
        "config get",
        "config frob",
        "config set '' x",
        "--readonly config set custom.team x",
        "--readonly config unset custom.team",
    ]);
    let here = rig.here.canonicalize().unwrap();
    expect![[r#"
        $ bd config list
        No configuration set
        exit 0
        $ bd config list --json
        {}
        exit 0
        $ bd config get custom.team
        custom.team (not set)
        exit 0
        $ bd config get custom.team --json
        {
          "key": "custom.team",
          "value": ""
        }
        exit 0
        $ bd config set custom.team parsers
        Set custom.team = parsers
        exit 0
        $ bd config set custom.team lexers --json
        {
          "key": "custom.team",
          "value": "lexers"
        }
        exit 0
        $ bd config get custom.team
        lexers
        exit 0
        $ bd config set custm.team x
        Set custm.team = x
        --- stderr
        Warning: "custm.team" is not a recognized config key. Use 'custom.*' for user-defined keys.
        exit 0
        $ bd config set jira.url https://example.com
        Set jira.url = https://example.com
        exit 0
        $ bd config set status.custom awaiting_review
        Set status.custom = awaiting_review
        --- stderr
        Warning: status.custom is kept, but a rig has its own statuses, and takes any type
        exit 0
        $ bd config get rig --json
        {
          "key": "rig",
          "location": "BEADRIG_RIG",
          "value": "demo"
        }
        exit 0
        $ bd config get actor
        alice
        exit 0
        $ bd config get issue_prefix
        demo
        exit 0
        $ bd config set issue_prefix code-
        Set issue_prefix = code
        exit 0
        $ bd config get issue_prefix --json
        {
          "key": "issue_prefix",
          "value": "code"
        }
        exit 0
        $ bd config list

        Configuration:
          custm.team = x
          custom.team = lexers
          jira.url = https://example.com
          status.custom = awaiting_review
        exit 0
        $ bd config list --json
        {
          "custm.team": "x",
          "custom.team": "lexers",
          "jira.url": "https://example.com",
          "status.custom": "awaiting_review"
        }
        exit 0
        $ bd config unset custom.team
        Unset custom.team
        exit 0
        $ bd config unset custom.team --json
        {
          "key": "custom.team"
        }
        exit 0
        $ bd config get custom.team
        custom.team (not set)
        exit 0
        $ bd config get
        --- stderr
        Error: the following required arguments were not provided:
          <KEY>

        Usage: bd config get <KEY>

        For more information, try '--help'.
        exit 1
        $ bd config frob
        --- stderr
        Error: unknown command "frob" for "bd config"
        Run 'bd config --help' for usage.
        exit 1
        $ bd config set '' x
        --- stderr
        Error: key cannot be empty
        exit 1
        $ bd --readonly config set custom.team x
        --- stderr
        Error: operation 'config set' is not allowed in read-only mode
        exit 1
        $ bd --readonly config unset custom.team
        --- stderr
        Error: operation 'config unset' is not allowed in read-only mode
        exit 1
    "#]]
    .assert_eq(&told.replace(here.to_str().unwrap(), "/here"));
    expect![[r#"
        {
          "bd": {
            "custm.team": "x",
            "jira.url": "https://example.com",
            "status.custom": "awaiting_review"
          }
        }
    "#]]
    .assert_eq(&fs::read_to_string(&file).unwrap());
    // It is the rig's, and not the file's.
    assert!(rig.sh("q new").starts_with("code-"));
}

#[test]
fn what_the_command_itself_was_told_holds_from_the_next_call_on() {
    let (rig, file) = some("config-own");
    let url = rig.rig.url.clone();
    let bd = |words: &[&str]| {
        let mut command = rig.command(words);
        command.env_remove("BEADRIG_URL").env_remove("BEADRIG_RIG").env_remove("BEADS_ACTOR");
        show(&command.output().unwrap()).replace(&url, "http://rig")
    };
    for (key, value) in [("url", &*url), ("rig", "demo"), ("actor", "carol")] {
        assert!(bd(&["config", "set", key, value]).ends_with("exit 0\n"));
    }
    let said: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(said, json!({"url": url, "rig": "demo", "actor": "carol"}));
    let made = bd(&["q", "new"]);
    let id = made.lines().next().unwrap();
    assert_eq!(rig.json(&["show", id])[0]["created_by"], "carol");
    assert_eq!(bd(&["config", "get", "rig"]), "demo\nexit 0\n");
    // A variable counts before the file, and that is said.
    let told = rig.sh("config set rig other").replace(file.to_str().unwrap(), "/here");
    assert!(
        told.contains("Warning: BEADRIG_RIG says \"demo\", and counts before the file"),
        "{told}"
    );
    assert!(rig.sh("config set url ftp://x").contains("must start with http://"));
    assert!(rig.sh("config set rig ''").contains("rig cannot be empty"));
    assert_eq!(bd(&["config", "unset", "actor", "--quiet"]).lines().count(), 2);
    assert!(!fs::read_to_string(&file).unwrap().contains("carol"));
}

#[test]
fn ones_own_file_is_changed_where_that_is_said() {
    let (rig, file) = some("config-global");
    let home = rig.here.join("home");
    let _ = fs::remove_dir_all(&home);
    let bd = |words: &[&str]| {
        let output = rig.command(words).env("HOME", &home).output().unwrap();
        show(&output).replace(home.to_str().unwrap(), "/home")
    };
    expect![[r#"
        Set user = carol (in /home/.config/beadrig/config.json)
        exit 0
    "#]]
    .assert_eq(&bd(&["config", "set", "--global", "user", "carol"]));
    assert_eq!(bd(&["config", "get", "user"]), "carol\nexit 0\n");
    bd(&["config", "set", "--global", "custom.a", "mine"]);
    bd(&["config", "set", "--global", "custom.b", "mine"]);
    bd(&["config", "set", "custom.a", "ours"]);
    assert_eq!(bd(&["config", "get", "custom.a"]), "ours\nexit 0\n");
    assert_eq!(bd(&["config", "get", "custom.b"]), "mine\nexit 0\n");
    assert!(!fs::read_to_string(&file).unwrap().contains("carol"));
    assert!(rig.sh("config set --global rig x").contains("no home"));
}

#[test]
fn no_secret_is_written_or_shown_and_what_is_there_stays() {
    let (rig, file) = some("config-secret");
    let kept =
        json!({"token": TOKEN, "bd": {"jira.api_token": TOKEN, "custom.a": "b"}, "later": [1]});
    fs::write(&file, kept.to_string()).unwrap();
    for line in [
        "config list",
        "config list --json",
        "config get token",
        "config get jira.api_token",
        "config set token abcdef",
        "config set linear.api-key abcdef",
        "config set jira.url https://me:abcdef@example.com",
        "config set url https://me:abcdef@example.com",
        "config unset token",
        "config set custom.c d",
    ] {
        // What is printed is looked through for the token wherever it is shown.
        assert!(!rig.sh(line).contains("abcdef"), "{line}");
    }
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("abcdef"), "{text}");
    let now: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(now["token"], TOKEN);
    assert_eq!(now["later"], json!([1]));
    assert_eq!(now["bd"]["custom.c"], "d");
}

#[test]
fn ten_who_set_ten_keys_at_once_all_find_theirs() {
    let (rig, file) = some("config-race");
    let calls: Vec<_> = (0..10)
        .map(|n| {
            let key = format!("custom.k{n}");
            rig.command(&["config", "set", &key, "v"]).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut call in calls {
        assert!(call.wait().unwrap().success());
    }
    let now: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(now["bd"].as_object().unwrap().len(), 10, "{now}");
    let left: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
