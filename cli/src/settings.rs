//! Which rig, with which token, in whose name: flags, then the environment, then `.beadrig/config.json` found upward
//! from the current directory, then the defaults. Knows where the token came from, and never shows the token itself.

use crate::args::Global;
use crate::failure::Failure;
use beadrig::settings::DEFAULT_RIG;
use serde::Deserialize;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const DEFAULT_URL: &str = "http://127.0.0.1:8787";
/// Longer than any answer of a healthy rig; short enough that a person is still there.
const DEADLINE_MS: u64 = 10_000;

/// Everything a client needs to know.
#[derive(Debug)]
pub struct Settings {
    /// Without a slash at the end.
    pub url: String,
    /// The rig's name.
    pub rig: String,
    /// Who is allowed.
    pub token: Token,
    /// `--actor`; the rest is looked up when it is needed.
    pub actor: Option<String>,
    /// How long a rig that is away is tried again.
    pub patience: Duration,
    /// How long one request may take.
    pub deadline: Duration,
}

/// A secret, and where it came from.
pub struct Token {
    secret: String,
    /// For messages: `BEADRIG_TOKEN`, or a file.
    pub source: String,
}

impl Token {
    /// For the one header that carries it.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(from {})", self.source)
    }
}

/// `.beadrig/config.json`.
#[derive(Default, Deserialize)]
struct Project {
    url: Option<String>,
    rig: Option<String>,
    token: Option<String>,
}

/// Looks in all places, in order.
pub fn read(global: &Global) -> Result<Settings, Failure> {
    let (project, project_path) = project()?;
    let said = global.url.clone().or_else(|| var("BEADRIG_URL"));
    let own_token = global.token_file.is_some() || var("BEADRIG_TOKEN").is_some();
    if let (None, true, Some(url)) = (&said, own_token, &project.url) {
        not_to_a_stranger(url, &project_path)?;
    }
    let url = said.or(project.url);
    let rig = global.rig.clone().or_else(|| var("BEADRIG_RIG")).or(project.rig);
    Ok(Settings {
        url: check_url(url.unwrap_or_else(|| DEFAULT_URL.into()))?,
        rig: rig.unwrap_or_else(|| DEFAULT_RIG.into()),
        token: token(global.token_file.as_deref(), project.token, &project_path)?,
        actor: global.actor.clone().filter(|name| !name.is_empty()),
        patience: Duration::from_secs(number("BEADRIG_RETRY_S")?.unwrap_or(0)),
        deadline: Duration::from_millis(number("BEADRIG_DEADLINE_MS")?.unwrap_or(DEADLINE_MS)),
    })
}

/// Whose name the changes carry. Agents have `BEADS_ACTOR`, so that git is asked for people only.
pub fn actor(flag: Option<&str>) -> String {
    flag.map(str::to_owned)
        .or_else(|| ["BEADRIG_ACTOR", "BEADS_ACTOR", "BD_ACTOR"].into_iter().find_map(var))
        .or_else(git_user)
        .or_else(|| var("USER"))
        .unwrap_or_else(|| "unknown".into())
}

fn git_user() -> Option<String> {
    let output = Command::new("git")
        .args(["config", "user.name"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

/// Empty is as good as not set.
fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn number(name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = var(name) else { return Ok(None) };
    let number = text.trim().parse();
    number
        .map(Some)
        .map_err(|_| Failure::fatal(format!("{name} is {text:?}, but it takes a whole number")))
}

fn token(
    file: Option<&Path>,
    project: Option<String>,
    project_path: &Path,
) -> Result<Token, Failure> {
    let (secret, source) = if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::fatal(format!("cannot read the token file {}: {error}", path.display()))
        })?;
        (text, path.display().to_string())
    } else if let Some(text) = var("BEADRIG_TOKEN") {
        (text, "BEADRIG_TOKEN".into())
    } else if let Some(text) = project {
        (text, project_path.display().to_string())
    } else {
        return Err(Failure::fatal("no token for the rig")
            .hint("give it with --token-file FILE, in BEADRIG_TOKEN, or as \"token\" in .beadrig/config.json"));
    };
    let secret = secret.trim().to_owned();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::fatal(format!(
            "the token from {source} is empty, or has characters no token has"
        )));
    }
    Ok(Token { secret, source })
}

/// A project file may be anybody's: a token that is not its own goes to its address only on this machine.
fn not_to_a_stranger(url: &str, project: &Path) -> Result<(), Failure> {
    let host = url.split("://").nth(1).unwrap_or_default().split(['/', ':']).next();
    if matches!(host, Some("127.0.0.1" | "localhost")) {
        return Ok(());
    }
    let file = project.display();
    Err(Failure::fatal(format!("the address {url} is from {file}, but the token is not"))
        .hint("give both: --url and the token, or both in the file"))
}

/// The nearest one upward, if there is one.
fn project() -> Result<(Project, PathBuf), Failure> {
    let Ok(mut dir) = env::current_dir() else { return Ok(<_>::default()) };
    loop {
        let path = dir.join(".beadrig/config.json");
        // Any trouble to open it is taken for absence: a directory above may be somebody else's.
        if let Ok(text) = fs::read(&path) {
            // Where in the file is said, what is there is not: it may be the token.
            let project = serde_json::from_slice(&text).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                let name = path.display();
                Failure::fatal(format!(
                    "{name}, line {line}, column {column}: not {{\"url\", \"rig\", \"token\"}}"
                ))
            })?;
            return Ok((project, path));
        }
        if !dir.pop() {
            return Ok(<_>::default());
        }
    }
}

fn check_url(url: String) -> Result<String, Failure> {
    let url = url.trim().trim_end_matches('/');
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match host.map(|rest| rest.split('/').next().unwrap_or_default()) {
        None | Some("") => Err(Failure::fatal(format!(
            "the URL {url:?} must start with http:// or https:// and a host"
        ))),
        // URLs are printed in errors.
        Some(host) if host.contains('@') => Err(Failure::fatal("the URL has a user name in it")
            .hint("give the token with --token-file or BEADRIG_TOKEN")),
        Some(_) => Ok(url.to_owned()),
    }
}

/// An address as it may be written into a file.
pub fn usable_url(url: &str) -> Result<String, Failure> {
    check_url(url.to_owned())
}
