//! `molecule`. People count steps from 1, the rig from 0.

use super::super::Screen;
use super::{agent, resolve};
use crate::args::MoleculeVerb;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::text;
use beadrig::wire::molecule::{
    Advance, Advanced, CreateMolecule, CurrentStep, Formula, MoleculeView, StepView,
};
use ureq::http::Method;

pub(super) fn molecule(
    verb: MoleculeVerb,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match verb {
        MoleculeVerb::Create { bead, steps } => {
            let steps = steps.iter().map(|text| step(text)).collect::<Result<Vec<_>, _>>()?;
            let new = CreateMolecule { bead_id: bead, formula: Formula { steps } };
            let made: MoleculeView = connect()?.send(&Method::POST, "/molecules", &new)?;
            let (bead, count) = (text::line(&made.bead_id), made.steps.len());
            screen.done(&format!("✓ {bead} is done in {count} steps ({})", made.id), &made)
        }
        MoleculeVerb::Current { agent: whose } => {
            let named = agent(whose.as_ref())?;
            let client = connect()?;
            let id = resolve(&client, &named)?;
            let path = format!("/agents/{}/molecule/current", encode(&id));
            let at: CurrentStep = client.get(&path)?;
            let (now, all) = (at.current_step + 1, at.total_steps);
            let (title, text) = (text::line(&at.step.title), text::clean(&at.step.instructions));
            screen.done(&format!("Step {now} of {all}: {title}\n{text}"), &at)
        }
        MoleculeVerb::Advance { message, step, agent: whose } => {
            let named = agent(whose.as_ref())?;
            let client = connect()?;
            let id = resolve(&client, &named)?;
            let step = step.and_then(|step| usize::try_from(step - 1).ok());
            let path = format!("/agents/{}/molecule/advance", encode(&id));
            let at: Advanced =
                client.send(&Method::POST, &path, &Advance { summary: message, step })?;
            let line = if at.completed {
                "✓ All steps are done".to_owned()
            } else {
                format!("✓ Step {} of {} is next", at.current_step + 1, at.total_steps)
            };
            screen.done(&line, &at)
        }
    }
}

/// `Plan: write down what changes`.
fn step(text: &str) -> Result<StepView, Failure> {
    let (title, instructions) = text.split_once(':').unwrap_or((text, text));
    let (title, instructions) = (title.trim().to_owned(), instructions.trim().to_owned());
    if title.is_empty() || instructions.is_empty() {
        return Err(Failure::fatal(format!("the step {text:?} must be TITLE: what is to be done")));
    }
    Ok(StepView { title, instructions })
}
