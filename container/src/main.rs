//! The program: settings in, the service up, and down again on a signal.
//!
//! It must never show the token, neither in a log nor to a process of the same user.

use std::future::pending;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use beadrig_container::config::HELP;
use beadrig_container::limits::BLOCKING_THREADS_MAX;
use beadrig_container::process::Order;
use beadrig_container::process::census::adopt_orphans;
use beadrig_container::{Config, Service};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long the last KILLs may take to be sent when the service must end at once.
const AT_ONCE_MS: u64 = 500;

fn main() -> ExitCode {
    if let Some(argument) = std::env::args().nth(1) {
        let help = matches!(argument.as_str(), "--help" | "-h");
        let said = if help {
            io::stdout().write_all(HELP.as_bytes())
        } else {
            writeln!(io::stderr(), "beadrig-container takes no arguments; see --help")
        };
        return if help && said.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    hide();
    if let Err(error) = adopt_orphans() {
        tracing::warn!(%error, "what agents leave behind is found by its environment alone");
    }
    let config = match Config::read(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.max_blocking_threads(BLOCKING_THREADS_MAX).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(config));
    // Drops the tasks of processes, which kills these, but does not wait for a directory that is being emptied.
    runtime.shutdown_timeout(Duration::from_millis(AT_ONCE_MS));
    code
}

/// Agents run as the same user: keeps them from reading our environment, where the token is, under /proc.
fn hide() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "processes of the same user can read this one's environment");
    }
}

async fn run(config: Config) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be caught");
            return ExitCode::FAILURE;
        }
    };
    let mut service = match Service::start(config).await {
        Ok(service) => service,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!(address = %service.address(), "listening");
    tokio::select! {
        () = service.failed() => return ExitCode::FAILURE,
        () = signals.next() => {}
    }
    let supervisor = service.supervisor();
    tokio::select! {
        () = service.shutdown() => ExitCode::SUCCESS,
        () = signals.next() => {
            tracing::warn!("a second signal: ending at once");
            let patience = Duration::from_millis(AT_ONCE_MS);
            let _ = tokio::time::timeout(patience, supervisor.end_all(Order::Kill)).await;
            ExitCode::FAILURE
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        let caught = tokio::select! {
            caught = self.terminate.recv() => caught,
            caught = self.interrupt.recv() => caught,
        };
        if caught.is_none() {
            pending::<()>().await;
        }
    }
}
