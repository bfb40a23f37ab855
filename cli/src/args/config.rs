//! What can be typed to set what holds here.

use clap::{Args, Subcommand};

/// `config`.
#[derive(Debug, Args)]
pub struct Config {
    /// What.
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// What is done with a setting.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Show what a setting is
    #[command(after_help = "Example:\n  beadrig config get rig")]
    Get {
        /// Which: url, rig, user, actor, `issue_prefix`, or any other that was set
        key: String,
    },
    /// Set it, in the project's file; with --global in your own
    #[command(
        after_help = "Examples:\n  beadrig config set rig code\n  beadrig config set --global url https://beadrig.example.com\n  beadrig config set custom.team parsers"
    )]
    Set {
        /// Which
        key: String,
        /// To what
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// List all that the files say
    #[command(after_help = "Example:\n  beadrig config list --json")]
    List,
    /// Take it out of the file
    #[command(after_help = "Example:\n  beadrig config unset custom.team")]
    Unset {
        /// Which
        key: String,
    },
}
