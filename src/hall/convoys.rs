//! Convoys of a town: beads of several rigs. Which beads is kept here; how they are is asked of their rigs each time.
//!
//! A convoy has landed when all of its beads are closed; one that is reopened takes that back. What a rig that does not
//! answer would say is not guessed: its beads count as not closed, and it is named.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Hall, No, RigCall, Said, Then, Todo, answer, answer_missing, missing, not_found, read, rig_name,
};
use crate::api as rigs;
use crate::command::{Error, Moment};
use crate::engine::{check, page};
use crate::id::{Dice, Millis};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Sql, TownConvoy};
use crate::token::Caller;
use crate::wire::directory::MissingRig;
use crate::wire::town::{CreateTownConvoy, RigBead, TownConvoyView, Track, Tracked};

/// What is sent to make a convoy, if it may be one; each bead once.
pub(super) fn checked(by: &Caller, fields: CreateTownConvoy) -> Result<CreateTownConvoy, Refusal> {
    let max = limits::CONVOY_BEADS_MAX;
    if !(1..=max).contains(&fields.beads.len()) {
        let message = format!("must be 1 to {max} (got {})", fields.beads.len());
        return Err(Refusal::invalid("beads", message));
    }
    for bead in &fields.beads {
        rig_name("beads.rig_id", &bead.rig_id)?;
        check::name("beads.bead_id", &bead.bead_id)?;
    }
    let by = match fields.created_by {
        Some(name) => check::name("created_by", &name)?,
        None => crate::engine::actor(by).to_owned(),
    };
    let beads: BTreeSet<RigBead> = fields.beads.into_iter().collect();
    Ok(CreateTownConvoy {
        title: check::title(&fields.title)?,
        beads: beads.into_iter().collect(),
        created_by: Some(by),
    })
}

impl<S: Sql> Hall<S> {
    pub(super) fn ask_to_create(&self, fields: CreateTownConvoy) -> Todo {
        let beads = fields.beads.iter().map(|it| (it.rig_id.as_str(), it.bead_id.as_str()));
        Todo::Ask(self.track(beads), Then::CreateConvoy(Box::new(fields)))
    }

    pub(super) fn ask_convoys(&self, query: &[(String, String)]) -> Result<Todo, Error> {
        let page = page(query, limits::TOWN_CONVOYS_PAGE_MAX)?;
        let all = self.book.convoys(page.limit, page.offset)?;
        let calls = self.track(all.iter().flat_map(beads));
        Ok(Todo::Ask(calls, Then::Convoys(all)))
    }

    /// Asks how a convoy is, of which this bead must be one if it is named.
    pub(super) fn ask_convoy(&self, id: &str, bead: Option<&str>) -> Result<Todo, Error> {
        let cut = check::cut(id, limits::ID_CHARS_MAX);
        let convoy = self.book.convoy(id)?.ok_or_else(|| not_found(&format!("Convoy {cut}")))?;
        if let Some(bead) = bead
            && convoy.beads.iter().all(|(_, it)| it != bead)
        {
            let bead = check::cut(bead, limits::ID_CHARS_MAX);
            return Err(not_found(&format!("Bead {bead} of convoy {cut}")));
        }
        let calls = self.track(beads(&convoy));
        Ok(Todo::Ask(calls, Then::Convoy(Box::new(convoy))))
    }

    /// One call to each rig, for all of its beads.
    fn track<'a>(&self, beads: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<RigCall> {
        let mut of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (rig, bead) in beads {
            of.entry(rig).or_default().insert(bead);
        }
        let call = |(rig, beads): (&str, BTreeSet<&str>)| {
            let track = Track {
                town_id: self.town.clone(),
                bead_ids: beads.into_iter().map(ToOwned::to_owned).collect(),
            };
            RigCall {
                rig: rig.to_owned(),
                method: "POST",
                path: "/tracked".to_owned(),
                body: Some(serde_json::to_string(&track).expect("plain data")),
            }
        };
        of.into_iter().map(call).collect()
    }

    /// Makes a convoy when every bead is there.
    pub(super) fn create_convoy(
        &self,
        moment: Moment,
        fields: CreateTownConvoy,
        said: &[(String, Said)],
    ) -> Result<rigs::Response, Error> {
        let heard = Heard::of(said);
        for bead in &fields.beads {
            let no = match heard.bead(&bead.rig_id, &bead.bead_id) {
                Ok(Some(_)) => continue,
                Ok(None) => {
                    let what = format!("Bead {} of rig {}", bead.bead_id, bead.rig_id);
                    return Err(not_found(&what));
                }
                Err(no) => no,
            };
            let (rig, why) = (&bead.rig_id, no.map_or("it was not asked", |it| it.why.as_str()));
            if no.is_some_and(|it| it.status == Some(409)) {
                return Err(Refusal::new(Code::Conflict, why).into());
            }
            let message = format!(
                "Rig {rig} did not say how its beads are: {why}; nothing was kept, ask again"
            );
            return Err(Refusal::new(Code::ObjectUnavailable, message).into());
        }
        let convoy = TownConvoy {
            id: Dice::new(moment.seed).dated("convoy", moment.now),
            title: fields.title,
            created_by: fields.created_by.unwrap_or_default(),
            created_at: moment.now,
            beads: fields.beads.into_iter().map(|it| (it.rig_id, it.bead_id)).collect(),
        };
        self.book.atomically(|| {
            for rig in convoy.beads.iter().map(|(rig, _)| rig).collect::<BTreeSet<_>>() {
                self.join(rig, None, moment.now)?;
            }
            Ok::<_, Error>(self.book.add_convoy(&convoy, limits::TOWN_CONVOYS_KEPT)?)
        })?;
        Ok(answer(201, &heard.view(convoy)))
    }

    /// Makes a rig one of the town; inside a transaction.
    pub(super) fn join(&self, rig: &str, name: Option<&str>, now: Millis) -> Result<(), Error> {
        let (rigs, max) = (self.book.rigs()?, limits::RIGS_PER_TOWN_MAX);
        let known = rigs.iter().find(|it| it.id == rig);
        match known {
            // Nothing to write.
            Some(it) if name.is_none() || name == it.name.as_deref() => Ok(()),
            None if rigs.len() >= max => {
                let town = &self.town;
                let message = format!("town {town} has {max} rigs, and may have no more");
                Err(Refusal::new(Code::LimitReached, message).into())
            }
            _ => Ok(self.book.join(rig, name, now)?),
        }
    }
}

fn beads(convoy: &TownConvoy) -> impl Iterator<Item = (&str, &str)> {
    convoy.beads.iter().map(|(rig, bead)| (rig.as_str(), bead.as_str()))
}

pub(super) fn one(convoy: TownConvoy, said: &[(String, Said)]) -> rigs::Response {
    let heard = Heard::of(said);
    answer_missing(200, &heard.view(convoy), heard.missing())
}

pub(super) fn list(all: Vec<TownConvoy>, said: &[(String, Said)]) -> rigs::Response {
    let heard = Heard::of(said);
    let views: Vec<_> = all.into_iter().map(|it| heard.view(it)).collect();
    answer_missing(200, &views, heard.missing())
}

/// What the rigs said of beads, by rig.
struct Heard(BTreeMap<String, Result<BTreeMap<String, Tracked>, No>>);

impl Heard {
    fn of(said: &[(String, Said)]) -> Self {
        let read = |(rig, said): &(String, Said)| {
            let heard = match read::<Vec<Tracked>>(said) {
                Ok(beads) => Ok(beads.into_iter().map(|it| (it.bead_id.clone(), it)).collect()),
                // The rig was deleted, and its beads with it.
                Err(No { status: Some(404), .. }) => Ok(BTreeMap::new()),
                Err(no) => Err(no),
            };
            (rig.clone(), heard)
        };
        Self(said.iter().map(read).collect())
    }

    /// How a bead is; none if it is not there.
    fn bead(&self, rig: &str, bead: &str) -> Result<Option<&Tracked>, Option<&No>> {
        match self.0.get(rig) {
            Some(Ok(beads)) => Ok(beads.get(bead)),
            Some(Err(no)) => Err(Some(no)),
            None => Err(None),
        }
    }

    fn missing(&self) -> Vec<MissingRig> {
        let silent = self.0.iter().filter_map(|(rig, it)| Some((rig, it.as_ref().err()?)));
        silent.map(|(rig, no)| missing(rig, None, no)).collect()
    }

    fn view(&self, convoy: TownConvoy) -> TownConvoyView {
        let (mut total, mut closed, mut last) = (0, 0, None);
        let (mut stranded, mut unanswered) = (Vec::new(), BTreeSet::new());
        for (rig, bead) in &convoy.beads {
            match self.bead(rig, bead) {
                Ok(Some(it)) => {
                    total += 1;
                    closed += u64::from(it.closed_at.is_some());
                    // Times of one shape sort as texts.
                    last = last.max(it.closed_at.clone());
                    if matches!(it.status.as_str(), "failed" | "blocked") {
                        let (rig_id, bead_id) = (rig.clone(), bead.clone());
                        stranded.push(RigBead { rig_id, bead_id });
                    }
                }
                Ok(None) => {}
                Err(_) => {
                    total += 1;
                    unanswered.insert(rig.clone());
                }
            }
        }
        let landed = total > 0 && closed == total;
        TownConvoyView {
            id: convoy.id,
            title: convoy.title,
            status: if landed { "landed" } else { "active" }.to_owned(),
            total_beads: total,
            closed_beads: closed,
            stranded,
            unanswered: unanswered.into_iter().collect(),
            created_by: convoy.created_by,
            created_at: convoy.created_at.to_string(),
            landed_at: last.filter(|_| landed),
        }
    }
}
