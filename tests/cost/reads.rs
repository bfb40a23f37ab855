//! What is read costs what it returns, whatever a rig has done before.

use serde_json::{Value, json};

use super::live::{Live, Rig};
use super::{Cost, STILL, cost};

/// Closed beads, with three lines of the audit each.
const PASTS: [u64; 3] = [0, 10_000, 50_000];

/// Beads that are not finished: more than any page below.
const OPEN: u64 = 60;

/// Rows that an answer may read besides those that it returns: what is not finished may be looked through, and the way
/// to where it begins.
const BESIDES: u64 = OPEN + 60;

/// Rows that an answer may read for each that it returns: its place in an index, itself, what it waits for.
const FOR_EACH: u64 = 6;

/// A rig with a past, an agent that had all of it and holds a bead, and that bead.
fn rig_with(live: &Live, past: u64) -> (Rig<'_>, String, String) {
    let rig = live.rig(format!("reads-{past}"));
    let agent = json!({"role": "polecat", "name": "Ann", "identity": "polecat/Ann"});
    let agent = rig.post("/agents", &agent)["id"].as_str().unwrap().to_owned();
    rig.bench("seed", &json!({"beads": past, "agents": [agent]}));
    let mut bead = String::new();
    for n in 0..OPEN {
        let made = rig.post("/beads", &json!({"title": format!("bead {n}")}));
        made["id"].as_str().unwrap().clone_into(&mut bead);
    }
    rig.post(&format!("/agents/{agent}/hook"), &json!({"bead_id": bead}));
    (rig, agent, bead)
}

/// How many rows of beads, events and so on an answer shows.
fn shown(answer: &Value) -> u64 {
    let lists = match answer {
        Value::Array(all) => return all.len() as u64,
        Value::Object(fields) => fields.values().filter_map(Value::as_array),
        _ => return 1,
    };
    1 + lists.map(|it| it.len() as u64).sum::<u64>()
}

#[test]
fn what_is_read_costs_what_it_returns_whatever_there_was_before() {
    let live = Live::start(&STILL);
    let mut tables: Vec<Vec<(Cost, u64)>> = Vec::new();
    let reads = [
        "/beads?limit=10",
        "/beads?limit=50",
        "/beads?limit=50&exclude_status=closed,failed",
        "/beads?limit=10&status=closed",
        "/beads?limit=50&status=in_progress",
        "/beads?ids=BEAD",
        "/details?ids=BEAD",
        "/beads/BEAD",
        "/beads/BEAD/children",
        "/beads/BEAD/dependencies",
        "/ready?limit=50",
        "/blocked",
        "/events?limit=10",
        "/events?limit=100",
        "/events?bead_id=BEAD",
        "/events?limit=10&since=2020-01-01T00:00:00.000Z",
        "/events?limit=10&since=2999-01-01T00:00:00.000Z",
        "/agents",
        "/agents/AGENT",
        "/agents/AGENT/prime",
        "/agents/AGENT/checkpoint",
        "/agents/AGENT/events",
        "/agents/AGENT/mail",
        "/review-queue",
        "/escalations",
        "/convoys",
        "/refusals",
        "/config",
        "/health",
    ];
    for past in PASTS {
        let (rig, agent, bead) = rig_with(&live, past);
        let measured = reads.map(|path| {
            let path = path.replace("AGENT", &agent).replace("BEAD", &bead);
            let (cost, answer) = cost(&rig, || rig.get(&path));
            (cost, shown(&answer))
        });
        tables.push(measured.to_vec());
        // What looks at many beads, and may not become more: how many there are, of which so many are counted, and a
        // list by a word that none has; and the names that a part may mean.
        let counted = u64::from(beadrig::limits::STATUS_FINISHED_MAX);
        let many = [
            ("/status", past.min(counted)),
            ("/beads?limit=10&label=none", past),
            ("/names?part=none", past.min(counted)),
        ];
        for (path, most) in many {
            let cost = cost(&rig, || rig.get(path)).0;
            println!("{path} with {past}: {} rows read", cost.rows_read);
            assert!(cost.rows_read <= 2 * (most + OPEN) + 10, "{path}: {cost:?}");
        }
    }
    let mut wrong = Vec::new();
    println!("rows read for rows shown, with {PASTS:?} closed beads");
    for (n, path) in reads.iter().enumerate() {
        let row: Vec<_> = tables.iter().map(|table| table[n]).collect();
        let told: Vec<_> =
            row.iter().map(|(cost, shown)| format!("{} for {shown}", cost.rows_read)).collect();
        println!("{path:<52} {}", told.join(", "));
        let dear = |(cost, shown): &(Cost, u64)| {
            cost.rows_read > BESIDES + FOR_EACH * shown || cost.rows_written > 0
        };
        if row.iter().any(dear) {
            wrong.push(format!("{path}: {row:?}"));
        }
    }
    assert!(wrong.is_empty(), "cost more than they show:\n{}", wrong.join("\n"));
}
