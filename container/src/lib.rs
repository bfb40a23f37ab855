//! The container service: it runs the processes of a town's agents and remembers nothing that cannot be lost.
//!
//! ```text
//! rig --HTTP--> server --> supervisor --> one task per process --> agents
//!  ^                        |  owner of all agents
//!  +--report, heartbeat <---+
//! ```
//!
//! Beside the agents of rigs it runs jobs that anybody with its token asks for ([`jobs`]); these it remembers.
//!
//! The rig is the brain: it decides and remembers. This is the muscle: it must never decide what work is done,
//! never run two attempts of one agent at a time, and never leave a process behind, whichever way it ends.

pub mod limits;

pub mod config;
pub mod policy;

pub mod supervisor;

mod owner;

pub mod run;

pub mod life;

pub mod launch;
pub mod process;

pub mod lines;
pub mod output;

pub mod git;
pub mod jobs;

pub mod connections;
pub mod heartbeat;
pub mod report;
pub mod rig;
pub mod server;
pub mod stream;

pub mod journal;
pub mod room;

pub mod clock;

pub mod service;

pub use config::Config;
pub use service::Service;
