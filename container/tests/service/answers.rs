//! What a rig answers, at random: no answer ends a run that its rig did not name, and the service stays well.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::town::{Town, until};

/// Answers that are tried.
const ANSWERS: usize = 300;

type Answers = Arc<Mutex<Vec<(u16, Vec<u8>)>>>;

/// Anything that could come in the place of verdicts: rubbish, JSON, verdicts for others, and all of that cut off.
fn answer() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let word = prop_oneof![Just("ok"), Just("stop"), Just("stale"), Just("other")];
    let agent = prop_oneof![Just("a2"), Just(""), Just("a1/../a1"), Just("A1")];
    let attempt =
        prop_oneof![Just(json!(1)), Just(json!(-1)), Just(json!("1")), Just(json!(1e300))];
    let verdict = (agent, attempt, word).prop_map(|(agent, attempt, word)| {
        json!({"agent_id": agent, "entry_id": agent, "attempt": attempt, "verdict": word})
    });
    let list = prop::collection::vec(verdict, 0..4).prop_map(Value::from);
    let part =
        || prop_oneof![list.clone(), Just(Value::Null), Just(json!({"0": 1})), Just(json!("x"))];
    let said = (part(), part(), any::<bool>()).prop_map(|(verdicts, merges, is_wrapped)| {
        let verdicts = json!({"verdicts": verdicts, "merges": merges});
        if is_wrapped { json!({"success": true, "data": verdicts}) } else { verdicts }
    });
    let bytes = prop_oneof![
        4 => said.prop_map(|said| said.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just(b"[".repeat(5_000)),
        1 => Just(vec![b' '; 2 * 1024 * 1024]),
    ];
    let status = prop_oneof![6 => Just(200), 1 => Just(204), 3 => 201_u16..600];
    (status, bytes, any::<proptest::sample::Index>(), any::<bool>()).prop_map(
        |(status, mut bytes, at, cut)| {
            if cut && !bytes.is_empty() {
                bytes.truncate(at.index(bytes.len()));
            }
            (status, bytes)
        },
    )
}

async fn next(State(answers): State<Answers>) -> (StatusCode, Bytes) {
    let answer = answers.lock().unwrap().pop();
    let (status, body) = answer.unwrap_or((200, b"{}".to_vec()));
    (StatusCode::from_u16(status).unwrap(), body.into())
}

#[tokio::test]
async fn whatever_a_rig_answers_the_service_is_well_and_a_run_that_was_not_named_goes_on() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let all = (0..ANSWERS).map(|_| answer().new_tree(&mut runner).unwrap().current());
    let answers: Answers = Arc::new(Mutex::new(all.collect()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(next).with_state(Arc::clone(&answers));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let town = Town::with(&[("BEADRIG_URL", &url), ("HEARTBEAT_MS", "10")]).await;
    town.run("a1", 1, "echo up; exec sleep 600").await;
    town.hears("a1", "up").await;
    // Ends of runs are reported in between, and answered so too.
    for attempt in 1..=20 {
        town.run("b1", attempt, "true").await;
    }
    until(async || match answers.lock().unwrap().len() {
        0 => Ok(()),
        left => Err(left),
    })
    .await;
    let status = town.status("a1").await;
    assert_eq!(json!(status.status), json!("running"), "{status:?}");
    let (_, health) = town.get("/health").await;
    assert_eq!(health["status"], "ok", "{health}");
}
