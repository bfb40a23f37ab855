//! Molecules over the wire; camel case where Gastown has it.

use serde::{Deserialize, Serialize};

/// Gives a bead steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateMolecule {
    /// Which bead.
    pub bead_id: String,
    /// The steps.
    pub formula: Formula,
}

/// Steps in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Formula {
    /// 1 to 50.
    pub steps: Vec<StepView>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepView {
    /// One line.
    pub title: String,
    /// What is to be done.
    pub instructions: String,
}

/// A molecule as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MoleculeView {
    /// Its name.
    pub id: String,
    /// Of which bead.
    pub bead_id: String,
    /// All of them.
    pub steps: Vec<StepView>,
    /// The one that is to be done, from 0.
    pub current_step: usize,
    /// `active` or `completed`.
    pub status: String,
    /// When it was made.
    pub created_at: String,
    /// When a step was last done.
    pub updated_at: String,
}

/// The step that an agent is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CurrentStep {
    /// Of which molecule.
    pub molecule_id: String,
    /// From 0.
    pub current_step: usize,
    /// How many there are.
    pub total_steps: usize,
    /// What is to be done.
    pub step: StepView,
    /// `active`.
    pub status: String,
}

/// Says that a step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Advance {
    /// What was done, 1 to 5,000 characters.
    pub summary: String,
    /// Which step is done; with it, the same may be said twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
}

/// Where the molecule is then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Advanced {
    /// Which molecule.
    pub molecule_id: String,
    /// The step that is done.
    pub previous_step: usize,
    /// The step that is to be done.
    pub current_step: usize,
    /// How many there are.
    pub total_steps: usize,
    /// Whether all are done.
    pub completed: bool,
}
