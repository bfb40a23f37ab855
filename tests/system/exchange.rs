//! A file of beads into the built worker and out again, while the worker is killed.

use std::time::Duration;

use beadrig::issue::{self, Issue};

use crate::generated::issues;
use crate::support::{World, until};

/// Several batches.
const COUNT: usize = 3_000;

fn lines(text: &str) -> Vec<Issue> {
    let mut all: Vec<Issue> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    all.sort_by_key(|it| it["id"].to_string());
    all
}

#[test]
fn an_import_goes_on_when_the_worker_is_killed_under_it() {
    let world = World::start(|options| options.set("DISPATCH_ENABLED", false));
    let rig = world.rig("exchange");
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("issues.jsonl"), dir.path().join("out.jsonl"));
    let all = issues(COUNT, 9);
    let text: String = all.iter().map(|it| issue::line(it.as_object().unwrap()) + "\n").collect();
    std::fs::write(&file, &text).unwrap();
    let (file, out) = (file.to_str().unwrap().to_owned(), out.to_str().unwrap().to_owned());
    let told = std::thread::scope(|scope| {
        let import = scope.spawn(|| rig.say(&["import", &file]));
        until("a first batch", Duration::from_mins(1), || {
            match rig.get("/beads?limit=1").as_array().map_or(0, Vec::len) {
                0 => Err("no bead".to_owned()),
                _ => Ok(()),
            }
        });
        world.stack.worker.kill();
        world.stack.worker.start().unwrap();
        import.join().unwrap()
    });
    assert!(told.contains(" 0 updated") && told.contains(" 0 skipped, 0 dropped"), "{told}");
    let again = rig.say(&["import", &file]);
    assert!(again.contains(&format!("{COUNT} unchanged")), "{again}");
    rig.say(&["export", "-o", &out]);
    let (one, other) = (lines(&text), lines(&std::fs::read_to_string(&out).unwrap()));
    assert_eq!(other.len(), COUNT);
    let differ = one.iter().zip(&other).find(|(one, other)| !issue::same(one, other));
    assert!(differ.is_none(), "{differ:?}");
}
