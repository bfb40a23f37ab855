//! What `cargo xtask …` does: build, run and test the project on one machine.
//!
//! Needs cargo with rustup, git, and Node with npm; everything else is installed below `target/` and
//! `node_modules/` in the versions that the repository names. [`stack`] is also what the system tests start.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]

pub mod error;
pub mod repo;

pub mod run;
pub mod sim;
pub mod tools;
pub mod worker;

pub mod stack;

pub mod bench;
pub mod chaos;
pub mod checks;
pub mod up;

pub use error::{Error, Result};
