//! `cargo xtask test`: not written yet.

use crate::error::{Error, Result};

/// Says which steps there are.
pub fn list() {}

/// Runs the steps.
pub fn run(_words: &[String]) -> Result<bool> {
    Err(Error::new("not written yet"))
}
