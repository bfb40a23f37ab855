//! Random requests to every route: an answer in time, never a 5xx that is not a refusal, and never a panic.

use std::time::Duration;

use beadrig_container::rig::client;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use crate::jobs::asked;
use crate::town::{TOKEN, Town, start};

/// Requests of each kind; each is one over a real socket.
const CASES: u32 = 600;

/// An answer that takes longer is a hang.
const PATIENCE: Duration = Duration::from_secs(20);

struct Fuzzed {
    method: Method,
    path: String,
    body: Vec<u8>,
    key: Option<Vec<u8>>,
}

/// Sends one, and says what is wrong with the answer.
async fn send(town: &Town, http: &reqwest::Client, fuzzed: Fuzzed) -> Result<u16, String> {
    let Fuzzed { method, path, body, key } = fuzzed;
    let told = format!("{method} {path} {}", String::from_utf8_lossy(&body));
    let mut request =
        http.request(method, format!("{}{path}", town.url)).bearer_auth(TOKEN).body(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = tokio::time::timeout(PATIENCE, request.send()).await;
    let answer = answer.map_err(|_| format!("no answer: {told}"))?;
    let answer = answer.map_err(|error| format!("{error:?}: {told}"))?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| format!("{error}: {told}"))?;
    let body: Value =
        serde_json::from_str(&text).map_err(|_| format!("no JSON: {text}: {told}"))?;
    if text.contains(TOKEN) {
        return Err(format!("the token is in the answer: {told}"));
    }
    // A full service says 503 with a code; nothing else is a fault of ours.
    let full = status == 503 && body["code"] == "capacity";
    if status >= 500 && !full {
        return Err(format!("{status} {text}: {told}"));
    }
    Ok(status)
}

/// Runs random requests of one kind against a service, and then asks whether it is well.
fn fuzz<S: Strategy<Value: Clone>>(
    strategy: S,
    settings: &[(&str, &str)],
    request: impl Fn(S::Value) -> Fuzzed,
) -> Vec<u16> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let town = runtime.block_on(Town::with(settings));
    let http = client().unwrap();
    let seen = std::sync::Mutex::new(Vec::new());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&strategy, |value| {
        let status = runtime.block_on(send(&town, &http, request(value)));
        seen.lock().unwrap().push(status.map_err(TestCaseError::fail)?);
        Ok(())
    });
    ran.unwrap();
    let (status, health) = runtime.block_on(town.get("/health"));
    assert_eq!((status.as_u16(), &health["status"]), (200, &json!("ok")));
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    seen.dedup();
    seen
}

fn any_json() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        ".{0,20}".prop_map(Value::from),
        "[-_./{}\\x00-\\x20]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
    .boxed()
}

/// A good body with some of its fields replaced, removed, or made up; or one that is broken off; or anything.
fn bodies(good: Value) -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    let change = (prop::sample::select(names), prop::option::of(any_json()));
    let changed = prop::collection::vec(change, 0..6).prop_map(move |changes| {
        let mut body = good.clone();
        for (name, value) in changes {
            match value {
                Some(value) => body[name] = value,
                None => drop(body.as_object_mut().unwrap().remove(&name)),
            }
        }
        body
    });
    let changed = changed.boxed();
    let broken = (changed.clone(), any::<prop::sample::Index>()).prop_map(|(body, at)| {
        let mut bytes = body.to_string().into_bytes();
        bytes.truncate(at.index(bytes.len() + 1));
        bytes
    });
    prop_oneof![
        4 => changed.prop_map(|body| body.to_string().into_bytes()),
        1 => broken,
        1 => any_json().prop_map(|body| body.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (1_usize..3000).prop_map(|deep| "[".repeat(deep).into_bytes()),
    ]
}

fn job() -> Value {
    let mut body = asked("true");
    body["max_budget_usd"] = json!(1);
    body["timeout_seconds"] = json!(5);
    body["metadata"] = json!({"task_id": "t", "key": "k"});
    body
}

#[test]
fn any_request_for_a_job_is_answered() {
    let key = prop::option::of(prop_oneof![
        "[!-~]{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(0x80..=0xff_u8, 0..9)
    ]);
    let settings = [("JOB_COMMAND", "/no/such/agent {prompt}"), ("MAX_QUEUE_DEPTH", "10000")];
    let seen = fuzz((bodies(job()), key), &settings, |(body, key)| Fuzzed {
        method: Method::POST,
        path: "/execute".to_owned(),
        body,
        key,
    });
    assert!(seen.contains(&202) && seen.contains(&422), "{seen:?}");
    assert!(seen.iter().all(|status| [202, 422].contains(status)), "{seen:?}");
}

#[test]
fn any_start_of_an_agent_is_answered() {
    let mut good = start("a1", 1, "true");
    good["command"] = json!(["/no/such/agent"]);
    good["envVars"] = json!({"A": "1"});
    good["model"] = json!("m");
    good["git"] = json!(null);
    let seen = fuzz(bodies(good), &[], |body| Fuzzed {
        method: Method::POST,
        path: "/agents/start".to_owned(),
        body,
        key: None,
    });
    assert!(seen.contains(&400) && seen.contains(&422), "{seen:?}");
}

#[test]
fn any_stop_and_any_message_are_answered() {
    let good = json!({"attempt": 1, "reason": "r", "prompt": "p"});
    let route = prop::sample::select(vec!["stop", "message"]);
    let seen = fuzz((bodies(good), route), &[], |(body, route)| Fuzzed {
        method: Method::POST,
        path: format!("/agents/a1/{route}"),
        body,
        key: None,
    });
    assert!(seen.contains(&400) && seen.contains(&404), "{seen:?}");
}

/// Of several branches, and of one as Gastown asks for it. What is taken fails at once: there is no such repository.
#[test]
fn any_merge_is_answered() {
    let entry = json!({"entryId": "e-1", "attempt": 1, "beadId": "b-1", "title": "t", "agentName": "a", "branch": "gt/a"});
    let several = json!({"protocol": 1, "rigId": "r1", "gitUrl": "/no/such/repository.git", "entries": [entry],
        "targetBranch": "main", "strategy": "direct", "envVars": {"GIT_TOKEN": "t"},
        "gates": [{"name": "g", "command": "true", "time_limit_s": 1}]});
    let one = json!({"rigId": "r1", "branch": "gt/a", "targetBranch": "main", "gitUrl": "/no/such/repository.git",
        "entryId": "e-1", "beadId": "b-1", "agentId": "a1", "envVars": {}});
    let seen = fuzz(prop_oneof![bodies(several), bodies(one)], &[], |body| Fuzzed {
        method: Method::POST,
        path: "/git/merge".to_owned(),
        body,
        key: None,
    });
    assert!(seen.contains(&202) && seen.contains(&400), "{seen:?}");
}

#[test]
fn any_path_any_cursor_and_any_query_are_answered() {
    let word = prop_oneof![
        "[a-z0-9]{0,12}",
        "(%[0-9a-fA-F]{2}){0,6}",
        "[A-Za-z0-9._~!$&'()*+,;=:@%-]{0,30}",
        Just("..".to_owned()),
        Just("%00".to_owned()),
        "-?[0-9]{0,30}",
    ];
    let route = prop::sample::select(vec![
        "/jobs/{}",
        "/jobs/x?v={}",
        "/agents/{}/status",
        "/agents/{}/events",
        "/agents/a1/events?after={}",
        "/agents/a1/events?after=0&limit={}",
        "/agents/a1/events?{}",
        "/agents?rigId={}",
        "/agents?{}",
        "/{}",
        "/health?{}",
    ]);
    let method = prop::sample::select(vec![
        Method::GET,
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ]);
    let seen = fuzz((word, route, method), &[], |(word, route, method)| Fuzzed {
        method,
        path: route.replace("{}", &word),
        body: Vec::new(),
        key: None,
    });
    assert!(seen.contains(&404) && seen.contains(&400), "{seen:?}");
}

/// The cursors of an agent that has said something: whatever is asked for, what comes is what was said after it.
#[test]
fn any_cursor_shows_what_was_said_after_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let town = runtime.block_on(async {
        let town = Town::new().await;
        town.run("a1", 1, "for n in 1 2 3 4 5 6 7 8 9; do echo $n; done").await;
        town.report("a1", 1).await;
        town
    });
    let (_, all) = runtime.block_on(town.get("/agents/a1/events"));
    let all = all["events"].as_array().unwrap().clone();
    assert!(all.len() >= 9, "{all:?}");
    let number = || prop_oneof![0_u64..20, any::<u64>()];
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&(number(), number()), |(after, limit)| {
        let path = format!("/agents/a1/events?after={after}&limit={limit}");
        let (status, page) = runtime.block_on(town.get(&path));
        let later = all.iter().filter(|event| event["id"].as_u64().unwrap() > after);
        let expected: Vec<_> = later.take(usize::try_from(limit).unwrap()).cloned().collect();
        prop_assert_eq!((status.as_u16(), &page["events"]), (200, &Value::from(expected)));
        Ok(())
    });
    ran.unwrap();
}
