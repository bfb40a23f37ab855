//! Builds and runs the simulator. With the switches of the mutants in it, which are off but for one at a time.

use std::ffi::OsString;
use std::process::Command;

use crate::run;

/// The command that runs the simulator with these arguments.
pub fn command(args: impl IntoIterator<Item = OsString>) -> Command {
    let mut command = run::cargo();
    command.args(["run", "--quiet", "--profile", "sim", "--package", "beadrig-sim"]);
    command.args(["--features", "mutants", "--"]);
    command.args(args);
    command
}
