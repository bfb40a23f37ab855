//! What crosses the wire: the JSON that people, agents and the container service exchange with a rig.
//!
//! These types are shared by the worker, the container service and the CLI, so that the three cannot
//! drift apart. They hold no rules: a value that is well-formed here may still be refused by the engine.
//! Readers are tolerant: unknown fields are ignored, so that old and new parts can talk while a rollout runs.

pub mod agents;
pub mod config;
pub mod container;
pub mod convoy;
pub mod dependencies;
pub mod details;
pub mod directory;
pub mod dispatch;
pub mod escalations;
pub mod exchange;
pub mod merge;
pub mod molecule;
pub mod review;
pub mod rig;
pub mod sling;
pub mod town;
pub mod town_config;

use serde::{Deserialize, Serialize};

/// The version of the messages between a rig and its container service; both sides send it.
pub const PROTOCOL: u32 = 1;

/// The header that says it of a request and of an answer, whatever is in the body.
pub const PROTOCOL_HEADER: &str = "x-beadrig-protocol";

/// The envelope of every answer of the rig API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Whether `data` is there; otherwise `error` is.
    pub success: bool,
    /// The answer.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub data: Option<T>,
    /// One sentence that names the thing, its state and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A stable `snake_case` name for the refusal, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

fn none<T>() -> Option<T> {
    None
}

impl<T> Envelope<T> {
    /// A good answer.
    pub fn ok(data: T) -> Self {
        Self { success: true, data: Some(data), error: None, code: None }
    }
}

impl Envelope<()> {
    /// A refusal or a fault.
    pub fn error(code: impl Into<String>, error: impl Into<String>) -> Self {
        Self { success: false, data: None, error: Some(error.into()), code: Some(code.into()) }
    }
}
