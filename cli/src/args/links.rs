//! What belongs to beads: dependencies, labels, comments, epics.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `dep`.
#[derive(Debug, Args)]
pub struct Dep {
    /// The bead that blocks
    pub blocker: Option<String>,
    /// The bead that waits for it
    #[arg(short, long, value_name = "ID", requires = "blocker")]
    pub blocks: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<DepVerb>,
}

/// What `dep` can do.
#[derive(Debug, Subcommand)]
pub enum DepVerb {
    /// Have a bead wait for another
    #[command(after_help = "Example:\n  beadrig dep add rig-a1b rig-a1c")]
    Add(Link),
    /// Take that back
    #[command(visible_alias = "rm", after_help = "Example:\n  beadrig dep remove rig-a1b rig-a1c")]
    Remove(LinkRemoval),
    /// List what a bead depends on, or what depends on it
    #[command(after_help = "Example:\n  beadrig dep list rig-a1b --direction up")]
    List(Links),
    /// Draw what a bead waits for, and what that waits for
    #[command(after_help = "Example:\n  beadrig dep tree rig-a1b")]
    Tree(Tree),
    /// List circles; a rig lets none come into being
    #[command(after_help = "Example:\n  beadrig dep cycles")]
    Cycles,
}

/// `dep add`.
#[derive(Debug, Args)]
pub struct Link {
    /// The bead that waits
    pub id: String,
    /// What it waits for
    #[arg(value_name = "DEPENDS_ON", required_unless_present = "blocked_by")]
    pub depends_on: Option<String>,
    /// What it waits for, as a flag
    #[arg(long, alias = "depends-on", value_name = "ID", conflicts_with = "depends_on")]
    pub blocked_by: Option<String>,
    /// blocks, related, parent-child, discovered-from, …
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "blocks")]
    pub kind: String,
}

/// `dep remove`.
#[derive(Debug, Args)]
pub struct LinkRemoval {
    /// The bead that waits
    pub id: String,
    /// What it shall not wait for any more
    pub depends_on: String,
}

/// Which way dependencies are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names are the values, and are printed by --help")]
pub enum Direction {
    Down,
    Up,
}

/// `dep list`.
#[derive(Debug, Args)]
pub struct Links {
    /// The bead
    pub id: String,
    /// `down` for what it depends on, `up` for what depends on it
    #[arg(long, value_enum, value_name = "WAY", default_value_t = Direction::Down)]
    pub direction: Direction,
    /// Only this type
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
}

/// `dep tree`.
#[derive(Debug, Args)]
pub struct Tree {
    /// The bead
    pub id: String,
    /// `down` for what it depends on, `up` for what depends on it
    #[arg(long, value_enum, value_name = "WAY")]
    pub direction: Option<Direction>,
    /// The same as `--direction up`
    #[arg(long, conflicts_with = "direction")]
    pub reverse: bool,
    /// How deep
    #[arg(short = 'd', long, alias = "depth", default_value_t = 50, value_name = "N")]
    pub max_depth: usize,
}

/// `label`.
#[derive(Debug, Args)]
pub struct Label {
    /// What to do.
    #[command(subcommand)]
    pub verb: LabelVerb,
}

/// What `label` can do.
#[derive(Debug, Subcommand)]
pub enum LabelVerb {
    /// Give beads a label
    #[command(after_help = "Example:\n  beadrig label add rig-a1b rig-a1c urgent")]
    Add(Labelled),
    /// Take a label from beads
    #[command(after_help = "Example:\n  beadrig label remove rig-a1b urgent")]
    Remove(Labelled),
    /// List a bead's labels
    #[command(after_help = "Example:\n  beadrig label list rig-a1b")]
    List {
        /// The bead
        id: String,
    },
    /// List all labels, and how many beads have each
    #[command(after_help = "Example:\n  beadrig label list-all")]
    ListAll,
}

/// `label add` and `label remove`.
#[derive(Debug, Args)]
pub struct Labelled {
    /// The beads, and then the label
    #[arg(value_name = "ID… LABEL", required = true, num_args = 2..)]
    pub words: Vec<String>,
}

/// `comment`.
#[derive(Debug, Args)]
pub struct Comment {
    /// The bead
    pub id: String,
    /// What to say.
    #[command(flatten)]
    pub text: CommentText,
}

/// Where a comment comes from.
#[derive(Debug, Args)]
pub struct CommentText {
    /// What to say
    #[arg(value_name = "TEXT")]
    pub words: Vec<String>,
    /// Read it from a file, `-` for stdin
    #[arg(short, long, value_name = "FILE", conflicts_with = "words")]
    pub file: Option<PathBuf>,
    /// Read it from stdin
    #[arg(long, conflicts_with_all = ["words", "file"])]
    pub stdin: bool,
    /// Whose words they are
    #[arg(short, long, value_name = "NAME")]
    pub author: Option<String>,
}

/// `comments`.
#[derive(Debug, Args)]
pub struct Comments {
    /// The bead
    pub id: Option<String>,
    /// bd's; times are shown where the reader is.
    #[arg(long, hide = true)]
    pub local_time: bool,
    /// What to do instead.
    #[command(subcommand)]
    pub verb: Option<CommentsVerb>,
}

/// What `comments` can do besides.
#[derive(Debug, Subcommand)]
pub enum CommentsVerb {
    /// Add one
    #[command(after_help = "Example:\n  beadrig comments add rig-a1b \"looks good to me\"")]
    Add(Comment),
}

/// `epic`.
#[derive(Debug, Args)]
pub struct Epic {
    /// What to do.
    #[command(subcommand)]
    pub verb: EpicVerb,
}

/// What `epic` can do.
#[derive(Debug, Subcommand)]
pub enum EpicVerb {
    /// Show how far epics are
    #[command(after_help = "Example:\n  beadrig epic status --eligible-only")]
    Status {
        /// Only those whose children are all closed
        #[arg(long)]
        eligible_only: bool,
    },
    /// Close epics whose children are all closed
    #[command(after_help = "Example:\n  beadrig epic close-eligible --dry-run")]
    CloseEligible {
        /// Only say which
        #[arg(long)]
        dry_run: bool,
        /// Why
        #[arg(short, long, value_name = "TEXT", default_value = "All children completed")]
        reason: String,
    },
}
