//! The rig as one of a town, and its end.
//!
//! ```text
//!  never registered --register--> registered --delete--> deleted --register--> registered
//!         |                                                 ^
//!         +------------------------ delete -----------------+
//! ```
//!
//! A rig that was never registered is there from its first use, in the town of the deployment. One that was deleted
//! holds nothing, wakes never, and must not come back by being used: only a registration brings it back.

use serde_json::{Map, Value};

use super::{Apply, actor, check};
use crate::command::{Effect, Error, Reply, Tell};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Member, Sql};
use crate::token::Caller;
use crate::wire::directory::Register;

impl<S: Sql> Apply<'_, S> {
    /// Makes the rig one of a user's town. A rig of another user's stays where it is.
    pub(super) fn register(&mut self, by: &Caller, fields: &Register) -> Result<Reply, Error> {
        let (user, rig) = (check::name("user_id", &fields.user_id)?, &self.engine.rig);
        if let Some(owner) = self.store().owner()?
            && owner != user
        {
            let message =
                format!("Rig {rig} is in the directory of user {owner}; delete it there first");
            return Err(Refusal::new(Code::Exists, message).into());
        }
        let town = Value::from(fields.town_id.as_str());
        let town = self
            .checked("town", &town)?
            .ok_or_else(|| Refusal::invalid("town_id", "is required"))?;
        if town != self.settings()?.town {
            self.may_move()?;
        }
        self.store().set_owner(&user)?;
        // Written even where the deployment has the same: it must not move with that.
        self.store().set_config("town", Some(&town))?;
        let mut patch = Map::new();
        for (name, value) in
            [("git_url", &fields.git_url), ("default_branch", &fields.default_branch)]
        {
            if let Some(value) = value {
                patch.insert(name.to_owned(), value.as_str().into());
            }
        }
        self.patch_config(by, &patch)?;
        self.tell_of_rig(by, "rig_registered", &town);
        self.wake();
        Ok(Reply::Done)
    }

    /// As `may_move`, for who does not ask the directory, which would say something else then.
    pub(super) fn may_move_by_hand(&self) -> Result<(), Error> {
        let Some(owner) = self.store().owner()? else { return self.may_move() };
        let (rig, town) = (&self.engine.rig, self.settings()?.town);
        let message = format!(
            "Rig {rig} is in town {town} by the directory of user {owner}; delete it there and make it anew"
        );
        Err(Refusal::new(Code::Conflict, message).into())
    }

    /// Refuses to change the town while its container has runs of the rig: nobody would end them there.
    fn may_move(&self) -> Result<(), Error> {
        let (crew, _) = self.store().crew()?;
        let live = crew.iter().filter(|it| it.attempt.is_some()).count();
        if live == 0 {
            return Ok(());
        }
        let (rig, town) = (&self.engine.rig, self.settings()?.town);
        let message = format!(
            "Rig {rig} has {live} runs in the container of town {town}; take their beads back and wait until they end"
        );
        Err(Refusal::new(Code::Conflict, message).into())
    }

    /// Ends the rig. What runs is told to end once; should it not hear, its next heartbeat is answered with `stale`.
    pub(super) fn delete_everything(&mut self, by: &Caller) -> Result<Reply, Error> {
        if self.store().deleted_at()?.is_some() {
            return Ok(Reply::Done);
        }
        let why = format!("{} deleted the rig", actor(by));
        let (crew, _) = self.store().crew()?;
        for live in crew.iter().filter_map(|Member { attempt, .. }| attempt.as_ref()) {
            self.effects.push(Effect::Stop {
                agent: live.agent.clone(),
                attempt: live.number,
                reason: check::cut(&why, limits::NAME_CHARS_MAX),
            });
        }
        self.store().delete_everything(self.now)?;
        self.tell_of_rig(by, "rig_deleted", &why);
        Ok(Reply::Done)
    }

    fn tell_of_rig(&mut self, by: &Caller, event: &str, detail: &str) {
        self.effects.push(Effect::Tell(Tell {
            event: event.to_owned(),
            bead: None,
            actor: Some(actor(by).to_owned()),
            detail: Some(detail.to_owned()),
        }));
    }
}
