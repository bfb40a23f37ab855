//! Every bound of the rig, with its unit and its reason. What an operator may change is in
//! [`settings`](crate::settings); what is here is not for changing.

/// Characters in a title; `bd` has the same.
pub const TITLE_CHARS_MAX: usize = 500;

/// Bytes in a body, a design or acceptance criteria: together with the rest well below the 2 MB that a row
/// may have in a Durable Object (a local workerd does not enforce it).
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Bytes in a note: room for a diff or a stack trace, and 1,000 of them are still only 16 MB.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;

/// Notes on a bead that people and agents write. The rig's own always find room: they are bounded by attempts.
pub const NOTES_PER_BEAD_MAX: i64 = 1_000;

/// Bytes in a bead's metadata or a checkpoint, as JSON.
pub const JSON_BYTES_MAX: usize = 64 * 1024;

/// Dependencies of a bead: who waits for more waits for a parent of them all.
pub const DEPENDENCIES_PER_BEAD_MAX: usize = 50;

/// Beads that depend on one bead: all are looked at when it is closed.
pub const DEPENDENTS_PER_BEAD_MAX: usize = 1_000;

/// Children of a bead: all are looked at when what it waits for changes.
pub const CHILDREN_PER_BEAD_MAX: usize = 1_000;

/// Generations above a bead: epics of epics, and as many steps in each question for what gates a bead.
pub const PARENT_DEPTH_MAX: usize = 10;

/// Steps that are walked in the search for a cycle.
pub const DEPENDENCY_WALK_MAX: usize = 10_000;

/// Blockers that are named in the reason why a bead waits.
pub const BLOCKERS_NAMED: usize = 5;

/// Characters in the type of a dependency; `bd` has the same.
pub const DEPENDENCY_KIND_CHARS_MAX: usize = 50;

/// Beads that are deferred no more, in one tick; the next ones wait for the next.
pub const DEFERRED_PER_TICK: usize = 50;

/// Labels on a bead.
pub const LABELS_MAX: usize = 50;

/// Characters in a label, a name, an assignee, a type, a reference.
pub const NAME_CHARS_MAX: usize = 128;

/// Characters in an id.
pub const ID_CHARS_MAX: usize = 64;

/// Bytes in the text of a reason, a summary or an error that is stored.
pub const REASON_BYTES_MAX: usize = 4 * 1024;

/// Bytes in a request's body: every field above at its longest, and room to spare.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Rows in a page when the caller names no limit, as in Gastown.
pub const PAGE_ROWS: u32 = 100;

/// Rows in a page at most.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// Agents of a rig, whatever their state: the tick reads them all, and ten times the most that work at once suffice.
pub const AGENTS_MAX: usize = 100;

/// Rows of the audit: years of a busy rig, and 50 MB at most. The oldest go first.
pub const EVENTS_MAX: i64 = 100_000;

/// The audit is cut once in so many rows, so that a normal write pays nothing for it.
pub const EVENTS_CUT_EVERY: i64 = 1_000;

/// How long a run that is over is remembered, in milliseconds: 30 days, for "what happened last week".
pub const ATTEMPT_KEEP_MS: i64 = 30 * 24 * HOUR_MS;

/// The window in which the runs of a bead are counted, in milliseconds.
pub const ATTEMPT_WINDOW_MS: i64 = 24 * HOUR_MS;

/// Runs of a bead that may be lost with the container in [`ATTEMPT_WINDOW_MS`]. They are not the bead's fault,
/// so they do not count as attempts; but a bead that takes the container down with it must stop some time.
pub const LOSSES_MAX: usize = 10;

/// Waits after the container had no room, in milliseconds, the last one for ever.
pub const CAPACITY_BACK_OFF_MS: [i64; 5] = [5_000, 15_000, 30_000, 60_000, 120_000];

/// Probes of a town's container that must fail before it is replaced: one may be lost, and two have been.
pub const CONTAINER_PROBES: u32 = 3;

/// Containers of a town that are replaced …
pub const CONTAINER_REPLACED_MAX: usize = 3;

/// … in this time, in milliseconds; what three new ones did not mend, a fourth will not.
pub const CONTAINER_REPLACED_WINDOW_MS: i64 = HOUR_MS;

/// Rigs that the watchdog knows: those with work. One more is not looked after until another has none.
pub const RIGS_WATCHED_MAX: usize = 10_000;

/// Rigs that the watchdog asks in one round; the next round goes on there. At 20 at once and 2 s each it takes less
/// than a minute.
pub const RIGS_A_ROUND: usize = 500;

/// How late an alarm may be before it counts as lost, in milliseconds: the platform needs up to a minute in a failover.
pub const ALARM_LATE_MS: i64 = 90_000;

/// What is due later than this is looked at before, in milliseconds: a clock that was set back would make it late. A
/// rig that is set to sleep longer when idle does.
pub const SLEEP_MS: i64 = 300_000;

/// An alarm further ahead than this is compared with what the rows want, in milliseconds: twice what a rig sleeps. A
/// clock that was ahead for a moment leaves one behind that would come days late.
pub const ALARM_AHEAD_MS: i64 = 2 * SLEEP_MS;

/// A rig with work tells the watchdog again after so long, in milliseconds: either may have been restored to yesterday.
pub const KNOWN_MS: i64 = 24 * HOUR_MS;

/// A run that said `done` may finish by itself for this long before it is ended, in milliseconds.
pub const DONE_GRACE_MS: i64 = 30_000;

/// A run that is over its time is first ended by the container; the rig steps in this much later, in milliseconds.
pub const RUN_TIMEOUT_GRACE_MS: i64 = 120_000;

/// Questions that must go unanswered before a run is given up …
pub const FAILED_ASKS: i64 = 3;

/// … and over how long, in milliseconds: longer than the 120 s after which a container that is cut off suspends.
pub const SUSPECT_MS: i64 = 180_000;

/// A sign of life is written at most this often, in milliseconds: a row written costs a thousand rows read.
pub const SEEN_EVERY_MS: i64 = 55_000;

/// An agent that is silent is told so once in this time, in milliseconds; as in Gastown's later rules.
pub const NUDGE_EVERY_MS: i64 = 60 * 60_000;

/// A person is asked for help when a run was silent for so many times `GUPP_MS`: an hour …
pub const SILENT_ESCALATE: i64 = 2;

/// … and the run is stopped after so many: two hours.
pub const SILENT_STOP: i64 = 4;

/// A process that was told to end and is still there after this time is given up, in milliseconds: many times the
/// longest grace that it may have; nothing that runs for ever keeps the rig awake for ever.
pub const STOPPING_MAX_MS: i64 = 10 * 60_000;

/// A bead in progress for an agent that none holds goes back to the queue after this time, in milliseconds: who set it
/// so by hand may hook it by hand the next moment.
pub const ORPHAN_MS: i64 = 60_000;

/// A bead whose claim fails because a row cannot be read is tried again after this time, in milliseconds: until then
/// the others have the slots, and whoever mends the row need not wait for long.
pub const UNREADABLE_MS: i64 = 10 * 60_000;

/// Beads that go back to the queue so in one tick; the next ones wait for the next.
pub const ORPHANS_PER_TICK: usize = 50;

/// An agent that had no run for this long and holds nothing is forgotten, in milliseconds: 30 days, as its runs are.
pub const AGENT_KEEP_MS: i64 = 30 * 24 * HOUR_MS;

/// That an agent had a run is written once in this time, in milliseconds: a day is exact enough for a month.
pub const AGENT_USED_EVERY_MS: i64 = 24 * HOUR_MS;

/// Agents that are forgotten in one tick.
pub const AGENTS_FORGOTTEN_A_TICK: usize = 5;

/// What is kept of a cost, in millionths of a dollar: a million dollars. A number beyond is a mistake, and sums of such
/// numbers stay below what JSON can hold.
pub const COST_MICROS_MAX: i64 = 1_000_000_000_000;

/// Starts that fail within [`BREAKER_WINDOW_MS`] and open the breaker; as in Gastown's later rules.
pub const BREAKER_FAILURES: usize = 20;

/// Starts of a bead in [`ATTEMPT_WINDOW_MS`] that may fail without being counted, for the container is at fault. A bead
/// that fails where others start must be given up some time, however often the breaker opens for it.
pub const EXCUSED_MAX: usize = 20;

/// The window in which they are counted, in milliseconds.
pub const BREAKER_WINDOW_MS: i64 = 30 * 60_000;

/// While the breaker is open one start is let through in this time at most, in milliseconds …
pub const BREAKER_PROBE_MS: i64 = 5 * 60_000;

/// … and later, when it was open for long, in this time at least: work goes on 20 min after the cause is mended.
pub const BREAKER_PROBE_MAX_MS: i64 = 20 * 60_000;

/// The alarm is never set closer than this, in milliseconds: an alarm that spins is billed.
pub const ALARM_MIN_MS: i64 = 1_000;

/// An agent's token outlives its run's time limit by this much, in seconds.
pub const TOKEN_GRACE_S: i64 = 3_600;

/// Bytes in a path below a rig: names, a few of them.
pub const PATH_BYTES_MAX: usize = 2_048;

/// Bytes in a query string: every filter there is, each at its longest.
pub const QUERY_BYTES_MAX: usize = 8_192;

/// Characters in an `Idempotency-Key`: three UUIDs.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;

/// How long an answer is kept under its `Idempotency-Key`, in milliseconds: whoever comes later does not repeat.
pub const KEPT_ANSWER_MS: i64 = 24 * HOUR_MS;

/// Answers that are kept at once; the oldest go first.
pub const KEPT_ANSWERS_MAX: i64 = 10_000;

/// Bytes of an answer that is kept; of a larger one it is only known that it was given.
pub const KEPT_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Refused calls that are remembered; the oldest go first.
pub const REFUSED_CALLS_MAX: i64 = 1_000;

/// Refused calls that are written down in one minute: enough to see what goes wrong, too few to cost anything.
pub const REFUSED_CALLS_A_MINUTE: i64 = 60;

/// Characters of the path of a refused call that are written down.
pub const REFUSED_PATH_CHARS_MAX: usize = 256;

/// Parameters of one statement in a Durable Object.
pub const SQL_PARAMETERS_MAX: usize = 100;

/// Bytes of one value in a Durable Object.
pub const SQL_VALUE_BYTES_MAX: usize = 2_000_000;

/// A merge of which nothing was heard for so long is tried again, in milliseconds; as in Gastown.
pub const REVIEW_RUNNING_MS: i64 = 5 * 60_000;

/// How often a merge is tried again that never came back; then a person shall look.
pub const REVIEW_RECOVERIES_MAX: i64 = 3;

/// How often a bead's work may be sent back by its merge before a person is asked: an agent that could not mend it
/// twice will not the third time.
pub const CONFLICTS_MAX: u32 = 2;

/// Branches that are merged and checked together: as in a merge train, enough to share the time of the gates, and few
/// enough that halving finds whose fault it is in three steps.
pub const MERGE_BATCH_MAX: usize = 5;

/// A merge of which nobody has confirmed that it began is asked for again so soon, in milliseconds; as a start is.
pub const MERGE_ASK_AGAIN_MS: i64 = 10_000;

/// Waits after the first, second, … merge that failed through no fault of the branch, in milliseconds; then a person
/// shall look.
pub const MERGE_BACK_OFF_MS: [i64; 3] = [30_000, 120_000, 600_000];

/// What a merge may take besides its gates, in seconds: git has 10 minutes for a fetch or a push, and a remote that
/// moves meanwhile takes some of each.
pub const MERGE_GIT_S: u64 = 3_600;

/// Runs of the gates that a merge may take: nine for five branches that are all bad, and one of the target by itself.
pub const MERGE_GATE_RUNS: u64 = 10;

/// A merge that is at work for so many times what its container has for it is taken back: twice, for it may have
/// waited for a place, and the container ends it first.
pub const MERGE_OVERTIME: i64 = 2;

/// Gates that a rig has: each costs every merge its time …
pub const GATES_MAX: usize = 10;

/// … and how long one may take, in seconds; a merge holds up all others of its branch …
pub const GATE_S_MAX: u64 = 3_600;

/// … and how long it takes at most if it does not say, in seconds.
pub const GATE_S: u64 = 600;

/// How long a review that is over is remembered, in milliseconds: 90 days.
pub const REVIEW_KEEP_MS: i64 = 90 * 24 * HOUR_MS;

/// Merges that one tick looks after: more than run at once, and few enough for a tick's time.
pub const REVIEWS_A_TICK: u32 = 20;

/// Bytes in the name of a branch: git's own bound is that of a file name.
pub const BRANCH_BYTES_MAX: usize = 250;

/// Bytes in an address: more than any forge has, and no room for a payload.
pub const URL_BYTES_MAX: usize = 1_024;

/// Steps of a molecule, as many as a person overlooks.
pub const STEPS_MAX: usize = 50;

/// Characters in the summary of a step; as in Gastown.
pub const SUMMARY_CHARS_MAX: usize = 5_000;

/// Bytes in the instructions of a step: 50 of them stay below what a row may have.
pub const INSTRUCTIONS_BYTES_MAX: usize = 16 * 1024;

/// Beads that a convoy is made of.
pub const CONVOY_BEADS_MAX: usize = 100;

/// Convoys in a page at most: each has its beads counted.
pub const CONVOYS_PAGE_MAX: u32 = 100;

/// Variables that a rig has for its agents' environment …
pub const ENV_VARS_MAX: usize = 50;

/// … and bytes in the value of one, or of a setting: all of them together stay below what a row may have.
pub const CONFIG_VALUE_BYTES_MAX: usize = 4 * 1024;
/// Events that an agent may send in one call: a second of a busy tool log.
pub const AGENT_EVENTS_CALL_MAX: usize = 500;

/// Bytes in the data of an agent's event, as JSON.
pub const AGENT_EVENT_BYTES_MAX: usize = 64 * 1024;

/// Events kept of an agent, as in Gastown: the last hours of it, for whoever looks what it did.
pub const AGENT_EVENTS_KEPT: i64 = 2_000;

/// Bytes of events kept of an agent: 100 agents, which is as many as there may be, fill 400 MB.
pub const AGENT_EVENTS_BYTES_KEPT: i64 = 4 * 1024 * 1024;

/// Rows in a page of an agent's events when the caller names no limit, as in Gastown.
pub const AGENT_EVENTS_PAGE: i64 = 200;

/// Characters in the subject of a mail: one line.
pub const SUBJECT_CHARS_MAX: usize = 200;

/// Bytes in the body of a mail, as in a note.
pub const MAIL_BYTES_MAX: usize = 16 * 1024;

/// Mails that may wait for an agent: an agent that reads none must not fill the rig.
pub const MAIL_PER_AGENT_MAX: i64 = 100;

/// Delivered mails that are kept of an agent, for a reader whose answer was lost.
pub const MAIL_DELIVERED_KEPT: i64 = 100;

/// How long a delivered mail is kept, in milliseconds: 30 days.
pub const MAIL_KEEP_MS: i64 = 30 * 24 * HOUR_MS;

/// Beads in what an agent is primed with; it works on one of them.
pub const PRIME_BEADS_MAX: u32 = 20;

/// How old an escalation that nobody acknowledged must be for its first bump, in milliseconds; each further bump
/// takes as long again.
pub const ESCALATION_BUMP_MS: i64 = 4 * HOUR_MS;

/// Bumps of an escalation: who did not look after 12 h will not look at a fourth.
pub const ESCALATION_BUMPS_MAX: i64 = 3;

/// Escalations that are remembered as such; a year of three a day. Their beads are kept in any case.
pub const ESCALATIONS_KEPT: i64 = 1_000;

/// Escalations that wait to be acknowledged: an agent in a loop must not bury what people shall see.
pub const ESCALATIONS_WAITING_MAX: i64 = 200;

const HOUR_MS: i64 = 3_600_000;

/// Characters in the name of a town or of a rig in a user's directory; as in Gastown.
pub const DIRECTORY_NAME_CHARS_MAX: usize = 64;

/// Towns of a user: each is a container.
pub const TOWNS_PER_USER_MAX: usize = 100;

/// Rigs of a town: all of them are asked when the town's events are read.
pub const RIGS_PER_TOWN_MAX: usize = 100;

/// Rigs of a town that are asked at once: a worker may have few connections open.
pub const RIGS_AT_ONCE: usize = 20;

/// Bytes in the name of a user.
pub const USER_BYTES_MAX: usize = 128;

/// Convoys of a town in a page at most: all of their beads are asked for.
pub const TOWN_CONVOYS_PAGE_MAX: u32 = 20;

/// Convoys that a town remembers; the oldest go first. Years of several a day.
pub const TOWN_CONVOYS_KEPT: u32 = 2_000;

/// Beads that a rig is asked for at once: all of a page of convoys may be in one rig.
pub const TRACKED_BEADS_MAX: usize = TOWN_CONVOYS_PAGE_MAX as usize * CONVOY_BEADS_MAX;

/// Beads whose details one call asks for: their names fit in a query string.
pub const DETAILS_BEADS_MAX: usize = 100;

/// Bytes of notes in one answer with details, if it has more than one bead: what fits is answered, and the rest is
/// asked for again.
pub const DETAILS_NOTE_BYTES_MAX: u64 = 1024 * 1024;

/// Names that a part of one may mean, in one answer: more are no help to whoever must choose.
pub const NAMES_MAX: i64 = 20;

/// Finished beads that are looked through for a name that has a part in its middle, the newest: nobody types a part of
/// an older one, and a search must not grow with all that was ever done.
pub const NAMES_LOOKED_THROUGH: i64 = 10_000;

/// Finished beads that a rig's status counts: they grow without end, and a count of them kept in a row would cost every
/// close a row more.
pub const STATUS_FINISHED_MAX: u32 = 10_000;

/// Lines of one import: a second or so of an object that does nothing else meanwhile.
pub const IMPORT_LINES_MAX: usize = 500;

/// Bytes of what an imported line has that the rig has no column for, as JSON, for a bead.
pub const IMPORT_KEPT_BYTES_MAX: usize = 128 * 1024;

/// Bytes in a note or a comment that is imported: others write longer ones than the rig's own callers may.
pub const IMPORT_TEXT_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// Dependencies in an imported line, tied or not.
pub const IMPORT_DEPENDENCIES_MAX: usize = 200;

/// Characters of a reason in the report of an import: with 500 lines it stays an answer and no file.
pub const IMPORT_REASON_CHARS_MAX: usize = 200;

/// Bytes of the rows that one statement writes: half as much again would be more than a value may have.
pub const IMPORT_STATEMENT_BYTES: usize = 1_200_000;

/// Beads of a page of an export …
pub const EXPORT_PAGE_ROWS: u32 = 500;

/// … and bytes of their texts, but for the last one: an object has 128 MB for all that it does.
pub const EXPORT_PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// Comments on a bead, as many as notes.
pub const COMMENTS_PER_BEAD_MAX: usize = 1_000;
