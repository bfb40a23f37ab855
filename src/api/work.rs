//! Sling, the review queue, molecules, convoys and the rig's config over HTTP. No rules: those are the engine's.

use serde_json::{Map, Value};

use super::{Answer, Call};
use crate::command::{Command, Error, Reply};
use crate::engine::molecule_view;
use crate::store::Sql;
use crate::wire::merge::{Landing, LandingVerdicts};
use crate::wire::review::{SubmitReview, Submitted};
use crate::wire::rig::BeadView;
use crate::wire::sling::Slung;

pub(super) fn sling<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    match call.apply(Command::Sling(call.by(), Box::new(call.body()?)))? {
        Reply::Slung(bead, agent) => {
            let bead = call.engine.bead_view(*bead, call.now())?;
            // A new bead has no notes to ask for.
            let bead = BeadView { notes: Some(Vec::new()), ..bead };
            let agent = call.engine.agent_view(*agent, call.now())?;
            Ok(Answer::created(&Slung { bead, agent }))
        }
        _ => Ok(Answer::word("slung")),
    }
}

pub(super) fn config<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.config_view()?))
}

pub(super) fn patch_config<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let patch: Map<String, Value> = call.body()?;
    call.apply(Command::PatchConfig(call.by(), patch))?;
    config(call)
}

pub(super) fn submit_review<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let submit: SubmitReview = call.body()?;
    call.same_agent(Some(&submit.agent_id))?;
    match call.apply(Command::SubmitReview(call.by(), submit))? {
        Reply::Submitted(entry_id) => Ok(Answer::created(&Submitted { submitted: true, entry_id })),
        _ => Ok(Answer::word("submitted")),
    }
}

pub(super) fn list_reviews<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.list_reviews(&call.query())?))
}

pub(super) fn review<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.review(&call.param(0))?))
}

pub(super) fn complete_review<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    call.apply(Command::CompleteReview(call.by(), call.param(0), call.body()?))?;
    Ok(Answer::word("completed"))
}

pub(super) fn landing<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    let asked: Landing = call.body()?;
    let verdicts = match call.apply(Command::Landing(asked.entries))? {
        Reply::Landings(verdicts) => verdicts,
        _ => Vec::new(),
    };
    Ok(Answer::ok(&LandingVerdicts { verdicts }))
}

pub(super) fn create_molecule<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    match call.apply(Command::CreateMolecule(call.by(), call.body()?))? {
        Reply::Molecule(molecule) => Ok(Answer::created(&molecule_view(&molecule))),
        _ => Ok(Answer::word("created")),
    }
}

pub(super) fn current_step<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.current_step(&call.param(0))?))
}

pub(super) fn advance<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    match call.apply(Command::AdvanceMolecule(call.by(), call.param(0), call.body()?))? {
        Reply::Advanced(advanced) => Ok(Answer::ok(&*advanced)),
        _ => Ok(Answer::word("advanced")),
    }
}

pub(super) fn create_convoy<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    match call.apply(Command::CreateConvoy(call.by(), call.body()?))? {
        Reply::Convoy(id) => Ok(Answer::created(&call.engine.convoy(&id)?)),
        _ => Ok(Answer::word("created")),
    }
}

pub(super) fn list_convoys<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.list_convoys(&call.query())?))
}

pub(super) fn convoy<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.convoy(&call.param(0))?))
}

pub(super) fn tracked<S: Sql>(call: &Call<'_, S>) -> Result<Answer, Error> {
    Ok(Answer::ok(&call.engine.tracked(&call.body()?)?))
}
