//! `config`: settings by key, with bd's outputs.
//!
//! ```text
//! url, rig, user, actor    this command's own: read where they hold, written to the project's file
//! issue_prefix             the rig's: asked of it and set there
//! any other                bd's and other programs': kept in the project's file under "bd", and given back
//! ```
//!
//! A token or another secret is never written and never shown: a project's file is often shared.

use super::{Screen, project};
use crate::args::{Config, ConfigVerb, Global};
use crate::client::Client;
use crate::failure::Failure;
use crate::settings::{self, Found, Said};
use crate::{api, issue, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Settings of this command itself.
const OURS: [&str; 4] = ["url", "rig", "user", "actor"];
/// Where in the file the keys of others are.
const OTHERS: &str = "bd";
/// Characters of a key, as in bd's database.
const KEY_CHARS_MAX: usize = 255;
/// Bytes of a value, as in bd's database.
const VALUE_BYTES_MAX: usize = 65_535;
/// What bd and those who work beside it keep settings under.
const KNOWN: [&str; 14] = [
    "custom.", "jira.", "linear.", "github.", "gitlab.", "ado.", "notion.", "export.", "import.",
    "doctor.", "status.", "types.", "sync.", "beads.",
];

pub(super) fn config(
    args: &Config,
    global: &Global,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match &args.verb {
        ConfigVerb::Get { key } => get(&usable(key)?, global, screen, connect),
        ConfigVerb::Set { key, value } => set(&usable(key)?, value, global, screen, connect),
        ConfigVerb::List => list(global, screen),
        ConfigVerb::Unset { key } => unset(&usable(key)?, global, screen),
    }
}

/// A key as it may be kept.
fn usable(key: &str) -> Result<String, Failure> {
    let key = key.trim();
    if key.is_empty() {
        return Err(Failure::fatal("key cannot be empty"));
    }
    if key.chars().count() > KEY_CHARS_MAX || key.chars().any(char::is_control) {
        return Err(Failure::fatal(format!(
            "a key has {KEY_CHARS_MAX} characters at most, and no control characters"
        )));
    }
    Ok(key.to_owned())
}

/// What is a secret by its name.
fn secret(key: &str) -> bool {
    let key = key.to_lowercase().replace(['-', '.', ' '], "_");
    let parts =
        ["token", "secret", "password", "passwd", "api_key", "apikey", "private_key", "credential"];
    parts.iter().any(|part| key.contains(part))
}

fn prefix(key: &str) -> bool {
    matches!(key, "issue_prefix" | "issue-prefix" | "prefix")
}

fn get(
    key: &str,
    global: &Global,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    if secret(key) {
        return Err(Failure::fatal(format!("{key} is a secret, which is never shown"))
            .hint("`beadrig where` says where the token comes from"));
    }
    if prefix(key) {
        let config: Map<String, Value> = connect()?.get("/config")?;
        let value = config.get("prefix").and_then(Value::as_str).unwrap_or_default();
        return got(key, value, None, screen);
    }
    let found = settings::find(global)?;
    if let Some(said) = ours(key, &found, global) {
        return got(key, &said.value, Some(&said.source), screen);
    }
    let kept = kept(&found)?;
    got(key, kept.get(key).map_or("", String::as_str), None, screen)
}

/// What holds of this command's own settings.
fn ours(key: &str, found: &Found, global: &Global) -> Option<Said> {
    Some(match key {
        "url" => found.url.clone(),
        "rig" => found.rig.clone(),
        "user" => found.user.clone(),
        "actor" => settings::who(global.actor.as_deref(), found.actor.as_ref()),
        _ => return None,
    })
}

fn got(
    key: &str,
    value: &str,
    location: Option<&str>,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let value = super::own::without_secret(value);
    if screen.json {
        return told(key, Some(&value), location, screen);
    }
    match value.as_str() {
        "" => screen.line(&format!("{} (not set)", text::line(key))),
        value => screen.line(&text::clean(value)),
    }
}

fn told(
    key: &str,
    value: Option<&str>,
    location: Option<&str>,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let mut object = Map::new();
    object.insert("key".into(), key.into());
    for (name, value) in [("value", value), ("location", location)] {
        if let Some(value) = value {
            object.insert(name.into(), value.into());
        }
    }
    Ok(issue::print(screen.out, &object)?)
}

/// The keys of others, the project's before the person's.
fn kept(found: &Found) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for path in [&found.own, &found.project].into_iter().flatten() {
        if let Some(Value::Object(others)) = project::read(path)?.remove(OTHERS) {
            all.extend(others.into_iter().map(|(key, value)| match value {
                Value::String(text) => (key, text),
                other => (key, other.to_string()),
            }));
        }
    }
    Ok(all)
}

/// The file that is changed: the person's own with `--global`, else the project's, which is made where there is none.
fn file(global: &Global) -> Result<PathBuf, Failure> {
    if global.ignored.global {
        return settings::own_path()
            .ok_or_else(|| Failure::fatal("there is no home for a file of your own"));
    }
    let found = settings::find(global)?;
    Ok(found.project.unwrap_or_else(|| PathBuf::from(".beadrig/config.json")))
}

fn set(
    key: &str,
    value: &str,
    global: &Global,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    if secret(key) {
        return Err(Failure::fatal(format!(
            "refusing to write {key}: it is a secret, and this file is often shared"
        ))
        .hint("a rig's token is given with --token-file or in BEADRIG_TOKEN"));
    }
    if value.len() > VALUE_BYTES_MAX {
        let length = value.len();
        return Err(Failure::fatal(format!(
            "the value of {key} has {length} bytes, it may have {VALUE_BYTES_MAX}"
        )));
    }
    if super::own::without_secret(value) != value {
        return Err(Failure::fatal(format!(
            "refusing to write {key}: the address has a password in it"
        )));
    }
    if prefix(key) {
        let value = value.trim().trim_end_matches('-');
        api::configure(&connect()?, &json!({ "prefix": value }))?;
        return written(key, value, None, screen);
    }
    if !OURS.contains(&key) {
        warn(key, screen)?;
        change(&file(global)?, |all| {
            let others = all.entry(OTHERS).or_insert_with(|| Map::new().into());
            if !others.is_object() {
                *others = Map::new().into();
            }
            others[key] = value.into();
        })?;
        return written(key, value, None, screen);
    }
    let value = match (key, value.trim()) {
        (_, "") => {
            return Err(Failure::fatal(format!("{key} cannot be empty"))
                .hint(format!("`config unset {key}` takes it out of the file")));
        }
        ("url", value) => settings::usable_url(value)?,
        (_, value) => value.to_owned(),
    };
    let path = file(global)?;
    change(&path, |all| {
        all.insert(key.into(), value.clone().into());
    })?;
    written(key, &value, Some(&path), screen)?;
    match ours(key, &settings::find(global)?, global) {
        Some(now) if now.value != value => {
            screen.warn(&format!("{} says {:?}, and counts before the file", now.source, now.value))
        }
        _ => Ok(()),
    }
}

/// What will have no effect, or may be a slip.
fn warn(key: &str, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if matches!(key, "status.custom" | "types.custom") {
        return screen
            .warn(&format!("{key} is kept, but a rig has its own statuses, and takes any type"));
    }
    if KNOWN.iter().any(|known| key.starts_with(known)) {
        return Ok(());
    }
    screen.warn(&format!(
        "{key:?} is not a recognized config key. Use 'custom.*' for user-defined keys."
    ))
}

fn written(
    key: &str,
    value: &str,
    path: Option<&Path>,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let path = path.map(|path| path.display().to_string());
    if screen.json {
        return told(key, Some(value), path.as_deref(), screen);
    }
    let place = path.map(|path| format!(" (in {path})")).unwrap_or_default();
    screen.line(&format!("Set {} = {}{place}", text::line(key), text::clean(value)))
}

fn change(path: &Path, edit: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Failure> {
    let changed = project::change(path, |old| {
        let mut new = old.clone();
        edit(&mut new);
        Ok(new)
    });
    changed.map(|_| ())
}

/// What the files say; what a variable or the rig says is not in it, as in bd.
fn list(global: &Global, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let found = settings::find(global)?;
    let mut all = kept(&found)?;
    for path in [&found.own, &found.project].into_iter().flatten() {
        let file = project::read(path)?;
        for key in OURS {
            if let Some(Value::String(value)) = file.get(key) {
                all.insert(key.into(), value.clone());
            }
        }
    }
    for (key, value) in &mut all {
        *value = if secret(key) { "(not shown)".into() } else { super::own::without_secret(value) };
    }
    if screen.json {
        return Ok(issue::print(screen.out, &all)?);
    }
    if all.is_empty() {
        return screen.line("No configuration set");
    }
    screen.line("\nConfiguration:")?;
    all.iter().try_for_each(|(key, value)| {
        screen.line(&format!("  {} = {}", text::line(key), text::clean(value)))
    })
}

fn unset(key: &str, global: &Global, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if key == "token" {
        return Err(
            Failure::fatal("the token is not touched here").hint("take it out of the file by hand")
        );
    }
    if prefix(key) {
        return Err(Failure::fatal(format!("{key} is the rig's"))
            .hint("`beadrig settings unset prefix` gives it the rig's own again"));
    }
    let path = file(global)?;
    let is_ours = OURS.contains(&key);
    // What is not there needs no file.
    if path.exists() {
        change(&path, |all| {
            if is_ours {
                all.remove(key);
            } else if let Some(Value::Object(others)) = all.get_mut(OTHERS) {
                others.remove(key);
                if others.is_empty() {
                    all.remove(OTHERS);
                }
            }
        })?;
    }
    let place = is_ours.then(|| path.display().to_string());
    if screen.json {
        return told(key, None, place.as_deref(), screen);
    }
    let place = place.map(|path| format!(" (in {path})")).unwrap_or_default();
    screen.line(&format!("Unset {}{place}", text::line(key)))
}
