//! The routes: who may ask, and what a wrong question is answered.

use beadrig_container::rig::client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::town::{TOKEN, Town, start};

#[tokio::test]
async fn only_health_is_for_everybody() {
    let town = Town::new().await;
    let http = client().unwrap();
    let health = http.get(format!("{}/health", town.url)).send().await.unwrap();
    assert_eq!(health.status(), 200);
    let health: Value = serde_json::from_str(&health.text().await.unwrap()).unwrap();
    assert_eq!((&health["status"], &health["protocol"]), (&json!("ok"), &json!(1)));
    assert_eq!((&health["agents"], &health["capacity"]), (&json!(0), &json!(10)));
    let routes = [
        (Method::POST, "/agents/start"),
        (Method::POST, "/agents/a1/stop"),
        (Method::POST, "/agents/a1/message"),
        (Method::GET, "/agents/a1/status"),
        (Method::GET, "/agents/a1/events"),
        (Method::GET, "/agents"),
        (Method::GET, "/nowhere"),
    ];
    for (method, path) in routes {
        for shown in [None, Some("Bearer "), Some("Bearer wrong"), Some("Basic 0"), Some(TOKEN)] {
            let mut request = http.request(method.clone(), format!("{}{path}", town.url));
            if let Some(shown) = shown {
                request = request.header("authorization", shown);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path} {shown:?}");
            assert!(answer.text().await.unwrap().contains("\"unauthorized\""));
        }
    }
}

#[tokio::test]
async fn a_wrong_question_is_answered_with_what_is_wrong() {
    let town = Town::new().await;
    let with = |field: &str, value: Value| {
        let mut request = start("a1", 1, "true");
        request[field] = value;
        request
    };
    let mut no_attempt = start("a1", 1, "true");
    no_attempt.as_object_mut().unwrap().remove("attempt");
    let cases = [
        (no_attempt, 400, "invalid", "missing field `attempt`"),
        (with("attempt", json!("one")), 400, "invalid", "attempt: invalid type"),
        (with("agentId", json!("../a")), 400, "invalid", "agentId takes"),
        (with("rigId", json!(".r")), 400, "invalid", "rigId takes"),
        (with("envVars", json!({"A": 1})), 400, "invalid", "envVars.A: invalid type"),
        (with("protocol", json!(2)), 409, "protocol", "speaks protocol 1"),
        (json!({"protocol": 2}), 409, "protocol", "speaks protocol 1"),
        (json!([]), 400, "invalid", "the body is not"),
    ];
    for (body, status, code, error) in cases {
        let (got, problem) = town.post("/agents/start", body).await;
        assert_eq!((got.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
        assert!(problem["error"].as_str().unwrap().contains(error), "{problem}");
    }
    let (status, problem) =
        town.post("/agents/start", json!({"prompt": "x".repeat(3_000_000)})).await;
    assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("invalid")));
}

#[tokio::test]
async fn what_is_not_there_is_said_not_to_be_there() {
    let town = Town::new().await;
    let cases = [
        (Method::GET, "/nowhere", 404, "not_found"),
        (Method::GET, "/agents/a1/status", 404, "not_found"),
        (Method::POST, "/agents/a1/stop", 404, "not_found"),
        (Method::GET, "/agents/start", 405, "invalid"),
        (Method::DELETE, "/agents", 405, "invalid"),
        (Method::POST, "/health", 405, "invalid"),
        (Method::GET, "/agents/a1/events?after=x", 400, "invalid"),
    ];
    for (method, path, status, code) in cases {
        let (got, problem) = town.call(method, path, Value::Null).await;
        assert_eq!((got.as_u16(), &problem["code"]), (status, &json!(code)), "{path} {problem}");
        assert!(problem["error"].is_string());
    }
}

#[tokio::test]
async fn the_list_is_of_one_rig_or_of_all() {
    let town = Town::new().await;
    town.run("a1", 1, "exec sleep 600").await;
    let mut other = start("a2", 1, "exec sleep 600");
    other["rigId"] = json!("r2");
    town.post("/agents/start", other).await;
    let names = async |query: &str| {
        let (_, list) = town.get(&format!("/agents{query}")).await;
        let agents = list["agents"].as_array().unwrap();
        agents.iter().map(|agent| agent["agentId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["a1", "a2"]);
    assert_eq!(names("?rigId=r2").await, ["a2"]);
    assert_eq!(names("?rigId=r3").await, Vec::<String>::new());
    let (_, health) = town.get("/health").await;
    assert_eq!(health["agents"], json!(2));
}
