//! The way to the rig API: one client, the container's token, a deadline for every request.
//!
//! It must never follow a redirect (the token would go along) and never wait without a bound.

use std::sync::Arc;
use std::time::Duration;

use beadrig::wire::container::Secret;
use beadrig::wire::{PROTOCOL, PROTOCOL_HEADER};
use reqwest::StatusCode;
use serde::Serialize;
use thiserror::Error;

use crate::config::Config;
use crate::limits::{RIG_ANSWER_BYTES_MAX, RIG_REQUEST_MS_MAX};

/// A client of the rig API.
#[derive(Clone, Debug)]
pub struct Rig {
    http: reqwest::Client,
    base: String,
    token: Secret,
}

/// No answer.
#[derive(Debug, Error)]
pub enum RigError {
    /// The request did not get through in time.
    #[error("{0}")]
    Http(String),
    /// The answer is larger than any answer to us.
    #[error("the answer has more than {RIG_ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

/// Why there is no HTTP client.
pub type ClientError = Box<dyn std::error::Error + Send + Sync>;

/// Makes an HTTP client; TLS comes with Mozilla's roots and needs nothing of the system.
pub fn client() -> Result<reqwest::Client, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<rustls::RootCertStore>();
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_millis(RIG_REQUEST_MS_MAX));
    Ok(client.build()?)
}

impl Rig {
    /// A client with the settings' address and token.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        Ok(Self { http: client()?, base: config.rig_url.clone(), token: config.token.clone() })
    }

    /// Posts JSON to `/api/rigs/<path>`.
    pub async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(StatusCode, Vec<u8>), RigError> {
        let body = serde_json::to_vec(body).expect("plain data");
        let request = self
            .http
            .post(format!("{}/api/rigs/{path}", self.base))
            .bearer_auth(self.token.expose())
            .header("content-type", "application/json")
            .header(PROTOCOL_HEADER, PROTOCOL)
            .body(body);
        let mut answer = request.send().await.map_err(whole)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(whole)? {
            if bytes.len() + chunk.len() > RIG_ANSWER_BYTES_MAX {
                return Err(RigError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((answer.status(), bytes))
    }
}

/// An error with what is behind it; on its own it says only that a request failed.
fn whole(error: reqwest::Error) -> RigError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut behind = std::error::Error::source(&error);
    while let Some(cause) = behind {
        text = format!("{text}: {cause}");
        behind = cause.source();
    }
    RigError::Http(text)
}
