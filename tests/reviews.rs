//! The review queue: what is handed in, what comes of it, and what never happens.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use beadrig::api::Routes;
use beadrig::command::Command;
use beadrig::limits;
use beadrig::wire::container::StartAgent;
use serde_json::{Value, json};
use support::{TestRig, TestSql, agent, container, operator};

/// A rig with a repository, and one bead of it at work.
fn at_work() -> (TestRig, String, StartAgent) {
    let mut rig = TestRig::new();
    let git = json!({"git_url": "https://example.org/o/r.git"}).to_string();
    assert_eq!(rig.operator("PATCH", "/config", &git).0, 200);
    let bead = rig.assigned("fix it");
    let start = run(&mut rig);
    (rig, bead, start)
}

/// Starts what waits, and answers the start.
fn run(rig: &mut TestRig) -> StartAgent {
    rig.schedule();
    rig.accept().remove(0)
}

/// The agent says done with a branch, and its process ends.
fn hand_in(rig: &mut TestRig, start: &StartAgent) -> String {
    let path = format!("/agents/{}/done", start.agent_id);
    let body =
        r#"{"branch":"gt/toast/x","pr_url":"https://example.org/o/r/pull/1","summary":"did it"}"#;
    let (status, answer) = rig.call(&agent(start), "POST", &path, body);
    assert_eq!(status, 200, "{answer}");
    let report = json!({"status": "completed", "attempt": start.attempt, "exit_code": 0});
    let path = format!("/agents/{}/completed", start.agent_id);
    assert_eq!(rig.call(&container(), "POST", &path, &report.to_string()).0, 200);
    queue(rig, "status=pending")[0]["id"].as_str().unwrap().to_owned()
}

fn queue(rig: &mut TestRig, query: &str) -> Vec<Value> {
    let (status, answer) = rig.operator("GET", &format!("/review-queue?{query}"), "");
    assert_eq!(status, 200, "{answer}");
    answer["data"].as_array().unwrap().clone()
}

fn complete(rig: &mut TestRig, entry: &str, status: &str) -> (u16, Value) {
    let body = json!({"status": status, "message": "CONFLICT in a.rs", "entry_id": "another"});
    let path = format!("/review-queue/{entry}/complete");
    rig.call(&container(), "POST", &path, &body.to_string())
}

fn events(rig: &TestRig, bead: &str) -> Vec<String> {
    let events = rig.engine.store.events_of(bead).unwrap();
    events.into_iter().map(|it| it.event).collect()
}

fn beads_of_type(rig: &mut TestRig, kind: &str) -> Vec<Value> {
    rig.operator("GET", &format!("/beads?type={kind}"), "").1["data"].as_array().unwrap().clone()
}

/// No bead waits for a review that is over, and no review for a bead that does not.
#[track_caller]
fn in_step(rig: &mut TestRig) {
    let open: Vec<String> = queue(rig, "limit=1000")
        .iter()
        .filter(|it| it["finished_at"].is_null())
        .map(|it| it["bead_id"].as_str().unwrap().to_owned())
        .collect();
    let answer = rig.operator("GET", "/beads?status=in_review", "").1;
    let waiting: Vec<String> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(open), sorted(waiting));
}

#[test]
fn done_with_a_branch_waits_to_be_merged_and_the_merge_closes_the_bead() {
    let (mut rig, bead, start) = at_work();
    let entry = hand_in(&mut rig, &start);
    assert_eq!(rig.tell(&bead), "in_review attempts=1");
    let shown = rig.operator("GET", &format!("/review-queue/{entry}"), "").1["data"].take();
    assert_eq!(
        [&shown["bead_id"], &shown["branch"], &shown["status"], &shown["summary"]],
        [&json!(bead), &json!("gt/toast/x"), &json!("pending"), &json!("did it")]
    );
    assert_eq!(shown["attempt"], start.attempt);
    let free = rig.operator("GET", &format!("/agents/{}", start.agent_id), "").1;
    assert!(free["data"]["current_hook_bead_id"].is_null());
    in_step(&mut rig);
    let body = json!({"status": "merged", "message": "", "commit_sha": "ABCDEF0123"});
    let path = format!("/review-queue/{entry}/complete");
    let (status, answer) = rig.call(&container(), "POST", &path, &body.to_string());
    assert_eq!((status, &answer["data"]), (200, &json!({"completed": true})));
    let closed = rig.bead(&bead);
    assert_eq!(
        [&closed["status"], &closed["close_reason"]],
        ["closed", "merged gt/toast/x into the default branch as abcdef0123"]
    );
    let events = events(&rig, &bead);
    assert!(events.ends_with(&["review_completed".to_owned(), "closed".to_owned()]), "{events:?}");
    in_step(&mut rig);
}

#[test]
fn without_a_repository_done_closes_the_bead_and_with_one_the_own_branch_is_meant() {
    let (mut rig, bead, start) = at_work();
    let path = format!("/agents/{}/done", start.agent_id);
    assert_eq!(rig.call(&agent(&start), "POST", &path, r#"{"summary":"did it"}"#).0, 200);
    assert_eq!(rig.tell(&bead), "in_review attempts=1");
    let own = start.git.unwrap().branch;
    assert_eq!(queue(&mut rig, "")[0]["branch"], own);
    let mut rig = TestRig::new();
    let bead = rig.assigned("fix it");
    let start = run(&mut rig);
    assert_eq!(start.git, None);
    let path = format!("/agents/{}/done", start.agent_id);
    assert_eq!(rig.call(&agent(&start), "POST", &path, r#"{"branch":"x"}"#).0, 200);
    assert_eq!(rig.tell(&bead), "closed attempts=1");
    assert_eq!(queue(&mut rig, ""), Vec::<Value>::new());
}

#[test]
fn incident_8_one_branch_of_a_bead_is_queued_once() {
    let (mut rig, bead, start) = at_work();
    let me = agent(&start);
    let body = json!({"agent_id": start.agent_id, "bead_id": bead, "branch": "gt/toast/x"});
    let (status, first) = rig.call(&me, "POST", "/review-queue", &body.to_string());
    assert_eq!((status, &first["data"]["submitted"]), (201, &json!(true)), "{first}");
    for caller in [&me, &operator()] {
        assert_eq!(rig.call(caller, "POST", "/review-queue", &body.to_string()).1, first);
    }
    // Said with `done` too, it is still one.
    let path = format!("/agents/{}/done", start.agent_id);
    assert_eq!(rig.call(&me, "POST", &path, r#"{"branch":"gt/toast/x"}"#).0, 200);
    assert_eq!(queue(&mut rig, "").len(), 1);
    let other = json!({"agent_id": start.agent_id, "bead_id": bead, "branch": "another"});
    let (status, refused) = rig.operator("POST", "/review-queue", &other.to_string());
    assert_eq!((status, refused["code"].as_str()), (409, Some("conflict")));
    assert_eq!(events(&rig, &bead).iter().filter(|it| *it == "review_submitted").count(), 1);
    // An exit without done closes nothing.
    let second = rig.assigned("another");
    let start = run(&mut rig);
    let report = json!({"status": "completed", "attempt": start.attempt, "exit_code": 0});
    let path = format!("/agents/{}/completed", start.agent_id);
    rig.call(&container(), "POST", &path, &report.to_string());
    assert_eq!(rig.tell(&second), "open attempts=1 waiting=back_off");
}

#[test]
fn only_the_own_work_is_handed_in() {
    let (mut rig, bead, start) = at_work();
    let other = rig.assigned("another");
    let second = run(&mut rig);
    let say = |rig: &mut TestRig, who: &StartAgent, as_who: &str, bead: &str, branch: &str| {
        let body = json!({"agent_id": as_who, "bead_id": bead, "branch": branch}).to_string();
        let (status, answer) = rig.call(&agent(who), "POST", "/review-queue", &body);
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    };
    let (status, why) = say(&mut rig, &start, &second.agent_id, &bead, "x");
    assert_eq!((status, why.as_str()), (403, "agent_id does not match authenticated agent"));
    assert_eq!(say(&mut rig, &start, &start.agent_id, &other, "x").0, 403);
    assert_eq!(say(&mut rig, &start, &start.agent_id, &bead, "--upload-pack=evil").0, 400);
    assert_eq!(say(&mut rig, &start, &start.agent_id, "demo-none", "x").0, 404);
    let path = format!("/agents/{}/done", start.agent_id);
    assert_eq!(rig.call(&agent(&start), "POST", &path, r#"{"branch":"a b"}"#).0, 400);
    assert_eq!(rig.call(&agent(&start), "POST", "/review-queue/x/complete", "{}").0, 403);
    assert_eq!(queue(&mut rig, ""), Vec::<Value>::new());
    assert!(Routes::<TestSql>::ALL.iter().any(|it| it.path == "/review-queue/:id/complete"));
}

#[test]
fn incident_51_the_entry_of_the_url_counts_and_an_unknown_one_is_404() {
    let (mut rig, bead, start) = at_work();
    let entry = hand_in(&mut rig, &start);
    assert_eq!(complete(&mut rig, "another", "merged").0, 404);
    assert_eq!(rig.tell(&bead), "in_review attempts=1");
    assert_eq!(complete(&mut rig, &entry, "merged").0, 200);
    assert_eq!(rig.tell(&bead), "closed attempts=1");
    let body = json!({"status": "pending", "message": "x"}).to_string();
    let path = format!("/review-queue/{entry}/complete");
    assert_eq!(rig.operator("POST", &path, &body).0, 400);
}

#[test]
fn what_is_completed_twice_changes_nothing_the_second_time() {
    let (mut rig, bead, start) = at_work();
    let entry = hand_in(&mut rig, &start);
    assert_eq!(complete(&mut rig, &entry, "conflict").0, 200);
    let before = (rig.bead(&bead), events(&rig, &bead), queue(&mut rig, ""));
    assert_eq!(complete(&mut rig, &entry, "conflict").1["data"], json!({"completed": true}));
    let (status, refused) = complete(&mut rig, &entry, "merged");
    assert_eq!((status, refused["code"].as_str()), (409, Some("conflict")));
    let why = format!("Review {entry} is over already: conflict (CONFLICT in a.rs); it stays so");
    assert_eq!(refused["error"], why);
    assert_eq!((rig.bead(&bead), events(&rig, &bead), queue(&mut rig, "")), before);
}

#[test]
fn incident_70_trap_7_a_conflict_is_worked_on_twice_and_then_escalated_once() {
    let (mut rig, bead, mut start) = at_work();
    for n in 1..=2 {
        let entry = hand_in(&mut rig, &start);
        assert_eq!(complete(&mut rig, &entry, "conflict").0, 200);
        assert_eq!(rig.tell(&bead), format!("open attempts={n} waiting=queued"));
        let notes = rig.notes(&bead);
        assert!(notes.contains(&format!("refinery: merge conflict ({n} of 2): branch gt/toast/x")));
        in_step(&mut rig);
        start = run(&mut rig);
        assert!(start.prompt.contains("## Not merged"), "{}", start.prompt);
    }
    let entry = hand_in(&mut rig, &start);
    for _ in 0..2 {
        assert_eq!(complete(&mut rig, &entry, "conflict").0, 200);
    }
    assert_eq!(rig.tell(&bead), "blocked attempts=3 failure=merge_conflict");
    let escalations = beads_of_type(&mut rig, "escalation");
    assert_eq!(escalations.len(), 1);
    assert_eq!(
        [&escalations[0]["title"], &escalations[0]["priority"]],
        ["Merge conflict: gt/toast/x", "high"]
    );
    assert_eq!(escalations[0]["metadata"]["source_bead_id"], bead.as_str());
    assert!(events(&rig, &bead).contains(&"escalated".to_owned()));
    in_step(&mut rig);
    // A person mends it: from then on it counts anew.
    assert_eq!(rig.operator("POST", &format!("/beads/{bead}/reopen"), "").0, 200);
    let start = run(&mut rig);
    assert!(!start.prompt.contains("## Not merged"));
    let entry = hand_in(&mut rig, &start);
    complete(&mut rig, &entry, "conflict");
    assert_eq!(rig.tell(&bead), "open attempts=1 waiting=queued");
    assert_eq!(beads_of_type(&mut rig, "escalation").len(), 1);
}

#[test]
fn a_slung_bead_that_conflicts_goes_back_to_its_agent() {
    let (mut rig, _, _) = at_work();
    let slung = rig.operator("POST", "/sling", r#"{"title":"by hand"}"#).1["data"].take();
    let bead = slung["bead"]["id"].as_str().unwrap().to_owned();
    let start = run(&mut rig);
    let entry = hand_in(&mut rig, &start);
    complete(&mut rig, &entry, "conflict");
    let back = rig.bead(&bead);
    assert_eq!([&back["status"], &back["assignee_agent_id"]], ["in_progress", &*start.agent_id]);
    assert_eq!(run(&mut rig).bead_id, bead);
    in_step(&mut rig);
}

#[test]
fn trap_6_trap_14_a_merge_that_fails_blocks_the_bead_and_says_why() {
    let (mut rig, bead, start) = at_work();
    let entry = hand_in(&mut rig, &start);
    assert_eq!(complete(&mut rig, &entry, "failed").0, 200);
    assert_eq!(rig.tell(&bead), "blocked attempts=1 failure=merge_failed");
    let failure = rig.bead(&bead)["failure"]["message"].take();
    assert_eq!(failure, "the merge of branch gt/toast/x failed: CONFLICT in a.rs");
    in_step(&mut rig);
    // Nothing of it keeps the rig awake.
    let idle = rig.now.plus(300_000);
    assert_eq!(rig.engine.next_wake(rig.now).unwrap(), Some(idle));
}

#[test]
fn incident_49_what_waits_without_a_repository_stays_pending_and_keeps_nobody_awake() {
    let (mut rig, bead, start) = at_work();
    let entry = hand_in(&mut rig, &start);
    assert_eq!(rig.operator("PATCH", "/config", r#"{"git_url":null}"#).0, 200);
    for _ in 0..20 {
        let before = rig.engine.store.sql().statements.get();
        let moment = rig.moment();
        let effects = rig.engine.process_review_queue(moment);
        assert!(effects.is_empty());
        assert!(rig.engine.store.sql().statements.get() - before <= 1);
        assert_eq!(rig.engine.next_wake(rig.now).unwrap(), Some(rig.now.plus(300_000)));
        rig.pass(300_000);
    }
    assert_eq!(queue(&mut rig, "status=pending")[0]["id"], entry.as_str());
    assert_eq!(rig.tell(&bead), "in_review attempts=1");
    // With one again, it is merged.
    rig.wake = None;
    let git = r#"{"git_url":"https://example.org/o/r.git"}"#;
    assert_eq!(rig.operator("PATCH", "/config", git).0, 200);
    assert!(rig.wake.is_some());
    patrol(&mut rig);
    assert_eq!(rig.merges[0].entries[0].entry_id, entry);
}

fn patrol(rig: &mut TestRig) {
    let moment = rig.moment();
    let effects = rig.engine.process_review_queue(moment);
    rig.take(effects);
}

#[test]
fn no_bead_is_in_review_when_its_review_is_over() {
    // Whatever a person does to the bead, with the merge waiting or begun.
    for begun in [false, true] {
        for status in ["open", "closed", "blocked", "deferred", "in_progress"] {
            let (mut rig, bead, start) = at_work();
            let entry = hand_in(&mut rig, &start);
            if begun {
                rig.apply(Command::StartReviews(vec![entry.clone()])).unwrap();
            }
            let body = json!({"status": status}).to_string();
            assert_eq!(rig.operator("PATCH", &format!("/beads/{bead}"), &body).0, 200);
            in_step(&mut rig);
            let over = rig.operator("GET", &format!("/review-queue/{entry}"), "").1["data"].take();
            assert_eq!(over["status"], "failed");
            assert_eq!(over["message"], format!("withdrawn: ann set the bead to {status}"));
            let before = rig.bead(&bead);
            assert_eq!(complete(&mut rig, &entry, "merged").0, 409);
            assert_eq!(rig.bead(&bead), before, "a late merge moves nothing");
        }
    }
    // And whatever comes of the merge.
    for end in ["merged", "conflict", "failed"] {
        let (mut rig, bead, start) = at_work();
        let entry = hand_in(&mut rig, &start);
        rig.apply(Command::StartReviews(vec![entry.clone()])).unwrap();
        assert_eq!(complete(&mut rig, &entry, end).0, 200);
        assert_ne!(rig.bead(&bead)["status"], "in_review");
        in_step(&mut rig);
    }
}

#[test]
fn the_tick_walks_through_no_review() {
    let (mut rig, _, start) = at_work();
    let entry = hand_in(&mut rig, &start);
    rig.apply(Command::StartReviews(vec![entry])).unwrap();
    rig.pass(limits::REVIEW_RUNNING_MS);
    rig.engine.store.sql().asked.borrow_mut().clear();
    patrol(&mut rig);
    rig.engine.next_wake(rig.now).unwrap();
    let asked = rig.engine.store.sql().asked.take();
    for sql in asked.iter().filter(|sql| sql.contains("review") && !sql.starts_with("INSERT")) {
        for step in rig.engine.store.sql().plan(sql) {
            let walks = step.contains("SCAN") && step.contains("review");
            assert!(!walks, "{sql}: {step}");
        }
    }
}
