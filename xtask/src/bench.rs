//! Measures the built worker on workerd, with everything built for speed.

use crate::error::Result;
use crate::tools::Tools;
use crate::worker::{self, Variant};
use crate::{run, up};

/// Builds, then runs the benchmark of the root package, which prints its figures.
pub fn run() -> Result<()> {
    Tools::prepare()?;
    worker::build(Variant::Test)?;
    up::build_programs(true)?;
    let mut cargo = run::cargo();
    cargo.args(["test", "--package", "beadrig", "--features", "live", "--release"]);
    cargo.args(["--test", "bench", "--", "--nocapture"]);
    run::through(&mut cargo)
}
