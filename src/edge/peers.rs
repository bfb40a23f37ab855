//! Asking other objects as the caller, each with a deadline. Knows no routes.

use worker::{Env, Headers, Method, Request, RequestInit};

use super::http::{self, within};
use super::rig::say_fault;
use crate::directory::Said;
use crate::wire::Envelope;

/// How long an object may take to answer a question, in milliseconds: it has its rows at hand.
pub(super) const ANSWER_MS: u64 = 5_000;

/// How the caller showed who it is; the objects want to know it too.
pub(super) struct Credentials {
    authorization: Option<String>,
    actor: Option<String>,
}

impl Credentials {
    pub(super) fn of(req: &Request) -> Self {
        Self {
            authorization: http::header(req, "authorization"),
            actor: http::header(req, "x-beadrig-actor"),
        }
    }
}

/// An object.
#[derive(Clone, Copy)]
pub(super) struct Peer<'a> {
    /// What people call it.
    pub(super) what: &'static str,
    /// Its binding.
    pub(super) binding: &'static str,
    /// Its name.
    pub(super) name: &'a str,
}

/// A rig.
pub(super) fn rig(name: &str) -> Peer<'_> {
    Peer { what: "rig", binding: "RIG", name }
}

/// What a town knows itself.
pub(super) fn hall(name: &str) -> Peer<'_> {
    Peer { what: "town", binding: "HALL", name }
}

impl Peer<'_> {
    /// Asks it as the caller, and waits for its answer, but not for ever.
    pub(super) async fn ask(
        self,
        env: &Env,
        by: &Credentials,
        (method, path, ms): (Method, &str, u64),
        body: Option<String>,
    ) -> Result<(u16, Vec<u8>), String> {
        let Self { what, binding, name } = self;
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
            let url = format!("http://{what}/api/{what}s/{name}{path}");
            let request = Request::new_with_init(&url, &init)?;
            let stub = env.durable_object(binding)?.get_by_name(name)?;
            let mut response = stub.fetch_with_request(request).await?;
            Ok::<_, worker::Error>((response.status_code(), response.bytes().await?))
        };
        match within(ms, call).await {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(err)) => {
                say_fault(&format!("{what} {name}: {err}"));
                Err(format!("the {what} could not be reached"))
            }
            None => Err(format!("the {what} did not answer within {ms} ms")),
        }
    }

    /// Has it do something.
    pub(super) async fn tell(
        self,
        env: &Env,
        by: &Credentials,
        call: (Method, &str, u64),
        body: Option<String>,
    ) -> Said {
        match self.ask(env, by, call, body).await {
            Ok((200..=299, _)) => Said::Done,
            Ok((status, body)) => match serde_json::from_slice::<Envelope<()>>(&body) {
                Ok(Envelope { error: Some(error), .. }) if status < 500 => {
                    Said::Refused(status, error)
                }
                _ => Said::Nothing(format!("the {} answered {status}", self.what)),
            },
            Err(err) => Said::Nothing(err),
        }
    }
}
