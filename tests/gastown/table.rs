//! The calls of Gastown's clients, in an order in which one prepares the next, and how they are asked of a rig.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// What Gastown lets in as a person.
    Operator,
    /// The run that `$AGENT` is in.
    Agent,
    /// The container of the town.
    Container,
}

/// What the answer holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holds {
    /// Data that is an object with these keys, at least.
    Keys(&'static [&'static str]),
    /// A list, not empty, of such.
    List(&'static [&'static str]),
    /// These values under these keys, as JSON.
    Values(&'static str),
    /// A refusal with this code and these words.
    Refusal(&'static str, &'static str),
}

use Holds::{Keys, List, Refusal, Values};

/// One call and what comes of it.
pub(crate) struct Call {
    pub(crate) by: By,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: &'static str,
    status: u16,
    holds: Holds,
    /// Names for later calls, and where their value stands in the data.
    learns: &'static [(&'static str, &'static str)],
    /// Words of the row of "Differences from Gastown" that says why Gastown answers something else.
    pub(crate) differs: &'static str,
}

impl Call {
    const fn learns(self, learns: &'static [(&'static str, &'static str)]) -> Self {
        Self { learns, ..self }
    }

    const fn differs(self, differs: &'static str) -> Self {
        Self { differs, ..self }
    }
}

const fn call(
    by: By,
    (method, path, body): (&'static str, &'static str, &'static str),
    status: u16,
    holds: Holds,
) -> Call {
    Call { by, method, path, body, status, holds, learns: &[], differs: "" }
}

const fn get(path: &'static str, holds: Holds) -> Call {
    call(By::Operator, ("GET", path, ""), 200, holds)
}

const fn post(path: &'static str, body: &'static str, status: u16, holds: Holds) -> Call {
    call(By::Operator, ("POST", path, body), status, holds)
}

const fn agent(
    (method, path, body): (&'static str, &'static str, &'static str),
    status: u16,
    holds: Holds,
) -> Call {
    call(By::Agent, (method, path, body), status, holds)
}

/// The rig works until `$AGENT` is in a run.
const TICK: Call = call(By::Operator, ("TICK", "", ""), 200, Keys(&[]));

const BEAD: Holds = Keys(BEAD_KEYS);
const BEAD_KEYS: &[&str] = &[
    "id",
    "type",
    "status",
    "title",
    "body",
    "assignee_agent_id",
    "convoy_id",
    "molecule_id",
    "priority",
    "labels",
    "metadata",
    "created_at",
    "updated_at",
    "closed_at",
];
const AGENT: Holds = Keys(AGENT_KEYS);
const AGENT_KEYS: &[&str] = &[
    "id",
    "role",
    "name",
    "identity",
    "status",
    "current_hook_bead_id",
    "dispatch_attempts",
    "last_activity_at",
    "checkpoint",
    "created_at",
];
const MAIL: &[&str] = &[
    "id",
    "from_agent_id",
    "to_agent_id",
    "subject",
    "body",
    "delivered",
    "created_at",
    "delivered_at",
];
const EVENT: &[&str] = &[
    "id",
    "bead_id",
    "agent_id",
    "event_type",
    "old_value",
    "new_value",
    "metadata",
    "created_at",
];
const AGENT_EVENT: &[&str] = &["id", "agent_id", "event_type", "data", "created_at"];
const MOLECULE: &[&str] = &["id", "bead_id", "current_step", "status", "created_at", "updated_at"];
const CONVOY: &[&str] =
    &["id", "title", "status", "total_beads", "closed_beads", "created_by", "created_at"];

/// All of them. `$NAME` stands for what an earlier call has learnt.
pub(crate) const CALLS: &[Call] = &[
    // Beads.
    post(
        "/beads",
        r#"{"type":"issue","title":"Fix it","body":"b","priority":"high","labels":["a"],"metadata":{"k":1}}"#,
        201,
        BEAD,
    )
    .learns(&[("BEAD", "/id")]),
    post("/beads", r#"{"type":"message","title":"two"}"#, 201, BEAD).learns(&[("TWO", "/id")]),
    post("/beads", r#"{"type":"issue","title":"three"}"#, 201, BEAD).learns(&[("THREE", "/id")]),
    post("/beads", "{}", 400, Refusal("invalid", "Invalid request body"))
        .differs("validation errors carry `issues`"),
    post("/beads", "{", 400, Refusal("invalid", "Invalid request body"))
        .differs("validation errors carry `issues`"),
    post("/beads", r#"{"type":"issue","title":" "}"#, 400, Refusal("invalid", "title is required"))
        .differs("a title of blanks"),
    post("/beads", r#"{"type":"issue","title":"x","body":null}"#, 201, BEAD)
        .differs("a title of blanks"),
    post("/beads", r#"{"type":"issue","title":"x","priority":4}"#, 201, Values(r#"{"priority":"backlog"}"#))
        .differs("`priority` is one of four names"),
    post(
        "/beads",
        r#"{"type":"issue","title":"x","assignee_agent_id":"nobody","convoy_id":"c"}"#,
        201,
        Values(r#"{"assignee_agent_id":null,"convoy_id":null}"#),
    )
    .differs("`assignee_agent_id` and `convoy_id` of a new bead"),
    get("/beads", List(BEAD_KEYS)),
    get("/beads?status=open&type=issue&limit=10&offset=0", List(BEAD_KEYS)),
    get("/beads?limit=0", Values("[]")),
    call(
        By::Operator,
        ("GET", "/beads?limit=-1", ""),
        400,
        Refusal("invalid", "limit and offset must be non-negative integers"),
    ),
    get("/beads?limit=", Values("[]")),
    call(By::Operator, ("GET", "/beads?status=done", ""), 400, Refusal("invalid", "status"))
        .differs("sentences of refusals"),
    get("/beads/$BEAD", BEAD),
    call(By::Operator, ("GET", "/beads/x-9", ""), 404, Refusal("not_found", "Bead x-9 not found"))
        .differs("sentences of refusals"),
    // Agents.
    post("/agents", r#"{"role":"polecat","name":"Ann","identity":"polecat/Ann"}"#, 201, AGENT)
        .learns(&[("AGENT", "/id")]),
    post("/agents", r#"{"role":"refinery","name":"Rex","identity":"refinery/Rex"}"#, 201, AGENT)
        .learns(&[("REFINERY", "/id")]),
    post(
        "/agents",
        r#"{"role":"polecat","name":"Ann","identity":"polecat/Ann"}"#,
        409,
        Refusal("already_exists", "identity"),
    )
    .differs("an unknown agent or bead"),
    get("/agents?role=polecat&status=idle", List(AGENT_KEYS)),
    call(By::Operator, ("GET", "/agents?role=king", ""), 400, Refusal("invalid", "role"))
        .differs("sentences of refusals"),
    post("/agents/get-or-create", r#"{"role":"polecat"}"#, 200, Values(r#"{"name":"Ann"}"#)),
    get("/agents/$AGENT", AGENT),
    call(
        By::Operator,
        ("GET", "/agents/nobody", ""),
        404,
        Refusal("not_found", "Agent nobody not found"),
    )
    .differs("sentences of refusals"),
    // The hook.
    post("/agents/$AGENT/hook", r#"{"bead_id":"x-9"}"#, 404, Refusal("not_found", "x-9"))
        .differs("an unknown agent or bead"),
    post("/agents/$AGENT/hook", r#"{"bead_id":"$BEAD"}"#, 200, Values(r#"{"hooked":true}"#)),
    post("/agents/$AGENT/hook", r#"{"bead_id":"$BEAD"}"#, 200, Values(r#"{"hooked":true}"#)),
    post(
        "/agents/$AGENT/hook",
        r#"{"bead_id":"$TWO"}"#,
        409,
        Refusal("conflict", "is already hooked to bead $BEAD"),
    )
    .differs("an unknown agent or bead"),
    post("/agents/$REFINERY/hook", r#"{"bead_id":"$BEAD"}"#, 409, Refusal("conflict", "is hooked by"))
        .differs("a closed bead, or one that another agent holds"),
    get("/beads/$BEAD", Values(r#"{"status":"in_progress","assignee_agent_id":"$AGENT"}"#)),
    get("/beads?assignee_agent_id=$AGENT", List(BEAD_KEYS)),
    TICK,
    get("/agents/$AGENT", Values(r#"{"status":"working","current_hook_bead_id":"$BEAD"}"#)),
    // What an agent does.
    agent(
        ("GET", "/agents/$AGENT/prime", ""),
        200,
        Keys(&["agent", "hooked_bead", "undelivered_mail", "open_beads"]),
    ),
    agent(
        ("POST", "/agents/$AGENT/checkpoint", r#"{"data":{"step":2}}"#),
        200,
        Values(r#"{"written":true}"#),
    ),
    agent(("POST", "/agents/$AGENT/checkpoint", "{}"), 400, Refusal("invalid", "data"))
        .differs("a checkpoint without `data`"),
    agent(
        ("POST", "/agents/$AGENT/heartbeat", r#"{"status":"working"}"#),
        200,
        Values(r#"{"heartbeat":true}"#),
    ),
    post("/agents/nobody/heartbeat", "{}", 404, Refusal("not_found", "nobody"))
        .differs("unknown agent: `completed` and `heartbeat`"),
    agent(
        ("POST", "/agent-events", r#"{"agent_id":"$AGENT","event_type":"text","data":{"a":1}}"#),
        201,
        Values(r#"{"appended":true}"#),
    ),
    agent(
        ("POST", "/agent-events", r#"{"agent_id":"$REFINERY","event_type":"text"}"#),
        403,
        Refusal("forbidden", "agent_id does not match authenticated agent"),
    ),
    agent(("GET", "/agents/$AGENT/events?after_id=0&limit=10", ""), 200, List(AGENT_EVENT)),
    agent(("GET", "/agents/$AGENT/events?limit=0", ""), 400, Refusal("invalid", "limit")),
    agent(
        ("GET", "/agents/$REFINERY/events", ""),
        403,
        Refusal("forbidden", "Token agentId does not match route"),
    )
    .differs("any agent of the rig reads"),
    agent(
        (
            "POST",
            "/mail",
            r#"{"from_agent_id":"$AGENT","to_agent_id":"$REFINERY","subject":"s","body":"b"}"#,
        ),
        201,
        Values(r#"{"sent":true}"#),
    ),
    agent(
        (
            "POST",
            "/mail",
            r#"{"from_agent_id":"$REFINERY","to_agent_id":"$AGENT","subject":"s","body":"b"}"#,
        ),
        403,
        Refusal("forbidden", "from_agent_id does not match authenticated agent"),
    ),
    post(
        "/mail",
        r#"{"from_agent_id":"mayor","to_agent_id":"nobody","subject":"s","body":"b"}"#,
        404,
        Refusal("not_found", "nobody"),
    )
    .differs("an unknown agent or bead"),
    get("/agents/$REFINERY/mail", List(MAIL)),
    get("/agents/$REFINERY/mail", Values("[]")),
    agent(
        ("POST", "/escalations", r#"{"title":"help","priority":"high","metadata":{"a":1}}"#),
        201,
        BEAD,
    )
    .learns(&[("ESCALATION", "/id")]),
    get("/escalations?acknowledged=false", List(BEAD_KEYS)).differs("convoys, escalations and"),
    post("/escalations/$ESCALATION/acknowledge", "", 200, Values(r#"{"acknowledged":true}"#))
        .differs("convoys, escalations and"),
    post("/escalations/x-9/acknowledge", "", 404, Refusal("not_found", "x-9")),
    agent(
        ("GET", "/agents/$AGENT/molecule/current", ""),
        404,
        Refusal("not_found", "No active molecule for this agent"),
    ),
    agent(
        (
            "POST",
            "/molecules",
            r#"{"bead_id":"$BEAD","formula":{"steps":[{"title":"a","instructions":"b"},{"title":"c","instructions":"d"}]}}"#,
        ),
        201,
        Keys(MOLECULE),
    ),
    agent(
        ("GET", "/agents/$AGENT/molecule/current", ""),
        200,
        Keys(&["moleculeId", "currentStep", "totalSteps", "step", "status"]),
    ),
    agent(
        ("POST", "/agents/$AGENT/molecule/advance", r#"{"summary":"did it"}"#),
        200,
        Keys(&["moleculeId", "previousStep", "currentStep", "totalSteps", "completed"]),
    ),
    agent(
        ("PATCH", "/beads/$TWO/status", r#"{"status":"closed","agent_id":"$AGENT"}"#),
        403,
        Refusal("forbidden", "does not hold bead"),
    )
    .differs("an agent may change any bead"),
    agent(
        ("PATCH", "/beads/$BEAD/status", r#"{"status":"open","agent_id":"$AGENT"}"#),
        403,
        Refusal("forbidden", "may close its bead or set it blocked"),
    )
    .differs("an agent sets any status"),
    agent(
        ("POST", "/beads/$BEAD/close", r#"{"agent_id":"$REFINERY"}"#),
        403,
        Refusal("forbidden", "agent_id does not match authenticated agent"),
    ),
    agent(
        ("POST", "/agents/$REFINERY/done", r#"{"branch":"x"}"#),
        403,
        Refusal("forbidden", "Token agentId does not match route"),
    ),
    // The end of the work, its review, and its merge.
    call(
        By::Operator,
        ("PATCH", "/config", r#"{"git_url":"https://example.org/o/r.git"}"#),
        200,
        Values(r#"{"git_url":"https://example.org/o/r.git"}"#),
    )
    .differs("convoys, escalations and"),
    agent(
        ("POST", "/agents/$AGENT/done", r#"{"branch":"gt/ann/x","pr_url":"https://e.org/1","summary":"s"}"#),
        200,
        Values(r#"{"done":true}"#),
    ),
    get("/beads/$BEAD", Values(r#"{"status":"in_review"}"#)).differs("a bead whose branch waits"),
    call(
        By::Container,
        ("POST", "/agents/$AGENT/completed", r#"{"status":"completed","reason":"exited"}"#),
        400,
        Refusal("invalid", "attempt is required"),
    )
    .differs("`completed` names no run"),
    call(
        By::Container,
        ("POST", "/agents/$AGENT/completed", r#"{"status":"completed","attempt":$ATTEMPT}"#),
        200,
        Values(r#"{"completed":true}"#),
    ),
    call(
        By::Container,
        ("POST", "/agents/nobody/completed", r#"{"status":"completed","attempt":1}"#),
        404,
        Refusal("not_found", "nobody"),
    )
    .differs("unknown agent: `completed` and `heartbeat`"),
    get("/beads/$BEAD", Values(r#"{"status":"in_review"}"#)).differs("`completed` closes the bead"),
    get("/review-queue?status=pending", List(&["id", "agent_id", "bead_id", "branch", "status"]))
        .learns(&[("ENTRY", "/0/id")]),
    post(
        "/review-queue",
        r#"{"agent_id":"$AGENT","bead_id":"$BEAD","branch":"gt/ann/x"}"#,
        201,
        Values(r#"{"submitted":true,"entry_id":"$ENTRY"}"#),
    )
    .differs("one branch of a bead may be queued twice"),
    call(
        By::Container,
        ("POST", "/review-queue/none/complete", r#"{"status":"merged","message":"m"}"#),
        404,
        Refusal("not_found", "none"),
    )
    .differs("an unknown review: 200"),
    call(
        By::Container,
        (
            "POST",
            "/review-queue/$ENTRY/complete",
            r#"{"entry_id":"other","status":"merged","message":"m","commit_sha":"abcdef0123"}"#,
        ),
        200,
        Values(r#"{"completed":true}"#),
    ),
    get("/beads/$BEAD", Values(r#"{"status":"closed"}"#)).learns(&[("AT", "/closed_at")]),
    post("/beads/$BEAD/close", r#"{"agent_id":"$AGENT"}"#, 200, Values(r#"{"closed_at":"$AT"}"#))
        .differs("a second close"),
    post("/agents/$AGENT/hook", r#"{"bead_id":"$BEAD"}"#, 409, Refusal("conflict", "closed"))
        .differs("a closed bead, or one that another agent holds"),
    post(
        "/review-queue",
        r#"{"agent_id":"$AGENT","bead_id":"$TWO","branch":"gt/ann/y"}"#,
        201,
        Keys(&["submitted"]),
    )
    .learns(&[("SECOND", "/entry_id")]),
    call(
        By::Container,
        ("POST", "/review-queue/$SECOND/complete", r#"{"status":"conflict","message":"a.rs"}"#),
        200,
        Values(r#"{"completed":true}"#),
    ),
    get("/escalations?acknowledged=false", Values("[]")).differs("a conflict is escalated at once"),
    // What people do.
    call(
        By::Operator,
        ("PATCH", "/beads/$TWO/status", r#"{"status":"closed","agent_id":"$AGENT"}"#),
        200,
        Values(r#"{"status":"closed"}"#),
    ),
    post("/agents/$REFINERY/hook", r#"{"bead_id":"$THREE"}"#, 200, Values(r#"{"hooked":true}"#)),
    call(
        By::Operator,
        ("DELETE", "/agents/$REFINERY/hook", ""),
        200,
        Values(r#"{"unhooked":true}"#),
    ),
    get("/beads/$THREE", Values(r#"{"status":"open"}"#))
        .differs("a bead that is unhooked stays"),
    post("/sling", r#"{"title":"now","body":"b","metadata":{"a":1}}"#, 201, Keys(&["bead", "agent"])),
    post("/sling", "{}", 400, Refusal("invalid", "title")).differs("validation errors carry `issues`"),
    get("/events?bead_id=$BEAD&limit=5", List(EVENT)),
    get("/events?since=2020-01-01T00:00:00.000Z", List(EVENT)),
    call(By::Operator, ("GET", "/events?limit=many", ""), 400, Refusal("invalid", "limit"))
        .differs("`limit=0` or no number on `events`"),
    post("/convoys", r#"{"title":"c","beads":[{"bead_id":"$THREE","rig_id":"r"}]}"#, 201, Keys(CONVOY))
        .differs("convoys, escalations and"),
    get("/convoys", List(CONVOY)).differs("convoys, escalations and"),
    post("/convoys/bead-closed", r#"{"convoy_id":"c","bead_id":"b"}"#, 405, Refusal("method_not_allowed", "GET"))
        .differs("convoys, escalations and"),
    call(By::Operator, ("DELETE", "/beads/$THREE", ""), 200, Values(r#"{"deleted":true}"#)),
    call(By::Operator, ("DELETE", "/beads/$THREE", ""), 404, Refusal("not_found", "$THREE")),
    call(By::Operator, ("DELETE", "/agents/$REFINERY", ""), 200, Values(r#"{"deleted":true}"#)),
    call(By::Operator, ("DELETE", "/agents/$REFINERY", ""), 404, Refusal("not_found", "$REFINERY")),
    call(By::Operator, ("GET", "/nothing", ""), 404, Refusal("not_found", "Not found")),
    call(By::Operator, ("GET", "/beads/", ""), 404, Refusal("not_found", "not found")),
    call(By::Operator, ("PUT", "/beads", ""), 405, Refusal("method_not_allowed", "PUT"))
        .differs("a wrong method is 404"),
];

/// What the calls have learnt.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<&'static str, String>);

impl Names {
    pub(crate) fn get(&self, name: &str) -> &str {
        &self.0[name]
    }

    fn fill(&self, text: &str) -> String {
        let longest_first = {
            let mut names: Vec<_> = self.0.iter().collect();
            names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
            names
        };
        longest_first
            .into_iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
    }
}

/// A rig that can be asked.
pub(crate) trait World {
    /// Asks, and answers status and body.
    fn ask(&mut self, by: By, names: &Names, call: [&str; 3]) -> (u16, Value);
    /// Has the rig work for a moment.
    fn tick(&mut self);
}

/// Asks all calls; answers what was otherwise than it should be.
pub(crate) fn wrong(world: &mut impl World) -> Vec<String> {
    let (mut names, mut wrong) = (Names::default(), Vec::new());
    for call in CALLS {
        if call.method == "TICK" {
            let attempt = running(world, &names);
            names.0.insert("ATTEMPT", attempt);
            continue;
        }
        let (path, body) = (names.fill(call.path), names.fill(call.body));
        let (status, answer) = world.ask(call.by, &names, [call.method, &path, &body]);
        if let Some(problem) = problem(call, &names, status, &answer) {
            wrong.push(format!("{} {path} {body}: {problem}\n    {status} {answer}", call.method));
        }
        for (name, pointer) in call.learns {
            let value = answer["data"].pointer(pointer).and_then(Value::as_str);
            names.0.insert(name, value.unwrap_or("nothing").to_owned());
        }
    }
    wrong
}

/// Waits until `$AGENT` runs; answers the number of its attempt.
fn running(world: &mut impl World, names: &Names) -> String {
    let path = names.fill("/agents/$AGENT");
    for _ in 0..300 {
        world.tick();
        let (_, answer) = world.ask(By::Operator, names, ["GET", &path, ""]);
        let attempt = &answer["data"]["attempt"];
        if attempt["state"] == "running" {
            return attempt["number"].to_string();
        }
    }
    panic!("{path} does not run");
}

fn problem(call: &Call, names: &Names, status: u16, answer: &Value) -> Option<String> {
    if status != call.status {
        return Some(format!("should be {}", call.status));
    }
    let data = &answer["data"];
    if let Refusal(code, words) = call.holds {
        let words = names.fill(words);
        let fits = answer["success"] == false
            && answer["code"] == code
            && answer["error"].as_str().is_some_and(|it| it.contains(&words))
            && answer.get("data").is_none();
        return (!fits).then(|| format!("should be {code}: {words}"));
    }
    if answer["success"] != true {
        return Some("should be a success".to_owned());
    }
    let missing = |keys: &[&str], it: &Value| -> Vec<String> {
        keys.iter().filter(|key| it.get(**key).is_none()).map(ToString::to_string).collect()
    };
    let missing = match call.holds {
        Keys(keys) => missing(keys, data),
        List(keys) => match data.as_array() {
            Some(list) if !list.is_empty() => {
                list.iter().flat_map(|it| missing(keys, it)).collect()
            }
            _ => vec!["a list that is not empty".to_owned()],
        },
        Values(text) => match serde_json::from_str(&names.fill(text)).expect("JSON in the table") {
            Value::Object(values) => values
                .iter()
                .filter(|(key, value)| data.get(*key) != Some(*value))
                .map(|(key, value)| format!("{key}: {value}"))
                .collect(),
            other if other == *data => Vec::new(),
            other => vec![json!(other).to_string()],
        },
        Refusal(..) => Vec::new(),
    };
    (!missing.is_empty()).then(|| format!("lacks {}", missing.join(", ")))
}
