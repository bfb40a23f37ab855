//! What can be typed about the command itself and all that it depends on.

use clap::Args;
use clap_complete::Shell;

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Leave the container alone: asking it starts one that sleeps
    #[arg(long)]
    pub no_container: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// For which
    #[arg(value_enum)]
    pub shell: Shell,
}
