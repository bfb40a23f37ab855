//! What the rig needs besides itself: the container, the repository, the agent.

use super::Findings;
use crate::api;
use crate::args::Doctor;
use crate::client::{Client, encode};
use crate::settings::is_here;
use crate::text;
use crate::verbs::own::git;
use beadrig::wire::PROTOCOL;
use beadrig::wire::rig::BeadView;
use serde_json::{Map, Value};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A remote that is asked for its branches answers in a second or two.
const GIT_DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn outside(client: &Client, args: &Doctor, found: &mut Findings) {
    let config = match client.get::<Map<String, Value>>("/config") {
        Ok(config) => config,
        Err(failure) => {
            for name in ["container", "git", "agent_command"] {
                found.skip(name, format!("the rig does not tell: {}", failure.message));
            }
            return;
        }
    };
    let text = |key: &str| config.get(key).and_then(Value::as_str).filter(|it| !it.is_empty());
    match (args.no_container, text("town")) {
        (true, _) => found.skip("container", "not asked, as --no-container says"),
        (false, Some(town)) => container(client, town, found),
        (false, None) => found.skip("container", "the rig does not name its town"),
    }
    match text("git_url") {
        Some(url) => repository(url, text("default_branch"), found),
        None => found.ok("git", "no repository is set: nothing is merged"),
    }
    let command = config.get("agent_command").and_then(|it| it.get(0)).and_then(Value::as_str);
    agent_command(command, client, found);
}

fn container(client: &Client, town: &str, found: &mut Findings) {
    let todo = "is the container service up? `cargo xtask up` starts both; deployed, look at the container's log";
    let seen = match client.look(&format!("/api/towns/{}/container/health", encode(town))) {
        Ok(seen) => seen,
        Err(failure) => {
            return found.bad("container", format!("town {town}: {}", failure.message), todo);
        }
    };
    let Some(health) = seen.data() else {
        return found.bad("container", format!("town {town}: {}", seen.problem()), todo);
    };
    if health["protocol"] != PROTOCOL {
        let said = format!("it speaks protocol {}, this command {PROTOCOL}", health["protocol"]);
        return found.bad("container", said, "roll out worker, container and command together");
    }
    let (agents, capacity) = (health["agents"].as_u64(), health["capacity"].as_u64());
    let boot = health["bootId"].as_str().unwrap_or("?");
    let up = health["uptime"].as_u64().unwrap_or(0) / 1000;
    let mut said = format!(
        "town {town}: {} of {} places taken, boot {boot}, up {up} s, protocol {PROTOCOL}",
        agents.unwrap_or(0),
        capacity.unwrap_or(0),
    );
    // Whatever it tells of its disk.
    let disk = health.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with("disk"));
    for (key, value) in disk {
        said.push_str(&format!(", {key} {value}"));
    }
    match health["status"].as_str() {
        Some("ok") if agents >= capacity && capacity.is_some() => {
            found.warn(
                "container",
                said,
                "beads wait until a run is over: more places with MAX_CONCURRENCY of the container service",
            );
        }
        Some("ok") => found.ok("container", said),
        other => found.warn(
            "container",
            format!("{}: {said}", other.unwrap_or("?")),
            "it takes no more work; it comes back by itself",
        ),
    }
}

fn repository(url: &str, branch: Option<&str>, found: &mut Findings) {
    let shown = git::without_secret(url);
    match git::branches(url, GIT_DEADLINE) {
        Ok(branches) if branches.is_empty() => {
            found.warn("git", format!("{shown} is empty"), "push a first commit: branches begin at it");
        }
        Ok(branches) => match branch.filter(|name| !branches.iter().any(|it| it == name)) {
            Some(name) => found.bad("git", format!("{shown} has no branch {name}"),
                "`beadrig settings set default_branch=NAME`, or push it"),
            None => found.ok("git", format!("{shown} answers, {} branches", branches.len())),
        },
        Err(why) if is_about_rights(&why) => found.warn("git", format!("{shown}: {}", text::line(&why)),
            "this machine may not read it; agents use GIT_TOKEN of their rig or town, which cannot be tried from here"),
        Err(why) => found.bad("git", format!("{shown}: {}", text::line(&why)),
            "`beadrig settings set git_url=URL`; `git ls-remote URL` tries it by hand"),
    }
}

/// The agents have rights of their own.
fn is_about_rights(why: &str) -> bool {
    let why = why.to_lowercase();
    [
        "authentication",
        "could not read username",
        "could not read password",
        "permission denied",
        "prompts disabled",
        "403",
        "401",
    ]
    .iter()
    .any(|sign| why.contains(sign))
}

/// Only on this machine can it be looked for; elsewhere only a start tells.
fn agent_command(command: Option<&str>, client: &Client, found: &mut Findings) {
    let Some(command) = command.filter(|it| !it.trim().is_empty()) else {
        return found.bad(
            "agent_command",
            "no agent command is set",
            "`beadrig settings set agent_command=\"claude -p '{prompt}'\"`",
        );
    };
    if let Some(why) = refused(command, client) {
        return found.bad(
            "agent_command",
            text::line(&why),
            "`beadrig settings set agent_command=…`, or put it where the container service finds it",
        );
    }
    let shown = text::line(command);
    if !is_here(&client.settings().url) {
        return found.skip(
            "agent_command",
            format!("{shown}: it is in the container's image, which cannot be seen from here"),
        );
    }
    match place(command) {
        Some(path) => found.ok("agent_command", format!("{}", path.display())),
        None if command.contains('/') => found.bad(
            "agent_command",
            format!("{shown} is not there, or not executable"),
            "`beadrig settings set agent_command=…`, or put it there",
        ),
        None => found.skip(
            "agent_command",
            format!("{shown} is not in this shell's PATH, but the container service has its own"),
        ),
    }
}

/// Why the container service could not start it, if a bead waits because of that.
fn refused(command: &str, client: &Client) -> Option<String> {
    let beads: Vec<BeadView> =
        client.get("/beads?assignee=agent&status=open,in_progress&limit=100").ok()?;
    let waits = |bead: &&BeadView| {
        bead.waiting.as_ref().is_some_and(|it| matches!(&*it.reason, "back_off" | "breaker_open"))
    };
    let last =
        beads.iter().filter(waits).max_by(|one, other| one.updated_at.cmp(&other.updated_at));
    let notes = api::bead(client, &last?.id).ok()?.notes?;
    let told = notes.iter().rev().find(|note| note.text.starts_with("attempt "))?;
    let (_, why) = told.text.split_once("start refused: ")?;
    // What another command was refused for says nothing of this one.
    let of_this = why.starts_with(&format!("{command} could not be started"));
    of_this.then(|| why.split("; next try").next().unwrap_or(why).to_owned())
}

fn place(command: &str) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|path| is_program(path));
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(command)).find(|path| is_program(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
