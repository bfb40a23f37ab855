//! A fake container engine: as much of the Docker Engine API as workerd asks for, on a unix socket.
//!
//! Real are workerd, the object under test, the container service and its agents. Fake are:
//!
//! - the image: there is one, the built `beadrig-container` with the example agent; its name is not looked at;
//! - the container: a process of this machine, see `machine`;
//! - the network: see `sidecar`;
//! - the restart policy, which workerd asks for locally: there is none on the platform, so there is none here.
//!
//! What it says is true unless it was told to misbehave, which is what it is for: a real engine cannot be made to
//! say that a container runs of which nothing runs, on the day that a test needs it.

use std::collections::BTreeMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::stack::sweep;

use crate::http::{self, Request};
use crate::machine::{self, Boot, Machine};
use crate::sidecar::{self, Sidecar};

/// The end of a sidecar's name; what stands before it is the name of its container.
const SIDECAR: &str = "-proxy";

/// What the engine does when it shall end a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should be.
    Kill,
    /// It says that it is done, and the process goes on.
    Pretend,
    /// It takes the order, and whoever waits for the end waits for ever.
    Never,
}

/// The engine. Dropped, it ends all that it started.
pub(crate) struct Engine {
    socket: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    state: Mutex<State>,
    deaf: Arc<AtomicBool>,
}

struct State {
    containers: BTreeMap<String, Container>,
    /// Every container there ever was, by age.
    machines: Vec<Arc<Machine>>,
    asked: Vec<(Instant, String)>,
    boot: Boot,
    end: End,
}

#[derive(Clone)]
enum Container {
    Machine(Arc<Machine>),
    /// None: it was created and not started.
    Sidecar(Option<Arc<Sidecar>>),
}

impl Engine {
    /// Starts one that keeps everything below a directory.
    pub(crate) fn start(dir: &Path) -> Self {
        let dir = dir.join("engine");
        fs::create_dir_all(&dir).unwrap();
        let socket = dir.join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let state = State {
            containers: BTreeMap::new(),
            machines: Vec::new(),
            asked: Vec::new(),
            boot: Boot::After(Duration::ZERO),
            end: End::Kill,
        };
        let shared = Arc::new(Shared { dir, state: Mutex::new(state), deaf: Arc::default() });
        let serving = Arc::clone(&shared);
        // It ends with the process of the tests.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { socket, shared }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// How containers come up from now on.
    pub(crate) fn boot(&self, boot: Boot) {
        self.shared.state().boot = boot;
    }

    /// What it does from now on when it shall end a container.
    pub(crate) fn end(&self, end: End) {
        self.shared.state().end = end;
    }

    /// Whether, from now on, connections to containers are accepted and never answered.
    pub(crate) fn deafen(&self, deaf: bool) {
        self.shared.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Every container that there ever was, by age.
    pub(crate) fn machines(&self) -> Vec<Arc<Machine>> {
        self.shared.state().machines.clone()
    }

    /// How many containers have a process now.
    pub(crate) fn processes(&self) -> usize {
        self.machines().iter().filter(|it| it.pid().is_some()).count()
    }

    /// How many connections to containers are open.
    pub(crate) fn connections(&self) -> usize {
        let state = self.shared.state();
        let open = state.containers.values().map(|it| match it {
            Container::Sidecar(Some(sidecar)) => sidecar.connections(),
            Container::Sidecar(None) | Container::Machine(_) => 0,
        });
        open.sum()
    }

    /// What workerd has asked for since then, as `POST …/start`; without what it asks of sidecars.
    pub(crate) fn asked_since(&self, since: Instant) -> Vec<String> {
        let state = self.shared.state();
        let recent = state.asked.iter().filter(|(at, _)| *at >= since);
        recent.map(|(_, what)| what.clone()).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for machine in self.machines() {
            machine.signal(Signal::SIGKILL);
            sweep(machine.dir());
        }
    }
}

fn serve(shared: &Arc<Shared>, mut stream: UnixStream) -> io::Result<()> {
    let request = http::read(&mut stream)?;
    let (status, body) = shared.answer(&request);
    http::answer(&mut stream, status, &body)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(self: &Arc<Self>, request: &Request) -> (u16, Value) {
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["networks", _]) => {
                let config = json!([{"Subnet": "127.0.0.0/8", "Gateway": "127.0.0.1"}]);
                (200, json!({"Name": "bridge", "IPAM": {"Config": config}}))
            }
            ("GET", ["volumes"]) => (200, json!({"Volumes": []})),
            ("POST", ["containers", "create"]) => self.create(request),
            (method, ["containers", name, rest @ ..]) => {
                let what = rest.first().copied().unwrap_or_default();
                if !name.ends_with(SIDECAR) {
                    let line = format!("{method} …/{what}");
                    self.state().asked.push((Instant::now(), line));
                }
                let found = self.state().containers.get(*name).cloned();
                match found {
                    Some(container) => self.one(name, container, method, what, request),
                    None => (404, json!({"message": "no such container"})),
                }
            }
            _ => (404, json!({"message": "the fake engine does not know this"})),
        }
    }

    fn create(&self, request: &Request) -> (u16, Value) {
        let name = request.query.get("name").cloned().unwrap_or_default();
        let spec: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let mut state = self.state();
        if state.containers.contains_key(&name) {
            return (409, json!({"message": "the name is taken"}));
        }
        let container = if name.ends_with(SIDECAR) {
            Container::Sidecar(None)
        } else {
            let env = spec["Env"].as_array().into_iter().flatten();
            let env = env.filter_map(|it| it.as_str()?.split_once('='));
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let dir = self.dir.join(state.machines.len().to_string());
            let machine = Machine::create(dir, env.collect());
            state.machines.push(Arc::clone(&machine));
            Container::Machine(machine)
        };
        state.containers.insert(name.clone(), container);
        (201, json!({"Id": name}))
    }

    /// A request to one container.
    fn one(
        self: &Arc<Self>,
        name: &str,
        container: Container,
        method: &str,
        what: &str,
        request: &Request,
    ) -> (u16, Value) {
        match (method, what) {
            ("GET", "json") => (200, inspected(name, &container)),
            ("POST", "start")
                if self.state().boot == Boot::Refused
                    && matches!(container, Container::Machine(_)) =>
            {
                (500, json!({"message": "no room for another container"}))
            }
            ("POST", "start") => {
                self.start(name, container);
                (204, Value::Null)
            }
            ("POST", "wait") => match container {
                Container::Machine(machine) => (200, json!({"StatusCode": machine.wait()})),
                Container::Sidecar(_) => (200, json!({"StatusCode": 0})),
            },
            ("POST", "kill") => {
                let signal = request.query.get("signal").map_or("SIGKILL", String::as_str);
                let signal = signal.parse().unwrap_or(Signal::SIGKILL);
                let running = matches!(&container, Container::Machine(it) if it.is_running());
                self.end(&container, signal);
                (if running { 204 } else { 409 }, Value::Null)
            }
            ("DELETE", "") => {
                self.end(&container, Signal::SIGKILL);
                self.state().containers.remove(name);
                (204, Value::Null)
            }
            ("PUT", "archive") => (200, Value::Null),
            _ => (404, json!({"message": "the fake engine does not know this"})),
        }
    }

    fn start(self: &Arc<Self>, name: &str, container: Container) {
        match container {
            Container::Machine(machine) => {
                let boot = self.state().boot;
                machine.start(boot);
            }
            Container::Sidecar(_) => {
                let target = name.trim_end_matches(SIDECAR).to_owned();
                let shared = Arc::downgrade(self);
                let lookup = move || match shared.upgrade()?.state().containers.get(&target)? {
                    Container::Machine(machine) => Some(Arc::clone(machine)),
                    Container::Sidecar(_) => None,
                };
                let sidecar = Sidecar::start(Arc::new(lookup), Arc::clone(&self.deaf));
                let started = Container::Sidecar(Some(Arc::new(sidecar)));
                self.state().containers.insert(name.to_owned(), started);
            }
        }
    }

    fn end(&self, container: &Container, signal: Signal) {
        match container {
            Container::Machine(machine) => {
                let end = self.state().end;
                match end {
                    End::Kill => machine.signal(signal),
                    End::Pretend => machine.forsake(),
                    End::Never => {}
                }
            }
            Container::Sidecar(sidecar) => sidecar.iter().for_each(|it| it.close()),
        }
    }
}

fn inspected(name: &str, container: &Container) -> Value {
    let (running, code, ports) = match container {
        Container::Machine(it) => {
            (it.is_running(), it.exit_code(), Some((machine::PORT, it.host_port())))
        }
        Container::Sidecar(Some(it)) => (true, None, Some((sidecar::PORT, it.host_port()))),
        Container::Sidecar(None) => (false, None, None),
    };
    let status = match (running, code) {
        (true, _) => "running",
        (false, Some(_)) => "exited",
        (false, None) => "created",
    };
    let ports: BTreeMap<String, Value> = ports
        .into_iter()
        .map(|(port, host)| {
            let mapped = json!([{"HostIp": "127.0.0.1", "HostPort": host.to_string()}]);
            (format!("{port}/tcp"), mapped)
        })
        .collect();
    json!({
        "Id": name,
        "State": {"Status": status, "Running": running, "ExitCode": code.unwrap_or(0)},
        "Config": {"Image": ""},
        "NetworkSettings": {"Ports": ports},
    })
}
