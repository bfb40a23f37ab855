//! What a run's process will be: its command, its environment, its working directory.
//!
//! It starts nothing. It must never put the service's own token or settings into an agent's environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beadrig::settings::CONTAINER_NAMES;
use beadrig::wire::container::StartAgent;

use crate::config::{Config, program_dir};
use crate::git::Place;
use crate::jobs::capture::Capture;
use crate::limits::AGENT_RETRY_S;
use crate::process::meter::Bounds;

/// Everything there is to know to start the process of a run. No `Debug`: there is a token in it.
pub struct Launch {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub workdir: PathBuf,
    /// The worktree that it runs in, if its rig has a repository.
    pub place: Option<Place>,
    /// A directory of its own, emptied before; without a repository it runs there.
    pub scratch: PathBuf,
    /// What goes into `prompt.md` there.
    pub prompt: String,
    /// `NAME=value`s that only the processes of this run have all of.
    pub marker: Vec<OsString>,
    /// What it may take.
    pub bounds: Bounds,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Keeps all that is said, besides the ring of lines.
    pub capture: Option<Arc<Capture>>,
}

impl Launch {
    /// Works out the process for a request.
    pub fn new(
        request: &StartAgent,
        config: &Config,
        supervisor: &OsStr,
        place: Option<Place>,
    ) -> Self {
        let scratch = config.data_dir.join("work").join(&request.rig_id).join(&request.agent_id);
        let workdir = place.as_ref().map_or_else(|| scratch.clone(), Place::dir);
        let inherited: Vec<_> = std::env::vars_os().collect();
        let mut environment = environment(request, config, supervisor, &workdir, inherited);
        environment.push(("BEADRIG_PROMPT_FILE".into(), scratch.join(PROMPT_FILE).into()));
        environment.extend(place.iter().flat_map(Place::environment).cloned());
        let marks = ["BEADRIG_SUPERVISOR", "BEADRIG_AGENT_ID", "BEADRIG_ATTEMPT"];
        let marker = environment.iter().filter(|(name, _)| marks.iter().any(|mark| name == mark));
        let mut command = request.command.iter().map(|word| fill(word, request, &workdir));
        Self {
            program: command.next().unwrap_or_default(),
            arguments: command.collect(),
            marker: marker.map(|(name, value)| mark(name, value)).collect(),
            environment,
            workdir,
            place,
            scratch,
            prompt: request.prompt.clone(),
            bounds: config.bounds(Duration::from_secs(request.time_limit_s)),
            grace: config.grace,
            capture: None,
        }
    }

    /// Empties the run's own directory and writes the prompt into it. It blocks.
    pub fn prepare(&self) -> io::Result<()> {
        remove_tree(&self.scratch)?;
        fs::create_dir_all(&self.scratch)?;
        fs::write(self.scratch.join(PROMPT_FILE), &self.prompt)
    }
}

/// Where an agent finds what it is told.
const PROMPT_FILE: &str = "prompt.md";

/// One variable as it stands in an environment.
pub fn mark(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> OsString {
    let mut mark = name.as_ref().to_owned();
    mark.push("=");
    mark.push(value);
    mark
}

/// Removes a directory, if it is there, with all that is in it. It blocks.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            // Module caches are read-only directories, on purpose.
            make_writable(dir)?;
            fs::remove_dir_all(dir)
        }
        _ => Ok(()),
    }
}

fn make_writable(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // The type of the entry itself: a link is not followed.
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// Later ones win: what is inherited, what the request adds, who the agent is.
fn environment(
    request: &StartAgent,
    config: &Config,
    supervisor: &OsStr,
    workdir: &Path,
    inherited: Vec<(OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut all = inherited_by_agents(inherited);
    all.extend(request.env_vars.iter().map(|(name, value)| (name.into(), value.into())));
    lead_path(&mut all, config);
    all.extend(identity(request, config).map(|(name, value)| (name.into(), value.into())));
    all.insert("BEADRIG_WORKDIR".into(), workdir.into());
    all.insert("BEADRIG_SUPERVISOR".into(), supervisor.into());
    all.into_iter().collect()
}

/// What a process may know of the service's own environment.
pub(crate) fn inherited_by_agents(
    inherited: Vec<(OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    inherited.into_iter().filter(|(name, _)| !is_ours(name)).collect()
}

/// Puts our own tools first on the `PATH`.
pub(crate) fn lead_path(all: &mut BTreeMap<OsString, OsString>, config: &Config) {
    let mut path = vec![config.agents_dir.clone(), program_dir()];
    path.extend(all.get(OsStr::new("PATH")).into_iter().flat_map(std::env::split_paths));
    // A directory with a colon in its name cannot be on a PATH; then the rest of it has to do.
    let path = std::env::join_paths(&path).or_else(|_| std::env::join_paths(path.iter().skip(2)));
    all.insert("PATH".into(), path.unwrap_or_default());
}

/// Who the agent is and where its rig is; the second half is for Gastown's tools.
fn identity(request: &StartAgent, config: &Config) -> impl Iterator<Item = (&'static str, String)> {
    let url = &config.rig_url;
    let token = request.session_token.expose();
    [
        ("BEADRIG_URL", url.clone()),
        ("BEADRIG_RIG", request.rig_id.clone()),
        ("BEADRIG_TOWN", request.town_id.clone()),
        ("BEADRIG_TOKEN", token.to_owned()),
        ("BEADRIG_AGENT_ID", request.agent_id.clone()),
        ("BEADRIG_AGENT_NAME", request.name.clone()),
        ("BEADRIG_AGENT_ROLE", request.role.clone()),
        ("BEADRIG_BEAD_ID", request.bead_id.clone()),
        ("BEADRIG_ATTEMPT", request.attempt.to_string()),
        ("BEADRIG_JOB_ID", request.job_id.clone()),
        ("BEADRIG_RETRY_S", AGENT_RETRY_S.to_string()),
        ("BEADS_ACTOR", request.name.clone()),
        ("GASTOWN_API_URL", url.clone()),
        ("GASTOWN_SESSION_TOKEN", token.to_owned()),
        ("GASTOWN_AGENT_ID", request.agent_id.clone()),
        ("GASTOWN_RIG_ID", request.rig_id.clone()),
        ("GASTOWN_TOWN_ID", request.town_id.clone()),
        ("GASTOWN_AGENT_ROLE", request.role.clone()),
    ]
    .into_iter()
}

/// Whether a variable is a setting of the service, and so no business of an agent.
pub(crate) fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"BEADRIG_")
        || CONTAINER_NAMES.iter().any(|ours| name == *ours)
}

fn fill(argument: &str, request: &StartAgent, workdir: &Path) -> String {
    fill_with(argument, |name| placeholder(name, request, workdir))
}

/// Replaces the placeholders in one argument, in one pass: what a prompt contains is not looked at again.
pub(crate) fn fill_with(argument: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let close = rest.find('}').unwrap_or(0);
        if let Some(value) = value(rest.get(1..close).unwrap_or_default()) {
            filled.push_str(&value);
            rest = &rest[close + 1..];
        } else {
            filled.push('{');
            rest = &rest[1..];
        }
    }
    filled.push_str(rest);
    filled
}

fn placeholder(name: &str, request: &StartAgent, workdir: &Path) -> Option<String> {
    Some(match name {
        "prompt" => request.prompt.clone(),
        "title" => request.title.clone(),
        "bead_id" => request.bead_id.clone(),
        "agent_id" => request.agent_id.clone(),
        "rig_id" => request.rig_id.clone(),
        "job_id" => request.job_id.clone(),
        "attempt" => request.attempt.to_string(),
        "model" => request.model.clone().unwrap_or_default(),
        "workdir" => workdir.to_string_lossy().into_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use beadrig::wire::container::Secret;

    use super::*;

    fn request() -> StartAgent {
        let text = |text: &str| text.to_owned();
        StartAgent {
            protocol: 1,
            agent_id: text("a1"),
            rig_id: text("r1"),
            town_id: text("t1"),
            bead_id: text("b-1"),
            attempt: 3,
            job_id: text("0123456789ab"),
            role: text("polecat"),
            name: text("Toast"),
            identity: text("Toast-polecat-r1"),
            command: vec![text("agent"), text("{prompt}")],
            prompt: text("do {title} in {workdir}"),
            title: text("{prompt}"),
            model: None,
            session_token: Secret::new("session"),
            time_limit_s: 60,
            git: None,
            env_vars: [
                ("EXTRA".to_owned(), "1".to_owned()),
                ("BEADRIG_RIG".to_owned(), "no".to_owned()),
            ]
            .into(),
        }
    }

    #[test]
    fn placeholders_are_replaced_once() {
        let fill = |word| fill(word, &request(), Path::new("/w"));
        assert_eq!(fill("{prompt}"), "do {title} in {workdir}");
        assert_eq!(fill("-p={title};{bead_id}/{attempt}{model}."), "-p={prompt};b-1/3.");
        assert_eq!(fill("{workdir} {job_id} {agent_id}@{rig_id}"), "/w 0123456789ab a1@r1");
    }

    #[test]
    fn other_braces_stay() {
        let fill = |word| fill(word, &request(), Path::new("/w"));
        for plain in ["{", "}", "{}", "}{", "{\"json\": {\"a\": 1}}", "{Prompt}", "{unknown} ä{"] {
            assert_eq!(fill(plain), plain);
        }
        assert_eq!(fill("{{bead_id}}"), "{b-1}");
    }

    #[test]
    fn the_environment_says_who_the_agent_is_and_nothing_of_the_service() {
        let config = Config::read(|name| match name {
            "BEADRIG_CONTAINER_TOKEN" => Some("0123456789abcdef0123456789abcdef".to_owned()),
            "BEADRIG_URL" => Some("http://rig".to_owned()),
            "BEADRIG_AGENTS_DIR" => Some("/agents".to_owned()),
            _ => None,
        });
        let os = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let inherited = vec![
            os("HOME", "/home"),
            os("PATH", "/bin"),
            os("BEADRIG_CONTAINER_TOKEN", "secret"),
            os("BEADRIG_ANYTHING", "secret"),
            os("GRACE_MS", "5"),
        ];
        let found = environment(
            &request(),
            &config.unwrap(),
            OsStr::new("/data"),
            Path::new("/w"),
            inherited,
        );
        let get = |name: &str| {
            let value = found.iter().find(|(key, _)| key == name).map(|(_, value)| value);
            value.map(|value| value.to_string_lossy().into_owned())
        };
        assert_eq!(get("HOME").as_deref(), Some("/home"));
        assert_eq!(get("EXTRA").as_deref(), Some("1"));
        assert_eq!(get("BEADRIG_RIG").as_deref(), Some("r1"));
        assert_eq!(get("GASTOWN_SESSION_TOKEN").as_deref(), Some("session"));
        assert!(
            get("PATH").is_some_and(|path| path.starts_with("/agents:") && path.ends_with(":/bin"))
        );
        assert_eq!(get("GRACE_MS"), None);
        assert!(!format!("{found:?}").contains("secret"));
    }
}
