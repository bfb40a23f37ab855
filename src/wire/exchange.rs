//! Beads from and to other programs' files, and comments, as the rig API has them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Says something in the conversation about a bead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddComment {
    /// What, not blank.
    pub text: String,
    /// Who says it, where a person speaks for another; without it, the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// A comment, in bd's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommentView {
    /// Its name: a UUID, or what the file it came from calls it.
    pub id: String,
    /// On which bead.
    pub issue_id: String,
    /// Who said it.
    pub author: String,
    /// What.
    pub text: String,
    /// When.
    pub created_at: String,
}

/// What an import does with labels, dependencies and keys that a bead has and its line has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sets {
    /// They stay, as in bd.
    #[default]
    Union,
    /// They go: the line is all there is.
    Replace,
}

/// Lines of an `issues.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportBatch {
    /// Issues in bd's shape, at most 500. What another waits for stands before it, or came earlier.
    #[serde(default)]
    pub issues: Vec<Value>,
    /// See [`Sets`].
    #[serde(default)]
    pub sets: Sets,
    /// Says what would be done with each, and does nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Imported {
    /// The rig did not have it.
    Created,
    /// It is now as the line says.
    Updated,
    /// It was as the line says.
    Unchanged,
    /// The rig has a newer one.
    Skipped,
    /// It cannot be kept; see the reason.
    Dropped,
}

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedLine {
    /// Which bead; empty if the line names none.
    pub id: String,
    /// What became of it.
    pub outcome: Imported,
    /// Why, where it was skipped or dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What else a person should know: a dependency that is not tied, a status that stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What became of all lines, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportReport {
    /// One for each line.
    pub lines: Vec<ImportedLine>,
    /// Dependencies that came earlier, and whose other bead is there now.
    pub tied: u32,
}

/// A part of all beads of a rig, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExportPage {
    /// Issues in bd's shape, each whole.
    pub issues: Vec<Map<String, Value>>,
    /// The `after` of the next page; null: there is none.
    pub next: Option<String>,
}
