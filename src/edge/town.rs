//! The Durable Object that owns a town's container.
//!
//! Where the platform runs containers (`ctx.container`), it starts it, gives it its environment, keeps it awake
//! while it is asked, and ends it; elsewhere `CONTAINER_URL` says where the service is. Either way a container
//! is ready when it answers, and not before: what the platform says of it has been seen to be wrong both ways.
//!
//! What it met is kept in its storage, so that an eviction forgets nothing; the rules of it, when a container is
//! replaced and when people are told, are in [`town`](crate::town). It knows nothing of beads.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use js_sys::Object;
use wasm_bindgen::JsValue;
use worker::{
    AbortController, AbortSignal, Container, Delay, DurableObject, Env, Fetch, Headers, Method,
    Request, RequestInit, Response, Result, State, durable_object, web_sys,
};

use super::config::Config;
use super::container::{call, keep, set};
use super::http::{self, answer, now, refuse, within};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::town::{Next, Outage, Stranger, Watch};
use crate::wire::container::{Problem, Who};
use crate::wire::escalations::Escalate;
use crate::wire::{Envelope, PROTOCOL, PROTOCOL_HEADER};

/// How long the container may take to say that it is well, in milliseconds.
const PROBE_MS: u64 = 1_500;

/// How long one that was just started may take until it does, in milliseconds; after that the caller comes again.
const BOOT_MS: i64 = 4_000;

/// How long it may take to answer a request, in milliseconds.
const ANSWER_MS: u64 = 4_000;

/// One that answered so lately is not probed again, in milliseconds.
const PROBE_EVERY_MS: i64 = 5_000;

/// The platform ends a container that was not asked anything for this long, in milliseconds. While there is work
/// the rigs ask every 30 seconds.
const INACTIVE_MS: f64 = 600_000.0;

/// How long a rig may take to take an escalation or a note, in milliseconds: together with a probe less than a rig
/// waits for an answer.
const TELL_MS: u64 = 2_000;

/// With this header a rig says who it is.
pub(super) const RIG_HEADER: &str = "x-beadrig-rig";

/// Under this key the object keeps what it knows.
const WATCH: &str = "watch";

/// The port that the service listens on inside its container.
const PORT: u16 = 8080;

/// A town's container.
#[durable_object(fetch)]
pub struct TownContainer {
    state: State,
    env: Env,
    config: std::result::Result<Config, String>,
    /// What is in the storage, once it was read.
    watch: Mutex<Option<Watch>>,
    /// A hint only: when the container answered last.
    answered: AtomicI64,
    /// A hint only: when the container was started last.
    started: AtomicI64,
}

impl DurableObject for TownContainer {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            config: Config::read(&env),
            env,
            watch: Mutex::default(),
            answered: AtomicI64::new(0),
            started: AtomicI64::new(0),
        }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        if let Err(why) = &self.config {
            return refuse(&Refusal::new(Code::NotConfigured, why.clone()));
        }
        let body = match http::body(&mut req).await {
            Ok(body) => body,
            Err(refusal) => return refuse(&refusal),
        };
        let url = req.url()?;
        // From a rig it comes as it goes on; from the front door as /api/towns/<town>/container/<path>.
        let path = match url.path().strip_prefix("/api/towns/") {
            Some(rest) => rest.splitn(3, '/').nth(2).map(|it| format!("/{it}")).unwrap_or_default(),
            None => url.path().to_owned(),
        };
        match allowed(&path) {
            None => return refuse(&Refusal::new(Code::NotFound, "Not found")),
            Some(allowed) if allowed != req.method() => {
                return http::not_allowed(&req.inner().method(), allowed.as_ref());
            }
            Some(_) => {}
        }
        if path == "/destroy" {
            return self.destroy().await;
        }
        if path == "/watch" {
            let seen = self.watched(|watch| watch.view(now())).await;
            return match seen {
                Ok(view) => answer(200, &view.to_string()),
                Err(why) => problem(503, "capacity", &why),
            };
        }
        let rig = http::header(&req, RIG_HEADER);
        if let Err(NotReady { code, why }) = self.ready(rig.as_deref()).await {
            return problem(503, code, &why);
        }
        let query = url.query().map(|it| format!("?{it}")).unwrap_or_default();
        let path = format!("{path}{query}");
        let headers = handed_on(&req);
        match self.send(req.method(), &path, (&body, &headers), ANSWER_MS).await {
            Ok(response) => {
                self.answered.store(now().0, Ordering::Relaxed);
                Ok(response)
            }
            // It was sent: nobody knows whether it was done.
            Err(why) => problem(504, "unknown", &why),
        }
    }
}

/// What asks for a stream of events, and says where it is to go on. It comes back as it comes: the deadline is for
/// the head of an answer, and a body is never gathered here.
fn handed_on(req: &Request) -> Vec<(&'static str, String)> {
    let get = |name| req.headers().get(name).ok().flatten().map(|value| (name, value));
    ["accept", "last-event-id"].into_iter().filter_map(get).collect()
}

/// A body, and headers besides the usual ones.
type Content<'a> = (&'a [u8], &'a [(&'static str, String)]);

/// How a path of the container service may be asked for through its town, if at all.
fn allowed(path: &str) -> Option<Method> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        ["health" | "agents" | "watch"] | ["agents", _, "status" | "events"] => Some(Method::Get),
        ["agents", "start"]
        | ["agents", _, "stop" | "message"]
        | ["git", "merge"]
        | ["destroy"] => Some(Method::Post),
        _ => None,
    }
}

/// Why nothing was asked of the container.
struct NotReady {
    code: &'static str,
    why: String,
}

impl From<String> for NotReady {
    fn from(why: String) -> Self {
        Self { code: "capacity", why }
    }
}

impl TownContainer {
    fn config(&self) -> std::result::Result<&Config, String> {
        self.config.as_ref().map_err(Clone::clone)
    }

    fn town(&self) -> String {
        self.state.id().name().unwrap_or_default()
    }

    /// Makes sure that the container answers; else says why not. Nothing was asked of it then.
    async fn ready(&self, rig: Option<&str>) -> std::result::Result<(), NotReady> {
        if now().0 - self.answered.load(Ordering::Relaxed) < PROBE_EVERY_MS {
            return Ok(());
        }
        if self.is_ours()? {
            let container = self.container()?;
            self.up(&container).await?;
            if let Err(why) = keep(&container, INACTIVE_MS, PROBE_MS).await {
                return Err(self.unwell(why, rig).await);
            }
        }
        // Whoever asks while it comes up waits with the one that started it.
        let until = Millis(self.started.load(Ordering::Relaxed)).plus(BOOT_MS);
        loop {
            match self.probe().await {
                Ok(who) => match self.watched(|watch| watch.meets(&who)).await? {
                    Ok(()) => return self.well().await,
                    Err(Stranger::Protocol(why)) => return Err(NotReady { code: "protocol", why }),
                    // The one before is still there; it is asked again like one that does not answer.
                    Err(Stranger::Incarnation(why)) if now() >= until => {
                        return Err(self.unwell(why, rig).await);
                    }
                    Err(Stranger::Incarnation(_)) => {}
                },
                Err(why) if now() >= until => return Err(self.unwell(why, rig).await),
                Err(_) => {}
            }
            Delay::from(std::time::Duration::from_millis(200)).await;
        }
    }

    fn is_ours(&self) -> std::result::Result<bool, String> {
        Ok(self.config()?.container_url.is_none())
    }

    /// Starts the container if nothing runs, as far as anyone knows.
    async fn up(&self, container: &Container) -> std::result::Result<(), String> {
        if container.running() {
            return Ok(());
        }
        // Kept before it is used, so that no two containers ever have the same.
        let incarnation = self.watched(|watch| watch.next_incarnation(now())).await?;
        if container.running() {
            return Ok(());
        }
        match self.start(container, incarnation) {
            Ok(()) => {
                self.started.store(now().0, Ordering::Relaxed);
                self.watched(|watch| watch.started(incarnation, now())).await
            }
            // It was alive all the time. Whoever it is will say so.
            Err(why) if why.contains("already running") => {
                self.say("container_start_unknown", &why);
                Ok(())
            }
            Err(why) => Err(why),
        }
    }

    /// Asks the container who it is.
    async fn probe(&self) -> std::result::Result<Who, String> {
        let mut response = self.send(Method::Get, "/health", (&[], &[]), PROBE_MS).await?;
        let status = response.status_code();
        match within(PROBE_MS, response.json::<Who>()).await {
            _ if status != 200 => Err(format!("the container's health answers {status}")),
            Some(Ok(who)) => Ok(who),
            Some(Err(_)) => Err("the container's health cannot be read".to_owned()),
            None => Err(format!("the container did not say how it is within {PROBE_MS} ms")),
        }
    }

    async fn well(&self) -> std::result::Result<(), NotReady> {
        self.answered.store(now().0, Ordering::Relaxed);
        if let Some(outage) = self.watched(|watch| watch.answered(now())).await? {
            let what = recovered(&outage);
            self.say("container_recovered", &what);
            if let Some((rig, bead)) = &outage.told {
                let note = serde_json::json!({ "text": what }).to_string();
                let path = format!("/beads/{bead}/notes");
                if let Err(why) = self.tell_rig(rig, &path, note).await {
                    self.say("fault", &why);
                }
            }
        }
        Ok(())
    }

    /// The container did not answer as it should: counts it, and does what follows.
    async fn unwell(&self, why: String, rig: Option<&str>) -> NotReady {
        self.answered.store(0, Ordering::Relaxed);
        match self.judge(&why, rig).await {
            Ok(said) => NotReady::from(said),
            Err(fault) => NotReady::from(format!("{why}; {fault}")),
        }
    }

    async fn judge(&self, why: &str, rig: Option<&str>) -> std::result::Result<String, String> {
        let ours = self.is_ours()?;
        let patience = self.config()?.settings.patience();
        let next = self.watched(|watch| watch.failed(why, ours, patience, now())).await?;
        if let (Some(outage), Some(rig)) =
            (self.watched(|watch| watch.untold(patience, now()).cloned()).await?, rig)
        {
            self.escalate(&outage, ours, rig).await?;
        }
        Ok(match next {
            Next::Wait => why.to_owned(),
            Next::Replace => {
                self.replace(why).await?;
                format!("{why}; it is replaced")
            }
            Next::GivenUp => format!("{why}; {}", self.beyond_help(ours)),
        })
    }

    fn beyond_help(&self, ours: bool) -> String {
        if !ours {
            return "it is not this worker's to replace: a person must look after it".to_owned();
        }
        format!(
            "it was replaced {} times within an hour and will not be again before it answers or a \
             person ends it (POST /api/towns/{}/container/destroy)",
            limits::CONTAINER_REPLACED_MAX,
            self.town(),
        )
    }

    /// Ends the container and starts another. It is counted already, so that whoever asks meanwhile does not do it too.
    async fn replace(&self, why: &str) -> std::result::Result<(), String> {
        self.say("container_replaced", why);
        let container = self.container()?;
        match within(ANSWER_MS, container.destroy(Some("it does not answer"))).await {
            Some(Ok(())) => self.up(&container).await,
            Some(Err(err)) => Err(format!("it could not be ended: {err}")),
            None => Err(format!("the platform did not end it within {ANSWER_MS} ms")),
        }
    }

    /// Asks people for help in a rig that has work: once an outage, and again only if nobody took it.
    async fn escalate(
        &self,
        outage: &Outage,
        ours: bool,
        rig: &str,
    ) -> std::result::Result<(), String> {
        let town = self.town();
        let escalation = Escalate {
            title: format!("The container of town {town} does not answer"),
            body: Some(format!(
                "It has not answered since {}, and was replaced {} times since. The last that was seen of it: {}. \
                 What is next: {}.",
                outage.since,
                outage.replaced,
                outage.why,
                if outage.given_up {
                    self.beyond_help(ours)
                } else {
                    "it is started again and again".to_owned()
                },
            )),
            severity: Some("high".to_owned()),
            cause: Some(format!("container of {town} since {}", outage.since.0)),
            ..Escalate::default()
        };
        let body = serde_json::to_string(&escalation).map_err(|err| err.to_string())?;
        let said = self.tell_rig(rig, "/escalations", body).await?;
        let bead = said["id"].as_str().unwrap_or_default().to_owned();
        self.say("container_escalated", &format!("rig {rig}, bead {bead}"));
        let told = Some((rig.to_owned(), bead));
        self.watched(|watch| {
            if let Some(outage) = &mut watch.outage {
                outage.told = told;
            }
        })
        .await
    }

    /// Calls a rig as the operator's own watch.
    async fn tell_rig(
        &self,
        rig: &str,
        path: &str,
        body: String,
    ) -> std::result::Result<serde_json::Value, String> {
        let token = self.config()?.secrets.operator_token();
        let call = async {
            let headers = Headers::new();
            headers.set("authorization", &format!("Bearer {token}"))?;
            headers.set("x-beadrig-actor", "town")?;
            let mut init = RequestInit::new();
            init.with_method(Method::Post).with_headers(headers).with_body(Some(body.into()));
            let url = format!("http://rig/api/rigs/{rig}{path}");
            let request = Request::new_with_init(&url, &init)?;
            let stub = self.env.durable_object("RIG")?.get_by_name(rig)?;
            let mut response = stub.fetch_with_request(request).await?;
            Ok::<_, worker::Error>((response.status_code(), response.bytes().await?))
        };
        let (status, body) = match within(TELL_MS, call).await {
            Some(Ok(answered)) => answered,
            Some(Err(err)) => return Err(format!("rig {rig} could not be told: {err}")),
            None => return Err(format!("rig {rig} did not answer within {TELL_MS} ms")),
        };
        match serde_json::from_slice::<Envelope<serde_json::Value>>(&body) {
            Ok(Envelope { data: Some(data), .. }) if status < 300 => Ok(data),
            _ => Err(format!("rig {rig} could not be told: it answered {status}")),
        }
    }

    /// Reads and changes what is kept. The change is made at once, and is durable when this returns.
    async fn watched<T>(
        &self,
        change: impl FnOnce(&mut Watch) -> T,
    ) -> std::result::Result<T, String> {
        let fault = |err: worker::Error| format!("the town's storage does not answer: {err}");
        let storage = self.state.storage();
        if self.kept().is_none() {
            let read = storage.get::<String>(WATCH).await.map_err(fault)?;
            let read = read.map(|it| serde_json::from_str(&it)).transpose();
            // What cannot be read was written by a newer version. Numbers are not below the clock in any case.
            let read = read.unwrap_or_default().unwrap_or_default();
            self.kept().get_or_insert(read);
        }
        let (done, changed) = {
            let mut kept = self.kept();
            let watch = kept.get_or_insert_default();
            let before = watch.clone();
            let done = change(watch);
            (done, (*watch != before).then(|| serde_json::to_string(watch)))
        };
        if let Some(text) = changed {
            let text = text.map_err(|err| err.to_string())?;
            storage.put(WATCH, text).await.map_err(fault)?;
        }
        Ok(done)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, event: &str, detail: &str) {
        let line = serde_json::json!({"event": event, "town": self.town(), "detail": detail});
        worker::console_log!("{line}");
    }

    fn container(&self) -> std::result::Result<Container, String> {
        self.state.container().ok_or_else(|| {
            "there is no container: the platform gives none, and CONTAINER_URL is not set"
                .to_owned()
        })
    }

    /// Starts the container. By hand, because the options of `worker` 0.8 drop the environment in silence.
    fn start(&self, container: &Container, incarnation: i64) -> std::result::Result<(), String> {
        let config = self.config()?;
        let Some(public_url) = &config.public_url else {
            return Err(
                "PUBLIC_URL is not set; the container needs it to report to the rig".to_owned()
            );
        };
        let env = Object::new();
        for (name, value) in [
            ("BEADRIG_URL", public_url.clone()),
            ("BEADRIG_CONTAINER_TOKEN", config.secrets.container_tokens(&self.town()).remove(0)),
            ("BEADRIG_CONTAINER_LISTEN", format!("0.0.0.0:{PORT}")),
            ("BEADRIG_INCARNATION", incarnation.to_string()),
        ] {
            set(&env, name, &value.into())?;
        }
        for (name, value) in &config.container_settings {
            set(&env, name, &value.into())?;
        }
        let options = Object::new();
        set(&options, "env", &env)?;
        set(&options, "enableInternet", &JsValue::TRUE)?;
        call(container, "start", &options).map(drop)
    }

    async fn destroy(&self) -> Result<Response> {
        self.answered.store(0, Ordering::Relaxed);
        if let Err(why) = self.watched(Watch::ended_by_a_person).await {
            return problem(503, "capacity", &why);
        }
        let Some(container) = self.state.container() else {
            let why = "the platform runs no container here; stop the service by hand";
            return problem(409, "invalid", why);
        };
        match within(ANSWER_MS, container.destroy(Some("the operator asked for it"))).await {
            Some(Ok(())) => answer(200, r#"{"destroyed":true}"#),
            Some(Err(err)) => problem(504, "unknown", &format!("destroy: {err}")),
            None => {
                let why = format!("the platform did not end the container within {ANSWER_MS} ms");
                problem(504, "unknown", &why)
            }
        }
    }

    /// Sends one request to the service, and takes it back when the time is up.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content: Content<'_>,
        ms: u64,
    ) -> std::result::Result<Response, String> {
        let mut tokens = self.config()?.secrets.container_tokens(&self.town()).into_iter();
        let first = tokens.next().unwrap_or_default();
        let mut response = self.send_as(&first, method.clone(), path, content, ms).await?;
        // While a secret is being changed, the container may have been started with the one before.
        for token in tokens {
            if response.status_code() == 401 {
                response = self.send_as(&token, method.clone(), path, content, ms).await?;
            }
        }
        Ok(response)
    }

    /// Sends one request with one token, and takes it back when the time is up.
    async fn send_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        content: Content<'_>,
        ms: u64,
    ) -> std::result::Result<Response, String> {
        let controller = AbortController::default();
        let signal = controller.signal();
        let work = async {
            let request = self.request(token, method, path, content, &signal)?;
            if self.config()?.container_url.is_some() {
                return Fetch::Request(request).send().await;
            }
            self.container()?.get_tcp_port(PORT)?.fetch_request(request).await
        };
        let sent = within(ms, work).await;
        let why = match sent {
            Some(Ok(response)) => return Ok(response),
            Some(Err(err)) => format!("the container does not answer: {err}"),
            None => {
                controller.abort();
                format!("the container did not answer within {ms} ms")
            }
        };
        self.answered.store(0, Ordering::Relaxed);
        Err(why)
    }

    /// A request that the signal ends wherever it is: a connection that stays open keeps the container awake.
    fn request(
        &self,
        token: &str,
        method: Method,
        path: &str,
        (body, more): Content<'_>,
        signal: &AbortSignal,
    ) -> Result<Request> {
        let config = self.config()?;
        let base = config.container_url.as_deref().unwrap_or("http://container");
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {token}"))?;
        headers.set("content-type", "application/json")?;
        headers.set(PROTOCOL_HEADER, &PROTOCOL.to_string())?;
        for (name, value) in more {
            headers.set(name, value)?;
        }
        let mut init = RequestInit::new();
        if !body.is_empty() {
            init.with_body(Some(js_sys::Uint8Array::from(body).into()));
        }
        init.with_method(method).with_headers(headers);
        // `RequestInit` of `worker` 0.8 takes no signal.
        let init = web_sys::RequestInit::from(&init);
        init.set_signal(Some(signal));
        let url = format!("{}{path}", base.trim_end_matches('/'));
        Ok(web_sys::Request::new_with_str_and_init(&url, &init)?.into())
    }
}

/// An outage that is over, in words.
fn recovered(outage: &Outage) -> String {
    let seconds = outage.lasted_ms(now()) / 1_000;
    let replaced = outage.replaced;
    format!(
        "the container answers again: it was away for {seconds} s and was replaced {replaced} times"
    )
}

fn problem(status: u16, code: &str, error: &str) -> Result<Response> {
    let problem = Problem { error: error.to_owned(), code: code.to_owned() };
    answer(status, &serde_json::to_string(&problem)?)
}
