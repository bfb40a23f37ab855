//! Reports of runs and merges that are over: each is sent until its rig has answered it, in order, one at a time for each rig.
//!
//! ```text
//! waiting --2xx--> accepted
//!    | ^  --404, 409--> dropped: the rig wants it no more
//!    +-+  anything else, or no answer: again after a pause that doubles
//! ```
//!
//! Every rig has a task of its own while reports of it wait, so that a slow rig never delays another one.
//! It must never keep more than a bounded number of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use beadrig::wire::container::ExitReport;
use beadrig::wire::review::CompleteReview;
use reqwest::StatusCode;
use tokio::time::sleep;

use crate::journal::{Journal, MergeName, Name};
use crate::limits::{LOOK_MS, REPORT_BACKOFF_MS_MAX, REPORT_BACKOFF_MS_MIN, REPORTS_WAITING_MAX};
use crate::rig::Rig;

/// Takes reports and sees to them.
#[derive(Clone)]
pub struct Reporter {
    rig: Rig,
    journal: Journal,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    by_rig: HashMap<String, VecDeque<Arc<Letter>>>,
    total: usize,
}

struct Letter {
    /// Below `/api/rigs/`.
    path: String,
    report: serde_json::Value,
    /// What it is of, if that is in the journal.
    of: Option<Of>,
}

enum Of {
    Run(Name),
    Merge(MergeName),
}

impl Reporter {
    /// Nothing to send yet.
    pub fn new(rig: Rig, journal: Journal) -> Self {
        Self { rig, journal, waiting: Arc::default() }
    }

    /// Takes a report of a run; it does not wait.
    pub fn send(&self, rig: &str, agent: &str, report: ExitReport) {
        let of = report.attempt.map(|attempt| {
            let (rig, agent) = (rig.to_owned(), agent.to_owned());
            Of::Run(Name { rig, agent, attempt })
        });
        let report = serde_json::to_value(report).expect("plain data");
        self.put(rig, &format!("agents/{agent}/completed"), report, of);
    }

    /// Takes a report of a merge; it does not wait.
    pub fn send_merge(&self, rig: &str, entry: &str, report: &CompleteReview) {
        let of = report.attempt.map(|attempt| {
            let (rig, entry) = (rig.to_owned(), entry.to_owned());
            Of::Merge(MergeName { rig, entry, attempt })
        });
        let report = serde_json::to_value(report).expect("plain data");
        self.put(rig, &format!("review-queue/{entry}/complete"), report, of);
    }

    fn put(&self, rig: &str, place: &str, report: serde_json::Value, of: Option<Of>) {
        let letter = Letter { path: format!("{rig}/{place}"), report, of };
        let is_served = self.waiting().put(rig, letter);
        if !is_served {
            tokio::spawn(self.clone().serve(rig.to_owned()));
        }
    }

    /// Waits until no report waits.
    pub async fn flush(&self) {
        while self.waiting().total > 0 {
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }

    /// How many reports wait.
    pub fn left(&self) -> usize {
        self.waiting().total
    }

    /// Sends the reports of one rig until none is left.
    async fn serve(self, rig: String) {
        let mut failures = 0;
        while let Some(letter) = self.next(&rig) {
            match self.deliver(&letter).await {
                Delivery::Done => {
                    self.note(&letter);
                    self.waiting().cross_out(&rig, &letter);
                    failures = 0;
                }
                Delivery::Refused => {
                    // One that the rig cannot take must not hold up the others.
                    self.waiting().put_last(&rig, &letter);
                    sleep(pause(failures)).await;
                    failures += 1;
                }
                Delivery::NotYet => {
                    sleep(pause(failures)).await;
                    failures += 1;
                }
            }
        }
    }

    /// A report is in the journal until its rig has it.
    fn note(&self, letter: &Letter) {
        match &letter.of {
            Some(Of::Run(name)) => self.journal.told(name.clone()),
            Some(Of::Merge(name)) => self.journal.merge_told(name.clone()),
            None => {}
        }
    }

    async fn deliver(&self, letter: &Letter) -> Delivery {
        let Letter { path, report, .. } = letter;
        let attempt = report["attempt"].as_i64();
        let answer = self.rig.post(path, report).await;
        let status = match answer {
            Ok((status, _)) => status,
            Err(error) => {
                tracing::warn!(path, attempt, %error, "no answer to a report");
                return Delivery::NotYet;
            }
        };
        match status {
            status if status.is_success() => return Delivery::Done,
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
                tracing::info!(path, attempt, %status, "the rig has no use for a report");
                return Delivery::Done;
            }
            _ => tracing::warn!(path, attempt, %status, "a report was not taken"),
        }
        match status {
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Delivery::Refused,
            _ => Delivery::NotYet,
        }
    }

    /// The next letter of a rig; with none left, the rig's task is done and the next letter begins another.
    fn next(&self, rig: &str) -> Option<Arc<Letter>> {
        let mut waiting = self.waiting();
        let letter = waiting.by_rig.get(rig).and_then(|queue| queue.front().cloned());
        if letter.is_none() {
            waiting.by_rig.remove(rig);
        }
        letter
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Delivery {
    Done,
    Refused,
    NotYet,
}

impl Waiting {
    /// Adds a letter; says whether the rig has a task that will see to it.
    fn put(&mut self, rig: &str, letter: Letter) -> bool {
        if self.total >= REPORTS_WAITING_MAX {
            self.make_room();
        }
        self.total += 1;
        let letter = Arc::new(letter);
        if let Some(queue) = self.by_rig.get_mut(rig) {
            queue.push_back(letter);
            return true;
        }
        self.by_rig.insert(rig.to_owned(), VecDeque::from([letter]));
        false
    }

    fn cross_out(&mut self, rig: &str, letter: &Arc<Letter>) -> bool {
        let Some(queue) = self.by_rig.get_mut(rig) else { return false };
        let Some(at) = queue.iter().position(|other| Arc::ptr_eq(other, letter)) else {
            return false;
        };
        queue.remove(at);
        self.total -= 1;
        true
    }

    fn put_last(&mut self, rig: &str, letter: &Arc<Letter>) {
        if self.cross_out(rig, letter)
            && let Some(queue) = self.by_rig.get_mut(rig)
        {
            queue.push_back(Arc::clone(letter));
            self.total += 1;
        }
    }

    /// Drops the oldest report of the rig that has most.
    fn make_room(&mut self) {
        let longest = self.by_rig.iter_mut().max_by_key(|(_, queue)| queue.len());
        if let Some((rig, queue)) = longest
            && let Some(letter) = queue.pop_front()
        {
            self.total -= 1;
            let attempt = letter.report["attempt"].as_i64();
            tracing::error!(
                rig,
                path = letter.path,
                attempt,
                "too many reports wait: one is dropped"
            );
        }
    }
}

/// Doubles with every failure, within bounds, and is shorter by up to half, so that services spread.
fn pause(failures: u32) -> Duration {
    let doubled = REPORT_BACKOFF_MS_MIN.saturating_mul(1 << failures.min(20));
    let longest = doubled.min(REPORT_BACKOFF_MS_MAX);
    Duration::from_millis(fastrand::u64(longest / 2..=longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(attempt: i64) -> Letter {
        Letter { path: "a1".to_owned(), report: serde_json::json!({"attempt": attempt}), of: None }
    }

    #[test]
    fn what_waits_is_bounded_and_the_fullest_rig_pays() {
        let mut waiting = Waiting::default();
        assert!(!waiting.put("quiet", letter(-1)));
        for attempt in 0..1500 {
            assert_eq!(waiting.put("down", letter(attempt)), attempt > 0);
        }
        assert!(waiting.put("quiet", letter(-2)));
        assert_eq!(waiting.total, REPORTS_WAITING_MAX);
        assert_eq!((waiting.by_rig["quiet"].len(), waiting.by_rig["down"].len()), (2, 998));
        assert_eq!(waiting.by_rig["down"][0].report["attempt"], 502);
    }

    #[test]
    fn the_pause_doubles_within_bounds() {
        for (failures, longest) in [(0, 200), (1, 400), (5, 6400), (6, 10_000), (u32::MAX, 10_000)]
        {
            let pause = pause(failures).as_millis();
            assert!((longest / 2..=longest).contains(&pause), "{failures}: {pause}");
        }
    }
}
