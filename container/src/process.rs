//! The process of one run: the only place, with what is below it, that knows processes and signals.
//!
//! A process is a group. One task per process spawns it, reads its pipes, and ends it by rungs:
//!
//! ```text
//! living --order Term, or over a bound--> asked (TERM, CONT) --grace over, or order Kill--> killed (KILL)
//!   |  ^                                    |                                                |
//!   |  +-- order Suspend: STOP to every process of the run, its clocks stand; Resume: CONT   |
//!   +------------------------------ the leader is gone --------------------------------------+
//!                                           |
//!                      KILL to the rest of the group, then to whoever left the group: gone
//! ```
//!
//! Term and Kill mean the same to one that is suspended; it goes on to hear the TERM.
//!
//! It must never decide: what happens is told to the owner of all agents, who gives the orders.

pub mod census;
pub mod cgroup;
pub mod meter;
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
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use crate::clock;
use crate::jobs::capture::Capture;
use crate::launch::Launch;
use crate::life::Exit;
use crate::limits::{
    GROUP_GONE_MS_MAX, INPUT_LINES_MAX, LOOK_MS, PIPE_DRAIN_MS, PIPE_READ_BYTES, WATCH_MS,
};
use crate::lines::Lines;
use crate::output::{Output, Source};
use census::{Census, Usage};
use cgroup::Door;
use meter::{Meter, Over};

/// What the owner can order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin the ladder.
    Term,
    /// Go to its end at once.
    Kill,
    /// Stand still until told otherwise.
    Suspend,
    /// Go on.
    Resume,
}

/// The way to give orders to a process that is told nothing.
pub type Orders = mpsc::UnboundedSender<Order>;

/// What the owner is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The process is up.
    Spawned,
    /// It could not be started, and why.
    CouldNotSpawn(String),
    /// It was ended before it was started.
    NotStarted,
    /// It has reached a bound; the ladder has begun.
    Over(Over),
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
        member: Member,
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
            let task = Task { member, launch, output, news: early };
            tokio::join!(task.run(orders_in, input_in), forward(rest, tell));
        });
        Self { orders, input }
    }

    /// Gives an order. One that comes too late does nothing.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Closes its standard input: nobody will say anything. What is left gives orders; dropped, it kills.
    pub fn mute(self) -> Orders {
        self.orders
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

/// A run as the census of all processes knows it.
#[derive(Clone)]
pub struct Member {
    /// Who knows the processes.
    pub census: Census,
    /// The number of this run there.
    pub run: u64,
}

impl Member {
    /// Asks the census, which blocks. One that cannot be asked answers nothing; that is logged.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Census, u64) -> Result<T, orphans::OrphanError> + Send + 'static,
    ) -> Option<T> {
        let Self { census, run } = self.clone();
        let answer = spawn_blocking(move || question(&census, run)).await;
        match answer {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::error!(run = self.run, %error, "the processes of a run");
                None
            }
            Err(error) => {
                tracing::error!(run = self.run, %error, "the processes of a run");
                None
            }
        }
    }

    async fn signal(&self, signal: Signal) {
        self.ask(move |census, run| census.signal(run, signal)).await;
    }
}

struct Task {
    member: Member,
    launch: Launch,
    output: Arc<Output>,
    /// At most five; unbounded so that the ladder never waits for the owner.
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
        let mut early = Early::default();
        while let Ok(order) = orders.try_recv() {
            if early.is_end(order) {
                return tell(News::NotStarted);
            }
        }
        if let Some(place) = &launch.place {
            let made = tokio::select! {
                made = place.prepare() => made,
                () = early.end(&mut orders) => return tell(News::NotStarted),
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
        let member = self.member;
        let door = member.census.enter(member.run, launch.marker.clone());
        let mut child = match spawn(&launch, door.as_ref()) {
            Ok(child) => child,
            Err(error) => {
                member.census.forget(member.run);
                return tell(News::CouldNotSpawn(error.to_string()));
            }
        };
        let group = Group::of(&child);
        member.census.lead(member.run, group.0.as_raw().unsigned_abs());
        tell(News::Spawned);
        let pipes = Pipes::open(&mut child, &self.output, launch.capture.as_ref(), input);
        let climb = Climb { group: &group, member: &member, launch: &launch, output: &self.output };
        let exit = climb.ladder(&mut child, &mut orders, early.0, &tell).await;
        clear(group, &member).await;
        pipes.drain().await;
        if let Some(place) = &launch.place {
            self.output.note(place.save().await);
        }
        self.output.finish(clock::now());
        tell(News::Gone(exit));
    }
}

/// What was ordered before there was a process: an end, or whether it shall stand still from its beginning.
#[derive(Default)]
struct Early(Option<Order>);

impl Early {
    /// Takes an order; true: there shall be no process.
    fn is_end(&mut self, order: Order) -> bool {
        match order {
            Order::Term | Order::Kill => return true,
            Order::Suspend => self.0 = Some(Order::Suspend),
            Order::Resume => self.0 = None,
        }
        false
    }

    /// Returns when there shall be no process.
    async fn end(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            if self.is_end(order) {
                return;
            }
        }
    }
}

/// Starts the leader of a new group.
///
/// There is no moment in which a group exists that nobody knows. The child makes its group itself, before its
/// exec, and this returns only after the exec: until then its owner waits here, and no order can be missed.
/// If the service dies in between, the child holds the lock of the data directory (a lock belongs to the open
/// file, which a fork shares and an exec closes), so the next service cannot begin to look for leftovers
/// before the child has the environment by which it is found.
fn spawn(launch: &Launch, door: Option<&Door>) -> std::io::Result<Child> {
    let path = launch.environment.iter().find(|(name, _)| name == "PATH");
    let path = path.map(|(_, value)| value.as_os_str());
    let mut command = match door {
        Some(door) => door.command(&launch.program, path, &launch.workdir)?,
        None => Command::new(&launch.program),
    };
    command
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

/// Where on the ladder a process is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rung {
    Living,
    Asked,
    Killed,
}

/// What the ladder needs.
struct Climb<'a> {
    group: &'a Group,
    member: &'a Member,
    launch: &'a Launch,
    output: &'a Output,
}

impl Climb<'_> {
    /// Waits for the leader to end, and helps.
    async fn ladder(
        &self,
        child: &mut Child,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        mut early: Option<Order>,
        tell: &impl Fn(News),
    ) -> Exit {
        let mut rung = Rung::Living;
        let mut meter = Meter::new(self.launch.bounds, Instant::now());
        let mut grace_over = Instant::now();
        let mut watch = interval(Duration::from_millis(WATCH_MS));
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = meter.due();
            let order = if let Some(order) = early.take() {
                Some(order)
            } else {
                tokio::select! {
                    ended = child.wait() => return how(ended),
                    // A closed channel: the owner has dropped the run, which it does only when it is gone itself.
                    order = orders.recv(), if rung != Rung::Killed => Some(order.unwrap_or(Order::Kill)),
                    _ = watch.tick(), if rung == Rung::Living => self.look(&mut meter, tell).await,
                    () = sleep_until(due.unwrap_or(grace_over)), if rung == Rung::Living && due.is_some() => {
                        self.check(&mut meter, Usage::default(), tell)
                    }
                    () = sleep_until(grace_over), if rung == Rung::Asked => Some(Order::Kill),
                }
            };
            match order {
                Some(Order::Term) if rung == Rung::Living => {
                    // One that was stopped with SIGSTOP would never see the TERM.
                    self.group.signal(Signal::SIGTERM);
                    self.group.signal(Signal::SIGCONT);
                    if meter.is_suspended() {
                        self.member.signal(Signal::SIGCONT).await;
                    }
                    rung = Rung::Asked;
                    grace_over = Instant::now() + self.launch.grace;
                }
                Some(Order::Kill) => {
                    self.group.signal(Signal::SIGKILL);
                    rung = Rung::Killed;
                }
                Some(Order::Suspend) if rung == Rung::Living => {
                    meter.suspend(Instant::now());
                    self.stop_all().await;
                }
                Some(Order::Resume) if rung == Rung::Living && meter.is_suspended() => {
                    meter.resume(Instant::now());
                    self.group.signal(Signal::SIGCONT);
                    self.member.signal(Signal::SIGCONT).await;
                }
                Some(Order::Term | Order::Suspend | Order::Resume) | None => {}
            }
        }
    }

    /// Looks at what it takes, or that it still stands still: one may have been begun while the others were stopped.
    async fn look(&self, meter: &mut Meter, tell: &impl Fn(News)) -> Option<Order> {
        if meter.is_suspended() {
            self.stop_all().await;
            return None;
        }
        let usage = self.member.ask(Census::usage).await.unwrap_or_default();
        self.check(meter, usage, tell)
    }

    fn check(&self, meter: &mut Meter, usage: Usage, tell: &impl Fn(News)) -> Option<Order> {
        let over = meter.check(Instant::now(), self.output.said(), usage)?;
        tell(News::Over(over));
        Some(if over.is_urgent() { Order::Kill } else { Order::Term })
    }

    async fn stop_all(&self) {
        self.group.signal(Signal::SIGSTOP);
        self.member.signal(Signal::SIGSTOP).await;
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
async fn clear(group: Group, member: &Member) {
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
    member.ask(Census::end).await;
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
    fn open(
        child: &mut Child,
        output: &Arc<Output>,
        capture: Option<&Arc<Capture>>,
        input: mpsc::Receiver<String>,
    ) -> Self {
        let stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        Self {
            readers: [
                tokio::spawn(read(stdout, Source::Stdout, Arc::clone(output), capture.cloned())),
                tokio::spawn(read(stderr, Source::Stderr, Arc::clone(output), capture.cloned())),
            ],
            writer: tokio::spawn(write(stdin, input)),
        }
    }

    /// Reads what is still in the pipes. Nobody of the run holds them any more; if a stranger does, not for long.
    async fn drain(self) {
        self.writer.abort();
        let until = Instant::now() + Duration::from_millis(PIPE_DRAIN_MS);
        for mut reader in self.readers {
            tokio::select! {
                _ = &mut reader => {}
                () = sleep_until(until) => reader.abort(),
            }
        }
    }
}

async fn read(
    mut pipe: impl AsyncRead + Unpin,
    source: Source,
    output: Arc<Output>,
    capture: Option<Arc<Capture>>,
) {
    let mut lines = Lines::default();
    let mut chunk = vec![0; PIPE_READ_BYTES];
    // A job's output is kept whole, and looked through in the end.
    let is_looked_through = source == Source::Stdout && capture.is_none();
    let push = |line, raw: &[u8]| {
        if is_looked_through {
            output.tells(raw);
        }
        output.push(source, line, clock::now());
    };
    loop {
        match pipe.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if let Some(capture) = &capture {
                    capture.take(source, &chunk[..length]);
                }
                output.heard(length, clock::now());
                lines.feed(&chunk[..length], push);
            }
        }
    }
    if let Some((line, raw)) = lines.finish() {
        push(line, &raw);
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
