//! What can be typed: verbs, flags and their help. No rule lives here; names and letters are bd's, so that habits and
//! scripts keep working. Must never fetch or decide anything.

mod agents;
mod bead;
mod chain;
mod config;
mod exchange;
mod follow;
mod links;
mod lists;
mod own;
mod town;
mod work;

pub use agents::{
    Agents, AgentsVerb, Hook, Mail, MailVerb, Mark, Molecule, MoleculeVerb, Prime, Sling, Unhook,
};
pub use bead::{Assign, Close, Create, Delete, Fields, Note, Priority, Reopen, Update, Why};
pub use chain::{Completions, Doctor};
pub use config::{Config, ConfigVerb};
pub use exchange::{Export, Import, Sync};
pub use follow::{Logs, Watch};
pub use links::{
    Comment, CommentText, Comments, CommentsVerb, Dep, DepVerb, Direction, Epic, EpicVerb, Label,
    LabelVerb, Labelled, Link, LinkRemoval, Links, Tree,
};
pub use lists::{
    Blocked, Count, Filters, History, Init, List, Query, Ready, ReadyOrder, Search, Show, SortKey,
    Stale, Status,
};
pub use own::Own;
pub use town::{Pause, Resume, RigSettings, Rigs, RigsVerb, SettingsVerb, Towns, TownsVerb};
pub use work::{
    Convoy, ConvoyVerb, Escalations, EscalationsVerb, Outcome, Review, ReviewVerb, WhyBead,
};

use clap::{Args, Parser, Subcommand};
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
    /// Refuse whatever would change something
    #[arg(long, global = true)]
    pub readonly: bool,
    /// bd's other flags for all verbs, which mean nothing to a rig.
    #[command(flatten)]
    pub ignored: Ignored,
    /// Scripts written for bd name their database; a rig has its own, so the path is ignored.
    #[arg(long, global = true, hide = true, value_name = "PATH")]
    pub db: Option<PathBuf>,
}

/// Flags of bd that hold for its own database; accepted, so that scripts go on working.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Ignored {
    /// Where bd does not sync.
    #[arg(long, global = true, hide = true)]
    pub sandbox: bool,
    /// Another way to say `--json`.
    #[arg(long, global = true, hide = true, value_name = "FORMAT")]
    pub format: Option<String>,
    /// bd's database of the user.
    #[arg(long, global = true, hide = true)]
    pub global: bool,
    /// More to read.
    #[arg(short, long, global = true, hide = true)]
    pub verbose: bool,
    /// When bd commits.
    #[arg(long, global = true, hide = true, value_name = "MODE")]
    pub dolt_auto_commit: Option<String>,
    /// bd's daemon, which older scripts turn off.
    #[arg(long, global = true, hide = true)]
    pub no_daemon: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a bead
    #[command(
        visible_alias = "new",
        after_help = "Examples:\n  beadrig create \"Fix the parser\" -p 1 --acceptance \"cargo test passes\" -a agent\n  beadrig create --file plan.md"
    )]
    Create(Box<Create>),
    /// Make a bead and print only its id
    #[command(after_help = "Example:\n  id=$(beadrig q \"Fix the parser\" -p 1)")]
    Q(Box<Create>),
    /// Give a bead to somebody; `agent` means an agent of the rig
    #[command(
        after_help = "Examples:\n  beadrig assign rig-a1b agent\n  beadrig assign rig-a1b \"\"    (nobody)"
    )]
    Assign(Assign),
    /// Set how urgent a bead is
    #[command(after_help = "Example:\n  beadrig priority rig-a1b 0")]
    Priority(Priority),
    /// Change beads
    #[command(
        after_help = "Examples:\n  beadrig update rig-a1b -s blocked --append-notes \"needs a key\"\n  beadrig update rig-a1b --claim\n  beadrig update -p 0          (the bead of the last call)"
    )]
    Update(Box<Update>),
    /// Show beads in full, with what they wait for
    #[command(
        visible_alias = "view",
        after_help = "Examples:\n  beadrig show rig-a1b\n  beadrig show --current --watch"
    )]
    Show(Show),
    /// List beads that are not closed
    #[command(
        after_help = "Examples:\n  beadrig list -s open,blocked -a agent --sort updated\n  beadrig list -a agent --watch"
    )]
    List(Box<List>),
    /// List beads that could be begun now, the most urgent first
    #[command(after_help = "Example:\n  beadrig ready -n 5 --unassigned")]
    Ready(Box<Ready>),
    /// List beads that wait for others, with those
    #[command(after_help = "Example:\n  beadrig blocked --json")]
    Blocked(Blocked),
    /// List what an expression says
    #[command(
        after_help = "Fields: status, priority, type, assignee, owner, label, title, description, notes, created,
updated, started, closed, due, id, parent, spec, pinned, ephemeral, template, metadata.<key>;
`none` is an empty one. Operators: = != > >= < <=, AND, OR, NOT, ( ). Times: 7d, 24h, 2w (ago),
2026-12-01, \"next monday\". Closed beads are left out unless the expression names a status.

Examples:
  beadrig query 'assignee=agent AND status=open'
  beadrig query '(type=bug OR label=urgent) AND priority<=1 AND updated>7d'"
    )]
    Query(Query),
    /// Search titles, descriptions and ids
    #[command(after_help = "Example:\n  beadrig search parser -s open")]
    Search(Box<Search>),
    /// Count beads, closed ones too
    #[command(after_help = "Example:\n  beadrig count --by-status")]
    Count(Box<Count>),
    /// List beads that nobody has touched for long
    #[command(after_help = "Example:\n  beadrig stale --days 14 -s in_progress")]
    Stale(Stale),
    /// Append a note to a bead
    #[command(
        after_help = "Examples:\n  beadrig note rig-a1b half of the tests pass\n  make 2>&1 | beadrig note rig-a1b --stdin"
    )]
    Note(Note),
    /// Add a comment to a bead
    #[command(after_help = "Example:\n  beadrig comment rig-a1b \"looks good to me\"")]
    Comment(Comment),
    /// List the comments of a bead, or add one
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  beadrig comments rig-a1b\n  beadrig comments add rig-a1b \"looks good to me\""
    )]
    Comments(Comments),
    /// Add, remove and list labels
    #[command(after_help = "Example:\n  beadrig label add rig-a1b rig-a1c urgent")]
    Label(Label),
    /// Say what waits for what
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  beadrig dep add rig-a1b rig-a1c      (a1b waits for a1c)\n  beadrig dep rig-a1c --blocks rig-a1b (the same)\n  beadrig dep tree rig-a1b"
    )]
    Dep(Dep),
    /// Close beads
    #[command(after_help = "Example:\n  beadrig close rig-a1b -r \"done in 4f2c9d1\"")]
    Close(Close),
    /// Say that the work is done: for an agent, its branch is merged first; for all others, as close
    #[command(after_help = "Example:\n  beadrig done rig-a1b -r \"the parser takes tabs\"")]
    Done(Close),
    /// Open closed, failed or blocked beads again
    #[command(after_help = "Example:\n  beadrig reopen rig-a1b -r \"the fix was reverted\"")]
    Reopen(Reopen),
    /// Delete beads for ever; shows what would go, unless it is forced
    #[command(after_help = "Example:\n  beadrig delete rig-a1b --force")]
    Delete(Delete),
    /// Show what happened to a bead, the newest first
    #[command(after_help = "Example:\n  beadrig history rig-a1b --limit 5")]
    History(History),
    /// Show how far epics are, and close those whose children are all closed
    #[command(after_help = "Examples:\n  beadrig epic status\n  beadrig epic close-eligible")]
    Epic(Epic),
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
    Status(Status),
    /// Say in this directory which rig it belongs to
    #[command(after_help = "Example:\n  beadrig init --url https://beadrig.example.com --rig demo")]
    Init(Init),
    /// Show and change what this directory, or you, have set
    #[command(
        after_help = "Examples:\n  beadrig config list\n  beadrig config set rig code\n  beadrig config get issue_prefix"
    )]
    Config(Config),
    /// What bd has not.
    #[command(flatten)]
    Own(Box<Own>),
}

impl Verb {
    /// Whether a failure goes to stdout with `--json`: where its readers look for it, as in bd.
    pub fn fails_on_stdout(&self) -> bool {
        matches!(
            self,
            Self::Assign(_)
                | Self::Priority(_)
                | Self::Blocked(_)
                | Self::Query(_)
                | Self::Count(_)
                | Self::Stale(_)
                | Self::Note(_)
                | Self::Comment(_)
                | Self::Comments(_)
                | Self::Label(_)
                | Self::Dep(_)
                | Self::History(_)
                | Self::Epic(_)
                | Self::Status(_)
        )
    }
}
