//! All merges: which are known, which wait, which are at work.
//!
//! ```text
//! submit --> waiting, in order for each rig and target --> at work --> over, reported until accepted
//!               |   a newer start of the same entry           |
//!               +---- gives up the older, and so does `stale`-+
//! ```
//!
//! It must never do one start of an entry twice, two requests for one target at a time, or report for an entry that
//! the rig has given up.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use beadrig::wire::container::Advice;
use beadrig::wire::merge::{
    Landing, LandingVerdict, LandingVerdicts, MergeAtWork, MergeEntry, MergeReason, MergeRequest,
};
use beadrig::wire::review::CompleteReview;
use reqwest::StatusCode;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Git;
use super::batch::Batch;
use super::command::Setting;
use super::credentials::Credentials;
use super::gates::Gates;
use super::names::{check_branch, check_url, is_id};
use super::outcome::Outcome;
use crate::journal::{Journal, MergeName};
use crate::limits::{
    GATE_S_MAX, GATES_MAX, LANDING_PAUSE_MS, LANDING_TRIES_MAX, LOOK_MS, MERGE_ENTRIES_MAX,
    MERGES_AT_ONCE, MERGES_KNOWN_MAX, MERGES_WAITING_MAX, TIME_LIMIT_S_MAX,
};
use crate::policy::Denial;
use crate::report::Reporter;
use crate::rig::Rig;

/// Takes requests for merges and sees to them.
#[derive(Clone)]
pub struct Merger(Arc<Desk>);

/// Where merges are kept and reported.
pub(super) struct Desk {
    git: Arc<Git>,
    rig: Rig,
    reporter: Reporter,
    journal: Journal,
    book: Mutex<Book>,
    places: Semaphore,
    closing: watch::Sender<bool>,
}

#[derive(Default)]
struct Book {
    queues: HashMap<(String, Option<String>), VecDeque<Job>>,
    waiting: usize,
    /// By rig and entry.
    known: BTreeMap<(String, String), Known>,
    over: VecDeque<(String, String)>,
    serial: u64,
}

/// The newest start of an entry.
struct Known {
    /// Which; none if the request did not say.
    attempt: Option<i64>,
    /// Distinguishes starts that have no number.
    serial: u64,
    /// Gives it up; none once it is over.
    give_up: Option<watch::Sender<bool>>,
}

struct Job {
    request: MergeRequest,
    tickets: Vec<Ticket>,
}

/// One entry at work.
pub(super) struct Ticket {
    pub(super) entry: MergeEntry,
    /// What goes into reports.
    attempt: Option<i64>,
    serial: u64,
    given_up: watch::Receiver<bool>,
}

impl Ticket {
    /// Whether the rig wants it no more.
    pub(super) fn is_given_up(&self) -> bool {
        *self.given_up.borrow()
    }

    /// Waits until the rig wants it no more.
    pub(super) async fn given_up(&self) {
        let mut given_up = self.given_up.clone();
        if given_up.wait_for(|it| *it).await.is_err() {
            // It has its outcome; nobody gives it up any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Merger {
    /// Nothing to do yet, but to report what an earlier service left: a start that it took is not done again when
    /// the rig asks for it once more, for what came of it is on its way.
    pub fn new(
        git: Arc<Git>,
        rig: Rig,
        reporter: Reporter,
        journal: Journal,
        left: Vec<(MergeName, CompleteReview)>,
    ) -> Self {
        let places = Semaphore::new(MERGES_AT_ONCE);
        let (closing, _) = watch::channel(false);
        let mut book = Book::default();
        for (MergeName { rig, entry, attempt }, report) in left {
            tracing::warn!(rig, entry, attempt, "an earlier service did not report a merge");
            reporter.send_merge(&rig, &entry, &report);
            book.is_over((rig, entry), attempt);
        }
        let book = Mutex::new(book);
        Self(Arc::new(Desk { git, rig, reporter, journal, book, places, closing }))
    }

    /// Takes a request; it does not wait. Without numbers, as Gastown sends it, it counts as new if it is not at work.
    pub fn submit(&self, mut request: MergeRequest, has_numbers: bool) -> Result<(), Denial> {
        check(&request).map_err(Denial::Invalid)?;
        if *self.0.closing.borrow() {
            return Err(Denial::Closing);
        }
        let mut book = self.0.book();
        let rig = request.rig_id.clone();
        let mut fresh = Vec::new();
        for entry in std::mem::take(&mut request.entries) {
            let attempt = has_numbers.then_some(entry.attempt);
            let known = book.known.get(&(rig.clone(), entry.entry_id.clone()));
            if let Some(known) = known {
                let newest = known.attempt.unwrap_or_default();
                if known.attempt.is_some() && attempt.is_some_and(|attempt| attempt < newest) {
                    let (entry, attempt) = (entry.entry_id, attempt.unwrap_or_default());
                    return Err(Denial::StaleMerge { entry, attempt, newest });
                }
                let is_same = known.attempt == attempt;
                if is_same && (attempt.is_some() || known.give_up.is_some()) {
                    continue;
                }
            }
            fresh.push((entry, attempt));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        if book.waiting >= MERGES_WAITING_MAX {
            return Err(Denial::MergesFull(MERGES_WAITING_MAX));
        }
        let desk = &self.0;
        let tickets =
            fresh.into_iter().map(|(entry, attempt)| desk.open(&mut book, &rig, entry, attempt));
        let tickets = tickets.collect();
        let key = (rig, request.target_branch.clone());
        book.waiting += 1;
        let job = Job { request, tickets };
        if let Some(queue) = book.queues.get_mut(&key) {
            queue.push_back(job);
        } else {
            book.queues.insert(key.clone(), VecDeque::from([job]));
            tokio::spawn(serve(Arc::clone(&self.0), key));
        }
        Ok(())
    }

    /// The merges that are not over, by rig.
    pub fn at_work(&self) -> BTreeMap<String, Vec<MergeAtWork>> {
        let mut all: BTreeMap<String, Vec<MergeAtWork>> = BTreeMap::new();
        for ((rig, entry_id), known) in &self.0.book().known {
            if let (Some(_), Some(attempt)) = (&known.give_up, known.attempt) {
                let work = MergeAtWork { entry_id: entry_id.clone(), attempt };
                all.entry(rig.clone()).or_default().push(work);
            }
        }
        all
    }

    /// Does what a rig said to the merges that it was told of.
    pub fn verdicts(&self, rig: &str, verdicts: &[LandingVerdict]) {
        let unwanted = verdicts.iter().filter(|verdict| verdict.verdict != Advice::Ok);
        for LandingVerdict { entry_id, attempt, .. } in unwanted {
            self.0.give_up(rig, entry_id, *attempt);
        }
    }

    /// Takes no more, and ends what is at work: each is reported as interrupted.
    pub async fn close(&self) {
        self.0.closing.send_replace(true);
        while !self.0.book().queues.is_empty() {
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
    }
}

/// Does the requests of one rig and target, one after the other.
async fn serve(desk: Arc<Desk>, key: (String, Option<String>)) {
    let mut closing = desk.closing.subscribe();
    loop {
        let job = desk.book().next(&key);
        let Some(job) = job.map(Arc::new) else { return };
        // A task of its own, so that one that panics does not take the queue along. Dropped, it is ended.
        let mut work = JoinSet::new();
        work.spawn({
            let (desk, job) = (Arc::clone(&desk), Arc::clone(&job));
            async move {
                let Ok(_place) = desk.places.acquire().await else { return };
                desk.one(&job).await;
            }
        });
        let closed = async { drop(closing.wait_for(|it| *it).await) };
        tokio::select! {
            _ = work.join_next() => {}
            () = closed => work.shutdown().await,
        }
        for ticket in &job.tickets {
            let why = "the service ended before the merge was done: it can be started again";
            let outcome = Outcome::new(MergeReason::ContainerFailed, why);
            desk.settle(&job.request.rig_id, ticket, outcome);
        }
    }
}

impl Desk {
    async fn one(&self, job: &Job) {
        let Job { request, tickets } = job;
        let MergeRequest { rig_id, git_url, .. } = request;
        let credentials = Credentials::new(git_url, &request.env_vars);
        let setting = Setting::new(&self.git, credentials);
        let marker: [(OsString, OsString); 2] = [
            ("BEADRIG_SUPERVISOR".into(), self.git.supervisor.clone()),
            ("BEADRIG_MERGE".into(), tickets[0].serial.to_string().into()),
        ];
        let (list, parallel) = (request.gates.clone(), request.gates_parallel);
        let gates = Gates::new(list, parallel, &request.env_vars, &marker, setting.clone());
        let repo = self.git.repo(rig_id, git_url, setting);
        Batch::new(self, request, tickets, repo, gates).run().await;
    }

    /// Reports an entry, once, unless the rig wants it no more.
    pub(super) fn settle(&self, rig: &str, ticket: &Ticket, outcome: Outcome) {
        let entry = &ticket.entry.entry_id;
        if !self.book().close(rig, ticket) {
            return;
        }
        let reason = outcome.reason;
        tracing::info!(rig, entry, attempt = ticket.attempt, ?reason, "a merge is over");
        let report = outcome.report(ticket.attempt);
        if let Some(name) = name(rig, entry, ticket.attempt) {
            self.journal.merge_ended(name, &report);
        }
        self.reporter.send_merge(rig, entry, &report);
    }

    /// Writes down a start, before it is answered; an older one of the same entry is given up.
    fn open(&self, book: &mut Book, rig: &str, entry: MergeEntry, attempt: Option<i64>) -> Ticket {
        let begun = name(rig, &entry.entry_id, attempt);
        let (ticket, older) = book.open(rig, entry, attempt);
        if let Some(older) = name(rig, &ticket.entry.entry_id, older) {
            self.journal.merge_told(older);
        }
        if let Some(begun) = begun {
            self.journal.merge_begun(begun);
        }
        ticket
    }

    /// Ends a start that the rig wants no more: nothing is to be told of it.
    fn give_up(&self, rig: &str, entry: &str, attempt: i64) {
        if self.book().give_up(rig, entry, attempt) {
            let (rig, entry) = (rig.to_owned(), entry.to_owned());
            self.journal.merge_told(MergeName { rig, entry, attempt });
        }
    }

    /// Asks the rig whether these may land; gives up those that may not. Says whether all may.
    pub(super) async fn may_land(&self, rig: &str, asked: &[&Ticket]) -> Result<bool, String> {
        let entries = asked.iter().filter_map(|ticket| {
            let entry_id = ticket.entry.entry_id.clone();
            ticket.attempt.map(|attempt| MergeAtWork { entry_id, attempt })
        });
        let question = Landing { entries: entries.collect() };
        if question.entries.is_empty() {
            return Ok(true);
        }
        let mut why = String::new();
        for tries in 0..LANDING_TRIES_MAX {
            if tries > 0 {
                sleep(Duration::from_millis(LANDING_PAUSE_MS << tries.min(10))).await;
            }
            let answer = self.rig.post(&format!("{rig}/review-queue/landing"), &question).await;
            let verdicts = match answer {
                Ok((status, bytes)) if status.is_success() => read(&bytes),
                // It knows nothing of them.
                Ok((StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::GONE, _)) => {
                    Some(LandingVerdicts { verdicts: Vec::new() })
                }
                Ok((status, _)) => {
                    why = format!("it answered {status}");
                    continue;
                }
                Err(error) => {
                    why = error.to_string();
                    continue;
                }
            };
            let Some(LandingVerdicts { verdicts }) = verdicts else {
                "its answer is unreadable".clone_into(&mut why);
                continue;
            };
            let mut all = true;
            for MergeAtWork { entry_id, attempt } in &question.entries {
                let said = verdicts
                    .iter()
                    .find(|verdict| (&verdict.entry_id, &verdict.attempt) == (entry_id, attempt));
                if said.is_none_or(|said| said.verdict != Advice::Ok) {
                    self.give_up(rig, entry_id, *attempt);
                    all = false;
                }
            }
            return Ok(all);
        }
        Err(why)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Writes down a start; an older one of the same entry is given up, and its number answered.
    fn open(
        &mut self,
        rig: &str,
        entry: MergeEntry,
        attempt: Option<i64>,
    ) -> (Ticket, Option<i64>) {
        self.serial += 1;
        let serial = self.serial;
        let key = (rig.to_owned(), entry.entry_id.clone());
        let (end, given_up) = watch::channel(false);
        let known = Known { attempt, serial, give_up: Some(end) };
        self.over.retain(|over| *over != key);
        let mut older = None;
        if let Some(Known { give_up: Some(end), attempt, .. }) = self.known.insert(key, known) {
            end.send_replace(true);
            older = attempt;
        }
        (Ticket { entry, attempt, serial, given_up }, older)
    }

    /// A start that an earlier service took.
    fn is_over(&mut self, key: (String, String), attempt: i64) {
        // By age: of two starts of an entry the newer one is known.
        let known = Known { attempt: Some(attempt), serial: 0, give_up: None };
        if self.known.insert(key.clone(), known).is_none() {
            self.remember(key);
        }
    }

    /// The next job of a queue; an empty queue ends with its task.
    fn next(&mut self, key: &(String, Option<String>)) -> Option<Job> {
        let job = self.queues.get_mut(key).and_then(VecDeque::pop_front);
        if job.is_some() {
            self.waiting -= 1;
        } else {
            self.queues.remove(key);
        }
        job
    }

    /// Ends a start that is wanted no more; says whether there was one.
    fn give_up(&mut self, rig: &str, entry: &str, attempt: i64) -> bool {
        let key = (rig.to_owned(), entry.to_owned());
        let Some(known) = self.known.get_mut(&key) else { return false };
        if known.attempt == Some(attempt)
            && let Some(give_up) = known.give_up.take()
        {
            give_up.send_replace(true);
            self.remember(key);
            return true;
        }
        false
    }

    /// Ends a start; says whether it was still wanted and had no outcome yet.
    fn close(&mut self, rig: &str, ticket: &Ticket) -> bool {
        let key = (rig.to_owned(), ticket.entry.entry_id.clone());
        let Some(known) = self.known.get_mut(&key) else { return false };
        if known.serial != ticket.serial || known.give_up.take().is_none() {
            return false;
        }
        self.remember(key);
        true
    }

    fn remember(&mut self, key: (String, String)) {
        self.over.push_back(key);
        if self.over.len() > MERGES_KNOWN_MAX
            && let Some(oldest) = self.over.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// How the journal calls a start; one without a number is not in it.
fn name(rig: &str, entry: &str, attempt: Option<i64>) -> Option<MergeName> {
    let (rig, entry) = (rig.to_owned(), entry.to_owned());
    attempt.map(|attempt| MergeName { rig, entry, attempt })
}

/// Reads verdicts, in the envelope or without.
fn read(bytes: &[u8]) -> Option<LandingVerdicts> {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let inner = value.get_mut("data").map(serde_json::Value::take);
    serde_json::from_value(inner.unwrap_or(value)).ok()
}

/// Whether a request makes sense. The refusal names the field, and shows no secret.
fn check(request: &MergeRequest) -> Result<(), String> {
    let MergeRequest { rig_id, git_url, target_branch, entries, gates, env_vars, .. } = request;
    if !is_id(rig_id) {
        return Err(format!("rigId cannot be one: {rig_id:?}"));
    }
    check_url("gitUrl", git_url)?;
    if let Some(target) = target_branch {
        check_branch("targetBranch", target)?;
    }
    if entries.is_empty() || entries.len() > MERGE_ENTRIES_MAX {
        return Err(format!("entries takes 1 to {MERGE_ENTRIES_MAX} of them"));
    }
    let mut seen = BTreeSet::new();
    for MergeEntry { entry_id, branch, .. } in entries {
        if !is_id(entry_id) || !seen.insert(entry_id) {
            return Err(format!("entryId cannot be one, or comes twice: {entry_id:?}"));
        }
        check_branch("branch", branch)?;
        if Some(branch) == target_branch.as_ref() {
            return Err(format!("branch {branch} cannot be merged into itself"));
        }
    }
    if request.time_limit_s.is_some_and(|it| !(1..=TIME_LIMIT_S_MAX).contains(&it)) {
        return Err(format!("timeLimitS takes 1 to {TIME_LIMIT_S_MAX}"));
    }
    if gates.len() > GATES_MAX {
        return Err(format!("gates takes at most {GATES_MAX}"));
    }
    for gate in gates {
        let is_text = |text: &str| !text.trim().is_empty() && !text.contains('\0');
        if !is_text(&gate.name) || !is_text(&gate.command) {
            return Err("gates: each takes a name and a command".to_owned());
        }
        if !(1..=GATE_S_MAX).contains(&gate.time_limit_s) {
            return Err(format!("gates: {}: time_limit_s takes 1 to {GATE_S_MAX}", gate.name));
        }
    }
    let is_variable = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    match env_vars.iter().find(|(name, value)| !is_variable(name) || value.contains('\0')) {
        Some((name, _)) => Err(format!("envVars has a variable that cannot be one: {name:?}")),
        None => Ok(()),
    }
}
