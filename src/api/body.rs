//! Paths and bodies, read: escapes undone, JSON into the types of the wire, and the field named that is wrong.

use serde::de::DeserializeOwned;

use crate::limits;
use crate::refusal::{Code, Refusal};

/// The parts of a path between its slashes.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    if path.len() > limits::PATH_BYTES_MAX {
        let problem = format!("has {} bytes, it may have {}", path.len(), limits::PATH_BYTES_MAX);
        return Err(Refusal::invalid("path", problem));
    }
    path.trim_start_matches('/')
        .split('/')
        .map(|segment| {
            percent_encoding::percent_decode_str(segment)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| Refusal::invalid("path", "must be UTF-8"))
        })
        .collect()
}

/// A body as the type that it should be.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // A list would be read as the fields in their order.
    if body.trim_ascii().first() != Some(&b'{') {
        return Err(Refusal::new(Code::Invalid, "Invalid request body: must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|err| {
        let path = err.path().to_string();
        let known = !matches!(path.as_str(), "." | "?");
        let field = if known { format!("{path}: ") } else { String::new() };
        Refusal::new(Code::Invalid, format!("Invalid request body: {field}{}", err.inner()))
    })
}
