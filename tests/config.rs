//! What a rig sets for itself: what is taken, what is shown, and what it does.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fmt::Write as _;

use beadrig::store::{Sql as _, SqlError, Value as Cell};
use beadrig::wire::PROTOCOL;
use beadrig::wire::container::{AgentList, AgentStatus, Phase, StartAgent};
use expect_test::expect;
use serde_json::{Value, json};
use support::TestRig;

fn patch(rig: &mut TestRig, body: &Value) -> (u16, Value) {
    rig.operator("PATCH", "/config", &body.to_string())
}

fn config(rig: &mut TestRig) -> Value {
    rig.operator("GET", "/config", "").1["data"].take()
}

fn rows(rig: &TestRig) -> Vec<Cell> {
    rig.engine
        .store
        .sql()
        .run("SELECT name || '=' || value FROM config ORDER BY name", &[])
        .unwrap()
}

#[test]
fn a_rig_that_sets_nothing_has_what_the_deployment_has() {
    let mut rig = TestRig::new();
    let shown = serde_json::to_string_pretty(&config(&mut rig)).unwrap();
    expect![[r#"
        {
          "active_alarm_ms": 30000,
          "agent_command": [
            "example-agent"
          ],
          "agent_model": null,
          "back_off_ms": [
            30000,
            60000,
            120000,
            300000,
            600000
          ],
          "default_branch": null,
          "dispatch_enabled": true,
          "env_vars": {},
          "git_url": null,
          "gupp_ms": 1800000,
          "idle_alarm_ms": 300000,
          "max_agents": 5,
          "max_attempts": 5,
          "max_budget_usd": "5",
          "merge_gates": [],
          "merge_gates_parallel": false,
          "merge_strategy": "direct",
          "of_town": [],
          "overridden": [],
          "prefix": "demo",
          "reaper_ms": 1800000,
          "rig_id": "demo",
          "run_timeout_s": 2700,
          "town": "local"
        }"#]]
    .assert_eq(&shown);
}

#[test]
fn incident_68_what_is_read_may_be_sent_back_and_changes_nothing() {
    let mut rig = TestRig::new();
    let untouched = config(&mut rig);
    assert_eq!(patch(&mut rig, &untouched).0, 200);
    assert_eq!(rows(&rig), []);
    let body = json!({"git_url": "git@example.org:o/r.git", "max_agents": 3, "back_off_ms": [1000, 2000],
        "agent_command": "claude -p '{prompt}'", "idle_alarm_ms": 0, "dispatch_enabled": false,
        "env_vars": {"API_TOKEN": "secret-1234", "SHORT": "abc", "EMPTY": ""}});
    let (status, answer) = patch(&mut rig, &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer["data"]["env_vars"],
        json!({"API_TOKEN": "****1234", "SHORT": "****", "EMPTY": "****"})
    );
    assert_eq!(
        answer["data"]["overridden"],
        json!([
            "agent_command",
            "back_off_ms",
            "dispatch_enabled",
            "env_vars",
            "git_url",
            "idle_alarm_ms",
            "max_agents"
        ])
    );
    assert_eq!(answer["data"]["agent_command"], json!(["claude", "-p", "{prompt}"]));
    let (before, shown) = (rows(&rig), config(&mut rig));
    assert_eq!(patch(&mut rig, &shown).1["data"], shown);
    assert_eq!(rows(&rig), before);
    assert!(before.iter().any(|it| matches!(it, Cell::Text(text) if text.contains("secret-1234"))));
    // One new, one kept by its mask, the others gone.
    let body = json!({"env_vars": {"API_TOKEN": "****1234", "NEW": "value"}});
    assert_eq!(patch(&mut rig, &body).1["data"]["env_vars"].as_object().unwrap().len(), 2);
    assert!(
        rows(&rig).contains(&Cell::Text(
            r#"env_vars={"API_TOKEN":"secret-1234","NEW":"value"}"#.to_owned()
        ))
    );
    // Null gives everything back to the deployment.
    let nulls: serde_json::Map<_, _> =
        body_keys(&shown).map(|key| (key.to_owned(), Value::Null)).collect();
    assert_eq!(patch(&mut rig, &nulls.into()).1["data"], untouched);
    assert_eq!(rows(&rig), []);
}

fn body_keys(shown: &Value) -> impl Iterator<Item = &str> {
    shown.as_object().unwrap().keys().map(String::as_str).filter(|key| *key != "rig_id")
}

/// What is said to each of these changes, none of which is made.
fn refusals(bodies: &[Value]) -> String {
    let mut rig = TestRig::new();
    let mut said = String::new();
    for body in bodies {
        let (status, answer) = patch(&mut rig, body);
        let body: String = body.to_string().chars().take(60).collect();
        writeln!(said, "{body}\n    {status} {}", answer["error"].as_str().unwrap_or("ok"))
            .unwrap();
    }
    assert_eq!(rows(&rig), []);
    said
}

#[test]
fn what_a_setting_does_not_take_is_refused_by_its_name_and_nothing_is_kept() {
    let said = refusals(&[
        json!({"max_agents": 0}),
        json!({"max_agents": "many", "git_url": "/srv/repo"}),
        json!({"max_attempts": 21}),
        json!({"dispatch_enabled": "maybe"}),
        json!({"back_off_ms": []}),
        json!({"back_off_ms": [1, "x"]}),
        json!({"active_alarm_ms": 10}),
        json!({"agent_command": "unclosed 'quote"}),
        json!({"agent_command": [1]}),
        json!({"agent_command": []}),
        json!({"run_timeout_s": {}}),
        json!({"arm_delay_ms": 5}),
        json!({"git_url": "http://example.org/r"}),
        json!({"git_url": "https://me:token@example.org/r"}),
        json!({"git_url": "ext::sh -c evil"}),
        json!({"git_url": "-oProxyCommand=evil@h:r"}),
        json!({"git_url": "ssh://-oProxyCommand=evil/r"}),
        json!({"git_url": "relative/path"}),
        json!({"default_branch": "a..b"}),
        json!({"default_branch": "-x"}),
        json!({"default_branch": "a b"}),
        json!({"default_branch": "a.lock"}),
        json!({"prefix": "Too-Long-Prefix"}),
    ]);
    expect![[r#"
        {"max_agents":0}
            400 max_agents is "0", but it takes a number from 1 to 50
        {"git_url":"/srv/repo","max_agents":"many"}
            400 max_agents is "many", but it takes a number from 1 to 50
        {"max_attempts":21}
            400 max_attempts is "21", but it takes a number from 1 to 20
        {"dispatch_enabled":"maybe"}
            400 dispatch_enabled is "maybe", but it takes true or false
        {"back_off_ms":[]}
            400 back_off_ms must be a list of 1 to 10 waits in milliseconds
        {"back_off_ms":[1,"x"]}
            400 back_off_ms is "1,\"x\"", but it takes 1 to 10 waits in milliseconds with commas, such as 30000,60000
        {"active_alarm_ms":10}
            400 active_alarm_ms is "10", but it takes milliseconds from 1000 to 86400000 (a day)
        {"agent_command":"unclosed 'quote"}
            400 agent_command is "unclosed 'quote", but it takes a command with its arguments, quoted as in a shell
        {"agent_command":[1]}
            400 agent_command must be a text with quotes as in a shell, or a list of words
        {"agent_command":[]}
            400 agent_command must be a text with quotes as in a shell, or a list of words
        {"run_timeout_s":{}}
            400 run_timeout_s must be a text, a number, true or false
        {"arm_delay_ms":5}
            400 arm_delay_ms is no setting of a rig; there are git_url, default_branch, prefix, env_vars, merge_strategy, merge_gates, merge_gates_parallel, town, agent_command, agent_model, dispatch_enabled, max_agents, max_attempts, back_off_ms, active_alarm_ms, idle_alarm_ms, run_timeout_s, gupp_ms, reaper_ms, max_budget_usd
        {"git_url":"http://example.org/r"}
            400 git_url must be https://host/path, ssh://host/path, user@host:path, file:///path or /path, without blanks and at most 1024 bytes
        {"git_url":"https://me:token@example.org/r"}
            400 git_url must hold no credentials; put them into env_vars
        {"git_url":"ext::sh -c evil"}
            400 git_url must be https://host/path, ssh://host/path, user@host:path, file:///path or /path, without blanks and at most 1024 bytes
        {"git_url":"-oProxyCommand=evil@h:r"}
            400 git_url must be https://host/path, ssh://host/path, user@host:path, file:///path or /path, without blanks and at most 1024 bytes
        {"git_url":"ssh://-oProxyCommand=evil/r"}
            400 git_url must be https://host/path, ssh://host/path, user@host:path, file:///path or /path, without blanks and at most 1024 bytes
        {"git_url":"relative/path"}
            400 git_url must be https://host/path, ssh://host/path, user@host:path, file:///path or /path, without blanks and at most 1024 bytes
        {"default_branch":"a..b"}
            400 default_branch "a..b" is no branch that git takes, such as main or gt/toast/x1 (at most 250 bytes)
        {"default_branch":"-x"}
            400 default_branch "-x" is no branch that git takes, such as main or gt/toast/x1 (at most 250 bytes)
        {"default_branch":"a b"}
            400 default_branch "a b" is no branch that git takes, such as main or gt/toast/x1 (at most 250 bytes)
        {"default_branch":"a.lock"}
            400 default_branch "a.lock" is no branch that git takes, such as main or gt/toast/x1 (at most 250 bytes)
        {"prefix":"Too-Long-Prefix"}
            400 prefix must be 1 to 8 lower-case letters and digits
    "#]]
    .assert_eq(&said);
}

#[test]
fn gates_that_no_merge_can_pass_are_refused_by_their_place_and_nothing_is_kept() {
    let said = refusals(&[
        json!({"merge_strategy": "squash"}),
        json!({"merge_gates_parallel": "perhaps"}),
        json!({"merge_gates": "make test"}),
        json!({"merge_gates": ["make test"]}),
        json!({"merge_gates": [{"command": "make test"}]}),
        json!({"merge_gates": [{"name": "t"}]}),
        json!({"merge_gates": [{"name": "t", "command": "x"}, {"name": "t", "command": "y"}]}),
        json!({"merge_gates": [{"name": "t", "command": "x", "time_limit_s": 0}]}),
        json!({"merge_gates": [{"name": "t", "command": "x", "timeout": 5}]}),
        json!({"merge_gates": vec![json!({"name": "t", "command": "x"}); 11]}),
        json!({"merge_gates": [{"name": "t", "command": "x".repeat(5_000)}]}),
    ]);
    expect![[r#"
        {"merge_strategy":"squash"}
            400 merge_strategy is "squash", but it takes direct or pull_request
        {"merge_gates_parallel":"perhaps"}
            400 merge_gates_parallel is "perhaps", but it takes true or false
        {"merge_gates":"make test"}
            400 merge_gates must be a list of gates, each {"name", "command", "time_limit_s"}
        {"merge_gates":["make test"]}
            400 merge_gates[0] must be {"name", "command", "time_limit_s"}
        {"merge_gates":[{"command":"make test"}]}
            400 merge_gates[0].name is required
        {"merge_gates":[{"name":"t"}]}
            400 merge_gates[0].command is required: a line for `sh -c`
        {"merge_gates":[{"command":"x","name":"t"},{"command":"y","n
            400 merge_gates[1].name "t" is there already; messages must tell them apart
        {"merge_gates":[{"command":"x","name":"t","time_limit_s":0}]
            400 merge_gates[0].time_limit_s is 0, but it takes seconds from 1 to 3600
        {"merge_gates":[{"command":"x","name":"t","timeout":5}]}
            400 merge_gates[0] has "timeout"; a gate has name, command and time_limit_s
        {"merge_gates":[{"command":"x","name":"t"},{"command":"x","n
            400 merge_gates may be 10 at most (got 11)
        {"merge_gates":[{"command":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            413 merge_gates[0].command has 5000 bytes, it may have 4096
    "#]]
    .assert_eq(&said);
}

#[test]
fn what_no_environment_holds_is_refused_by_its_name_and_nothing_is_kept() {
    let many: serde_json::Map<String, Value> =
        (0..51).map(|n| (format!("V{n}"), "x".into())).collect();
    let said = refusals(&[
        json!({"env_vars": ["A"]}),
        json!({"env_vars": {"1A": "x"}}),
        json!({"env_vars": {"A-B": "x"}}),
        json!({"env_vars": {"BEADRIG_TOKEN": "x"}}),
        json!({"env_vars": {"GASTOWN_X": "x"}}),
        json!({"env_vars": {"A": 7}}),
        json!({"env_vars": {"A": "****1234"}}),
        json!({"env_vars": {"A": "x".repeat(5_000)}}),
        json!({"env_vars": many}),
    ]);
    expect![[r#"
        {"env_vars":["A"]}
            400 env_vars must be an object of texts
        {"env_vars":{"1A":"x"}}
            400 env_vars.1A must be named by letters, digits and '_', and not begin with a digit
        {"env_vars":{"A-B":"x"}}
            400 env_vars.A-B must be named by letters, digits and '_', and not begin with a digit
        {"env_vars":{"BEADRIG_TOKEN":"x"}}
            400 env_vars.BEADRIG_TOKEN is reserved: names that begin with BEADRIG_ or GASTOWN_ are the rig's own
        {"env_vars":{"GASTOWN_X":"x"}}
            400 env_vars.GASTOWN_X is reserved: names that begin with BEADRIG_ or GASTOWN_ are the rig's own
        {"env_vars":{"A":7}}
            400 env_vars.A must be a text
        {"env_vars":{"A":"****1234"}}
            400 env_vars.A looks masked, and is not what is stored; send the value itself
        {"env_vars":{"A":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            413 env_vars.A has 5000 bytes, it may have 4096
        {"env_vars":{"V0":"x","V1":"x","V10":"x","V11":"x","V12":"x"
            400 env_vars may be 50 at most (got 51)
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_repository_may_be_anywhere_that_git_reaches() {
    let mut rig = TestRig::new();
    for url in [
        "https://example.org/o/r.git",
        "ssh://git@example.org:22/r",
        "git@example.org:o/r.git",
        "file:///srv/r.git",
        "/srv/r.git",
    ] {
        assert_eq!(patch(&mut rig, &json!({"git_url": url})).1["data"]["git_url"], url);
    }
}

#[test]
fn what_is_set_holds_from_then_on() {
    let mut rig = TestRig::new();
    let body = json!({"max_agents": 1, "agent_command": ["sh", "-c", "true"], "agent_model": "m1",
        "run_timeout_s": 60, "prefix": "zz", "max_attempts": 1, "env_vars": {"API_TOKEN": "secret-1234"}});
    assert_eq!(patch(&mut rig, &body).0, 200);
    let (first, second) = (rig.assigned("first"), rig.assigned("second"));
    assert!(first.starts_with("zz-"), "{first}");
    rig.schedule();
    let start = rig.accept().remove(0);
    assert_eq!(start.command, ["sh", "-c", "true"]);
    assert_eq!((start.model.as_deref(), start.time_limit_s), (Some("m1"), 60));
    assert_eq!(start.env_vars["API_TOKEN"], "secret-1234");
    assert_eq!(rig.tell(&second), "open attempts=0 waiting=no_capacity");
    assert_eq!(rig.operator("GET", "/status", "").1["data"]["max_agents"], 1);
    // The one attempt there is.
    let report = json!({"status": "failed", "attempt": start.attempt, "exit_code": 1});
    let path = format!("/agents/{}/completed", start.agent_id);
    rig.call(&support::container(), "POST", &path, &report.to_string());
    assert_eq!(rig.tell(&first), "failed attempts=1 failure=attempts_exhausted");
    assert_eq!(patch(&mut rig, &json!({"dispatch_enabled": false})).0, 200);
    rig.schedule();
    assert_eq!(rig.starts.len(), 0);
    assert_eq!(rig.tell(&second), "open attempts=0 waiting=dispatch_paused");
    rig.wake = None;
    assert_eq!(patch(&mut rig, &json!({"dispatch_enabled": null, "idle_alarm_ms": 0})).0, 200);
    assert!(rig.wake.is_some(), "what may be taken now is taken soon");
}

/// The settings are rows: another object of the same rig has them, and reads them once.
#[test]
fn what_is_set_costs_a_tick_one_statement() {
    let mut rig = TestRig::new();
    let tick = |rig: &mut TestRig| {
        rig.engine.store.sql().statements.set(0);
        rig.schedule();
        let moment = rig.moment();
        rig.engine.process_review_queue(moment);
        rig.engine.next_wake(rig.now).unwrap();
        rig.engine.store.sql().statements.get()
    };
    assert_eq!(tick(&mut rig), 5, "crew, queue, what is set; crew, queue");
    assert_eq!(tick(&mut rig), 4, "an object that is still there knows it");
    patch(&mut rig, &json!({"max_agents": 2}));
    assert_eq!(config(&mut rig)["max_agents"], 2);
    // At work, with a container that answers and a sign of life that is due, and nothing known yet.
    rig.assigned("at work");
    rig.schedule();
    let start = rig.accept().remove(0);
    rig.pass(60_000);
    let list = AgentList {
        boot_id: "boot".to_owned(),
        protocol: PROTOCOL,
        agents: vec![status(&start, rig.now.to_string())],
    };
    patch(&mut rig, &json!({"max_agents": 3}));
    rig.engine.store.atomically(|| Err::<(), _>(SqlError::Refused(String::new()))).unwrap_err();
    rig.engine.store.sql().statements.set(0);
    rig.schedule();
    rig.patrol(Some(&list));
    let moment = rig.moment();
    rig.engine.process_review_queue(moment);
    rig.engine.next_wake(rig.now).unwrap();
    assert_eq!(rig.engine.store.sql().statements.get(), 7);
    patch(&mut rig, &json!({"max_agents": 2}));
    // A refusal half-way leaves neither rows nor anything that was read.
    assert_eq!(patch(&mut rig, &json!({"max_agents": 7, "max_attempts": 99})).0, 400);
    assert_eq!(config(&mut rig)["max_agents"], 2);
}

fn status(start: &StartAgent, at: String) -> AgentStatus {
    AgentStatus {
        suspended: false,
        agent_id: start.agent_id.clone(),
        rig_id: start.rig_id.clone(),
        bead_id: start.bead_id.clone(),
        attempt: start.attempt,
        job_id: start.job_id.clone(),
        status: Phase::Running,
        started_at: at.clone(),
        last_activity_at: at,
        exit_reason: None,
        exit_code: None,
        output_tail: None,
    }
}
