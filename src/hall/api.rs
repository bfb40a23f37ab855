//! The routes of a town: `/api/towns/:townId/convoys…`, `…/escalations…`, `…/config` and `…/rigs/:rigId`. For the
//! operator alone.

use super::{Hall, Todo, answer, convoys, escalations, rig_name};
use crate::api as rigs;
use crate::api::table;
use crate::command::{Error, Moment};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::Sql;
use crate::token::Caller;
use crate::wire::town::Join;

/// A request to one town, by someone who was identified.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, ….
    pub method: &'a str,
    /// What follows `/api/towns/<town>` in the path, with its leading slash, still escaped.
    pub path: &'a str,
    /// The query string, without its question mark.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Who calls.
    pub caller: Caller,
}

/// What whoever is not the operator is told.
pub const FORBIDDEN: &str = "only the operator may use a town's own routes";

/// What a route does.
#[derive(Clone, Copy)]
enum Route {
    CreateConvoy,
    ListConvoys,
    GetConvoy,
    BeadClosed,
    ListEscalations,
    Acknowledge,
    GetConfig,
    PatchConfig,
    Join,
    Leave,
    Clear,
}

/// Every route.
const ROUTES: [(&str, &str, Route); 11] = [
    ("POST", "/convoys", Route::CreateConvoy),
    ("GET", "/convoys", Route::ListConvoys),
    ("POST", "/convoys/bead-closed", Route::BeadClosed),
    ("GET", "/convoys/:id", Route::GetConvoy),
    ("GET", "/escalations", Route::ListEscalations),
    ("POST", "/escalations/:id/acknowledge", Route::Acknowledge),
    ("GET", "/config", Route::GetConfig),
    ("PATCH", "/config", Route::PatchConfig),
    ("PUT", "/rigs/:id", Route::Join),
    ("DELETE", "/rigs/:id", Route::Leave),
    ("DELETE", "/everything", Route::Clear),
];

/// The method and the path of every route, for the document.
#[cfg(feature = "schema")]
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|(method, path, _)| (*method, *path))
}

/// Says what is to be done about a request. `HEAD` is `GET`, whose body the edge then leaves out.
pub fn handle<S: Sql>(hall: &Hall<S>, moment: Moment, request: &Request<'_>) -> Todo {
    let method = if request.method == "HEAD" { "GET" } else { request.method };
    let request = &Request { method, ..request.clone() };
    match decide(hall, moment, request) {
        Ok(todo) => todo,
        Err(Error::Refused(refusal)) => {
            Todo::Answer(table::refused(&ROUTES, request.path, &refusal))
        }
        Err(Error::Fault(err)) => Todo::Answer(rigs::fault(moment, &err.to_string())),
    }
}

fn decide<S: Sql>(hall: &Hall<S>, moment: Moment, request: &Request<'_>) -> Result<Todo, Error> {
    if !matches!(request.caller, Caller::Operator { .. }) {
        return Err(Refusal::new(Code::Forbidden, FORBIDDEN).into());
    }
    if request.query.len() > limits::QUERY_BYTES_MAX {
        let problem = format!("may have {} bytes", limits::QUERY_BYTES_MAX);
        return Err(Refusal::invalid("query", problem).into());
    }
    let (route, params) = table::find(&ROUTES, request.method, &rigs::segments(request.path)?)?;
    let id = params.into_iter().next().unwrap_or_default();
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
    match route {
        Route::CreateConvoy => {
            let fields = convoys::checked(&request.caller, rigs::parse(request.body)?)?;
            Ok(hall.ask_to_create(fields))
        }
        Route::ListConvoys => hall.ask_convoys(&query),
        Route::GetConvoy => hall.ask_convoy(&id, None),
        Route::BeadClosed => {
            let told: crate::wire::town::BeadClosed = rigs::parse(request.body)?;
            hall.ask_convoy(&told.convoy_id, Some(&told.bead_id))
        }
        Route::ListEscalations => escalations::ask(hall, &query),
        Route::Acknowledge => escalations::ask_to_acknowledge(hall, &id),
        Route::GetConfig => Ok(Todo::Answer(answer(200, &hall.config()?))),
        Route::PatchConfig => {
            hall.patch_config(&rigs::parse(request.body)?)?;
            Ok(Todo::Answer(answer(200, &hall.config()?)))
        }
        Route::Join => {
            rig_name("rig", &id)?;
            let fields: Join = match request.body.trim_ascii() {
                [] => Join::default(),
                body => rigs::parse(body)?,
            };
            hall.book.atomically(|| hall.join(&id, fields.name.as_deref(), moment.now))?;
            Ok(word("joined"))
        }
        Route::Leave => {
            hall.book.leave(&id)?;
            Ok(word("left"))
        }
        Route::Clear => {
            hall.book.atomically(|| hall.book.clear())?;
            Ok(word("deleted"))
        }
    }
}

fn word(word: &str) -> Todo {
    Todo::Answer(answer(200, &serde_json::json!({ word: true })))
}
