//! Events as they come: `text/event-stream`, for whoever wants to read along.
//!
//! ```text
//! ring --a page, when the reader has taken the last one--> reader
//! ```
//!
//! Each event has its id, so a reader that comes back says with `Last-Event-ID` where it was. A reader costs one
//! page, however slow it is: what the ring has dropped meanwhile it is told in an event `missed`, whose data is
//! how many. The stream ends when the run is over; one that comes back then, having read everything, is answered
//! 204, which tells a browser not to come again. It must never slow an agent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;

use crate::limits::{READER_PAGE_LINES, STREAM_BEAT_MS};
use crate::output::Output;

/// Whether a request asks for a stream.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(','));
    kinds.any(|kind| {
        kind.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

/// The last event that the reader has seen, if it says so.
pub fn last_event(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    id.map(Some).ok_or_else(|| format!("Last-Event-ID takes the id of an event, not {value:?}"))
}

/// The stream of what comes after an event.
pub fn answer(output: Arc<Output>, after: u64, place: OwnedSemaphorePermit) -> Response {
    // An id from before the service was restarted means nothing now.
    let after = if after >= output.next_id() { 0 } else { after };
    if output.is_read(after) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let reader = Reader { output, after, page: VecDeque::new(), _place: place };
    let events = unfold(reader, async |mut reader| {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let beat = KeepAlive::new().interval(Duration::from_millis(STREAM_BEAT_MS)).text("still here");
    Sse::new(events).keep_alive(beat).into_response()
}

struct Reader {
    output: Arc<Output>,
    after: u64,
    page: VecDeque<Event>,
    /// Given back when the reader is gone.
    _place: OwnedSemaphorePermit,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        if self.page.is_empty() {
            let next = self.output.next(self.after, READER_PAGE_LINES).await?;
            if next.missed > 0 {
                let missed = next.missed.to_string();
                self.page.push_back(Event::default().event("missed").data(missed));
            }
            for event in next.events {
                self.after = event.id;
                let id = event.id.to_string();
                let data = serde_json::json!({
                    "id": event.id, "event": event.event, "data": event.data,
                    "timestamp": event.timestamp,
                });
                let event = Event::default().id(id).event(event.event).data(data.to_string());
                self.page.push_back(event);
            }
        }
        self.page.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_stream_is_for_those_who_ask_for_one() {
        for asked in ["text/event-stream", "application/json, Text/Event-Stream;q=0.5"] {
            assert!(is_wanted(&headers("accept", asked)), "{asked}");
        }
        for other in ["*/*", "application/json", "text/event-streams"] {
            assert!(!is_wanted(&headers("accept", other)), "{other}");
        }
        assert_eq!(last_event(&HeaderMap::new()), Ok(None));
        assert_eq!(last_event(&headers("last-event-id", "17")), Ok(Some(17)));
        assert!(last_event(&headers("last-event-id", "x")).unwrap_err().contains("Last-Event-ID"));
    }
}
