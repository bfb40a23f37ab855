//! How branches are merged, told as stories: who begins a merge, who may end it, and what becomes of the bead.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "merging/endless.rs"]
mod endless;
mod support;

use std::slice::from_ref;

use beadrig::command::{Command, StartAnswer};
use beadrig::limits;
use beadrig::wire::container::StartAgent;
use beadrig::wire::merge::{MergeAtWork, MergeRequest, MergeStrategy};
use serde_json::{Value, json};
use support::{TestRig, agent, container};

const IDLE_MS: i64 = 300_000;

/// A rig with a repository.
fn with_git(more: &Value) -> TestRig {
    let mut rig = TestRig::new();
    configure(&mut rig, &json!({"git_url": "https://example.org/o/r.git"}));
    configure(&mut rig, more);
    rig
}

#[track_caller]
fn configure(rig: &mut TestRig, patch: &Value) {
    let (status, answer) = rig.operator("PATCH", "/config", &patch.to_string());
    assert_eq!(status, 200, "{answer}");
}

/// Starts what waits, and answers the starts.
fn run(rig: &mut TestRig) -> Vec<StartAgent> {
    rig.schedule();
    rig.accept()
}

/// The agent says done, and its process ends.
fn done(rig: &mut TestRig, start: &StartAgent) {
    let path = format!("/agents/{}/done", start.agent_id);
    let (status, answer) = rig.call(&agent(start), "POST", &path, r#"{"summary":"did it"}"#);
    assert_eq!(status, 200, "{answer}");
    let report = json!({"status": "completed", "attempt": start.attempt, "exit_code": 0});
    let path = format!("/agents/{}/completed", start.agent_id);
    assert_eq!(rig.call(&container(), "POST", &path, &report.to_string()).0, 200);
}

/// A bead whose work is handed in; answers it, and its review.
fn handed_in(rig: &mut TestRig, title: &str) -> (String, String) {
    let bead = rig.assigned(title);
    let start = run(rig).remove(0);
    assert_eq!(start.bead_id, bead);
    rig.pass(1);
    done(rig, &start);
    let entry = open_review(rig, &bead);
    (bead, entry)
}

fn queue(rig: &mut TestRig) -> Vec<Value> {
    let (status, answer) = rig.operator("GET", "/review-queue?limit=1000", "");
    assert_eq!(status, 200, "{answer}");
    answer["data"].as_array().unwrap().clone()
}

fn open_review(rig: &mut TestRig, bead: &str) -> String {
    let open = |it: &&Value| it["bead_id"] == bead && it["finished_at"].is_null();
    queue(rig).iter().find(open).unwrap()["id"].as_str().unwrap().to_owned()
}

fn review(rig: &mut TestRig, entry: &str) -> Value {
    rig.operator("GET", &format!("/review-queue/{entry}"), "").1["data"].take()
}

/// The last step of a tick; answers the merges that it asked for.
fn tick(rig: &mut TestRig) -> Vec<MergeRequest> {
    let moment = rig.moment();
    let effects = rig.engine.process_review_queue(moment);
    rig.take(effects);
    std::mem::take(&mut rig.merges)
}

fn at_work(merge: &MergeRequest) -> Vec<MergeAtWork> {
    let entries = merge.entries.iter();
    entries.map(|it| MergeAtWork { entry_id: it.entry_id.clone(), attempt: it.attempt }).collect()
}

fn answer(rig: &mut TestRig, merge: &MergeRequest, said: StartAnswer) {
    rig.apply(Command::MergeAnswered(at_work(merge), said)).unwrap();
}

/// A tick that begins one merge, which the container accepts.
#[track_caller]
fn merge(rig: &mut TestRig) -> MergeRequest {
    let mut asked = tick(rig);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let merge = asked.remove(0);
    answer(rig, &merge, StartAnswer::Accepted);
    merge
}

/// What the container says came of a merge.
fn report(rig: &mut TestRig, entry: &str, attempt: i64, body: &Value) -> (u16, Value) {
    let mut body = body.clone();
    body["attempt"] = attempt.into();
    let path = format!("/review-queue/{entry}/complete");
    rig.call(&container(), "POST", &path, &body.to_string())
}

#[track_caller]
fn reported(rig: &mut TestRig, entry: &str, attempt: i64, body: &Value) {
    let (status, answer) = report(rig, entry, attempt, body);
    assert_eq!(status, 200, "{answer}");
}

fn merged() -> Value {
    json!({"status": "merged", "reason": "merged", "message": "", "commit_sha": "abcdef0123"})
}

fn failed(reason: &str) -> Value {
    let status = if reason == "conflict" { "conflict" } else { "failed" };
    json!({"status": status, "reason": reason, "message": format!("because of {reason}")})
}

fn may_land(rig: &mut TestRig, entry: &str, attempt: i64) -> String {
    let body = json!({"entries": [{"entry_id": entry, "attempt": attempt}]}).to_string();
    let (status, answer) = rig.call(&container(), "POST", "/review-queue/landing", &body);
    assert_eq!(status, 200, "{answer}");
    let verdict = &answer["data"]["verdicts"][0];
    assert_eq!(
        (verdict["entry_id"].as_str(), verdict["attempt"].as_i64()),
        (Some(entry), Some(attempt))
    );
    verdict["verdict"].as_str().unwrap().to_owned()
}

fn next_in(rig: &TestRig) -> i64 {
    rig.engine.next_wake(rig.now).unwrap().unwrap().since(rig.now)
}

fn events(rig: &TestRig, bead: &str, event: &str) -> usize {
    let events = rig.engine.store.events_of(bead).unwrap();
    events.iter().filter(|it| it.event == event).count()
}

#[test]
fn a_bead_keeps_its_branch_whoever_works_on_it_and_is_told_where_it_is() {
    let mut rig = with_git(&json!({"default_branch": "trunk"}));
    let bead = rig.assigned("fix it");
    let first = run(&mut rig).remove(0);
    let git = first.git.clone().unwrap();
    let branch = format!("gt/{}/{bead}", first.name.to_lowercase());
    assert_eq!(
        (git.url.as_str(), git.default_branch.as_deref(), git.branch.as_str()),
        ("https://example.org/o/r.git", Some("trunk"), branch.as_str())
    );
    assert!(first.prompt.contains(&format!("on branch `{branch}`")), "{}", first.prompt);
    assert!(first.prompt.contains("merged into trunk"), "{}", first.prompt);
    assert!(first.prompt.contains(&format!("`beadrig done {bead} ")), "{}", first.prompt);
    assert_eq!(rig.bead(&bead)["branch"], branch);
    // Its agent dies, and is removed; another takes the bead.
    let report = json!({"status": "failed", "attempt": first.attempt, "exit_code": 1});
    let path = format!("/agents/{}/completed", first.agent_id);
    assert_eq!(rig.call(&container(), "POST", &path, &report.to_string()).0, 200);
    let dead = r#"{"status":"dead"}"#;
    let path = format!("/agents/{}/status", first.agent_id);
    assert_eq!(rig.operator("PATCH", &path, dead).0, 200);
    let made = r#"{"role":"polecat","name":"Other","identity":"polecat/Other"}"#;
    assert_eq!(rig.operator("POST", "/agents", made).0, 201);
    rig.pass(600_000);
    let second = run(&mut rig).remove(0);
    assert_ne!(second.agent_id, first.agent_id);
    assert_eq!(second.git.unwrap().branch, branch);
    // The same request again, when its answer is lost.
    done(&mut rig, &StartAgent { git: None, ..second });
    assert_eq!(tick(&mut rig)[0].entries[0].branch, branch);
}

#[test]
fn without_a_repository_nothing_is_said_of_git() {
    let mut rig = TestRig::new();
    let bead = rig.assigned("fix it");
    let start = run(&mut rig).remove(0);
    assert_eq!(start.git, None);
    assert!(!start.prompt.contains("branch"), "{}", start.prompt);
    assert!(start.prompt.contains("`beadrig close "), "{}", start.prompt);
    assert!(rig.bead(&bead)["branch"].is_null());
}

#[test]
fn what_is_done_is_merged_soon_and_the_bead_closed_with_the_commit() {
    let mut rig = with_git(&json!({"env_vars": {"GIT_TOKEN": "secret-1234"}}));
    rig.wake = None;
    let (bead, entry) = handed_in(&mut rig, "fix it");
    assert!(rig.wake.unwrap().since(rig.now) <= 100, "a review that is queued wakes the rig");
    let merge = merge(&mut rig);
    let asked = &merge.entries[0];
    assert_eq!(merge.entries.len(), 1);
    assert_eq!(
        (asked.entry_id.as_str(), asked.attempt, asked.bead_id.as_str(), asked.title.as_str()),
        (entry.as_str(), 1, bead.as_str(), "fix it")
    );
    assert_eq!((asked.agent_name.as_str(), merge.rig_id.as_str()), ("Toast", "demo"));
    assert_eq!(merge.git_url, "https://example.org/o/r.git");
    assert_eq!((merge.target_branch.as_deref(), merge.strategy), (None, MergeStrategy::Direct));
    assert_eq!(merge.env_vars["GIT_TOKEN"], "secret-1234");
    assert_eq!(review(&mut rig, &entry)["status"], "running");
    assert_eq!(tick(&mut rig), [], "one merge at a time");
    assert_eq!(may_land(&mut rig, &entry, 1), "ok");
    rig.wake = None;
    reported(&mut rig, &entry, 1, &merged());
    assert!(rig.wake.is_some(), "the next one may begin");
    let closed = rig.bead(&bead);
    assert_eq!(closed["status"], "closed");
    let reason = format!("merged {} into the default branch as abcdef0123", asked.branch);
    assert_eq!(closed["close_reason"], reason);
    // Said again, it is said once.
    let before = (rig.bead(&bead), review(&mut rig, &entry));
    reported(&mut rig, &entry, 1, &merged());
    assert_eq!((rig.bead(&bead), review(&mut rig, &entry)), before);
    assert_eq!(next_in(&rig), IDLE_MS);
}

#[test]
fn five_branches_make_a_batch_and_each_target_has_its_own() {
    let mut rig = with_git(&json!({"max_agents": 10}));
    let entries: Vec<String> =
        (0..7).map(|n| handed_in(&mut rig, &format!("bead {n}")).1).collect();
    configure(&mut rig, &json!({"default_branch": "next"}));
    let (_, other) = handed_in(&mut rig, "for another branch");
    let asked = tick(&mut rig);
    let named = |merge: &MergeRequest| -> Vec<String> {
        merge.entries.iter().map(|it| it.entry_id.clone()).collect()
    };
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(
        (asked[0].target_branch.as_deref(), named(&asked[0])),
        (None, entries[..5].to_vec())
    );
    assert_eq!((asked[1].target_branch.as_deref(), named(&asked[1])), (Some("next"), vec![other]));
    for merge in &asked {
        answer(&mut rig, merge, StartAnswer::Accepted);
    }
    assert_eq!(tick(&mut rig), []);
    // Until the last of the five is over, the others wait; and nothing spins meanwhile.
    for entry in &entries[..5] {
        assert_eq!(tick(&mut rig), []);
        assert!(next_in(&rig) > 30_000);
        reported(&mut rig, entry, 1, &merged());
    }
    assert_eq!(named(&merge(&mut rig)), entries[5..]);
}

#[test]
fn without_room_a_merge_waits_longer_and_longer_and_that_costs_no_attempt() {
    let mut rig = with_git(&json!({}));
    let (bead, entry) = handed_in(&mut rig, "fix it");
    for wait in [5_000, 15_000, 30_000, 60_000, 120_000, 120_000] {
        let asked = tick(&mut rig);
        assert_eq!(asked[0].entries[0].attempt, 1, "nothing was started");
        answer(&mut rig, &asked[0], StartAnswer::NoRoom("there is no container".to_owned()));
        let shown = review(&mut rig, &entry);
        assert_eq!((&shown["status"], &shown["attempts"]), (&json!("pending"), &json!(0)));
        assert_eq!(next_in(&rig), wait);
        assert_eq!(tick(&mut rig), [], "not before its time");
        rig.pass(wait);
    }
    assert_eq!(events(&rig, &bead, "waiting_for_container"), 1, "said once");
    merge(&mut rig);
    reported(&mut rig, &entry, 1, &merged());
    assert_eq!(rig.tell(&bead), "closed attempts=1");
}

#[test]
fn a_lost_answer_is_asked_for_again_as_it_was() {
    let mut rig = with_git(&json!({"max_agents": 3}));
    let (_, one) = handed_in(&mut rig, "one");
    let (_, two) = handed_in(&mut rig, "two");
    let first = tick(&mut rig).remove(0);
    answer(&mut rig, &first, StartAnswer::Unknown("no answer".to_owned()));
    assert_eq!(review(&mut rig, &one)["status"], "running");
    assert_eq!(next_in(&rig), 10_000);
    let (_, late) = handed_in(&mut rig, "late");
    rig.pass(10_000);
    assert_eq!(tick(&mut rig), from_ref(&first), "the same merge, and no other beside it");
    // The object may vanish before the answer: the rows suffice.
    rig.pass(10_000);
    assert_eq!(tick(&mut rig), from_ref(&first));
    // By now it may be at work: that there is no room says nothing any more.
    answer(&mut rig, &first, StartAnswer::NoRoom("no container".to_owned()));
    assert_eq!(review(&mut rig, &one)["status"], "running");
    // It is seen: nobody asks any more.
    let beats = json!({"protocol": 1, "boot_id": "b", "agents": [], "merges": at_work(&first)});
    let (_, said) = rig.call(&container(), "POST", "/heartbeats", &beats.to_string());
    assert_eq!(said["data"]["merges"][1]["verdict"], "ok");
    rig.pass(10_000);
    assert_eq!(tick(&mut rig), []);
    reported(&mut rig, &one, 1, &merged());
    reported(&mut rig, &two, 1, &merged());
    assert_eq!(tick(&mut rig)[0].entries[0].entry_id, late);
}

#[test]
fn a_merge_that_shows_signs_of_life_is_left_alone_and_they_are_written_seldom() {
    let mut rig = with_git(&json!({}));
    let (_, entry) = handed_in(&mut rig, "fix it");
    let merge = merge(&mut rig);
    let beats = json!({"protocol": 1, "boot_id": "b", "agents": [], "merges": at_work(&merge)});
    let beats = beats.to_string();
    for n in 0..60 {
        rig.pass(30_000);
        rig.engine.store.sql().asked.borrow_mut().clear();
        rig.call(&container(), "POST", "/heartbeats", &beats);
        let asked = rig.engine.store.sql().asked.take();
        let written = asked.iter().filter(|it| it.starts_with("UPDATE review")).count();
        assert_eq!(written, n % 2, "every second one, {asked:?}");
        assert_eq!(tick(&mut rig), []);
    }
    assert_eq!(review(&mut rig, &entry)["attempts"], 1);
    // Then it is silent.
    rig.pass(limits::REVIEW_RUNNING_MS - 1);
    assert_eq!(next_in(&rig), limits::ALARM_MIN_MS);
    assert_eq!(tick(&mut rig), []);
    rig.pass(1);
    assert_eq!(tick(&mut rig)[0].entries[0].attempt, 2);
}

#[test]
fn incident_50_a_merge_that_never_comes_back_is_tried_again_three_times_and_no_more() {
    let mut rig = with_git(&json!({}));
    let (bead, entry) = handed_in(&mut rig, "fix it");
    for attempt in 1..=4 {
        assert_eq!(merge(&mut rig).entries[0].attempt, attempt);
        assert_eq!(next_in(&rig), limits::REVIEW_RUNNING_MS);
        rig.pass(limits::REVIEW_RUNNING_MS);
    }
    assert_eq!(tick(&mut rig), []);
    assert_eq!(rig.tell(&bead), "blocked attempts=1 failure=merge_failed");
    let failure = rig.bead(&bead)["failure"]["message"].take();
    assert!(failure.as_str().unwrap().contains("started 4 times and never came back"), "{failure}");
    assert_eq!(next_in(&rig), IDLE_MS);
    assert_eq!(report(&mut rig, &entry, 4, &merged()).0, 409);
    assert_eq!(may_land(&mut rig, &entry, 4), "stale");
}

#[test]
fn what_an_older_start_says_is_refused_and_may_not_land() {
    let mut rig = with_git(&json!({}));
    let (bead, entry) = handed_in(&mut rig, "fix it");
    merge(&mut rig);
    rig.pass(limits::REVIEW_RUNNING_MS);
    assert_eq!(merge(&mut rig).entries[0].attempt, 2);
    assert_eq!(may_land(&mut rig, &entry, 1), "stale");
    assert_eq!(may_land(&mut rig, &entry, 3), "stale");
    assert_eq!(may_land(&mut rig, "review-unknown", 1), "stale");
    for body in [merged(), failed("conflict"), failed("push_rejected")] {
        let (status, answer) = report(&mut rig, &entry, 1, &body);
        assert_eq!((status, answer["code"].as_str()), (409, Some("stale_attempt")), "{answer}");
    }
    assert_eq!(rig.tell(&bead), "in_review attempts=1");
    assert_eq!(may_land(&mut rig, &entry, 2), "ok");
    reported(&mut rig, &entry, 2, &merged());
    assert_eq!(may_land(&mut rig, &entry, 2), "stale", "it is over");
}

#[test]
fn what_landed_and_was_never_reported_is_merged_when_nothing_of_it_is_left() {
    let mut rig = with_git(&json!({}));
    let (bead, entry) = handed_in(&mut rig, "fix it");
    merge(&mut rig);
    assert_eq!(may_land(&mut rig, &entry, 1), "ok");
    // It is pushed, and the container dies before it says so.
    rig.pass(limits::REVIEW_RUNNING_MS);
    merge(&mut rig);
    reported(&mut rig, &entry, 2, &failed("nothing_to_merge"));
    assert_eq!(rig.tell(&bead), "closed attempts=1");
    assert_eq!(review(&mut rig, &entry)["status"], "merged");
    reported(&mut rig, &entry, 2, &failed("nothing_to_merge"));
}

#[test]
fn a_fault_of_the_branch_is_mended_twice_by_its_agent_and_then_a_person_is_asked() {
    let mut rig = with_git(&json!({"default_branch": "main"}));
    let bead = rig.assigned("fix it");
    let reasons = ["gate_failed", "conflict", "branch_missing"];
    let words = ["gate failed (1 of 2): branch", "merge conflict (2 of 2): branch", "still"];
    for (n, (reason, words)) in reasons.into_iter().zip(words).enumerate() {
        let start = run(&mut rig).remove(0);
        assert_eq!(start.prompt.contains("## Not merged"), n > 0);
        done(&mut rig, &start);
        let entry = open_review(&mut rig, &bead);
        let attempt = merge(&mut rig).entries[0].attempt;
        for _ in 0..2 {
            reported(&mut rig, &entry, attempt, &failed(reason));
        }
        let notes = rig.notes(&bead);
        assert!(
            notes.contains(words) && notes.contains(&format!("because of {reason}")),
            "{notes}"
        );
        let told = rig.tell(&bead);
        if n < 2 {
            assert_eq!(told, format!("open attempts={} waiting=queued", n + 1));
        } else {
            assert_eq!(told, "blocked attempts=3 failure=branch_missing");
        }
    }
    let escalations = rig.operator("GET", "/beads?type=escalation", "").1["data"].take();
    assert_eq!(escalations.as_array().unwrap().len(), 1);
    let title = escalations[0]["title"].as_str().unwrap();
    assert!(title.starts_with("Branch missing: gt/"), "{title}");
    assert_eq!(tick(&mut rig), []);
}

#[test]
fn a_fault_of_the_remote_or_the_container_is_tried_again_three_times_and_then_said() {
    for reason in ["push_rejected", "fetch_failed", "container_failed"] {
        let mut rig = with_git(&json!({}));
        let (bead, entry) = handed_in(&mut rig, "fix it");
        for (n, wait) in (1..).zip(limits::MERGE_BACK_OFF_MS) {
            assert_eq!(merge(&mut rig).entries[0].attempt, n);
            reported(&mut rig, &entry, n, &failed(reason));
            let before = review(&mut rig, &entry);
            assert_eq!(before["status"], "pending");
            assert_eq!(before["retry_at"], rig.now.plus(wait).to_string());
            rig.pass(1_000);
            reported(&mut rig, &entry, n, &failed(reason));
            assert_eq!(review(&mut rig, &entry), before, "said again, it is said once");
            assert_eq!(next_in(&rig), (wait - 1_000).min(IDLE_MS));
            assert_eq!(tick(&mut rig), []);
            rig.pass(wait - 1_000);
        }
        merge(&mut rig);
        reported(&mut rig, &entry, 4, &failed(reason));
        assert_eq!(rig.tell(&bead), format!("blocked attempts=1 failure={reason}"));
        let why = rig.bead(&bead)["failure"]["message"].take();
        let why = why.as_str().unwrap();
        assert!(why.ends_with(&format!(" failed 4 times: because of {reason}")), "{why}");
        reported(&mut rig, &entry, 4, &failed(reason));
        assert_eq!(tick(&mut rig), []);
        assert_eq!(next_in(&rig), IDLE_MS);
    }
}

#[test]
fn a_container_that_refuses_a_merge_is_asked_three_times_more() {
    let mut rig = with_git(&json!({}));
    let (bead, entry) = handed_in(&mut rig, "fix it");
    for wait in limits::MERGE_BACK_OFF_MS {
        let asked = tick(&mut rig);
        answer(&mut rig, &asked[0], StartAnswer::Refused("Not found".to_owned()));
        assert_eq!(review(&mut rig, &entry)["message"], "the container refused it: Not found");
        rig.pass(wait);
    }
    let asked = tick(&mut rig);
    answer(&mut rig, &asked[0], StartAnswer::Refused("Not found".to_owned()));
    assert_eq!(rig.tell(&bead), "blocked attempts=1 failure=container_failed");
}

#[test]
fn a_pull_request_waits_for_a_person_and_keeps_nobody_awake() {
    let mut rig = with_git(&json!({"merge_strategy": "pull_request", "idle_alarm_ms": 0}));
    let pushed = json!({"status": "pushed", "message": "pushed", "reason": "pull_request",
        "pr_url": "https://example.org/o/r/pull/7"});
    for end in ["merged", "reopened", "closed"] {
        let (bead, entry) = handed_in(&mut rig, "fix it");
        assert_eq!(merge(&mut rig).strategy, MergeStrategy::PullRequest);
        for _ in 0..2 {
            reported(&mut rig, &entry, 1, &pushed);
        }
        let shown = review(&mut rig, &entry);
        assert_eq!(shown["status"], "waiting");
        assert_eq!([&shown["pr_url"], &rig.bead(&bead)["pr_url"]], [&pushed["pr_url"]; 2]);
        assert_eq!(rig.tell(&bead), "in_review attempts=1");
        assert_eq!(events(&rig, &bead, "review_waiting"), 1);
        assert!(rig.notes(&bead).contains("https://example.org/o/r/pull/7"));
        rig.pass(10 * 24 * 3_600_000);
        assert_eq!(tick(&mut rig), []);
        assert_eq!(rig.engine.next_wake(rig.now).unwrap(), None);
        assert_eq!(may_land(&mut rig, &entry, 1), "stale");
        match end {
            "merged" => {
                let path = format!("/review-queue/{entry}/complete");
                let said = json!({"status": "merged", "message": "by hand"}).to_string();
                assert_eq!(rig.operator("POST", &path, &said).0, 200);
                assert_eq!(rig.tell(&bead), "closed attempts=0");
                assert_eq!(review(&mut rig, &entry)["status"], "merged");
            }
            "reopened" => {
                assert_eq!(rig.operator("POST", &format!("/beads/{bead}/reopen"), "").0, 200);
                assert_eq!(review(&mut rig, &entry)["status"], "failed");
                assert_eq!(rig.tell(&bead), "open attempts=0 waiting=queued");
                rig.operator("DELETE", &format!("/beads/{bead}"), "");
            }
            _ => {
                assert_eq!(rig.operator("POST", &format!("/beads/{bead}/close"), "").0, 200);
                assert_eq!(review(&mut rig, &entry)["status"], "failed");
            }
        }
    }
}

#[test]
fn what_is_taken_back_does_not_land_and_leaves_nothing_stuck() {
    for how in ["reopen", "close", "delete"] {
        let mut rig = with_git(&json!({"max_agents": 2}));
        let (bead, entry) = handed_in(&mut rig, "taken back");
        merge(&mut rig);
        let (_, next) = handed_in(&mut rig, "the next one");
        assert_eq!(may_land(&mut rig, &entry, 1), "ok");
        rig.wake = None;
        let (method, path) = match how {
            "delete" => ("DELETE", format!("/beads/{bead}")),
            _ => ("POST", format!("/beads/{bead}/{how}")),
        };
        assert_eq!(rig.operator(method, &path, "").0, 200, "{how}");
        assert!(rig.wake.is_some(), "{how}: its branch is free, and somebody looks");
        assert_eq!(may_land(&mut rig, &entry, 1), "stale", "{how}");
        let (status, _) = report(&mut rig, &entry, 1, &merged());
        assert_eq!(status, if how == "delete" { 404 } else { 409 }, "{how}");
        assert_eq!(merge(&mut rig).entries[0].entry_id, next, "{how}");
        reported(&mut rig, &next, 1, &merged());
        assert_eq!(tick(&mut rig), []);
        assert_eq!(queue(&mut rig).iter().filter(|it| it["finished_at"].is_null()).count(), 0);
    }
}

#[test]
fn the_gates_of_the_rig_go_with_each_merge() {
    let mut rig = with_git(&json!({"merge_gates_parallel": true, "default_branch": "main",
        "merge_gates": [{"name": "test", "command": "make test", "time_limit_s": 60},
            {"name": "lint", "command": " make lint "}]}));
    let shown = rig.operator("GET", "/config", "").1["data"].take();
    assert_eq!(
        shown["merge_gates"],
        json!([{"name": "test", "command": "make test", "time_limit_s": 60},
            {"name": "lint", "command": "make lint", "time_limit_s": 600}])
    );
    configure(&mut rig, &shown);
    assert_eq!(
        rig.operator("GET", "/config", "").1["data"],
        shown,
        "what is read may be sent back"
    );
    handed_in(&mut rig, "fix it");
    let merge = merge(&mut rig);
    assert_eq!(json!(merge.gates), shown["merge_gates"]);
    assert!(merge.gates_parallel);
    assert_eq!(merge.target_branch.as_deref(), Some("main"));
}

#[test]
fn a_reason_goes_with_its_status() {
    let mut rig = with_git(&json!({}));
    let (bead, entry) = handed_in(&mut rig, "fix it");
    merge(&mut rig);
    for (status, reason) in [
        ("merged", "conflict"),
        ("conflict", "merged"),
        ("failed", "pull_request"),
        ("pushed", "merged"),
    ] {
        let body = json!({"status": status, "reason": reason, "message": ""});
        let (code, answer) = report(&mut rig, &entry, 1, &body);
        assert_eq!(code, 400, "{answer}");
        let error = format!("status {status:?} does not go with the reason {reason}");
        assert_eq!(answer["error"], error);
    }
    assert_eq!(rig.tell(&bead), "in_review attempts=1");
}

#[test]
fn while_no_review_is_open_the_queue_costs_nothing_and_with_a_past_no_more() {
    let mut rig = with_git(&json!({}));
    let mut steps = Vec::new();
    for n in 0..30 {
        let (_, entry) = handed_in(&mut rig, &format!("bead {n}"));
        merge(&mut rig);
        reported(&mut rig, &entry, 1, &merged());
        // A new object reads everything anew.
        configure(&mut rig, &json!({"max_attempts": 3 + n % 2}));
        let sql = rig.engine.store.sql();
        sql.steps.set(0);
        sql.statements.set(0);
        let moment = rig.moment();
        assert!(rig.engine.process_review_queue(moment).is_empty());
        let sql = rig.engine.store.sql();
        assert!(sql.statements.get() <= 1, "{}", sql.statements.get());
        steps.push(sql.steps.get());
    }
    assert_eq!(steps[0], steps[29], "{steps:?}");
}
