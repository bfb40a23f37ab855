//! Whether the built worker answers as `openapi.json` says: schemathesis makes requests from the document, good and bad
//! ones, and looks at what comes back. It must not need anything that is not installed under `target/`, but python3.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::tally::Tally;
use super::{Step, check};
use crate::error::{Doing as _, Error, Result};
use crate::stack::{Options, Stack};
use crate::tools::Tools;
use crate::worker::{self, Variant};
use crate::{repo, run, up};

const VERSION: &str = "4.32.5";

/// Requests for an operation in each phase, and seconds for all of them: together under two minutes.
const EXAMPLES_MAX: &str = "20";
const SECONDS_MAX: &str = "90";

/// One seed, so that a failure is found again; a new one now and then finds other things: `SCHEMATHESIS_SEED`.
const SEED: &str = "20260101";

const CHECKS: &str = "not_a_server_error,status_code_conformance,response_schema_conformance,\
                      content_type_conformance";

/// Every request goes to one rig and one town, so that later ones meet what earlier ones made.
const CONFIG: &str = r#"
headers = { Authorization = "Bearer ${BEADRIG_TOKEN}" }
parameters = { rigId = "fuzzed", townId = "local" }
"#;

/// Runs it against a stack of its own.
pub(super) fn conforms(step: &Step) -> Result<Tally> {
    let Some(program) = installed()? else {
        if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
            return Err(Error::new("there is no python3, and with CI=true no step is left out"));
        }
        eprintln!("{}: LEFT OUT, there is no python3; install it to run schemathesis", step.name);
        return Ok(Tally::default());
    };
    Tools::prepare()?;
    worker::build(Variant::Test)?;
    up::build_programs(false)?;
    let dir = repo::target().join("xtask/schemathesis");
    fs::remove_dir_all(&dir).ok();
    // Nothing is started: what is made here is for nobody.
    let options = Options::for_test(&dir)?.set("DISPATCH_ENABLED", false);
    let stack = Stack::start(options)?;
    let config = dir.join("schemathesis.toml");
    fs::write(&config, CONFIG).doing_to("write", &config)?;
    let seed = std::env::var("SCHEMATHESIS_SEED").unwrap_or_else(|_| SEED.to_owned());
    let mut schemathesis = Command::new(program);
    schemathesis
        .current_dir(&dir)
        .env("BEADRIG_TOKEN", stack.token())
        .env("NO_PROXY", "127.0.0.1")
        .arg("--config-file")
        .arg(&config)
        .args(["run", "--url", &stack.url(), "--checks", CHECKS])
        .args(["--max-examples", EXAMPLES_MAX, "--max-time", SECONDS_MAX, "--seed", &seed])
        .args(["--request-timeout", "10", "--warnings", "off", "--suppress-health-check", "all"])
        .arg(repo::root().join("src/api/openapi.json"));
    let tally = check(step, &mut schemathesis);
    stack.stop(Duration::from_secs(5));
    tally
}

/// The program, installed where nothing else sees it; none where there is no python3.
fn installed() -> Result<Option<PathBuf>> {
    let home = repo::tools().join(format!("schemathesis-{VERSION}"));
    let program = home.join("bin/schemathesis");
    let complete = home.join("complete");
    if complete.exists() {
        return Ok(Some(program));
    }
    let Some(python) = run::find("python3") else { return Ok(None) };
    // A half of one is not taken for a whole: scripts in it name the place, so it cannot be moved there.
    fs::remove_dir_all(&home).ok();
    let what = format!("installing schemathesis {VERSION}");
    run::step(
        "making a place for schemathesis",
        "python-venv",
        Command::new(python).args(["-m", "venv"]).arg(&home),
    )?;
    let mut pip = Command::new(home.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    run::step(&what, "schemathesis", pip.arg(format!("schemathesis=={VERSION}")))?;
    fs::write(&complete, "").doing_to("write", &complete)?;
    Ok(Some(program))
}
