//! A user's directory of towns and rigs, as Gastown has it: which there are, and what they are called.
//!
//! It knows names, never beads: what a rig does is the rig's own business, and a rig that is in no directory works as
//! well. Like the engine it is synchronous and calls nobody: what has to be done to rigs it hands out as a [`Todo`],
//! and what came of that it is told.
//!
//! ```text
//!  POST rigs:   row written --> rig registered --> 201
//!                                   | no answer, or a no --> row deleted --> 503, 409
//!  DELETE rig:  rig deleted --> row deleted --> 200
//!                    | no answer --> row stays --> 503, to be asked again
//! ```
//!
//! A row is there before its rig is and until its rig is gone, so that whatever is interrupted can be deleted by who
//! looks at the list. The other way round a rig that nobody knows could tick for ever.
//!
//! | module | holds |
//! |---|---|
//! | `api` | routes and bodies |
//! | `events` | the events of a town, from those of its rigs |

mod api;
mod events;

pub use api::{FORBIDDEN, Request, handle, user};
pub use events::{EventsAsked, Merged};

#[cfg(feature = "schema")]
pub use api::routes;

use serde::Serialize;

use crate::api as rigs;
use crate::command::Error;
use crate::refusal::{Code, Refusal};
use crate::store::{Registry, Sql, SqlError, Town, TownRig};
use crate::wire::Envelope;
use crate::wire::directory::{Register, TownRigView, TownView};

/// One user's directory.
pub struct Directory<S> {
    /// Its memory.
    pub registry: Registry<S>,
    /// Whose it is.
    pub user: String,
}

/// What is to be done about a request.
#[derive(Debug)]
pub enum Todo {
    /// Answer this.
    Answer(rigs::Response),
    /// Register this rig, then say what came of it ([`Directory::registered`]).
    Register {
        /// Which.
        rig: TownRig,
        /// Whether its id was made here, so that nobody else can know it.
        new: bool,
    },
    /// End this rig, then say what came of it ([`Directory::rig_ended`]).
    EndRig(TownRig),
    /// End all rigs of this town, then say what came of it ([`Directory::town_ended`]).
    EndTown(Town, Vec<TownRig>),
    /// Ask these rigs for their events.
    Events(Vec<TownRig>, EventsAsked),
}

/// What a rig said to its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is done.
    Done,
    /// It is not, and this is why: the status, and a sentence.
    Refused(u16, String),
    /// Nothing that could be understood; it may be done or not.
    Nothing(String),
}

impl<S: Sql> Directory<S> {
    /// What a rig is told that is registered.
    pub fn registration(&self, rig: &TownRig) -> Register {
        Register {
            user_id: self.user.clone(),
            town_id: rig.town.clone(),
            git_url: rig.git_url.clone(),
            default_branch: Some(rig.default_branch.clone()),
        }
    }

    /// What came of the registration of a rig; the answer, and whether the rig has to be ended again.
    pub fn registered(
        &self,
        rig: &TownRig,
        new: bool,
        said: &Said,
    ) -> Result<(rigs::Response, bool), SqlError> {
        let why = match said {
            Said::Done if self.registry.rig(&rig.id)?.is_some() => {
                return Ok((answer(201, &rig_view(rig)), false));
            }
            // Deleted by another request meanwhile.
            Said::Done => return Ok((rigs::refuse(&no_rig()), true)),
            Said::Refused(409, why) => Refusal::new(Code::Conflict, why),
            Said::Refused(_, why) | Said::Nothing(why) => {
                let message =
                    format!("Failed to configure rig: {why}; nothing was kept, ask again");
                Refusal::new(Code::ObjectUnavailable, message)
            }
        };
        self.registry.delete_rig(&rig.id)?;
        // It may have been registered and the answer lost. One that was there before must not go for that.
        Ok((rigs::refuse(&why), new && matches!(said, Said::Nothing(_))))
    }

    /// What came of the end of a rig.
    pub fn rig_ended(&self, rig: &TownRig, said: &Said) -> Result<rigs::Response, SqlError> {
        Ok(match self.forget(rig, said)? {
            None => deleted(),
            Some(why) => {
                let message = format!("Rig {} was not deleted: {why}; ask again", rig.id);
                rigs::refuse(&Refusal::new(Code::ObjectUnavailable, message))
            }
        })
    }

    /// What came of the end of a town's rigs, and of what the town knows itself. A town goes when nothing is left.
    pub fn town_ended(
        &self,
        town: &Town,
        said: &[(TownRig, Said)],
        hall: &Said,
    ) -> Result<rigs::Response, SqlError> {
        let mut left = Vec::new();
        for (rig, said) in said {
            if let Some(why) = self.forget(rig, said)? {
                left.push(format!("{} ({why})", rig.id));
            }
        }
        // There are secrets in what is set for the town.
        if let (true, Said::Refused(_, why) | Said::Nothing(why)) = (left.is_empty(), hall) {
            let message = format!("Town {} was not deleted: {why}; ask again", town.id);
            return Ok(rigs::refuse(&Refusal::new(Code::ObjectUnavailable, message)));
        }
        if left.is_empty() && self.registry.delete_town(&town.id)? {
            return Ok(deleted());
        }
        if left.is_empty() {
            left.push("one that was just made".to_owned());
        }
        let message = format!(
            "Town {} was not deleted, for these rigs are left: {}; ask again",
            town.id,
            left.join(", ")
        );
        Ok(rigs::refuse(&Refusal::new(Code::ObjectUnavailable, message)))
    }

    /// Forgets a rig that is gone; else why it is not.
    fn forget(&self, rig: &TownRig, said: &Said) -> Result<Option<String>, SqlError> {
        match said {
            Said::Done => {
                self.registry.delete_rig(&rig.id)?;
                Ok(None)
            }
            Said::Refused(_, why) | Said::Nothing(why) => Ok(Some(why.clone())),
        }
    }

    fn the_town(&self, id: &str) -> Result<Town, Error> {
        let found = self.registry.town(id)?;
        found.ok_or_else(|| Refusal::new(Code::NotFound, "Town not found").into())
    }

    fn the_rig(&self, id: &str) -> Result<TownRig, Error> {
        self.registry.rig(id)?.ok_or_else(|| no_rig().into())
    }
}

/// Gastown's words.
fn no_rig() -> Refusal {
    Refusal::new(Code::NotFound, "Rig not found")
}

fn deleted() -> rigs::Response {
    answer(200, &serde_json::json!({"deleted": true}))
}

/// A good answer in the envelope.
fn answer(status: u16, data: &impl Serialize) -> rigs::Response {
    whole(status, &Envelope::ok(data))
}

fn whole(status: u16, body: &impl Serialize) -> rigs::Response {
    let body = serde_json::to_string(body).expect("plain data");
    rigs::Response { status, body, headers: Vec::new(), effects: Vec::new(), fault: None }
}

fn town_view(town: &Town) -> TownView {
    TownView {
        id: town.id.clone(),
        name: town.name.clone(),
        owner_user_id: town.owner.clone(),
        created_at: town.created_at.to_string(),
        updated_at: town.updated_at.to_string(),
    }
}

fn rig_view(rig: &TownRig) -> TownRigView {
    TownRigView {
        id: rig.id.clone(),
        town_id: rig.town.clone(),
        name: rig.name.clone(),
        git_url: rig.git_url.clone(),
        default_branch: rig.default_branch.clone(),
        created_at: rig.created_at.to_string(),
        updated_at: rig.updated_at.to_string(),
    }
}
