//! What shows beads: one, many, or how many.

use clap::{Args, ValueEnum};

/// `show`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Show {
    /// The beads
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// More beads, as bd has it
    #[arg(long, hide = true, value_name = "ID")]
    pub id: Vec<String>,
    /// One line each
    #[arg(long)]
    pub short: bool,
    /// Everything, which is what is shown anyway.
    #[arg(long, hide = true)]
    pub long: bool,
    /// Only what depends on it
    #[arg(long)]
    pub refs: bool,
    /// Only its children
    #[arg(long)]
    pub children: bool,
    /// The conversation that it is a part of: what it answers, and what answers it
    #[arg(long, conflicts_with_all = ["refs", "children"])]
    pub thread: bool,
    /// What you are at: an agent's bead, what is in progress and yours, or the bead of the last call
    #[arg(long)]
    pub current: bool,
    /// Show it again when it changes, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
    /// bd's look into its versions.
    #[arg(long, hide = true, value_name = "COMMIT")]
    pub as_of: Option<String>,
}

/// What a list is narrowed by.
#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Filters {
    /// Only these statuses
    #[arg(short, long, value_name = "A,B", value_delimiter = ',')]
    pub status: Vec<String>,
    /// Only what is theirs
    #[arg(short, long, value_name = "NAME")]
    pub assignee: Option<String>,
    /// Only what is nobody's
    #[arg(long)]
    pub no_assignee: bool,
    /// Only this type
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only with all of these labels
    #[arg(short, long, value_name = "A,B", value_delimiter = ',')]
    pub label: Vec<String>,
    /// Only with one of these labels
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub label_any: Vec<String>,
    /// Only with none of these labels
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub exclude_label: Vec<String>,
    /// Only without labels
    #[arg(long)]
    pub no_labels: bool,
    /// Only with this in the title, in capitals or not
    #[arg(long, alias = "title-contains", value_name = "TEXT")]
    pub title: Option<String>,
    /// Only with this in the description
    #[arg(long, value_name = "TEXT")]
    pub desc_contains: Option<String>,
    /// Only with this in the notes
    #[arg(long, value_name = "TEXT")]
    pub notes_contains: Option<String>,
    /// Only with this in the name elsewhere
    #[arg(long, value_name = "TEXT")]
    pub external_contains: Option<String>,
    /// Only without a description
    #[arg(long)]
    pub empty_description: bool,
    /// Only these ids
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub id: Vec<String>,
    /// Only the children of this bead
    #[arg(long, value_name = "ID")]
    pub parent: Option<String>,
    /// Only what is a part of nothing
    #[arg(long, conflicts_with = "parent")]
    pub no_parent: bool,
    /// Only this priority
    #[arg(short, long, value_name = "P")]
    pub priority: Option<String>,
    /// Only this priority or less urgent
    #[arg(long, value_name = "P")]
    pub priority_min: Option<String>,
    /// Only this priority or more urgent
    #[arg(long, value_name = "P")]
    pub priority_max: Option<String>,
    /// Only made after: 2026-12-01, -2d, or RFC 3339; so all of these
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub created_after: Option<String>,
    /// Only made before
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub created_before: Option<String>,
    /// Only changed after
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub updated_after: Option<String>,
    /// Only changed before
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub updated_before: Option<String>,
    /// Only closed after
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub closed_after: Option<String>,
    /// Only closed before
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub closed_before: Option<String>,
    /// Only due after
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub due_after: Option<String>,
    /// Only due before
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub due_before: Option<String>,
    /// Only what should be done already
    #[arg(long)]
    pub overdue: bool,
    /// Only with this in the metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub metadata_field: Vec<String>,
    /// Only with this key in the metadata
    #[arg(long, value_name = "KEY")]
    pub has_metadata_key: Option<String>,
}

/// `list`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct List {
    /// Which.
    #[command(flatten)]
    pub filters: Filters,
    /// How many at most; 0 for all
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Closed beads too
    #[arg(long)]
    pub all: bool,
    /// Only open ones; what waits for others too, unlike the verb `ready`
    #[arg(long)]
    pub ready: bool,
    /// In which order; without it by priority, then newest first
    #[arg(long, value_enum, value_name = "KEY")]
    pub sort: Option<SortKey>,
    /// The other way round
    #[arg(short, long)]
    pub reverse: bool,
    /// A bead in several lines, as `show` does
    #[arg(long)]
    pub long: bool,
    /// Show it again when it changes, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
    /// How bd draws its lists.
    #[arg(long, hide = true)]
    pub flat: bool,
    /// How bd draws its lists.
    #[arg(long, hide = true)]
    pub tree: bool,
    /// How bd draws its lists.
    #[arg(long, hide = true)]
    pub pretty: bool,
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

/// `ready`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Ready {
    /// How many at most; 0 for all
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    pub limit: usize,
    /// In which order: the most urgent first, urgent new ones before old ones, or the oldest first
    #[arg(short, long, value_enum, value_name = "POLICY", default_value_t = ReadyOrder::Priority)]
    pub sort: ReadyOrder,
    /// Only what is theirs
    #[arg(short, long, value_name = "NAME")]
    pub assignee: Option<String>,
    /// Only what is nobody's
    #[arg(short, long)]
    pub unassigned: bool,
    /// Only this type
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// None of these types
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub exclude_type: Vec<String>,
    /// Only this priority
    #[arg(short, long, value_name = "P")]
    pub priority: Option<String>,
    /// Only with all of these labels
    #[arg(short, long, value_name = "A,B", value_delimiter = ',')]
    pub label: Vec<String>,
    /// Only with one of these labels
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub label_any: Vec<String>,
    /// Only with none of these labels
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub exclude_label: Vec<String>,
    /// Only the children of this bead
    #[arg(long, value_name = "ID")]
    pub parent: Option<String>,
    /// Only with this in the metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub metadata_field: Vec<String>,
    /// Only with this key in the metadata
    #[arg(long, value_name = "KEY")]
    pub has_metadata_key: Option<String>,
    /// Take the first of them
    #[arg(long, conflicts_with = "assignee")]
    pub claim: bool,
    /// A rig hides none.
    #[arg(long, hide = true)]
    pub include_ephemeral: bool,
    /// How bd draws its lists.
    #[arg(long, hide = true)]
    pub plain: bool,
    /// How bd draws its lists.
    #[arg(long, hide = true)]
    pub pretty: bool,
}

/// In which order what is ready comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names are the values, and are printed by --help")]
pub enum ReadyOrder {
    Priority,
    Hybrid,
    Oldest,
}

/// `blocked`.
#[derive(Debug, Args)]
pub struct Blocked {
    /// Only the children of this bead
    #[arg(long, value_name = "ID")]
    pub parent: Option<String>,
}

/// `query`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Query {
    /// Such as 'status=open AND priority<=1'
    #[arg(value_name = "EXPRESSION")]
    pub words: Vec<String>,
    /// How many at most; 0 for all
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Closed beads too
    #[arg(short, long)]
    pub all: bool,
    /// In which order; without it by priority, then newest first
    #[arg(long, value_enum, value_name = "KEY")]
    pub sort: Option<SortKey>,
    /// The other way round
    #[arg(short, long)]
    pub reverse: bool,
    /// A bead in several lines, as `show` does
    #[arg(long)]
    pub long: bool,
    /// Only say how the expression is understood
    #[arg(long)]
    pub parse_only: bool,
}

/// `search`.
#[derive(Debug, Args)]
pub struct Search {
    /// What to look for, in capitals or not
    #[arg(value_name = "TEXT")]
    pub words: Vec<String>,
    /// The same as a flag
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Which.
    #[command(flatten)]
    pub filters: Filters,
    /// How many at most; 0 for all
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// In which order; without it by priority, then newest first
    #[arg(long, value_enum, value_name = "KEY")]
    pub sort: Option<SortKey>,
    /// The other way round
    #[arg(short, long)]
    pub reverse: bool,
    /// A bead in several lines, as `show` does
    #[arg(long)]
    pub long: bool,
}

/// `count`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Count {
    /// Which.
    #[command(flatten)]
    pub filters: Filters,
    /// For each status
    #[arg(long)]
    pub by_status: bool,
    /// For each priority
    #[arg(long)]
    pub by_priority: bool,
    /// For each type
    #[arg(long)]
    pub by_type: bool,
    /// For each assignee
    #[arg(long)]
    pub by_assignee: bool,
    /// For each label
    #[arg(long)]
    pub by_label: bool,
}

/// `stale`.
#[derive(Debug, Args)]
pub struct Stale {
    /// Untouched for so many days
    #[arg(short, long, default_value_t = 30, value_name = "N")]
    pub days: u16,
    /// Only this status.
    #[arg(short, long, help = "Only this status: open, in_progress, blocked or deferred")]
    pub status: Option<String>,
    /// How many at most; 0 for all
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
}

/// `history`.
#[derive(Debug, Args)]
pub struct History {
    /// The bead
    pub id: String,
    /// How many lines at most; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub limit: usize,
}

/// `status`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Status {
    /// What is shown anyway.
    #[arg(long, hide = true)]
    pub all: bool,
    /// Only what is yours
    #[arg(long)]
    pub assigned: bool,
    /// bd's look into git.
    #[arg(long, hide = true)]
    pub no_activity: bool,
    /// Do not count what waits for others
    #[arg(long)]
    pub no_blocked: bool,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// What the ids of the rig's beads begin with
    #[arg(short, long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Write the file anew
    #[arg(long)]
    pub force: bool,
}
