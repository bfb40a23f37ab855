//! The runbook of `docs/auto-dispatch.md`: its commands as they stand there, in a shell, with the command linked as `bd`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use xtask::repo;

use crate::rig::notes;
use crate::runs::GATES;
use crate::support::{LATER, SOON, World};

/// The least that the reaper knows is a minute; and then what a tick takes to come.
const REAPED: Duration = Duration::from_secs(120);

/// A shell that has `bd`, and the runbook open.
struct Book<'a> {
    world: &'a World,
    bin: PathBuf,
    text: String,
}

impl<'a> Book<'a> {
    fn open(world: &'a World) -> Self {
        let bin = world.dir().join("bin");
        fs::create_dir(&bin).unwrap();
        for name in ["bd", "beadrig"] {
            let program = repo::programs(!cfg!(debug_assertions)).join("beadrig");
            symlink(program, bin.join(name)).unwrap();
        }
        let text = fs::read_to_string(repo::root().join("docs/auto-dispatch.md")).unwrap();
        Self { world, bin, text }
    }

    /// The commands under a heading; one that goes on in the next line is one.
    fn recipe(&self, heading: &str) -> Vec<String> {
        let (_, rest) = self.text.split_once(&format!("\n**{heading}")).unwrap();
        let (_, rest) = rest.split_once("```sh\n").unwrap();
        let (block, _) = rest.split_once("```").unwrap();
        block.replace("\\\n", " ").lines().map(str::to_owned).collect()
    }

    /// Runs a command, which must succeed, and answers what it printed.
    #[track_caller]
    fn sh(&self, line: &str, id: &str) -> String {
        let line = line.replace("<id>", id);
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &line])
            .current_dir(self.world.dir())
            .env("PATH", path)
            .env("HOME", self.world.dir())
            .env("BEADRIG_URL", self.world.stack.url())
            .env("BEADRIG_TOKEN", self.world.stack.token())
            .env("BEADRIG_RIG", "main")
            .env("BEADRIG_ACTOR", "ann");
        let output = shell.output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "$ {line}\n{out}{err}");
        out
    }

    /// Runs all commands under a heading.
    #[track_caller]
    fn follow(&self, heading: &str, id: &str) -> Vec<String> {
        self.recipe(heading).iter().map(|line| self.sh(line, id)).collect()
    }

    /// Runs those under a heading of which the first makes a bead, and answers its id.
    #[track_caller]
    fn hand_over(&self, heading: &str) -> String {
        let recipe = self.recipe(heading);
        let made = self.sh(&recipe[0], "");
        let id = made.split("Created issue: ").nth(1).unwrap().split(' ').next().unwrap();
        for line in &recipe[1..] {
            self.sh(line, id);
        }
        id.to_owned()
    }
}

#[test]
fn the_runbook_works_as_it_is_written() {
    let world = World::start(|options| options.set("REAPER_MS", 1_000));
    let (book, rig) = (Book::open(&world), world.rig("main"));

    let id = book.hand_over("Hand a bead over");
    rig.runs.wait(&id, "started", LATER);
    let shown = book.follow("Inspect", &id);
    let as_json: Value = serde_json::from_str(&shown[1]).unwrap();
    assert_eq!(as_json[0]["status"], "in_progress", "{as_json:#}");
    let said = as_json[0]["notes"].as_str().unwrap();
    assert!(said.starts_with("auto-dispatcher claimed at 20"), "{said}");
    assert!(said.contains("\ndispatched: job="), "{said}");
    assert!(shown[2].contains("in_progress"), "{}", shown[2]);

    book.follow("Take it back", &id);
    rig.idle(SOON);
    let back = rig.bead(&id);
    assert_eq!((&back["status"], &back["assignee"]), (&json!("open"), &Value::Null));

    let [pause, pause_all, resume, resume_all] = &book.recipe("Pause, and go on")[..] else {
        panic!("{:?}", book.recipe("Pause, and go on"))
    };
    book.sh(pause, "");
    book.sh(pause_all, "");
    book.sh("bd assign <id> agent", &id);
    let why = book.sh("bd show <id>", &id);
    assert!(why.contains("dispatch is paused for all rigs by ann"), "{why}");

    // By hand it goes all the same, and what the switch stops besides is the reaper.
    let job = book.follow("Dispatch one now", &id);
    let [job, busy] = [0, 1].map(|n| serde_json::from_str::<Value>(&job[n]).unwrap());
    assert_eq!(job["job_id"].as_str().unwrap().len(), 12, "{job}");
    assert_eq!((&busy["busy"], &busy["active"]), (&json!(false), &json!(1)), "{busy}");
    assert!(book.sh(resume, "").contains("Dispatch is off"), "the other switch holds");
    assert!(book.sh(resume_all, "").contains("Dispatch is on"));

    let reaped = rig.status_until(&id, "blocked", REAPED);
    let said = "reaper: no progress for 1m (threshold 0m) — blocking";
    assert!(notes(&reaped).contains(said), "{}", notes(&reaped));
    rig.idle(SOON);
    assert_eq!(rig.runs.of(&id).len(), 2, "{}", rig.runs.told());
    rig.runs.open(&GATES);
    book.follow("A bead is `blocked` by the reaper", &id);
    rig.status_until(&id, "closed", LATER);
    assert_eq!(rig.runs.of(&id).len(), 3, "{}", rig.runs.told());

    book.sh("beadrig settings set agent_command=example-agent", "");
    let id = book.hand_over("Does it work?");
    let done = rig.status_until(&id, "closed", LATER);
    for said in ["auto-dispatcher claimed at ", "dispatched: job=", "hostname="] {
        assert!(notes(&done).contains(said), "{}", notes(&done));
    }
}
