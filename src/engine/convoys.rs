//! Convoys: beads that belong together.
//!
//! A convoy has landed when all of its beads are closed. That is counted from the beads each time, and kept
//! nowhere: a bead that is closed twice counts once, and one that is reopened takes its convoy back to active,
//! for the work is not done then. A bead is in one convoy at most.

use super::{Apply, Engine, actor, check, view};
use crate::command::{Error, Reply};
use crate::id::Millis;
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Convoy, Sql};
use crate::token::Caller;
use crate::wire::convoy::{ConvoyView, CreateConvoy};
use crate::wire::town::{Track, Tracked};

impl<S: Sql> Apply<'_, S> {
    pub(super) fn create_convoy(
        &mut self,
        by: &Caller,
        fields: CreateConvoy,
    ) -> Result<Reply, Error> {
        let title = check::title(&fields.title)?;
        let max = limits::CONVOY_BEADS_MAX;
        if !(1..=max).contains(&fields.beads.len()) {
            let message = format!("must be 1 to {max} (got {})", fields.beads.len());
            return Err(Refusal::invalid("beads", message).into());
        }
        let id = self.dice.dated("convoy", self.now);
        self.store().add_convoy(&id, &title, actor(by), self.now)?;
        for wanted in fields.beads {
            let before = self.bead(&wanted.bead_id)?;
            match &before.ties.convoy {
                // Named twice.
                Some(other) if *other == id => continue,
                Some(other) => {
                    let message = format!("Bead {} is in the convoy {other}", before.id);
                    return Err(Refusal::new(Code::Conflict, message).into());
                }
                None => {}
            }
            let mut bead = before.clone();
            bead.ties.convoy = Some(id.clone());
            bead.updated_at = self.now;
            self.store().save_bead(&before, &bead)?;
        }
        Ok(Reply::Convoy(id))
    }
}

impl<S: Sql> Engine<S> {
    /// One convoy, or why there is none.
    pub fn convoy(&self, id: &str) -> Result<ConvoyView, Error> {
        let found = self.store.convoy(id)?.ok_or_else(|| {
            let id = check::cut(id, limits::ID_CHARS_MAX);
            Refusal::new(Code::NotFound, format!("Convoy {id} not found"))
        })?;
        Ok(convoy_view(found))
    }

    /// How beads are that the rig's town asks for.
    pub fn tracked(&self, wanted: &Track) -> Result<Vec<Tracked>, Error> {
        self.must_be_in(&wanted.town_id)?;
        let max = limits::TRACKED_BEADS_MAX;
        if wanted.bead_ids.len() > max {
            let message = format!("may be {max} at most (got {})", wanted.bead_ids.len());
            return Err(Refusal::invalid("bead_ids", message).into());
        }
        let found = self.store.tracked(&wanted.bead_ids)?;
        let view = |(bead_id, status, closed_at): (String, String, Option<Millis>)| Tracked {
            bead_id,
            status,
            closed_at: closed_at.map(|at| at.to_string()),
        };
        Ok(found.into_iter().map(view).collect())
    }

    /// Refuses a town that the rig is not in (any more).
    pub fn must_be_in(&self, town: &str) -> Result<(), Error> {
        let its = self.effective()?.town;
        if its == town {
            return Ok(());
        }
        let town = check::cut(town, limits::ID_CHARS_MAX);
        let message = format!("Rig {} is in town {its}, not in {town}", self.rig);
        Err(Refusal::new(Code::Conflict, message).into())
    }

    /// Convoys, by a query string's pairs (`limit`, `offset`).
    pub fn list_convoys(&self, query: &[(String, String)]) -> Result<Vec<ConvoyView>, Error> {
        let page = view::page(query, limits::CONVOYS_PAGE_MAX)?;
        let convoys = self.store.convoys(page.limit, page.offset)?;
        Ok(convoys.into_iter().map(convoy_view).collect())
    }
}

fn convoy_view(convoy: Convoy) -> ConvoyView {
    let landed = convoy.total > 0 && convoy.closed == convoy.total;
    ConvoyView {
        id: convoy.id,
        title: convoy.title,
        status: if landed { "landed" } else { "active" }.to_owned(),
        total_beads: convoy.total,
        closed_beads: convoy.closed,
        stranded: convoy.stranded,
        created_by: convoy.created_by,
        created_at: convoy.created_at.to_string(),
        landed_at: convoy.last_closed_at.filter(|_| landed).map(|at| at.to_string()),
    }
}
