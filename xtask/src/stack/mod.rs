//! The whole system on one machine: the worker on `workerd`, and the container service beside it.
//!
//! ```text
//!            127.0.0.1:port                 127.0.0.1:container_port
//! client --> workerd serve  <------------>  beadrig-container --> agents
//!            <data>/state                   <data>/container
//! ```
//!
//! `cargo xtask up` keeps one [`Stack`] alive; the system tests start as many as they like, kill the parts and
//! start them again on the same ports with the same data. A stack that is dropped leaves no process behind.

mod config;
mod http;
mod port;
mod secrets;
mod service;
mod settings;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use beadrig::settings::CONTAINER_NAMES;
use beadrig::token::container_token;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Doing as _, Error, Result};
use crate::tools::Tools;
use crate::worker::{self, Variant};
use crate::{repo, run};

pub use http::{Answer, ask, get, post};
pub use port::{Port, is_taken};
pub use secrets::Secrets;
pub(crate) use secrets::write_private;
pub use service::{Line, Service, Sink, Source};
pub use settings::check as check_settings;

/// The town of a local stack: it has one.
pub const TOWN: &str = "local";

/// How long a part may take until it answers.
pub const START: Duration = Duration::from_secs(30);

/// How long a round of the watchdog may take.
const ROUND: Duration = Duration::from_mins(2);

/// What a stack is made of. [`Options::for_test`] and then what differs.
pub struct Options {
    /// Everything that it keeps: state, logs, config.
    pub data: PathBuf,
    /// Of the worker.
    pub port: Port,
    /// Of the container service.
    pub container_port: Port,
    /// Who may call.
    pub secrets: Secrets,
    /// The directory with `index.js` and `index_bg.wasm`.
    pub worker: PathBuf,
    /// The directory with `beadrig-container` and `beadrig`.
    pub programs: PathBuf,
    /// The program that runs the worker.
    pub workerd: PathBuf,
    /// What differs from the defaults: settings of the rig, and of the container service.
    pub settings: BTreeMap<String, String>,
    /// The socket of a container engine. With it the town's object starts the container service by itself,
    /// as on the platform; the stack has none of its own then.
    pub engine: Option<PathBuf>,
    /// More of the container service's environment.
    pub container_env: BTreeMap<String, String>,
    /// Gets every line that a part writes, besides its log file.
    pub sink: Option<Sink>,
    /// At the end, kills every process whose working directory is below [`Options::data`]: agents that a
    /// killed container service left behind. Where there is a `/proc`; for directories of tests alone.
    pub sweep: bool,
}

impl Options {
    /// A stack on free ports with new secrets and the test worker, as `cargo xtask build --test` left it.
    pub fn for_test(data: &Path) -> Result<Self> {
        let programs = repo::programs(!cfg!(debug_assertions));
        if !worker::is_built(Variant::Test) || !programs.join("beadrig-container").is_file() {
            let text = "the parts are not built; `cargo xtask test system` builds and tests them";
            return Err(Error::new(text));
        }
        if !worker::is_fresh(Variant::Test)? {
            eprintln!("note: the worker is older than its sources; cargo xtask build --test");
        }
        Ok(Self {
            data: data.to_owned(),
            port: Port::free()?,
            container_port: Port::free()?,
            secrets: Secrets::new()?,
            worker: repo::test_worker(),
            programs,
            workerd: Tools::find()?.workerd,
            settings: BTreeMap::new(),
            engine: None,
            container_env: BTreeMap::new(),
            sink: None,
            sweep: true,
        })
    }

    /// With a setting of another value.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }
}

/// Both parts, running.
pub struct Stack {
    /// workerd with the worker.
    pub worker: Service,
    /// The container service; it never runs where there is an engine.
    pub container: Service,
    options: Options,
}

impl Stack {
    /// Starts both parts and returns when both answer.
    pub fn start(options: Options) -> Result<Self> {
        let stack = Self::prepare(options)?;
        let own = stack.options.engine.is_none();
        if own {
            stack.container.start()?;
        }
        stack.worker.start()?;
        if own {
            stack.container.wait_healthy(START)?;
        }
        stack.worker.wait_healthy(START)?;
        Ok(stack)
    }

    /// Writes the configuration and starts nothing.
    pub fn prepare(mut options: Options) -> Result<Self> {
        options.data = absolute(&options.data)?;
        for dir in ["state", "container", "logs", "worker"] {
            let dir = options.data.join(dir);
            fs::create_dir_all(&dir).doing_to("create", &dir)?;
        }
        // A copy: workerd embeds only from below its configuration, and a new build shall not change what runs.
        for module in ["index.js", "index_bg.wasm"] {
            let built = options.worker.join(module);
            fs::copy(&built, options.data.join("worker").join(module)).doing_to("copy", &built)?;
        }
        let config = options.data.join("workerd.capnp");
        fs::write(&config, config::workerd(&options)?).doing_to("write", &config)?;
        Ok(Self {
            worker: worker_service(&options, &config),
            container: container_service(&options),
            options,
        })
    }

    /// The worker's address, without a slash at the end.
    pub fn url(&self) -> String {
        self.options.port.url()
    }

    /// The container service's address.
    pub fn container_url(&self) -> String {
        self.options.container_port.url()
    }

    /// How to send the worker's watchdog on a round, from any thread: here nothing has a clock for it, as the
    /// platform has.
    pub fn watchdog(&self) -> impl Fn() -> std::io::Result<Answer> + Send + 'static {
        let (port, token) = (self.options.port.number(), self.options.secrets.token.clone());
        move || post(port, "/api/watchdog", &token, ROUND)
    }

    /// What the operator shows: `Authorization: Bearer …`.
    pub fn token(&self) -> &str {
        &self.options.secrets.token
    }

    /// What the worker and the container service show each other.
    pub fn container_token(&self) -> String {
        container_token(&self.options.secrets.jwt_secret, TOWN)
    }

    /// All secrets, to sign what an agent would show.
    pub fn secrets(&self) -> &Secrets {
        &self.options.secrets
    }

    /// Where everything is kept.
    pub fn data(&self) -> &Path {
        &self.options.data
    }

    /// Stops both, politely: nothing new comes in while the container service ends its work.
    pub fn stop(&self, grace: Duration) {
        self.container.stop(grace);
        self.worker.stop(grace);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop(DROP_GRACE);
        if self.options.sweep {
            sweep(self.data());
        }
    }
}

/// Who drops a stack does not wait for work to be saved.
const DROP_GRACE: Duration = Duration::from_secs(10);

/// Kills every process whose working directory is below a directory. Where there is a `/proc`.
pub fn sweep(dir: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let works_here =
            fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        if works_here
            && let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok())
        {
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }
}

fn worker_service(options: &Options, config: &Path) -> Service {
    let (workerd, config) = (options.workerd.clone(), config.to_owned());
    let secrets = options.secrets.clone();
    // It takes a configuration with containers only so.
    let experimental = options.engine.is_some().then_some("--experimental");
    let command = move || {
        let mut command = Command::new(&workerd);
        command
            .arg("serve")
            .args(experimental)
            .arg(&config)
            .env("BEADRIG_TOKEN", &secrets.token)
            .env("BEADRIG_JWT_SECRET", &secrets.jwt_secret);
        command
    };
    Service::new(Source::Worker, options, &options.port, Box::new(command))
}

fn container_service(options: &Options) -> Service {
    let program = options.programs.join("beadrig-container");
    let mut env: BTreeMap<String, String> = options
        .settings
        .iter()
        .filter(|(name, _)| CONTAINER_NAMES.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    env.extend([
        ("BEADRIG_CONTAINER_LISTEN".to_owned(), options.container_port.address()),
        ("BEADRIG_CONTAINER_TOKEN".to_owned(), container_token(&options.secrets.jwt_secret, TOWN)),
        ("BEADRIG_URL".to_owned(), options.port.url()),
        ("BEADRIG_DATA_DIR".to_owned(), options.data.join("container").display().to_string()),
        (
            "BEADRIG_AGENTS_DIR".to_owned(),
            repo::root().join("container/agents").display().to_string(),
        ),
    ]);
    env.extend(options.container_env.clone());
    // Agents call `beadrig` by its name.
    let path = run::path_with(&[&options.programs]);
    let command = move || {
        let mut command = Command::new(&program);
        command.env("PATH", &path).envs(&env);
        command
    };
    Service::new(Source::Container, options, &options.container_port, Box::new(command))
}

fn absolute(dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir).doing_to("create", dir)?;
    dir.canonicalize().doing_to("find", dir)
}
