//! The Durable Object of a user's directory: it carries requests to the core, and what the core wants of rigs to those.
//!
//! Rigs are asked at once, so many at a time, each with a deadline; one that does not answer keeps no other back.

use futures_util::{StreamExt as _, stream};
use worker::{DurableObject, Env, Method, Request, Response, Result, State, durable_object};

use super::config;
use super::http::{self, moment};
use super::peers::{self, ANSWER_MS, Credentials};
use super::rig::{guarded, platform, say_fault};
use super::sql::DurableSql;
use crate::api;
use crate::directory::{self, EventsAsked, Merged, Said, Todo};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Registry, SqlError, Town, TownRig};
use crate::token::Secrets;

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

impl DurableObject for Directory {
    fn new(state: State, env: Env) -> Self {
        let opened = open(&state, &env);
        Self { env, opened }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        guarded(self.answer(req)).await
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
        let credentials = Credentials::of(&req);
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
                let said = self.register(directory, by, &rig).await;
                let (response, undo) = directory.registered(&rig, new, &said)?;
                if undo {
                    self.end(by, &rig).await;
                }
                Ok(response)
            }
            Todo::EndRig(rig) => {
                let said = self.end(by, &rig).await;
                if said == Said::Done {
                    // Should it not hear, it finds out when it asks the rig.
                    let call = (Method::Delete, &*format!("/rigs/{}", rig.id), ANSWER_MS);
                    peers::hall(&rig.town).tell(&self.env, by, call, None).await;
                }
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
        let hall = if said.iter().all(|(_, said)| *said == Said::Done) {
            let call = (Method::Delete, "/everything", ANSWER_MS);
            peers::hall(&town.id).tell(&self.env, by, call, None).await
        } else {
            Said::Done
        };
        directory.town_ended(town, &said, &hall)
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
            let call = (Method::Get, path.as_str(), ANSWER_MS);
            let page = peers::rig(&rig.id).ask(&self.env, by, call, None).await;
            (rig, page.map(|(_, body)| body))
        });
        let mut pages = std::pin::pin!(pages.buffer_unordered(limits::RIGS_AT_ONCE));
        let mut merged = Merged::new(asked);
        while let Some((rig, page)) = pages.next().await {
            merged.add(&rig, page);
        }
        merged.answer()
    }

    /// Tells the town that a rig is one of its, and then the rig: a town that knows one too many finds that out.
    async fn register(
        &self,
        directory: &directory::Directory<DurableSql>,
        by: &Credentials,
        rig: &TownRig,
    ) -> Said {
        let join = serde_json::json!({ "name": rig.name }).to_string();
        let call = (Method::Put, &*format!("/rigs/{}", rig.id), ANSWER_MS);
        match peers::hall(&rig.town).tell(&self.env, by, call, Some(join)).await {
            Said::Done => {}
            // Nothing was asked of the rig.
            Said::Refused(status, why) => return Said::Refused(status, why),
            Said::Nothing(why) => return Said::Refused(503, why),
        }
        let body = serde_json::to_string(&directory.registration(rig)).ok();
        let call = (Method::Put, "/registration", ANSWER_MS);
        peers::rig(&rig.id).tell(&self.env, by, call, body).await
    }

    async fn end(&self, by: &Credentials, rig: &TownRig) -> Said {
        let call = (Method::Delete, "/everything", END_MS);
        peers::rig(&rig.id).tell(&self.env, by, call, None).await
    }
}
