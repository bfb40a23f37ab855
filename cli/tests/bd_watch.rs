//! `--watch` and `--thread`: what changes is shown again, and Ctrl-C is no failure.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use expect_test::expect;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use support::linked::RealRig;

/// Longer than any wait of the command.
const DEADLINE: Duration = Duration::from_secs(30);

/// A command that goes on.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn new(rig: &RealRig, args: &[&str]) -> Self {
        let mut child =
            rig.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (line, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|it| line.send(it)));
        Self { child, lines }
    }

    /// Reads on until a line has this in it.
    fn until(&self, part: &str) {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {part:?}"));
            if line.contains(part) {
                return;
            }
        }
    }

    /// Ctrl-C; how it ended, and what it said beside.
    fn stop(mut self) -> (Option<i32>, Vec<String>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not end");
            thread::sleep(Duration::from_millis(20));
        };
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status.code(), self.lines.iter().collect(), err)
    }
}

#[test]
fn a_bead_is_shown_again_when_it_changes_until_ctrl_c() {
    let rig = RealRig::new("watch-show");
    rig.sh("create One --id demo-1 -d d");
    rig.sh("create Two --id demo-2 -d d");
    let watching = Watching::new(&rig, &["show", "demo-1", "--watch"]);
    watching.until("demo-1 — One");
    rig.sh("note demo-1 half of it");
    watching.until("half of it");
    // Something else happened: the bead says the same, and is not shown again.
    rig.sh("note demo-2 elsewhere");
    rig.sh("close demo-1 -r over");
    watching.until("over");
    let (code, rest, err) = watching.stop();
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(rest.iter().filter(|line| line.contains("demo-1 — One")).count(), 0, "{rest:?}");
    expect![[r#"

        Watching for changes... (Press Ctrl+C to exit)

        Stopped watching.
    "#]]
    .assert_eq(&err);
}

#[test]
fn a_list_is_shown_again_when_it_changes_and_json_is_an_array_each_time() {
    let rig = RealRig::new("watch-list");
    rig.sh("create One --id demo-1 -d d");
    let table = Watching::new(&rig, &["list", "-w"]);
    let arrays = Watching::new(&rig, &["list", "--watch", "--json", "-q"]);
    table.until("demo-1");
    arrays.until("\"demo-1\"");
    rig.sh("create Two --id demo-2 -d d");
    table.until("demo-2");
    arrays.until("\"demo-2\"");
    assert_eq!(table.stop().0, Some(0));
    let (code, _, err) = arrays.stop();
    assert_eq!((code, &*err), (Some(0), ""));
    assert!(rig.sh("show demo-1 demo-2 --watch").contains("exactly one issue ID"));
}

#[test]
fn a_thread_is_shown_from_its_first_message_on() {
    let rig = RealRig::new("thread");
    for line in [
        r#"create "Shall we?" --id demo-1 -t message -d "Take tabs or spaces?" -a bob"#,
        r#"create "Re: Shall we?" --id demo-2 -t message -d Spaces. --deps replies-to:demo-1"#,
        r#"create "Re: Re: Shall we?" --id demo-3 -t message -d Good. --deps replies-to:demo-2"#,
        r#"create "Also" --id demo-4 -t message -d Tabs. --deps replies-to:demo-1,related:demo-3"#,
        r#"create "Beside" --id demo-5 -d d --deps related:demo-1"#,
        "close demo-3",
    ] {
        assert!(rig.sh(line).ends_with("exit 0\n"), "{line}");
    }
    expect![[r#"

        📬 Thread: Shall we?
        ──────────────────────────────────────────────────────────────────
        📧 demo-1 2026-01-01 00:00
          From: alice  To: bob
          Subject: Shall we?
          Take tabs or spaces?

          📧 demo-2 2026-01-01 00:00
            From: alice
            Re: demo-1
            Subject: Re: Shall we?
            Spaces.

            ✓ demo-3 2026-01-01 00:00
              From: alice
              Re: demo-2
              Subject: Re: Re: Shall we?
              Good.

          📧 demo-4 2026-01-01 00:00
            From: alice
            Re: demo-1
            Subject: Also
            Tabs.

        Total: 4 messages in thread

        exit 0
    "#]]
    .assert_eq(&rig.sh("show demo-3 --thread"));
    let thread = rig.json(&["show", "demo-4", "--thread"]);
    let ids: Vec<_> = thread.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, ["demo-1", "demo-2", "demo-3", "demo-4"]);
    assert!(rig.sh("show nope --thread").ends_with("exit 1\n"));
}
