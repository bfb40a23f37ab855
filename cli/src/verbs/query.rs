//! `query`. The rig gives what can be true by status and assignee; the rest is looked at here, and only then is the list
//! cut, so that no bead stays out because others came first.

use super::{Screen, list};
use crate::api;
use crate::args::Query;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::query::{self, Target, Test};
use beadrig::bead::Status;
use jiff::Zoned;
use std::collections::HashMap;

pub(super) fn query(
    args: &Query,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let typed = args.words.join(" ");
    if typed.trim().is_empty() {
        return Err(Failure::fatal("query expression is required"));
    }
    let expr =
        query::parse(&typed).map_err(|what| Failure::fatal(format!("parsing query: {what}")))?;
    if args.parse_only {
        return screen.line(&format!("Parsed query: {expr}"));
    }
    let test = expr.check(&Zoned::now())?;
    let hide_closed = !args.all && !expr.names("status");
    let client = connect()?;
    let mut beads = match pushed_down(&test, hide_closed) {
        Some(query) => api::beads(&client, &query, usize::MAX)?,
        None => Vec::new(),
    };
    let notes = if expr.names("notes") { list::noted(&client, &beads)? } else { HashMap::new() };
    beads.retain(|bead| {
        let notes = notes.get(&bead.id).map_or("", String::as_str);
        test.takes(&Target { bead, notes }) && !(hide_closed && bead.status == "closed")
    });
    list::sort(&mut beads, args.sort, args.reverse);
    beads.truncate(if args.limit == 0 { usize::MAX } else { args.limit });
    let none = format!("No issues found matching query: {typed}");
    list::show(&beads, args.long, &none, screen, &client)
}

/// What the rig is asked for; nothing where no status can be.
fn pushed_down(test: &Test, hide_closed: bool) -> Option<String> {
    let statuses: Vec<&str> = Status::ALL
        .map(Status::as_str)
        .into_iter()
        .filter(|status| test.of_status(status) != Some(false))
        .filter(|status| !(hide_closed && *status == "closed"))
        .collect();
    if statuses.is_empty() {
        return None;
    }
    let mut query = String::new();
    if statuses.len() < Status::ALL.len() {
        query = format!("status={}&", encode(&statuses.join(",")));
    }
    if let Some(name) = test.assignee() {
        query.push_str(&format!("assignee={}&", encode(name)));
    }
    Some(query)
}
