//! What is said in headers: tags of answers, the methods of a path, and which page of another origin may ask. Pure;
//! the edge only sets them.

use super::once;

/// A header of an answer.
pub type Header = (&'static str, String);

/// The tag of an answer. Weak: it stands for the JSON, however it is packed on its way.
pub(super) fn etag(body: &str) -> String {
    format!("W/\"{}\"", once::hash(body.as_bytes()))
}

/// Whether the caller has this answer already, by its `If-None-Match`.
pub(super) fn is_known(etag: &str, if_none_match: Option<&str>) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == "*" || bare(tag) == bare(etag)))
}

/// What an answer to a page of another origin carries: something only for the origin of the settings.
pub fn cors(allowed: Option<&str>, origin: Option<&str>) -> Vec<Header> {
    match (allowed, origin) {
        (Some(allowed), Some(origin)) if allowed == origin => vec![
            ("access-control-allow-origin", allowed.to_owned()),
            ("access-control-expose-headers", "etag, idempotency-replayed".to_owned()),
            ("vary", "Origin".to_owned()),
        ],
        // Caches in between must not give a page the answer that another one got.
        (Some(_), _) => vec![("vary", "Origin".to_owned())],
        (None, _) => Vec::new(),
    }
}

/// The answer to the question that a browser asks before the real one: none for a stranger, who is told nothing.
pub fn preflight(allowed: Option<&str>, origin: Option<&str>) -> Option<Vec<Header>> {
    if allowed.is_none() || allowed != origin {
        return None;
    }
    let mut headers = cors(allowed, origin);
    headers.extend([
        ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE".to_owned()),
        (
            "access-control-allow-headers",
            "authorization, content-type, idempotency-key, if-none-match, x-beadrig-actor"
                .to_owned(),
        ),
        ("access-control-max-age", "7200".to_owned()),
    ]);
    Some(headers)
}
