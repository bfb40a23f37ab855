//! `init`: says in this directory which rig it belongs to, in `.beadrig/config.json`. A second time changes nothing. No
//! token is written: a project's file is often shared.

use super::{Screen, project};
use crate::args::{Global, Init};
use crate::client::Client;
use crate::failure::Failure;
use crate::{api, issue, settings};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) fn init(
    args: &Init,
    global: &Global,
    screen: &mut Screen<'_>,
    connect: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    let path = Path::new(".beadrig/config.json");
    let url = global.url.as_deref().map(settings::usable_url).transpose()?;
    let (mut is_there, mut new) = (false, Map::new());
    let changed = project::change(path, |old| {
        is_there = !old.is_empty();
        new = if args.force { Map::new() } else { old.clone() };
        // What the environment says belongs to whoever runs this, what the flags say to the project.
        for (key, value) in [("url", &url), ("rig", &global.rig)] {
            if let Some(value) = value {
                new.insert(key.into(), value.clone().into());
            }
        }
        new.entry("rig").or_insert_with(|| "main".into());
        if let (true, Some(token)) = (args.force, old.get("token")) {
            new.insert("token".into(), token.clone());
        }
        Ok(new.clone())
    })?;
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
