//! The flags of `export`, `import` and `sync`.

use clap::Args;
use std::path::PathBuf;

/// `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The file to write, all of it or nothing; without it stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Number comments that were made here, as br needs it; bd needs names
    #[arg(long)]
    pub numbered_comments: bool,
}

/// `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The file to read, `-` for stdin
    #[arg(value_name = "FILE", default_value = ".beads/issues.jsonl")]
    pub file: PathBuf,
    /// Say what would be done with each line, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take away labels, dependencies and keys that a line does not have; without it they stay, as in bd
    #[arg(long)]
    pub replace: bool,
}

/// `sync`.
#[derive(Debug, Args)]
pub struct Sync {
    /// The file; without it .beads/issues.jsonl, here or above
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}
