//! Effects, performed: asking the container, arming the alarm, telling.
//!
//! All calls of a tick go out at once, each with its own deadline, after the rows are durable. What comes of a
//! call is a command again.

use futures_util::future::join_all;
use worker::{Headers, Method, Request, RequestInit, Response, Result};

use super::http::{moment, within};
use super::rig::{Rig, say_fault};
use crate::command::{Command, Effect, StartAnswer, Tell};
use crate::wire::PROTOCOL;
use crate::wire::container::{AgentList, AgentStatus, Problem, StartAgent, StopAgent};

/// How long the container may take to answer, in milliseconds. The town gives up before, so that this only ends
/// a wait for the town itself; and all of a tick's calls together stay below the tick's own deadline.
const CALL_MS: u64 = 6_500;

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
                call @ (Effect::Start(_) | Effect::Stop { .. }) => calls.push(call),
            }
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
                Effect::Start(_) | Effect::Stop { .. } => wakes.push(moment().now),
            }
        }
        match wakes.into_iter().min() {
            Some(at) => self.arm(at).await,
            None => Ok(()),
        }
    }

    async fn call(&self, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Start(start) => {
                let answer = self.start(&start).await;
                let Ok(engine) = self.engine() else { return Vec::new() };
                let command = Command::StartAnswered(start.agent_id, start.attempt, answer);
                match engine.apply(moment(), command) {
                    Ok(outcome) => outcome.effects,
                    Err(err) => {
                        say_fault(&format!("start answered: {err}"));
                        Vec::new()
                    }
                }
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
            Effect::WakeAt(_) | Effect::Tell(_) => Vec::new(),
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
        match response.json::<Problem>().await {
            Ok(problem) => match problem.code.as_str() {
                // A fault of its own, such as in the last moments of a service that ends: it may have begun it before.
                "unknown" | "internal" => StartAnswer::Unknown(problem.error),
                // Certainly not started; and what is wrong is the container, not the bead.
                "capacity" | "unauthorized" | "protocol" => StartAnswer::NoRoom(problem.error),
                _ => StartAnswer::Refused(problem.error),
            },
            Err(_) => {
                StartAnswer::Unknown(format!("the container answered {status} and no reason"))
            }
        }
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
