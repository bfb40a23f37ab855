//! How long it takes to bring many issues into a rig on workerd and out again, and what of it is the database's.

use std::path::Path;
use std::time::Instant;

use beadrig::issue;
use serde_json::json;

use super::command::command;
use super::generated::issues;
use super::live::{Live, Rig};
use super::process;

/// As many as a project gathers in years.
const COUNT: usize = 50_000;

/// Imports, imports again, exports, and compares.
pub(crate) fn report() {
    let all = issues(COUNT, 1);
    let lines = all.iter().map(|it| issue::line(it.as_object().unwrap()) + "\n");
    let text: String = lines.collect();
    // Nothing is begun by it.
    let live = Live::start(&[("DISPATCH_ENABLED", "false")]);
    let rig = live.rig("exchange");
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("issues.jsonl"), dir.path().join("out.jsonl"));
    std::fs::write(&file, &text).unwrap();
    println!("\n{COUNT} issues, {} MB, over HTTP by the command", text.len() / 1_000_000);
    timed("import", &rig, &["import", path(&file)]);
    timed("import again", &rig, &["import", path(&file)]);
    timed("export", &rig, &["export", "-o", path(&out)]);
    let memory = process::memory(live.stack.worker.pid().unwrap());
    println!("  memory of workerd then: {} MB", memory / 1_024);
    let written = std::fs::read_to_string(&out).unwrap();
    assert_eq!(written.lines().count(), COUNT);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn timed(what: &str, rig: &Rig<'_>, args: &[&str]) {
    rig.bench("stats", &json!({}));
    let server = rig.live.stack.worker.pid().unwrap();
    let (before, since) = ((process::cpu(server), process::children()), Instant::now());
    let done = command(rig, args).output().unwrap();
    let seconds = since.elapsed().as_secs_f64();
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{err}");
    let stats = rig.bench("stats", &json!({}));
    let each = |name: &str| {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let each = stats[name].as_u64().unwrap() as f64 / COUNT as f64;
        format!("{each:.2}")
    };
    println!(
        "  {what:<14} {seconds:>6.1} s; CPU of workerd {:.1} s, of the command {:.1} s; \
         statements, rows read, rows written an issue: {}, {}, {}",
        process::cpu(server).saturating_sub(before.0).as_secs_f64(),
        process::children().saturating_sub(before.1).as_secs_f64(),
        each("statements"),
        each("rows_read"),
        each("rows_written")
    );
}
