//! `init`: says in this directory which rig it belongs to, in `.beadrig/config.json`. A second time changes nothing. No
//! token is written: a project's file is often shared.

use super::Screen;
use crate::args::{Global, Init};
use crate::client::Client;
use crate::failure::Failure;
use crate::{api, issue, settings};
use serde_json::{Map, Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;

pub(super) fn init(
    args: &Init,
    global: &Global,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let path = Path::new(".beadrig/config.json");
    let old = read(path)?;
    let is_there = !old.is_empty();
    let mut new = if args.force { Map::new() } else { old.clone() };
    // What the environment says belongs to whoever runs this, what the flags say to the project.
    for (key, value) in [("url", &global.url), ("rig", &global.rig)] {
        if let Some(value) = value {
            new.insert(key.into(), value.clone().into());
        }
    }
    if let Some(url) = &global.url {
        new.insert("url".into(), settings::usable_url(url)?.into());
    }
    new.entry("rig").or_insert_with(|| "main".into());
    if let (true, Some(token)) = (args.force, old.get("token")) {
        new.insert("token".into(), token.clone());
    }
    let changed = new != old;
    if changed {
        write(path, &new)?;
    }
    if let Some(prefix) = args.prefix.as_deref().map(|it| it.trim_end_matches('-')) {
        api::configure(&connect()?, &json!({ "prefix": prefix }))?;
    }
    let rig = new.get("rig").and_then(Value::as_str).unwrap_or_default();
    if screen.json {
        let status = if changed { "initialized" } else { "unchanged" };
        return Ok(issue::print(
            screen.out,
            &json!({ "status": status, "path": path.display().to_string(), "rig": rig }),
        )?);
    }
    let path = path.display();
    match (changed, is_there) {
        (false, _) => screen.line(&format!("{path} is as it should be: rig {rig}")),
        (true, true) => screen.line(&format!("✓ Changed {path}: rig {rig}")),
        (true, false) => screen.line(&format!("✓ Initialized {path}: rig {rig}")),
    }
}

fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let Ok(text) = fs::read(path) else { return Ok(Map::new()) };
    // Where in the file is said, what is there is not: it may be the token.
    serde_json::from_slice(&text).map_err(|error| {
        let (name, line, column) = (path.display(), error.line(), error.column());
        Failure::fatal(format!("{name}, line {line}, column {column}: no JSON object"))
    })
}

fn write(path: &Path, config: &Map<String, Value>) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::fatal(format!("cannot write {}: {error}", path.display()));
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let text =
        serde_json::to_string_pretty(config).map_err(std::io::Error::from).map_err(failed)?;
    // Whole or not at all.
    let new = path.with_extension("json.new");
    let mut file = fs::File::create(&new).map_err(failed)?;
    if let Ok(old) = fs::metadata(path) {
        // Who keeps a token in it may have closed it to others.
        file.set_permissions(old.permissions()).map_err(failed)?;
    }
    file.write_all((text + "\n").as_bytes()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}
