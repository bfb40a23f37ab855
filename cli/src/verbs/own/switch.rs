//! `pause` and `resume`: whether beads are handed out, for the rig or for all.

use super::super::Screen;
use crate::args::{Pause, Resume};
use crate::client::Client;
use crate::failure::Failure;
use crate::text;
use crate::when;
use beadrig::wire::dispatch::{DispatchView, PauseDispatch, PauseView, Scope};
use serde_json::json;
use ureq::http::Method;

pub(super) fn pause(args: &Pause, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let body = PauseDispatch { reason: args.reason.clone() };
    let view: DispatchView = if args.all {
        client.send_at(&Method::POST, "/api/pause", &body)?
    } else {
        client.send(&Method::POST, "/pause", &body)?
    };
    show(&view, screen)
}

pub(super) fn resume(
    args: &Resume,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let view: DispatchView = if args.all {
        client.send_at(&Method::POST, "/api/resume", &json!({}))?
    } else {
        client.send(&Method::POST, "/resume", &json!({}))?
    };
    show(&view, screen)
}

/// The switch as it is now: another hand may hold it down.
fn show(view: &DispatchView, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(view);
    }
    if view.enabled {
        return screen.line("Dispatch is on: beads are handed to agents.");
    }
    screen.line("Dispatch is off: no bead is handed to an agent; what runs goes on.")?;
    for pause in &view.paused {
        screen.line(&format!("  {}", hand(pause)))?;
    }
    Ok(())
}

/// Who holds the switch, and how it is taken back.
pub(super) fn hand(pause: &PauseView) -> String {
    let (what, back) = match pause.scope {
        Scope::Deployment => ("all rigs paused", "`beadrig resume --all`"),
        Scope::Rig => ("this rig paused", "`beadrig resume`"),
        Scope::Setting => (
            "off by a setting",
            "`beadrig settings unset dispatch_enabled`, or DISPATCH_ENABLED of the deployment",
        ),
    };
    let by = pause.by.as_deref().map(|by| format!(" by {}", text::line(by)));
    let at = pause.at.as_deref().map(|at| format!(" since {}", when::show_exactly(at)));
    let why = pause.reason.as_deref().map(|why| format!(" ({})", text::line(why)));
    let [by, at, why] = [by, at, why].map(Option::unwrap_or_default);
    format!("{what}{by}{at}{why}; ends with {back}")
}
