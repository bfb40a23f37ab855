//! `sync`: a repository's `.beads/issues.jsonl` and the rig say the same afterwards, whoever changed what since the
//! last time. What both say alike stays as it stands in the file, byte for byte.
//!
//! What was the same the last time is remembered beside the file, in `.beads/.beadrig-sync/`, which git does not see:
//!
//! ```text
//! only the file changed     the rig takes the line
//! only the rig changed      the line is written anew
//! both changed              the newer one counts, the rig's if neither is; the other is kept in conflicts.jsonl
//! only the file has it      the rig takes it; if it had it the last time, it was deleted there, and the line goes
//! only the rig has it       a line is added: a rig's bead is never deleted by a line that is missing
//! ```

use super::Screen;
use super::export;
use super::import::{self, Report};
use crate::args;
use crate::client::Client;
use crate::failure::Failure;
use crate::issue as json;
use crate::jsonl::{self, Entry, Line};
use crate::text;
use beadrig::issue::{self, Issue};
use beadrig::wire::exchange::{ImportBatch, Imported, Sets};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How often all of it is begun again because the file changed meanwhile.
const TRIES: usize = 3;

/// What was the same the last time.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Base {
    /// Of which rig; with another nothing is known.
    rig: String,
    /// What each issue said, as a number.
    issues: BTreeMap<String, u64>,
}

/// A line of the file as it stands there, and the issue in it.
struct Standing {
    line: Line,
    issue: Option<Issue>,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Done {
    /// Lines that the rig took.
    to_rig: Vec<String>,
    /// Lines that were written anew or added.
    to_file: Vec<String>,
    /// Lines that went, since their bead was deleted in the rig.
    removed: Vec<String>,
    /// Changed on both sides, and which side counts.
    conflicts: BTreeMap<String, &'static str>,
    /// What the rig had to say about lines.
    lines: Vec<import::Told>,
}

/// Which lines go which way.
#[derive(Default)]
struct Plan {
    send: BTreeSet<String>,
    removed: BTreeSet<String>,
    conflicts: BTreeMap<String, &'static str>,
    losers: Vec<Issue>,
}

pub(super) fn sync(
    args: &args::Sync,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let path = args.file.clone().unwrap_or_else(find);
    let beside = beside(&path)?;
    let _lock = lock(&beside)?;
    let client = connect()?;
    for _ in 0..TRIES {
        if let Some(done) = once(&client, &path, &beside, args.dry_run, screen)? {
            return tell(&done, &path, args.dry_run, screen);
        }
    }
    Err(Failure::fatal(format!("{} changes all the time", path.display()))
        .hint("wait until nothing writes it, and sync again"))
}

/// The nearest `.beads` upward that is there; else here.
fn find() -> PathBuf {
    let name = Path::new(".beads/issues.jsonl");
    if Path::new(".beads").is_dir() {
        return name.to_owned();
    }
    let Ok(mut dir) = std::env::current_dir() else { return name.to_owned() };
    loop {
        if dir.join(".beads").is_dir() {
            return dir.join(name);
        }
        if !dir.pop() {
            return name.to_owned();
        }
    }
}

/// The directory for what is remembered; git does not see it.
fn beside(path: &Path) -> Result<PathBuf, Failure> {
    let dir = path.parent().unwrap_or(Path::new("")).join(".beadrig-sync");
    let made = fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join(".gitignore"), "*\n"));
    made.map_err(|error| Failure::fatal(format!("cannot write {}: {error}", dir.display())))?;
    Ok(dir)
}

/// One sync of a file at a time; free again when the process ends, however it does.
fn lock(beside: &Path) -> Result<File, Failure> {
    let path = beside.join("lock");
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::fatal(format!("cannot lock {}: {error}", path.display()))
    };
    let file = File::create(&path).map_err(|error| cannot(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Failure::fatal(format!("another sync is at work here ({})", path.display()))
                .hint("wait until it is done"))
        }
        Err(fs::TryLockError::Error(error)) => Err(cannot(&error)),
    }
}

/// None: the file changed meanwhile, and nothing was written into it.
fn once(
    client: &Client,
    path: &Path,
    beside: &Path,
    dry_run: bool,
    screen: &mut Screen<'_>,
) -> Result<Option<Done>, Failure> {
    let state = beside.join("state.json");
    let base = read_base(&state, client.rig());
    let before = read_bytes(path)?;
    let lines = read(path, &before)?;
    let mut ours = by_id(export::all(client)?);
    let theirs = newest(&lines);
    let plan = weigh(&base, &ours, &theirs);
    let mut done = Done {
        to_rig: plan.send.iter().cloned().collect(),
        removed: plan.removed.iter().cloned().collect(),
        conflicts: plan.conflicts.clone(),
        ..Done::default()
    };
    let mut losers = plan.losers;
    let mut refused = BTreeSet::new();
    if !dry_run && !plan.send.is_empty() {
        let entries = plan.send.iter().filter_map(|id| Some(entry(theirs.get(id)?.0)));
        let how = ImportBatch { sets: Sets::Replace, ..ImportBatch::default() };
        let mut report = Report::default();
        import::send(client, entries.collect(), &how, screen, &mut report)?;
        for it in &report.lines {
            match it.what.outcome {
                Imported::Dropped => drop(refused.insert(it.what.id.clone())),
                // The rig's is newer after all.
                Imported::Skipped => losers.extend(theirs.get(&it.what.id).map(|it| it.1.clone())),
                Imported::Created | Imported::Updated | Imported::Unchanged => {}
            }
        }
        done.lines = report.lines;
        ours = by_id(export::all(client)?);
    }
    let after = rewritten(&lines, &theirs, &ours, &plan.removed, &refused, &mut done.to_file);
    if dry_run {
        // What goes to the rig is not there yet, and is no line to be written anew.
        done.to_file.retain(|id| !plan.send.contains(id));
        return Ok(Some(done));
    }
    keep(beside, &losers)?;
    if read_bytes(path)? != before {
        return Ok(None);
    }
    if after != before {
        jsonl::replace(path, &after)?;
    }
    let said = ours.iter().filter(|(id, _)| !refused.contains(*id));
    let issues = said.map(|(id, it)| (id.clone(), said_by(it))).collect();
    let base = Base { rig: client.rig().to_owned(), issues };
    let text = serde_json::to_vec(&base).map_err(|error| Failure::fatal(error.to_string()))?;
    jsonl::replace(&state, &text)?;
    Ok(Some(done))
}

/// What an issue says, as a number.
fn said_by(issue: &Issue) -> u64 {
    jsonl::hash(Value::Object(issue::canonical(issue)).to_string().as_bytes())
}

/// What is damaged is as good as nothing: then both sides count as changed.
fn read_base(path: &Path, rig: &str) -> Base {
    let base: Option<Base> =
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    base.filter(|base| base.rig == rig).unwrap_or_default()
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::fatal(format!("failed to read {}: {error}", path.display()))),
    }
}

/// Nothing is done with a file in which something cannot be read: what is there is not to be lost.
fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Standing>, Failure> {
    let mut lines = Vec::new();
    for (number, bytes) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let line = Line { number, bytes: bytes.to_vec(), length: bytes.len() };
        let broken = |problem: String| {
            Failure::fatal(format!("{}, line {number}: {problem}", path.display()))
                .hint("nothing was done; mend the line, or take it out, and sync again")
        };
        if line.is_blank() {
            lines.push(Standing { line, issue: None });
            continue;
        }
        if let Some(problem) = line.too_long() {
            return Err(broken(problem));
        }
        let value: Value = serde_json::from_slice(line.bytes.trim_ascii())
            .map_err(|error| broken(format!("not JSON at column {}", error.column())))?;
        let issue = match value {
            Value::Object(issue) if issue::not_an_issue(&issue).is_none() => Some(issue),
            // Memories, tombstones: they stay where they stand.
            _ => None,
        };
        lines.push(Standing { line, issue });
    }
    Ok(lines)
}

fn by_id(issues: Vec<Issue>) -> BTreeMap<String, Issue> {
    issues.into_iter().map(|it| (id_of(&it), it)).collect()
}

fn id_of(issue: &Issue) -> String {
    issue::text(issue, "id").unwrap_or_default().to_owned()
}

/// The line that counts of each issue: the newest, the last of those.
fn newest(lines: &[Standing]) -> HashMap<String, (&Line, &Issue)> {
    let mut newest: HashMap<String, (&Line, &Issue)> = HashMap::new();
    for it in lines {
        let Some(issue) = &it.issue else { continue };
        let place = newest.entry(id_of(issue)).or_insert((&it.line, issue));
        if issue::time(issue, "updated_at") >= issue::time(place.1, "updated_at") {
            *place = (&it.line, issue);
        }
    }
    newest
}

fn weigh(
    base: &Base,
    ours: &BTreeMap<String, Issue>,
    theirs: &HashMap<String, (&Line, &Issue)>,
) -> Plan {
    let mut plan = Plan::default();
    for (id, (_, line)) in theirs {
        let last = base.issues.get(id);
        let changed = |it: &Issue| last != Some(&said_by(it));
        let Some(ours) = ours.get(id) else {
            if changed(line) {
                plan.send.insert(id.clone());
            } else {
                plan.removed.insert(id.clone());
            }
            continue;
        };
        if issue::same(ours, line) {
            continue;
        }
        match (changed(line), changed(ours)) {
            (true, false) => drop(plan.send.insert(id.clone())),
            (false, _) => {}
            (true, true) => {
                let newer = issue::time(line, "updated_at") > issue::time(ours, "updated_at");
                let (winner, loser) = if newer { ("file", ours) } else { ("rig", *line) };
                plan.conflicts.insert(id.clone(), winner);
                plan.losers.push(loser.clone());
                if newer {
                    plan.send.insert(id.clone());
                }
            }
        }
    }
    plan
}

fn entry(line: &Line) -> Entry {
    // It was read as JSON before.
    Entry::read(line).unwrap_or_default()
}

/// The file as it shall be: lines that say what the rig says stay as they are and where they are.
fn rewritten(
    lines: &[Standing],
    theirs: &HashMap<String, (&Line, &Issue)>,
    ours: &BTreeMap<String, Issue>,
    removed: &BTreeSet<String>,
    refused: &BTreeSet<String>,
    changed: &mut Vec<String>,
) -> Vec<u8> {
    let numbered = lines.iter().filter_map(|it| it.issue.as_ref()).any(has_numbered_comments);
    let mut out: Vec<u8> = Vec::new();
    let end = |out: &mut Vec<u8>| {
        if !out.is_empty() && out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
    };
    for it in lines {
        let Some(issue) = &it.issue else {
            end(&mut out);
            out.extend_from_slice(&it.line.bytes);
            continue;
        };
        let id = id_of(issue);
        let counts = theirs.get(&id).is_some_and(|(line, _)| line.number == it.line.number);
        if !counts || removed.contains(&id) {
            continue;
        }
        end(&mut out);
        match ours.get(&id) {
            Some(ours) if !refused.contains(&id) && !issue::same(ours, issue) => {
                out.extend_from_slice(jsonl::text(ours, numbered).as_bytes());
                out.push(b'\n');
                changed.push(id);
            }
            _ => out.extend_from_slice(&it.line.bytes),
        }
    }
    let mut new: Vec<&Issue> =
        ours.iter().filter(|(id, _)| !theirs.contains_key(*id)).map(|(_, it)| it).collect();
    new.sort_by_cached_key(|it| issue::place(it));
    for issue in new {
        end(&mut out);
        out.extend_from_slice(jsonl::text(issue, numbered).as_bytes());
        out.push(b'\n');
        changed.push(id_of(issue));
    }
    out
}

fn has_numbered_comments(issue: &Issue) -> bool {
    issue::records(issue, "comments").any(|it| it.get("id").is_some_and(Value::is_number))
}

/// Appends what did not count, so that nothing is lost.
fn keep(beside: &Path, losers: &[Issue]) -> Result<(), Failure> {
    if losers.is_empty() {
        return Ok(());
    }
    let path = beside.join("conflicts.jsonl");
    let mut text = read_bytes(&path)?;
    for it in losers {
        text.extend_from_slice(issue::line(it).as_bytes());
        text.push(b'\n');
    }
    jsonl::replace(&path, &text)
}

fn tell(done: &Done, path: &Path, dry_run: bool, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return Ok(json::print(screen.out, done)?);
    }
    for (id, winner) in &done.conflicts {
        let id = text::clean(id);
        writeln!(
            screen.err,
            "{id}: changed in both; the {winner}'s counts, the other is in conflicts.jsonl"
        )?;
    }
    for import::Told { what, .. } in &done.lines {
        for said in what.reason.iter().chain(&what.warnings) {
            writeln!(screen.err, "{}: {}", text::clean(&what.id), text::clean(said))?;
        }
    }
    let (rig, file, gone) = (done.to_rig.len(), done.to_file.len(), done.removed.len());
    let would = if dry_run { "would go" } else { "went" };
    screen.line(&format!(
        "{}: {rig} {would} to the rig, {file} to the file, {gone} out of the file, {} conflicts",
        path.display(),
        done.conflicts.len()
    ))
}
