//! The Durable Object of a user's directory: it carries requests to the core, and what the core wants of rigs to those.
//!
//! Rigs are asked at once, so many at a time, each with a deadline; one that does not answer keeps no other back.

use futures_util::{StreamExt as _, stream};
use worker::{
    DurableObject, Env, Headers, Method, Request, RequestInit, Response, Result, State,
    durable_object,
};

use super::config;
use super::http::{self, answer, moment, refuse, within};
use super::rig::{caught, platform, say_fault};
use super::sql::DurableSql;
use crate::api;
use crate::directory::{self, EventsAsked, Merged, Said, Todo};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Registry, SqlError, Town, TownRig};
use crate::token::Secrets;
use crate::wire::Envelope;

/// How long a rig may take to answer a question, in milliseconds: it has its rows at hand.
const ANSWER_MS: u64 = 5_000;

/// How long a rig may take to end, in milliseconds: it waits for its container, which has 6.5 s for that.
const END_MS: u64 = 12_000;

/// A user's directory.
#[durable_object(fetch)]
pub struct Directory {
    env: Env,
    opened: std::result::Result<Opened, String>,
}

/// What is needed to answer.
struct Opened {
    directory: directory::Directory<DurableSql>,
    secrets: Secrets,
}

/// How the caller showed who it is; the rigs want to know it too.
struct Credentials {
    authorization: Option<String>,
    actor: Option<String>,
}

impl DurableObject for Directory {
    fn new(state: State, env: Env) -> Self {
        let opened = open(&state, &env);
        Self { env, opened }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        match caught(self.answer(req)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(refusal)) => refuse(&refusal),
            Err(panic) => {
                let response = api::fault(moment(), &panic);
                say_fault(response.fault.as_deref().unwrap_or_default());
                answer(response.status, &response.body)
            }
        }
    }
}

fn open(state: &State, env: &Env) -> std::result::Result<Opened, String> {
    let secrets = config::secrets(env)?;
    let user = state.id().name().ok_or("the object has no name")?;
    let registry = Registry::open(DurableSql::open(state)).map_err(|err| err.to_string())?;
    Ok(Opened { directory: directory::Directory { registry, user }, secrets })
}

impl Directory {
    async fn answer(&self, mut req: Request) -> std::result::Result<Response, Refusal> {
        let opened = self.opened.as_ref();
        let opened = opened.map_err(|err| Refusal::new(Code::NotConfigured, err.clone()))?;
        let url = req.url().map_err(|err| Refusal::new(Code::Invalid, err.to_string()))?;
        let caller = http::caller(&req, &opened.secrets)?;
        let credentials = Credentials {
            authorization: http::header(&req, "authorization"),
            actor: http::header(&req, "x-beadrig-actor"),
        };
        let known = http::header(&req, "if-none-match");
        let body = http::body(&mut req).await?;
        // /api/users/<user>/<what follows>
        let path = format!("/{}", url.path().splitn(5, '/').nth(4).unwrap_or_default());
        let method = req.inner().method();
        let request = directory::Request {
            method: &method,
            path: &path,
            query: url.query().unwrap_or_default(),
            body: &body,
            caller,
            if_none_match: known.as_deref(),
        };
        let todo = directory::handle(&opened.directory, moment(), &request);
        let done = self.perform(&opened.directory, &credentials, todo).await;
        let response = done.unwrap_or_else(|err| api::fault(moment(), &err.to_string()));
        if let Some(fault) = &response.fault {
            say_fault(fault);
        }
        http::respond(response, &method).map_err(platform)
    }

    async fn perform(
        &self,
        directory: &directory::Directory<DurableSql>,
        by: &Credentials,
        todo: Todo,
    ) -> std::result::Result<api::Response, SqlError> {
        match todo {
            Todo::Answer(response) => Ok(response),
            Todo::Register { rig, new } => {
                let body = serde_json::to_string(&directory.registration(&rig)).ok();
                let call = (Method::Put, "/registration", ANSWER_MS);
                let said = self.tell(by, &rig, call, body).await;
                let (response, undo) = directory.registered(&rig, new, &said)?;
                if undo {
                    self.end(by, &rig).await;
                }
                Ok(response)
            }
            Todo::EndRig(rig) => {
                let said = self.end(by, &rig).await;
                directory.rig_ended(&rig, &said)
            }
            Todo::EndTown(town, rigs) => self.end_town(directory, by, &town, rigs).await,
            Todo::Events(rigs, asked) => Ok(self.events(by, rigs, &asked).await),
        }
    }

    async fn end_town(
        &self,
        directory: &directory::Directory<DurableSql>,
        by: &Credentials,
        town: &Town,
        rigs: Vec<TownRig>,
    ) -> std::result::Result<api::Response, SqlError> {
        let ends = stream::iter(rigs).map(|rig| async move {
            let said = self.end(by, &rig).await;
            (rig, said)
        });
        let said: Vec<_> = ends.buffer_unordered(limits::RIGS_AT_ONCE).collect().await;
        directory.town_ended(town, &said)
    }

    async fn events(
        &self,
        by: &Credentials,
        rigs: Vec<TownRig>,
        asked: &EventsAsked,
    ) -> api::Response {
        let path = asked.path();
        let path = &path;
        let pages = stream::iter(rigs).map(|rig| async move {
            let page = self.ask(by, &rig.id, (Method::Get, path, ANSWER_MS), None).await;
            (rig, page.map(|(_, body)| body))
        });
        let mut pages = std::pin::pin!(pages.buffer_unordered(limits::RIGS_AT_ONCE));
        let mut merged = Merged::new(asked);
        while let Some((rig, page)) = pages.next().await {
            merged.add(&rig, page);
        }
        merged.answer()
    }

    async fn end(&self, by: &Credentials, rig: &TownRig) -> Said {
        self.tell(by, rig, (Method::Delete, "/everything", END_MS), None).await
    }

    /// Has a rig do something.
    async fn tell(
        &self,
        by: &Credentials,
        rig: &TownRig,
        call: (Method, &str, u64),
        body: Option<String>,
    ) -> Said {
        match self.ask(by, &rig.id, call, body).await {
            Ok((200..=299, _)) => Said::Done,
            Ok((status, body)) => match serde_json::from_slice::<Envelope<()>>(&body) {
                Ok(Envelope { error: Some(error), .. }) if status < 500 => {
                    Said::Refused(status, error)
                }
                _ => Said::Nothing(format!("the rig answered {status}")),
            },
            Err(err) => Said::Nothing(err),
        }
    }

    /// Asks a rig as the caller, and waits for its answer, but not for ever.
    async fn ask(
        &self,
        by: &Credentials,
        rig: &str,
        (method, path, ms): (Method, &str, u64),
        body: Option<String>,
    ) -> std::result::Result<(u16, Vec<u8>), String> {
        let call = async {
            let headers = Headers::new();
            for (name, value) in
                [("authorization", &by.authorization), ("x-beadrig-actor", &by.actor)]
            {
                if let Some(value) = value {
                    headers.set(name, value)?;
                }
            }
            let mut init = RequestInit::new();
            init.with_method(method).with_headers(headers);
            if let Some(body) = body {
                init.with_body(Some(body.into()));
            }
            let url = format!("http://rig/api/rigs/{rig}{path}");
            let request = Request::new_with_init(&url, &init)?;
            let stub = self.env.durable_object("RIG")?.get_by_name(rig)?;
            let mut response = stub.fetch_with_request(request).await?;
            Ok::<_, worker::Error>((response.status_code(), response.bytes().await?))
        };
        match within(ms, call).await {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(err)) => {
                say_fault(&format!("rig {rig}: {err}"));
                Err("the rig could not be reached".to_owned())
            }
            None => Err(format!("the rig did not answer within {ms} ms")),
        }
    }
}
