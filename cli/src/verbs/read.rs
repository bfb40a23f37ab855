//! `show` and `status`.

use super::{Screen, each};
use crate::api;
use crate::args::Show;
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue::{self, Shape};
use crate::text;
use beadrig::wire::rig::RigStatus;
use serde_json::json;

pub(super) fn show(args: &Show, screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let ids: Vec<String> = args.ids.iter().chain(&args.id).cloned().collect();
    let mut first = true;
    let shown = each(&ids, "fetching", Shape::Detail, screen, |id, screen| {
        let bead = api::bead(client, id)?;
        if !screen.json {
            if !std::mem::take(&mut first) {
                screen.line(&format!("\n{}\n", "─".repeat(60)))?;
            }
            write!(screen.out, "{}", text::bead(&bead, screen.style))?;
        }
        Ok(bead)
    });
    if let (true, Err(Failure { kind: Kind::Told, .. })) = (screen.json, &shown) {
        // bd's readers find this on stdout.
        issue::print(screen.out, &json!({ "error": "no issues found matching the provided IDs" }))?;
    }
    shown
}

pub(super) fn status(screen: &mut Screen<'_>, client: &Client) -> Result<(), Failure> {
    let status = api::status(client)?;
    if screen.json {
        return Ok(issue::print(screen.out, &Summary::new(&status))?);
    }
    Ok(write!(screen.out, "{}", text::rig(&status, screen.style))?)
}

/// bd's `summary`, as far as a rig counts it, and then the rig's own words.
#[derive(serde::Serialize)]
struct Summary<'a> {
    summary: Counts,
    #[serde(flatten)]
    rig: &'a RigStatus,
}

#[derive(serde::Serialize)]
#[expect(clippy::struct_field_names, reason = "bd's names")]
struct Counts {
    total_issues: u64,
    open_issues: u64,
    in_progress_issues: u64,
    closed_issues: u64,
    blocked_issues: u64,
    deferred_issues: u64,
    in_review_issues: u64,
    failed_issues: u64,
}

impl<'a> Summary<'a> {
    fn new(rig: &'a RigStatus) -> Self {
        let count = |status: &str| rig.beads.get(status).copied().unwrap_or(0);
        let summary = Counts {
            total_issues: rig.beads.values().sum(),
            open_issues: count("open"),
            in_progress_issues: count("in_progress"),
            closed_issues: count("closed"),
            blocked_issues: count("blocked"),
            deferred_issues: count("deferred"),
            in_review_issues: count("in_review"),
            failed_issues: count("failed"),
        };
        Self { summary, rig }
    }
}
