//! What makes and changes beads.

use clap::Args;
use std::path::PathBuf;

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
    /// Read the design from a file, `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "design")]
    pub design_file: Option<PathBuf>,
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
    /// What bd knows and a rig does not.
    #[command(flatten)]
    pub foreign: Foreign,
}

/// Flags of bd for what a rig does not keep: accepted with a warning, so that nothing is lost unsaid.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Foreign {
    /// Minutes.
    #[arg(short, long, hide = true)]
    pub estimate: Option<String>,
    /// A specification.
    #[arg(long, hide = true)]
    pub spec_id: Option<String>,
    /// Which kind of molecule.
    #[arg(long, hide = true)]
    pub mol_type: Option<String>,
    /// Which kind of wisp.
    #[arg(long, hide = true)]
    pub wisp_type: Option<String>,
    /// What a gate waits for.
    #[arg(long, hide = true)]
    pub await_id: Option<String>,
    /// The session of an agent.
    #[arg(long, hide = true)]
    pub session: Option<String>,
    /// Skills that it takes.
    #[arg(long, hide = true)]
    pub skills: Option<String>,
    /// More for the agent.
    #[arg(long, hide = true)]
    pub context: Option<String>,
    /// Not kept.
    #[arg(long, hide = true)]
    pub ephemeral: bool,
    /// Kept.
    #[arg(long, hide = true)]
    pub persistent: bool,
    /// Without history.
    #[arg(long, hide = true)]
    pub no_history: bool,
    /// With history.
    #[arg(long, hide = true)]
    pub history: bool,
}

impl Foreign {
    /// Those that were given.
    pub fn given(&self) -> Vec<&'static str> {
        let given = [
            ("--estimate", self.estimate.is_some()),
            ("--spec-id", self.spec_id.is_some()),
            ("--mol-type", self.mol_type.is_some()),
            ("--wisp-type", self.wisp_type.is_some()),
            ("--await-id", self.await_id.is_some()),
            ("--skills", self.skills.is_some()),
            ("--context", self.context.is_some()),
            ("--ephemeral", self.ephemeral),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect()
    }
}

/// `create`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
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
    /// Do not give it the labels of its parent
    #[arg(long)]
    pub no_inherit_labels: bool,
    /// What it depends on: ID or TYPE:ID, separated by commas; `blocks:ID` is the other way round
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub deps: Vec<String>,
    /// A bead whose children it waits for
    #[arg(long, value_name = "ID")]
    pub waits_for: Option<String>,
    /// Its id; without it the rig makes one
    #[arg(long)]
    pub id: Option<String>,
    /// Make all that a markdown file says, or nothing: `## Title`, then `### Priority`, `### Labels`, …
    #[arg(short, long, value_name = "FILE.md", conflicts_with = "graph")]
    pub file: Option<PathBuf>,
    /// Make all that a plan says, or nothing.
    #[arg(
        long,
        value_name = "FILE.json",
        help = "Make all that a plan says, or nothing: {\"nodes\": [{\"key\", \"title\", …}], \"edges\": [{\"from_key\", \"to_key\"}]}"
    )]
    pub graph: Option<PathBuf>,
    /// Accepted for bd's scripts.
    #[arg(long, hide = true)]
    pub force: bool,
    /// Accepted for bd's scripts.
    #[arg(long, hide = true)]
    pub validate: bool,
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
    /// The beads; without one, that of the last call
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Take it: it becomes yours and in progress, unless somebody was faster
    #[arg(long)]
    pub claim: bool,
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
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Close {
    /// The beads; without one, that of the last call
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Why
    #[command(flatten)]
    pub why: Why,
    /// Also what waits for others, and epics with open children
    #[arg(short, long)]
    pub force: bool,
    /// Then show what waits for nothing any more
    #[arg(long, conflicts_with = "claim_next")]
    pub suggest_next: bool,
    /// Then take the most urgent bead that is ready
    #[arg(long)]
    pub claim_next: bool,
    /// bd's, for molecules.
    #[arg(long = "continue", hide = true)]
    pub go_on: bool,
    /// bd's, for molecules.
    #[arg(long, hide = true)]
    pub no_auto: bool,
    /// The session of an agent.
    #[arg(long, hide = true)]
    pub session: Option<String>,
}

/// `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// The beads
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Delete, instead of showing what would go
    #[arg(short, long)]
    pub force: bool,
    /// Show what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Also what depends on them
    #[arg(long)]
    pub cascade: bool,
    /// More beads: a file with one id a line
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// `priority`.
#[derive(Debug, Args)]
pub struct Priority {
    /// The bead
    pub id: String,
    /// 0 to 4 or P0 to P4; 0 is the most urgent
    pub priority: String,
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
