//! The command itself: where its settings come from, the switch, towns and rigs, completions, the manual, `up`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::wire::directory::{TownRigView, TownView};
use beadrig::wire::dispatch::{DispatchView, PauseView, Scope};
use expect_test::expect;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Reply, Rig, TOKEN, bead, check, command, directory, ok, output, refused, run};

/// A directory with a project's file, and a user's file in a home below it.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, project: &str, own: &str) -> Self {
        let here = directory(name);
        fs::create_dir_all(here.join("home/.config/beadrig")).unwrap();
        write(&here.join(".beadrig/config.json"), project, 0o600);
        let files = Self(here);
        write(&files.own(), own, 0o600);
        files
    }

    fn own(&self) -> PathBuf {
        self.0.join("home/.config/beadrig/config.json")
    }

    /// A command that has nothing else.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command("", args);
        command.env_remove("BEADRIG_URL").env_remove("BEADRIG_TOKEN");
        command.env("HOME", self.0.join("home")).current_dir(&self.0);
        command
    }

    fn run(&self, args: &[&str]) -> String {
        self.plain(&output(self.command(args)))
    }

    fn plain(&self, text: &str) -> String {
        text.replace(self.0.to_str().unwrap(), "/here")
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn each_setting_comes_from_the_first_place_that_has_it() {
    let project = r#"{"rig": "of-the-project"}"#;
    let own = format!(
        r#"{{"url": "http://127.0.0.1:9", "rig": "of-the-user", "user": "ann", "token": "{TOKEN}"}}"#
    );
    let files = Files::new("where", project, &own);
    expect![[r#"
        SETTING  VALUE               FROM
        url      http://127.0.0.1:9  /here/home/.config/beadrig/config.json
        rig      of-the-project      /here/.beadrig/config.json
        token    (not shown)         /here/home/.config/beadrig/config.json
        actor    alice               BEADS_ACTOR
        user     ann                 /here/home/.config/beadrig/config.json

        project file  /here/.beadrig/config.json
        user file     /here/home/.config/beadrig/config.json
        exit 0
    "#]]
    .assert_eq(&files.run(&["where"]));
    let mut command = files.command(&["where", "--url", "http://127.0.0.1:8"]);
    command.env("BEADRIG_RIG", "of-the-environment");
    let told = output(command);
    assert!(told.contains("http://127.0.0.1:8  --url"), "{told}");
    assert!(told.contains("of-the-environment  BEADRIG_RIG"), "{told}");
    let told = files.command(&["where", "--json"]).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["token"]["set"], true, "{told}");
    assert!(!told.to_string().contains(TOKEN), "{told}");
}

#[test]
fn a_token_that_others_can_read_is_warned_about() {
    let rig = Rig::new(|_| ok([bead("rig-1")]));
    let own = format!(r#"{{"url": "{}", "token": "{TOKEN}"}}"#, rig.url);
    let files = Files::new("exposed", "{}", &own);
    write(&files.own(), &own, 0o644);
    let told = files.run(&["list"]);
    let warning = "Warning: /here/home/.config/beadrig/config.json holds a token and others can read it \
                   (mode 644): chmod 600 /here/home/.config/beadrig/config.json";
    assert!(told.contains(warning), "{told}");
    assert!(told.contains("rig-1"), "it works all the same: {told}");
    assert!(!files.run(&["list", "--quiet"]).contains("Warning"));
    write(&files.own(), &own, 0o600);
    assert!(!files.run(&["list"]).contains("Warning"));
}

#[test]
fn the_users_token_does_not_go_to_an_address_that_a_directory_names() {
    let own = format!(r#"{{"token": "{TOKEN}"}}"#);
    let files = Files::new("stranger-too", r#"{"url": "https://example.net"}"#, &own);
    expect![[r#"
        --- stderr
        Error: the address https://example.net is from /here/.beadrig/config.json, but the token is not
        Hint: give both: --url and the token, or both in the file
        exit 1
    "#]].assert_eq(&files.run(&["list"]));
}

fn paused(scope: Scope) -> DispatchView {
    let by = Some("bob".to_owned());
    let at = Some("2026-11-20T03:41:00.000Z".to_owned());
    let reason = Some("deploying".to_owned());
    DispatchView { enabled: false, paused: vec![PauseView { scope, by, at, reason }] }
}

#[test]
fn pause_and_resume_say_who_holds_the_switch() {
    check(
        |_| ok(paused(Scope::Rig)),
        &["pause", "-r", "deploying"],
        expect![[r#"
        POST /pause {"reason":"deploying"}
        ---
        Dispatch is off: no bead is handed to an agent; what runs goes on.
          this rig paused by bob since 2026-11-20 03:41:00 (deploying); ends with `beadrig resume`
        exit 0
    "#]],
    );
    check(
        |_| ok(paused(Scope::Deployment)),
        &["pause", "--all"],
        expect![[r#"
        POST /api/pause {}
        ---
        Dispatch is off: no bead is handed to an agent; what runs goes on.
          all rigs paused by bob since 2026-11-20 03:41:00 (deploying); ends with `beadrig resume --all`
        exit 0
    "#]],
    );
    check(
        |_| ok(paused(Scope::Deployment)),
        &["resume"],
        expect![[r#"
        POST /resume {}
        ---
        Dispatch is off: no bead is handed to an agent; what runs goes on.
          all rigs paused by bob since 2026-11-20 03:41:00 (deploying); ends with `beadrig resume --all`
        exit 0
    "#]],
    );
    let on = || ok(DispatchView { enabled: true, paused: Vec::new() });
    check(
        move |_| on(),
        &["resume", "--all"],
        expect![[r#"
        POST /api/resume {}
        ---
        Dispatch is on: beads are handed to agents.
        exit 0
    "#]],
    );
    let setting = || {
        let hand = PauseView { scope: Scope::Setting, by: None, at: None, reason: None };
        ok(DispatchView { enabled: false, paused: vec![hand] })
    };
    check(
        move |_| setting(),
        &["resume", "--json"],
        expect![[r#"
        POST /resume {}
        ---
        {
          "enabled": false,
          "paused": [
            {
              "scope": "setting"
            }
          ]
        }
        exit 0
    "#]],
    );
}

fn town(id: &str) -> TownView {
    let at = "2026-11-20T03:41:00.000Z".to_owned();
    TownView {
        id: id.into(),
        name: "Home".into(),
        owner_user_id: "ann".into(),
        created_at: at.clone(),
        updated_at: at,
    }
}

fn rig_of(town: &str) -> TownRigView {
    let at = "2026-11-20T03:41:00.000Z".to_owned();
    TownRigView {
        id: "site".into(),
        town_id: town.into(),
        name: "The site".into(),
        git_url: Some("https://me:secret@example.com/site.git".into()),
        default_branch: "main".into(),
        created_at: at.clone(),
        updated_at: at,
    }
}

#[test]
fn towns_and_rigs_are_listed_made_and_deleted() {
    check(
        |_| ok([town("local")]),
        &["towns"],
        expect![[r#"
        GET /api/users/operator/towns
        ---
        ID     MADE              NAME
        local  2026-11-20 03:41  Home
        exit 0
    "#]],
    );
    check(
        |_| ok(town("local")),
        &["towns", "create", "Home", "--id", "local", "--user", "ann"],
        expect![[r#"
            POST /api/users/ann/towns {"name":"Home","id":"local"}
            ---
            ✓ Town Home is local
            exit 0
        "#]],
    );
    check(
        |_| ok([town("local")]),
        &["towns", "delete", "local"],
        expect![[r#"
        ---
        --- stderr
        Error: this deletes town local with all its rigs and all they hold, for good
        Hint: say --force if that is meant
        exit 1
    "#]],
    );
    check(
        |_| ok("deleted"),
        &["towns", "delete", "local", "--force"],
        expect![[r#"
        DELETE /api/users/operator/towns/local
        ---
        ✓ Deleted town local
        exit 0
    "#]],
    );
    let list = |asked: &support::Asked| {
        if asked.line.ends_with("/towns") { ok([town("local")]) } else { ok([rig_of("local")]) }
    };
    check(
        list,
        &["rigs"],
        expect![[r#"
        GET /api/users/operator/towns
        GET /api/users/operator/towns/local/rigs
        ---
        ID    TOWN   NAME      REPOSITORY                      BRANCH
        site  local  The site  https://…@example.com/site.git  main
        exit 0
    "#]],
    );
    check(
        |_| ok(rig_of("local")),
        &["rigs", "create", "local", "The site", "--id", "site", "--json"],
        expect![[r#"
            POST /api/users/operator/rigs {"town_id":"local","name":"The site","id":"site"}
            ---
            {
              "id": "site",
              "town_id": "local",
              "name": "The site",
              "git_url": "https://me:secret@example.com/site.git",
              "default_branch": "main",
              "created_at": "2026-11-20T03:41:00.000Z",
              "updated_at": "2026-11-20T03:41:00.000Z"
            }
            exit 0
        "#]],
    );
    check(
        |_| refused(503, "unavailable", "rig site does not answer; ask again"),
        &["rigs", "delete", "site", "--force"],
        expect![[r#"
            DELETE /api/users/operator/rigs/site
            ---
            --- stderr
            Error: rig site does not answer; ask again
            exit 1
        "#]],
    );
}

#[test]
fn completions_know_every_verb_under_the_name_of_the_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = output(command("", &["completions", shell]));
        for verb in ["sling", "doctor", "escalations", "create", "reopen"] {
            assert!(script.contains(verb), "{shell} knows no {verb}");
        }
    }
    let bash = output(command("", &["completions", "bash"])).replace("exit 0\n", "");
    let file = directory("completions").join("beadrig.bash");
    fs::write(&file, bash).unwrap();
    let check = format!(
        "source {} && COMP_WORDS=(beadrig esc) COMP_CWORD=1 && _beadrig beadrig esc beadrig && echo ${{COMPREPLY[@]}}",
        file.display()
    );
    let done = Command::new("bash").args(["-c", &check]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "escalations", "{done:?}");
}

#[test]
fn the_manual_has_every_verb_with_its_example() {
    let page = output(command("", &["man"]));
    assert!(page.starts_with(".ie"), "{}", &page[..100]);
    for text in [".SH DOCTOR", ".SH WHY", ".SH CREATE", "beadrig watch"] {
        assert!(page.contains(text), "the manual has no {text}");
    }
}

#[test]
fn every_verb_of_ones_own_has_help_with_an_example() {
    for verb in [
        "sling",
        "hook",
        "unhook",
        "prime",
        "agents",
        "mail",
        "review",
        "convoy",
        "molecule",
        "escalations",
        "logs",
        "watch",
        "pause",
        "resume",
        "why",
        "towns",
        "rigs",
        "settings",
        "where",
        "doctor",
        "completions",
        "man",
        "up",
    ] {
        let help = output(command("", &[verb, "--help"]));
        assert!(help.contains("Example") && help.ends_with("exit 0\n"), "{verb}:\n{help}");
    }
}

#[test]
fn up_outside_of_the_repository_says_how() {
    let elsewhere = std::env::temp_dir();
    let mut up = command("", &["up"]);
    up.current_dir(&elsewhere);
    expect![[r#"
        --- stderr
        Error: this is not inside the repository of Beadrig
        Hint: the local stack is started from there: `git clone` it, `cd` into it, then `cargo xtask up`; a deployed one is found with --url or BEADRIG_URL
        exit 1
    "#]].assert_eq(&output(up));
}

#[test]
fn colours_are_for_terminals_alone() {
    let rig = Rig::new(|_| ok([bead("rig-1")]));
    let list = run(&rig, &["list"]);
    assert!(!list.contains('\u{1b}'), "{list:?}");
    // `script` gives it a terminal.
    let beadrig = env!("CARGO_BIN_EXE_beadrig");
    let in_terminal = |no_color: &str| {
        let run = format!("{beadrig} --url {} list", rig.url);
        let mut script = Command::new("script");
        script
            .args(["-qec", &run, "/dev/null"])
            .env("BEADRIG_TOKEN", TOKEN)
            .env("NO_COLOR", no_color);
        script.stdin(std::process::Stdio::null());
        script.output().map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).ok()
    };
    // Not every system has it.
    let (Some(with), Some(without)) = (in_terminal(""), in_terminal("1")) else { return };
    assert!(with.contains('\u{1b}') && with.contains("rig-1"), "{with:?}");
    assert!(!without.contains("\u{1b}[2m") && without.contains("rig-1"), "{without:?}");
}

#[test]
fn an_answer_that_is_no_rigs_is_said_to_be_none() {
    check(
        |_| Reply::Answer(200, "<html>".into()),
        &["agents"],
        expect![[r#"
        GET /agents
        ---
        --- stderr
        Error: http://rig answered 200, and not as a rig does
        Hint: is the URL the one of a Beadrig service?
        exit 1
    "#]],
    );
}
