//! The real service with real git, against bare repositories as remotes and a small rig.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(
    dead_code,
    reason = "what the tests of the service begin with has more than is needed here"
)]

mod credentials;
mod forms;
mod kept;
mod merges;
mod outcomes;
mod planted;
mod program;
mod remote;
mod runs;

#[path = "../service/rig.rs"]
mod rig;
#[path = "../service/town.rs"]
mod town;
