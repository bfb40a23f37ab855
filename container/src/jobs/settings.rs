//! The settings of jobs. A bad one is refused at start, with its name and what it takes.

use std::time::Duration;

use crate::config::{ConfigError, bad, number};
use crate::limits::{
    JOB_COMMAND_DEFAULT, JOB_TTL_S_DEFAULT, JOB_TTL_S_MAX, MAX_QUEUE_DEPTH_DEFAULT,
    MAX_QUEUE_DEPTH_MAX,
};

/// How jobs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSettings {
    /// The command and its arguments, with placeholders.
    pub command: Vec<String>,
    /// How many may run at once.
    pub concurrency: usize,
    /// How many may wait and run.
    pub queue_depth: usize,
    /// How long one that is over is kept.
    pub ttl: Duration,
}

impl JobSettings {
    /// Reads them; `places` is how many agents may run.
    pub(crate) fn read(
        get: &impl Fn(&str) -> Option<String>,
        places: u64,
    ) -> Result<Self, ConfigError> {
        let line = get("JOB_COMMAND").unwrap_or_else(|| JOB_COMMAND_DEFAULT.to_owned());
        let command = shlex::split(&line).filter(|words| {
            words.first().is_some_and(|program| !program.is_empty())
                && words.iter().all(|word| !word.contains('\0'))
        });
        let command = command.ok_or_else(|| {
            bad("JOB_COMMAND", format!("takes a command line as a shell reads it, not {line:?}"))
        })?;
        let whole = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let depth =
            number(get, "MAX_QUEUE_DEPTH", MAX_QUEUE_DEPTH_DEFAULT, 1, MAX_QUEUE_DEPTH_MAX)?;
        let ttl = number(get, "JOB_TTL_S", JOB_TTL_S_DEFAULT, 1, JOB_TTL_S_MAX)?;
        Ok(Self {
            command,
            concurrency: match whole(number(get, "JOB_CONCURRENCY", 0, 0, places)?) {
                0 => whole(places),
                jobs => jobs,
            },
            queue_depth: whole(depth),
            ttl: Duration::from_secs(ttl),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Config;

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
    fn the_default_runs_claude_with_the_agent_the_budget_and_the_prompt() {
        let jobs = read(&[]).unwrap().jobs;
        assert_eq!(
            jobs.command.join(" "),
            "claude -p --agent {agent} --dangerously-skip-permissions --max-budget-usd {budget} \
             --output-format json -- {prompt}"
        );
        assert_eq!((jobs.concurrency, jobs.queue_depth), (10, 100));
        assert_eq!(jobs.ttl, Duration::from_hours(168));
    }

    #[test]
    fn a_bad_setting_of_jobs_is_named_with_what_it_takes() {
        let refused = |name, value| read(&[(name, value)]).unwrap_err();
        assert_eq!(
            refused("JOB_COMMAND", "claude 'open"),
            "JOB_COMMAND takes a command line as a shell reads it, not \"claude 'open\""
        );
        assert_eq!(
            refused("JOB_CONCURRENCY", "11"),
            "JOB_CONCURRENCY takes a whole number from 0 to 10, not \"11\""
        );
        assert!(refused("JOB_TTL_S", "0").starts_with("JOB_TTL_S takes"));
        assert!(refused("MAX_QUEUE_DEPTH", "-1").starts_with("MAX_QUEUE_DEPTH takes"));
    }

    const NAMES: [&str; 11] = [
        "BEADRIG_CONTAINER_TOKEN",
        "BEADRIG_URL",
        "BEADRIG_CONTAINER_LISTEN",
        "BEADRIG_DATA_DIR",
        "BEADRIG_AGENTS_DIR",
        "HEARTBEAT_MS",
        "GRACE_MS",
        "MAX_CONCURRENCY",
        "JOB_COMMAND",
        "JOB_TTL_S",
        "MAX_QUEUE_DEPTH",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_value_of_any_setting_is_taken_or_refused_by_name(
            which in 0..NAMES.len(),
            value in prop_oneof![
                ".{0,60}", "[ -~]{0,60}", "-?[0-9]{1,24}", "https?://[a-z0-9.:/@?#\\[\\]]{0,40}",
                "[0-9]{1,3}(\\.[0-9]{1,3}){3}:[0-9]{1,6}", "['\"\\\\ a-z{}$]{0,30}",
            ],
        ) {
            let name = NAMES[which];
            match read(&[(name, &value)]) {
                Ok(config) => {
                    prop_assert!(config.max_concurrency >= 1 && config.jobs.queue_depth >= 1);
                    prop_assert!(!config.jobs.command[0].is_empty());
                }
                // JOB_CONCURRENCY follows MAX_CONCURRENCY, so nothing else can be wrong.
                Err(error) => {
                    prop_assert!(error.starts_with(name), "{error}");
                    let secret = name == "BEADRIG_CONTAINER_TOKEN" && value.trim().len() > 8;
                    prop_assert!(!secret || !error.contains(value.trim()), "{error}");
                }
            }
        }
    }
}
