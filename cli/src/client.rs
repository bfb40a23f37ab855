//! Requests to a rig, and what is done when one does not come through. Must never do a change twice, and must never
//! show the token.
//!
//! A request ends in one of four ways:
//!
//! ```text
//! answered    the rig said yes or no                       final
//! not begun   refused, no route, no name, 503              nothing happened: any request may be sent again
//! lost        cut off or timed out after sending, 502, 504 it may have happened: it is sent again under the same
//!                                                          key, and the rig answers what it answered
//! impossible  bad URL, bad certificate                     final
//! ```
//!
//! 502 and 504 come from something in front of the rig that had passed the request on, so they count as lost.
//! Every change carries an `Idempotency-Key` of its own, the same in each try, so that it is done once. Whether to try
//! again at all is the caller's patience: none for people, who see the message and decide, two minutes for agents, who
//! would rather give up their work than wait for a restart.

use crate::failure::Failure;
use crate::settings::{self, Settings};
use beadrig::wire::Envelope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, OnceCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use ureq::http::{HeaderValue, Method, Request, Response};
use ureq::{Agent, Body};

/// A page of a thousand beads with long bodies still fits; a wrong server cannot fill the memory.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// A connection to one rig.
pub struct Client {
    agent: Agent,
    settings: Settings,
    base: String,
    actor: OnceCell<String>,
    warned: Cell<bool>,
    warn: Box<dyn Fn(&str)>,
}

/// How the body of an answer is read; none is no good answer.
type Reader<T> = fn(&[u8]) -> serde_json::Result<Option<T>>;

/// A good answer that is a part of something.
pub struct Part {
    text: Vec<u8>,
    /// Where the next one begins; none: this was the last.
    pub next: Option<String>,
}

/// What of a part is read at once.
#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

impl Part {
    /// What is in it.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        match read_envelope(&self.text) {
            Ok(Some(data)) => Ok(data),
            Ok(None) => Err(not_understood("it holds nothing")),
            Err(error) => Err(not_understood(error)),
        }
    }
}

/// An answer as it came.
pub struct Seen {
    /// The HTTP status.
    pub status: u16,
    /// The clock of whoever answered, where it is told.
    pub date: Option<String>,
    /// The body.
    pub text: Vec<u8>,
}

impl Seen {
    /// The answer in its envelope, or bare, if it is a good one.
    pub fn data(&self) -> Option<serde_json::Value> {
        let mut body: serde_json::Value = serde_json::from_slice(&self.text).ok()?;
        let good = self.status < 300;
        match body.get("success") {
            Some(yes) if good && yes == true => Some(body["data"].take()),
            None if good => Some(body),
            _ => None,
        }
    }

    /// What was said instead, for people.
    pub fn problem(&self) -> String {
        let said: Said = serde_json::from_slice(&self.text).unwrap_or_default();
        said.error.unwrap_or_else(|| format!("it answers {}, and not as Beadrig does", self.status))
    }
}

/// What refusals have in common, in an envelope or without one.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    code: Option<String>,
}

/// Why there is no good answer.
#[derive(Debug)]
enum Trouble {
    /// Nothing happened.
    NotBegun(Failure),
    /// It may have happened.
    Lost(Failure),
    /// The rig said no, or it can never work.
    Final(Failure),
}

impl Client {
    /// Opens nothing yet. `warn` hears, once, that a rig is waited for.
    pub fn new(settings: Settings, warn: Box<dyn Fn(&str)>) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(settings.deadline))
            // Shorter, so that a host that does not answer at all is told from an answer that was lost.
            .timeout_connect(Some(settings.deadline / 2))
            .user_agent(concat!("beadrig/", env!("CARGO_PKG_VERSION")));
        if is_local(&settings.url) {
            config = config.proxy(None);
        }
        let base = format!("/api/rigs/{}", encode(&settings.rig));
        let agent = config.build().into();
        Self { agent, settings, base, actor: OnceCell::new(), warned: Cell::new(false), warn }
    }

    /// Which rig it talks to.
    pub fn rig(&self) -> &str {
        &self.base
    }

    /// Reads.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.get_at(&format!("{}{path}", self.base))
    }

    /// Reads what is no rig's: a whole path, such as `/api/pause`.
    pub fn get_at<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.persist(&Method::GET, path, &[], None, read_envelope)
    }

    /// Reads a part of something long, and leaves it for another thread to understand.
    pub fn part(&self, path: &str) -> Result<Part, Failure> {
        self.persist(&Method::GET, &format!("{}{path}", self.base), &[], None, |text| {
            let next = read_envelope::<Next>(text)?;
            Ok(next.map(|Next { next }| Part { text: text.to_vec(), next }))
        })
    }

    /// Reads what comes without an envelope, as the container service answers.
    pub fn get_bare<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.persist(&Method::GET, path, &[], None, |text| serde_json::from_slice(text).map(Some))
    }

    /// One try at a path, whatever is answered: for whoever wants to know where the chain is broken.
    pub fn look(&self, path: &str) -> Result<Seen, Failure> {
        let seen = || {
            let request = self.request(&Method::GET, path, &[], None)?;
            let response = self.agent.run(request).map_err(|error| self.broken(error))?;
            let status = response.status().as_u16();
            let date = response.headers().get("date").and_then(|date| date.to_str().ok());
            let date = date.map(str::to_owned);
            Ok(Seen { status, date, text: self.text(response)? })
        };
        seen().map_err(|trouble| match trouble {
            Trouble::NotBegun(failure) | Trouble::Lost(failure) | Trouble::Final(failure) => {
                failure
            }
        })
    }

    /// What it was told to talk to.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes, once.
    pub fn send<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send_at(method, &format!("{}{path}", self.base), body)
    }

    /// Changes what is no rig's, once.
    pub fn send_at<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = to_json(body)?;
        self.persist(method, path, &body, Some(&key()), read_envelope)
    }

    /// Takes away, once.
    pub fn delete_at(&self, path: &str) -> Result<(), Failure> {
        let gone = self.persist(&Method::DELETE, path, &[], Some(&key()), read_envelope);
        gone.map(|_: serde_json::Value| ())
    }

    /// Takes something of the rig's away, once.
    pub fn delete(&self, path: &str) -> Result<(), Failure> {
        self.delete_at(&format!("{}{path}", self.base))
    }

    /// Changes, once, with nothing more to say.
    pub fn act<T: DeserializeOwned>(&self, method: &Method, path: &str) -> Result<T, Failure> {
        self.persist(method, &format!("{}{path}", self.base), &[], Some(&key()), read_envelope)
    }

    /// Tries until there is an answer, or the patience has run out.
    fn persist<T>(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        key: Option<&str>,
        read: Reader<T>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + self.settings.patience;
        let mut back_off = BACK_OFF_FIRST;
        loop {
            let failure = match self.once(method, path, body, key, read) {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::NotBegun(failure)) => failure,
                Err(Trouble::Lost(failure)) if key.is_none() => failure,
                Err(Trouble::Lost(failure)) => {
                    failure.hint("it may have been done: look before you repeat it")
                }
            };
            if !self.settings.patience.is_zero() {
                self.waits(&failure);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failure);
            }
            std::thread::sleep(back_off.min(left));
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
    }

    /// Says once that it waits.
    fn waits(&self, failure: &Failure) {
        if !self.warned.replace(true) {
            let seconds = self.settings.patience.as_secs();
            (self.warn)(&format!("{}; trying again for {seconds} s", failure.message));
        }
    }

    fn once<T>(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        key: Option<&str>,
        read: Reader<T>,
    ) -> Result<T, Trouble> {
        let request = self.request(method, path, body, key)?;
        let response = self.agent.run(request).map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        let text = self.text(response)?;
        match read(&text) {
            Ok(Some(data)) if status < 300 => Ok(data),
            Err(error) if status < 300 && is_yes(&text) => {
                Err(Trouble::Final(not_understood(error)))
            }
            _ => Err(self.refused(status, &text)),
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        key: Option<&str>,
    ) -> Result<Request<Vec<u8>>, Trouble> {
        let token = &self.settings.token;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", token.secret())).map_err(|_| {
                Trouble::Final(Failure::fatal(format!(
                    "the token from {} fits no header",
                    token.source
                )))
            })?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.settings.url))
            .header("accept", "application/json")
            .header("authorization", bearer);
        if method != Method::GET {
            request = request
                .header("content-type", "application/json")
                .header("x-beadrig-actor", self.actor());
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.body(body.to_vec()).map_err(|error| {
            Trouble::Final(Failure::fatal(format!(
                "the URL {}{path} cannot be used: {error}",
                self.settings.url
            )))
        })
    }

    /// In whose name it speaks.
    pub fn name(&self) -> String {
        let Settings { actor, actor_in_file, .. } = &self.settings;
        let named = || settings::actor(actor.as_deref(), actor_in_file.as_ref());
        self.actor.get_or_init(named).clone()
    }

    /// A name may be in any script; a header takes bytes, but no control characters.
    fn actor(&self) -> HeaderValue {
        let name: String = self.name().chars().filter(|c| !c.is_control()).collect();
        HeaderValue::from_bytes(name.trim().as_bytes())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    }

    fn text(&self, response: Response<Body>) -> Result<Vec<u8>, Trouble> {
        let (_, mut body) = response.into_parts();
        body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(|error| self.broken(error))
    }

    /// No whole answer came.
    fn broken(&self, error: ureq::Error) -> Trouble {
        use ureq::{Error, Timeout};
        let url = &self.settings.url;
        let away = |what: &str| {
            Failure::fatal(format!("cannot reach the rig at {url}: {what}"))
                .hint("is it running? start it with `cargo xtask up`; another place is given with --url or BEADRIG_URL")
        };
        match error {
            Error::HostNotFound => Trouble::NotBegun(away("there is no such host")),
            Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                Trouble::NotBegun(away("it does not answer"))
            }
            Error::Io(error) => match error.kind() {
                ErrorKind::ConnectionRefused => Trouble::NotBegun(away("connection refused")),
                ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable => Trouble::NotBegun(away(&error.to_string())),
                // The system's resolver has no kind of its own; nothing was sent.
                _ if error.to_string().starts_with("failed to lookup address") => {
                    Trouble::NotBegun(away("there is no such host"))
                }
                // What is wrong with a certificate comes as an io error, before anything was sent.
                ErrorKind::InvalidData => Trouble::Final(Failure::fatal(format!(
                    "cannot talk to the rig at {url}: {error}"
                ))),
                _ => Trouble::Lost(Failure::fatal(format!(
                    "lost the connection to the rig at {url}: {error}"
                ))),
            },
            Error::Timeout(_) => {
                let seconds = self.settings.deadline.as_secs_f32();
                Trouble::Lost(Failure::fatal(format!(
                    "the rig at {url} did not answer within {seconds} s"
                )))
            }
            Error::Protocol(error) => Trouble::Lost(Failure::fatal(format!(
                "lost the connection to the rig at {url}: {error}"
            ))),
            error => {
                Trouble::Final(Failure::fatal(format!("cannot talk to the rig at {url}: {error}")))
            }
        }
    }

    /// An answer came, and it is not what was asked for.
    fn refused(&self, status: u16, text: &[u8]) -> Trouble {
        let url = &self.settings.url;
        let Said { error: said, code } = serde_json::from_slice(text).unwrap_or_default();
        let code = code.unwrap_or_default();
        let sentence = said
            .clone()
            .unwrap_or_else(|| format!("{url} answered {status}, and not as a rig does"));
        let failure = match status {
            401 => {
                let source = &self.settings.token.source;
                Failure::fatal(format!(
                    "the rig at {url} does not accept the token from {source}: {sentence}"
                ))
            }
            404 if said.is_some() && !code.contains("rig") => {
                Failure { kind: crate::failure::Kind::NotFound, message: sentence, hint: None }
            }
            _ if said.is_none() || status >= 500 => Failure::fatal(sentence),
            _ => Failure::refused(sentence),
        };
        match status {
            503 => Trouble::NotBegun(failure),
            502 | 504 => Trouble::Lost(failure),
            _ if said.is_none() => {
                Trouble::Final(failure.hint("is the URL the one of a Beadrig service?"))
            }
            _ => Trouble::Final(failure),
        }
    }
}

fn not_understood(why: impl std::fmt::Display) -> Failure {
    Failure::fatal(format!("the rig said yes, but its answer is not understood: {why}"))
        .hint("is this command of the same version as the rig?")
}

fn read_envelope<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<Option<T>> {
    serde_json::from_slice::<Envelope<T>>(text)
        .map(|envelope| envelope.data.filter(|_| envelope.success))
}

fn is_yes(text: &[u8]) -> bool {
    serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(text)
        .is_ok_and(|envelope| envelope.success)
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body)
        .map_err(|error| Failure::fatal(format!("cannot write the request: {error}")))
}

/// 128 bits that no other change has. The standard library seeds its hash maps from the system's randomness; no secret
/// is made of it.
fn key() -> String {
    let half = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", half(), half())
}

/// A proxy cannot know what this machine calls 127.0.0.1.
fn is_local(url: &str) -> bool {
    let host = url.split("//").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    host.starts_with("127.")
        || host.starts_with("[::1]")
        || host.split(':').next() == Some("localhost")
}

/// For one part of a path or query.
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => write!(out, "%{byte:02X}").expect("a string takes everything"),
        }
        out
    })
}
