//! The agent that most will use, as it is: Claude Code works at beads and at a job. Only the model behind it is a
//! script, for it speaks the API of one: it sends a command for the shell, sees what came of it, and has a last word.
//!
//! `cargo xtask test claude` installs the program and says where it is.

use std::sync::{Arc, Mutex};
use std::thread;

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::git::{configure, git, repository};
use crate::support::{LATER, World, until};

/// What one word more costs, by the price list that the program has: it is not known here, only that it is there.
const USAGE: [(&str, u32); 2] = [("input_tokens", 1_000), ("output_tokens", 50)];

/// A model that has one idea.
struct Model {
    url: String,
    /// What it was asked.
    asked: Arc<Mutex<Vec<Value>>>,
    _end: oneshot::Sender<()>,
}

impl Model {
    /// Listens until it is dropped; wants this command run.
    fn that_runs(command: &'static str) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = oneshot::channel::<()>();
        let (said, heard) = std::sync::mpsc::channel();
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                said.send(listener.local_addr().unwrap()).unwrap();
                let answer = async move |Json(ask): Json<Value>| {
                    let reply = reply(&ask, command);
                    seen.lock().unwrap().push(ask);
                    ([("content-type", "text/event-stream")], reply)
                };
                let app = Router::new().route("/v1/messages", post(answer));
                let over = async { drop(ended.await) };
                axum::serve(listener, app).with_graceful_shutdown(over).await.unwrap();
            });
        });
        let url = format!("http://{}", heard.recv().unwrap());
        Self { url, asked, _end: end }
    }

    /// All that it was told, as text.
    fn told(&self) -> String {
        self.asked.lock().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
    }
}

/// The stream of events that answers.
fn reply(ask: &Value, command: &str) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let has_result =
        |message: &Value| list(&message["content"]).iter().any(|it| it["type"] == "tool_result");
    let has_shell = list(&ask["tools"]).iter().any(|it| it["name"] == "Bash");
    let ran = list(&ask["messages"]).iter().any(has_result);
    let (block, delta, stop) = if has_shell && !ran {
        let input = json!({"command": command, "description": "Do the work"}).to_string();
        let block = json!({"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}});
        (block, json!({"type": "input_json_delta", "partial_json": input}), "tool_use")
    } else {
        let delta = json!({"type": "text_delta", "text": "All is done."});
        (json!({"type": "text", "text": ""}), delta, "end_turn")
    };
    let usage: Value = USAGE.into_iter().collect();
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": ask["model"],
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let end = json!({"stop_reason": stop, "stop_sequence": null});
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": USAGE[1].1}}),
        json!({"type": "message_stop"}),
    ];
    let line =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.each_ref().map(line).concat()
}

/// The program, and a stack whose agents find the model and nothing else of the network.
fn world(model: &Model, settings: &[(&str, &str)]) -> World {
    let claude =
        std::env::var("CLAUDE").expect("CLAUDE names the program: cargo xtask test claude");
    World::start(|mut options| {
        let home = options.data.join("home");
        std::fs::create_dir_all(home.join(".claude/agents")).unwrap();
        let greeter = "---\nname: greeter\ndescription: Greets\n---\nYou greet.\n";
        std::fs::write(home.join(".claude/agents/greeter.md"), greeter).unwrap();
        for (name, value) in [
            ("ANTHROPIC_BASE_URL", model.url.as_str()),
            ("ANTHROPIC_API_KEY", "key-of-the-model"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("HOME", home.to_str().unwrap()),
            // Else it refuses to work for root without asking, and tests may run as root.
            ("IS_SANDBOX", "1"),
        ] {
            options.container_env.insert(name.to_owned(), value.to_owned());
        }
        let settings = settings.iter();
        settings.fold(options, |options, (name, value)| {
            options.set(name, value.replacen("claude", &claude, 1))
        })
    })
}

/// What the README says to use.
const AGENT: &str =
    "claude -p --dangerously-skip-permissions --output-format stream-json --verbose '{prompt}'";

#[test]
#[ignore = "it wants Claude Code: cargo xtask test claude"]
fn claude_code_does_a_bead_in_a_repository_and_what_it_cost_is_known() {
    let model = Model::that_runs(
        "beadrig note $BEADRIG_BEAD_ID \"claimed by agent $BEADRIG_JOB_ID\" && \
         echo 'roses are red' >poem.txt && git add . && git commit -qm 'Write a poem' && \
         beadrig done $BEADRIG_BEAD_ID -r 'wrote a poem'",
    );
    let world = world(&model, &[("AGENT_COMMAND", AGENT)]);
    let origin = repository(world.dir());
    let rig = world.rig("poems");
    configure(&rig, &json!({"git_url": origin}));
    let bead = rig.assigned("write a poem");
    let closed = rig.status_until(&bead, "closed", LATER);
    assert_eq!(git(origin.as_ref(), &["show", "main:poem.txt"]), "roses are red\n");
    let notes = rig.notes(&bead);
    assert!(notes.contains("claimed by agent "), "{notes}");
    assert_eq!(closed["attempts"], 1, "{closed}");
    let told = model.told();
    for word in ["write a poem", "## Done when", "it is done", bead.as_str()] {
        assert!(told.contains(word), "the model never saw \"{word}\"");
    }
    assert!(!told.contains(world.stack.token()), "the operator's token is not for models");
    rig.idle(LATER);
    let cost = until("cost of the bead", LATER, || {
        let bead = rig.bead(&bead);
        bead["cost_usd"].as_str().map(str::to_owned).ok_or_else(|| bead.to_string())
    });
    assert!(cost.parse::<f64>().unwrap() > 0.0, "{cost}");
}

#[test]
#[ignore = "it wants Claude Code: cargo xtask test claude"]
fn claude_code_that_says_nothing_of_its_bead_is_tried_again_and_then_people_are_told() {
    let model = Model::that_runs("true");
    let settings = [("AGENT_COMMAND", AGENT), ("MAX_ATTEMPTS", "2")];
    let world = world(&model, &settings);
    let rig = world.rig("silent");
    let bead = rig.assigned("say nothing");
    let failed = rig.status_until(&bead, "failed", LATER);
    assert_eq!(failed["attempts"], 2, "{failed}");
    let why = failed["failure"]["message"].as_str().unwrap();
    assert!(why.contains("exited with code 0"), "{failed}");
}

#[test]
#[ignore = "it wants Claude Code: cargo xtask test claude"]
fn claude_code_does_a_job_as_the_service_starts_it_without_being_set() {
    let model = Model::that_runs("echo hello");
    let world = world(&model, &[("JOB_COMMAND", &job_command())]);
    let job = json!({"prompt": "--greet me", "agent": "greeter", "max_budget_usd": 1});
    let url = world.stack.container_url();
    let http: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let bearer = format!("Bearer {}", world.stack.container_token());
    let mut taken = http
        .post(format!("{url}/execute"))
        .header("Authorization", &bearer)
        .send_json(job)
        .unwrap();
    let taken: Value = taken.body_mut().read_json().unwrap();
    let id = taken["job_id"].as_str().unwrap();
    let job = until("end of the job", LATER, || {
        let mut answer = http
            .get(format!("{url}/jobs/{id}"))
            .header("Authorization", &bearer)
            .call()
            .map_err(|error| error.to_string())?;
        let job: Value = answer.body_mut().read_json().map_err(|error| error.to_string())?;
        if job["finished_at"].is_null() { Err(job.to_string()) } else { Ok(job) }
    });
    assert_eq!(job["status"], "completed", "{job:#}");
    assert!(job["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{job:#}");
    assert!(job["session_id"].is_string(), "{job:#}");
    assert!(model.told().contains("--greet me"), "a prompt is no option");
}

/// The command for jobs that is in the settings of the deployment.
fn job_command() -> String {
    let text = include_str!("../../wrangler.toml");
    let line = text.lines().find_map(|line| line.strip_prefix("JOB_COMMAND = \"")).unwrap();
    line.trim_end_matches('"').to_owned()
}
