//! The command `beadrig`: hands its arguments and streams to the library and its answer to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    beadrig_cli::run(std::env::args_os())
}
