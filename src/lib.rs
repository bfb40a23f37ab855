//! One rig: the beads it must finish, the agents that work on them, and the scheduler that joins the two.
//!
//! Everything here is synchronous and knows no clock, no network and no Cloudflare, except `edge`, which exists
//! only in a wasm build. In reading order:

pub mod agent;
pub mod api;
pub mod attempt;
pub mod bead;
pub mod breaker;
pub mod command;
pub mod directory;
pub mod engine;
pub mod escalation;
pub mod hall;
pub mod id;
pub mod issue;
pub mod limits;
pub mod molecule;
pub mod mutant;
pub mod refusal;
pub mod review;
pub mod settings;
pub mod store;
pub mod token;
pub mod town;
pub mod wire;

#[cfg(target_arch = "wasm32")]
mod edge;
