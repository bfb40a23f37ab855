//! `watch`: the rig's audit as it grows. The number of the last event that was shown is the cursor, so that a
//! connection that is lost leaves no gap and repeats nothing.
//!
//! ```text
//! since a time --first event--> after its number --each event--> after that
//! ```

use super::super::Screen;
use super::follow::Pace;
use crate::api;
use crate::args::Watch;
use crate::client::{Client, encode};
use crate::failure::{Failure, Kind};
use crate::text::{self, Paint};
use crate::when;
use beadrig::wire::dependencies::EventView;
use jiff::{Timestamp, Zoned};
use unicode_width::UnicodeWidthStr as _;

/// The most the API gives at once.
const PAGE: usize = 1000;

pub(super) fn watch(
    args: &Watch,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let since = match &args.since {
        Some(text) => when::read("--since", text, &Zoned::now())?,
        None => None,
    };
    let client = connect()?;
    let mut cursor = match (args.after, since) {
        (Some(seq), _) => format!("after={seq}"),
        (None, Some(since)) => format!("since={}", encode(&since)),
        (None, None) => format!("since={}", encode(&now_there(&client))),
    };
    let bead = args.bead.as_ref().map(|id| format!("&bead_id={}", encode(id))).unwrap_or_default();
    if let Some(id) = &args.bead {
        known(id, &bead, &client)?;
    }
    let (mut pace, mut all) = (Pace::new(), Vec::new());
    loop {
        let events: Vec<EventView> = client.get(&format!("/events?limit={PAGE}&{cursor}{bead}"))?;
        if let Some(last) = events.last() {
            cursor = format!("after={}", last.seq);
        }
        let came = events.len();
        if screen.json && args.once {
            all.extend(events);
        } else {
            events.iter().try_for_each(|event| show(event, screen))?;
            screen.out.flush()?;
        }
        match (came < PAGE, args.once) {
            (true, true) if screen.json => return screen.json(&all),
            (true, true) => return Ok(()),
            (true, false) => pace.wait(came),
            (false, _) => {}
        }
    }
}

/// Who waits for something to happen to a bead that never was would wait for ever; what was deleted has its audit.
fn known(id: &str, bead: &str, client: &Client) -> Result<(), Failure> {
    match api::bead(client, id) {
        Err(failure) if failure.kind == Kind::NotFound => {
            let events: Vec<EventView> = client.get(&format!("/events?limit=1&after=0{bead}"))?;
            if events.is_empty() { Err(failure) } else { Ok(()) }
        }
        known => known.map(drop),
    }
}

/// The rig's own clock, as far as it is told: this machine's may be wrong.
pub(in crate::verbs) fn now_there(client: &Client) -> String {
    let date = client.look("/health").ok().and_then(|seen| seen.date);
    let there = date.and_then(|date| jiff::fmt::rfc2822::parse(&date).ok());
    let now = there.map_or_else(Timestamp::now, |there| there.timestamp());
    format!("{now:.3}")
}

/// `12:30:01  rig-a1b  closed  open → closed  by alice: done`; as JSON one object a line.
fn show(event: &EventView, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        let line = serde_json::to_string(event).unwrap_or_default();
        return screen.line(&line);
    }
    let paint = |paint, text: &str| screen.style.paint(paint, text);
    let time = when::show_exactly(&event.created_at);
    let time = time.split_once(' ').map_or(time.as_str(), |(_, time)| time);
    let (bead, what) = (text::line(&event.bead_id), event.event_type.replace('_', " "));
    let what = text::line(&what);
    let rest = rest(event);
    let used = time.width() + bead.width() + what.width() + 6;
    let left = screen.style.width.map_or(usize::MAX, |width| width.saturating_sub(used).max(1));
    let (time, rest) = (paint(Paint::Dim, time), text::cut(&rest, left));
    let line = format!("{time}  {bead}  {}  {rest}", paint(tone(event), &what));
    screen.line(line.trim_end())
}

fn rest(event: &EventView) -> String {
    let change = match (&event.old_value, &event.new_value) {
        (Some(old), Some(new)) => format!("{old} → {new} "),
        (None, Some(new)) => format!("{new} "),
        (Some(old), None) => format!("{old} → - "),
        (None, None) => String::new(),
    };
    let said = event.metadata.get("message").and_then(|message| message.as_str());
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    text::line(&format!("{change}by {}{said}", event.actor))
}

fn tone(event: &EventView) -> Paint {
    match event.new_value.as_deref() {
        Some("failed" | "blocked" | "conflict") => Paint::Red,
        Some("in_progress" | "in_review" | "merged") => Paint::Green,
        _ if event.event_type == "closed" => Paint::Green,
        _ if event.event_type.starts_with("escal") => Paint::Red,
        _ => Paint::Bold,
    }
}
