//! A worker and a container service of two versions: refused in clear words, and nothing is lost by it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::rig::Rig;
use crate::runs::GATES;
use crate::support::{LATER, SOON, World};

#[test]
fn a_worker_refuses_a_container_of_another_protocol_without_an_attempt_and_goes_on_when_both_agree()
{
    let mut proxy = None;
    let world = World::start(|options| {
        let between = proxy.insert(Proxy::to(options.container_port.number()));
        let url = between.url.clone();
        options.set("CONTAINER_URL", url).set("CONTAINER_WEDGED_MS", 1_000)
    });
    let proxy = proxy.unwrap();
    let rig = world.rig("versions");
    rig.runs.open(&GATES);
    proxy.speak_newer(true);
    let id = rig.assigned("waits for the rollout");
    let bead = rig.bead_until(&id, "waiting for the container", SOON, |bead| {
        bead["waiting"]["reason"] == "container_unavailable"
    });
    let why = "protocol: the container speaks 2, the rig 1; roll out both parts";
    assert!(bead["waiting"]["message"].as_str().unwrap().contains(why), "{bead:#}");
    assert_eq!(bead["attempts"], 0, "{bead:#}");
    let status = rig.get("/status");
    let reason = status["agents"][0]["attempt"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(why), "{status:#}");
    let path = "/api/towns/local/container";
    let answer = rig.as_operator("GET", &format!("{path}/agents")).unwrap();
    assert_eq!((answer.status, answer.code()), (503, "protocol"), "{answer:?}");
    std::thread::sleep(Duration::from_millis(1_500));
    let watch = rig.as_operator("GET", &format!("{path}/watch")).unwrap().body;
    assert_eq!(watch["outage"], Value::Null, "it is no outage: {watch:#}");
    assert_eq!(proxy.starts(), 0, "it was asked for nothing");

    proxy.speak_newer(false);
    let bead = rig.status_until(&id, "closed", LATER);
    assert_eq!(bead["attempts"], 1, "{bead:#}");
}

#[test]
fn a_container_refuses_a_worker_of_another_protocol_whatever_it_asks() {
    let world = World::start(|options| options);
    let token = world.stack.container_token();
    let container = Rig::new(world.stack.container_url(), token, "x", world.dir().to_owned());
    for (method, path) in
        [("POST", "/agents/start"), ("GET", "/agents?rigId=x"), ("POST", "/agents/a/stop")]
    {
        let answer = container.send_as_version("2", method, path, "").unwrap();
        assert_eq!((answer.status, answer.code()), (409, "protocol"), "{path}: {answer:?}");
        let said = answer.body["error"].as_str().unwrap();
        assert!(said.contains("speaks protocol 1, the request has 2"), "{said}");
    }
    // The same version with a field more is understood.
    let answer = container.send_as_version("1", "POST", "/agents/a/stop", r#"{"new":{"a":1}}"#);
    assert_eq!(answer.unwrap().status, 404, "there is no such agent");
}

#[test]
fn a_rig_refuses_what_a_container_of_another_protocol_says_and_the_container_may_say_it_again() {
    let world = World::start(|options| options);
    let rig = world.rig("said");
    let token = world.stack.container_token();
    let container = Rig::new(world.stack.url(), token, "said", world.dir().to_owned());
    let beats =
        |protocol: u32| json!({"protocol": protocol, "boot_id": "b", "agents": [], "more": 1});
    let beat = |spoken: &str, protocol: u32| {
        let path = container.path("/heartbeats");
        container.send_as_version(spoken, "POST", &path, &beats(protocol).to_string()).unwrap()
    };
    assert_eq!(beat("1", 1).status, 200, "a field more is no harm");
    for (spoken, protocol) in [("2", 2), ("2", 1), ("1", 2)] {
        let answer = beat(spoken, protocol);
        assert_eq!((answer.status, answer.code()), (426, "protocol"), "{answer:?}");
    }
    let report = json!({"status": "completed", "attempt": 1}).to_string();
    let path = container.path("/agents/a/completed");
    let answer = container.send_as_version("2", "POST", &path, &report).unwrap();
    // 404 or 409 would make it throw the report away.
    assert_eq!((answer.status, answer.code()), (426, "protocol"), "{answer:?}");
    let refused = rig.get("/refusals");
    let codes: Vec<_> = refused.as_array().unwrap().iter().map(|it| it["code"].clone()).collect();
    assert_eq!(codes, ["protocol"; 4]);
}
