//! The API as Gastown's clients know it: each route with the bodies that they send, and the envelope, the statuses and
//! the keys that they read. The calls are in `gastown/table.rs`; `tests/edge.rs` asks the built worker the same.
//!
//! Where we answer otherwise on purpose, the call names its row of "Differences from Gastown" in `docs/api.md`. Each of
//! these rows is shown by a call here or by a test elsewhere, so that the list stays true and complete.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "gastown/table.rs"]
mod table;

mod support;

use std::fs;
use std::path::Path;

use beadrig::token::{Caller, Claims};
use serde_json::Value;
use support::{TestRig, container, operator};
use table::{By, CALLS, Names, World};

/// Rows that no call of the table can show, and the test that does.
const ELSEWHERE: &[(&str, &str)] = &[
    ("no `code`", "what_cannot_be_is_refused_with_its_name_and_what_to_do"),
    ("an agent's status `idle`", "gastowns_clients_find_their_shapes"),
    (
        "`done` needs a branch",
        "without_a_repository_done_closes_the_bead_and_with_one_the_own_branch_is_meant",
    ),
    ("authentication is off", "whoever_shows_no_token_of_ours_gets_nothing_but_the_health_page"),
    ("a body is 500 or cut", "what_cannot_be_is_refused_with_its_name_and_what_to_do"),
    ("a list has no end", "lists_are_newest_first_by_pages_and_by_what_is_asked"),
    ("the container's routes need", "gastowns_container_is_reached_through_its_town"),
    ("an agent of the container has", "gastowns_container_is_reached_through_its_town"),
    ("a stream of an agent", "gastowns_container_is_reached_through_its_town"),
    ("`Failed to configure rig`", "a_rig_that_cannot_be_configured_leaves_no_row"),
    ("a rig needs `git_url`", "a_rig_is_there_when_it_was_registered"),
    ("a rig may be made in a town", "what_is_refused_and_how"),
    ("a deleted rig's routes", "incident_48_of_a_deleted_rig_nothing_is_left_and_nothing_wakes_it"),
    (
        "a rig that cannot be destroyed",
        "a_rig_that_does_not_answer_stays_in_the_list_until_it_is_gone",
    ),
    ("a town's events leave out", "the_events_of_a_town_are_those_of_its_rigs_by_time"),
    (
        "`bead-closed` counts",
        "a_convoy_has_landed_when_all_of_its_beads_in_all_rigs_are_closed_whoever_was_told",
    ),
    ("a convoy's bead need not", "what_is_refused_and_how"),
    (
        "an escalation of a town",
        "the_escalations_of_all_rigs_are_one_list_and_each_is_acknowledged_where_it_is",
    ),
    ("a town's config has", "what_is_refused_and_how"),
];

impl World for TestRig {
    fn ask(&mut self, by: By, names: &Names, [method, path, body]: [&str; 3]) -> (u16, Value) {
        let caller = match by {
            By::Operator => operator(),
            By::Container => container(),
            By::Agent => Caller::Agent(Claims {
                agent_id: names.get("AGENT").to_owned(),
                rig_id: self.engine.rig.clone(),
                town_id: "local".to_owned(),
                user_id: "operator".to_owned(),
                attempt: names.get("ATTEMPT").parse().unwrap(),
                iat: 0,
                exp: i64::MAX / 2_000,
            }),
        };
        self.call(&caller, method, path, body)
    }

    fn tick(&mut self) {
        self.pass(1_000);
        self.schedule();
        self.accept();
    }
}

#[test]
fn gastowns_calls_are_answered_as_its_clients_expect() {
    let wrong = table::wrong(&mut TestRig::new());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The first cells of the rows of a table of `docs/api.md`.
fn rows_of(heading: &str) -> Vec<String> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    let (_, section) = text.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|it| it.starts_with('|')).skip(2);
    rows.map(|row| row.split('|').nth(1).unwrap().trim().to_owned()).collect()
}

#[test]
fn what_differs_from_gastown_is_written_down_and_shown() {
    let rows = rows_of("## Differences from Gastown");
    let shown: Vec<&str> = CALLS
        .iter()
        .map(|it| it.differs)
        .chain(ELSEWHERE.iter().map(|(row, _)| *row))
        .filter(|it| !it.is_empty())
        .collect();
    for words in &shown {
        let count = rows.iter().filter(|it| it.contains(words)).count();
        assert_eq!(count, 1, "docs/api.md has {count} rows with {words:?}, not one");
    }
    for row in &rows {
        assert!(shown.iter().any(|it| row.contains(it)), "no test shows that {row:?} is so");
    }
}
