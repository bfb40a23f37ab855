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

/// Connections at once: the readers of events ([`READERS_MAX`]) and as many others, and half of the 1,024 file
/// descriptors that a process usually has are left for agents, git and the jobs.
pub const CONNECTIONS_MAX: usize = 512;

/// How long a connection may be there without the head of a request, the first one or the next: who has something to
/// ask asks at once, and a new connection costs nothing.
pub const HEAD_MS_MAX: u64 = 10_000;

/// How long the body of a request may take after its head: 100 KB/s for the largest.
pub const BODY_MS_MAX: u64 = 20_000;

/// Names that become directories.
pub const ID_CHARS_MAX: usize = 128;

/// A run's wall time that can be asked for, in seconds: a week. Timers overflow with silly ones.
pub const TIME_LIMIT_S_MAX: u64 = 604_800;

/// One line of output; what is longer is cut and says so. Long enough for a stack frame or a diff line.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// What is read from a pipe at once. A pipe on Linux holds four times as much; but each of two pipes of each run has
/// this for as long as it lives: 1 MB for 30 agents.
pub const PIPE_READ_BYTES: usize = 16 * 1024;

/// Events kept of one agent.
pub const RING_LINES_MAX: usize = 500;

/// Bytes of events kept of one agent: 500 lines of 500 bytes, and 8 MB for 30 agents.
pub const RING_BYTES_MAX: usize = 256 * 1024;

/// What an event costs besides its text: its source, its length, its time.
pub const EVENT_OVERHEAD_BYTES: usize = 24;

/// The end of the output that goes into the exit report and the final status.
pub const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Runs that are over and still known. At worst a ring each: 50 MiB, if every one was noisy.
pub const ENDED_RUNS_MAX: usize = 200;

/// The reason of a stop, which comes back in the exit report.
pub const REASON_CHARS_MAX: usize = 200;

/// Lines that wait for an agent which does not read its standard input.
pub const INPUT_LINES_MAX: usize = 16;

/// Threads for what blocks: directories that are made and removed, looks at all processes. 30 runs that are looked at in
/// the same moment took one each, and each thread keeps memory of its own. None of that work waits for other such work.
pub const BLOCKING_THREADS_MAX: usize = 8;

/// Requests and events that wait for the owner of all agents.
pub const OWNER_QUEUE_MAX: usize = 1024;

/// How long the pipes may stay open once the process group is gone: then somebody else holds them.
pub const PIPE_DRAIN_MS: u64 = 1_000;

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

/// What a job runs: Claude Code, without questions. The `--` keeps a prompt that begins with a dash a prompt.
pub const JOB_COMMAND_DEFAULT: &str = "claude -p --agent {agent} --dangerously-skip-permissions \
     --max-budget-usd {budget} --output-format json -- {prompt}";

/// Jobs that wait and run together; the next one is refused. The agent service had as many.
pub const MAX_QUEUE_DEPTH_DEFAULT: u64 = 100;

/// The deepest queue that can be set: each waiting job is a row of up to a request's body.
pub const MAX_QUEUE_DEPTH_MAX: u64 = 10_000;

/// How long a job that is over is kept, in seconds: a week, so that nobody asks in vain after a weekend.
pub const JOB_TTL_S_DEFAULT: u64 = 604_800;

/// The longest time that can be set, in seconds: a year.
pub const JOB_TTL_S_MAX: u64 = 31_536_000;

/// Jobs that are over and kept; then the oldest goes, whatever its age.
pub const JOBS_KEPT_MAX: usize = 2_000;

/// What is kept of the output of all jobs that are over, in bytes: half a small disk. Then the oldest goes.
pub const JOBS_KEPT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// What is kept of a job's standard output; the rest is counted. A result is one line of up to some MB.
pub const JOB_STDOUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is kept of a job's standard error; the rest is counted. Nobody reads more of a log.
pub const JOB_STDERR_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Answers with a job's output that are made at once: each is held in memory some times over.
pub const JOB_READERS_MAX: usize = 2;

/// What is looked through for the result at the end of the output, if that is not JSON as a whole.
pub const JOB_RESULT_LINES_MAX: usize = 100;

/// A job's time limit that nobody asked for, in seconds. 900 was too short for real work.
pub const JOB_TIME_LIMIT_S_DEFAULT: u64 = 2_700;

/// A job's budget that nobody asked for, in millionths of a dollar.
pub const JOB_BUDGET_MICROS_DEFAULT: i64 = 5_000_000;

/// A larger budget is a slip of the pen: a million dollars.
pub const JOB_BUDGET_USD_MAX: f64 = 1_000_000.0;

/// An idempotency key, in bytes.
pub const JOB_KEY_BYTES_MAX: usize = 512;

/// What is held of a line of a run's output that looks like JSON, in bytes: a result has all that the agent said at
/// last in it. One that is longer says nothing of its cost; 30 such lines at once are 8 MB.
pub const RESULT_LINE_BYTES_MAX: usize = 256 * 1024;

/// A session id that an agent gives, in characters.
pub const SESSION_ID_CHARS_MAX: usize = 200;

/// Questions that wait for the thread with the jobs' rows.
pub const JOB_STORE_QUEUE_MAX: usize = 256;

/// Between two looks for jobs to forget, at most.
pub const JOB_EVICT_MS_MAX: u64 = 60_000;

/// Between two tries to start a job, or to write down how it ended, when the disk does not take it.
pub const JOB_RETRY_MS: u64 = 1_000;

/// Between two looks at what a run takes and at who has left its group.
pub const WATCH_MS: u64 = 2_000;

/// A child of ours that stays a zombie for longer than this is an adopted one: our own are reaped at once.
pub const ZOMBIE_MS_MAX: u64 = 5_000;

/// What a run may print before the rest is only counted and its end kept: hours of a talkative agent.
pub const OUTPUT_MB_DEFAULT: u64 = 256;

/// A run that prints nothing for this long is ended, in seconds; 0 is never. Some agents think for long.
pub const IDLE_OUTPUT_S_DEFAULT: u64 = 0;

/// What the processes of one run may take together; 0 is three quarters of the machine's memory, so that one
/// run never takes the service with it.
pub const RUN_MEMORY_MB_DEFAULT: u64 = 0;

/// Processes of one run; 0 is any number. A build on many cores has a hundred; a fork bomb has no end.
pub const RUN_PROCESSES_DEFAULT: u64 = 512;

/// Memory that must be free before a start. The smallest container has 256 MiB.
pub const MIN_FREE_MEMORY_MB_DEFAULT: u64 = 128;

/// Disk that must be free before a start: a working directory and the logs.
pub const MIN_FREE_DISK_MB_DEFAULT: u64 = 256;

/// The largest size or number that can be set; a larger one is a slip of the pen.
pub const SETTING_SIZE_MAX: u64 = 1 << 24;

/// Without an accepted heartbeat for this long the runs of a rig are suspended. The rig gives their work to
/// others after 180 s.
pub const LEASE_MS_DEFAULT: u64 = 120_000;

/// How often leases are looked at: a tenth of the shortest that makes sense.
pub const LEASE_LOOK_MS_MAX: u64 = 2_000;

/// How long agents may go on after they were told that the service ends.
pub const DRAIN_MS_DEFAULT: u64 = 15_000;

/// From the first signal to the KILL of the agents, whatever drain and grace are set to. With the 5 s that follow it,
/// the 15 s to keep their work and the 10 s for the last reports, the whole stays within 60 s.
pub const LEAVE_MS_MAX: u64 = 30_000;

/// From the first signal to the exit, whatever happens. The platform gives 15 min, an operator's patience is shorter.
pub const EXIT_MS_MAX: u64 = 60_000;

/// What the journal may grow to before it is written anew with what is still open.
pub const JOURNAL_BYTES_MAX: u64 = 1024 * 1024;

/// Readers of event streams at once, of all agents; each costs a page and a connection.
pub const READERS_MAX: usize = 256;

/// Events that a reader is handed at a time; at worst 256 KiB.
pub const READER_PAGE_LINES: usize = 32;

/// A stream without events says this often that it is there.
pub const STREAM_BEAT_MS: u64 = 15_000;

/// Lines kept of the end of what a run said beyond its bound: they must not push the rest out of the ring.
pub const OUTPUT_END_LINES_MAX: usize = 100;

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

/// How long a request for merges may take whose rig does not say, in seconds.
pub const MERGE_S_DEFAULT: u64 = 4 * 3_600;

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

/// Refs of uncommitted work that are removed from the remote when a bead has landed. It has one for each run that left
/// something, and 5 runs a day.
pub const WIP_REFS_REMOVED_MAX: usize = 100;

/// The files and hunks of a conflict that go into the report.
pub const CONFLICT_BYTES_MAX: usize = 6 * 1024;

/// Between the two tries of a fetch.
pub const GIT_RETRY_MS: u64 = 1_000;

/// Commits of the target branch among which a merge whose report was lost is looked for.
pub const MERGE_SEARCH_MAX: usize = 500;

/// How often a clone that is used is cleaned up: once a day.
pub const GIT_KEEP_HOUSE_S: u64 = 86_400;
