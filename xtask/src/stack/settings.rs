//! What may be set on a local stack: the settings of the rig and those of the container service.

use std::collections::BTreeMap;

use beadrig::settings::{CONTAINER_NAMES, NAMES, Settings};

use crate::error::{Error, Result};

/// Refuses a name that is none, and a value that the worker would refuse.
pub fn check(settings: &BTreeMap<String, String>) -> Result<()> {
    let known = || NAMES.iter().chain(&CONTAINER_NAMES).copied();
    if let Some(name) = settings.keys().find(|name| known().all(|known| known != name.as_str())) {
        let mut names: Vec<_> = known().collect();
        names.sort_unstable();
        return Err(Error::new(format!("{name} is no setting; there are {}", names.join(", "))));
    }
    let read = Settings::read(|name| settings.get(name).cloned());
    read.map(drop).map_err(|bad| Error::new(bad.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo;

    #[test]
    fn a_deployment_begins_with_the_defaults() {
        let text = std::fs::read_to_string(repo::root().join("wrangler.toml")).unwrap();
        let vars = text.split("\n[vars]\n").nth(1).unwrap().split("\n[").next().unwrap();
        let vars: BTreeMap<&str, String> = vars
            .lines()
            .filter_map(|line| line.split('#').next()?.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"').to_owned()))
            .collect();
        let named: Vec<_> = vars.keys().copied().filter(|name| *name != "PUBLIC_URL").collect();
        let mut known: Vec<_> = NAMES.iter().chain(&CONTAINER_NAMES).copied().collect();
        known.sort_unstable();
        assert_eq!(named, known);
        assert_eq!(Settings::read(|name| vars.get(name).cloned()), Ok(Settings::default()));
    }

    #[test]
    fn what_is_no_setting_or_a_bad_one_is_refused() {
        let refused = |name: &str, value: &str| {
            let settings = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            check(&settings).unwrap_err().to_string()
        };
        let unknown = refused("MAX_AGENT", "5");
        assert!(
            unknown.starts_with("MAX_AGENT is no setting; there are ACTIVE_ALARM_MS,"),
            "{unknown}"
        );
        assert_eq!(
            refused("MAX_AGENTS", "0"),
            "MAX_AGENTS is \"0\", but it takes a number from 1 to 50"
        );
        check(&BTreeMap::from([("GRACE_MS".to_owned(), "5".to_owned())])).unwrap();
    }
}
