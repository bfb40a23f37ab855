//! A peer that is no part of this repository: `br`, which keeps the same file in a database of its own.
//! `cargo xtask test br` installs it and runs this.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

#[path = "../../tests/support/mod.rs"]
mod core;
#[path = "../../tests/exchange/generated.rs"]
mod generated;
#[path = "support/real.rs"]
mod real;

use beadrig::issue::{self, Issue};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Rig, command, output};

const COUNT: usize = 1_000;

/// A workspace of `br`.
struct Br(tempfile::TempDir);

impl Br {
    fn new() -> Self {
        let br = Self(tempfile::tempdir().unwrap());
        br.run(&["init", "--prefix", "x"]);
        br
    }

    fn program() -> PathBuf {
        std::env::var_os("BR").expect("BR names the program; `cargo xtask test br` sets it").into()
    }

    fn run(&self, args: &[&str]) {
        let done = Command::new(Self::program())
            .args(args)
            .current_dir(self.0.path())
            .env("RUST_LOG", "error")
            .output()
            .unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "br {args:?}: {out}{err}");
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(".beads/issues.jsonl")
    }

    /// Takes a file into its database and writes it anew out of that.
    fn takes(&self, text: &str) -> String {
        fs::write(self.file(), text).unwrap();
        self.run(&["sync", "--import-only", "--force"]);
        fs::remove_file(self.file()).unwrap();
        self.run(&["sync", "--flush-only", "--force"]);
        fs::read_to_string(self.file()).unwrap()
    }
}

fn beadrig(rig: &Rig, dir: &Path, args: &[&str]) -> String {
    let mut command = command(&rig.url, args);
    command.current_dir(dir);
    output(command)
}

fn by_id(text: &str) -> BTreeMap<String, Issue> {
    text.lines()
        .map(|line| serde_json::from_str::<Issue>(line).unwrap())
        .map(|it| (it["id"].as_str().unwrap().to_owned(), it))
        .collect()
}

/// Compares values; what differs is told with both.
#[track_caller]
fn same(one: &str, other: &str) {
    let (one, other) = (by_id(one), by_id(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let differ: Vec<String> = one
        .iter()
        .filter(|(id, it)| !issue::same(it, &other[*id]))
        .map(|(id, it)| format!("{}\n{}\n", issue::line(it), issue::line(&other[id])))
        .collect();
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ[0]);
}

/// What br itself says of each issue and dependency that does not say it.
fn with_what_br_adds(text: &str) -> String {
    let mut all = by_id(text);
    for it in all.values_mut() {
        it.insert("compaction_level".to_owned(), 0.into());
        it.insert("original_size".to_owned(), 0.into());
        it.insert("source_repo".to_owned(), ".".into());
        let edges = it.get_mut("dependencies").and_then(Value::as_array_mut);
        for edge in edges.into_iter().flatten().filter_map(Value::as_object_mut) {
            edge.entry("created_by").or_insert_with(|| "import".into());
            edge.entry("metadata").or_insert_with(|| "{}".into());
        }
    }
    all.values().map(|it| issue::line(it) + "\n").collect()
}

fn generated() -> String {
    let all = generated::issues_for_br(COUNT, 17);
    all.iter().map(|it| issue::line(it.as_object().unwrap()) + "\n").collect()
}

#[test]
fn what_br_wrote_goes_through_the_rig_and_br_reads_the_same() {
    let (here, there) = (Br::new(), Br::new());
    let written = here.takes(&generated());
    assert_eq!(written.lines().count(), COUNT);
    let rig = real::rig();
    let told = beadrig(&rig, here.0.path(), &["import"]);
    assert!(told.contains(&format!("{COUNT} created")), "{told}");
    let out = beadrig(&rig, here.0.path(), &["export", "--numbered-comments"]);
    let out = out.strip_suffix("exit 0\n").unwrap();
    same(&written, out);
    same(&written, &there.takes(out));
    // And back: nothing is new to the rig.
    let told = beadrig(&rig, there.0.path(), &["import"]);
    assert!(told.contains(&format!("{COUNT} unchanged")), "{told}");
}

#[test]
fn what_was_made_in_the_rig_goes_through_br_and_back() {
    let rig = real::rig();
    let br = Br::new();
    let dir = br.0.path();
    for args in [
        &["create", "made here", "--id", "x-1", "-t", "bug", "-l", "a,b", "-d", "words & <more>"][..],
        &["create", "no type", "--id", "x-2", "--acceptance", "it works", "-a", "bob"],
        &["note", "x-1", "one\ntwo"],
        &["note", "x-1", "three"],
        &["close", "x-1", "-r", "done"],
    ] {
        let told = beadrig(&rig, dir, args);
        assert!(told.ends_with("exit 0\n"), "{told}");
    }
    real::post(&rig, "/beads/x-2/comments", r#"{"text":"look"}"#);
    real::post(&rig, "/beads/x-2/dependencies", r#"{"depends_on":"x-1","type":"related"}"#);
    let told = beadrig(&rig, dir, &["export", "--numbered-comments"]);
    let mine = told.strip_suffix("exit 0\n").unwrap();
    let theirs = br.takes(mine);
    same(&with_what_br_adds(mine), &theirs);
    // The rig keeps those too, once.
    for outcome in ["2 updated", "2 unchanged"] {
        let told = beadrig(&rig, dir, &["import"]);
        assert!(told.contains(outcome), "{told}");
    }
}
