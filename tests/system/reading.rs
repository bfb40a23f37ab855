//! Reading along: an agent's events come through its town as they happen.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{World, until};

/// Longer than an answer through the town may take to begin.
const LATE: &str = "5";

#[test]
fn a_stream_of_events_comes_through_the_town_as_it_happens_and_is_resumed() {
    let world = World::start(|options| options);
    let base = format!("{}/api/towns/local/container", world.stack.url());
    let auth = format!("Bearer {}", world.stack.token());
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let http: ureq::Agent = config.timeout_global(Some(Duration::from_mins(1))).build().into();
    let script =
        format!("echo one; sleep {LATE}; echo two; read -r line; echo heard $line; exit 0");
    // A rig that the worker knows nothing of: nobody calls the run stale.
    let start = json!({
        "protocol": 1, "agentId": "reader", "rigId": "no.where", "townId": "local", "beadId": "b-1",
        "attempt": 1, "jobId": "0123456789ab", "role": "polecat", "name": "Toast",
        "identity": "Toast-polecat", "command": ["/bin/sh", "-c", script], "prompt": "", "title": "",
        "sessionToken": "none", "timeLimitS": 60,
    });
    let post = |path: &str, body: &Value| {
        let request = http.post(format!("{base}{path}")).header("authorization", &auth);
        request.send(body.to_string()).map(|answer| answer.status().as_u16())
    };
    until("started", Duration::from_secs(20), || match post("/agents/start", &start) {
        Ok(200 | 201) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let read = |last: &str| {
        let request = http.get(format!("{base}/agents/reader/events"));
        let request = request.header("authorization", &auth).header("accept", "text/event-stream");
        let answer = request.header("last-event-id", last).call().unwrap();
        let kind = answer.headers().get("content-type").map(|it| it.to_str().unwrap().to_owned());
        let lines = BufReader::new(answer.into_body().into_reader()).lines();
        (kind, lines.map_while(Result::ok).filter(|line| !line.is_empty()))
    };
    let (kind, mut lines) = read("0");
    assert_eq!(kind.as_deref(), Some("text/event-stream"));
    // It is read while the agent waits for what is only said once "two" has come.
    let two = lines.find(|line| line.contains("\"data\":\"two\"")).unwrap();
    let two: Value = serde_json::from_str(two.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(post("/agents/reader/message", &json!({"prompt": "go"})).unwrap(), 200);
    let rest: Vec<_> = lines.collect();
    assert!(rest.iter().any(|line| line.contains("heard go")), "{rest:?}");
    assert!(rest.last().unwrap().contains("\"data\":\"exited\""), "{rest:?}");
    let (_, again) = read(&two["id"].to_string());
    assert_eq!(again.collect::<Vec<_>>(), rest);
}
