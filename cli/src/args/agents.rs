//! What can be typed about agents and their work.

use clap::{Args, Subcommand, ValueEnum};

/// `sling`.
#[derive(Debug, Args)]
pub struct Sling {
    /// One line
    pub title: String,
    /// What is to be done
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub description: Option<String>,
    /// When it is done
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub acceptance: Option<String>,
    /// 0 to 4 or P0 to P4; 0 is the most urgent
    #[arg(short, long, value_name = "P")]
    pub priority: Option<String>,
    /// Labels, separated by commas
    #[arg(short, long, value_name = "A,B", value_delimiter = ',')]
    pub labels: Vec<String>,
}

/// `hook`.
#[derive(Debug, Args)]
pub struct Hook {
    /// The bead
    pub bead: Option<String>,
    /// The agent; without it, the one that asks
    pub agent: Option<String>,
}

/// `unhook`.
#[derive(Debug, Args)]
pub struct Unhook {
    /// The agent; without it, the one that asks
    pub agent: Option<String>,
}

/// `prime`.
#[derive(Debug, Args)]
pub struct Prime {
    /// The agent; without it, the one that asks
    pub agent: Option<String>,
}

/// `agents`.
#[derive(Debug, Args)]
pub struct Agents {
    /// What to do; without it, list
    #[command(subcommand)]
    pub verb: Option<AgentsVerb>,
}

/// About agents.
#[derive(Debug, Subcommand)]
pub enum AgentsVerb {
    /// List them
    #[command(after_help = "Example:\n  beadrig agents list")]
    List,
    /// Show one
    #[command(after_help = "Example:\n  beadrig agents show Toast")]
    Show {
        /// Its id
        id: String,
    },
    /// Delete one; its bead goes back, its run is ended
    #[command(after_help = "Example:\n  beadrig agents delete polecat-1a2b3c4d")]
    Delete {
        /// Its id
        id: String,
    },
    /// Set one aside, or take it back
    #[command(after_help = "Example:\n  beadrig agents mark Toast dead -r \"its disk is full\"")]
    Mark {
        /// Its id
        id: String,
        /// How it is
        #[arg(value_enum)]
        status: Mark,
        /// Why
        #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
        reason: Option<String>,
    },
}

/// What is said of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names are the values, and are printed by --help")]
pub enum Mark {
    Idle,
    Blocked,
    Dead,
}

/// `mail`.
#[derive(Debug, Args)]
pub struct Mail {
    /// What to do
    #[command(subcommand)]
    pub verb: MailVerb,
}

/// About mail.
#[derive(Debug, Subcommand)]
pub enum MailVerb {
    /// Send one
    #[command(after_help = "Example:\n  beadrig mail send Toast -s hello -m \"look at rig-a1b\"")]
    Send {
        /// The agent it is for
        to: String,
        /// One line
        #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
        subject: String,
        /// The rest, `-` for stdin
        #[arg(short, long = "message", value_name = "TEXT", allow_hyphen_values = true)]
        message: String,
        /// Who sends it; without it the agent that asks, or `operator`
        #[arg(long, value_name = "AGENT")]
        from: Option<String>,
    },
    /// Read an agent's mail; nothing is marked as read
    #[command(after_help = "Example:\n  beadrig mail inbox Toast")]
    Inbox {
        /// The agent; without it, the one that asks
        agent: Option<String>,
        /// What was read before as well
        #[arg(long)]
        all: bool,
    },
    /// Mark mails as read
    #[command(after_help = "Example:\n  beadrig mail ack mail-1 --agent Toast")]
    Ack {
        /// Their ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// The agent; without it, the one that asks
        #[arg(long)]
        agent: Option<String>,
    },
}

/// `molecule`.
#[derive(Debug, Args)]
pub struct Molecule {
    /// What to do
    #[command(subcommand)]
    pub verb: MoleculeVerb,
}

/// About molecules.
#[derive(Debug, Subcommand)]
pub enum MoleculeVerb {
    /// Give a bead steps
    #[command(
        after_help = "Example:\n  beadrig molecule create rig-a1b --step \"Look: read the code\" --step \"Do: mend it\""
    )]
    Create {
        /// The bead
        bead: String,
        /// `TITLE: what is to be done`; once for each step, in order
        #[arg(long = "step", required = true, value_name = "STEP", allow_hyphen_values = true)]
        steps: Vec<String>,
    },
    /// Show the step that an agent's bead is at
    #[command(after_help = "Example:\n  beadrig molecule current Toast")]
    Current {
        /// The agent; without it, the one that asks
        agent: Option<String>,
    },
    /// Say that the step is done
    #[command(after_help = "Example:\n  beadrig molecule advance -m \"it is read\"")]
    Advance {
        /// What was done
        #[arg(short, long = "message", value_name = "TEXT", allow_hyphen_values = true)]
        message: String,
        /// Which step, counted from 1: then the same may be said twice
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        step: Option<u32>,
        /// The agent; without it, the one that asks
        #[arg(long)]
        agent: Option<String>,
    },
}
