//! Molecules: the steps in which a bead is done. How far it is stands in the rows, so that another run, or another
//! agent, goes on where the last one was.

use serde_json::json;

use super::beads::owns;
use super::{Apply, Engine, actor, check};
use crate::bead::Bead;
use crate::command::{Error, Reply};
use crate::limits;
use crate::molecule::{Event, Molecule, State, Step};
use crate::refusal::{Code, Refusal};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::molecule::{
    Advance, Advanced, CreateMolecule, CurrentStep, MoleculeView, StepView,
};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn create_molecule(
        &mut self,
        by: &Caller,
        fields: CreateMolecule,
    ) -> Result<Reply, Error> {
        let speaker = self.speaker(by)?;
        let before = self.bead(&fields.bead_id)?;
        owns(by, speaker.as_ref(), &before)?;
        let steps = steps(fields.formula.steps)?;
        if before.status.is_finished() {
            let message =
                format!("Bead {} is {}; reopen it to give it steps", before.id, before.status);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        if let Some(id) = &before.ties.molecule
            && self.store().molecule(id)?.is_some_and(|it| it.state == State::Active)
        {
            let message = format!("Bead {} has the molecule {id}, which is active", before.id);
            return Err(Refusal::new(Code::Conflict, message).into());
        }
        let molecule = Molecule {
            id: self.dice.dated("mol", self.now),
            bead: before.id.clone(),
            steps,
            step: 0,
            state: State::Active,
            created_at: self.now,
            updated_at: self.now,
        };
        self.store().add_molecule(&molecule)?;
        let mut bead = before.clone();
        bead.ties.molecule = Some(molecule.id.clone());
        bead.updated_at = self.now;
        self.store().save_bead(&before, &bead)?;
        let change = (None, Some(molecule.id.as_str()));
        self.event(&bead.id, actor(by), "molecule_created", change, None)?;
        Ok(Reply::Molecule(Box::new(molecule)))
    }

    pub(super) fn advance_molecule(
        &mut self,
        by: &Caller,
        agent: &str,
        fields: Advance,
    ) -> Result<Reply, Error> {
        let member = self.speaker_or(by, agent)?;
        let summary = summary(&fields.summary)?;
        let Some(before) = self.engine.molecule_of(&member)? else {
            let message = match member.bead {
                None => "Agent has no hooked bead",
                Some(_) => "No molecule attached to hooked bead",
            };
            return Err(Refusal::new(Code::Conflict, message).into());
        };
        if let Some(step) = fields.step {
            if step < before.step {
                // Said again, because its answer was lost.
                return Ok(Reply::Advanced(Box::new(advanced(&before, step))));
            }
            if step > before.step {
                let message = format!(
                    "Molecule {} is at step {}, not {step}; advance from the current one",
                    before.id, before.step
                );
                return Err(Refusal::new(Code::Conflict, message).into());
            }
        }
        let last = before.step + 1 >= before.steps.len();
        let state = before
            .state
            .after(Event::Advanced { last })
            .map_err(|err| Error::from(Refusal::new(Code::Conflict, err.to_string())))?;
        let after =
            Molecule { state, step: before.step + 1, updated_at: self.now, ..before.clone() };
        self.store().save_molecule(&after)?;
        // The bead moves too: an agent that gets on is not to be taken for one that does not.
        let bead = self.bead(&before.bead)?;
        let touched = crate::bead::Bead { updated_at: self.now, ..bead.clone() };
        self.store().save_bead(&bead, &touched)?;
        let title = before.current().map(|(title, _)| title.as_str());
        let data = json!({"step": before.step, "step_title": title, "summary": summary});
        let change = (before.step.to_string(), after.step.to_string());
        let change = (Some(change.0.as_str()), Some(change.1.as_str()));
        let event = "molecule_step_completed";
        self.event(&bead.id, actor(by), event, change, Some(data.to_string()))?;
        Ok(Reply::Advanced(Box::new(advanced(&after, before.step))))
    }
}

impl<S: Sql> Engine<S> {
    /// The molecule on an agent's hook.
    fn molecule_of(&self, member: &Member) -> Result<Option<Molecule>, Error> {
        let Some(hooked) = &member.bead else { return Ok(None) };
        let bead = self.store.bead(&hooked.id)?;
        let Some(id) = bead.and_then(|bead| bead.ties.molecule) else { return Ok(None) };
        Ok(self.store.molecule(&id)?)
    }

    /// The step that an agent is at, or why there is none.
    pub fn current_step(&self, agent: &str) -> Result<CurrentStep, Error> {
        let member = self.store.member(agent)?.ok_or_else(|| Refusal::no_agent(agent))?;
        let current = self.molecule_of(&member)?.as_ref().and_then(current_view);
        let none = || Refusal::new(Code::NotFound, "No active molecule for this agent");
        Ok(current.ok_or_else(none)?)
    }

    /// The step that a bead is at, if it has steps and is not past the last.
    pub(super) fn step_of(&self, bead: &Bead) -> Result<Option<CurrentStep>, Error> {
        let Some(id) = &bead.ties.molecule else { return Ok(None) };
        Ok(self.store.molecule(id)?.as_ref().and_then(current_view))
    }
}

fn current_view(molecule: &Molecule) -> Option<CurrentStep> {
    Some(CurrentStep {
        molecule_id: molecule.id.clone(),
        current_step: molecule.step,
        total_steps: molecule.steps.len(),
        step: step_view(molecule.current()?),
        status: molecule.state.as_str().to_owned(),
    })
}

/// A molecule as it is shown.
pub(crate) fn molecule_view(molecule: &Molecule) -> MoleculeView {
    MoleculeView {
        id: molecule.id.clone(),
        bead_id: molecule.bead.clone(),
        steps: molecule.steps.iter().map(step_view).collect(),
        current_step: molecule.step,
        status: molecule.state.as_str().to_owned(),
        created_at: molecule.created_at.to_string(),
        updated_at: molecule.updated_at.to_string(),
    }
}

fn step_view((title, instructions): &Step) -> StepView {
    StepView { title: title.clone(), instructions: instructions.clone() }
}

fn advanced(molecule: &Molecule, from: usize) -> Advanced {
    Advanced {
        molecule_id: molecule.id.clone(),
        previous_step: from,
        current_step: molecule.step,
        total_steps: molecule.steps.len(),
        completed: molecule.state == State::Completed,
    }
}

fn steps(steps: Vec<StepView>) -> Result<Vec<Step>, Refusal> {
    let max = limits::STEPS_MAX;
    if !(1..=max).contains(&steps.len()) {
        let message = format!("must be 1 to {max} (got {})", steps.len());
        return Err(Refusal::invalid("formula.steps", message));
    }
    let mut checked = Vec::new();
    for (n, step) in steps.into_iter().enumerate() {
        let field = |it: &str| format!("formula.steps[{n}].{it}");
        let title = check::name(&field("title"), &step.title)?;
        let (field, bytes) = (field("instructions"), step.instructions.len());
        if step.instructions.trim().is_empty() {
            return Err(Refusal::invalid(&field, "is required"));
        }
        let max = limits::INSTRUCTIONS_BYTES_MAX;
        if bytes > max {
            let message = format!("{field} has {bytes} bytes, it may have {max}");
            return Err(Refusal::new(Code::TooLarge, message));
        }
        checked.push((title, step.instructions));
    }
    Ok(checked)
}

fn summary(text: &str) -> Result<String, Refusal> {
    let (text, max) = (text.trim(), limits::SUMMARY_CHARS_MAX);
    let chars = text.chars().count();
    if !(1..=max).contains(&chars) {
        let message = format!("must be 1 to {max} characters (got {chars})");
        return Err(Refusal::invalid("summary", message));
    }
    Ok(text.to_owned())
}
