//! The process of one run: the only place, with [`orphans`], that knows processes and signals.
//!
//! A process is a group. One task per process spawns it, reads its pipes, and ends it by rungs:
//!
//! ```text
//! living --order Term, or out of time--> asked (TERM, CONT) --grace over, or order Kill--> killed (KILL)
//!    |                                      |                                                |
//!    +------------------------------ the leader is gone ------------------------------------+
//!                                           |
//!                      KILL to the rest of the group, then to whoever left the group: gone
//! ```
//!
//! It must never decide: what happens is told to the owner of all agents, who gives the orders.

pub mod orphans;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock;
use crate::launch::Launch;
use crate::life::Exit;
use crate::limits::{DRAIN_MS, GROUP_GONE_MS_MAX, INPUT_LINES_MAX, LOOK_MS, PIPE_READ_BYTES};
use crate::lines::Lines;
use crate::output::{Output, Source};

/// What the owner can order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin the ladder.
    Term,
    /// Go to its end at once.
    Kill,
}

/// What the owner is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The process is up.
    Spawned,
    /// It could not be started, and why.
    CouldNotSpawn(String),
    /// It was ended before it was started.
    NotStarted,
    /// It has run for as long as it may; the ladder has begun.
    OutOfTime,
    /// Nothing of it is left.
    Gone(Exit),
}

/// A process that runs, or will in a moment.
#[derive(Debug)]
pub struct Process {
    orders: mpsc::UnboundedSender<Order>,
    input: mpsc::Sender<String>,
}

impl Process {
    /// Begins a task that starts the process and stays until nothing of it is left.
    pub fn start<F>(
        launch: Launch,
        output: Arc<Output>,
        tell: impl Fn(News) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (orders, orders_in) = mpsc::unbounded_channel();
        let (input, input_in) = mpsc::channel(INPUT_LINES_MAX);
        tokio::spawn(async move {
            let (early, rest) = tokio::sync::mpsc::unbounded_channel();
            let task = Task { launch, output, news: early };
            tokio::join!(task.run(orders_in, input_in), forward(rest, tell));
        });
        Self { orders, input }
    }

    /// Gives an order. One that comes too late does nothing.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Puts a line on its standard input, soon.
    pub fn say(&self, line: String) -> Result<(), mpsc::error::TrySendError<String>> {
        self.input.try_send(line)
    }
}

async fn forward<F: Future<Output = ()>>(
    mut news: mpsc::UnboundedReceiver<News>,
    tell: impl Fn(News) -> F,
) {
    while let Some(news) = news.recv().await {
        tell(news).await;
    }
}

struct Task {
    launch: Launch,
    output: Arc<Output>,
    /// At most four; unbounded so that the ladder never waits for the owner.
    news: mpsc::UnboundedSender<News>,
}

impl Task {
    async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>, input: mpsc::Receiver<String>) {
        let launch = Arc::new(self.launch);
        let prepared = spawn_blocking({
            let launch = Arc::clone(&launch);
            move || launch.prepare()
        });
        let news = self.news;
        let tell = |what: News| drop(news.send(what));
        let prepared = prepared.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        if let Err(error) = prepared {
            return tell(News::CouldNotSpawn(format!(
                "its working directory cannot be made: {error}"
            )));
        }
        if !orders.is_empty() {
            return tell(News::NotStarted);
        }
        if let Some(place) = &launch.place {
            let made = tokio::select! {
                made = place.prepare() => made,
                _ = orders.recv() => return tell(News::NotStarted),
            };
            match made {
                Ok(notes) => self.output.note(notes),
                Err(error) => {
                    return tell(News::CouldNotSpawn(format!(
                        "its worktree cannot be made: {error}"
                    )));
                }
            }
        }
        let mut child = match spawn(&launch) {
            Ok(child) => child,
            Err(error) => return tell(News::CouldNotSpawn(error.to_string())),
        };
        let group = Group::of(&child);
        tell(News::Spawned);
        let pipes = Pipes::open(&mut child, &self.output, input);
        let exit = ladder(&mut child, &group, &launch, &mut orders, &tell).await;
        clear(group, &launch).await;
        pipes.drain().await;
        if let Some(place) = &launch.place {
            self.output.note(place.save().await);
        }
        tell(News::Gone(exit));
    }
}

/// Starts the leader of a new group.
///
/// There is no moment in which a group exists that nobody knows. The child makes its group itself, before its
/// exec, and this returns only after the exec: until then its owner waits here, and no order can be missed.
/// If the service dies in between, the child holds the lock of the data directory (a lock belongs to the open
/// file, which a fork shares and an exec closes), so the next service cannot begin to look for leftovers
/// before the child has the environment by which it is found.
fn spawn(launch: &Launch) -> std::io::Result<Child> {
    Command::new(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.workdir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Waits for the leader to end, and helps.
async fn ladder(
    child: &mut Child,
    group: &Group,
    launch: &Launch,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    tell: &impl Fn(News),
) -> Exit {
    #[derive(PartialEq, Eq)]
    enum Rung {
        Living,
        Asked,
        Killed,
    }
    let mut rung = Rung::Living;
    let mut next = Instant::now() + launch.time_limit;
    loop {
        let order = tokio::select! {
            ended = child.wait() => return how(ended),
            // A closed channel: the owner has dropped the run, which it does only when it is gone itself.
            order = orders.recv(), if rung != Rung::Killed => order.unwrap_or(Order::Kill),
            () = sleep_until(next), if rung == Rung::Living => {
                tell(News::OutOfTime);
                Order::Term
            }
            () = sleep_until(next), if rung == Rung::Asked => Order::Kill,
        };
        match order {
            Order::Term if rung == Rung::Living => {
                // One that was stopped with SIGSTOP would never see the TERM.
                group.signal(Signal::SIGTERM);
                group.signal(Signal::SIGCONT);
                rung = Rung::Asked;
                next = Instant::now() + launch.grace;
            }
            Order::Term => {}
            Order::Kill => {
                group.signal(Signal::SIGKILL);
                rung = Rung::Killed;
            }
        }
    }
}

fn how(ended: std::io::Result<ExitStatus>) -> Exit {
    match ended {
        Ok(status) => Exit { code: status.code(), signal: status.signal() },
        Err(error) => {
            tracing::error!(%error, "a child cannot be waited for");
            Exit::default()
        }
    }
}

/// Kills what the leader has left behind: first the group, then those that have left it.
///
/// The leader is reaped by now. Its number is not given out again while its group has a member, and when it has
/// none, the kernel would have to go once through all numbers within microseconds to hit a stranger here.
async fn clear(group: Group, launch: &Launch) {
    let pid = group.0;
    // This sends the KILL.
    drop(group);
    let patience = Duration::from_millis(GROUP_GONE_MS_MAX);
    let gone = async {
        while killpg(pid, None).is_ok() {
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
    };
    if timeout(patience, gone).await.is_err() {
        tracing::debug!(group = pid.as_raw(), "the group has zombies that nobody reaps");
    }
    let marker = launch.marker.clone();
    let left = spawn_blocking(move || orphans::kill_marked(&marker)).await;
    if !matches!(left, Ok(Ok(_))) {
        tracing::error!(group = pid.as_raw(), ?left, "processes of a run are left");
    }
}

/// A process group. Whatever becomes of its task, the group does not outlive it.
struct Group(Pid);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self(Pid::from_raw(pid.expect("a child that was not waited for has a pid")))
    }

    fn signal(&self, signal: Signal) {
        match killpg(self.0, signal) {
            // macOS answers EPERM for a group of zombies.
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
            Err(error) => {
                tracing::error!(group = self.0.as_raw(), %signal, %error, "no signal sent");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// The tasks that read and write the pipes of a process.
struct Pipes {
    readers: [JoinHandle<()>; 2],
    writer: JoinHandle<()>,
}

impl Pipes {
    fn open(child: &mut Child, output: &Arc<Output>, input: mpsc::Receiver<String>) -> Self {
        let stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        Self {
            readers: [
                tokio::spawn(read(stdout, Source::Stdout, Arc::clone(output))),
                tokio::spawn(read(stderr, Source::Stderr, Arc::clone(output))),
            ],
            writer: tokio::spawn(write(stdin, input)),
        }
    }

    /// Reads what is still in the pipes. Nobody of the run holds them any more; if a stranger does, not for long.
    async fn drain(self) {
        self.writer.abort();
        let until = Instant::now() + Duration::from_millis(DRAIN_MS);
        for mut reader in self.readers {
            tokio::select! {
                _ = &mut reader => {}
                () = sleep_until(until) => reader.abort(),
            }
        }
    }
}

async fn read(mut pipe: impl AsyncRead + Unpin, source: Source, output: Arc<Output>) {
    let mut lines = Lines::default();
    let mut chunk = vec![0; PIPE_READ_BYTES];
    let push = |line| output.push(source, line, clock::now());
    loop {
        match pipe.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(length) => lines.feed(&chunk[..length], push),
        }
    }
    if let Some(line) = lines.finish() {
        push(line);
    }
}

async fn write(mut pipe: ChildStdin, mut input: mpsc::Receiver<String>) {
    while let Some(mut line) = input.recv().await {
        line.push('\n');
        if let Err(error) = pipe.write_all(line.as_bytes()).await {
            tracing::info!(%error, "an agent does not take its message");
            return;
        }
    }
}
