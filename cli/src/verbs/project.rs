//! A `config.json` as it is changed: read, changed and written whole by one at a time, so that two who set two keys at
//! once both find theirs in it. What is there and is not understood stays as it is.

use crate::failure::Failure;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// What the file holds; nothing if it is not there.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let Ok(file) = File::open(path) else { return Ok(Map::new()) };
    let mut text = Vec::new();
    let read = file.take(BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| Failure::fatal(format!("cannot read {}: {error}", path.display())))?;
    if text.len() as u64 > BYTES_MAX {
        let name = path.display();
        return Err(Failure::fatal(format!("{name} has more than {BYTES_MAX} bytes")));
    }
    // Where in the file is said, what is there is not: it may be the token.
    serde_json::from_slice(&text).map_err(|error| {
        let (name, line, column) = (path.display(), error.line(), error.column());
        Failure::fatal(format!("{name}, line {line}, column {column}: no JSON object"))
    })
}

/// Bytes of a `config.json`: a thousand settings fit, and every call reads it.
const BYTES_MAX: u64 = 256 << 10;

/// Changes what is there; whether that made a difference.
pub(super) fn change(
    path: &Path,
    edit: impl FnOnce(&Map<String, Value>) -> Result<Map<String, Value>, Failure>,
) -> Result<bool, Failure> {
    let failed =
        |error: io::Error| Failure::fatal(format!("cannot write {}: {error}", path.display()));
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(failed)?;
    // The directory is what is locked, as the file is another one after each change. Where a system locks no
    // directories the last one wins.
    let lock = File::open(directory).ok();
    if let Some(lock) = &lock {
        let _ = lock.lock();
    }
    let old = read(path)?;
    let new = edit(&old)?;
    if new == old && path.exists() {
        return Ok(false);
    }
    let text = serde_json::to_string_pretty(&new).map_err(io::Error::from).map_err(failed)? + "\n";
    if text.len() as u64 > BYTES_MAX {
        let name = path.display();
        return Err(Failure::fatal(format!("{name} would have more than {BYTES_MAX} bytes")));
    }
    write(path, &text).map_err(failed)?;
    Ok(true)
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension(format!("json.{}", std::process::id()));
    let mut file = File::create(&new)?;
    if let Ok(old) = fs::metadata(path) {
        // Who keeps a token in it may have closed it to others.
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}
