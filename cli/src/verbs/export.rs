//! `export`: all beads as bd has them in `issues.jsonl`, in bd's order.

use super::Screen;
use crate::api;
use crate::args::Export;
use crate::client::{Client, Part};
use crate::failure::Failure;
use crate::jsonl;
use beadrig::issue::{self, Issue};
use beadrig::wire::exchange::ExportPage;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

/// So many pages wait at most for being understood: enough that neither side waits, and some MB.
const PAGES_AHEAD: usize = 4;

pub(super) fn export(
    args: &Export,
    screen: &mut Screen<'_>,
    client: &Client,
) -> Result<(), Failure> {
    let numbered = args.numbered_comments;
    let line = |issue: Issue| (issue::place(&issue), jsonl::text(&issue, numbered) + "\n");
    let mut lines = each(client, line)?;
    lines.sort_unstable();
    let Some(path) = &args.output else {
        for (_, line) in &lines {
            screen.out.write_all(line.as_bytes())?;
        }
        return Ok(());
    };
    let text: String = lines.iter().map(|(_, line)| line.as_str()).collect();
    jsonl::replace(path, text.as_bytes())?;
    if !screen.quiet {
        writeln!(screen.err, "Exported {} issues to {}", lines.len(), path.display())?;
    }
    Ok(())
}

/// Every bead of the rig, in bd's order.
pub(super) fn all(client: &Client) -> Result<Vec<Issue>, Failure> {
    let mut all = each(client, |issue| issue)?;
    all.sort_by_cached_key(issue::place);
    Ok(all)
}

/// What is made of each bead of the rig: of those of a page while the rig makes the next one.
fn each<T: Send>(client: &Client, work: impl Fn(Issue) -> T + Send) -> Result<Vec<T>, Failure> {
    thread::scope(|scope| {
        let (give, pages) = sync_channel::<Part>(PAGES_AHEAD);
        let made = scope.spawn(move || {
            let mut made = Vec::new();
            for page in pages {
                made.extend(page.read::<ExportPage>()?.issues.into_iter().map(&work));
            }
            Ok(made)
        });
        let fetched = fetch(client, |page| give.send(page).is_ok());
        drop(give);
        let made = made.join().unwrap_or_else(|panic| resume_unwind(panic));
        fetched.and(made)
    })
}

/// Asks for page after page, for as long as they are taken.
fn fetch(client: &Client, take: impl Fn(Part) -> bool) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = api::export(client, after.as_deref())?;
        after.clone_from(&page.next);
        // Who takes no more says why.
        if !take(page) || after.is_none() {
            return Ok(());
        }
    }
}
