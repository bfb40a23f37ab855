//! The environment, read and checked once.

use worker::Env;

use crate::settings::{CONTAINER_NAMES, Settings};
use crate::token::Secrets;

/// What a deployment is given.
pub(super) struct Config {
    pub(super) settings: Settings,
    pub(super) secrets: Secrets,
    /// Where the container service is, if the platform does not run it.
    pub(super) container_url: Option<String>,
    /// What a container that the platform runs is told of its own settings.
    pub(super) container_settings: Vec<(&'static str, String)>,
    /// Where a container on the platform finds the rig API.
    pub(super) public_url: Option<String>,
}

impl Config {
    /// A bad value is an error that names it.
    pub(super) fn read(env: &Env) -> Result<Self, String> {
        let var = |name: &str| env.var(name).ok().map(|it| it.to_string());
        let text = |name: &str| var(name).filter(|it| !it.is_empty());
        Ok(Self {
            settings: Settings::read(var).map_err(|err| err.to_string())?,
            secrets: secrets(env)?,
            container_settings: CONTAINER_NAMES
                .into_iter()
                .filter_map(|name| text(name).map(|value| (name, value)))
                .collect(),
            container_url: text("CONTAINER_URL"),
            public_url: text("PUBLIC_URL"),
        })
    }
}

/// What tells callers apart, for those who need nothing else: each binding that is read costs a request time.
pub(super) fn secrets(env: &Env) -> Result<Secrets, String> {
    Secrets::new(&secret(env, "BEADRIG_TOKEN"), &secret(env, SIGNING))
}

const SIGNING: &str = "BEADRIG_JWT_SECRET";

fn secret(env: &Env, name: &str) -> String {
    env.secret(name).map(|it| it.to_string()).unwrap_or_default()
}
