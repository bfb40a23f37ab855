//! `export`, `import` and `sync` against the core of a rig: files as they come, and files as they should not come.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

#[path = "../../tests/support/mod.rs"]
mod core;
#[path = "../../tests/exchange/generated.rs"]
mod generated;
#[path = "support/real.rs"]
mod real;

use beadrig::issue::{self, Issue};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Reply, Rig, command, output, refused};
use tempfile::TempDir;

const AT: &str = "2025-01-01T00:00:00Z";

fn line(id: &str, title: &str) -> Value {
    json!({"id": id, "title": title, "status": "open", "priority": 2, "issue_type": "task",
        "created_at": AT, "updated_at": AT})
}

fn file_of(issues: &[Value]) -> String {
    issues.iter().map(|it| issue::line(it.as_object().unwrap()) + "\n").collect()
}

/// A repository with this file.
struct Repo(TempDir);

impl Repo {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".beads")).unwrap();
        // So that no project file above is found.
        fs::create_dir(dir.path().join(".beadrig")).unwrap();
        fs::write(dir.path().join(".beadrig/config.json"), "{}").unwrap();
        let repo = Self(dir);
        repo.write(text);
        repo
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join(".beads/issues.jsonl")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn run(&self, rig: &Rig, args: &[&str]) -> String {
        let mut command = command(&rig.url, args);
        command.current_dir(self.0.path());
        output(command)
    }

    fn conflicts(&self) -> String {
        fs::read_to_string(self.0.path().join(".beads/.beadrig-sync/conflicts.jsonl"))
            .unwrap_or_default()
    }
}

fn sorted(text: &str) -> Vec<Issue> {
    let mut all: Vec<Issue> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    all.sort_by_key(|it| it["id"].to_string());
    all
}

#[track_caller]
fn same(one: &str, other: &str) {
    let (one, other) = (sorted(one), sorted(other));
    assert_eq!(one.len(), other.len());
    for (a, b) in one.iter().zip(&other) {
        assert!(issue::same(a, b), "\n{}\n{}", issue::line(a), issue::line(b));
    }
}

#[test]
fn a_file_goes_to_the_rig_and_comes_back_the_same() {
    let rig = real::rig();
    let mut all = generated::issues(1_200, 5);
    // In whichever order it was written.
    all.reverse();
    let repo = Repo::new(&file_of(&all));
    let first = repo.run(&rig, &["import"]);
    assert_eq!(
        first,
        "Imported .beads/issues.jsonl: 1200 created, 0 updated, 0 unchanged, 0 skipped, 0 dropped\nexit 0\n"
    );
    let again = repo.run(&rig, &["import"]);
    assert!(again.contains("0 created, 0 updated, 1200 unchanged"), "{again}");
    let told = repo.run(&rig, &["export", "-o", "out.jsonl"]);
    assert_eq!(told, "--- stderr\nExported 1200 issues to out.jsonl\nexit 0\n");
    let out = fs::read_to_string(repo.0.path().join("out.jsonl")).unwrap();
    same(&repo.text(), &out);
    // bd's order: the most urgent first, of those the newest.
    let issues: Vec<Issue> = out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(issues.is_sorted_by_key(issue::place));
    let left: Vec<_> =
        fs::read_dir(repo.0.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing is left beside it: {left:?}");
    let printed = repo.run(&rig, &["export"]);
    assert_eq!(printed.strip_suffix("exit 0\n").unwrap(), out);
}

#[test]
fn lines_are_sent_so_that_nothing_is_begun_before_what_it_waits_for_is_there() {
    let rig = real::rig();
    let mut all: Vec<Value> = (0..1_200).map(|n| line(&format!("x-{n}"), "t")).collect();
    for (n, it) in all.iter_mut().enumerate().take(1_199) {
        it["dependencies"] = json!([{"issue_id": format!("x-{n}"),
            "depends_on_id": format!("x-{}", n + 1), "type": "blocks", "created_at": AT}]);
        it["assignee"] = "agent".into();
        it["acceptance_criteria"] = "it works".into();
    }
    let repo = Repo::new(&file_of(&all));
    let told = repo.run(&rig, &["import"]);
    assert!(told.contains("1200 created") && !told.contains("not tied"), "{told}");
    let bodies: Vec<Value> =
        rig.requests().iter().map(|it| serde_json::from_str(&it.body).unwrap()).collect();
    let ids: Vec<&str> = bodies
        .iter()
        .flat_map(|it| it["issues"].as_array().unwrap())
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!((bodies.len(), ids[0], ids[1_199]), (3, "x-1199", "x-0"));
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line_and_the_rest_is_taken() {
    let rig = real::rig();
    let good = file_of(&[line("x-1", "one"), line("x-2", "two")]);
    let tombstone = r#"{"id":"x-3","title":"gone","status":"tombstone"}"#;
    let memory = r#"{"_type":"memory","key":"k","value":"v"}"#;
    let circle = file_of(&[line("x-4", "bell \u{7}")]);
    let long = format!(r#"{{"id":"x-5","title":"t","description":"{}"}}"#, "x".repeat(2 << 20));
    let text =
        format!("{good}\n{tombstone}\n{memory}\n{circle}{long}\n[1]\n{{\"id\":\"x-6\",\n{good}");
    let repo = Repo::new(&text);
    let told = repo.run(&rig, &["import"]).replace(&format!("{}", long.len() + 1), "LONG");
    expect_test::expect![[r#"
        Imported .beads/issues.jsonl: 2 created, 0 updated, 0 unchanged, 0 skipped, 5 dropped
        --- stderr
        line 4 x-3: dropped: a tombstone: the issue was deleted
        line 5 : dropped: a memory, which a rig does not keep
        line 6 x-4: dropped: title must be one line without control characters
        line 7 : dropped: the line has LONG bytes, a rig takes 1047552
        line 8 : dropped: no issue: it is no JSON object
        Error: .beads/issues.jsonl, line 9: not JSON at column 12
        Hint: the lines before it were sent; mend it and import again: what is there already is left as it is
        exit 1
    "#]].assert_eq(&told);
    // Mended, the rest follows, and what is there is left as it is.
    repo.write(&text.replace("{\"id\":\"x-6\",\n", &file_of(&[line("x-6", "six")])));
    let told = repo.run(&rig, &["import", "--json"]);
    let report: Value = serde_json::from_str(told.strip_suffix("exit 0\n").unwrap()).unwrap();
    assert_eq!((&report["created"], &report["unchanged"]), (&json!(1), &json!(2)), "{report}");
}

#[test]
fn a_line_of_64_megabytes_is_told_and_not_held() {
    let rig = real::rig();
    let repo = Repo::new("");
    let mut file = fs::File::create(repo.path()).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    std::io::Write::write_all(&mut file, br#"{"id":"x-0","title":""#).unwrap();
    for _ in 0..64 {
        std::io::Write::write_all(&mut file, &chunk).unwrap();
    }
    std::io::Write::write_all(
        &mut file,
        format!("\"}}\n{}", file_of(&[line("x-1", "t")])).as_bytes(),
    )
    .unwrap();
    drop(file);
    let told = repo.run(&rig, &["import"]);
    assert!(told.contains("line 1 : dropped: the line has 67108888 bytes"), "{told}");
    assert!(told.contains("1 created"), "{told}");
}

#[test]
fn an_import_that_is_cut_off_goes_on() {
    let count = AtomicUsize::new(0);
    let rig = Rig::new(move |asked| match count.fetch_add(1, Ordering::Relaxed) {
        // Before it is heard, after it is done, and with an answer that was too long to be kept.
        0 => refused(503, "unavailable", "the rig starts"),
        1 => drop_answer(real::answer(asked)),
        2 => refused(
            409,
            "conflict",
            "done already at …; its answer was too large to be kept: ask how it is now",
        ),
        _ => real::answer(asked),
    });
    let all: Vec<Value> = (0..700).map(|n| line(&format!("x-{n}"), "t")).collect();
    let repo = Repo::new(&file_of(&all));
    let told = repo.run(&rig, &["import"]);
    // The first batch was done when its answer was lost: its lines read as unchanged.
    assert!(told.contains("200 created, 0 updated, 500 unchanged"), "{told}");
    let keys: Vec<_> =
        rig.requests().iter().map(|it| it.header("idempotency-key").unwrap().to_owned()).collect();
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
}

fn drop_answer(_: Reply) -> Reply {
    Reply::Cut
}

#[test]
fn a_dry_run_changes_nothing() {
    let rig = real::rig();
    let repo = Repo::new(&file_of(&[line("x-1", "t")]));
    let told = repo.run(&rig, &["import", "--dry-run"]);
    assert!(told.starts_with("Would import .beads/issues.jsonl: 1 created"), "{told}");
    let told = repo.run(&rig, &["sync", "--dry-run"]);
    assert!(told.contains("1 would go to the rig, 0 to the file"), "{told}");
    assert_eq!(repo.run(&rig, &["export"]), "exit 0\n");
}

/// Written by another program: keys in another order, spaces, no newline at the end.
const STRANGE: &str = "{ \"title\":\"one\", \"id\":\"x-1\",\"updated_at\":\"2025-01-01T00:00:00+00:00\",\"created_at\":\"2025-01-01T00:00:00Z\"}\n\n{\"_type\":\"memory\",\"key\":\"k\"}\n{\"id\":\"x-2\",\"title\":\"two\",\"created_at\":\"2025-01-01T00:00:00Z\",\"my_key\":1.50}";

#[test]
fn what_nobody_changed_stays_byte_for_byte() {
    let rig = real::rig();
    let repo = Repo::new(STRANGE);
    let told = repo.run(&rig, &["sync"]);
    assert!(told.contains("2 went to the rig, 0 to the file"), "{told}");
    assert_eq!(repo.text(), STRANGE);
    let told = repo.run(&rig, &["sync"]);
    assert!(
        told.contains("0 went to the rig, 0 to the file, 0 out of the file, 0 conflicts"),
        "{told}"
    );
    // Changed in the rig: that line alone is written anew.
    repo.run(&rig, &["update", "x-2", "--title", "changed here"]);
    repo.run(&rig, &["create", "made here", "--id", "x-9"]);
    let told = repo.run(&rig, &["sync"]);
    assert!(told.contains("0 went to the rig, 2 to the file"), "{told}");
    let (old, new) = (STRANGE.rsplit_once('\n').unwrap().0, repo.text());
    let rest = new.strip_prefix(old).unwrap();
    assert!(
        rest.contains("changed here")
            && rest.contains("\"my_key\":1.5")
            && rest.contains("made here"),
        "{rest}"
    );
}

#[test]
fn both_sides_change_and_the_newer_counts_and_the_other_is_kept() {
    let rig = real::rig();
    let repo = Repo::new(&file_of(&["x-1", "x-2", "x-3"].map(|id| line(id, "t"))));
    repo.run(&rig, &["sync"]);
    for id in ["x-1", "x-2"] {
        repo.run(&rig, &["update", id, "--title", "the rig's"]);
    }
    let mut lines = ["x-1", "x-2", "x-3"].map(|id| line(id, "the file's"));
    // Older than the rig's, newer than the rig's, and changed in the file alone.
    for (it, at) in lines.iter_mut().zip([
        "2025-06-01T00:00:00Z",
        "2099-01-01T00:00:00Z",
        "2025-06-01T00:00:00Z",
    ]) {
        it["updated_at"] = at.into();
    }
    repo.write(&file_of(&lines));
    let told = repo.run(&rig, &["sync"]);
    expect_test::expect![[r#"
        .beads/issues.jsonl: 2 went to the rig, 1 to the file, 0 out of the file, 2 conflicts
        --- stderr
        x-1: changed in both; the rig's counts, the other is in conflicts.jsonl
        x-2: changed in both; the file's counts, the other is in conflicts.jsonl
        exit 0
    "#]]
    .assert_eq(&told);
    let titles: Vec<String> =
        sorted(&repo.text()).iter().map(|it| it["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(titles, ["the rig's", "the file's", "the file's"]);
    same(&repo.text(), repo.run(&rig, &["export"]).strip_suffix("exit 0\n").unwrap());
    let kept: Vec<String> = sorted(&repo.conflicts())
        .iter()
        .map(|it| format!("{} {}", it["id"], it["title"]))
        .collect();
    assert_eq!(kept, [r#""x-1" "the file's""#, r#""x-2" "the rig's""#]);
    assert!(repo.run(&rig, &["sync"]).contains("0 conflicts"));
}

#[test]
fn what_is_deleted_in_the_rig_goes_and_what_is_missing_in_the_file_comes_back() {
    let rig = real::rig();
    let repo = Repo::new(&file_of(&["x-1", "x-2"].map(|id| line(id, "t"))));
    repo.run(&rig, &["sync"]);
    let answer = real::call(&rig, "DELETE", "/beads/x-1", "");
    assert!(answer.contains("200"), "{answer}");
    repo.write(&file_of(&[line("x-1", "t")]));
    let told = repo.run(&rig, &["sync"]);
    assert!(told.contains("0 went to the rig, 1 to the file, 1 out of the file"), "{told}");
    assert_eq!(sorted(&repo.text())[0]["id"], "x-2");
}

#[test]
fn a_file_that_is_broken_is_left_alone_and_so_is_the_rig() {
    let rig = real::rig();
    let text = file_of(&[line("x-1", "t")]) + "<<<<<<< HEAD\n";
    let repo = Repo::new(&text);
    let told = repo.run(&rig, &["sync"]);
    assert!(
        told.contains("issues.jsonl, line 2: not JSON") && told.ends_with("exit 1\n"),
        "{told}"
    );
    assert_eq!(repo.text(), text);
    assert_eq!(repo.run(&rig, &["export"]), "exit 0\n");
}

#[test]
fn two_syncs_at_once_are_one() {
    let rig = real::rig();
    let repo = Repo::new("");
    repo.run(&rig, &["sync"]);
    let lock = fs::File::open(repo.0.path().join(".beads/.beadrig-sync/lock")).unwrap();
    lock.lock().unwrap();
    let told = repo.run(&rig, &["sync"]);
    assert!(told.contains("another sync is at work here") && told.ends_with("exit 1\n"), "{told}");
    drop(lock);
    assert!(repo.run(&rig, &["sync"]).ends_with("exit 0\n"));
    assert!(Path::new(&repo.0.path().join(".beads/.beadrig-sync/.gitignore")).exists());
}
