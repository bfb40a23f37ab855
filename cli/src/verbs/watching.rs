//! `--watch`: what a verb shows, shown again when it has changed, until Ctrl-C, which is no failure.
//!
//! ```text
//! look at the audit --something happened--> show; print it if it says something else --wait, see Pace--> look again
//! ```
//!
//! What is shown is always newer than what was looked at, so that no change is missed. A note is no line of the audit:
//! who shows notes looks at the bead besides. Must never ask for lists of beads while nothing happens.

use super::Screen;
use super::own::{Pace, now_there};
use crate::client::{Client, encode};
use crate::failure::Failure;
use beadrig::wire::dependencies::EventView;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::Write as _;
use std::{io, process, thread};

/// The most the API gives at once.
const PAGE: usize = 1000;

pub(super) fn watch(
    client: &Client,
    screen: &mut Screen<'_>,
    mut besides: impl FnMut() -> Result<bool, Failure>,
    mut show: impl FnMut(&mut Screen<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    end_when_asked(screen.quiet)?;
    let mut cursor = format!("since={}", encode(&now_there(client)));
    let (mut pace, mut last): (_, Option<Vec<u8>>) = (Pace::new(), None);
    loop {
        let came = look(client, &mut cursor)? + usize::from(besides()?);
        if came > 0 || last.is_none() {
            let mut out = Vec::new();
            let Screen { json, quiet, style, name, .. } = *screen;
            show(&mut Screen { out: &mut out, err: &mut *screen.err, json, quiet, style, name })?;
            if last.as_ref() != Some(&out) {
                print(&out, last.is_none(), screen)?;
                last = Some(out);
            }
        }
        pace.wait(came);
    }
}

/// How much happened since the cursor, which moves on.
fn look(client: &Client, cursor: &mut String) -> Result<usize, Failure> {
    let mut came = 0;
    loop {
        let events: Vec<EventView> = client.get(&format!("/events?limit={PAGE}&{cursor}"))?;
        if let Some(last) = events.last() {
            *cursor = format!("after={}", last.seq);
        }
        came += events.len();
        if events.len() < PAGE {
            return Ok(came);
        }
    }
}

fn print(out: &[u8], first: bool, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.style.color && !screen.json {
        // A terminal shows one at a time.
        write!(screen.out, "\u{1b}[2J\u{1b}[H")?;
    } else if !first && !screen.json {
        writeln!(screen.out)?;
    }
    screen.out.write_all(out)?;
    screen.out.flush()?;
    if first && !screen.quiet {
        writeln!(screen.err, "\nWatching for changes... (Press Ctrl+C to exit)")?;
    }
    Ok(())
}

/// Ends the process well, whatever it waits for: nothing is half done by who only looks.
#[expect(clippy::exit, reason = "the request that is waited for may take ten seconds yet")]
fn end_when_asked(quiet: bool) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::fatal(format!("cannot wait for Ctrl-C: {error}")))?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            if !quiet {
                let _ = writeln!(io::stderr(), "\nStopped watching.");
            }
            process::exit(0);
        }
    });
    Ok(())
}
