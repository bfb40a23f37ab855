//! The Durable Object of a rig: requests and the alarm.
//!
//! It keeps nothing in memory that the rows do not say: it can vanish between any two awaits, and a panic may
//! leave it half-way. A panic in a request answers 500 and disturbs no other; a panic or an endless wait in the
//! alarm ends that tick, and the next one comes within 10 s of its beginning.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::config::Config;
use super::http::{self, answer, moment, now, refuse, within};
use super::sql::DurableSql;
use crate::api;
use crate::command::{Command, Effect};
use crate::engine::Engine;
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use crate::wire::PROTOCOL_HEADER;
use crate::wire::dispatch::Scope;

/// A tick that takes longer is given up, in milliseconds: a handler that hangs keeps every later alarm of the
/// object waiting, for up to 15 minutes. Longer than a call to the container may take.
const TICK_MS: u64 = 8_000;

/// The next tick after one that panicked, in milliseconds: soon, and not so soon that one that always panics is dear.
const RETRY_MS: i64 = 5_000;

/// The next tick after one that was given up, in milliseconds: within 10 s of its beginning.
const GIVEN_UP_MS: i64 = 1_000;

/// How long it may take to tell the watchdog, in milliseconds: the alarm waits for it.
const BE_KNOWN_MS: u64 = 1_500;

/// Under this key of its storage the rig keeps when it told the watchdog that it has work.
const KNOWN: &str = "known_at";

/// One rig.
#[durable_object(alarm)]
pub struct Rig {
    pub(super) state: State,
    pub(super) env: Env,
    engine: std::result::Result<Engine<DurableSql>, String>,
    /// A hint only: that the watchdog knows of the rig.
    known: AtomicBool,
    #[cfg(feature = "faults")]
    fault: std::sync::atomic::AtomicU8,
    #[cfg(feature = "bench")]
    pub(super) alarms_read: std::sync::atomic::AtomicU64,
    #[cfg(feature = "bench")]
    pub(super) alarms_set: std::sync::atomic::AtomicU64,
    #[cfg(feature = "bench")]
    pub(super) opened: super::bench::Opened,
}

impl DurableObject for Rig {
    fn new(state: State, env: Env) -> Self {
        let engine = open(&state, &env);
        Self {
            #[cfg(feature = "bench")]
            opened: super::bench::Opened::of(&engine),
            state,
            env,
            engine,
            known: AtomicBool::new(false),
            #[cfg(feature = "faults")]
            fault: std::sync::atomic::AtomicU8::new(0),
            #[cfg(feature = "bench")]
            alarms_read: std::sync::atomic::AtomicU64::new(0),
            #[cfg(feature = "bench")]
            alarms_set: std::sync::atomic::AtomicU64::new(0),
        }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        // The front door lets nobody in by this path.
        if req.path() == "/poke" {
            return guarded(self.poke(req)).await;
        }
        guarded(self.answer(req)).await
    }

    async fn alarm(&self) -> Result<Response> {
        // First, so that whatever happens below costs one tick.
        let settings = self.engine.as_ref().map(|engine| engine.settings.active_alarm_ms);
        self.set_alarm(settings.unwrap_or(60_000)).await?;
        let tick = async {
            // Before anything is claimed: the answer says how the switch of the deployment stands.
            self.be_known().await;
            self.tick().await
        };
        let problem = match within(TICK_MS, caught(tick)).await {
            Some(Ok(Ok(()))) => None,
            Some(Ok(Err(refusal))) => Some((refusal.message, RETRY_MS)),
            Some(Err(panic)) => Some((format!("panic: {panic}"), RETRY_MS)),
            None => Some((format!("took longer than {TICK_MS} ms"), GIVEN_UP_MS)),
        };
        if let Some((problem, retry_ms)) = problem {
            say_fault(&format!("tick: {problem}"));
            self.arm(now().plus(retry_ms)).await?;
        }
        Response::empty()
    }
}

impl Rig {
    pub(super) fn engine(&self) -> std::result::Result<&Engine<DurableSql>, Refusal> {
        self.engine.as_ref().map_err(|err| Refusal::new(Code::NotConfigured, err.clone()))
    }

    async fn answer(&self, mut req: Request) -> std::result::Result<Response, Refusal> {
        let url = req.url().map_err(|err| Refusal::new(Code::Invalid, err.to_string()))?;
        let engine = self.engine()?;
        let caller = http::caller(&req, &engine.secrets)?;
        let spoken = http::header(&req, PROTOCOL_HEADER);
        let read = http::body(&mut req).await;
        let (body, read) = match read {
            Ok(body) => (body, Ok(())),
            Err(refusal) => (Vec::new(), Err(refusal)),
        };
        #[cfg(feature = "faults")]
        if let Some(wanted) = url.path().strip_prefix("/__fault/") {
            return self.inject(wanted).await.map_err(platform);
        }
        #[cfg(feature = "bench")]
        if url.path().starts_with("/__bench/") {
            return self.bench(&url, &body).await;
        }
        // /api/rigs/<rig>/<what follows>, or /api/<what a client of the pollers calls>
        let path = match url.path().strip_prefix("/api/rigs/") {
            Some(rest) => rest.split_once('/').map(|(_, path)| path).unwrap_or_default(),
            None => url.path().trim_start_matches("/api/"),
        };
        let path = format!("/{path}");
        let next_tick =
            if api::wants_alarm(&path) { self.next_tick().await.map_err(platform)? } else { None };
        // As it came: `worker` takes a method that it does not know for GET.
        let method = req.inner().method();
        let key = http::header(&req, "idempotency-key");
        let known = http::header(&req, "if-none-match");
        let request = api::Request {
            method: &method,
            path: &path,
            query: url.query().unwrap_or_default(),
            body: &body,
            caller,
            idempotency_key: key.as_deref(),
            if_none_match: known.as_deref(),
            next_tick,
        };
        let read = api::speaks(&request.caller, spoken.as_deref()).and(read);
        let mut response = match &read {
            Ok(()) => api::handle(engine, moment(), &request),
            Err(refusal) => api::refuse_traced(engine, moment(), &request, refusal),
        };
        if let Some(fault) = &response.fault {
            say_fault(fault);
        }
        let effects = std::mem::take(&mut response.effects);
        match engine.store.deleted_at() {
            Ok(Some(_)) => self.end(effects).await.map_err(platform)?,
            _ => self.notice(effects).await.map_err(platform)?,
        }
        http::respond(response, &method).map_err(platform)
    }

    /// What a rig that is deleted still does: it has its runs ended, and sees to it that nothing wakes it.
    async fn end(&self, effects: Vec<Effect>) -> Result<()> {
        if effects.is_empty() {
            return Ok(());
        }
        let asked = effects.into_iter().filter(|it| !matches!(it, Effect::WakeAt(_)));
        self.perform(asked.collect()).await?;
        // Brought back meanwhile, it has an alarm of its own.
        if let Ok(Ok(None)) = self.engine.as_ref().map(|engine| engine.store.deleted_at()) {
            return Ok(());
        }
        self.forget_known().await?;
        self.state.storage().delete_alarm().await
    }

    /// One tick. The steps fail one by one; what a step could not do, the next tick finds in the rows.
    pub(super) async fn tick(&self) -> std::result::Result<(), Refusal> {
        #[cfg(feature = "faults")]
        self.suffer().await;
        let engine = self.engine()?;
        let scheduled = engine.schedule_pending_work(moment());
        let asked = now();
        // The runs that are started now are not judged by a list that was made at the same time.
        let (done, list) = futures_util::future::join(self.perform(scheduled.effects), async {
            if scheduled.ask { Some(self.ask().await) } else { None }
        })
        .await;
        done.map_err(platform)?;
        if let Some(list) = list {
            self.perform(engine.witness_patrol(moment(), asked, list.as_ref()))
                .await
                .map_err(platform)?;
        }
        self.perform(engine.process_review_queue(moment())).await.map_err(platform)?;
        let wake =
            engine.next_wake(now()).map_err(|err| Refusal::new(Code::Conflict, err.to_string()))?;
        self.rearm(wake).await.map_err(platform)
    }

    /// After a tick: sets the alarm to what the rows want, unless something pulled it forward meanwhile.
    async fn rearm(&self, wake: Option<Millis>) -> Result<()> {
        let set = self.next_tick().await?;
        let first = now().plus(self.engine.as_ref().map_or(0, |it| it.settings.active_alarm_ms));
        match (wake, set) {
            // Pulled forward by a request while the tick ran.
            (_, Some(set)) if set.plus(1_000) < first => Ok(()),
            // What was set at the start of the tick will do.
            (Some(wake), Some(set)) if wake.since(set).max(set.since(wake)) < 1_000 => Ok(()),
            (Some(wake), _) => self.set_alarm(wake.since(now())).await,
            (None, _) => self.state.storage().delete_alarm().await,
        }
    }

    /// Pulls the alarm forward to a time; never pushes it back.
    pub(super) async fn arm(&self, at: Millis) -> Result<()> {
        match self.next_tick().await? {
            Some(set) if set <= at && !is_late(set) => Ok(()),
            set => {
                self.set_alarm(at.since(now())).await?;
                if set.is_none() {
                    // Boxed: it is rare, and each tick would carry it.
                    Box::pin(self.be_known()).await;
                }
                Ok(())
            }
        }
    }

    /// What the watchdog asks: whether the alarm is set. That is one read; one that is missing, late or further ahead
    /// than the rows want it is set anew.
    async fn poke(&self, mut req: Request) -> std::result::Result<Response, Refusal> {
        let said = self.look_at_alarm(&mut req).await?;
        Response::ok(said).map_err(platform)
    }

    async fn look_at_alarm(&self, req: &mut Request) -> std::result::Result<&'static str, Refusal> {
        let pause = http::body(req).await?;
        if let Some(at) = self.learn(&pause) {
            self.arm(at).await.map_err(platform)?;
        }
        let set = self.next_tick().await.map_err(platform)?.filter(|set| !is_late(*set));
        if set.is_some_and(|set| set.since(now()) <= limits::ALARM_AHEAD_MS) {
            return Ok("set");
        }
        let wake = self.engine()?.next_wake(now());
        let wake = wake.map_err(|err| Refusal::new(Code::Conflict, err.to_string()))?;
        let Some(at) = wake else {
            // Work may wait here for the switch: whoever turns it must find the rig.
            if matches!(self.engine()?.store.pause(Scope::Deployment), Ok(Some(_)) | Err(_)) {
                return Ok("set");
            }
            self.forget_known().await.map_err(platform)?;
            return Ok("idle");
        };
        // It is set to sleep so long; or the clock was set back since.
        if set.is_some_and(|set| set <= at) {
            return Ok("set");
        }
        say_fault("the alarm was lost, or came far too late; it is set again");
        self.set_alarm(at.since(now())).await.map_err(platform)?;
        Ok("woken")
    }

    /// Tells the watchdog that there is work here: once, and again after a day. If it cannot, the next tick does.
    async fn be_known(&self) {
        if self.known.load(Ordering::Relaxed) {
            return;
        }
        let told = within(BE_KNOWN_MS, async {
            match self.state.storage().get::<i64>(KNOWN).await {
                Ok(Some(at)) if now().since(Millis(at)) < limits::KNOWN_MS => Ok(()),
                _ => self.say_known().await,
            }
        });
        match told.await.unwrap_or_else(|| Err(format!("not within {BE_KNOWN_MS} ms"))) {
            Ok(()) => self.known.store(true, Ordering::Relaxed),
            Err(err) => say_fault(&format!("the watchdog does not know of the rig: {err}")),
        }
    }

    /// Learns from the watchdog how the switch of the deployment stands; when to wake for that.
    fn learn(&self, pause: &[u8]) -> Option<Millis> {
        let (Ok(pause), Ok(engine)) = (serde_json::from_slice(pause), self.engine()) else {
            say_fault("the watchdog's word on the switch cannot be read");
            return None;
        };
        let effects = match engine.apply(moment(), Command::DeploymentPaused(pause)) {
            Ok(outcome) => outcome.effects,
            Err(err) => {
                say_fault(&format!("the switch of the deployment: {err}"));
                return None;
            }
        };
        let mut wake = None;
        for effect in effects {
            match effect {
                Effect::WakeAt(at) => wake = Some(at),
                Effect::Tell(tell) => self.tell(&tell),
                Effect::Start(_)
                | Effect::Stop { .. }
                | Effect::Merge(_)
                | Effect::Nudge { .. } => {}
            }
        }
        wake
    }

    async fn say_known(&self) -> std::result::Result<(), String> {
        let rig = &self.engine.as_ref().map_err(Clone::clone)?.rig;
        let (taken, pause) = super::watchdog::tell(&self.env, rig).await?;
        // What is awake for its work needs no other alarm.
        let _ = self.learn(pause.as_bytes());
        taken?;
        self.state.storage().put(KNOWN, now().0).await.map_err(|err| err.to_string())
    }

    async fn forget_known(&self) -> Result<()> {
        self.known.store(false, Ordering::Relaxed);
        self.state.storage().delete(KNOWN).await.map(drop)
    }

    async fn set_alarm(&self, in_ms: i64) -> Result<()> {
        #[cfg(feature = "bench")]
        self.alarms_set.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // An integer is an offset from now.
        self.state.storage().set_alarm(in_ms).await
    }

    async fn next_tick(&self) -> Result<Option<Millis>> {
        #[cfg(feature = "bench")]
        self.alarms_read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(self.state.storage().get_alarm().await?.map(Millis))
    }

    /// Tells, and wakes the rig when an effect is due; whatever else is to be done, the tick finds in the rows.
    async fn notice(&self, effects: Vec<Effect>) -> Result<()> {
        let mut wake = None;
        for effect in effects {
            match effect {
                Effect::Tell(tell) => self.tell(&tell),
                Effect::WakeAt(at) => wake = Some(wake.map_or(at, |set: Millis| set.min(at))),
                Effect::Start(_) | Effect::Merge(_) | Effect::Stop { .. } => wake = Some(now()),
                // Only the tick says this, and it performs what it says.
                Effect::Nudge { .. } => {}
            }
        }
        match wake {
            Some(at) => self.arm(at).await,
            None => Ok(()),
        }
    }
}

/// Whether an alarm should have rung long ago.
fn is_late(set: Millis) -> bool {
    now().since(set) > limits::ALARM_LATE_MS
}

fn open(state: &State, env: &Env) -> std::result::Result<Engine<DurableSql>, String> {
    let config = Config::read(env)?;
    let rig = state.id().name().ok_or("the object has no name")?;
    let store = Store::open(DurableSql::open(state)).map_err(|err| err.to_string())?;
    Ok(Engine { store, settings: config.settings, secrets: config.secrets, rig })
}

/// Answers a request; a panic is answered too, and disturbs no other.
pub(super) async fn guarded(
    answering: impl Future<Output = std::result::Result<Response, Refusal>>,
) -> Result<Response> {
    match caught(answering).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(refusal)) => refuse(&refusal),
        Err(panic) => {
            let response = api::fault(moment(), &panic);
            say_fault(response.fault.as_deref().unwrap_or_default());
            answer(response.status, &response.body)
        }
    }
}

/// Waits for something that may panic.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> std::result::Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned())
    })
}

pub(super) fn platform(err: worker::Error) -> Refusal {
    say_fault(&err.to_string());
    Refusal::new(Code::ObjectUnavailable, "the rig's storage did not answer; ask again")
}

pub(super) fn say_fault(detail: &str) {
    worker::console_error!("{}", serde_json::json!({"event": "fault", "detail": detail}));
}

/// What a test may do to the object.
#[cfg(feature = "faults")]
impl Rig {
    /// `rigs/<rig>/<fetch|alarm>/<panic|hang>`: now, or at the next tick, which comes at once. `alarm/lose` deletes it,
    /// `alarm/far` sets it for tomorrow, as a clock does that is ahead for a moment.
    async fn inject(&self, wanted: &str) -> Result<Response> {
        match wanted.split('/').skip(2).collect::<Vec<_>>().as_slice() {
            ["fetch", "panic"] => panic!("injected into a request"),
            ["alarm", "panic"] => self.fault.store(1, Ordering::Relaxed),
            ["alarm", "hang"] => self.fault.store(2, Ordering::Relaxed),
            ["alarm", "lose"] => {
                self.state.storage().delete_alarm().await?;
                return answer(200, "{}");
            }
            ["alarm", "far"] => {
                self.set_alarm(86_400_000).await?;
                return answer(200, "{}");
            }
            _ => return answer(404, "{}"),
        }
        self.arm(now()).await?;
        answer(200, "{}")
    }

    async fn suffer(&self) {
        match self.fault.swap(0, Ordering::Relaxed) {
            1 => panic!("injected into the alarm"),
            2 => std::future::pending().await,
            _ => {}
        }
    }
}
