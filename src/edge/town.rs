//! The Durable Object that owns a town's container.
//!
//! Where the platform runs containers (`ctx.container`), it starts it, gives it its environment, keeps it awake
//! while it is asked, and ends it; elsewhere `CONTAINER_URL` says where the service is. Either way a container
//! is ready when it answers, and not before: what the platform says of it has been seen to be wrong both ways.
//! It knows nothing of beads, and keeps nothing.

use std::sync::atomic::{AtomicI64, Ordering};

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{
    AbortController, AbortSignal, Container, Delay, DurableObject, Env, Fetch, Headers, Method,
    Request, RequestInit, Response, Result, State, durable_object, web_sys,
};

use super::config::Config;
use super::http::{self, answer, now, refuse, within};
use crate::id::Millis;
use crate::refusal::{Code, Refusal};
use crate::wire::container::Problem;

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

/// The port that the service listens on inside its container.
const PORT: u16 = 8080;

/// A town's container.
#[durable_object(fetch)]
pub struct TownContainer {
    state: State,
    config: std::result::Result<Config, String>,
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
        if let Err(why) = self.ready().await {
            return problem(503, "capacity", &why);
        }
        let query = url.query().map(|it| format!("?{it}")).unwrap_or_default();
        let path = format!("{path}{query}");
        let headers = handed_on(&req);
        match self.send(req.method(), &path, (&body, &headers), ANSWER_MS).await {
            Ok(response) => Ok(response),
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
        ["health" | "agents"] | ["agents", _, "status" | "events"] => Some(Method::Get),
        ["agents", "start"] | ["agents", _, "stop" | "message"] | ["destroy"] => Some(Method::Post),
        _ => None,
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
    async fn ready(&self) -> std::result::Result<(), String> {
        if now().0 - self.answered.load(Ordering::Relaxed) < PROBE_EVERY_MS {
            return Ok(());
        }
        let config = self.config()?;
        if config.container_url.is_none() {
            let container = self.container()?;
            if !container.running() {
                self.start(&container)?;
                self.started.store(now().0, Ordering::Relaxed);
            }
            keep(&container).await?;
        }
        // Whoever asks while it comes up waits with the one that started it.
        let until = Millis(self.started.load(Ordering::Relaxed)).plus(BOOT_MS);
        loop {
            match self.send(Method::Get, "/health", (&[], &[]), PROBE_MS).await {
                Ok(response) if response.status_code() == 200 => return Ok(()),
                Ok(response) if now() >= until => {
                    return Err(format!(
                        "the container's health answers {}",
                        response.status_code()
                    ));
                }
                Err(why) if now() >= until => return Err(why),
                Ok(_) | Err(_) => Delay::from(std::time::Duration::from_millis(200)).await,
            }
        }
    }

    fn container(&self) -> std::result::Result<Container, String> {
        self.state.container().ok_or_else(|| {
            "there is no container: the platform gives none, and CONTAINER_URL is not set"
                .to_owned()
        })
    }

    /// Starts the container. By hand, because the options of `worker` 0.8 drop the environment in silence.
    fn start(&self, container: &Container) -> std::result::Result<(), String> {
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
        let at = if matches!(sent, Some(Ok(_))) { now().0 } else { 0 };
        self.answered.store(at, Ordering::Relaxed);
        match sent {
            Some(Ok(response)) => Ok(response),
            Some(Err(err)) => Err(format!("the container does not answer: {err}")),
            None => {
                controller.abort();
                Err(format!("the container did not answer within {ms} ms"))
            }
        }
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

/// Tells the platform not to end the container with this object, which sleeps between two requests.
async fn keep(container: &Container) -> std::result::Result<(), String> {
    let promise = call(container, "setInactivityTimeout", &JsValue::from_f64(INACTIVE_MS))?;
    let promise: Promise = promise.dyn_into().map_err(|err| format!("{err:?}"))?;
    let settled = within(PROBE_MS, wasm_bindgen_futures::JsFuture::from(promise)).await;
    settled.map_or(Ok(()), |done| done.map(drop).map_err(|err| format!("{err:?}")))
}

fn call(
    container: &Container,
    method: &str,
    argument: &JsValue,
) -> std::result::Result<JsValue, String> {
    let raw: &JsValue = container.as_ref();
    let function: Function = Reflect::get(raw, &method.into())
        .and_then(wasm_bindgen::JsCast::dyn_into)
        .map_err(|_| format!("the platform's container has no {method}"))?;
    function.call1(raw, argument).map_err(|err| format!("{method}: {err:?}"))
}

fn set(object: &Object, name: &str, value: &JsValue) -> std::result::Result<(), String> {
    Reflect::set(object, &name.into(), value).map(drop).map_err(|err| format!("{err:?}"))
}

fn problem(status: u16, code: &str, error: &str) -> Result<Response> {
    let problem = Problem { error: error.to_owned(), code: code.to_owned() };
    answer(status, &serde_json::to_string(&problem)?)
}
