//! `settings`, what holds for the rig, and `where`, what this command itself was told. Secrets come masked from the
//! rig; the token is never shown.

use super::super::Screen;
use super::git::without_secret;
use crate::args::{Global, SettingsVerb};
use crate::client::Client;
use crate::failure::Failure;
use crate::settings::{self, Said};
use crate::table::Cell;
use crate::text::{self, Paint};
use serde_json::{Map, Value, json};
use ureq::http::Method;

pub(super) fn settings(
    verb: Option<SettingsVerb>,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match verb.unwrap_or(SettingsVerb::Get { key: None }) {
        SettingsVerb::Get { key } => {
            let config: Map<String, Value> = connect()?.get("/config")?;
            match key {
                Some(key) => one(&config, &key, screen),
                None => all(&config, screen),
            }
        }
        SettingsVerb::Set { pairs } => {
            let pairs = pairs.iter().map(|pair| read(pair)).collect::<Result<Vec<_>, _>>()?;
            let client = connect()?;
            let patch = patch(pairs, &client)?;
            let config: Map<String, Value> = client.send(&Method::PATCH, "/config", &patch)?;
            changed("Set", &patch, &config, screen)
        }
        SettingsVerb::Unset { keys } => {
            let patch: Map<_, _> = keys.into_iter().map(|key| (key, Value::Null)).collect();
            let config: Map<String, Value> = connect()?.send(&Method::PATCH, "/config", &patch)?;
            changed("Gave back", &patch, &config, screen)
        }
    }
}

fn changed(
    did: &str,
    patch: &Map<String, Value>,
    config: &Map<String, Value>,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    if screen.json {
        return screen.json(config);
    }
    for key in patch.keys() {
        let now = config.get(key).map(shown).filter(|now| !now.is_empty());
        let now = now.unwrap_or_else(|| "-".into());
        screen.line(&format!("✓ {did} {}: it is {} now", text::clean(key), text::line(&now)))?;
    }
    Ok(())
}

fn one(config: &Map<String, Value>, key: &str, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let Some(value) = config.get(key) else {
        let keys: Vec<_> = config.keys().map(String::as_str).collect();
        return Err(Failure::fatal(format!("a rig has no setting {key:?}"))
            .hint(format!("there are {}", keys.join(", "))));
    };
    if screen.json { screen.json(value) } else { screen.line(&text::clean(&plain(value))) }
}

fn all(config: &Map<String, Value>, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if screen.json {
        return screen.json(config);
    }
    let named = |list: &str, key: &str| {
        let keys = config.get(list).and_then(Value::as_array);
        keys.is_some_and(|keys| keys.iter().any(|it| it == key))
    };
    let rows: Vec<Vec<Cell>> = config
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "rig_id" | "overridden" | "of_town"))
        .map(|(key, value)| {
            let source = match (named("overridden", key), named("of_town", key)) {
                (true, _) => "rig",
                (_, true) => "town",
                _ => "deployment",
            };
            let value = shown(value);
            vec![Cell::from(key), Cell::painted(source, Paint::Dim), Cell::maybe(Some(&value))]
        })
        .collect();
    screen.rows("Nothing is set.", &["SETTING", "SET BY", "VALUE…"], &rows)
}

/// A text as it is, nothing as nothing, the rest as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// An address may have a password in it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => without_secret(text),
        other => plain(other),
    }
}

/// `max_agents=3`, `merge_gates=[…]`, `git_url=https://…`.
fn read(pair: &str) -> Result<(String, Value), Failure> {
    let (key, text) =
        pair.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or_else(|| {
            Failure::fatal(format!("{pair:?} is no KEY=VALUE")).hint("for example max_agents=3")
        })?;
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    Ok((key.trim().to_owned(), value))
}

/// What is sent. The variables of the agents are replaced as one, so the others are read first: masked as they come,
/// which keeps them.
fn patch(pairs: Vec<(String, Value)>, client: &Client) -> Result<Map<String, Value>, Failure> {
    let mut patch = Map::new();
    for (key, value) in pairs {
        let Some(name) = key.strip_prefix("env_vars.") else {
            patch.insert(key, value);
            continue;
        };
        if !patch.contains_key("env_vars") {
            let mut config: Map<String, Value> = client.get("/config")?;
            patch.insert("env_vars".into(), config.remove("env_vars").unwrap_or_default());
        }
        if let Some(Value::Object(vars)) = patch.get_mut("env_vars") {
            vars.insert(name.to_owned(), Value::from(plain(&value)));
        }
    }
    Ok(patch)
}

pub(super) fn sources(global: &Global, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let found = settings::find(global)?;
    let actor = settings::who(global.actor.as_deref(), found.actor.as_ref());
    let path = |path: Option<&std::path::Path>| path.map(|path| path.display().to_string());
    let own = settings::own_path();
    let (project, own_found) = (path(found.project.as_deref()), path(found.own.as_deref()));
    if screen.json {
        let token = found.token.as_ref().map(|token| &token.source);
        return screen.json(&json!({
            "url": found.url, "rig": found.rig, "user": found.user, "actor": actor,
            "token": {"set": token.is_some(), "source": token},
            "files": {"project": project, "user": own_found, "user_path": path(own.as_deref())},
            "warnings": found.warnings,
        }));
    }
    let row = |name: &str, said: &Said| {
        vec![name.into(), Cell::from(&said.value), Cell::painted(&said.source, Paint::Dim)]
    };
    let token = match &found.token {
        Some(token) => Said { value: "(not shown)".into(), source: token.source.clone() },
        None => Said { value: "none".into(), source: "-".into() },
    };
    let rows = [
        row("url", &found.url),
        row("rig", &found.rig),
        row("token", &token),
        row("actor", &actor),
        row("user", &found.user),
    ];
    screen.rows("", &["SETTING", "VALUE…", "FROM…"], &rows)?;
    screen.line("")?;
    screen.facts(&[
        (
            "project file",
            Some(project.unwrap_or_else(|| "none: .beadrig/config.json here or above".into())),
        ),
        (
            "user file",
            Some(own_found.unwrap_or_else(|| {
                format!("none: {}", path(own.as_deref()).unwrap_or_else(|| "no home".into()))
            })),
        ),
    ])?;
    found.warnings.iter().try_for_each(|warning| screen.warn(warning))
}
