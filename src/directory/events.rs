//! The events of a town: those of its rigs, by time. A rig that does not answer must not keep the others back; it is
//! named beside the list.

use serde::Serialize;

use super::whole;
use crate::api::Response;
use crate::id::Millis;
use crate::store::TownRig;
use crate::wire::Envelope;
use crate::wire::dependencies::EventView;
use crate::wire::directory::{MissingRig, TownEventView};

/// What a caller wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventsAsked {
    /// Only what came after.
    pub since: Option<Millis>,
    /// How many, the oldest first.
    pub limit: u32,
}

impl EventsAsked {
    /// What each rig is asked: as many as all together may be, since all may be of one rig.
    pub fn path(&self) -> String {
        let since = self.since.map(|at| format!("&since={at}")).unwrap_or_default();
        format!("/events?limit={}{since}", self.limit)
    }
}

/// The events of several rigs, as they come in; never more than were asked for are kept.
#[derive(Debug)]
pub struct Merged {
    limit: usize,
    events: Vec<TownEventView>,
    missing: Vec<MissingRig>,
}

/// As an envelope, with the rigs that did not answer beside the data, where Gastown's clients do not look.
#[derive(Serialize)]
struct Answer {
    success: bool,
    data: Vec<TownEventView>,
    missing: Vec<MissingRig>,
}

impl Merged {
    /// Nothing yet.
    pub fn new(asked: &EventsAsked) -> Self {
        Self { limit: asked.limit as usize, events: Vec::new(), missing: Vec::new() }
    }

    /// What a rig answered, or why it did not.
    pub fn add(&mut self, rig: &TownRig, answered: Result<Vec<u8>, String>) {
        let read = answered.and_then(|body| {
            let envelope: Envelope<Vec<EventView>> = serde_json::from_slice(&body)
                .map_err(|err| format!("its answer cannot be read: {err}"))?;
            let problem = envelope.error;
            envelope.data.ok_or_else(|| problem.unwrap_or_else(|| "no events".to_owned()))
        });
        let of = (rig.id.clone(), rig.name.clone());
        match read {
            Ok(events) => {
                self.events.extend(events.into_iter().map(|event| TownEventView {
                    event,
                    rig_id: of.0.clone(),
                    rig_name: of.1.clone(),
                }));
                // Times of one shape sort as texts; what a rig says at one time stays in its order.
                self.events.sort_by(|a, b| {
                    let key = |it: &TownEventView| {
                        (it.event.created_at.clone(), it.rig_id.clone(), it.event.seq)
                    };
                    key(a).cmp(&key(b))
                });
                self.events.truncate(self.limit);
            }
            Err(error) => self.missing.push(MissingRig { rig_id: of.0, rig_name: of.1, error }),
        }
    }

    /// All of them.
    pub fn answer(mut self) -> Response {
        self.missing.sort_by(|a, b| a.rig_id.cmp(&b.rig_id));
        whole(200, &Answer { success: true, data: self.events, missing: self.missing })
    }
}
