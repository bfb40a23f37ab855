//! The escalations of a town's rigs as one list, newest first. Each is kept by its rig alone, and acknowledged there.

use super::{Hall, RigCall, Said, Then, Todo, answer, answer_missing, missing, not_found, read};
use crate::api as rigs;
use crate::command::Error;
use crate::engine::check;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{HallRig, Sql};
use crate::wire::escalations::EscalationView;
use crate::wire::town::TownEscalationView;

pub(super) fn ask<S: Sql>(hall: &Hall<S>, query: &[(String, String)]) -> Result<Todo, Error> {
    let wanted = query.iter().find(|(key, _)| key == "acknowledged").map(|(_, it)| it.as_str());
    let wanted = match wanted {
        None | Some("") => "",
        Some("true") => "&acknowledged=true",
        Some("false") => "&acknowledged=false",
        Some(other) => {
            let other = check::cut(other, limits::ID_CHARS_MAX);
            let problem = format!("must be true or false (got {other:?})");
            return Err(Refusal::invalid("acknowledged", problem).into());
        }
    };
    let known = hall.book.rigs()?;
    let call = |rig: &HallRig| RigCall {
        rig: rig.id.clone(),
        method: "GET",
        path: format!("/escalations?town={}{wanted}", hall.town),
        body: None,
    };
    let calls = known.iter().map(call).collect();
    Ok(Todo::Ask(calls, Then::Escalations(known)))
}

/// An escalation is named by its rig and its bead, for two rigs may have beads of one name.
pub(super) fn ask_to_acknowledge<S: Sql>(hall: &Hall<S>, id: &str) -> Result<Todo, Error> {
    let none = || not_found(&format!("Escalation {}", check::cut(id, limits::NAME_CHARS_MAX)));
    let (rig, bead) = id.split_once(':').ok_or_else(none)?;
    let rig = hall.book.rigs()?.into_iter().find(|it| it.id == rig).ok_or_else(none)?;
    // It goes into a path as it is.
    if bead.is_empty() || bead.bytes().any(|b| !b.is_ascii_graphic() || b"/?#%".contains(&b)) {
        return Err(none());
    }
    let call = RigCall {
        rig: rig.id.clone(),
        method: "POST",
        path: format!("/escalations/{bead}/acknowledge"),
        body: None,
    };
    Ok(Todo::Ask(vec![call], Then::Acknowledge(rig)))
}

impl<S: Sql> Hall<S> {
    /// All of them; a rig that is none of the town any more is forgotten.
    pub(super) fn escalations(
        &self,
        known: &[HallRig],
        said: &[(String, Said)],
    ) -> Result<rigs::Response, Error> {
        let (mut shown, mut silent) = (Vec::new(), Vec::new());
        for (id, said) in said {
            let name = known.iter().find(|it| it.id == *id).and_then(|it| it.name.as_deref());
            match read::<Vec<EscalationView>>(said) {
                Ok(found) => shown.extend(found.into_iter().map(|it| view(id, name, it))),
                Err(no) if matches!(no.status, Some(404 | 409)) => self.book.leave(id)?,
                Err(no) => silent.push(missing(id, name, &no)),
            }
        }
        shown.sort_by(|a, b| (&b.created_at, &a.id).cmp(&(&a.created_at, &b.id)));
        shown.truncate(limits::PAGE_ROWS as usize);
        Ok(answer_missing(200, &shown, silent))
    }
}

pub(super) fn acknowledged(rig: &HallRig, said: &[(String, Said)]) -> rigs::Response {
    let Some((_, said)) = said.first() else { return rigs::refuse(&silent(rig, "no answer")) };
    match read::<EscalationView>(said) {
        Ok(it) => answer(200, &view(&rig.id, rig.name.as_deref(), it)),
        Err(no) => rigs::refuse(&match no.status {
            Some(404) => Refusal::new(Code::NotFound, no.why),
            Some(409) => Refusal::new(Code::Conflict, no.why),
            _ => silent(rig, &no.why),
        }),
    }
}

fn silent(rig: &HallRig, why: &str) -> Refusal {
    let message = format!("Rig {} did not take it: {why}; ask again", rig.id);
    Refusal::new(Code::ObjectUnavailable, message)
}

fn view(rig: &str, name: Option<&str>, it: EscalationView) -> TownEscalationView {
    let message = match it.bead.body {
        Some(body) => format!("{}\n\n{body}", it.bead.title),
        None => it.bead.title,
    };
    TownEscalationView {
        id: format!("{rig}:{}", it.bead.id),
        source_rig_id: rig.to_owned(),
        rig_name: name.map(ToOwned::to_owned),
        source_agent_id: Some(it.bead.created_by),
        bead_id: it.bead.id,
        status: it.bead.status,
        severity: it.severity,
        category: it.cause,
        message,
        acknowledged: it.acknowledged,
        re_escalation_count: it.re_escalation_count,
        created_at: it.bead.created_at,
        acknowledged_at: it.acknowledged_at,
    }
}
