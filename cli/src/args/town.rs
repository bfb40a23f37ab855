//! What can be typed about rigs as a whole: the switch, towns, rigs, what is set.

use clap::{Args, Subcommand};

/// `pause`.
#[derive(Debug, Args)]
pub struct Pause {
    /// Why, for whoever wonders
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub reason: Option<String>,
    /// All rigs of the deployment
    #[arg(long)]
    pub all: bool,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// All rigs of the deployment that are not paused themselves
    #[arg(long)]
    pub all: bool,
}

/// `towns`.
#[derive(Debug, Args)]
pub struct Towns {
    /// Whose.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "Whose [env: BEADRIG_USER; else operator]"
    )]
    pub user: Option<String>,
    /// What to do; without it, list
    #[command(subcommand)]
    pub verb: Option<TownsVerb>,
}

/// About towns.
#[derive(Debug, Subcommand)]
pub enum TownsVerb {
    /// List them, oldest first
    #[command(after_help = "Example:\n  beadrig towns list")]
    List,
    /// Make one
    #[command(after_help = "Example:\n  beadrig towns create Harbour")]
    Create {
        /// Its name for people
        name: String,
        /// Of a town whose container is there already, such as local
        #[arg(long)]
        id: Option<String>,
    },
    /// Delete one with all its rigs and all they hold
    #[command(after_help = "Example:\n  beadrig towns delete harbour-1a2b --force")]
    Delete {
        /// Its id
        id: String,
        /// That this is meant
        #[arg(long)]
        force: bool,
    },
}

/// `rigs`.
#[derive(Debug, Args)]
pub struct Rigs {
    /// Whose.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "Whose [env: BEADRIG_USER; else operator]"
    )]
    pub user: Option<String>,
    /// What to do; without it, list those of all towns
    #[command(subcommand)]
    pub verb: Option<RigsVerb>,
}

/// About rigs.
#[derive(Debug, Subcommand)]
pub enum RigsVerb {
    /// List them, oldest first
    #[command(after_help = "Example:\n  beadrig rigs list harbour-1a2b")]
    List {
        /// Only those of this town
        town: Option<String>,
    },
    /// Make one
    #[command(
        after_help = "Example:\n  beadrig rigs create harbour-1a2b site --git-url https://example.org/site.git"
    )]
    Create {
        /// In which town
        town: String,
        /// Its name for people
        name: String,
        /// Where its repository is
        #[arg(long, value_name = "URL")]
        git_url: Option<String>,
        /// What is merged into; main without it
        #[arg(long, value_name = "NAME")]
        default_branch: Option<String>,
        /// Of a rig that is or was there already
        #[arg(long)]
        id: Option<String>,
    },
    /// Delete one with all it holds
    #[command(after_help = "Example:\n  beadrig rigs delete site-1a2b --force")]
    Delete {
        /// Its id
        id: String,
        /// That this is meant
        #[arg(long)]
        force: bool,
    },
}

/// `settings`.
#[derive(Debug, Args)]
pub struct RigSettings {
    /// What to do; without it, show all
    #[command(subcommand)]
    pub verb: Option<SettingsVerb>,
}

/// About what is set for the rig.
#[derive(Debug, Subcommand)]
pub enum SettingsVerb {
    /// Show all of it, or one
    #[command(after_help = "Example:\n  beadrig settings get max_agents")]
    Get {
        /// Which
        key: Option<String>,
    },
    /// Set some of it for this rig
    #[command(after_help = "Example:\n  beadrig settings set max_agents=3")]
    Set {
        /// JSON, or a text; `env_vars.NAME=` sets one variable of the agents
        #[arg(required = true, value_name = "KEY=VALUE")]
        pairs: Vec<String>,
    },
    /// Give it back to the town and the deployment
    #[command(after_help = "Example:\n  beadrig settings unset max_agents")]
    Unset {
        /// Which
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}
