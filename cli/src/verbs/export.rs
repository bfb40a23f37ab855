//! `export`: all beads as bd has them in `issues.jsonl`, in bd's order.

use super::Screen;
use crate::api;
use crate::args::Export;
use crate::client::Client;
use crate::failure::Failure;
use crate::jsonl;
use beadrig::issue::{self, Issue};

pub(super) fn export(
    args: &Export,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let issues = all(client)?;
    let Some(path) = &args.output else {
        for issue in &issues {
            writeln!(screen.out, "{}", jsonl::text(issue, args.numbered_comments))?;
        }
        return Ok(());
    };
    let mut text = String::new();
    for issue in &issues {
        text.push_str(&jsonl::text(issue, args.numbered_comments));
        text.push('\n');
    }
    jsonl::replace(path, text.as_bytes())?;
    if !screen.quiet {
        writeln!(screen.err, "Exported {} issues to {}", issues.len(), path.display())?;
    }
    Ok(())
}

/// Every bead of the rig, in bd's order.
pub(super) fn all(client: &Client) -> Result<Vec<Issue>, Failure> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = api::export(client, after.as_deref())?;
        all.extend(page.issues);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    all.sort_by_cached_key(issue::place);
    Ok(all)
}
