//! A small table of routes, for the objects that are no rig: what is matched, and what is refused for having no match.

use super::{Response, params, refuse, segments};
use crate::refusal::{Code, Refusal};

/// Methods, paths and what each does.
pub(crate) type Table<R> = [(&'static str, &'static str, R)];

/// What a request does and what its path leaves open: 404 for a path that is none, 405 for a method that it has not.
pub(crate) fn find<R: Copy>(
    table: &Table<R>,
    method: &str,
    segments: &[String],
) -> Result<(R, Vec<String>), Refusal> {
    for (its_method, path, route) in table {
        if let Some(params) = params(path, segments).filter(|_| *its_method == method) {
            return Ok((*route, params));
        }
    }
    let others = methods(table, segments);
    if others.is_empty() {
        return Err(Refusal::new(Code::NotFound, "Not found"));
    }
    let message = format!("{method} is not allowed here, but {}", others.join(", "));
    Err(Refusal::new(Code::MethodNotAllowed, message))
}

/// A refusal as an answer, with the methods of the path where that is what is wrong.
pub(crate) fn refused<R: Copy>(table: &Table<R>, path: &str, refusal: &Refusal) -> Response {
    let mut response = refuse(refusal);
    if refusal.code == Code::MethodNotAllowed
        && let Ok(segments) = segments(path)
    {
        let mut methods = methods(table, &segments);
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        response.headers.push(("allow", methods.join(", ")));
    }
    response
}

fn methods<R: Copy>(table: &Table<R>, segments: &[String]) -> Vec<&'static str> {
    let here = table.iter().filter(|(_, path, _)| params(path, segments).is_some());
    here.map(|(method, ..)| *method).collect()
}
