//! Merges among the random lives: begun, lost, said twice, reported late, and what must hold of them after each step.

use beadrig::command::{Command, StartAnswer};
use beadrig::id::Millis;
use beadrig::limits;
use beadrig::wire::merge::MergeAtWork;

use super::World;
use super::support::container;

/// What comes of merges.
pub(super) const ENDS: [&str; 6] = [
    r#"{"status":"merged","message":""}"#,
    r#"{"status":"pushed","message":""}"#,
    r#"{"status":"conflict","message":"","reason":"conflict"}"#,
    r#"{"status":"failed","message":"","reason":"nothing_to_merge"}"#,
    r#"{"status":"failed","message":"","reason":"push_rejected"}"#,
    r#"{"status":"failed","message":""}"#,
];

impl World {
    pub(super) fn merge(&mut self, mode: &str) {
        let moment = self.rig.moment();
        let effects = self.rig.engine.process_review_queue(moment);
        self.rig.take(effects);
        for merge in std::mem::take(&mut self.rig.merges) {
            assert!(!merge.entries.is_empty() && merge.entries.len() <= limits::MERGE_BATCH_MAX);
            let entries = merge.entries.into_iter();
            let asked: Vec<_> = entries
                .map(|it| MergeAtWork { entry_id: it.entry_id, attempt: it.attempt })
                .collect();
            let answer = match mode {
                "up" => StartAnswer::Accepted,
                "refuses" => StartAnswer::Refused("no such call".to_owned()),
                "full" => StartAnswer::NoRoom("full".to_owned()),
                _ => StartAnswer::Unknown("no answer".to_owned()),
            };
            self.merges.extend(asked.clone());
            self.twice(|world| {
                let said = Command::MergeAnswered(asked.clone(), answer.clone());
                world.rig.apply(said).unwrap();
            });
        }
    }

    /// One of the last merges, which may be over by now.
    fn asked(&self, n: usize) -> Option<MergeAtWork> {
        self.merges.iter().rev().nth(n % self.merges.len().clamp(1, 4)).cloned()
    }

    pub(super) fn merged(&mut self, merge: usize, how: usize) {
        let Some(merge) = self.asked(merge) else { return };
        let mut body: serde_json::Value = serde_json::from_str(ENDS[how]).unwrap();
        body["attempt"] = merge.attempt.into();
        let path = format!("/review-queue/{}/complete", merge.entry_id);
        self.twice(|world| {
            world.rig.call(&container(), "POST", &path, &body.to_string());
        });
    }

    pub(super) fn lands(&mut self, merge: usize, beats: bool) {
        let Some(merge) = self.asked(merge) else { return };
        let said = if beats { Command::Merging } else { Command::Landing };
        self.twice(|world| world.rig.apply(said(vec![merge.clone()])).unwrap());
    }

    /// Every review that is open has an owner or a time, its bead waits for it, and one is merged at a time.
    pub(super) fn reviews(&self) {
        let (now, next) = (self.rig.now, self.rig.engine.next_wake(self.rig.now).unwrap());
        let git: Vec<String> =
            self.rows("SELECT json_quote(value) FROM config WHERE name = 'git_url'");
        let open: Vec<(String, String, Option<i64>, i64, i64)> = self.rows(
            "SELECT json_array(bead, state, coalesce(seen_at, started_at), attempts, faults + recoveries)
             FROM review
             WHERE finished_at IS NULL
             ORDER BY bead",
        );
        for (bead, state, sign, attempts, lost) in &open {
            assert!(attempts - lost <= 1, "{bead}: {attempts} merges, {lost} of them lost");
            assert!(*lost <= limits::REVIEW_RECOVERIES_MAX + 3, "{bead}: {lost}");
            match (state.as_str(), sign) {
                // A person has it.
                ("waiting", _) => {}
                ("pending", None) => {
                    assert!(next.is_some() || git.is_empty(), "{bead} is forgotten");
                }
                ("running", Some(sign)) => {
                    let due = Millis(*sign).plus(limits::REVIEW_RUNNING_MS);
                    let latest = due.max(now.plus(limits::ALARM_MIN_MS));
                    assert!(next.is_some_and(|at| at <= latest), "{bead} is never recovered");
                }
                other => panic!("{bead}: {other:?}"),
            }
        }
        let waits: Vec<String> =
            self.rows("SELECT json_quote(id) FROM bead WHERE status = 'in_review' ORDER BY id");
        let open: Vec<String> = open.into_iter().map(|it| it.0).collect();
        assert_eq!(open, waits, "who waits for a review, and who has one open");
    }
}
