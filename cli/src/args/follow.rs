//! What can be typed to see what happens.

use clap::Args;

/// `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// An agent's id, or a bead: then whoever has it, or had it last
    pub whose: String,
    /// Go on as it comes, until the bead is finished or Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last so many lines of what is there
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<usize>,
    /// With the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
}

/// `watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// From when on: -1h, 2026-12-01, or RFC 3339; without it, now
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// From the event after this one, as told by `seq`
    #[arg(long, value_name = "SEQ", conflicts_with = "since")]
    pub after: Option<i64>,
    /// Only what happens to this bead
    #[arg(long, value_name = "ID")]
    pub bead: Option<String>,
    /// Show what there is, and end
    #[arg(long)]
    pub once: bool,
}
