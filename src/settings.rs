//! What an operator may set: names, defaults, and what each takes.
//!
//! A bad value is refused at the start with its name; nothing here falls back in silence.

use thiserror::Error;

use crate::town::Patience;

/// The settings of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `TOWN`: the town that the rigs belong to, and so the container they share.
    pub town: String,
    /// `AGENT_COMMAND`: the command an agent is, with placeholders; quotes as in a shell.
    pub agent_command: Vec<String>,
    /// `AGENT_MODEL`: handed to the command as `{model}`.
    pub agent_model: Option<String>,
    /// `DISPATCH_ENABLED`: whether beads are claimed.
    pub dispatch_enabled: bool,
    /// `MAX_AGENTS`: at work at once in a rig.
    pub max_agents: u32,
    /// `MAX_ATTEMPTS`: runs of a bead in 24 h.
    pub max_attempts: usize,
    /// `BACK_OFF_MS`: waits after the first, second, … run that failed; the last one repeats.
    pub back_off_ms: Vec<i64>,
    /// `ARM_DELAY_MS`: from a change to the tick that acts on it; bursts share a tick.
    pub arm_delay_ms: i64,
    /// `ACTIVE_ALARM_MS`: between ticks while there is work.
    pub active_alarm_ms: i64,
    /// `IDLE_ALARM_MS`: between ticks while there is none; 0: never.
    pub idle_alarm_ms: i64,
    /// `START_TIMEOUT_MS`: within it a start must be confirmed.
    pub start_timeout_ms: i64,
    /// `HEARTBEAT_STALE_MS`: a run that was not heard of for this long is asked after.
    pub heartbeat_stale_ms: i64,
    /// `RUN_TIMEOUT_S`: a run may take so long.
    pub run_timeout_s: u32,
    /// `GUPP_MS`: an agent that was silent for this long is told that its work must move.
    pub gupp_ms: i64,
    /// `REAPER_MS`: a bead for agents on which nothing moved for longer than this is blocked.
    pub reaper_ms: i64,
    /// `MAX_BUDGET_USD`: what the runs of a bead may cost together, in millionths of a dollar; 0: no bound.
    pub max_budget_micros: i64,
    /// `CONTAINER_GRACE_MS`: so long after its start nothing is expected of a container.
    pub container_grace_ms: i64,
    /// `CONTAINER_WEDGED_MS`: a container that has not answered for so long is replaced.
    pub container_wedged_ms: i64,
    /// `CORS_ORIGIN`: the origin whose pages may call the API; none without it.
    pub cors_origin: Option<String>,
}

/// The name of every setting, for those who want to refuse one that does not exist.
pub const NAMES: [&str; 19] = [
    "TOWN",
    "AGENT_COMMAND",
    "AGENT_MODEL",
    "DISPATCH_ENABLED",
    "MAX_AGENTS",
    "MAX_ATTEMPTS",
    "BACK_OFF_MS",
    "ARM_DELAY_MS",
    "ACTIVE_ALARM_MS",
    "IDLE_ALARM_MS",
    "START_TIMEOUT_MS",
    "HEARTBEAT_STALE_MS",
    "RUN_TIMEOUT_S",
    "GUPP_MS",
    "REAPER_MS",
    "MAX_BUDGET_USD",
    "CONTAINER_GRACE_MS",
    "CONTAINER_WEDGED_MS",
    "CORS_ORIGIN",
];

/// The rig of whoever names none.
pub const DEFAULT_RIG: &str = "main";

/// The settings that a rig may have of its own, by the names they have there.
pub const OF_A_RIG: [&str; 13] = [
    "town",
    "agent_command",
    "agent_model",
    "dispatch_enabled",
    "max_agents",
    "max_attempts",
    "back_off_ms",
    "active_alarm_ms",
    "idle_alarm_ms",
    "run_timeout_s",
    "gupp_ms",
    "reaper_ms",
    "max_budget_usd",
];

/// What the container service reads of its own; a worker that starts one hands these on.
pub const CONTAINER_NAMES: [&str; 16] = [
    "DRAIN_MS",
    "GRACE_MS",
    "HEARTBEAT_MS",
    "IDLE_OUTPUT_S",
    "JOB_COMMAND",
    "JOB_CONCURRENCY",
    "JOB_TTL_S",
    "LEASE_MS",
    "MAX_CONCURRENCY",
    "MAX_QUEUE_DEPTH",
    "MIN_FREE_DISK_MB",
    "MIN_FREE_MEMORY_MB",
    "OUTPUT_MB_MAX",
    "RUN_CGROUPS",
    "RUN_MEMORY_MB",
    "RUN_PROCESSES",
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            town: "local".to_owned(),
            agent_command: vec!["example-agent".to_owned()],
            agent_model: None,
            dispatch_enabled: true,
            max_agents: 5,
            max_attempts: 5,
            back_off_ms: vec![30_000, 60_000, 120_000, 300_000, 600_000],
            arm_delay_ms: 100,
            active_alarm_ms: 30_000,
            idle_alarm_ms: 300_000,
            start_timeout_ms: 60_000,
            heartbeat_stale_ms: 90_000,
            run_timeout_s: 2_700,
            gupp_ms: 1_800_000,
            reaper_ms: 1_800_000,
            max_budget_micros: 5_000_000,
            container_grace_ms: 120_000,
            container_wedged_ms: 60_000,
            cors_origin: None,
        }
    }
}

/// A setting that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name} is {value:?}, but it takes {takes}")]
pub struct BadSetting {
    name: &'static str,
    value: String,
    takes: &'static str,
}

impl BadSetting {
    /// What the setting takes.
    pub fn takes(&self) -> &'static str {
        self.takes
    }
}

impl Settings {
    /// Reads the settings; `var` answers what an environment holds under a name, if it holds anything.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        Self::default().with(var)
    }

    /// These settings, but for what `var` holds.
    pub fn with(&self, var: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let vars = Vars(var);
        let default = self.clone();
        Ok(Self {
            town: vars.name("TOWN", default.town)?,
            agent_command: vars.command("AGENT_COMMAND", default.agent_command)?,
            agent_model: vars.text("AGENT_MODEL").or(default.agent_model),
            dispatch_enabled: vars.switch("DISPATCH_ENABLED", default.dispatch_enabled)?,
            max_agents: vars.number(
                "MAX_AGENTS",
                1,
                50,
                "a number from 1 to 50",
                default.max_agents,
            )?,
            max_attempts: vars.number(
                "MAX_ATTEMPTS",
                1,
                20,
                "a number from 1 to 20",
                default.max_attempts,
            )?,
            back_off_ms: vars.waits("BACK_OFF_MS", default.back_off_ms)?,
            arm_delay_ms: vars.millis("ARM_DELAY_MS", 0, default.arm_delay_ms)?,
            active_alarm_ms: vars.millis("ACTIVE_ALARM_MS", 1_000, default.active_alarm_ms)?,
            idle_alarm_ms: vars.millis("IDLE_ALARM_MS", 0, default.idle_alarm_ms)?,
            start_timeout_ms: vars.millis("START_TIMEOUT_MS", 1_000, default.start_timeout_ms)?,
            heartbeat_stale_ms: vars.millis(
                "HEARTBEAT_STALE_MS",
                1_000,
                default.heartbeat_stale_ms,
            )?,
            run_timeout_s: vars.number(
                "RUN_TIMEOUT_S",
                1,
                86_400,
                "seconds from 1 to 86400",
                default.run_timeout_s,
            )?,
            gupp_ms: vars.millis("GUPP_MS", 1_000, default.gupp_ms)?,
            reaper_ms: vars.millis("REAPER_MS", 1_000, default.reaper_ms)?,
            max_budget_micros: vars.parsed(
                "MAX_BUDGET_USD",
                "dollars from 0 (no bound) to 100000, such as 5 or 2.50",
                default.max_budget_micros,
                micros,
            )?,
            container_grace_ms: vars.millis(
                "CONTAINER_GRACE_MS",
                1_000,
                default.container_grace_ms,
            )?,
            container_wedged_ms: vars.millis(
                "CONTAINER_WEDGED_MS",
                1_000,
                default.container_wedged_ms,
            )?,
            cors_origin: vars.origin("CORS_ORIGIN")?,
        })
    }

    /// A run that was not seen for longer than this was not watched, in milliseconds: longer than it takes from one
    /// sign of life that is written to the next. What lies in such a gap is nobody's silence.
    pub fn watch_gap_ms(&self) -> i64 {
        self.heartbeat_stale_ms.max(self.active_alarm_ms) + crate::limits::SEEN_EVERY_MS
    }

    /// How long a town bears a container that does not answer.
    pub fn patience(&self) -> Patience {
        Patience { grace_ms: self.container_grace_ms, wedged_ms: self.container_wedged_ms }
    }

    /// The wait after the `n`th run of a bead failed, in milliseconds.
    pub fn back_off(&self, n: usize) -> i64 {
        let last = self.back_off_ms.len() - 1;
        self.back_off_ms[n.saturating_sub(1).min(last)]
    }
}

/// Dollars, as people write them, in millionths; none if it is no such number.
pub fn micros(dollars: &str) -> Option<i64> {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 6 || !digits(whole) || !digits(part) {
        return None;
    }
    // What is below a millionth is nothing.
    let part = format!("{part:0<6}");
    let micros = whole.parse::<i64>().ok()? * 1_000_000 + part[..6].parse::<i64>().ok()?;
    (micros <= 100_000_000_000).then_some(micros)
}

/// Millionths of a dollar as people write dollars.
pub fn dollars(micros: i64) -> String {
    let part = format!("{:06}", micros % 1_000_000);
    let part = part.trim_end_matches('0');
    match part.len() {
        0 => format!("{}", micros / 1_000_000),
        _ => format!("{}.{part:0<2}", micros / 1_000_000),
    }
}

struct Vars<F>(F);

impl<F: Fn(&str) -> Option<String>> Vars<F> {
    /// What is set; an empty value counts as not set.
    fn text(&self, name: &str) -> Option<String> {
        self.0(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        takes: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, BadSetting> {
        let Some(value) = self.text(name) else { return Ok(default) };
        parse(&value).ok_or(BadSetting { name, value, takes })
    }

    fn number<T: TryFrom<i64>>(
        &self,
        name: &'static str,
        min: i64,
        max: i64,
        takes: &'static str,
        default: T,
    ) -> Result<T, BadSetting> {
        self.parsed(name, takes, default, |value| {
            let n: i64 = value.parse().ok()?;
            (min..=max).contains(&n).then(|| T::try_from(n).ok()).flatten()
        })
    }

    fn millis(&self, name: &'static str, min: i64, default: i64) -> Result<i64, BadSetting> {
        let takes = if min == 0 {
            "milliseconds from 0 to 86400000 (a day)"
        } else {
            "milliseconds from 1000 to 86400000 (a day)"
        };
        self.number(name, min, 86_400_000, takes, default)
    }

    fn switch(&self, name: &'static str, default: bool) -> Result<bool, BadSetting> {
        self.parsed(name, "true or false", default, |value| value.parse().ok())
    }

    fn name(&self, name: &'static str, default: String) -> Result<String, BadSetting> {
        self.parsed(name, "1 to 64 letters, digits, '-' and '_'", default, |value| {
            let fits = value.len() <= 64
                && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            fits.then(|| value.to_owned())
        })
    }

    fn origin(&self, name: &'static str) -> Result<Option<String>, BadSetting> {
        let takes = "an origin such as https://board.example.com, without a slash at the end";
        self.parsed(name, takes, None, |value| {
            let host = ["https://", "http://"].iter().find_map(|it| value.strip_prefix(it))?;
            let fits = |it: u8| it.is_ascii_alphanumeric() || b".-:[]".contains(&it);
            (!host.is_empty() && host.bytes().all(fits)).then(|| Some(value.to_owned()))
        })
    }

    fn command(&self, name: &'static str, default: Vec<String>) -> Result<Vec<String>, BadSetting> {
        self.parsed(name, "a command with its arguments, quoted as in a shell", default, |value| {
            shlex::split(value).filter(|words| !words.is_empty())
        })
    }

    fn waits(&self, name: &'static str, default: Vec<i64>) -> Result<Vec<i64>, BadSetting> {
        self.parsed(
            name,
            "1 to 10 waits in milliseconds with commas, such as 30000,60000",
            default,
            |value| {
                let waits: Option<Vec<i64>> =
                    value.split(',').map(|it| it.trim().parse().ok()).collect();
                waits.filter(|waits| {
                    waits.len() <= 10 && waits.iter().all(|ms| (0..=86_400_000).contains(ms))
                })
            },
        )
    }
}
