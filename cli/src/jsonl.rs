//! Files of issues, line by line: reading with a bound on each line, the order in which a rig wants them, and writing
//! so that there is a whole file at any time. Must never hold more of a line than a rig takes.

use crate::failure::Failure;
use beadrig::issue::{self, Issue};
use beadrig::limits;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of a line: what fits into a request, with room for what is around it.
pub const LINE_BYTES_MAX: usize = limits::REQUEST_BYTES_MAX - 1024;

/// A line of a file.
#[derive(Debug)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// As it stands there, with its newline if it has one; of one that is too long only the beginning.
    pub bytes: Vec<u8>,
    /// How long it is.
    pub length: usize,
}

impl Line {
    /// Whether there is nothing in it.
    pub fn is_blank(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }

    /// Why a rig cannot take it, if it is too long.
    pub fn too_long(&self) -> Option<String> {
        let length = self.length;
        (length > LINE_BYTES_MAX)
            .then(|| format!("the line has {length} bytes, a rig takes {LINE_BYTES_MAX}"))
    }
}

/// The next line; none at the end.
pub fn next_line(from: &mut dyn BufRead, number: usize) -> io::Result<Option<Line>> {
    let mut line = Line { number, bytes: Vec::new(), length: 0 };
    loop {
        let chunk = match from.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok((line.length > 0).then_some(line));
        }
        let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(chunk.len());
        let room = (LINE_BYTES_MAX + 2).saturating_sub(line.bytes.len());
        line.bytes.extend_from_slice(&chunk[..taken.min(room)]);
        line.length += taken;
        from.consume(taken);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// What orders lines, read without keeping the rest.
#[derive(Debug, Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    dependencies: Value,
}

/// A line that is JSON, with what it names.
#[derive(Debug, Default)]
pub struct Entry {
    /// Which line.
    pub number: usize,
    /// The JSON.
    pub text: String,
    /// The issue; empty if it is none.
    pub id: String,
    needs: Vec<String>,
}

impl Entry {
    /// Reads one; why it is no JSON.
    pub fn read(line: &Line) -> Result<Self, String> {
        let text = std::str::from_utf8(&line.bytes).map_err(|_| "not UTF-8".to_owned())?.trim();
        let head: Head = serde_json::from_str(text)
            .map_err(|error| format!("not JSON at column {}", error.column()))?;
        let needs = head.dependencies.as_array().into_iter().flatten();
        let needs = needs.filter_map(|it| it["depends_on_id"].as_str().map(str::to_owned));
        Ok(Self {
            number: line.number,
            text: text.to_owned(),
            id: head.id.as_str().unwrap_or_default().to_owned(),
            needs: needs.collect(),
        })
    }
}

/// The same lines so that what is depended on comes first: then a rig never begins something that waits for a line
/// that is still to come.
pub fn in_order(entries: Vec<Entry>) -> Vec<Entry> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    for (n, entry) in entries.iter().enumerate() {
        place.entry(&entry.id).or_insert(n);
    }
    let mut order = Vec::with_capacity(entries.len());
    let mut met = vec![false; entries.len()];
    for start in 0..entries.len() {
        // A stack of our own: chains are as long as somebody made them.
        let mut stack = vec![(start, 0)];
        while let Some((at, next)) = stack.pop() {
            if next == 0 && std::mem::replace(&mut met[at], true) {
                continue;
            }
            match entries[at].needs.get(next) {
                Some(need) => {
                    stack.push((at, next + 1));
                    if let Some(other) = place.get(need.as_str()).filter(|other| !met[**other]) {
                        stack.push((*other, 0));
                    }
                }
                None => order.push(at),
            }
        }
    }
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| entries[at].take()).collect()
}

/// An issue as a line without its newline. Where comments are numbered, one with a name gets a number made of it.
pub fn text(issue: &Issue, numbered: bool) -> String {
    if !numbered || !issue.contains_key("comments") {
        return issue::line(issue);
    }
    let mut issue = issue.clone();
    let comments = issue.get_mut("comments").and_then(Value::as_array_mut);
    for comment in comments.into_iter().flatten() {
        if let Some(name) = comment["id"].as_str() {
            // Positive, and a number to every reader of JSON.
            comment["id"] = (hash(name.as_bytes()) >> 12).into();
        }
    }
    issue::line(&issue)
}

/// FNV-1a: tells what has changed, and keeps no secret.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Writes a file so that there is always a whole one: beside its place, then renamed.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    // Through a link: what it points to is replaced, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let cannot =
        |error: io::Error| Failure::fatal(format!("cannot write {}: {error}", path.display()));
    let beside = beside(&path);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
        file.write_all(bytes)?;
        if let Ok(old) = fs::metadata(&path) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        // The name as well; not every system can.
        if let Some(Ok(dir)) = path.parent().map(File::open) {
            let _ = dir.sync_all();
        }
        Ok(())
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        cannot(error)
    })
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize, id: &str, needs: &[&str]) -> Entry {
        let needs = needs.iter().map(|it| (*it).to_owned()).collect();
        Entry { number, text: String::new(), id: id.to_owned(), needs }
    }

    #[test]
    fn what_is_depended_on_comes_first_also_around_a_circle() {
        let entries = vec![
            entry(1, "a", &["b", "nowhere"]),
            entry(2, "b", &["c", "a"]),
            entry(3, "c", &[]),
            entry(4, "d", &["d"]),
            entry(5, "c", &[]),
        ];
        let order: Vec<usize> = in_order(entries).iter().map(|it| it.number).collect();
        assert_eq!(order, [3, 2, 1, 4, 5]);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_not_kept() {
        let mut text = vec![b'x'; 5 << 20];
        text.extend_from_slice(b"\n{}\nlast");
        let mut from = io::BufReader::new(&text[..]);
        let long = next_line(&mut from, 1).unwrap().unwrap();
        assert!(long.bytes.len() <= LINE_BYTES_MAX + 2 && long.length == (5 << 20) + 1);
        assert!(long.too_long().is_some());
        assert_eq!(next_line(&mut from, 2).unwrap().unwrap().bytes, b"{}\n");
        assert_eq!(next_line(&mut from, 3).unwrap().unwrap().bytes, b"last");
        assert!(next_line(&mut from, 4).unwrap().is_none());
    }
}
