//! House rules as tests: what a reader relies on without looking.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines in a file: read in one sitting.
const FILE_LINES_MAX: usize = 600;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut dirs: Vec<PathBuf> = ["src", "container", "cli", "sim", "xtask", "tests"]
        .iter()
        .map(|it| root.join(it))
        .collect();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the sources were found");
    found
}

/// Fails with the names of all files of which something is not so.
#[track_caller]
fn every(what: &str, holds: impl Fn(&str, &str) -> bool) {
    let bad: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path.display().to_string(), text))
        .filter(|(path, text)| !holds(path, text))
        .map(|(path, _)| path)
        .collect();
    assert!(bad.is_empty(), "{what}: not so in {bad:?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    every("opens with //!", |_, text| text.starts_with("//! "));
}

#[test]
fn every_file_is_read_in_one_sitting() {
    every("has few lines", |path, text| {
        // A table of expected texts is not read like code.
        path == "tests/lives.rs" || text.lines().count() <= FILE_LINES_MAX
    });
}

#[test]
fn the_core_reads_no_clock_and_rolls_no_dice() {
    every("gets time and chance handed in", |path, text| {
        !path.starts_with("src/")
            || path.starts_with("src/edge")
            || !["SystemTime", "Instant::now", "Date::now", "rand::", "Math::random"]
                .iter()
                .any(|it| text.contains(it))
    });
}

#[test]
fn only_the_edge_knows_the_platform() {
    every("knows no platform", |path, text| {
        !path.starts_with("src/")
            || path.starts_with("src/edge")
            || !["use worker", "worker::", "wasm_bindgen", "js_sys"]
                .iter()
                .any(|it| text.contains(it))
    });
}

#[test]
fn sql_stands_in_the_store_alone() {
    every("holds no SQL", |path, text| {
        let exempt = ["src/store", "src/edge/bench.rs", "tests/", "src/edge/sql.rs"];
        !path.starts_with("src/")
            || exempt.iter().any(|it| path.starts_with(it))
            || !["SELECT ", "INSERT INTO", "UPDATE bead", "DELETE FROM"]
                .iter()
                .any(|it| text.contains(it))
    });
}

/// Whether there is a test of that name.
fn is_test(sources: &[(PathBuf, String)], name: &str) -> bool {
    sources.iter().any(|(_, text)| text.contains(&format!("fn {name}(")))
}

#[test]
fn what_went_wrong_elsewhere_has_a_test_or_a_reason() {
    tells_tests("docs/incidents.md", 61);
}

#[test]
fn what_the_pollers_got_wrong_has_a_test_or_a_reason() {
    tells_tests("docs/auto-dispatch.md", 18);
}

/// A page with tables of numbers, of what happened, and of the tests that would fail if it happened here.
#[track_caller]
fn tells_tests(page: &str, rows_min: usize) {
    let sources = sources();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| {
            let first = line.strip_prefix("| ").and_then(|it| it.split('|').next());
            first.is_some_and(|it| it.contains(|c: char| c.is_ascii_digit()))
        })
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= rows_min, "{page}: the rows were found");
    for row in &rows {
        let [number, what, how] = row[..] else { panic!("{row:?} has not three cells") };
        let named: Vec<&str> = how.split('`').skip(1).step_by(2).collect();
        assert!(
            !named.is_empty() || how.starts_with("not here: "),
            "{number} {what}: no test, no reason"
        );
        for name in named {
            assert!(is_test(&sources, name), "{number} {what}: there is no test {name}");
        }
    }
}

#[test]
fn every_fault_has_a_test_and_a_rule_of_the_simulator_or_a_reason() {
    let sources = sources();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let sim = read("sim/src/rules.rs") + &read("sim/src/faults.rs");
    let text = read("docs/reliability.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(|c: char| c.is_ascii_digit()))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 40, "the rows were found");
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    for row in &rows {
        let [number, what, tests, simulated] = row[..] else {
            panic!("{row:?} has not four cells")
        };
        assert!(!quoted(tests).is_empty(), "{number} {what}: no test");
        for name in quoted(tests) {
            assert!(is_test(&sources, &name), "{number} {what}: there is no test {name}");
        }
        let names = quoted(simulated);
        assert!(
            !names.is_empty() || simulated.starts_with("not here: "),
            "{number} {what}: no rule"
        );
        for name in names {
            assert!(
                sim.contains(&format!("\"{name}\"")),
                "{number} {what}: nothing is called {name}"
            );
        }
    }
}

/// Tests that other tests lean on by name.
#[test]
fn the_tests_that_show_what_differs_from_gastown_are_there() {
    let sources = sources();
    let (_, text) = sources.iter().find(|(path, _)| path.ends_with("tests/gastown.rs")).unwrap();
    let (_, list) = text.split_once("const ELSEWHERE").unwrap();
    let list = list.split_once("];").unwrap().0;
    let named: Vec<&str> = list.split('"').skip(3).step_by(4).collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        assert!(is_test(&sources, name), "there is no test {name}");
    }
}

/// Every migration that shipped, and its hash: none is ever edited. A new one is added here.
const SHIPPED: [(&str, u64); 11] = [
    ("0001_init.sql", 0xa843_796a_47f2_082f),
    ("0002_dependencies.sql", 0xd8d2_b0b8_74d3_cc05),
    ("0003_agents_mail.sql", 0xc051_a54c_f47d_60ce),
    ("0004_reviews_molecules.sql", 0x44a9_64d7_732b_51cb),
    ("0005_surface.sql", 0x0d6a_828a_f761_7fcd),
    ("0006_patrol.sql", 0x5cbd_a247_b79c_4ec8),
    ("0007_merging.sql", 0x9c7a_6b72_f729_92f9),
    ("0008_boot.sql", 0x513f_eed7_65b5_83c3),
    ("0009_exchange.sql", 0xd243_a7c1_d712_618e),
    ("0010_conditional.sql", 0x569d_8f96_1c21_5e44),
    ("directory/0001_init.sql", 0xbfff_0382_7c33_e098),
];

#[test]
fn shipped_migrations_are_as_they_were_and_there_is_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for (name, hash) in SHIPPED {
        let now = fnv(&fs::read(root.join(name)).unwrap());
        assert_eq!(now, hash, "{name} has shipped; add a new one ({now:#018x})");
    }
    for dir in ["", "directory"] {
        let mut names: Vec<String> = fs::read_dir(root.join(dir))
            .unwrap()
            .map(Result::unwrap)
            .filter(|it| it.file_type().unwrap().is_file())
            .map(|it| Path::new(dir).join(it.file_name()).display().to_string())
            .collect();
        names.sort();
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        for (n, name) in (1..).zip(&names) {
            assert!(name.starts_with(&format!("{prefix}{n:04}_")), "{name} is out of its place");
            assert!(SHIPPED.iter().any(|(shipped, _)| shipped == name), "{name} has no hash here");
        }
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
