//! The settings, from the environment. A bad one is refused at start, with its name and what it takes.
//!
//! It must never show the token.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use beadrig::token::SECRET_BYTES_MIN;
use beadrig::wire::container::Secret;
use thiserror::Error;

use crate::jobs::settings::JobSettings;
use crate::limits::{
    DATA_DIR_DEFAULT, DRAIN_MS_DEFAULT, GRACE_MS_DEFAULT, HEARTBEAT_MS_DEFAULT,
    IDLE_OUTPUT_S_DEFAULT, LEASE_MS_DEFAULT, LISTEN_DEFAULT, MAX_CONCURRENCY_DEFAULT,
    MAX_CONCURRENCY_MAX, MIN_FREE_DISK_MB_DEFAULT, MIN_FREE_MEMORY_MB_DEFAULT, OUTPUT_MB_DEFAULT,
    RUN_MEMORY_MB_DEFAULT, RUN_PROCESSES_DEFAULT, SETTING_MS_MAX, SETTING_SIZE_MAX,
    TIME_LIMIT_S_MAX,
};
use crate::process::meter::Bounds;
use crate::room;

const MIB: u64 = 1024 * 1024;

/// What `--help` says.
pub const HELP: &str = "\
beadrig-container: runs the processes of a town's agents.

It takes no arguments; it reads its settings from the environment:

  BEADRIG_CONTAINER_TOKEN   the token that rigs show and that it shows to rigs (required)
  BEADRIG_URL               where the rig API is, http:// or https:// (required)
  BEADRIG_CONTAINER_LISTEN  address and port to listen on (0.0.0.0:8080)
  BEADRIG_DATA_DIR          where runs have their working directories (/var/lib/beadrig)
  BEADRIG_INCARNATION       the number of this start, given by the town; shown in /health (none)
  BEADRIG_AGENTS_DIR        put first on the agents' PATH (the directory of this program)
  HEARTBEAT_MS              between two heartbeats, in milliseconds (30000)
  GRACE_MS                  between TERM and KILL, in milliseconds (10000)
  MAX_CONCURRENCY           how many agents may run at once (10)
  JOB_COMMAND               what a job runs; {prompt}, {agent}, {budget}, {job_id} and {workdir} are filled in
                            (claude -p --agent {agent} … -- {prompt})
  JOB_CONCURRENCY           how many of the places of agents jobs may have; 0: all (0)
  MAX_QUEUE_DEPTH           how many jobs may wait and run (100)
  JOB_TTL_S                 how long a job that is over is kept, in seconds (604800)
  LEASE_MS                  without an accepted heartbeat for this long, runs are suspended (120000)
  DRAIN_MS                  how long agents may go on once the service ends, in milliseconds (15000)
  IDLE_OUTPUT_S             a run that prints nothing for so many seconds is ended; 0: never (0)
  OUTPUT_MB_MAX             what a run may print; the rest is cut, but for its end (256)
  RUN_MEMORY_MB             what the processes of a run may take; 0: 3/4 of the memory (0)
  RUN_PROCESSES             how many processes a run may have; 0: any number (512)
  RUN_CGROUPS               auto: a cgroup for each run, where the service may make one; off: never (auto)
  MIN_FREE_MEMORY_MB        memory that must be free for a start (128)
  MIN_FREE_DISK_MB          disk that must be free for a start (256)
  RUST_LOG                  what is logged to standard error (info)

SIGTERM or SIGINT: no more work is taken, agents are told to finish, then ended, all within 60 seconds, and their
rigs are told. A second one ends the service at once.
";

/// The settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What rigs show, and what rigs are shown.
    pub token: Secret,
    /// Where the rig API is, without a slash at the end.
    pub rig_url: String,
    /// Where runs have their working directories.
    pub data_dir: PathBuf,
    /// The number of this start, if a town gave one.
    pub incarnation: Option<i64>,
    /// First on the agents' `PATH`; the program's own directory comes next.
    pub agents_dir: PathBuf,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// How many agents may run at once.
    pub max_concurrency: usize,
    /// How jobs run.
    pub jobs: JobSettings,
    /// How long runs go on without an accepted heartbeat.
    pub lease: Duration,
    /// How long agents may go on once the service ends.
    pub drain: Duration,
    /// How long a run may print nothing.
    pub idle: Option<Duration>,
    /// What a run may print.
    pub output_bytes_max: u64,
    /// What the processes of a run may take together, in bytes.
    pub run_memory: Option<u64>,
    /// How many processes a run may have.
    pub run_processes: Option<u64>,
    /// Whether each run gets a cgroup, where that can be had.
    pub run_cgroups: bool,
    /// Bytes of memory that must be free for a start.
    pub min_free_memory: u64,
    /// Bytes of disk that must be free for a start.
    pub min_free_disk: u64,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} {problem}")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
}

impl Config {
    /// Reads the settings through `lookup`; an empty value counts as none.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let token = get("BEADRIG_CONTAINER_TOKEN")
            .ok_or_else(|| bad("BEADRIG_CONTAINER_TOKEN", "is required"))?;
        if token.len() < SECRET_BYTES_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad(
                "BEADRIG_CONTAINER_TOKEN",
                format!("takes at least {SECRET_BYTES_MIN} visible ASCII characters"),
            ));
        }
        let listen = get("BEADRIG_CONTAINER_LISTEN").unwrap_or_else(|| LISTEN_DEFAULT.to_owned());
        let listen = listen.parse().map_err(|_| {
            let problem =
                format!("takes an address and a port like {LISTEN_DEFAULT}, not {listen:?}");
            bad("BEADRIG_CONTAINER_LISTEN", problem)
        })?;
        let max_concurrency =
            number(&get, "MAX_CONCURRENCY", MAX_CONCURRENCY_DEFAULT, 1, MAX_CONCURRENCY_MAX)?;
        let millis = |name, default, min| number(&get, name, default, min, SETTING_MS_MAX);
        let size = |name, default| number(&get, name, default, 0, SETTING_SIZE_MAX);
        let idle = number(&get, "IDLE_OUTPUT_S", IDLE_OUTPUT_S_DEFAULT, 0, TIME_LIMIT_S_MAX)?;
        let memory = size("RUN_MEMORY_MB", RUN_MEMORY_MB_DEFAULT)?;
        let processes = size("RUN_PROCESSES", RUN_PROCESSES_DEFAULT)?;
        Ok(Self {
            listen,
            token: Secret::new(token),
            rig_url: rig_url(get("BEADRIG_URL"))?,
            data_dir: get("BEADRIG_DATA_DIR").unwrap_or_else(|| DATA_DIR_DEFAULT.to_owned()).into(),
            incarnation: get("BEADRIG_INCARNATION").map(incarnation).transpose()?,
            agents_dir: get("BEADRIG_AGENTS_DIR").map_or_else(program_dir, PathBuf::from),
            heartbeat: Duration::from_millis(millis("HEARTBEAT_MS", HEARTBEAT_MS_DEFAULT, 10)?),
            grace: Duration::from_millis(millis("GRACE_MS", GRACE_MS_DEFAULT, 0)?),
            max_concurrency: usize::try_from(max_concurrency).unwrap_or(usize::MAX),
            jobs: JobSettings::read(&get, max_concurrency)?,
            lease: Duration::from_millis(millis("LEASE_MS", LEASE_MS_DEFAULT, 10)?),
            drain: Duration::from_millis(millis("DRAIN_MS", DRAIN_MS_DEFAULT, 0)?),
            idle: (idle > 0).then(|| Duration::from_secs(idle)),
            output_bytes_max: size("OUTPUT_MB_MAX", OUTPUT_MB_DEFAULT)? * MIB,
            run_memory: if memory > 0 { Some(memory * MIB) } else { room::most_of_memory() },
            run_processes: (processes > 0).then_some(processes),
            run_cgroups: cgroups(get("RUN_CGROUPS"))?,
            min_free_memory: size("MIN_FREE_MEMORY_MB", MIN_FREE_MEMORY_MB_DEFAULT)? * MIB,
            min_free_disk: size("MIN_FREE_DISK_MB", MIN_FREE_DISK_MB_DEFAULT)? * MIB,
        })
    }

    /// The bounds of a run that may take so long.
    pub fn bounds(&self, time: Duration) -> Bounds {
        let Self { idle, run_memory, run_processes, .. } = self;
        Bounds { time, idle: *idle, memory: *run_memory, processes: *run_processes }
    }
}

/// The directory of this program: where `beadrig` and the agents that ship with it lie.
pub fn program_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().map(PathBuf::from).unwrap_or_default()
}

fn rig_url(value: Option<String>) -> Result<String, ConfigError> {
    let value = value.ok_or_else(|| bad("BEADRIG_URL", "is required"))?;
    let takes =
        || bad("BEADRIG_URL", format!("takes an http:// or https:// address, not {value:?}"));
    let url = reqwest::Url::parse(&value).map_err(|_| takes())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(takes());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

pub(crate) fn number(
    get: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: u64,
    min: u64,
    max: u64,
) -> Result<u64, ConfigError> {
    let Some(value) = get(name) else { return Ok(default) };
    let number = value.trim().parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| {
        bad(name, format!("takes a whole number from {min} to {max}, not {value:?}"))
    })
}

fn cgroups(value: Option<String>) -> Result<bool, ConfigError> {
    match value.as_deref().map(str::trim) {
        None | Some("auto") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => Err(bad("RUN_CGROUPS", format!("takes auto or off, not {other:?}"))),
    }
}

fn incarnation(value: String) -> Result<i64, ConfigError> {
    let takes = |_| bad("BEADRIG_INCARNATION", format!("takes a number, not {value:?}"));
    value.trim().parse().map_err(takes)
}

pub(crate) fn bad(name: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError { name, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn read(set: &[(&str, &str)]) -> Result<Config, String> {
        let base = [("BEADRIG_CONTAINER_TOKEN", TOKEN), ("BEADRIG_URL", "http://rig:8787/")];
        Config::read(|name| {
            let found = set.iter().chain(&base).find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_need_only_a_token_and_a_url() {
        let config = read(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(config.rig_url, "http://rig:8787");
        assert_eq!(config.data_dir, PathBuf::from("/var/lib/beadrig"));
        assert_eq!(config.max_concurrency, 10);
    }

    #[test]
    fn a_bad_value_is_named_with_what_it_takes() {
        let refused = |name, value| read(&[(name, value)]).unwrap_err();
        assert_eq!(
            refused("GRACE_MS", "soon"),
            "GRACE_MS takes a whole number from 0 to 86400000, not \"soon\""
        );
        assert_eq!(
            refused("MAX_CONCURRENCY", "0"),
            "MAX_CONCURRENCY takes a whole number from 1 to 1000, not \"0\""
        );
        assert_eq!(
            refused("BEADRIG_URL", "rig:8787"),
            "BEADRIG_URL takes an http:// or https:// address, not \"rig:8787\""
        );
        assert_eq!(refused("BEADRIG_URL", " "), "BEADRIG_URL is required");
        assert_eq!(refused("RUN_CGROUPS", "on"), "RUN_CGROUPS takes auto or off, not \"on\"");
        assert!(refused("BEADRIG_CONTAINER_LISTEN", "8080").contains("0.0.0.0:8080"));
    }

    #[test]
    fn the_number_of_a_start_is_optional_and_a_number() {
        assert_eq!(read(&[]).unwrap().incarnation, None);
        let number = read(&[("BEADRIG_INCARNATION", "1767225600000")]).unwrap().incarnation;
        assert_eq!(number, Some(1_767_225_600_000));
        let refused = read(&[("BEADRIG_INCARNATION", "first")]).unwrap_err();
        assert_eq!(refused, "BEADRIG_INCARNATION takes a number, not \"first\"");
    }

    #[test]
    fn a_short_token_is_refused_without_being_shown() {
        let refused = read(&[("BEADRIG_CONTAINER_TOKEN", "hunter2")]).unwrap_err();
        assert_eq!(refused, "BEADRIG_CONTAINER_TOKEN takes at least 32 visible ASCII characters");
    }
}
