//! Every bound of the service, its unit last in its name, and why it is what it is.
//!
//! A setting's default stands here too. What has no number here must not grow with what agents or rigs do.

/// Where the service listens. All addresses: in a container, the port is what is published.
pub const LISTEN_DEFAULT: &str = "0.0.0.0:8080";

/// Where runs have their working directories.
pub const DATA_DIR_DEFAULT: &str = "/var/lib/beadrig";

/// Between two heartbeats. A rig calls a run silent after 90 s: three may be missed.
pub const HEARTBEAT_MS_DEFAULT: u64 = 30_000;

/// Each heartbeat is earlier or later by up to this share, so that services do not beat in step.
pub const HEARTBEAT_JITTER_PERCENT: u64 = 20;

/// Between TERM and KILL: enough to commit and push, short enough to wait for.
pub const GRACE_MS_DEFAULT: u64 = 10_000;

/// Runs at once. An agent takes 0.5 to 1.5 GiB.
pub const MAX_CONCURRENCY_DEFAULT: u64 = 10;

/// The most runs at once that can be set; each has a handful of file descriptors.
pub const MAX_CONCURRENCY_MAX: u64 = 1000;

/// A longer interval or grace is a slip of the pen: a day.
pub const SETTING_MS_MAX: u64 = 86_400_000;

/// A request's body. A prompt is at most a few hundred KiB.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Names that become directories.
pub const ID_CHARS_MAX: usize = 128;

/// A run's wall time that can be asked for, in seconds: a week. Timers overflow with silly ones.
pub const TIME_LIMIT_S_MAX: u64 = 604_800;

/// One line of output; what is longer is cut and says so. Long enough for a stack frame or a diff line.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// What is read from a pipe at once: the size of a pipe on Linux.
pub const PIPE_READ_BYTES: usize = 64 * 1024;

/// Events kept of one agent.
pub const RING_LINES_MAX: usize = 500;

/// Bytes of events kept of one agent.
pub const RING_BYTES_MAX: usize = 1024 * 1024;

/// What an event costs besides its text: the struct, its time, its place in the ring.
pub const EVENT_OVERHEAD_BYTES: usize = 128;

/// The end of the output that goes into the exit report and the final status.
pub const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Runs that are over and still known. At worst a ring each: 200 MiB, if every one was noisy.
pub const ENDED_RUNS_MAX: usize = 200;

/// The reason of a stop, which comes back in the exit report.
pub const REASON_CHARS_MAX: usize = 200;

/// Lines that wait for an agent which does not read its standard input.
pub const INPUT_LINES_MAX: usize = 16;

/// Requests and events that wait for the owner of all agents.
pub const OWNER_QUEUE_MAX: usize = 1024;

/// How long the pipes may stay open once the process group is gone: then somebody else holds them.
pub const DRAIN_MS: u64 = 1_000;

/// How long a killed group may take to vanish. Unreaped children of a poor init never do, and they do nothing.
pub const GROUP_GONE_MS_MAX: u64 = 500;

/// Between two looks at something that vanishes in its own time.
pub const LOOK_MS: u64 = 10;

/// Rounds of killing leftovers. Only something that forks faster than it is killed needs more than two.
pub const SWEEP_ROUNDS_MAX: u32 = 50;

/// How long to wait for the lock of the data directory: a child of a service that was just killed
/// holds it until its exec.
pub const LOCK_WAIT_MS: u64 = 1_000;

/// One request to a rig.
pub const RIG_REQUEST_MS_MAX: u64 = 5_000;

/// A rig's answer; more is not read.
pub const RIG_ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Exit reports that wait for all rigs together; then the oldest of the rig is dropped.
/// A rig also learns of an end by asking.
pub const REPORTS_WAITING_MAX: usize = 1000;

/// The first pause before an exit report is sent again.
pub const REPORT_BACKOFF_MS_MIN: u64 = 200;

/// The longest pause before an exit report is sent again; they double up to here.
pub const REPORT_BACKOFF_MS_MAX: u64 = 10_000;

/// Starts within this time share one early heartbeat.
pub const EARLY_BEAT_MS: u64 = 50;

/// How long the reports of the last runs may take when the service ends.
pub const FLUSH_MS_MAX: u64 = 10_000;

/// How much longer than the grace the runs may take to be gone when the service ends.
pub const SHUTDOWN_SLACK_MS: u64 = 5_000;

/// What `BEADRIG_RETRY_S` tells the agent's tools: go on trying this long when the rig does not answer.
pub const AGENT_RETRY_S: u64 = 120;

/// One git command that asks nobody else: a checkout of a large repository on a slow disk.
pub const GIT_LOCAL_MS_MAX: u64 = 120_000;

/// One git command that talks to a remote. The first fetch of a repository of several GiB takes minutes.
pub const GIT_REMOTE_MS_MAX: u64 = 600_000;

/// All that is done to keep the work of a run that is over. Leaving takes 60 s at most, the grace included.
pub const GIT_SAVE_MS_MAX: u64 = 15_000;

/// How long git has after TERM to remove its lock files.
pub const GIT_QUIT_MS: u64 = 300;

/// What is read of a git command's standard output: the names of many changed files. More is an error.
pub const GIT_OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is kept of a git command's standard error.
pub const GIT_ERROR_BYTES_MAX: usize = 4 * 1024;

/// A repository's address.
pub const GIT_URL_BYTES_MAX: usize = 2048;

/// A branch. A ref is a file, and names of files end at 255 bytes; `.lock` and a prefix must fit.
pub const GIT_BRANCH_BYTES_MAX: usize = 200;

/// How long a merge waits for a run on one of its branches to be over: a stop with its grace, and the save.
pub const GIT_BRANCH_WAIT_MS_MAX: u64 = 60_000;

/// Once nobody has used a repository for this long it is removed; what is in it is on its remote.
pub const GIT_UNUSED_S_MAX: u64 = 14 * 86_400;

/// Merges that are done at the same time; gates are builds.
pub const MERGES_AT_ONCE: usize = 4;

/// Requests for merges that wait, for all rigs together. The rig asks again.
pub const MERGES_WAITING_MAX: usize = 100;

/// Branches in one request. A rig sends 5; 5 with one bad one take 4 or 5 runs of the gates (`git/sift.rs`).
pub const MERGE_ENTRIES_MAX: usize = 20;

/// Merges that are over and still known, so that the same request again does not do them again.
pub const MERGES_KNOWN_MAX: usize = 500;

/// Times that a merge is done anew because the remote has moved meanwhile.
pub const MERGE_LAND_TRIES_MAX: u32 = 5;

/// Times that the rig is asked whether a merge may land, and the first pause between them, which doubles.
pub const LANDING_TRIES_MAX: u32 = 4;
/// See [`LANDING_TRIES_MAX`].
pub const LANDING_PAUSE_MS: u64 = 500;

/// Gates of one request.
pub const GATES_MAX: usize = 20;

/// One gate's time that can be asked for, in seconds.
pub const GATE_S_MAX: u64 = 7_200;

/// The end of a gate's output that goes into the report.
pub const GATE_TAIL_BYTES_MAX: usize = 4 * 1024;

/// The files and hunks of a conflict that go into the report.
pub const CONFLICT_BYTES_MAX: usize = 6 * 1024;

/// Between the two tries of a fetch.
pub const GIT_RETRY_MS: u64 = 1_000;

/// Commits of the target branch among which a merge whose report was lost is looked for.
pub const MERGE_SEARCH_MAX: usize = 500;

/// How often a clone that is used is cleaned up: once a day.
pub const GIT_KEEP_HOUSE_S: u64 = 86_400;
