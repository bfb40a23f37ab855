//! The real server with real processes, against a small rig that remembers what it is told.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod answers;
mod attempts;
mod bench;
mod cgroups;
mod connections;
mod ending;
mod example;
mod fuzz;
mod http;
mod image;
mod jobs;
mod jobs_lost;
mod lease;
mod limits;
mod output;
mod processes;
mod program;
mod reports;
#[allow(dead_code, reason = "what it knows of merges is for the tests of git")]
mod rig;
mod stream;
mod town;
