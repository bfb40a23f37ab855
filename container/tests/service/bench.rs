//! What the service costs: `cargo xtask bench container`. It prints a table and asserts nothing about time.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints a report")]

use std::time::{Duration, Instant};

use beadrig::wire::container::{EventPage, Phase};
use serde_json::json;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::program::Program;
use crate::stream::Reader;
use crate::town::{Town, start, until};

const AGENTS: usize = 30;
const RIGS: usize = 5;
/// What each agent prints in a second: 10 MB.
const LINES_A_SECOND: u64 = 10_000;
const LINE_BYTES: usize = 1_000;
const SECONDS: u64 = 10;
/// Agents that others read along with.
const FOLLOWED: usize = 4;
/// Events after which a reader goes away, to come back with the id of the last one.
const COMES_BACK_AFTER: u64 = 5_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a while and the machine: cargo xtask bench container"]
async fn thirty_agents_on_five_rigs() {
    let mut town = Town::without_service(&[]).await;
    let settings = [("MAX_CONCURRENCY", "64"), ("RUST_LOG", "error"), ("MIN_FREE_MEMORY_MB", "0")];
    let program = Program::with(&mut town, &settings).await;
    let service = Pid::from_u32(program.0.id());
    println!("\n{AGENTS} agents at once on {RIGS} rigs");
    row("memory, idle (target 15 MB)", &megabytes(look(service).0));
    let mut latencies = start_all(&town, 1, "exec sleep 600").await;
    latencies.sort_unstable();
    row("start to answer, p50", &millis(latencies[AGENTS / 2]));
    row("start to answer, p99", &millis(latencies[AGENTS - 1]));
    let watched = look(service).1;
    tokio::time::sleep(Duration::from_secs(10)).await;
    row("memory, 30 agents that say nothing (target 30 MB)", &megabytes(look(service).0));
    let percent = look(service).1.saturating_sub(watched).as_secs_f64() * 10.0;
    row("CPU, 30 agents that say nothing", &format!("{percent:.1} %"));
    flood(&town, service).await;
}

/// Every agent says 10 MB a second for 10 seconds; every line has a number. Of some agents others read along.
async fn flood(town: &Town, service: Pid) {
    let pad = "x".repeat(LINE_BYTES - 9);
    let all = SECONDS * LINES_A_SECOND;
    let script = format!(
        "i=0; while [ $i -lt {all} ]; do n=$((i + {LINES_A_SECOND})); \
         awk -v i=$i -v n=$n 'BEGIN {{ for (; i < n; i++) printf \"%07d {pad}\\n\", i }}'; \
         i=$n; sleep 1; done; echo done"
    );
    let (began, before) = (Instant::now(), look(service).1);
    start_all(town, 2, &script).await;
    let mut readers = Vec::new();
    for agent in (0..FOLLOWED).map(|agent| format!("a{agent}")) {
        for pace in [Pace::Keen, Pace::Slow, Pace::Asleep] {
            readers.push((pace, tokio::spawn(follow(town.url.clone(), agent.clone(), pace))));
        }
    }
    let mut most = 0;
    let mut lines = 0;
    for agent in 0..AGENTS {
        let agent = format!("a{agent}");
        until(async || {
            most = most.max(look(service).0);
            let status = town.status(&agent).await;
            if status.status == Phase::Exited { Ok(()) } else { Err(status.status) }
        })
        .await;
        lines += said(town, &agent).await;
    }
    let (took, cpu) = (began.elapsed(), look(service).1.saturating_sub(before));
    let expected = AGENTS as u64 * (all + 1);
    let bytes = (lines * LINE_BYTES as u64) as f64 / 1e6;
    row("output: lines said, lines numbered", &format!("{expected}, {lines}"));
    row("output: how much, in how long", &format!("{bytes:.0} MB, {:.1} s", took.as_secs_f64()));
    row("output: CPU per MB", &format!("{:.2} ms", cpu.as_secs_f64() * 1e3 / bytes));
    row("output: memory at most (target 30 MB)", &megabytes(most));
    assert_eq!(lines, expected, "a line was lost");
    for (pace, reader) in readers {
        let Followed { seen, missed, times } = reader.await.unwrap();
        let figures = format!("{seen}, {missed}, {times}");
        row(&format!("{}: seen, said to be missed, times", pace.name()), &figures);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    row("memory, all is over", &megabytes(look(service).0));
}

/// How somebody reads along.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// As fast as it can, and goes away and comes back now and then.
    Keen,
    /// Waits a while after every ten events.
    Slow,
    /// Reads nothing until the flood is over.
    Asleep,
}

impl Pace {
    fn name(self) -> &'static str {
        match self {
            Self::Keen => "a reader that comes and goes",
            Self::Slow => "a slow reader",
            Self::Asleep => "a reader that sleeps",
        }
    }
}

/// What somebody has read in the end.
struct Followed {
    seen: u64,
    missed: u64,
    times: u64,
}

/// Reads along until the run is over. No event may be lost without a word: each has the id after the last one, or
/// after as many as were said to be missed; and each line has the number that belongs to its id.
async fn follow(url: String, agent: String, pace: Pace) -> Followed {
    let mut followed = Followed { seen: 0, missed: 0, times: 0 };
    let mut last = 0;
    let mut ahead = None;
    loop {
        followed.times += 1;
        let mut reader = Reader::at(&url, &agent, Some(last)).await;
        if pace == Pace::Asleep {
            tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        }
        let mut here = 0;
        while let Some((kind, id, line)) = reader.next().await {
            let Some(id) = id else {
                assert_eq!(kind, "missed");
                let missed = line.parse::<u64>().unwrap();
                (last, followed.missed) = (last + missed, followed.missed + missed);
                continue;
            };
            assert_eq!(id, last + 1, "{agent}: events are gone and nobody said so");
            (last, here, followed.seen) = (id, here + 1, followed.seen + 1);
            match (kind.as_str(), line.split_once(' ')) {
                ("stdout", Some((number, _))) => {
                    let number: u64 = number.parse().unwrap();
                    assert_eq!(line.len(), LINE_BYTES - 1, "{agent}: {line:.20}");
                    // Before the first line there are some states of its life; one may come a little after it.
                    let (first, before) = *ahead.get_or_insert((id - number, id - number));
                    let is_right = (before..=first + 1).contains(&(id - number));
                    assert!(is_right, "{agent}: {id} is line {number}, {before} before it");
                    ahead = Some((first, id - number));
                }
                ("status", None) if line == "exited" => return followed,
                _ => {}
            }
            match pace {
                Pace::Slow if id % 10 == 0 => tokio::time::sleep(Duration::from_millis(5)).await,
                Pace::Keen if here == COMES_BACK_AFTER => break,
                Pace::Keen | Pace::Slow | Pace::Asleep => {}
            }
        }
    }
}

/// How many lines an agent's run has said, by their ids; the ring has the last ones without a gap.
async fn said(town: &Town, agent: &str) -> u64 {
    let (_, page) = town.get(&format!("/agents/{agent}/events")).await;
    let page: EventPage = serde_json::from_value(page).unwrap();
    let ids: Vec<_> = page.events.iter().map(|event| event.id).collect();
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap in the ring");
    let [lines @ .., done, exited] = &page.events[..] else { panic!("no events") };
    assert_eq!((done.data.as_str(), exited.data.as_str()), ("done", "exited"));
    let last = format!("{:07} ", SECONDS * LINES_A_SECOND - 1);
    assert!(lines.last().is_some_and(|line| line.data.starts_with(&last)), "the last line");
    // The first run has said nothing: starting, running, stopping, exited. This one says three states itself.
    exited.id - 4 - 3
}

async fn start_all(town: &Town, attempt: i64, script: &str) -> Vec<Duration> {
    for agent in 0..AGENTS {
        town.post(&format!("/agents/a{agent}/stop"), json!({})).await;
    }
    if attempt > 1 {
        for agent in 0..AGENTS {
            town.report(&format!("a{agent}"), attempt - 1).await;
        }
    }
    let starts = (0..AGENTS).map(async |agent| {
        let mut request = start(&format!("a{agent}"), attempt, script);
        request["rigId"] = json!(format!("r{}", agent % RIGS));
        let began = Instant::now();
        let (status, body) = town.post("/agents/start", request).await;
        assert_eq!(status, 201, "{body}");
        began.elapsed()
    });
    futures_util::future::join_all(starts).await
}

/// Resident memory in bytes, and the CPU time so far.
fn look(service: Pid) -> (u64, Duration) {
    let mut system = System::new().unwrap();
    let what = ProcessRefreshKind::nothing().without_tasks().with_memory().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[service]), true, what);
    let process = system.process(service).expect("it runs");
    (process.memory(), Duration::from_millis(process.accumulated_cpu_time()))
}

fn row(what: &str, figure: &str) {
    println!("  {what:<52} {figure:>18}");
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
