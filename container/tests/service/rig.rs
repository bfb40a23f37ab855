//! A rig that records reports and heartbeats, and answers as a test wants.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use beadrig::wire::Envelope;
use beadrig::wire::container::{Advice, ExitReport, Heartbeats, Verdict, Verdicts};
use beadrig::wire::merge::{Landing, LandingVerdict, LandingVerdicts, MergeAtWork};
use beadrig::wire::review::CompleteReview;

use crate::town::TOKEN;

/// One report that was sent, whatever it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) rig: String,
    pub(crate) agent: String,
    pub(crate) report: ExitReport,
    pub(crate) answered: u16,
}

#[derive(Default)]
struct Memory {
    reports: Vec<Sent>,
    heartbeats: Vec<(String, Heartbeats)>,
    answers: HashMap<String, VecDeque<u16>>,
    hanging: Vec<String>,
    advice: HashMap<String, Advice>,
    completions: Vec<(String, String, CompleteReview)>,
    landings: Vec<Landing>,
    no_word: bool,
    before_landing: VecDeque<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Default)]
pub(crate) struct FakeRig(Arc<Mutex<Memory>>);

impl FakeRig {
    /// Listens on some port and says which address that is.
    pub(crate) async fn listen(&self) -> String {
        let routes = Router::new()
            .route("/api/rigs/{rig}/agents/{agent}/completed", post(completed))
            .route("/api/rigs/{rig}/heartbeats", post(heartbeats))
            .route("/api/rigs/{rig}/review-queue/landing", post(landing))
            .route("/api/rigs/{rig}/review-queue/{entry}/complete", post(completed_review))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        format!("http://{address}")
    }

    /// The next reports of a rig are answered so.
    pub(crate) fn will_answer(&self, rig: &str, statuses: &[u16]) {
        self.0.lock().unwrap().answers.insert(rig.to_owned(), statuses.iter().copied().collect());
    }

    /// A rig answers nothing any more.
    pub(crate) fn hang(&self, rig: &str) {
        self.0.lock().unwrap().hanging.push(rig.to_owned());
    }

    /// A rig that was hanging answers again what comes from now on.
    pub(crate) fn wake(&self, rig: &str) {
        self.0.lock().unwrap().hanging.retain(|hanging| hanging != rig);
    }

    /// What is said of an agent or of a review from now on.
    pub(crate) fn advise(&self, agent: &str, advice: Advice) {
        self.0.lock().unwrap().advice.insert(agent.to_owned(), advice);
    }

    /// The reports of an agent so far.
    pub(crate) fn reports(&self, agent: &str) -> Vec<Sent> {
        let memory = self.0.lock().unwrap();
        memory.reports.iter().filter(|sent| sent.agent == agent).cloned().collect()
    }

    /// What came of reviews so far: rig, review, outcome.
    pub(crate) fn completions(&self) -> Vec<(String, String, CompleteReview)> {
        self.0.lock().unwrap().completions.clone()
    }

    /// The questions whether something may land so far.
    pub(crate) fn landings(&self) -> Vec<Landing> {
        self.0.lock().unwrap().landings.clone()
    }

    /// It answers no such question from now on but by an error.
    pub(crate) fn give_no_word(&self) {
        self.0.lock().unwrap().no_word = true;
    }

    /// What happens elsewhere just before the next such question is answered.
    pub(crate) fn before_landing(&self, deed: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().before_landing.push_back(Box::new(deed));
    }

    /// The heartbeats so far.
    pub(crate) fn heartbeats(&self) -> Vec<(String, Heartbeats)> {
        self.0.lock().unwrap().heartbeats.clone()
    }
}

impl Memory {
    fn of_merges(&self, merges: &[MergeAtWork]) -> Vec<LandingVerdict> {
        let of_merge = |merge: &MergeAtWork| LandingVerdict {
            entry_id: merge.entry_id.clone(),
            attempt: merge.attempt,
            verdict: self.advice.get(&merge.entry_id).copied().unwrap_or(Advice::Ok),
        };
        merges.iter().map(of_merge).collect()
    }
}

fn is_known(headers: &HeaderMap) -> bool {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    shown == Some(&format!("Bearer {TOKEN}"))
}

async fn hold(rig: &FakeRig, name: &str) {
    if rig.0.lock().unwrap().hanging.iter().any(|hanging| hanging == name) {
        pending::<()>().await;
    }
}

async fn completed(
    State(rig): State<FakeRig>,
    Path((name, agent)): Path<(String, String)>,
    headers: HeaderMap,
    Json(report): Json<ExitReport>,
) -> StatusCode {
    assert!(is_known(&headers));
    hold(&rig, &name).await;
    let mut memory = rig.0.lock().unwrap();
    let answered = memory.answers.get_mut(&name).and_then(VecDeque::pop_front).unwrap_or(200);
    memory.reports.push(Sent { rig: name, agent, report, answered });
    StatusCode::from_u16(answered).unwrap()
}

async fn heartbeats(
    State(rig): State<FakeRig>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(beats): Json<Heartbeats>,
) -> Response {
    assert!(is_known(&headers));
    hold(&rig, &name).await;
    let mut memory = rig.0.lock().unwrap();
    let verdicts = beats.agents.iter().map(|beat| Verdict {
        agent_id: beat.agent_id.clone(),
        attempt: beat.attempt,
        verdict: memory.advice.get(&beat.agent_id).copied().unwrap_or(Advice::Ok),
    });
    let merges = memory.of_merges(&beats.merges);
    let verdicts = Verdicts { verdicts: verdicts.collect(), merges };
    memory.heartbeats.push((name, beats));
    Json(Envelope::ok(verdicts)).into_response()
}

async fn landing(
    State(rig): State<FakeRig>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Landing>,
) -> Response {
    assert!(is_known(&headers));
    hold(&rig, &name).await;
    let deed = rig.0.lock().unwrap().before_landing.pop_front();
    if let Some(deed) = deed {
        deed();
    }
    let mut memory = rig.0.lock().unwrap();
    let verdicts = memory.of_merges(&asked.entries);
    memory.landings.push(asked);
    if memory.no_word {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Json(Envelope::ok(LandingVerdicts { verdicts })).into_response()
}

async fn completed_review(
    State(rig): State<FakeRig>,
    Path((name, entry)): Path<(String, String)>,
    headers: HeaderMap,
    Json(report): Json<CompleteReview>,
) -> StatusCode {
    assert!(is_known(&headers));
    let mut memory = rig.0.lock().unwrap();
    let answered = memory.answers.get_mut(&name).and_then(VecDeque::pop_front).unwrap_or(200);
    if answered == 200 {
        memory.completions.push((name, entry, report));
    }
    StatusCode::from_u16(answered).unwrap()
}
