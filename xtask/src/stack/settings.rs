//! The settings of the worker, as `wrangler.toml` has them.

use crate::error::{Error, Result};

/// Every setting and its value unless told otherwise. A test compares this with `wrangler.toml`.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("AGENT_COMMAND", "example-agent"),
    ("ARM_DELAY_MS", "100"),
    ("ACTIVE_ALARM_MS", "30000"),
    ("IDLE_ALARM_MS", "300000"),
    ("MAX_AGENTS", "5"),
    ("MAX_ATTEMPTS", "5"),
    ("START_TIMEOUT_MS", "60000"),
    ("HEARTBEAT_MS", "30000"),
    ("HEARTBEAT_STALE_MS", "90000"),
    ("GUPP_MS", "1800000"),
    ("REAPER_MS", "1800000"),
    ("RUN_TIMEOUT_S", "2700"),
    ("MAX_BUDGET_USD", "5"),
    ("DISPATCH_ENABLED", "true"),
    ("MAX_CONCURRENCY", "10"),
    ("MAX_QUEUE_DEPTH", "100"),
    ("JOB_TTL_S", "604800"),
];

/// What the container service reads from its environment; `GRACE_MS` is its alone.
pub const CONTAINER: &[&str] = &[
    "GRACE_MS",
    "HEARTBEAT_MS",
    "JOB_TTL_S",
    "MAX_CONCURRENCY",
    "MAX_QUEUE_DEPTH",
    "RUN_TIMEOUT_S",
];

/// Whether there is a setting of this name.
pub fn check(name: &str) -> Result<()> {
    let known = || DEFAULTS.iter().map(|(known, _)| *known).chain(CONTAINER.iter().copied());
    if known().any(|known| known == name) {
        return Ok(());
    }
    let mut names: Vec<_> = known().collect();
    names.sort_unstable();
    names.dedup();
    Err(Error::new(format!("{name} is no setting; there are {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo;

    #[test]
    fn a_local_stack_and_a_deployment_have_the_same_settings() {
        let text = std::fs::read_to_string(repo::root().join("wrangler.toml")).unwrap();
        let vars = text.split("\n[vars]\n").nth(1).unwrap().split("\n[").next().unwrap();
        let mut deployed: Vec<(&str, &str)> = vars
            .lines()
            .filter_map(|line| line.split('#').next()?.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            // Where it is, and what it runs, are for each deployment to say.
            .filter(|(name, _)| !["PUBLIC_URL", "AGENT_COMMAND"].contains(name))
            .collect();
        let mut local: Vec<_> =
            DEFAULTS.iter().copied().filter(|(name, _)| *name != "AGENT_COMMAND").collect();
        deployed.sort_unstable();
        local.sort_unstable();
        assert_eq!(deployed, local);
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_known_ones() {
        let refused = check("MAX_AGENT").unwrap_err().to_string();
        assert!(
            refused.starts_with("MAX_AGENT is no setting; there are ACTIVE_ALARM_MS,"),
            "{refused}"
        );
        check("GRACE_MS").unwrap();
    }
}
