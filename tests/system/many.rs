//! Many starts that take long are under way at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::proxy::{Fate, Proxy};
use crate::runs::GATES;
use crate::support::{LATER, World, until};

const STARTS: usize = 30;

/// How long the container takes for each.
const EACH: Duration = Duration::from_secs(2);

/// From the first to the last.
const ALL: Duration = Duration::from_secs(3);

#[test]
fn thirty_starts_that_take_two_seconds_each_are_under_way_within_three() {
    let mut proxy = None;
    let world = World::start(|options| {
        let between = proxy.insert(Proxy::to(options.container_port.number()));
        let url = between.url.clone();
        // One tick sees them all.
        options
            .set("CONTAINER_URL", url)
            .set("MAX_AGENTS", STARTS)
            .set("MAX_CONCURRENCY", STARTS)
            .set("START_TIMEOUT_MS", 60_000)
            .set("ARM_DELAY_MS", 4_000)
    });
    let proxy = proxy.unwrap();
    proxy.next(&[Fate::Late(EACH); STARTS]);
    let rig = world.rig("many");
    rig.runs.open(&GATES);
    let made: Vec<String> = (0..STARTS)
        .map(|n| {
            let bead = json!({"title": format!("bead {n}"), "acceptance_criteria": "it is done",
                "assignee": "agent"});
            let answer = rig.operator("POST", "/beads", &bead.to_string()).unwrap();
            answer.body["data"]["id"].as_str().unwrap().to_owned()
        })
        .collect();
    until("thirty starts", LATER, || match proxy.starts() {
        STARTS.. => Ok(()),
        n => Err(n.to_string()),
    });
    let began: Vec<Instant> = proxy.began()[..STARTS].to_vec();
    let spread = began[STARTS - 1] - began[0];
    eprintln!("{STARTS} starts that take {EACH:?} each were under way within {spread:?}");
    assert!(spread < ALL, "{spread:?}");
    let first = began[0];
    for id in &made {
        let bead = rig.status_until(id, "closed", LATER * 2);
        assert_eq!(bead["attempts"], 1, "{bead:#}");
        assert_eq!(rig.runs.of(id).len(), 1, "{}", rig.runs.told());
    }
    eprintln!("their work was done {:?} after the first", first.elapsed());
}
