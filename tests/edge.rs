//! What the edge adds to the answers of the core, on the built worker: headers, methods, other origins, the document.

//! And the calls of Gastown's clients, through the worker and through the town to the container.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "gastown/table.rs"]
mod table;

use std::thread::sleep;
use std::time::Duration;

use beadrig::token::{Claims, Secrets};
use serde_json::Value;
use table::{By, Names, World};
use tempfile::TempDir;
use ureq::Body;
use ureq::http::{Request, Response};
use xtask::stack::{Options, Stack, TOWN};

const BOARD: &str = "https://board.example.com";

struct Live {
    stack: Stack,
    http: ureq::Agent,
    _dir: TempDir,
}

impl Live {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::for_test(dir.path())
            .unwrap()
            .set("CORS_ORIGIN", BOARD)
            // What is asked right after a change is asked before the tick that acts on it.
            .set("ARM_DELAY_MS", "3000")
            .set("AGENT_COMMAND", "sh -c 'echo hello; exec sleep 600'");
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let http = config.allow_non_standard_methods(true).build().into();
        Self { stack: Stack::start(options).unwrap(), http, _dir: dir }
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        self.ask_as(self.stack.token(), method, path, headers, body)
    }

    fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.stack.url()))
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.http.run(request.body(body.to_owned()).unwrap()).unwrap()
    }
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |it| it.to_str().unwrap())
}

fn text(response: &mut Response<Body>) -> String {
    response.body_mut().read_to_string().unwrap()
}

#[test]
fn the_edge_sets_what_the_core_says() {
    let live = Live::start();
    let beads = "/api/rigs/demo/beads";
    let key = [("idempotency-key", "key-1")];
    let mut made = live.ask("POST", beads, &key, r#"{"title":"once"}"#);
    let mut again = live.ask("POST", beads, &key, r#"{"title":"once"}"#);
    assert_eq!((made.status().as_u16(), again.status().as_u16()), (201, 201));
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(text(&mut made), text(&mut again));

    let list = live.ask("GET", beads, &[], "");
    let tag = header(&list, "etag").to_owned();
    let mut same = live.ask("GET", beads, &[("if-none-match", &tag)], "");
    assert_eq!((same.status().as_u16(), header(&same, "etag")), (304, tag.as_str()));
    assert_eq!(text(&mut same), "");
    let mut head = live.ask("HEAD", beads, &[], "");
    assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, tag.as_str()));
    assert_eq!(text(&mut head), "");

    let wrong = live.ask("PUT", beads, &[], "");
    assert_eq!((wrong.status().as_u16(), header(&wrong, "allow")), (405, "POST, GET, HEAD"));
    let wrong = live.ask("POST", "/openapi.json", &[], "");
    assert_eq!((wrong.status().as_u16(), header(&wrong, "allow")), (405, "GET, HEAD"));
    let large = live.ask("POST", beads, &[], &"x".repeat(2_000_000));
    assert_eq!(large.status().as_u16(), 413);
    let mut refusals = live.ask("GET", "/api/rigs/demo/refusals", &[], "");
    assert!(text(&mut refusals).contains(r#""code":"too_large""#));
}

#[test]
fn the_document_needs_a_token_and_other_origins_the_setting() {
    let live = Live::start();
    let mut document = live.ask("GET", "/openapi.json", &[], "");
    assert_eq!(header(&document, "content-type"), "application/json");
    assert_eq!(text(&mut document), beadrig::api::OPENAPI);
    let url = format!("{}/openapi.json", live.stack.url());
    assert_eq!(live.http.get(&url).call().unwrap().status().as_u16(), 401);

    let beads = "/api/rigs/demo/beads";
    let board = [("origin", BOARD), ("access-control-request-method", "POST")];
    let asked = live.ask("OPTIONS", beads, &board, "");
    assert_eq!(asked.status().as_u16(), 204);
    assert_eq!(header(&asked, "access-control-allow-origin"), BOARD);
    assert!(header(&asked, "access-control-allow-headers").contains("idempotency-key"));
    let list = live.ask("GET", beads, &[("origin", BOARD)], "");
    assert_eq!(header(&list, "access-control-allow-origin"), BOARD);
    assert_eq!(header(&list, "content-type"), "application/json");
    let stranger = [("origin", "https://evil.example.com")];
    let asked = live.ask("OPTIONS", beads, &stranger, "");
    assert_eq!((asked.status().as_u16(), header(&asked, "access-control-allow-origin")), (405, ""));
    let list = live.ask("GET", beads, &stranger, "");
    assert_eq!((list.status().as_u16(), header(&list, "access-control-allow-origin")), (200, ""));
}

/// The routes of towns, users and the deployment; those of rigs are in `tests/tenants.rs`. The document names all of the
/// first two, so that a new one is tried too.
#[test]
fn what_is_no_rigs_is_the_operators_alone() {
    let live = Live::start();
    let document: Value = serde_json::from_str(beadrig::api::OPENAPI).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_all = [
        ("POST", "/api/watchdog"),
        ("GET", "/api/pause"),
        ("POST", "/api/pause"),
        ("POST", "/api/resume"),
        ("POST", "/api/agent-dispatch"),
        ("GET", "/api/agent-status"),
    ];
    let mut routes: Vec<(String, String)> =
        of_all.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    for (path, methods) in paths.iter().filter(|(path, _)| !path.starts_with("/api/rigs/")) {
        let methods = methods.as_object().unwrap().keys().map(|it| it.to_uppercase());
        let methods =
            methods.filter(|it| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&it.as_str()));
        let named = path.split('/').map(|part| if part.starts_with('{') { "local" } else { part });
        let named = named.collect::<Vec<_>>().join("/");
        if named.starts_with("/api/") {
            routes.extend(methods.map(|method| (method, named.clone())));
        }
    }
    assert!(routes.len() > 25, "{routes:?}");
    let secrets = live.stack.secrets();
    let agent = Secrets::new(&secrets.token, &secrets.jwt_secret).unwrap().sign(&Claims {
        agent_id: "polecat-1".to_owned(),
        rig_id: "main".to_owned(),
        town_id: TOWN.to_owned(),
        user_id: "operator".to_owned(),
        attempt: 1,
        iat: 0,
        exp: i64::MAX / 2_000,
    });
    for (method, path) in routes {
        for (who, token, expected) in [
            ("an agent", agent.as_str(), 403),
            ("the container", live.stack.container_token().as_str(), 403),
            ("a stranger", "nothing", 401),
        ] {
            let status = live.ask_as(token, &method, &path, &[], "").status().as_u16();
            assert_eq!(status, expected, "{who}: {method} {path}");
        }
    }
}

/// A rig of the worker, to be asked what one in memory is asked.
struct Rig<'a>(&'a Live);

impl Rig<'_> {
    /// The token of the run that the calls are in.
    fn agent(&self, names: &Names) -> String {
        let secrets = self.0.stack.secrets();
        Secrets::new(&secrets.token, &secrets.jwt_secret).unwrap().sign(&Claims {
            agent_id: names.get("AGENT").to_owned(),
            rig_id: "gastown".to_owned(),
            town_id: TOWN.to_owned(),
            user_id: "operator".to_owned(),
            attempt: names.get("ATTEMPT").parse().unwrap(),
            iat: 0,
            exp: i64::MAX / 2_000,
        })
    }
}

impl World for Rig<'_> {
    fn ask(&mut self, by: By, names: &Names, [method, path, body]: [&str; 3]) -> (u16, Value) {
        let token = match by {
            By::Operator => self.0.stack.token().to_owned(),
            By::Container => self.0.stack.container_token(),
            By::Agent => self.agent(names),
        };
        let path = format!("/api/rigs/gastown{path}");
        let mut answer = self.0.ask_as(&token, method, &path, &[], body);
        (answer.status().as_u16(), serde_json::from_str(&text(&mut answer)).unwrap())
    }

    fn tick(&mut self) {
        // The rig does it by itself.
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn gastowns_calls_are_answered_by_the_worker_too() {
    let live = Live::start();
    let wrong = table::wrong(&mut Rig(&live));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `/api/towns/:town/container/…`: status and body of the container service, for the operator.
#[test]
fn gastowns_container_is_reached_through_its_town() {
    let live = Live::start();
    let container = format!("/api/towns/{TOWN}/container");
    let ask = |method: &str, path: &str, body: &str| -> (u16, Value) {
        let mut answer = live.ask(method, &format!("{container}{path}"), &[], body);
        (answer.status().as_u16(), serde_json::from_str(&text(&mut answer)).unwrap())
    };
    let bead = r#"{"title":"x","acceptance_criteria":"y","assignee":"agent"}"#;
    assert_eq!(live.ask("POST", "/api/rigs/demo/beads", &[], bead).status().as_u16(), 201);
    let agent = (0..100)
        .find_map(|_| {
            sleep(Duration::from_millis(100));
            let mut agents = live.ask("GET", "/api/rigs/demo/agents", &[], "");
            let agents: Value = serde_json::from_str(&text(&mut agents)).unwrap();
            let agent = &agents["data"][0];
            (agent["status"] == "working").then(|| agent["id"].as_str().unwrap().to_owned())
        })
        .expect("an agent works");

    let (status, health) = ask("GET", "/health", "");
    assert_eq!((status, &health["status"], &health["agents"]), (200, &"ok".into(), &1.into()));
    assert!(health["uptime"].is_u64(), "{health}");
    let (status, shown) = ask("GET", &format!("/agents/{agent}/status"), "");
    assert_eq!(
        (status, &shown["agentId"], &shown["status"]),
        (200, &agent.as_str().into(), &"running".into())
    );
    assert!(shown["startedAt"].is_string() && shown["lastActivityAt"].is_string(), "{shown}");
    for missing in ["serverPort", "sessionId", "activeTools", "messageCount"] {
        assert!(shown.get(missing).is_none(), "{missing}");
    }
    let (status, events) = ask("GET", &format!("/agents/{agent}/events?after=0"), "");
    let event = &events["events"][0];
    assert!(
        ["id", "event", "data", "timestamp"].iter().all(|it| event.get(*it).is_some()),
        "{events}"
    );
    assert_eq!(status, 200);
    let message = format!("/agents/{agent}/message");
    let (status, sent) = ask("POST", &message, r#"{"prompt":"go on"}"#);
    assert_eq!((status, &sent["sent"]), (200, &true.into()), "{sent}");
    for (path, body, expected) in [
        (message.as_str(), "", 400),
        ("/agents/start", "", 400),
        ("/agents/nobody/message", r#"{"prompt":"x"}"#, 404),
        ("/agents/nobody/stop", "{}", 404),
        (&format!("/agents/{agent}/stream-ticket"), "", 404),
        ("/git/merge", "{}", 400),
    ] {
        assert_eq!(ask("POST", path, body).0, expected, "{path}");
    }
    assert_eq!(ask("GET", "/agents/nobody/status", "").0, 404);
    let (status, stopped) = ask("POST", &format!("/agents/{agent}/stop"), "{}");
    assert_eq!((status, &stopped["stopped"]), (200, &true.into()));
    let health = format!("{container}/health");
    let refused = live.ask_as(&live.stack.container_token(), "GET", &health, &[], "");
    assert_eq!(refused.status().as_u16(), 403);
}
