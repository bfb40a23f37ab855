//! Dispatch by hand and the status of the agents, by the paths that clients of the pollers know.

use serde_json::{Value, json};

use crate::access::{claims, holder, refused, secrets};
use crate::rig::{Answer, Rig};
use crate::runs::GATES;
use crate::support::{LATER, SOON, World, until};

/// Hands over a bead at this path.
fn dispatch(rig: &Rig, path: &str, bead: &str) -> Answer {
    rig.send_as("bob", "POST", path, &json!({"taskId": bead}).to_string()).unwrap()
}

fn status(rig: &Rig, path: &str) -> Value {
    let answer = rig.as_operator("GET", path).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn a_bead_is_dispatched_by_hand_in_the_rig_that_is_named_or_else_in_the_main_one() {
    let world = World::start(|options| options.set("MAX_AGENTS", 1));
    let (main, other) = (world.rig("main"), world.rig("other"));
    let bare = "/api/agent-dispatch";
    let named = "/api/agent-dispatch?rig=other";
    // Paused: by hand it goes all the same.
    for rig in [&main, &other] {
        assert_eq!(rig.operator("POST", "/pause", "").unwrap().status, 200);
    }
    let (here, there) = (main.create("in the main one"), other.create("in the other one"));
    let said = |answer: Answer| (answer.status, answer.body["error"].as_str().unwrap().to_owned());
    assert_eq!(said(dispatch(&main, bare, &there)), (400, format!("Bead {there} not found.")));
    assert_eq!(said(dispatch(&main, named, &here)), (400, format!("Bead {here} not found.")));
    let loose = main.say(&["create", "done when?", "--silent"]).trim().to_owned();
    let missing = format!("Bead {loose} is missing acceptance criteria.");
    assert_eq!(said(dispatch(&main, bare, &loose)), (400, missing));

    for (rig, path, bead) in [(&main, bare, &here), (&other, named, &there)] {
        let first = dispatch(rig, path, bead);
        assert_eq!(first.status, 200, "{first:?}");
        let job = first.body["job_id"].as_str().unwrap().to_owned();
        assert!(job.len() == 12 && job.bytes().all(|it| it.is_ascii_hexdigit()), "{job}");
        assert_eq!(first.body.as_object().unwrap().len(), 1, "nothing around it: {first:?}");
        rig.runs.wait(bead, "started", LATER);
        // The button beside it is pressed once more.
        assert_eq!(dispatch(rig, path, bead).body, first.body);
        let busy = status(rig, &path.replace("dispatch", "status"));
        assert_eq!(
            (&busy["busy"], &busy["active"], &busy["capacity"]),
            (&json!(true), &json!(1), &json!(1))
        );
        let second = rig.create("no room for it");
        assert_eq!(said(dispatch(rig, path, &second)), (409, "Agent is busy".to_owned()));
        rig.runs.open(&GATES);
        let done = rig.status_until(bead, "closed", LATER);
        assert_eq!((&done["attempts"], rig.runs.of(bead).len()), (&json!(1), 1), "{done:#}");
        assert!(rig.notes(bead).contains("dispatched by bob at "), "{}", rig.notes(bead));
        assert!(rig.notes(bead).contains(&format!("dispatched: job={job}")), "{}", rig.notes(bead));
        rig.idle(SOON);
        assert_eq!(status(rig, &path.replace("dispatch", "status"))["busy"], false);
        assert_eq!(
            said(dispatch(rig, path, bead)),
            (409, format!("Bead {bead} is closed; reopen it first"))
        );
    }
}

#[test]
fn what_is_wrong_with_a_dispatch_is_said_in_its_clients_words_and_only_the_operator_may() {
    let world = World::start(|options| options);
    let rig = world.rig("agents");
    let bead = rig.assigned("at work");
    rig.runs.wait(&bead, "started", LATER);
    let (me, attempt) = holder(&rig, &bead);
    let agent = secrets(&world).sign(&claims("agents", &me, attempt));
    let container = world.stack.container_token();
    let task = json!({"taskId": bead}).to_string();
    for query in ["", "?rig=agents"] {
        let (hand, status) =
            (format!("/api/agent-dispatch{query}"), format!("/api/agent-status{query}"));
        for token in [&agent, &container] {
            refused(&rig, Some(token), ("POST", &hand, &task), (403, "forbidden"));
            refused(&rig, Some(token), ("GET", &status, ""), (403, "forbidden"));
        }
        refused(&rig, None, ("POST", &hand, &task), (401, "unauthorized"));
        refused(&rig, None, ("GET", &status, ""), (401, "unauthorized"));
        let token = Some(world.stack.token());
        let wrong = (400, "invalid");
        assert_eq!(refused(&rig, token, ("POST", &hand, "{"), wrong), "Invalid JSON body.");
        assert_eq!(
            refused(&rig, token, ("POST", &hand, r#"{"taskId":" "}"#), wrong),
            "taskId is required."
        );
        refused(&rig, token, ("GET", &hand, ""), (405, "method_not_allowed"));
        refused(&rig, token, ("POST", &status, ""), (405, "method_not_allowed"));
    }
    let token = Some(world.stack.token());
    refused(&rig, token, ("GET", "/api/agent-status?rig=a%2Fb", ""), (400, "invalid"));
}

/// Bug 3 of the pollers: a service that was down was not busy.
#[test]
fn agents_whose_container_service_is_down_are_busy_until_it_is_up() {
    let world = World::prepare(|options| options);
    world.stack.worker.start().unwrap();
    world.stack.worker.wait_healthy(xtask::stack::START).unwrap();
    let rig = world.rig("main");
    rig.runs.open(&GATES);
    let bead = rig.assigned("to be done when it is up");
    let busy = until("busy agents", SOON, || {
        let status = rig.as_operator("GET", "/api/agent-status")?.body;
        if status["busy"] == true { Ok(status) } else { Err(status.to_string()) }
    });
    assert!(busy["reason"].as_str().unwrap().starts_with("the container: "), "{busy}");
    world.stack.container.start().unwrap();
    rig.status_until(&bead, "closed", LATER);
    rig.idle(SOON);
    assert_eq!(status(&rig, "/api/agent-status")["busy"], false);
}
