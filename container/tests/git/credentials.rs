//! Tokens: each rig shows its own to a real git server over HTTP, and nobody else sees any.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use beadrig::wire::merge::MergeReason;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::remote::{Remote, ask, git, in_repo, merge, outcome, ran};
use crate::town::{Town, start};

const TOKEN_A: &str = "token-of-rig-a-5f2c";
const TOKEN_B: &str = "token-of-rig-b-9e1d";

/// A git server that wants a token for each repository: `/a.git` one, `/b.git` another.
#[derive(Clone)]
struct Server {
    root: Arc<PathBuf>,
    wanted: Arc<Mutex<Vec<(String, String)>>>,
    /// Repository and what was shown for it.
    shown: Arc<Mutex<BTreeSet<(String, String)>>>,
    /// Where whoever has shown the right token is sent, and how many were asked for one.
    elsewhere: Arc<Mutex<Option<String>>>,
    asked: Arc<Mutex<u32>>,
}

impl Server {
    async fn new(remotes: &[(&str, &Remote, &str)]) -> (Self, String) {
        let root = tempfile::tempdir().unwrap().keep();
        let mut wanted = Vec::new();
        for (name, remote, token) in remotes {
            std::os::unix::fs::symlink(remote.path(), root.join(format!("{name}.git"))).unwrap();
            git(&remote.path(), &["config", "http.receivepack", "true"]);
            wanted.push(((*name).to_owned(), (*token).to_owned()));
        }
        let server = Self {
            root: Arc::new(root),
            wanted: Arc::new(Mutex::new(wanted)),
            shown: Arc::default(),
            elsewhere: Arc::default(),
            asked: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(serve).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (server, url)
    }

    fn wants(&self, name: &str, token: &str) {
        self.wanted.lock().unwrap().retain(|(other, _)| other != name);
        self.wanted.lock().unwrap().push((name.to_owned(), token.to_owned()));
    }

    fn shown(&self) -> Vec<(String, String)> {
        self.shown.lock().unwrap().iter().cloned().collect()
    }
}

async fn serve(State(server): State<Server>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let name = parts.uri.path().trim_start_matches('/').split(".git").next().unwrap().to_owned();
    let header = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let shown = header("authorization");
    let basic = |token: &str| {
        use base64::Engine as _;
        let pair = format!("x-access-token:{token}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    let wanted = server.wanted.lock().unwrap().clone();
    if !shown.is_empty() {
        let token = [TOKEN_A, TOKEN_B, "new-token-77"].into_iter().find(|it| basic(it) == shown);
        let shown = token.unwrap_or("something else").to_owned();
        server.shown.lock().unwrap().insert((name.clone(), shown));
    }
    let elsewhere = server.elsewhere.lock().unwrap().clone();
    let sends = |to: &String| format!("{to}{}", parts.uri);
    let moved = |to| Response::builder().status(StatusCode::FOUND).header("location", to);
    if let Some(to) = elsewhere.as_ref().filter(|_| name.starts_with("moved")) {
        return moved(sends(to)).body(Body::empty()).unwrap();
    }
    if !wanted.iter().any(|(repo, token)| *repo == name && basic(token) == shown) {
        *server.asked.lock().unwrap() += 1;
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header("www-authenticate", "Basic realm=\"git\"")
            .body(Body::from("who are you"))
            .unwrap();
    }
    if let Some(to) = elsewhere {
        return moved(sends(&to)).body(Body::empty()).unwrap();
    }
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &*server.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", "somebody")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::spawn(async move { stdin.write_all(&body).await });
    let out = child.wait_with_output().await.unwrap().stdout;
    let at = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&out[..at]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(out[at + 4..].to_vec())).unwrap()
}

/// A run of a rig with a token, in a repository of the server.
fn request(rig: &str, url: &str, token: &str, attempt: i64, script: &str) -> Value {
    let mut request = start(&format!("agent-{rig}"), attempt, script);
    request["rigId"] = json!(rig);
    request["git"] = json!({"url": url, "branch": format!("gt/Toast/b-{rig}")});
    request["envVars"] = json!({"GIT_TOKEN": token});
    request
}

#[tokio::test]
async fn incident_73_two_rigs_with_two_tokens_never_mix_and_no_token_is_anywhere_on_the_disk() {
    let (town, a, b) = (Town::new().await, Remote::new(), Remote::new());
    let (server, url) = Server::new(&[("a", &a, TOKEN_A), ("b", &b, TOKEN_B)]).await;
    let (url_a, url_b) = (format!("{url}/a.git"), format!("{url}/b.git"));
    // Each run pushes by itself too.
    let script =
        "echo $BEADRIG_RIG > mine; git add mine; git commit -qm mine && git push -q && echo pushed";
    let (one, other) = tokio::join!(
        ran(&town, request("ra", &url_a, TOKEN_A, 1, script)),
        ran(&town, request("rb", &url_b, TOKEN_B, 1, script)),
    );
    for report in [&one, &other] {
        assert!(
            report.output_tail.as_ref().is_some_and(|tail| tail.contains("pushed")),
            "{report:?}"
        );
    }
    for (rig, url, token) in [("ra", &url_a, TOKEN_A), ("rb", &url_b, TOKEN_B)] {
        let mut request = merge(&a, &[&format!("gt/Toast/b-{rig}")]);
        request["rigId"] = json!(rig);
        request["gitUrl"] = json!(url);
        request["envVars"] = json!({"GIT_TOKEN": token});
        ask(&town, request).await;
    }
    for entry in ["e-b-ra", "e-b-rb"] {
        assert_eq!(outcome(&town, entry).await.reason, Some(MergeReason::Merged));
    }
    assert_eq!(a.file("main", "mine").as_deref(), Some("ra"));
    assert_eq!(b.file("main", "mine").as_deref(), Some("rb"));
    let pairs =
        [("a", TOKEN_A), ("b", TOKEN_B)].map(|(it, token)| (it.to_owned(), token.to_owned()));
    assert_eq!(server.shown(), pairs);
    for token in [TOKEN_A, TOKEN_B] {
        let found = Command::new("grep").args(["-rlF", token]).arg(town.data.path()).output().await;
        assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
    }
}

#[tokio::test]
async fn a_new_token_counts_without_a_restart_and_an_old_one_is_a_failed_fetch() {
    let (town, a) = (Town::new().await, Remote::new());
    let (server, url) = Server::new(&[("a", &a, TOKEN_A)]).await;
    let url = format!("{url}/a.git");
    let script = "echo 1 >> file; git add file; git commit -qm file";
    ran(&town, request("ra", &url, TOKEN_A, 1, script)).await;
    let first = a.at("gt/Toast/b-ra");
    assert!(first.is_some());
    server.wants("a", "new-token-77");
    let report = ran(&town, request("ra", &url, TOKEN_A, 2, script)).await;
    assert_eq!(report.reason.as_deref(), Some("spawn_failed"));
    let tail = report.output_tail.unwrap_or_default();
    assert!(tail.contains("its worktree cannot be made: git fetch failed"), "{tail}");
    assert!(!tail.contains(TOKEN_A), "{tail}");
    let mut asked = merge(&a, &["gt/Toast/b-ra"]);
    asked["gitUrl"] = json!(url);
    asked["rigId"] = json!("ra");
    asked["envVars"] = json!({"GIT_TOKEN": TOKEN_A});
    ask(&town, asked).await;
    let report = outcome(&town, "e-b-ra").await;
    assert_eq!(report.reason, Some(MergeReason::FetchFailed));
    assert!(!report.message.contains(TOKEN_A), "{}", report.message);
    ran(&town, request("ra", &url, "new-token-77", 3, script)).await;
    assert_ne!(a.at("gt/Toast/b-ra"), first);
    assert_eq!(a.file("gt/Toast/b-ra", "file").as_deref(), Some("1\n1"));
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_shown_the_token_of_the_first() {
    let (town, a) = (Town::new().await, Remote::new());
    let (thief, at_thief) = Server::new(&[("a", &a, TOKEN_B), ("moved", &a, TOKEN_B)]).await;
    let (server, url) = Server::new(&[("a", &a, TOKEN_A)]).await;
    *server.elsewhere.lock().unwrap() = Some(at_thief);
    // Sent away at once, and sent away after the token was shown.
    for (agent, name) in [("moved", "moved"), ("a", "a")] {
        let before = *thief.asked.lock().unwrap();
        let url = format!("{url}/{name}.git");
        let report = ran(&town, request(agent, &url, TOKEN_A, 1, "true")).await;
        assert_eq!(report.reason.as_deref(), Some("spawn_failed"), "{report:?}");
        assert!(*thief.asked.lock().unwrap() > before, "{name} did not get there: {report:?}");
        let mut asked = merge(&a, &["gt/Toast/b"]);
        asked["gitUrl"] = json!(url);
        asked["entries"][0]["entryId"] = json!(format!("e-{name}"));
        asked["envVars"] = json!({"GIT_TOKEN": TOKEN_A});
        ask(&town, asked).await;
        let report = outcome(&town, &format!("e-{name}")).await;
        assert_eq!(report.reason, Some(MergeReason::FetchFailed));
    }
    assert_eq!(thief.shown(), []);
    assert_eq!(server.shown(), [("a".to_owned(), TOKEN_A.to_owned())]);
}

#[tokio::test]
async fn an_address_with_a_password_is_refused_without_being_repeated() {
    let (town, remote) = (Town::new().await, Remote::new());
    for url in ["https://hunter2@example.com/a.git", "https://me:hunter2@example.com/a.git"] {
        let mut run = in_repo(&remote, "a1", 1, "true");
        run["git"]["url"] = json!(url);
        let (status, body) = town.post("/agents/start", run).await;
        assert_eq!((status.as_u16(), &body["code"]), (400, &json!("invalid")));
        assert!(
            body["error"].as_str().unwrap().contains("put the token into the variable GIT_TOKEN")
        );
        assert!(!body.to_string().contains("hunter2"), "{body}");
        let mut request = merge(&remote, &["gt/x"]);
        request["gitUrl"] = json!(url);
        let (status, body) = town.post("/git/merge", request).await;
        assert_eq!((status.as_u16(), &body["code"]), (400, &json!("invalid")));
        assert!(!body.to_string().contains("hunter2"), "{body}");
    }
}

#[tokio::test]
async fn incident_30_a_rig_cannot_point_its_repository_at_the_clone_of_another() {
    let (town, remote) = (Town::new().await, Remote::new());
    ran(&town, in_repo(&remote, "a1", 1, "true")).await;
    let rig = town.data.path().join("git/r1");
    let home = std::fs::read_dir(rig).unwrap().next().unwrap().unwrap().path();
    let mut run = in_repo(&remote, "a2", 1, "cat base");
    run["rigId"] = json!("r2");
    run["git"]["url"] = json!(home.join("repo.git"));
    let report = ran(&town, run).await;
    assert_eq!(report.reason.as_deref(), Some("spawn_failed"));
    assert!(report.output_tail.unwrap().contains("in the service's own directory"));
}
