//! A town as one thing: convoys of beads of several rigs, the escalations of all of them, and what is set for all.
//!
//! It knows which rigs and which beads, never how a bead is: that is its rig's to say, and is asked each time, so that
//! no lost message can make a convoy wrong. Like the engine it is synchronous and calls nobody: what has to be asked of
//! rigs it hands out as calls, and is told what came of them.
//!
//! ```text
//!  request --handle--> an answer
//!              |
//!              +-----> calls to rigs --(the edge asks)--> what they said --answered--> an answer
//! ```
//!
//! A rig that does not answer keeps no other back: it is named in the answer.
//!
//! | module | holds |
//! |---|---|
//! | `api` | routes and bodies |
//! | `convoys` | convoys, counted from what the rigs say |
//! | `escalations` | the escalations of all rigs, newest first |
//! | `config` | what is set for all rigs |

mod api;
mod config;
mod convoys;
mod escalations;

pub use api::{FORBIDDEN, Request, handle};

#[cfg(feature = "schema")]
pub use api::routes;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api as rigs;
use crate::command::{Error, Moment};
use crate::refusal::{Code, Refusal};
use crate::store::{HallBook, HallRig, Sql, TownConvoy};
use crate::wire::Envelope;
use crate::wire::directory::MissingRig;
use crate::wire::town::CreateTownConvoy;

/// One town.
pub struct Hall<S> {
    /// Its memory.
    pub book: HallBook<S>,
    /// Its name.
    pub town: String,
}

/// What is to be done about a request.
#[derive(Debug)]
pub enum Todo {
    /// Answer this.
    Answer(rigs::Response),
    /// Ask these rigs, then say what they said ([`Hall::answered`]).
    Ask(Vec<RigCall>, Then),
}

/// One call to a rig, as the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RigCall {
    /// Which rig.
    pub rig: String,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// What follows `/api/rigs/<rig>`.
    pub path: String,
    /// Its body, if it has one.
    pub body: Option<String>,
}

/// What a rig said: its status and its body, or why it said nothing.
pub type Said = Result<(u16, Vec<u8>), String>;

/// What the rigs are asked for.
#[derive(Debug)]
pub enum Then {
    /// To make this convoy.
    CreateConvoy(Box<CreateTownConvoy>),
    /// To show this convoy.
    Convoy(Box<TownConvoy>),
    /// To show these convoys.
    Convoys(Vec<TownConvoy>),
    /// To show their escalations.
    Escalations(Vec<HallRig>),
    /// To acknowledge one.
    Acknowledge(HallRig),
}

impl<S: Sql> Hall<S> {
    /// What came of the calls; the answer.
    pub fn answered(&self, moment: Moment, then: Then, said: &[(String, Said)]) -> rigs::Response {
        let done = match then {
            Then::CreateConvoy(fields) => self.create_convoy(moment, *fields, said),
            Then::Convoy(convoy) => Ok(convoys::one(*convoy, said)),
            Then::Convoys(all) => Ok(convoys::list(all, said)),
            Then::Escalations(rigs) => self.escalations(&rigs, said),
            Then::Acknowledge(rig) => Ok(escalations::acknowledged(&rig, said)),
        };
        match done {
            Ok(response) => response,
            Err(Error::Refused(refusal)) => rigs::refuse(&refusal),
            Err(Error::Fault(err)) => rigs::fault(moment, &err.to_string()),
        }
    }
}

/// Why a rig's answer is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct No {
    /// The status, if it answered at all.
    status: Option<u16>,
    why: String,
}

/// What a rig said, read.
fn read<T: DeserializeOwned>(said: &Said) -> Result<T, No> {
    let (status, body) = said.as_ref().map_err(|why| No { status: None, why: why.clone() })?;
    let no = |why: String| No { status: Some(*status), why };
    let envelope: Envelope<T> = serde_json::from_slice(body)
        .map_err(|err| no(format!("its answer ({status}) cannot be read: {err}")))?;
    let why = envelope.error;
    envelope.data.ok_or_else(|| no(why.unwrap_or_else(|| format!("it answered {status}"))))
}

/// As an envelope, with the rigs that did not answer beside the data, where Gastown's clients do not look.
#[derive(Serialize)]
struct Answer<T> {
    success: bool,
    data: T,
    missing: Vec<MissingRig>,
}

fn answer_missing(
    status: u16,
    data: &impl Serialize,
    mut missing: Vec<MissingRig>,
) -> rigs::Response {
    missing.sort_by(|a, b| a.rig_id.cmp(&b.rig_id));
    whole(status, &Answer { success: true, data, missing })
}

/// A good answer in the envelope.
fn answer(status: u16, data: &impl Serialize) -> rigs::Response {
    whole(status, &Envelope::ok(data))
}

fn whole(status: u16, body: &impl Serialize) -> rigs::Response {
    let body = serde_json::to_string(body).expect("plain data");
    rigs::Response { status, body, headers: Vec::new(), effects: Vec::new(), fault: None }
}

fn missing(rig: &str, name: Option<&str>, no: &No) -> MissingRig {
    MissingRig {
        rig_id: rig.to_owned(),
        rig_name: name.unwrap_or(rig).to_owned(),
        error: no.why.clone(),
    }
}

/// A name that a rig may have.
fn rig_name(field: &str, id: &str) -> Result<(), Refusal> {
    let fits = (1..=crate::limits::ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        return Ok(());
    }
    Err(Refusal::invalid(field, "must be 1 to 64 letters, digits, '-' and '_'"))
}

fn not_found(what: &str) -> Error {
    Refusal::new(Code::NotFound, format!("{what} not found")).into()
}
