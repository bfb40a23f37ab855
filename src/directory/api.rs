//! The routes of a directory: `/api/users/:userId/towns…` and `…/rigs…`. For the operator alone.

use super::{Directory, EventsAsked, Todo, answer, rig_view, town_view};
use crate::api as rigs;
use crate::api::table;
use crate::command::{Error, Moment};
use crate::engine::refs;
use crate::id::{Dice, Millis};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::{Sql, Town, TownRig};
use crate::token::Caller;
use crate::wire::directory::{CreateRig, CreateTown};

/// A request to one directory, by someone who was identified.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, ….
    pub method: &'a str,
    /// What follows `/api/users/<user>` in the path, with its leading slash, still escaped.
    pub path: &'a str,
    /// The query string, without its question mark.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Who calls.
    pub caller: Caller,
    /// `If-None-Match`: the answers that the caller has already.
    pub if_none_match: Option<&'a str>,
}

/// What whoever is not the operator is told.
pub const FORBIDDEN: &str = "only the operator may keep towns and rigs";

/// What a route does.
#[derive(Clone, Copy)]
enum Route {
    CreateTown,
    ListTowns,
    GetTown,
    DeleteTown,
    ListRigs,
    Events,
    CreateRig,
    GetRig,
    DeleteRig,
}

/// Every route.
const ROUTES: [(&str, &str, Route); 9] = [
    ("POST", "/towns", Route::CreateTown),
    ("GET", "/towns", Route::ListTowns),
    ("GET", "/towns/:id", Route::GetTown),
    ("DELETE", "/towns/:id", Route::DeleteTown),
    ("GET", "/towns/:id/rigs", Route::ListRigs),
    ("GET", "/towns/:id/events", Route::Events),
    ("POST", "/rigs", Route::CreateRig),
    ("GET", "/rigs/:id", Route::GetRig),
    ("DELETE", "/rigs/:id", Route::DeleteRig),
];

/// The method and the path of every route, for the document.
#[cfg(feature = "schema")]
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|(method, path, _)| (*method, *path))
}

/// The name of a user as it stands in a path: any visible characters, since others than we name them.
pub fn user(segment: &str) -> Result<String, Refusal> {
    let name = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
    let fits = (1..=limits::USER_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        return Ok(name.into_owned());
    }
    let message = format!(
        "{segment:.200?} is no user: 1 to {} visible ASCII characters",
        limits::USER_BYTES_MAX
    );
    Err(Refusal::new(Code::Invalid, message))
}

/// Says what is to be done about a request. `HEAD` is `GET`, whose body the edge then leaves out.
pub fn handle<S: Sql>(directory: &Directory<S>, moment: Moment, request: &Request<'_>) -> Todo {
    let method = if request.method == "HEAD" { "GET" } else { request.method };
    let request = &Request { method, ..request.clone() };
    match decide(directory, moment, request) {
        Ok(Todo::Answer(mut response)) => {
            rigs::tag(method, request.if_none_match, &mut response);
            Todo::Answer(response)
        }
        Ok(todo) => todo,
        Err(Error::Refused(refusal)) => {
            Todo::Answer(table::refused(&ROUTES, request.path, &refusal))
        }
        Err(Error::Fault(err)) => Todo::Answer(rigs::fault(moment, &err.to_string())),
    }
}

fn decide<S: Sql>(
    directory: &Directory<S>,
    moment: Moment,
    request: &Request<'_>,
) -> Result<Todo, Error> {
    if !matches!(request.caller, Caller::Operator { .. }) {
        return Err(Refusal::new(Code::Forbidden, FORBIDDEN).into());
    }
    if request.query.len() > limits::QUERY_BYTES_MAX {
        let problem = format!("may have {} bytes", limits::QUERY_BYTES_MAX);
        return Err(Refusal::invalid("query", problem).into());
    }
    let (route, params) = table::find(&ROUTES, request.method, &rigs::segments(request.path)?)?;
    let id = params.into_iter().next().unwrap_or_default();
    Ok(match route {
        Route::CreateTown => create_town(directory, moment, &rigs::parse(request.body)?)?,
        Route::ListTowns => {
            let towns = directory.registry.towns()?;
            Todo::Answer(answer(200, &towns.iter().map(town_view).collect::<Vec<_>>()))
        }
        Route::GetTown => Todo::Answer(answer(200, &town_view(&directory.the_town(&id)?))),
        Route::DeleteTown => {
            let town = directory.the_town(&id)?;
            let rigs = directory.registry.rigs(&id)?;
            Todo::EndTown(town, rigs)
        }
        Route::ListRigs => {
            directory.the_town(&id)?;
            let rigs = directory.registry.rigs(&id)?;
            Todo::Answer(answer(200, &rigs.iter().map(rig_view).collect::<Vec<_>>()))
        }
        Route::Events => {
            directory.the_town(&id)?;
            let asked = EventsAsked::read(request.query)?;
            Todo::Events(directory.registry.rigs(&id)?, asked)
        }
        Route::CreateRig => create_rig(directory, moment, &rigs::parse(request.body)?)?,
        Route::GetRig => Todo::Answer(answer(200, &rig_view(&directory.the_rig(&id)?))),
        Route::DeleteRig => Todo::EndRig(directory.the_rig(&id)?),
    })
}

fn create_town<S: Sql>(
    directory: &Directory<S>,
    moment: Moment,
    fields: &CreateTown,
) -> Result<Todo, Error> {
    let id = fields.id.as_deref().map(given).transpose()?;
    let town = Town {
        id: id.unwrap_or_else(|| Dice::new(moment.seed).uuid()),
        name: name(&fields.name)?,
        owner: directory.user.clone(),
        created_at: moment.now,
        updated_at: moment.now,
    };
    let registry = &directory.registry;
    registry.atomically(|| {
        if registry.town(&town.id)?.is_some() {
            return Err(exists("Town", &town.id));
        }
        let max = limits::TOWNS_PER_USER_MAX;
        if registry.towns()?.len() >= max {
            let message = format!("there are {max} towns, and may be no more; delete one first");
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        Ok::<_, Error>(registry.add_town(&town)?)
    })?;
    Ok(Todo::Answer(answer(201, &town_view(&town))))
}

fn create_rig<S: Sql>(
    directory: &Directory<S>,
    moment: Moment,
    fields: &CreateRig,
) -> Result<Todo, Error> {
    let id = fields.id.as_deref().map(given).transpose()?;
    let new = id.is_none();
    let git_url = fields.git_url.as_deref().filter(|it| !it.trim().is_empty());
    let branch = fields.default_branch.as_deref().unwrap_or(DEFAULT_BRANCH);
    let rig = TownRig {
        id: id.unwrap_or_else(|| Dice::new(moment.seed).uuid()),
        town: fields.town_id.clone(),
        name: name(&fields.name)?,
        git_url: git_url.map(refs::git_url).transpose()?,
        default_branch: refs::branch("default_branch", branch)?,
        created_at: moment.now,
        updated_at: moment.now,
    };
    let registry = &directory.registry;
    registry.atomically(|| {
        directory.the_town(&rig.town)?;
        if registry.rig(&rig.id)?.is_some() {
            return Err(exists("Rig", &rig.id));
        }
        let max = limits::RIGS_PER_TOWN_MAX;
        if registry.rigs(&rig.town)?.len() >= max {
            let message =
                format!("town {} has {max} rigs, and may have no more; delete one first", rig.town);
            return Err(Refusal::new(Code::LimitReached, message).into());
        }
        Ok::<_, Error>(registry.add_rig(&rig)?)
    })?;
    Ok(Todo::Register { rig, new })
}

/// What a rig merges into when nobody says; as in Gastown.
const DEFAULT_BRANCH: &str = "main";

fn exists(what: &str, id: &str) -> Error {
    Refusal::new(Code::Exists, format!("{what} {id} is in this directory already")).into()
}

fn name(text: &str) -> Result<String, Refusal> {
    let (name, max) = (text.trim(), limits::DIRECTORY_NAME_CHARS_MAX);
    let chars = name.chars().count();
    if !(1..=max).contains(&chars) || name.chars().any(char::is_control) {
        let problem = format!("must be 1 to {max} characters on one line (got {chars})");
        return Err(Refusal::invalid("name", problem));
    }
    Ok(name.to_owned())
}

/// An id that the caller gives: what may name an object.
fn given(id: &str) -> Result<String, Refusal> {
    let fits = (1..=limits::ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        return Ok(id.to_owned());
    }
    Err(Refusal::invalid("id", "must be 1 to 64 letters, digits, '-' and '_'"))
}

impl EventsAsked {
    /// What a query string asks for: `since` and `limit`.
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut asked = Self { since: None, limit: limits::PAGE_ROWS };
        for (key, value) in form_urlencoded::parse(query.as_bytes()).filter(|it| !it.1.is_empty()) {
            match &*key {
                "since" => {
                    let since = Millis::parse(&value).ok_or_else(|| {
                        let problem = format!(
                            "must be RFC 3339, such as 2026-01-31T12:00:00Z (got {value:.64?})"
                        );
                        Refusal::invalid("since", problem)
                    })?;
                    asked.since = Some(since);
                }
                "limit" => {
                    let limit: u32 = value
                        .parse()
                        .map_err(|_| Refusal::invalid("limit", "must be a non-negative integer"))?;
                    // None is the default, as for one rig.
                    asked.limit = if limit == 0 {
                        limits::PAGE_ROWS
                    } else {
                        limit.min(limits::PAGE_ROWS_MAX)
                    };
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}
