//! `cargo xtask up`: from nothing to a system that one can talk to, until Ctrl-C.

mod crash;
mod show;
mod watch;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::error::{Doing as _, Error, Result};
use crate::stack::{self, Port, Secrets, Stack};
use crate::tools::Tools;
use crate::worker::{self, Variant};
use crate::{repo, run};

/// What the person asked for.
pub struct Options {
    /// The worker's port.
    pub port: u16,
    /// The container service's port.
    pub container_port: u16,
    /// What it keeps.
    pub data: PathBuf,
    /// What differs from the defaults.
    pub settings: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 8787,
            container_port: 8788,
            data: repo::root().join(".beadrig"),
            settings: BTreeMap::new(),
        }
    }
}

/// Builds what is not built, starts it, and shows what happens until Ctrl-C.
pub fn run(options: Options) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&options.data)
        .doing_to("create", &options.data)?;
    // What can be refused is refused before the long part.
    let _lock = lock(&options)?;
    end_leftovers(&options.data)?;
    check_ports(&options)?;
    let tools = Tools::prepare()?;
    let worker = worker::build(Variant::Product)?;
    build_programs(false)?;

    let secrets = Secrets::of(&options.data)?;
    let stop = watch::StopFlag::register()?;
    let shown = show::Shown::new();
    let stack = Stack::start(stack::Options {
        data: options.data.clone(),
        port: Port::given(options.port),
        container_port: Port::given(options.container_port),
        secrets: secrets.clone(),
        worker,
        programs: repo::programs(false),
        workerd: tools.workerd,
        settings: options.settings,
        engine: None,
        container_env: BTreeMap::new(),
        sink: Some(Arc::new(move |line| shown.line(&line))),
        sweep: false,
    })?;
    let config = json!({ "url": stack.url(), "rig": "main", "token": secrets.token });
    stack::write_private(&stack.data().join("config.json"), &format!("{config:#}\n"))?;
    stack::write_private(&stack.data().join("token"), &format!("{}\n", secrets.token))?;
    welcome(&stack);
    watch::until_stopped(&stack, &stop)
}

/// Builds the container service and the CLI.
///
/// The dev profile unless it is for measuring: the release profile is tuned for a small worker, takes several
/// times as long, and what these two do is wait for processes and sockets.
pub fn build_programs(release: bool) -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args(["build", "--package", "beadrig-container", "--package", "beadrig-cli"]);
    if release {
        cargo.arg("--release");
    }
    run::step("building the container service and the CLI", "programs", &mut cargo)
}

/// One `up` per data directory; the system gives the lock back however we end.
fn lock(options: &Options) -> Result<File> {
    let path = options.data.join("lock");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .doing_to("open", &path)?;
    if file.try_lock().is_err() {
        let mut holder = String::new();
        file.read_to_string(&mut holder).ok();
        return Err(Error::new(format!(
            "`cargo xtask up` already runs on {} (process {}).\n\
             Stop it, or run a second system beside it: cargo xtask up --data DIR --port {} --container-port {}",
            options.data.display(),
            holder.trim(),
            options.port.wrapping_add(10),
            options.container_port.wrapping_add(10),
        )));
    }
    file.set_len(0).doing_to("write", &path)?;
    write!(file, "{}", std::process::id()).doing_to("write", &path)?;
    Ok(file)
}

/// Ends the parts of an `up` that was killed: we hold its lock, so nobody else watches over them.
fn end_leftovers(data: &Path) -> Result<()> {
    for (name, program) in [("worker", "workerd"), ("container", "beadrig-container")] {
        let file = data.join(format!("{name}.pid"));
        let Ok(text) = fs::read_to_string(&file) else { continue };
        // The number may belong to somebody else by now.
        let command = run::answer("ps", &["-o", "command=", "-p", text.trim()]);
        if let Ok(pid) = text.trim().parse()
            && command.is_ok_and(|command| command.contains(program))
        {
            eprintln!("ending the {name} of an earlier run (process {pid})");
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
            watch::wait_gone(Pid::from_raw(pid));
        }
        fs::remove_file(&file).doing_to("remove", &file)?;
    }
    Ok(())
}

fn check_ports(options: &Options) -> Result<()> {
    if options.port == options.container_port {
        return Err(Error::new("--port and --container-port must differ"));
    }
    for (flag, port) in [("--port", options.port), ("--container-port", options.container_port)] {
        if stack::is_taken(port) {
            let other = (port..u16::MAX).skip(10).find(|port| !stack::is_taken(*port));
            return Err(Error::new(format!(
                "port {port} is taken by another program.\nStop it, or choose another port: \
                 cargo xtask up {flag} {}",
                other.unwrap_or(port)
            )));
        }
    }
    Ok(())
}

/// Says where it is and what to type next.
fn welcome(stack: &Stack) {
    let programs = repo::programs(false);
    println!(
        "
Beadrig is up.
  worker      {url}
  container   {container}
  data        {data}
  logs        {data}/logs

In another terminal, in this directory:

  export PATH=\"{programs}:$PATH\"
  beadrig create \"auto-dispatch smoke test\" \\
    -d \"Read /etc/hostname inside the agent sandbox and close.\" \\
    --acceptance \"bd note includes 'hostname=' line and bead is closed.\"
  beadrig assign <id> agent
  beadrig show <id>

From any other directory, or with another --data, first:

  export BEADRIG_URL={url} BEADRIG_TOKEN=\"$(cat {data}/token)\"

Ctrl-C stops it; the data stays. What happens:
",
        url = stack.url(),
        container = stack.container_url(),
        data = stack.data().display(),
        programs = programs.display(),
    );
}
