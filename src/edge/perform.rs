//! Effects, performed: asking the container, arming the alarm, telling.
//!
//! All calls of a tick go out at once, each with its own deadline, after the rows are durable. What comes of a
//! call is a command again.

use futures_util::future::join_all;
use worker::{Headers, Method, Request, RequestInit, Response, Result};

use super::hall::LAYER;
use super::http::{moment, within};
use super::rig::{Rig, say_fault};
use crate::command::{Command, Effect, StartAnswer, Tell};
use crate::wire::PROTOCOL;
use crate::wire::container::{AgentList, AgentStatus, Message, Problem, StartAgent, StopAgent};
use crate::wire::merge::{MergeAtWork, MergeRequest};
use crate::wire::town_config::TownLayer;

/// How long the container may take to answer, in milliseconds. The town gives up before, so that this only ends
/// a wait for the town itself; and all of a tick's calls together stay below the tick's own deadline.
const CALL_MS: u64 = 6_500;

/// How long the town may take to say what it sets, in milliseconds: it has its rows at hand, and together with a call
/// to the container it must fit into a tick.
const LAYER_MS: u64 = 1_000;

impl Rig {
    /// Performs what a step of the tick decided.
    pub(super) async fn perform(&self, effects: Vec<Effect>) -> Result<()> {
        let mut calls = Vec::new();
        let mut follow = Vec::new();
        let mut wakes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Tell(tell) => self.tell(&tell),
                Effect::WakeAt(at) => wakes.push(at),
                call @ (Effect::Start(_)
                | Effect::Merge(_)
                | Effect::Stop { .. }
                | Effect::Nudge { .. }) => {
                    calls.push(call);
                }
            }
        }
        if calls.iter().any(|it| matches!(it, Effect::Start(_))) {
            calls = self.with_layer(calls).await;
        }
        if !calls.is_empty() {
            // Never a process for a claim that the disk did not get.
            self.state.storage().sync().await?;
            for effects in join_all(calls.into_iter().map(|call| self.call(call))).await {
                follow.extend(effects);
            }
        }
        for effect in follow {
            match effect {
                Effect::Tell(tell) => self.tell(&tell),
                Effect::WakeAt(at) => wakes.push(at),
                // Found in the rows by the next tick.
                Effect::Start(_) | Effect::Merge(_) | Effect::Stop { .. } => {
                    wakes.push(moment().now);
                }
                // The mail says the same.
                Effect::Nudge { .. } => {}
            }
        }
        match wakes.into_iter().min() {
            Some(at) => self.arm(at).await,
            None => Ok(()),
        }
    }

    /// Starts with what the town sets now. A town that does not answer leaves them as they are: they were made with
    /// what it said last.
    async fn with_layer(&self, calls: Vec<Effect>) -> Vec<Effect> {
        let (layer, engine) = match (self.ask_layer().await, self.engine()) {
            (Ok(layer), Ok(engine)) => (layer, engine),
            (Err(err), _) => {
                say_fault(&format!("the town's settings: {err}"));
                return calls;
            }
            (_, Err(_)) => return calls,
        };
        if matches!(engine.knows_layer(&layer), Ok(true)) {
            return calls;
        }
        match engine.apply(moment(), Command::SetLayer(layer)) {
            Ok(outcome) => {
                for effect in outcome.effects {
                    if let Effect::Tell(tell) = effect {
                        self.tell(&tell);
                    }
                }
            }
            Err(err) => say_fault(&format!("the town's settings: {err}")),
        }
        let with = |call| match call {
            Effect::Start(start) => match engine.with_layer(&start) {
                Ok(start) => Effect::Start(Box::new(start)),
                Err(_) => Effect::Start(start),
            },
            other => other,
        };
        calls.into_iter().map(with).collect()
    }

    async fn ask_layer(&self) -> std::result::Result<TownLayer, String> {
        let engine = self.engine().map_err(|err| err.message)?;
        let town = engine.effective().map_err(|err| err.to_string())?.town;
        let call = async {
            let url = format!("http://town{LAYER}{}", engine.rig);
            let stub = self.env.durable_object("HALL")?.get_by_name(&town)?;
            let mut response = stub.fetch_with_str(&url).await?;
            match response.status_code() {
                200 => response.json::<TownLayer>().await,
                status => Err(worker::Error::RustError(format!("it answered {status}"))),
            }
        };
        match within(LAYER_MS, call).await {
            Some(answer) => answer.map_err(|err| err.to_string()),
            None => Err(format!("no answer within {LAYER_MS} ms")),
        }
    }

    async fn call(&self, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Start(start) => {
                let answer = self.start(&start).await;
                let command = Command::StartAnswered(start.agent_id, start.attempt, answer);
                self.hear("start answered", command)
            }
            Effect::Merge(merge) => {
                let answer = self.merge(&merge).await;
                let entries = merge.entries.into_iter();
                let merges = entries
                    .map(|it| MergeAtWork { entry_id: it.entry_id, attempt: it.attempt })
                    .collect();
                self.hear("merge answered", Command::MergeAnswered(merges, answer))
            }
            Effect::Stop { agent, attempt, reason } => {
                let stop = StopAgent { attempt: Some(attempt), reason: Some(reason) };
                let path = format!("/agents/{agent}/stop");
                // Whether it worked is for the exit report and the patrol to say.
                drop(
                    self.ask_container(Method::Post, &path, serde_json::to_string(&stop).ok())
                        .await,
                );
                Vec::new()
            }
            Effect::Nudge { agent, text } => {
                let path = format!("/agents/{agent}/message");
                // One that takes no line finds the same in its mail.
                let line = serde_json::to_string(&Message { prompt: text }).ok();
                drop(self.ask_container(Method::Post, &path, line).await);
                Vec::new()
            }
            Effect::WakeAt(_) | Effect::Tell(_) => Vec::new(),
        }
    }

    /// Takes what the container said.
    fn hear(&self, what: &str, said: Command) -> Vec<Effect> {
        let Ok(engine) = self.engine() else { return Vec::new() };
        match engine.apply(moment(), said) {
            Ok(outcome) => outcome.effects,
            Err(err) => {
                say_fault(&format!("{what}: {err}"));
                Vec::new()
            }
        }
    }

    async fn merge(&self, merge: &MergeRequest) -> StartAnswer {
        let body = serde_json::to_string(merge).ok();
        match self.ask_container(Method::Post, "/git/merge", body).await {
            Ok(response) if (200..300).contains(&response.status_code()) => StartAnswer::Accepted,
            Ok(response) => refused(response).await,
            Err(err) => StartAnswer::Unknown(err),
        }
    }

    async fn start(&self, start: &StartAgent) -> StartAnswer {
        let body = serde_json::to_string(start).ok();
        let mut response = match self.ask_container(Method::Post, "/agents/start", body).await {
            Ok(response) => response,
            Err(err) => return StartAnswer::Unknown(err),
        };
        let status = response.status_code();
        if (200..300).contains(&status) {
            return match response.json::<AgentStatus>().await {
                // Asked for again after it ended: its report, or the patrol, says how.
                Ok(it) if it.status.is_over() => {
                    StartAnswer::Unknown("it is over already".to_owned())
                }
                _ => StartAnswer::Accepted,
            };
        }
        refused(response).await
    }

    /// Asks the container about all runs of this rig; none if it does not answer.
    pub(super) async fn ask(&self) -> Option<AgentList> {
        let engine = self.engine().ok()?;
        let path = format!("/agents?rigId={}", engine.rig);
        let mut response = self.ask_container(Method::Get, &path, None).await.ok()?;
        let list: AgentList = match response.status_code() {
            200 => response.json().await.ok()?,
            _ => return None,
        };
        (list.protocol == PROTOCOL).then_some(list)
    }

    async fn ask_container(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> std::result::Result<Response, String> {
        let engine = self.engine().map_err(|err| err.message)?;
        let town = engine.effective().map_err(|err| err.to_string())?.town;
        let call = async {
            let mut init = RequestInit::new();
            let headers = Headers::new();
            // Who has work: the town tells it when its container is beyond help.
            headers.set(super::town::RIG_HEADER, &engine.rig)?;
            if let Some(body) = body {
                headers.set("content-type", "application/json")?;
                init.with_body(Some(body.into()));
            }
            init.with_method(method).with_headers(headers);
            let request = Request::new_with_init(&format!("http://town{path}"), &init)?;
            // A new stub each time: one that failed stays broken.
            self.env
                .durable_object("TOWN_CONTAINER")?
                .get_by_name(&town)?
                .fetch_with_request(request)
                .await
        };
        match within(CALL_MS, call).await {
            Some(answer) => answer.map_err(|err| err.to_string()),
            None => Err(format!("the container did not answer within {CALL_MS} ms")),
        }
    }

    pub(super) fn tell(&self, tell: &Tell) {
        let rig = self.engine().map(|engine| engine.rig.as_str()).unwrap_or_default();
        let mut line = serde_json::json!(tell);
        line["rig"] = rig.into();
        worker::console_log!("{line}");
    }
}

/// Why the container did not do what it was asked.
async fn refused(mut response: Response) -> StartAnswer {
    let status = response.status_code();
    match response.json::<Problem>().await {
        Ok(problem) => StartAnswer::of(problem),
        Err(_) => StartAnswer::Unknown(format!("the container answered {status} and no reason")),
    }
}
