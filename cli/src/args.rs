//! What can be typed: verbs, flags and their help. No rule lives here; names and letters are bd's, so that habits and
//! scripts keep working. Must never fetch or decide anything.

mod exchange;

pub use exchange::{Export, Import, Sync};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Hand work to coding agents and follow it.
#[derive(Debug, Parser)]
#[command(
    name = "beadrig",
    version,
    after_help = "Example:\n  beadrig create \"Fix the parser\" --acceptance \"cargo test passes\" -a agent"
)]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Global {
    /// Print JSON, in bd's shapes
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the rig's service is.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Where the service is [env: BEADRIG_URL; else http://127.0.0.1:8787]"
    )]
    pub url: Option<String>,
    /// Which rig.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "Which rig [env: BEADRIG_RIG; else main]"
    )]
    pub rig: Option<String>,
    /// A file that holds the token.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "A file that holds the token [else env: BEADRIG_TOKEN]"
    )]
    pub token_file: Option<PathBuf>,
    /// Who does this.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "Who does this [env: BEADRIG_ACTOR, BEADS_ACTOR; else git's user.name]"
    )]
    pub actor: Option<String>,
    /// No warnings
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Scripts written for bd name their database; a rig has its own, so the path is ignored.
    #[arg(long, global = true, hide = true, value_name = "PATH")]
    pub db: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a bead
    #[command(
        visible_alias = "new",
        after_help = "Example:\n  beadrig create \"Fix the parser\" -p 1 --acceptance \"cargo test passes\" -a agent"
    )]
    Create(Box<Create>),
    /// Give a bead to somebody; `agent` means an agent of the rig
    #[command(
        after_help = "Examples:\n  beadrig assign rig-a1b agent\n  beadrig assign rig-a1b \"\"    (nobody)"
    )]
    Assign(Assign),
    /// Change beads
    #[command(
        after_help = "Example:\n  beadrig update rig-a1b -s blocked --append-notes \"needs a key\""
    )]
    Update(Box<Update>),
    /// Show beads in full, with what they wait for
    #[command(visible_alias = "view", after_help = "Example:\n  beadrig show rig-a1b")]
    Show(Show),
    /// List beads that are not closed
    #[command(after_help = "Example:\n  beadrig list -s open,blocked -a agent --sort updated")]
    List(List),
    /// Append a note to a bead
    #[command(
        after_help = "Examples:\n  beadrig note rig-a1b half of the tests pass\n  make 2>&1 | beadrig note rig-a1b --stdin"
    )]
    Note(Note),
    /// Close beads
    #[command(
        visible_alias = "done",
        after_help = "Example:\n  beadrig close rig-a1b -r \"done in 4f2c9d1\""
    )]
    Close(Close),
    /// Open closed, failed or blocked beads again
    #[command(after_help = "Example:\n  beadrig reopen rig-a1b -r \"the fix was reverted\"")]
    Reopen(Reopen),
    /// Write all beads as lines of an issues.jsonl
    #[command(after_help = "Example:\n  beadrig export -o .beads/issues.jsonl")]
    Export(Export),
    /// Take beads from an issues.jsonl; twice changes nothing the second time
    #[command(
        after_help = "Examples:\n  beadrig import .beads/issues.jsonl --dry-run\n  bd export | beadrig import -"
    )]
    Import(Import),
    /// Keep an issues.jsonl and the rig in step, both ways
    #[command(after_help = "Example:\n  beadrig sync && git add .beads/issues.jsonl")]
    Sync(Sync),
    /// Show what the rig is doing
    #[command(visible_alias = "stats", after_help = "Example:\n  beadrig status")]
    Status,
}

/// The fields that `create` and `update` share.
#[derive(Debug, Args)]
pub struct Fields {
    /// What is to be done
    #[arg(
        short,
        long,
        visible_alias = "body",
        short_alias = 'm',
        value_name = "TEXT",
        allow_hyphen_values = true
    )]
    pub description: Option<String>,
    /// Read the description from a file, `-` for stdin
    #[arg(long, value_name = "FILE", alias = "description-file", conflicts_with_all = ["description", "stdin"])]
    pub body_file: Option<PathBuf>,
    /// Read the description from stdin
    #[arg(long, conflicts_with = "description")]
    pub stdin: bool,
    /// How it shall be done
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub design: Option<String>,
    /// When it is done; an agent takes no bead without
    #[arg(long, alias = "acceptance-criteria", value_name = "TEXT", allow_hyphen_values = true)]
    pub acceptance: Option<String>,
    /// 0 to 4 or P0 to P4; 0 is the most urgent
    #[arg(short, long, value_name = "P")]
    pub priority: Option<String>,
    /// task, bug, feature, epic, chore, …
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Who takes it; `agent` means an agent of the rig
    #[arg(short, long, value_name = "NAME")]
    pub assignee: Option<String>,
    /// The bead it is a part of
    #[arg(long, value_name = "ID")]
    pub parent: Option<String>,
    /// Its name elsewhere, such as gh-9
    #[arg(long, value_name = "REF")]
    pub external_ref: Option<String>,
    /// When it is due: 2026-12-01, +2d, tomorrow, or RFC 3339
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub due: Option<String>,
    /// Not to be taken before: 2026-12-01, +2d, tomorrow, or RFC 3339
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub defer: Option<String>,
    /// A JSON object to keep with it, or @FILE
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
}

/// `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// One line
    #[arg(value_name = "TITLE")]
    pub positional: Option<String>,
    /// The title, as a flag
    #[arg(long, value_name = "TITLE", allow_hyphen_values = true)]
    pub title: Option<String>,
    /// What `update` takes too.
    #[command(flatten)]
    pub fields: Fields,
    /// A first note
    #[arg(long, alias = "append-notes", value_name = "TEXT", allow_hyphen_values = true)]
    pub notes: Option<String>,
    /// Labels, separated by commas
    #[arg(short, long, alias = "label", value_name = "A,B", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Its id; without it the rig makes one
    #[arg(long)]
    pub id: Option<String>,
    /// Print only the id
    #[arg(long)]
    pub silent: bool,
    /// Print what would be made, and make nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `assign`.
#[derive(Debug, Args)]
pub struct Assign {
    /// The bead
    pub id: String,
    /// Who takes it; "" for nobody
    pub name: String,
}

/// `update`.
#[derive(Debug, Args)]
pub struct Update {
    /// The beads
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Its status.
    #[arg(short, long, help = "open, in_progress, in_review, blocked, deferred, closed or failed")]
    pub status: Option<String>,
    /// One line
    #[arg(long, allow_hyphen_values = true)]
    pub title: Option<String>,
    /// What `create` takes too.
    #[command(flatten)]
    pub fields: Fields,
    /// Refused: a rig's notes are appended, never replaced.
    #[arg(long, hide = true, value_name = "TEXT", allow_hyphen_values = true)]
    pub notes: Option<String>,
    /// A note to append
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub append_notes: Option<String>,
    /// Labels to add
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub add_label: Vec<String>,
    /// Labels to take away
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub remove_label: Vec<String>,
    /// All labels; "" for none
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub set_labels: Option<Vec<String>>,
    /// A metadata key to set; may be repeated
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "metadata")]
    pub set_metadata: Vec<String>,
    /// A metadata key to remove; may be repeated
    #[arg(long, value_name = "KEY", conflicts_with = "metadata")]
    pub unset_metadata: Vec<String>,
}

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The beads
    #[arg(value_name = "ID", required_unless_present = "id")]
    pub ids: Vec<String>,
    /// More beads, as bd has it
    #[arg(long, hide = true, value_name = "ID")]
    pub id: Vec<String>,
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only these statuses
    #[arg(short, long, value_name = "A,B", value_delimiter = ',')]
    pub status: Vec<String>,
    /// Only what is theirs
    #[arg(short, long, value_name = "NAME")]
    pub assignee: Option<String>,
    /// Only this type
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only with all of these labels
    #[arg(short, long, value_name = "A,B", value_delimiter = ',')]
    pub label: Vec<String>,
    /// Only with one of these labels
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub label_any: Vec<String>,
    /// Only with this in the title, in capitals or not
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Only these ids
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub id: Vec<String>,
    /// Only this priority
    #[arg(short, long, value_name = "P")]
    pub priority: Option<String>,
    /// Only this priority or less urgent
    #[arg(long, value_name = "P")]
    pub priority_min: Option<String>,
    /// Only this priority or more urgent
    #[arg(long, value_name = "P")]
    pub priority_max: Option<String>,
    /// How many at most; 0 for all
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Closed beads too
    #[arg(long)]
    pub all: bool,
    /// In which order; without it by priority, then newest first
    #[arg(long, value_enum, value_name = "KEY")]
    pub sort: Option<SortKey>,
    /// The other way round
    #[arg(short, long)]
    pub reverse: bool,
}

/// What a list is sorted by; times newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names are the values, and are printed by --help")]
pub enum SortKey {
    Priority,
    Created,
    Updated,
    Closed,
    Status,
    Id,
    Title,
    Type,
    Assignee,
}

/// `note`.
#[derive(Debug, Args)]
pub struct Note {
    /// The bead
    pub id: String,
    /// What to note
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
    /// Read the text from stdin
    #[arg(long, conflicts_with_all = ["text", "file"])]
    pub stdin: bool,
    /// Read the text from a file, `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub file: Option<PathBuf>,
}

/// `close`.
#[derive(Debug, Args)]
pub struct Close {
    /// The beads
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Why
    #[command(flatten)]
    pub why: Why,
    /// Accepted for bd's scripts
    #[arg(short, long, hide = true)]
    pub force: bool,
}

/// `reopen`.
#[derive(Debug, Args)]
pub struct Reopen {
    /// The beads
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Why
    #[command(flatten)]
    pub why: Why,
}

/// The reason of a close or reopen.
#[derive(Debug, Args)]
pub struct Why {
    /// Why
    #[arg(
        short,
        long,
        aliases = ["resolution", "comment", "message"],
        short_alias = 'm',
        value_name = "TEXT",
        allow_hyphen_values = true
    )]
    pub reason: Option<String>,
    /// Read the reason from a file, `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "reason")]
    pub reason_file: Option<PathBuf>,
}
