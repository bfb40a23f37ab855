//! Merges that do not end though their container says that it is at work, and how long one may take.

use beadrig::command::StartAnswer;
use serde_json::json;

use crate::support::container;
use crate::{
    answer, at_work, handed_in, may_land, merge, merged, next_in, report, review, tick, with_git,
};

#[test]
fn a_merge_that_is_at_work_for_ever_is_taken_back_where_people_see_it() {
    let gates = json!([{"name": "a", "command": "true", "time_limit_s": 60},
        {"name": "b", "command": "true", "time_limit_s": 120}]);
    let mut rig = with_git(&json!({"merge_gates": gates}));
    let (bead, entry) = handed_in(&mut rig, "fix it");
    let limit_s = 3_600 + 180 * 10;
    for attempt in 1..=4 {
        let merge = merge(&mut rig);
        let asked = (merge.entries[0].attempt, merge.time_limit_s);
        assert_eq!(asked, (attempt, Some(limit_s)));
        let beats = json!({"protocol": 1, "boot_id": "b", "agents": [], "merges": at_work(&merge)});
        let beats = beats.to_string();
        let began = rig.now;
        // Its container says all along that it is at work.
        while rig.now.since(began) < 2_000 * i64::try_from(limit_s).unwrap() - 30_000 {
            rig.pass(30_000);
            rig.call(&container(), "POST", "/heartbeats", &beats);
            assert_eq!(tick(&mut rig), []);
        }
        assert_eq!(next_in(&rig), 30_000);
        rig.pass(29_999);
        assert_eq!(tick(&mut rig), []);
        rig.pass(1);
        if attempt == 4 {
            break;
        }
        assert_eq!(review(&mut rig, &entry)["attempts"], attempt);
        let again = tick(&mut rig).remove(0);
        assert_eq!(again.entries[0].attempt, attempt + 1);
        // What it says now comes too late.
        assert_eq!(may_land(&mut rig, &entry, attempt), "stale");
        assert_eq!(report(&mut rig, &entry, attempt, &merged()).0, 409);
        answer(&mut rig, &again, StartAnswer::NoRoom("none".to_owned()));
        rig.pass(5_000);
    }
    assert_eq!(tick(&mut rig), []);
    assert_eq!(rig.tell(&bead), "blocked attempts=1 failure=merge_failed");
    let all = rig.engine.store.events_of(&bead).unwrap();
    let said: Vec<_> = all.iter().filter(|it| it.event == "review_recovered").collect();
    assert_eq!(said.len(), 3);
    let why = said[0].data.as_deref().unwrap();
    assert!(why.contains("is at work for 180 min and does not end; it is tried again"), "{why}");
    assert_eq!(may_land(&mut rig, &entry, 4), "stale");
}

#[test]
fn gates_that_run_all_at_once_give_a_merge_the_time_of_the_longest() {
    let gate = |name: &str, s: u64| json!({"name": name, "command": "true", "time_limit_s": s});
    let gates = json!([gate("a", 60), gate("b", 120)]);
    let mut rig = with_git(&json!({"merge_gates": gates, "merge_gates_parallel": true}));
    handed_in(&mut rig, "fix it");
    assert_eq!(merge(&mut rig).time_limit_s, Some(3_600 + 120 * 10));
}
