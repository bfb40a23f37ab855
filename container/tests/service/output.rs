//! Output: whatever an agent says, nothing stalls and nothing grows.

use beadrig::wire::container::{EventPage, Phase};
use serde_json::json;

use crate::town::Town;

#[tokio::test]
async fn three_megabytes_of_errors_and_a_line_of_a_hundred_do_not_stall() {
    let town = Town::new().await;
    let flood = "head -c 3000000 /dev/zero | tr '\\0' 'e' >&2; echo >&2; \
                 head -c 100000000 /dev/zero; echo; echo done";
    town.run("a1", 1, flood).await;
    let report = town.report("a1", 1).await;
    assert_eq!(report.exit_code, Some(0));
    assert!(report.output_tail.is_some_and(|tail| tail.len() <= 4096 && tail.ends_with("done")));
    let said = town.said("a1").await;
    assert_eq!(said.len(), 3, "{said:.100?}");
    assert!(said.iter().any(|line| line.ends_with("… [2991808 bytes cut]")));
    assert!(said.iter().any(|line| line.ends_with("… [99991808 bytes cut]")));
}

#[tokio::test]
async fn events_have_growing_ids_and_are_kept_until_the_next_run() {
    let town = Town::new().await;
    town.run("a1", 1, "echo one; echo two >&2; printf three").await;
    town.phase("a1", Phase::Exited).await;
    let all = events(&town, "").await;
    let ids: Vec<_> = all.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    let has = |source: &str, data: &str| {
        all.iter().any(|(_, other, line)| other == source && line == data)
    };
    assert!(has("stdout", "one") && has("stderr", "two") && has("stdout", "three"));
    assert!(has("status", "starting") && has("status", "running") && has("status", "exited"));
    assert_eq!(events(&town, "?after=2&limit=1").await, all[2..3]);
    let last = ids.len();
    assert_eq!(events(&town, &format!("?after={last}")).await, []);
    town.run("a1", 2, "echo again").await;
    town.phase("a1", Phase::Exited).await;
    let next = events(&town, &format!("?after={last}")).await;
    assert_eq!(next[0].0, last as u64 + 1);
    assert_eq!(events(&town, "").await, next);
    let (status, body) = town.get("/agents/a2/events").await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn only_the_last_lines_of_a_chatty_agent_are_kept() {
    let town = Town::new().await;
    town.run("a1", 1, "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done").await;
    town.phase("a1", Phase::Exited).await;
    let all = events(&town, "").await;
    assert_eq!(all.len(), 500);
    assert_eq!(all[498].2, "line 2999");
}

async fn events(town: &Town, query: &str) -> Vec<(u64, String, String)> {
    let (status, body) = town.get(&format!("/agents/a1/events{query}")).await;
    assert_eq!(status, 200, "{body}");
    let page: EventPage = serde_json::from_value(body).unwrap();
    page.events.into_iter().map(|event| (event.id, event.event, event.data)).collect()
}
