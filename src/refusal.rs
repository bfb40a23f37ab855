//! What the rig says when it does not do what it was asked.
//!
//! A refusal is part of the API: a stable code, one sentence that names the thing, its state and what to do,
//! and a status from one match. A fault is ours, and is not here.

use std::fmt;

use thiserror::Error;

/// A request that was not done, and why. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// Says no.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A field that is not what it should be.
    pub fn invalid(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(Code::Invalid, format!("{field} {problem}"))
    }

    /// No such bead.
    pub fn no_bead(id: &str) -> Self {
        Self::new(Code::NotFound, format!("Bead {id} not found"))
    }

    /// No such agent.
    pub fn no_agent(id: &str) -> Self {
        Self::new(Code::NotFound, format!("Agent {id} not found"))
    }
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A field is missing, too long, or of another shape.
    Invalid,
    /// There is no such bead, agent or route.
    NotFound,
    /// No token, or none of ours.
    Unauthorized,
    /// A token of ours, but not for this.
    Forbidden,
    /// The thing is in a state in which this cannot be done.
    Conflict,
    /// The run that speaks is not the current one.
    StaleAttempt,
    /// Something of that name is there already.
    Exists,
    /// An `Idempotency-Key` was used for something else.
    IdempotencyMismatch,
    /// A bound was reached.
    LimitReached,
    /// The container speaks another version of the protocol.
    Protocol,
    /// The body is too large.
    TooLarge,
    /// The route is there, the method is not.
    MethodNotAllowed,
    /// The rig's object could not be reached, or was reset; what was asked may have happened.
    ObjectUnavailable,
    /// The deployment lacks a secret or has a bad setting.
    NotConfigured,
}

impl Code {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::StaleAttempt => "stale_attempt",
            Self::Exists => "already_exists",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::LimitReached => "limit_reached",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::ObjectUnavailable => "unavailable",
            Self::NotConfigured => "not_configured",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict | Self::StaleAttempt | Self::Exists | Self::IdempotencyMismatch => 409,
            Self::TooLarge => 413,
            // Not 409, which tells the container never to send it again.
            Self::Protocol => 426,
            Self::LimitReached => 429,
            Self::NotConfigured => 500,
            Self::ObjectUnavailable => 503,
        }
    }
}
