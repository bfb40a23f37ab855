//! Where the URL, the rig and the token come from, and that the token is never shown.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use expect_test::expect;
use std::fs;
use support::{Rig, TOKEN, bead, command, directory, ok, output, refused, run};

#[test]
fn a_token_that_is_refused_is_named_by_its_source() {
    let rig = Rig::new(|_| refused(401, "unauthorized", "the token is not valid"));
    expect![[r#"
        --- stderr
        Error: the rig at http://rig does not accept the token from BEADRIG_TOKEN: the token is not valid
        exit 1
    "#]].assert_eq(&run(&rig, &["list"]));

    let here = directory("token-file");
    fs::write(here.join("token"), format!("{TOKEN}\n")).unwrap();
    let mut list = command(&rig.url, &["list", "--token-file", "token"]);
    list.current_dir(&here).env_remove("BEADRIG_TOKEN");
    expect![[r#"
        --- stderr
        Error: the rig at http://rig does not accept the token from token: the token is not valid
        exit 1
    "#]]
    .assert_eq(&output(list).replace(&rig.url, "http://rig"));
    let asked = rig.requests();
    assert!(
        asked.iter().all(|asked| asked.header("authorization") == Some("Bearer s3cret-token")),
        "{asked:?}"
    );
}

#[test]
fn a_token_that_is_missing() {
    let mut list = command("http://127.0.0.1:1", &["list", "--json"]);
    list.env_remove("BEADRIG_TOKEN");
    expect![[r#"
        --- stderr
        {
          "error": "no token for the rig",
          "hint": "give it with --token-file FILE, in BEADRIG_TOKEN, or as \"token\" in .beadrig/config.json"
        }
        exit 1
    "#]].assert_eq(&output(list));
}

#[test]
fn the_project_file_is_found_upward_and_comes_last() {
    let rig = Rig::new(|_| ok([bead("rig-1")]));
    let above = directory("project");
    let here = above.join("deep/inside");
    fs::create_dir_all(&here).unwrap();
    let project = format!(r#"{{"url": "{}/", "rig": "my rig", "token": "{TOKEN}"}}"#, rig.url);
    fs::write(above.join(".beadrig/config.json"), project).unwrap();
    let list = |args: &[&str]| {
        let mut list = command("", args);
        list.env_remove("BEADRIG_TOKEN").current_dir(&here);
        output(list)
    };
    list(&["list"]);
    list(&["list", "--rig", "other", "--db", "/workspace/.beads"]);
    let lines: Vec<_> = rig.requests().into_iter().map(|asked| asked.line).collect();
    expect![[r#"
        GET /api/rigs/my%20rig/beads?exclude_status=closed&limit=1000&offset=0
        GET /api/rigs/other/beads?exclude_status=closed&limit=1000&offset=0"#]]
    .assert_eq(&lines.join("\n"));

    fs::write(above.join(".beadrig/config.json"), format!("{{\"token\": \"{TOKEN}\", oops}}"))
        .unwrap();
    let printed = list(&["list"]).replace(above.to_str().unwrap(), "/project");
    expect![[r#"
        --- stderr
        Error: /project/.beadrig/config.json, line 1, column 27: not {"url", "rig", "user", "actor", "token"}
        exit 1
    "#]]
    .assert_eq(&printed);
}

#[test]
fn a_token_of_ones_own_does_not_go_to_an_address_that_a_directory_names() {
    let here = directory("stranger");
    fs::write(here.join(".beadrig/config.json"), r#"{"url": "https://example.net"}"#).unwrap();
    let mut list = command("", &["list"]);
    list.env_remove("BEADRIG_URL").current_dir(&here);
    let said = output(list).replace(here.canonicalize().unwrap().to_str().unwrap(), "/project");
    expect![[r#"
        --- stderr
        Error: the address https://example.net is from /project/.beadrig/config.json, but the token is not
        Hint: give both: --url and the token, or both in the file
        exit 1
    "#]].assert_eq(&said.replace(here.to_str().unwrap(), "/project"));
}
