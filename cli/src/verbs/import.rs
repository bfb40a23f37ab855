//! `import`: the lines of an `issues.jsonl` go to the rig, in batches that are each done or not done. What was sent
//! before a line that cannot be read, or before the rig went away, stays; the same again changes nothing, so that an
//! import that was cut off is begun again.

use super::Screen;
use crate::api;
use crate::args::Import;
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::issue;
use crate::jsonl::{self, Entry};
use crate::text;
use beadrig::limits;
use beadrig::wire::exchange::{ImportBatch, Imported, ImportedLine, Sets};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::path::Path;

/// Bytes of the lines in a batch: a request's bound, and room for what is around them.
const BATCH_BYTES_MAX: usize = jsonl::LINE_BYTES_MAX;

/// Lines that are told one by one on a terminal; all of them are in the JSON.
const TOLD_MAX: usize = 50;

/// What became of a file.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) created: usize,
    pub(super) updated: usize,
    pub(super) unchanged: usize,
    pub(super) skipped: usize,
    pub(super) dropped: usize,
    /// Dependencies that waited for a bead that came now.
    pub(super) tied: u32,
    /// Those about which there is something to say.
    pub(super) lines: Vec<Told>,
}

/// A line about which there is something to say.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) line: usize,
    #[serde(flatten)]
    pub(super) what: ImportedLine,
}

/// What a file holds.
#[derive(Default)]
struct Read {
    entries: Vec<Entry>,
    too_long: Vec<Told>,
    /// The first line that cannot be read; nothing after it is.
    broken: Option<Failure>,
}

pub(super) fn import(
    args: &Import,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let name = args.file.display().to_string();
    let read = read(&args.file)?;
    let client = connect()?;
    let mut report = Report { dropped: read.too_long.len(), ..Report::default() };
    report.lines = read.too_long;
    let sets = if args.replace { Sets::Replace } else { Sets::Union };
    let how = ImportBatch { issues: Vec::new(), sets, dry_run: args.dry_run };
    let sent = send(&client, read.entries, &how, screen, &mut report);
    report.lines.sort_by_key(|it| it.line);
    tell(&report, &name, args.dry_run, screen)?;
    sent?;
    match read.broken {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Sends lines in the order in which a rig wants them.
pub(super) fn send(
    client: &Client,
    entries: Vec<Entry>,
    how: &ImportBatch,
    screen: &mut Screen<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    let all = entries.len();
    let shown = !screen.quiet && !screen.json && io::stderr().is_terminal();
    let (mut batch, mut bytes, mut done) = (Vec::new(), 0, 0);
    let mut rest = jsonl::in_order(entries).into_iter().peekable();
    while let Some(entry) = rest.next() {
        bytes += entry.text.len() + 1;
        batch.push(entry);
        let full = batch.len() >= limits::IMPORT_LINES_MAX
            || rest.peek().is_none_or(|next| bytes + next.text.len() > BATCH_BYTES_MAX);
        if full {
            let count = batch.len();
            one(client, std::mem::take(&mut batch), how, report).map_err(|failure| {
                let hint = format!(
                    "{done} of {all} lines are done; import again: what is there already is left as it is"
                );
                failure.hint(hint)
            })?;
            done += count;
            bytes = 0;
            if shown {
                write!(screen.err, "\r{done} of {all} lines")?;
                screen.err.flush()?;
            }
        }
    }
    if shown && all > 0 {
        writeln!(screen.err)?;
    }
    Ok(())
}

fn one(
    client: &Client,
    entries: Vec<Entry>,
    how: &ImportBatch,
    report: &mut Report,
) -> Result<(), Failure> {
    let issues: Vec<_> =
        entries.iter().map(|it| serde_json::from_str(&it.text).unwrap_or_default()).collect();
    let batch = ImportBatch { issues, ..how.clone() };
    let done = match api::import(client, &batch) {
        // Done when its answer was lost, and the answer was too long to be kept: said again, it changes nothing.
        Err(failure)
            if failure.kind == Kind::Refused && failure.message.starts_with("done already") =>
        {
            api::import(client, &batch)?
        }
        answer => answer?,
    };
    report.tied += done.tied;
    for (entry, what) in entries.iter().zip(done.lines) {
        let count = match what.outcome {
            Imported::Created => &mut report.created,
            Imported::Updated => &mut report.updated,
            Imported::Unchanged => &mut report.unchanged,
            Imported::Skipped => &mut report.skipped,
            Imported::Dropped => &mut report.dropped,
        };
        *count += 1;
        if what.reason.is_some() || !what.warnings.is_empty() {
            report.lines.push(Told { line: entry.number, what });
        }
    }
    Ok(())
}

fn tell(
    report: &Report,
    name: &str,
    dry_run: bool,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    if screen.json {
        return Ok(issue::print(screen.out, report)?);
    }
    for Told { line, what } in report.lines.iter().take(TOLD_MAX) {
        let id = text::clean(&what.id);
        for said in what.reason.iter().chain(&what.warnings) {
            let word = match what.outcome {
                Imported::Skipped => "skipped: ",
                Imported::Dropped => "dropped: ",
                _ => "",
            };
            writeln!(screen.err, "line {line} {id}: {word}{}", text::clean(said))?;
        }
    }
    if report.lines.len() > TOLD_MAX {
        let more = report.lines.len() - TOLD_MAX;
        writeln!(screen.err, "and {more} more; --json has them all")?;
    }
    let Report { created, updated, unchanged, skipped, dropped, tied, .. } = report;
    let would = if dry_run { "Would import" } else { "Imported" };
    screen.line(&format!(
        "{would} {name}: {created} created, {updated} updated, {unchanged} unchanged, {skipped} skipped, {dropped} dropped"
    ))?;
    if *tied > 0 {
        screen.line(&format!("{tied} dependencies that waited are tied"))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Read, Failure> {
    let name = path.display();
    let mut from: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path)
            .map_err(|error| Failure::fatal(format!("failed to open {name}: {error}")))?;
        Box::new(BufReader::with_capacity(1 << 16, file))
    };
    let mut read = Read::default();
    for number in 1.. {
        let line = jsonl::next_line(&mut from, number)
            .map_err(|error| Failure::fatal(format!("failed to read {name}: {error}")))?;
        let Some(line) = line else { break };
        if line.is_blank() {
            continue;
        }
        if let Some(reason) = line.too_long() {
            read.too_long.push(told(number, "", reason));
            continue;
        }
        match Entry::read(&line) {
            Ok(entry) => read.entries.push(entry),
            Err(problem) => {
                let failure = Failure::fatal(format!("{name}, line {number}: {problem}"));
                read.broken = Some(failure.hint(
                    "the lines before it were sent; mend it and import again: what is there already is left as it is",
                ));
                break;
            }
        }
    }
    Ok(read)
}

/// A line that does not go to the rig.
pub(super) fn told(line: usize, id: &str, reason: String) -> Told {
    let (id, outcome) = (id.to_owned(), Imported::Dropped);
    Told { line, what: ImportedLine { id, outcome, reason: Some(reason), warnings: Vec::new() } }
}
