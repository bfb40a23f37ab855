//! What can be typed about work that is under way: reviews, convoys, escalations, and why something waits.

use clap::{Args, Subcommand, ValueEnum};

/// `review`.
#[derive(Debug, Args)]
pub struct Review {
    /// What to do; without it, list
    #[command(subcommand)]
    pub verb: Option<ReviewVerb>,
}

/// About reviews.
#[derive(Debug, Subcommand)]
pub enum ReviewVerb {
    /// List them
    #[command(after_help = "Example:\n  beadrig review list -s pending")]
    List {
        /// Only these: pending, running, waiting, merged, conflict or failed
        #[arg(short, long, value_name = "STATUS")]
        status: Option<String>,
    },
    /// Show one
    #[command(after_help = "Example:\n  beadrig review show review-1")]
    Show {
        /// Its id
        id: String,
    },
    /// Say what came of one, such as a pull request that was merged
    #[command(after_help = "Example:\n  beadrig review complete review-1 merged --commit 4f2c9d1")]
    Complete {
        /// Its id
        id: String,
        /// What came of it
        #[arg(value_enum)]
        outcome: Outcome,
        /// In words
        #[arg(short, long = "message", value_name = "TEXT", allow_hyphen_values = true)]
        message: Option<String>,
        /// The merge commit
        #[arg(long, value_name = "SHA")]
        commit: Option<String>,
    },
}

/// What can come of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names are the values, and are printed by --help")]
pub enum Outcome {
    Merged,
    Conflict,
    Failed,
}

/// `convoy`.
#[derive(Debug, Args)]
pub struct Convoy {
    /// What to do; without it, list
    #[command(subcommand)]
    pub verb: Option<ConvoyVerb>,
}

/// About convoys.
#[derive(Debug, Subcommand)]
pub enum ConvoyVerb {
    /// List them, newest first
    #[command(after_help = "Example:\n  beadrig convoy list")]
    List,
    /// Show one
    #[command(after_help = "Example:\n  beadrig convoy show convoy-1")]
    Show {
        /// Its id
        id: String,
    },
    /// Track beads as one order
    #[command(after_help = "Example:\n  beadrig convoy create \"The release\" rig-a1b rig-c3d")]
    Create {
        /// One line
        title: String,
        /// The beads
        #[arg(required = true, value_name = "BEAD")]
        beads: Vec<String>,
    },
}

/// `escalations`.
#[derive(Debug, Args)]
pub struct Escalations {
    /// What to do; without it, list
    #[command(subcommand)]
    pub verb: Option<EscalationsVerb>,
}

/// About escalations.
#[derive(Debug, Subcommand)]
pub enum EscalationsVerb {
    /// List those that nobody looks after
    #[command(after_help = "Example:\n  beadrig escalations list")]
    List {
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Say that somebody looks after one
    #[command(after_help = "Example:\n  beadrig escalations ack rig-a1b")]
    Ack {
        /// Its bead
        id: String,
    },
}

/// `why`.
#[derive(Debug, Args)]
pub struct WhyBead {
    /// The bead
    pub id: String,
}
