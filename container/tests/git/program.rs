//! The program itself: over ssh, killed in the middle of a merge, and what it writes into its log.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};

use beadrig::wire::merge::MergeReason;
use beadrig_container::rig::client;
use serde_json::json;

use crate::remote::{Remote, ask, in_repo, merge, outcome, outcome_of, ran};
use crate::town::{TOKEN, Town, until};

/// The program, killed when the test is over.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) async fn start(town: &mut Town, bin: &Path) -> Self {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let path = std::env::var("PATH").unwrap();
        let log = File::options().create(true).append(true).open(bin.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_beadrig-container"))
            .env("BEADRIG_CONTAINER_TOKEN", TOKEN)
            .env("BEADRIG_URL", &town.config.rig_url)
            .env("BEADRIG_CONTAINER_LISTEN", &address)
            .env("BEADRIG_DATA_DIR", town.data.path())
            .env("GRACE_MS", "200")
            .env("RUN_CGROUPS", "off")
            .env("RUST_LOG", "beadrig_container=trace")
            .env("PATH", format!("{}:{path}", bin.display()))
            .stderr(log)
            .spawn()
            .unwrap();
        town.url = format!("http://{address}");
        let (http, health) = (client().unwrap(), format!("{}/health", town.url));
        until(async || http.get(&health).send().await.map(drop)).await;
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn over_ssh_nobody_is_asked_anything_and_the_log_shows_no_token() {
    let bin = tempfile::tempdir().unwrap();
    let ssh = bin.path().join("ssh");
    // In place of ssh: notes how it is called, and runs the command here.
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nfor last; do :; done\neval \"exec $last\"\n",
        bin.path().join("called").display()
    );
    std::fs::write(&ssh, script).unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut town = Town::without_service(&[]).await;
    let remote = Remote::new();
    let program = Program::start(&mut town, bin.path()).await;
    let url = format!("ssh://git@example.invalid{}", remote.url());
    let mut run = in_repo(&remote, "a1", 1, "echo x > x; git add x; git commit -qm x; git push -q");
    run["git"]["url"] = json!(url);
    run["envVars"] = json!({"GIT_TOKEN": "not-for-the-log", "GITHUB_TOKEN": "not-for-it-either"});
    let report = ran(&town, run.clone()).await;
    assert_eq!(report.exit_code, Some(0), "{report:?}");
    let mut request = merge(&remote, &["gt/a1/b-a1"]);
    request["gitUrl"] = json!(url);
    request["envVars"] = run["envVars"].clone();
    ask(&town, request).await;
    assert_eq!(outcome(&town, "e-b-a1").await.reason, Some(MergeReason::Merged));
    assert_eq!(remote.file("main", "x").as_deref(), Some("x"));
    let mut request = merge(&remote, &["gt/y"]);
    request["gitUrl"] = json!("https://me:hunter2@example.invalid/y.git");
    assert_eq!(town.post("/git/merge", request).await.0, 400);
    drop(program);
    let called = std::fs::read_to_string(bin.path().join("called")).unwrap();
    for call in called.lines() {
        for option in ["BatchMode=yes", "StrictHostKeyChecking=accept-new", "git@example.invalid"] {
            assert!(call.contains(option), "{call}");
        }
    }
    let log = std::fs::read_to_string(bin.path().join("log")).unwrap();
    assert!(log.contains("a merge is over"), "{log}");
    for secret in ["not-for-the-log", "not-for-it-either", "hunter2", TOKEN] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_service_that_was_killed_in_the_middle_of_a_merge_leaves_nothing_and_the_next_one_does_it()
 {
    let bin = tempfile::tempdir().unwrap();
    let mut town = Town::without_service(&[]).await;
    let remote = Remote::new();
    remote.branch("gt/x", "x", "x\n");
    let program = Program::start(&mut town, bin.path()).await;
    let mut request = merge(&remote, &["gt/x"]);
    let up = bin.path().join("up");
    let command = format!("touch {}; setsid sleep 600 & sleep 600", up.display());
    request["gates"] = json!([{"name": "slow", "command": command, "time_limit_s": 700}]);
    ask(&town, request.clone()).await;
    until(async || if up.exists() { Ok(()) } else { Err("no gate yet") }).await;
    drop(program);
    assert!(!town.processes().is_empty());
    let _program = Program::start(&mut town, bin.path()).await;
    assert_eq!(town.processes(), Vec::<String>::new());
    let report = outcome(&town, "e-x").await;
    assert_eq!(report.reason, Some(MergeReason::ContainerFailed), "{report:?}");
    // Nor does a gate see what the service was started with.
    let command = "test -f x && ! env | grep -e BEADRIG_URL -e BEADRIG_CONTAINER_TOKEN -e GRACE_MS";
    request["gates"] = json!([{"name": "env", "command": command, "time_limit_s": 60}]);
    request["entries"][0]["attempt"] = json!(2);
    ask(&town, request).await;
    let report = outcome_of(&town, "e-x", 2).await;
    assert_eq!(report.reason, Some(MergeReason::Merged), "{report:?}");
}
