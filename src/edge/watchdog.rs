//! The Durable Object that looks after the rigs' alarms from outside: a rig cannot notice that its own is lost.
//!
//! A rig says that it has work, when it wakes and once a day; that is all it costs a rig. In each round the object
//! asks the rigs that it knows, so many at a time, whether their alarm is set, and such a rig answers from one read.
//! A rig that has nothing to do is forgotten, and says so again when it has. Rounds come from the scheduled event of
//! the deployment, or from an operator (`POST /api/watchdog`).
//!
//! The switch of the whole deployment is kept here too: a rig learns how it stands when it says that it has work,
//! which is before it claims anything, in each round, and, as far as it is known, at once when it is turned.
//!
//! It must never keep a rig awake that sleeps, and it decides nothing about beads.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, stream};
use js_sys::Array;
use serde_json::json;
use worker::{
    DurableObject, Env, ListOptions, Method, Request, RequestInit, Response, Result, State,
    durable_object,
};

use super::http::{self, answer, now, within};
use super::rig::{guarded, platform, say_fault};
use crate::api;
use crate::engine::check;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::Pause;
use crate::token::Caller;
use crate::wire::dispatch::{DispatchView, PauseDispatch, Scope};

/// The one object of the class.
pub(super) const NAME: &str = "all";

/// How long a rig may take to look at its alarm, in milliseconds.
const POKE_MS: u64 = 2_000;

/// How long the object may take to take a name, in milliseconds: a rig's tick waits for it.
const KNOWN_MS: u64 = 1_000;

/// Under this key is who paused the deployment.
const PAUSE: &str = "pause";

/// Before the name of a rig, among the keys.
const RIG: &str = "rig:";

/// Knows the rigs that have work.
#[durable_object(fetch)]
pub struct Watchdog {
    state: State,
    env: Env,
    /// What makes two entries of one millisecond differ.
    entries: AtomicU64,
}

/// Whether a rig is looked after, or why not.
type Taken = std::result::Result<(), String>;

/// What came of asking one rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poked {
    Set,
    Woken,
    Idle,
    Silent,
}

impl DurableObject for Watchdog {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, entries: AtomicU64::new(0) }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        match req.path().as_str() {
            "/known" => {
                let body = http::body(&mut req).await.unwrap_or_default();
                let taken = self.take(&String::from_utf8_lossy(&body)).await?;
                answer(if taken { 200 } else { 429 }, &to_json(self.pause().await?.as_ref()))
            }
            "/api/watchdog" => self.round().await,
            "/api/pause" | "/api/resume" => guarded(self.switch(req)).await,
            _ => answer(404, "{}"),
        }
    }
}

impl Watchdog {
    /// Takes a rig's name; false: it knows as many as it may.
    async fn take(&self, rig: &str) -> Result<bool> {
        let storage = self.state.storage();
        let key = format!("{RIG}{rig}");
        // Never the same twice: a rig that was idle and is not any more must not be forgotten by an older answer.
        let n = self.entries.fetch_add(1, Ordering::Relaxed);
        let entry = format!("{}-{n}-{}", now(), http::moment().seed);
        if storage.get::<String>(&key).await?.is_none() {
            let known = self.known().await?;
            if known >= limits::RIGS_WATCHED_MAX {
                say_fault(&format!("watchdog: {known} rigs have work; {rig} is not looked after"));
                return Ok(false);
            }
            storage.put("known", known + 1).await?;
        }
        storage.put(&key, entry).await?;
        Ok(true)
    }

    /// Who paused the deployment.
    async fn pause(&self) -> Result<Option<Pause>> {
        let kept: Option<String> = self.state.storage().get(PAUSE).await?;
        Ok(kept.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    /// Shows the switch of the deployment, or turns it and tells the rigs that have work.
    async fn switch(&self, mut req: Request) -> std::result::Result<Response, Refusal> {
        let secrets = super::config::secrets(&self.env);
        let secrets = secrets.map_err(|err| Refusal::new(Code::NotConfigured, err))?;
        let Caller::Operator { actor } = http::caller(&req, &secrets)? else {
            return Err(Refusal::new(Code::Forbidden, "only the operator may do this"));
        };
        let body = http::body(&mut req).await?;
        let before = self.pause().await.map_err(platform)?;
        let after = match (req.path().as_str(), req.method()) {
            ("/api/resume", _) => None,
            // Who did so first is remembered.
            (_, Method::Post) if before.is_none() => Some(switched_off(actor, &body)?),
            _ => before.clone(),
        };
        if after != before {
            self.turn(after.as_ref()).await.map_err(platform)?;
        }
        let paused: Vec<_> = after.into_iter().map(|it| it.view(Scope::Deployment)).collect();
        let view = DispatchView { enabled: paused.is_empty(), paused };
        answer(200, &json!({"success": true, "data": view}).to_string()).map_err(platform)
    }

    async fn turn(&self, pause: Option<&Pause>) -> Result<()> {
        let storage = self.state.storage();
        match pause {
            Some(_) => storage.put(PAUSE, to_json(pause)).await?,
            None => drop(storage.delete(PAUSE).await?),
        }
        storage.delete("next").await?;
        self.round().await.map(drop)
    }

    async fn known(&self) -> Result<usize> {
        Ok(self.state.storage().get("known").await?.unwrap_or(0))
    }

    /// Asks the next rigs.
    async fn round(&self) -> Result<Response> {
        let storage = self.state.storage();
        let from: Option<String> = storage.get("next").await?;
        let options = ListOptions::new().prefix(RIG).limit(limits::RIGS_A_ROUND);
        let options = match &from {
            Some(from) => options.start(from),
            None => options,
        };
        let page: Vec<(String, String)> = storage
            .list_with_options(options)
            .await?
            .entries()
            .into_iter()
            .filter_map(|entry| {
                let entry = Array::from(&entry.ok()?);
                Some((entry.get(0).as_string()?, entry.get(1).as_string()?))
            })
            .collect();
        let next = match page.last() {
            // The smallest key after it.
            Some((last, _)) if page.len() == limits::RIGS_A_ROUND => Some(format!("{last}\u{1}")),
            _ => None,
        };
        match &next {
            Some(next) => storage.put("next", next).await?,
            None => drop(storage.delete("next").await?),
        }
        let pause = &to_json(self.pause().await?.as_ref());
        let asked = stream::iter(page).map(|(key, entry)| async move {
            let poked = self.poke(key.trim_start_matches(RIG), pause).await;
            if poked == Poked::Idle
                && let Err(err) = self.forget(&key, &entry).await
            {
                say_fault(&format!("watchdog: {err}"));
            }
            poked
        });
        let poked: Vec<Poked> = asked.buffer_unordered(limits::RIGS_AT_ONCE).collect().await;
        let count = |what| poked.iter().filter(|it| **it == what).count();
        let told = json!({
            "asked": poked.len(),
            "woken": count(Poked::Woken),
            "idle": count(Poked::Idle),
            "silent": count(Poked::Silent),
            "more": next.is_some(),
        });
        if count(Poked::Woken) + count(Poked::Silent) > 0 {
            worker::console_log!("{}", json!({"event": "watchdog", "detail": told.to_string()}));
        }
        answer(200, &json!({"success": true, "data": told}).to_string())
    }

    /// Forgets a rig that has nothing to do, unless it has said otherwise since.
    async fn forget(&self, key: &str, entry: &str) -> Result<()> {
        let storage = self.state.storage();
        if storage.get::<String>(key).await?.is_some_and(|now| now == entry) {
            storage.delete(key).await?;
            let known = self.known().await?;
            storage.put("known", known.saturating_sub(1)).await?;
        }
        Ok(())
    }

    async fn poke(&self, rig: &str, pause: &str) -> Poked {
        let call = async {
            let stub = self.env.durable_object("RIG")?.get_by_name(rig)?;
            let mut init = RequestInit::new();
            init.with_method(Method::Post).with_body(Some(pause.into()));
            let request = Request::new_with_init("http://rig/poke", &init)?;
            stub.fetch_with_request(request).await?.text().await
        };
        match within(POKE_MS, call).await {
            Some(Ok(said)) => match said.as_str() {
                "set" => Poked::Set,
                "woken" => Poked::Woken,
                "idle" => Poked::Idle,
                _ => Poked::Silent,
            },
            Some(Err(_)) | None => Poked::Silent,
        }
    }
}

/// Has all rigs asked.
pub(super) async fn round(env: &Env) -> Result<Response> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post);
    let request = Request::new_with_init("http://watchdog/api/watchdog", &init)?;
    env.durable_object("WATCHDOG")?.get_by_name(NAME)?.fetch_with_request(request).await
}

/// Who turns the switch off, and why.
fn switched_off(by: String, body: &[u8]) -> std::result::Result<Pause, Refusal> {
    let fields: PauseDispatch =
        if body.trim_ascii().is_empty() { PauseDispatch::default() } else { api::parse(body)? };
    let reason = fields.reason.map(|it| check::cut(it.trim(), limits::REASON_BYTES_MAX));
    Ok(Pause { by, at: now(), reason: reason.filter(|it| !it.is_empty()) })
}

fn to_json(pause: Option<&Pause>) -> String {
    serde_json::to_string(&pause).expect("plain data")
}

/// Says that a rig has work. Answers whether it is looked after, and in any case who paused the deployment, as JSON.
pub(super) async fn tell(env: &Env, rig: &str) -> std::result::Result<(Taken, String), String> {
    let call = async {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(rig.into()));
        let request = Request::new_with_init("http://watchdog/known", &init)?;
        let stub = env.durable_object("WATCHDOG")?.get_by_name(NAME)?;
        let mut response = stub.fetch_with_request(request).await?;
        Ok::<_, worker::Error>((response.status_code(), response.text().await?))
    };
    match within(KNOWN_MS, call).await {
        Some(Ok((200, pause))) => Ok((Ok(()), pause)),
        Some(Ok((429, pause))) => Ok((Err("it knows as many as it may".to_owned()), pause)),
        Some(Ok((status, _))) => Err(format!("the watchdog answered {status}")),
        Some(Err(err)) => Err(err.to_string()),
        None => Err(format!("the watchdog did not answer within {KNOWN_MS} ms")),
    }
}
