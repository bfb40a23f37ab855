//! Who may do what, what a bad request is told, and that no token is where it could be read.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use beadrig::token::{Claims, Secrets};
use serde_json::json;

use crate::rig::{Answer, Rig};
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, agent, until};

/// Sends a request and checks status and code of the refusal; answers its sentence.
#[track_caller]
pub(crate) fn refused(
    rig: &Rig,
    token: Option<&str>,
    (method, path, body): (&str, &str, &str),
    expected: (u16, &str),
) -> String {
    let answer = rig.send(token, method, path, body).unwrap();
    assert_eq!((answer.status, answer.code()), expected, "{method} {path}: {answer:?}");
    assert_eq!(answer.body["success"], false, "{method} {path}: {answer:?}");
    answer.body["error"].as_str().unwrap().to_owned()
}

#[track_caller]
fn allowed(rig: &Rig, token: Option<&str>, (method, path, body): (&str, &str, &str)) -> Answer {
    let answer = rig.send(token, method, path, body).unwrap();
    assert!(answer.status < 300, "{method} {path}: {answer:?}");
    answer
}

pub(crate) fn secrets(world: &World) -> Secrets {
    let secrets = world.stack.secrets();
    Secrets::new(&secrets.token, &secrets.jwt_secret).unwrap()
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

pub(crate) fn claims(rig: &str, agent: &str, attempt: i64) -> Claims {
    Claims {
        agent_id: agent.to_owned(),
        rig_id: rig.to_owned(),
        town_id: xtask::stack::TOWN.to_owned(),
        user_id: "operator".to_owned(),
        attempt,
        iat: seconds(),
        exp: seconds() + 3_600,
    }
}

/// The agent that holds a bead, and its attempt.
#[track_caller]
pub(crate) fn holder(rig: &Rig, bead: &str) -> (String, i64) {
    let status = rig.get("/status");
    let agents = status["agents"].as_array().unwrap();
    let agent = agents.iter().find(|it| it["current_hook_bead_id"] == bead).unwrap();
    (agent["id"].as_str().unwrap().to_owned(), agent["attempt"]["number"].as_i64().unwrap())
}

#[test]
fn whoever_shows_no_token_of_ours_gets_nothing_but_the_health_page() {
    let world = World::start(|options| options);
    let rig = world.rig("strangers");
    let beads = rig.path("/beads");
    let get = ("GET", beads.as_str(), "");
    let health = allowed(&rig, None, ("GET", "/health", ""));
    assert_eq!(health.body, json!({"status": "ok"}));
    refused(&rig, None, get, (401, "unauthorized"));
    let stranger = Secrets::new(&"x".repeat(32), &"y".repeat(32)).unwrap();
    let mut expired = claims("strangers", "a", 1);
    expired.exp = seconds() - 1;
    let wrong = [
        "wrong".to_owned(),
        world.stack.token()[1..].to_owned(),
        format!("{}x", world.stack.token()),
        format!("{}x", world.stack.container_token()),
        beadrig::token::container_token(&"y".repeat(32), xtask::stack::TOWN),
        stranger.sign(&claims("strangers", "a", 1)),
        secrets(&world).sign(&expired),
    ];
    for token in &wrong {
        refused(&rig, Some(token), get, (401, "unauthorized"));
        let town = ("GET", "/api/towns/local/container/agents", "");
        refused(&rig, Some(token), town, (401, "unauthorized"));
    }
    // Nor does the container service itself listen to strangers.
    let direct =
        Rig::new(world.stack.container_url(), String::new(), "x", world.stack.data().into());
    assert_eq!(direct.send(None, "GET", "/health", "").unwrap().status, 200);
    for token in [None, Some(world.stack.token()), Some("wrong")] {
        let answer = direct.send(token, "GET", "/agents", "").unwrap();
        assert_eq!((answer.status, answer.code()), (401, "unauthorized"));
    }
}

#[test]
fn an_agent_speaks_for_itself_alone_and_only_while_its_attempt_is_the_live_one() {
    let world = World::start(|options| options);
    let rig = world.rig("agents");
    let (mine, theirs) = (rig.assigned("mine"), rig.assigned("theirs"));
    for bead in [&mine, &theirs] {
        rig.runs.wait(bead, "started", LATER);
    }
    let (me, attempt) = holder(&rig, &mine);
    let (other, _) = holder(&rig, &theirs);
    let sign = |rig: &str, attempt| secrets(&world).sign(&claims(rig, &me, attempt));
    let token = sign("agents", attempt);
    let token = Some(token.as_str());
    let note = r#"{"text":"hello"}"#;
    let path = |rest: &str| rig.path(rest);

    allowed(&rig, token, ("POST", &path(&format!("/agents/{me}/heartbeat")), ""));
    allowed(&rig, token, ("POST", &path(&format!("/beads/{mine}/notes")), note));
    allowed(&rig, token, ("GET", &path(&format!("/beads/{theirs}")), ""));
    for (method, rest, body) in [
        ("POST", format!("/agents/{other}/heartbeat"), ""),
        ("POST", format!("/agents/{other}/done"), ""),
        ("DELETE", format!("/agents/{other}/hook"), ""),
        ("POST", format!("/beads/{theirs}/notes"), note),
        ("POST", format!("/beads/{theirs}/close"), ""),
        ("PATCH", format!("/beads/{mine}"), r#"{"assignee":"agent"}"#),
        ("POST", "/heartbeats".to_owned(), r#"{"protocol":1,"boot_id":"x","agents":[]}"#),
        ("POST", "/agents/get-or-create".to_owned(), r#"{"role":"polecat"}"#),
    ] {
        refused(&rig, token, (method, &path(&rest), body), (403, "forbidden"));
    }
    refused(&rig, token, ("GET", "/api/towns/local/container/agents", ""), (403, "forbidden"));
    let elsewhere = sign("elsewhere", attempt);
    let beads = path("/beads");
    refused(&rig, Some(&elsewhere), ("GET", &beads, ""), (403, "forbidden"));
    let future = sign("agents", attempt + 1_000);
    refused(&rig, Some(&future), ("GET", &beads, ""), (409, "stale_attempt"));

    rig.say(&["assign", &mine, ""]);
    for (method, rest, body) in [
        ("POST", format!("/beads/{mine}/notes"), note),
        ("POST", format!("/agents/{me}/heartbeat"), ""),
        ("GET", "/beads".to_owned(), ""),
    ] {
        refused(&rig, token, (method, &path(&rest), body), (409, "stale_attempt"));
    }
    rig.runs.open(&GATES);
    rig.status_until(&theirs, "closed", LATER);
}

#[test]
fn the_container_may_report_and_do_nothing_else() {
    let world = World::start(|options| options);
    let rig = world.rig("reports");
    let bead = rig.create("not the container's");
    let token = world.stack.container_token();
    let token = Some(token.as_str());
    let beats = r#"{"protocol":1,"boot_id":"x","agents":[]}"#;
    allowed(&rig, token, ("POST", &rig.path("/heartbeats"), beats));
    for (method, rest, body) in [
        ("GET", "/beads".to_owned(), ""),
        ("GET", "/status".to_owned(), ""),
        ("POST", "/beads".to_owned(), r#"{"title":"x"}"#),
        ("PATCH", format!("/beads/{bead}"), r#"{"assignee":"agent"}"#),
        ("POST", format!("/beads/{bead}/close"), ""),
        ("POST", "/agents/get-or-create".to_owned(), r#"{"role":"polecat"}"#),
    ] {
        refused(&rig, token, (method, &rig.path(&rest), body), (403, "forbidden"));
    }
    let secret = &world.stack.secrets().jwt_secret;
    let elsewhere = beadrig::token::container_token(secret, "elsewhere");
    let path = rig.path("/heartbeats");
    refused(&rig, Some(&elsewhere), ("POST", &path, beats), (403, "forbidden"));
}

#[test]
fn a_request_that_makes_no_sense_is_told_why() {
    let world = World::start(|options| options);
    let rig = world.rig("nonsense");
    let token = Some(world.stack.token());
    let (beads, bad) = (rig.path("/beads"), (400, "invalid"));
    for (body, named) in [
        (r#"{"title":7}"#, "title"),
        (r#"{"title":"x","labels":"y"}"#, "labels"),
        (r#"{"title":"x","due_at":"soon"}"#, "due_at"),
        (r#"{"title":"x","priority":9}"#, "priority"),
        ("{}", "title"),
        ("{", "EOF"),
        ("", "JSON object"),
    ] {
        let said = refused(&rig, token, ("POST", &beads, body), bad);
        assert!(said.contains(named), "{body:?}: {said:?} does not name {named}");
    }
    let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(1024 * 1024));
    refused(&rig, token, ("POST", &beads, &long), (413, "too_large"));
    refused(&rig, token, ("DELETE", &beads, ""), (405, "method_not_allowed"));
    refused(&rig, token, ("GET", &rig.path("/heartbeats"), ""), (405, "method_not_allowed"));
    for path in ["/", "/nothing", "/api/rigs/nonsense/nothing", "/api/rigs/nonsense/beads/x/y/z"] {
        refused(&rig, token, ("GET", path, ""), (404, "not_found"));
    }
    refused(&rig, token, ("GET", &rig.path("/beads/none-1"), ""), (404, "not_found"));
    let name = format!("/api/rigs/{}/beads", "x".repeat(65));
    refused(&rig, token, ("GET", &name, ""), bad);
}

#[test]
fn no_token_is_in_anything_that_a_stack_writes_down() {
    let world = World::start(|mut options| {
        options.container_env.insert("RUST_LOG".to_owned(), "trace".to_owned());
        options.set("AGENT_COMMAND", agent("gated"))
    });
    let rig = world.rig("secrets");
    let bead = rig.assigned("with a token");
    rig.runs.wait(&bead, "started", LATER);
    // What goes wrong is what is logged.
    let beads = rig.path("/beads");
    let wrong = format!("{}x", secrets(&world).sign(&claims("secrets", "a", 1)));
    refused(&rig, Some(&wrong), ("GET", &beads, ""), (401, "unauthorized"));
    rig.debug("fault", "fetch/panic").unwrap();
    world.stack.worker.restart().unwrap();
    world.stack.container.restart().unwrap();
    until("second run", LATER, || {
        if rig.runs.of(&bead).len() > 1 { Ok(()) } else { Err(rig.runs.told()) }
    });
    rig.runs.open(&GATES);
    rig.status_until(&bead, "closed", LATER);
    rig.idle(SOON);
    world.stack.stop(Duration::from_secs(10));

    let container = world.stack.container_token();
    let ours = [world.stack.token(), &world.stack.secrets().jwt_secret, &container, "eyJ", "brc_"];
    let mut files = 0;
    visit(world.stack.data(), &mut |path| {
        let bytes = fs::read(path).unwrap_or_default();
        files += 1;
        for secret in ours {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            // The worker's code names the prefix, and the beginning of a token.
            let is_code = path.starts_with(world.stack.data().join("worker")) && secret.len() < 5;
            assert!(!found || is_code, "{} holds {}…", path.display(), &secret[..3]);
        }
    });
    assert!(files > 5, "{files} files were looked at");
}

fn visit(dir: &Path, look: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() { visit(&path, look) } else { look(&path) }
    }
}
