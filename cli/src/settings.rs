//! Which rig, with which token, in whose name: flags, then the environment, then `.beadrig/config.json` found upward
//! from the current directory, then the person's own `~/.config/beadrig/config.json`, then the defaults. Knows where
//! each value came from, and never shows the token itself.

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
/// Whose directory of towns and rigs: who is alone needs no name.
const DEFAULT_USER: &str = "operator";

/// Everything a client needs to know.
#[derive(Debug)]
pub struct Settings {
    /// Without a slash at the end.
    pub url: String,
    /// The rig's name.
    pub rig: String,
    /// Whose towns and rigs.
    pub user: String,
    /// Who is allowed.
    pub token: Token,
    /// `--actor`; the rest is looked up when it is needed.
    pub actor: Option<String>,
    /// What a file says of it, for who has no such variable.
    pub actor_in_file: Option<Said>,
    /// The project's file, if there is one.
    pub project: Option<PathBuf>,
    /// Whether nothing may be written, here neither.
    pub readonly: bool,
    /// How long a rig that is away is tried again.
    pub patience: Duration,
    /// How long one request may take.
    pub deadline: Duration,
    /// What a person should mend.
    pub warnings: Vec<String>,
}

/// A value, and where it came from.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Said {
    /// What.
    pub value: String,
    /// `--url`, `BEADRIG_URL`, a file, or `default`.
    pub source: String,
}

/// All that was found, before anybody asks whether it is enough.
#[derive(Debug)]
pub struct Found {
    /// Where the service is; not yet checked.
    pub url: Said,
    /// Which rig.
    pub rig: Said,
    /// Whose towns and rigs.
    pub user: Said,
    /// What a file says of who does this.
    pub actor: Option<Said>,
    /// Who is allowed.
    pub token: Option<Token>,
    /// The project's file, if there is one.
    pub project: Option<PathBuf>,
    /// The person's file, if there is one.
    pub own: Option<PathBuf>,
    /// What a person should mend.
    pub warnings: Vec<String>,
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

/// A `config.json`, and where it is.
#[derive(Default, Deserialize)]
struct Document {
    url: Option<String>,
    rig: Option<String>,
    user: Option<String>,
    actor: Option<String>,
    token: Option<String>,
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl Document {
    fn name(&self) -> String {
        self.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

/// Looks in all places, in order, and needs a token.
pub fn read(global: &Global) -> Result<Settings, Failure> {
    let found = find(global)?;
    let token = found.token.ok_or_else(|| {
        Failure::fatal("no token for the rig")
            .hint("give it with --token-file FILE, in BEADRIG_TOKEN, or as \"token\" in .beadrig/config.json")
    })?;
    if found.project.as_ref().is_some_and(|path| {
        let project = path.display().to_string();
        found.url.source == project && token.source != project
    }) {
        not_to_a_stranger(&found.url)?;
    }
    Ok(Settings {
        url: check_url(found.url.value)?,
        rig: found.rig.value,
        user: found.user.value,
        token,
        actor: global.actor.clone().filter(|name| !name.is_empty()),
        actor_in_file: found.actor,
        project: found.project,
        readonly: global.readonly,
        patience: Duration::from_secs(number("BEADRIG_RETRY_S")?.unwrap_or(0)),
        deadline: Duration::from_millis(number("BEADRIG_DEADLINE_MS")?.unwrap_or(DEADLINE_MS)),
        warnings: found.warnings,
    })
}

/// Looks in all places, in order.
pub fn find(global: &Global) -> Result<Found, Failure> {
    let (project, own) = (project()?, own()?);
    let warnings = own.iter().chain(&project).filter_map(exposed).collect();
    let (project, own) = (project.unwrap_or_default(), own.unwrap_or_default());
    let said = |flag: (&str, &Option<String>),
                name: &str,
                of: fn(&Document) -> &Option<String>,
                default| {
        let flagged = flag.1.clone().map(|value| (value, flag.0.to_owned()));
        let in_file = |file: &Document| Some((of(file).clone()?, file.name()));
        let (value, source) = flagged
            .or_else(|| Some((var(name)?, name.to_owned())))
            .or_else(|| in_file(&project))
            .or_else(|| in_file(&own))
            .unwrap_or_else(|| (String::from(default), "default".into()));
        Said { value, source }
    };
    let named = |file: &Document| {
        let value = file.actor.clone().filter(|name| !name.trim().is_empty())?;
        Some(Said { value, source: file.name() })
    };
    let actor = named(&project).or_else(|| named(&own));
    Ok(Found {
        url: said(("--url", &global.url), "BEADRIG_URL", |file| &file.url, DEFAULT_URL),
        rig: said(("--rig", &global.rig), "BEADRIG_RIG", |file| &file.rig, DEFAULT_RIG),
        user: said(("--user", &None), "BEADRIG_USER", |file| &file.user, DEFAULT_USER),
        actor,
        token: token(global.token_file.as_deref(), &[&project, &own])?,
        project: project.path,
        own: own.path,
        warnings,
    })
}

/// Whose name the changes carry. Agents have `BEADS_ACTOR`, so that git is asked for people only.
pub fn actor(flag: Option<&str>, in_file: Option<&Said>) -> String {
    who(flag, in_file).value
}

/// The same, and where it came from.
pub fn who(flag: Option<&str>, in_file: Option<&Said>) -> Said {
    let of = |value: String, source: &str| Said { value, source: source.into() };
    said_actor(flag, in_file)
        .or_else(|| Some(of(git_user()?, "git's user.name")))
        .or_else(|| Some(of(var("USER")?, "USER")))
        .unwrap_or_else(|| of("unknown".into(), "default"))
}

/// As far as it is said, and nobody has to be asked.
pub fn said_actor(flag: Option<&str>, in_file: Option<&Said>) -> Option<Said> {
    let of = |value: String, source: &str| Said { value, source: source.into() };
    flag.filter(|name| !name.is_empty())
        .map(|name| of(name.into(), "--actor"))
        .or_else(|| {
            let mut names = ["BEADRIG_ACTOR", "BEADS_ACTOR", "BD_ACTOR"].into_iter();
            names.find_map(|name| Some(of(var(name)?, name)))
        })
        .or_else(|| in_file.cloned())
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

fn token(flag: Option<&Path>, files: &[&Document]) -> Result<Option<Token>, Failure> {
    let in_file = |file: &&Document| Some((file.token.clone()?, file.name()));
    let (secret, source) = if let Some(path) = flag {
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::fatal(format!("cannot read the token file {}: {error}", path.display()))
        })?;
        (text, path.display().to_string())
    } else if let Some(text) = var("BEADRIG_TOKEN") {
        (text, "BEADRIG_TOKEN".into())
    } else if let Some(said) = files.iter().find_map(in_file) {
        said
    } else {
        return Ok(None);
    };
    let secret = secret.trim().to_owned();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::fatal(format!(
            "the token from {source} is empty, or has characters no token has"
        )));
    }
    Ok(Some(Token { secret, source }))
}

/// A project file may be anybody's: a token that is not its own goes to its address only on this machine.
fn not_to_a_stranger(url: &Said) -> Result<(), Failure> {
    if is_here(&url.value) {
        return Ok(());
    }
    let Said { value, source } = url;
    Err(Failure::fatal(format!("the address {value} is from {source}, but the token is not"))
        .hint("give both: --url and the token, or both in the file"))
}

/// Whether it is on this machine.
pub fn is_here(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default().split(['/', ':']).next();
    matches!(host, Some("127.0.0.1" | "localhost"))
}

/// The nearest one upward, if there is one.
fn project() -> Result<Option<Document>, Failure> {
    let Ok(mut dir) = env::current_dir() else { return Ok(None) };
    loop {
        // Any trouble to open it is taken for absence: a directory above may be somebody else's.
        let found = document(&dir.join(".beadrig/config.json"))?;
        if found.is_some() || !dir.pop() {
            return Ok(found);
        }
    }
}

/// Where the person's own file would be.
pub fn own_path() -> Option<PathBuf> {
    let base = var("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(var("HOME")?).join(".config")))?;
    Some(base.join("beadrig/config.json"))
}

/// Where what this command remembers would be.
pub fn state() -> Option<PathBuf> {
    let base = var("XDG_STATE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(var("HOME")?).join(".local/state")))?;
    Some(base.join("beadrig"))
}

fn own() -> Result<Option<Document>, Failure> {
    own_path().map_or(Ok(None), |path| document(&path))
}

fn document(path: &Path) -> Result<Option<Document>, Failure> {
    let Ok(text) = fs::read(path) else { return Ok(None) };
    // Where in the file is said, what is there is not: it may be the token.
    let document: Document = serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let name = path.display();
        Failure::fatal(format!(
            "{name}, line {line}, column {column}: not {{\"url\", \"rig\", \"user\", \"actor\", \"token\"}}"
        ))
    })?;
    Ok(Some(Document { path: Some(path.to_owned()), ..document }))
}

/// Whether others on the machine can read the token in it.
#[cfg(unix)]
fn exposed(document: &Document) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    document.token.as_ref()?;
    let path = document.path.as_deref()?;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let name = path.display();
        format!("{name} holds a token and others can read it (mode {mode:03o}): chmod 600 {name}")
    })
}

#[cfg(not(unix))]
fn exposed(_: &Document) -> Option<String> {
    None
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
