//! Issues with every field that bd and br have, from a fixed seed: the same each time. What is waited for comes first.

use beadrig::id::{Dice, Millis};
use serde_json::{Value, json};

/// So many issues.
pub(crate) fn issues(count: usize, seed: u64) -> Vec<Value> {
    let mut made = Made(Dice::new(seed));
    (0..count).map(|n| made.issue(n)).collect()
}

/// With `br`'s rules: what it does not know it drops, so there is none of it.
#[allow(dead_code, reason = "each test crate uses its part")]
pub(crate) fn issues_for_br(count: usize, seed: u64) -> Vec<Value> {
    let mut all = issues(count, seed);
    for it in &mut all {
        let it = it.as_object_mut().unwrap();
        for key in ["spec_id", "started_at", "metadata", "my_key", "waiters", "mol_type", "timeout"]
        {
            it.remove(key);
        }
        it.insert("source_repo".to_owned(), ".".into());
        it.insert("compaction_level".to_owned(), 0.into());
        it.insert("original_size".to_owned(), 0.into());
    }
    all
}

struct Made(Dice);

const WORDS: [&str; 12] = [
    "fix",
    "größer",
    "日本語",
    "a<b>&c",
    "\"quoted\"",
    "tab\there",
    "back\\slash",
    "🦀",
    "two\nlines",
    "plain",
    "\u{2028}",
    "x",
];

impl Made {
    fn below(&mut self, n: u64) -> u64 {
        self.0.roll() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn text(&mut self, max: u64) -> String {
        let count = 1 + self.below(max);
        let words: Vec<&str> =
            (0..count).map(|_| WORDS[usize::try_from(self.below(12)).unwrap()]).collect();
        words.join(" ")
    }

    fn line(&mut self) -> String {
        self.text(6).replace(['\n', '\t', '\u{2028}'], " ").trim().to_owned()
    }

    /// To the nanosecond, or not.
    fn time(&mut self, from: i64) -> (i64, String) {
        let at = from + i64::try_from(self.below(86_400_000)).unwrap();
        let text = Millis(at).to_string();
        let text = match self.below(3) {
            0 => text.replace('Z', "456789Z"),
            1 => text,
            _ => return (at - at % 1_000, format!("{}Z", text.split('.').next().unwrap())),
        };
        (at, text)
    }

    fn issue(&mut self, n: usize) -> Value {
        let id = format!("x-{n}");
        let (created, created_at) = self.time(1_767_225_600_000);
        let (updated, updated_at) = self.time(created);
        let mut it = json!({"id": id, "title": format!("issue {}", self.line()).trim(), "created_at": created_at, "updated_at": updated_at,
            "priority": self.below(5)});
        let status = ["open", "in_progress", "blocked", "deferred", "closed", "pinned", "hooked"];
        it["status"] = status[usize::try_from(self.below(7)).unwrap()].into();
        if it["status"] == "hooked" && self.one_in(2) {
            it["status"] = "waiting_for_legal".into();
        }
        let kinds = ["task", "bug", "feature", "epic", "chore", "docs", "question"];
        it["issue_type"] = kinds[usize::try_from(self.below(7)).unwrap()].into();
        for key in ["description", "design", "acceptance_criteria", "notes"] {
            if !self.one_in(3) {
                it[key] = self.text(40).into();
            }
        }
        for key in [
            "assignee",
            "owner",
            "created_by",
            "external_ref",
            "source_system",
            "sender",
            "spec_id",
        ] {
            if self.one_in(3) {
                // Of all of them one is unique in br.
                it[key] = format!("{key}-{n}").into();
            }
        }
        if it["status"] == "closed" {
            it["closed_at"] = self.time(updated).1.into();
            it["close_reason"] = self.line().into();
            it["closed_by_session"] = "session-1".into();
        }
        for key in ["started_at", "due_at", "defer_until"] {
            if self.one_in(4) {
                it[key] = self.time(updated).1.into();
            }
        }
        self.rare(n, &mut it);
        self.relations(n, &id, created, &mut it);
        it
    }

    fn rare(&mut self, n: usize, it: &mut Value) {
        if self.one_in(3) {
            it["estimated_minutes"] = self.below(1_000).into();
        }
        if self.one_in(5) {
            it["metadata"] =
                json!({"n": n, "deep": {"list": [1, 2.5, null, "x"]}, "text": self.text(3)});
        }
        if self.one_in(5) {
            it["my_key"] = json!([{"kept": true}, self.text(2)]);
        }
        if self.one_in(10) {
            it["waiters"] = json!(["ann", "bob"]);
            it["timeout"] = 3_600_000_000_000_i64.into();
            it["mol_type"] = "patrol".into();
        }
        if self.one_in(10) {
            it["is_template"] = true.into();
        }
    }

    fn relations(&mut self, n: usize, id: &str, created: i64, it: &mut Value) {
        let labels: std::collections::BTreeSet<String> =
            (0..self.below(4)).map(|_| format!("label-{}", self.below(20))).collect();
        if !labels.is_empty() {
            it["labels"] = json!(labels);
        }
        let mut edges: Vec<Value> = Vec::new();
        let kinds = [
            "blocks",
            "related",
            "discovered-from",
            "conditional-blocks",
            "waits-for",
            "duplicates",
        ];
        for _ in 0..self.below(4) {
            if n == 0 || edges.len() >= n {
                break;
            }
            let on = format!("x-{}", self.below(u64::try_from(n).unwrap()));
            if edges.iter().any(|it| it["depends_on_id"] == on.as_str()) {
                continue;
            }
            let kind = kinds[usize::try_from(self.below(6)).unwrap()];
            let mut edge = json!({"issue_id": id, "depends_on_id": on, "type": kind, "created_at": self.time(created).1});
            if self.one_in(2) {
                edge["created_by"] = "bob".into();
            }
            if self.one_in(3) {
                edge["metadata"] = r#"{"gate":"all-children"}"#.into();
                edge["thread_id"] = format!("th-{n}").into();
            }
            edges.push(edge);
        }
        // Every bead of a family of eight has the first for its parent.
        let head = n - n % 8;
        let parent = format!("x-{head}");
        if n % 8 > 4 && edges.iter().all(|it| it["depends_on_id"] != parent.as_str()) {
            edges.push(json!({"issue_id": id, "depends_on_id": parent, "type": "parent-child",
                "created_at": self.time(created).1, "created_by": "ann"}));
        }
        if !edges.is_empty() {
            it["dependencies"] = edges.into();
        }
        let comments: Vec<Value> = (0..self.below(3))
            .map(|k| {
                let k = usize::try_from(k).unwrap();
                json!({"id": n * 3 + k + 1, "issue_id": id, "author": "ann", "text": self.text(10),
                    "created_at": self.time(created).1})
            })
            .collect();
        if !comments.is_empty() {
            it["comments"] = comments.into();
        }
    }
}
