//! Measures the built worker on workerd, with everything built for speed.

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
