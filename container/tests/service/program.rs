//! The program itself: its settings, its signals, and what it leaves behind when it is killed.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use beadrig::wire::container::Phase;
use beadrig_container::Service;
use beadrig_container::rig::client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::town::{TOKEN, Town, until};

/// The program, killed when the test is over.
pub(crate) struct Program(pub(crate) Child);

impl Program {
    pub(crate) async fn start(town: &mut Town) -> Self {
        Self::with(town, &[]).await
    }

    /// With these settings too.
    pub(crate) async fn with(town: &mut Town, settings: &[(&str, &str)]) -> Self {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let child = command(town, &address).envs(settings.iter().copied()).spawn().unwrap();
        town.url = format!("http://{address}");
        let http = client().unwrap();
        let health = format!("{}/health", town.url);
        until(async || http.get(&health).send().await.map(drop)).await;
        Self(child)
    }

    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        until(async || self.0.try_wait().ok().flatten().ok_or(())).await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(town: &Town, address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beadrig-container"));
    command
        .env("BEADRIG_CONTAINER_TOKEN", TOKEN)
        .env("BEADRIG_URL", &town.config.rig_url)
        .env("BEADRIG_CONTAINER_LISTEN", address)
        .env("BEADRIG_DATA_DIR", town.data.path())
        .env("GRACE_MS", "200")
        .env("DRAIN_MS", "200")
        .env("RUN_CGROUPS", "off")
        .env("RUST_LOG", "warn")
        .stderr(Stdio::piped());
    command
}

fn output(mut command: Command) -> (Output, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[tokio::test]
async fn a_service_that_was_killed_leaves_no_orphan_to_the_next() {
    let mut town = Town::without_service(&[]).await;
    let program = Program::start(&mut town).await;
    town.run(
        "a1",
        1,
        "trap '' TERM HUP; sleep 600 & setsid sleep 600 & echo up; while :; do sleep 0.05; done",
    )
    .await;
    town.hears("a1", "up").await;
    program.signal(Signal::SIGKILL);
    drop(program);
    assert!(town.processes().len() >= 3);
    let program = Program::start(&mut town).await;
    assert_eq!(town.processes(), Vec::<String>::new());
    let (status, _) = town.get("/agents/a1/status").await;
    assert_eq!(status, 404);
    drop(program);
}

#[tokio::test]
async fn a_signal_ends_all_agents_and_reports_them() {
    let mut town = Town::without_service(&[]).await;
    let mut program = Program::start(&mut town).await;
    town.run("a1", 1, "trap '' TERM; echo up; while :; do sleep 0.05; done").await;
    town.hears("a1", "up").await;
    town.rig.will_answer("r1", &[500]);
    program.signal(Signal::SIGTERM);
    let report = town.report("a1", 1).await;
    assert_eq!((report.reason.as_deref(), report.signal), (Some("interrupted"), Some(9)));
    let ended = until(async || program.0.try_wait().ok().flatten().ok_or(())).await;
    assert_eq!(ended.code(), Some(0));
    assert_eq!(town.processes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_service_that_ends_takes_no_more_work_and_a_second_signal_ends_it_at_once() {
    let mut town = Town::without_service(&[]).await;
    let mut program = Program::start(&mut town).await;
    town.rig.hang("r1");
    town.run("a1", 1, "exec sleep 600").await;
    program.signal(Signal::SIGTERM);
    let mut others = 0;
    until(async || {
        others += 1;
        let (status, body) = town.start(&format!("other-{others}"), 1, "true").await;
        let is_closed = status == 503 && body["code"] == "capacity";
        if is_closed { Ok(()) } else { Err(body) }
    })
    .await;
    town.phase("a1", Phase::Exited).await;
    program.signal(Signal::SIGINT);
    let ended = until(async || program.0.try_wait().ok().flatten().ok_or(())).await;
    assert_eq!(ended.code(), Some(1));
}

#[tokio::test]
async fn two_services_do_not_share_a_data_directory() {
    let town = Town::new().await;
    let (output, said) = output(command(&town, "127.0.0.1:0"));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("another container service runs in"), "{said}");
    let refused = Service::start(town.config.clone()).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("each one needs its own"), "{refused}");
}

#[tokio::test]
async fn an_agent_knows_who_it_is_and_not_the_token_of_the_service() {
    let mut town = Town::without_service(&[]).await;
    let mut program = Program::start(&mut town).await;
    town.run("a1", 1, "env").await;
    town.phase("a1", Phase::Exited).await;
    let said = town.said("a1").await;
    let has = |line: &str| said.iter().any(|other| other == line);
    let workdir = town.workdir("a1");
    for line in [
        "BEADRIG_RIG=r1",
        "BEADRIG_TOKEN=session-token",
        "BEADRIG_BEAD_ID=b-a1",
        "BEADRIG_ATTEMPT=1",
        "BEADRIG_JOB_ID=0123456789ab",
        "GASTOWN_RIG_ID=r1",
        "BEADS_ACTOR=Toast",
        &format!("BEADRIG_URL={}", town.config.rig_url),
        &format!("BEADRIG_WORKDIR={}", workdir.display()),
    ] {
        assert!(has(line), "{line} is not in {said:#?}");
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_beadrig-container")).parent().unwrap();
    let path = format!("PATH={}:", programs.display());
    assert!(said.iter().any(|line| line.starts_with(&path)), "{said:#?}");
    assert!(
        !said.iter().any(|line| line.starts_with("GRACE_MS") || line.contains("CONTAINER_LISTEN"))
    );
    assert!(!said.iter().any(|line| line.contains(TOKEN)));
    let mut log = String::new();
    program.signal(Signal::SIGKILL);
    program.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(!log.contains(TOKEN) && !log.contains("session-token"), "{log}");
}

#[tokio::test]
async fn bad_settings_are_refused_and_help_lists_them() {
    let town = Town::without_service(&[]).await;
    let mut bad = command(&town, "127.0.0.1:0");
    bad.env("GRACE_MS", "soon");
    let (refused, said) = output(bad);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("GRACE_MS takes a whole number"), "{said}");
    let mut help = command(&town, "");
    help.arg("--help");
    let (help, _) = output(help);
    assert!(help.status.success());
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for setting in ["BEADRIG_CONTAINER_TOKEN", "BEADRIG_URL", "HEARTBEAT_MS", "MAX_CONCURRENCY"] {
        assert!(help.contains(setting), "{help}");
    }
}
