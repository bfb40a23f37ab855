//! Measures the built worker on workerd, and the container service, with everything built for speed.

use crate::error::Result;
use crate::tools::Tools;
use crate::worker::{self, Variant};
use crate::{run, up};

/// Builds, then runs a benchmark of the root package, which prints its figures: `report` or `import`.
pub fn run(what: &str) -> Result<()> {
    Tools::prepare()?;
    worker::build(Variant::Test)?;
    up::build_programs(true)?;
    let mut cargo = run::cargo();
    cargo.args(["test", "--package", "beadrig", "--features", "live", "--release"]);
    cargo.args(["--test", "bench", "--", "--exact", what, "--nocapture"]);
    run::through(&mut cargo)
}

/// Builds and runs the benchmark of the container service, which prints its figures. It needs no worker.
pub fn container() -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args(["test", "--package", "beadrig-container", "--release", "--test", "service"]);
    cargo.args(["--", "--ignored", "--nocapture", "bench::"]);
    run::through(&mut cargo)
}
