//! Branches that are merged: by the container service in a real repository, and by the test in its place.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::rig::Rig;
use crate::support::{LATER, SOON, World, agent, until};

/// Runs git, which must succeed, with no settings but these.
#[track_caller]
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(dir).args(args);
    for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        command.env(name, "/dev/null");
    }
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "ann")
            .env(format!("GIT_{who}_EMAIL"), "ann@example.org");
    }
    let output = command.output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "git {args:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// A bare repository with one commit on `main`: two files of one line.
pub(crate) fn repository(dir: &Path) -> String {
    let (bare, work) = (dir.join("origin.git"), dir.join("seed"));
    git(dir, &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]);
    git(dir, &["clone", "--quiet", "origin.git", "seed"]);
    git(&work, &["checkout", "--quiet", "-B", "main"]);
    for file in ["words.txt", "other.txt"] {
        std::fs::write(work.join(file), "nothing yet\n").unwrap();
    }
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "Begin"]);
    git(&work, &["push", "--quiet", "origin", "main"]);
    bare.to_str().unwrap().to_owned()
}

#[track_caller]
pub(crate) fn configure(rig: &Rig, patch: &Value) {
    let answer = rig.operator("PATCH", "/config", &patch.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[track_caller]
fn post(rig: &Rig, rest: &str, body: &Value) -> Value {
    let answer = rig.operator("POST", rest, &body.to_string()).unwrap();
    assert!(answer.status < 300, "{answer:?}");
    answer.body["data"].clone()
}

/// Three agents at once; two of them write the same line of the same file. All of it ends on `main`.
#[test]
fn three_beads_end_on_the_remote_and_the_one_that_conflicts_is_resolved_by_its_agent() {
    let command = format!("{} '{{title}}'", agent("commits"));
    let world = World::start(|options| options.set("AGENT_COMMAND", command).set("MAX_AGENTS", 3));
    let dir = tempfile::tempdir().unwrap();
    let url = repository(dir.path());
    let rig = world.rig("merges");
    let gates = json!([{"name": "words", "command": "test -s words.txt", "time_limit_s": 30}]);
    configure(&rig, &json!({"git_url": url, "merge_gates": gates}));
    let beads = ["words.txt one", "words.txt two", "other.txt three"].map(|it| rig.assigned(it));
    for bead in &beads {
        rig.runs.wait(bead, "committed", LATER);
    }
    rig.runs.open(&["done"]);
    let closed = beads.each_ref().map(|bead| rig.status_until(bead, "closed", LATER * 2));
    rig.idle(LATER);
    let origin = dir.path().join("origin.git");
    let history = git(&origin, &["log", "--graph", "--oneline", "--decorate", "main"]);
    let reviews = rig.get("/review-queue");
    eprintln!("{history}\n{reviews:#}\n{}", rig.runs.told());

    let words = git(&origin, &["show", "main:words.txt"]);
    let mut lines: Vec<&str> = words.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"], "{history}");
    assert_eq!(git(&origin, &["show", "main:other.txt"]), "three\n", "{history}");
    for bead in &closed {
        let (id, why) = (bead["id"].as_str().unwrap(), bead["close_reason"].as_str().unwrap());
        let branch = bead["branch"].as_str().unwrap();
        assert!(branch.starts_with("gt/") && branch.ends_with(id), "{branch}");
        assert!(why.starts_with(&format!("merged {branch} into ")), "{why}");
        let commit = why.rsplit(' ').next().unwrap();
        git(&origin, &["merge-base", "--is-ancestor", commit, "main"]);
    }
    // One round for one of the two, and no more.
    let resolved = beads.each_ref().map(|bead| rig.runs.count(bead, "resolved"));
    assert_eq!((resolved[0] + resolved[1], resolved[2]), (1, 0), "{}", rig.runs.told());
    let ends =
        |end: &str| reviews.as_array().unwrap().iter().filter(|it| it["status"] == end).count();
    assert_eq!((ends("merged"), ends("conflict")), (3, 1), "{reviews:#}");
    // Merged branches are gone; whoever looks finds nothing but `main`.
    let branches = git(&origin, &["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert_eq!(branches.trim(), "refs/heads/main");
}

/// A rig whose merges the test answers, and an agent of it.
fn in_place_of_the_container() -> (World, Proxy, Rig, String) {
    let mut proxy = None;
    let world = World::start(|options| {
        let between = proxy.insert(Proxy::to(options.container_port.number()));
        let url = between.url.clone();
        options.set("CONTAINER_URL", url)
    });
    let rig = world.rig("merges");
    let env = json!({"GIT_TOKEN": "token-of-the-forge"});
    configure(&rig, &json!({"git_url": "https://example.org/o/r.git", "env_vars": env}));
    let agent = json!({"role": "polecat", "name": "Toast", "identity": "polecat/Toast"});
    let agent = post(&rig, "/agents", &agent)["id"].as_str().unwrap().to_owned();
    (world, proxy.unwrap(), rig, agent)
}

fn hand_in(rig: &Rig, agent: &str, title: &str) -> (String, String) {
    let bead = rig.create(title);
    let body = json!({"agent_id": agent, "bead_id": bead, "branch": format!("gt/toast/{bead}")});
    let entry = post(rig, "/review-queue", &body)["entry_id"].as_str().unwrap().to_owned();
    (bead, entry)
}

/// Waits for so many requests for merges, and answers the last.
#[track_caller]
fn asked(proxy: &Proxy, count: usize) -> Value {
    until(&format!("merge, the {count}th"), LATER, || match proxy.merges() {
        merges if merges.len() >= count => Ok(serde_json::from_str(&merges[count - 1]).unwrap()),
        merges => Err(format!("{merges:?}")),
    })
}

#[test]
fn a_merge_is_asked_for_until_there_is_room_and_lands_while_it_is_wanted() {
    let (world, proxy, rig, agent) = in_place_of_the_container();
    let full = r#"{"error":"2 of 2 merges are at work","code":"capacity"}"#;
    let accepted = r#"{"status":"accepted","message":"Merge started"}"#;
    proxy.answer_merges(&[(503, full), (202, accepted)]);
    let token = world.stack.container_token();
    let say = |rest: &str, body: Value| {
        rig.send(Some(&token), "POST", &rig.path(rest), &body.to_string()).unwrap()
    };
    let may_land = |entry: &str| {
        let body = json!({"entries": [{"entry_id": entry, "attempt": 1}]});
        let answer = say("/review-queue/landing", body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["data"]["verdicts"][0]["verdict"].as_str().unwrap().to_owned()
    };
    let merged = json!({"status": "merged", "reason": "merged", "message": "", "attempt": 1,
        "commit_sha": "abcdef0123456"});

    let (bead, entry) = hand_in(&rig, &agent, "merged");
    let first = asked(&proxy, 1);
    assert_eq!(first["entries"][0]["entryId"], entry.as_str(), "{first:#}");
    assert_eq!(first["gitUrl"], "https://example.org/o/r.git", "{first:#}");
    assert_eq!(first["envVars"]["GIT_TOKEN"], "token-of-the-forge");
    assert_eq!(asked(&proxy, 2), first, "nothing had begun: the same number");
    until("merge that is accepted", SOON, || {
        let review = rig.try_get(&format!("/review-queue/{entry}"))?;
        if review["status"] == "running" { Ok(()) } else { Err(review.to_string()) }
    });
    assert_eq!(may_land(&entry), "ok");
    let beats = json!({"protocol": 1, "boot_id": "x", "agents": [],
        "merges": [{"entry_id": entry, "attempt": 1}]});
    assert_eq!(say("/heartbeats", beats).body["data"]["merges"][0]["verdict"], "ok");

    // Another one waits meanwhile, and begins when the first is over.
    let (other, second) = hand_in(&rig, &agent, "taken back");
    assert_eq!(say(&format!("/review-queue/{entry}/complete"), merged.clone()).status, 200);
    let closed = rig.status_until(&bead, "closed", SOON);
    let why = closed["close_reason"].as_str().unwrap();
    assert!(why.ends_with(" as abcdef0123456"), "{why}");
    assert_eq!(asked(&proxy, 3)["entries"][0]["entryId"], second.as_str());
    // Its person takes it back: whatever the container has done so far, it does not land.
    rig.say(&["update", &other, "-s", "open"]);
    assert_eq!(may_land(&second), "stale");
    let late = say(&format!("/review-queue/{second}/complete"), merged);
    assert_eq!((late.status, late.code()), (409, "conflict"), "{late:?}");
    assert_eq!(rig.bead(&other)["status"], "open");
    assert!(!world.stack.worker.log().contains("token-of-the-forge"), "a token is in the log");
    assert_eq!(proxy.merges().len(), 3, "nobody asks without need");
}
