-- Times are milliseconds since the epoch. Integers stay below 2^53; there is no BOOLEAN and no REAL.

CREATE TABLE agent (
    id          TEXT    NOT NULL PRIMARY KEY,
    role        TEXT    NOT NULL CHECK (role IN ('polecat', 'refinery', 'mayor', 'witness')),
    name        TEXT    NOT NULL,
    identity    TEXT    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bead (
    id                   TEXT    NOT NULL PRIMARY KEY,
    kind                 TEXT    NOT NULL,
    status               TEXT    NOT NULL CHECK (status IN
        ('open', 'in_progress', 'in_review', 'blocked', 'deferred', 'closed', 'failed')),
    title                TEXT    NOT NULL,
    body                 TEXT,
    design               TEXT,
    -- Never blank: what is blank is NULL.
    acceptance_criteria  TEXT,
    priority             INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 4),
    assignee             TEXT,
    -- The agent that holds it, or held it last.
    assignee_agent_id    TEXT,
    -- The hook, in the one place where it is kept: an agent's hook is the bead that names it here.
    hooked_by            TEXT    REFERENCES agent (id),
    parent               TEXT,
    labels               TEXT    NOT NULL DEFAULT '[]',
    metadata             TEXT    NOT NULL DEFAULT '{}',
    external_ref         TEXT,
    due_at               INTEGER,
    defer_until          INTEGER,
    -- Back-off: not to be started before.
    not_before           INTEGER,
    -- When the runs that count against the bead were started, and those that were lost with the container.
    runs                 TEXT    NOT NULL DEFAULT '[]',
    losses               TEXT    NOT NULL DEFAULT '[]',
    checkpoint           TEXT,
    failure_code         TEXT,
    failure_message      TEXT,
    created_at           INTEGER NOT NULL,
    created_by           TEXT    NOT NULL,
    updated_at           INTEGER NOT NULL,
    started_at           INTEGER,
    closed_at            INTEGER,
    close_reason         TEXT,
    -- Written out, so that the index on it is only touched when it changes.
    finished             INTEGER NOT NULL,
    CHECK (finished = (status IN ('closed', 'failed'))),
    CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CHECK (hooked_by IS NULL OR status = 'in_progress')
) STRICT;

-- Lists, newest first; what is finished grows without end and is kept apart.
CREATE INDEX bead_by_age ON bead (finished, created_at);

-- One bead an agent.
CREATE UNIQUE INDEX bead_hook ON bead (hooked_by) WHERE hooked_by IS NOT NULL;

-- What an agent may take, in the order in which it is taken.
CREATE INDEX bead_queue ON bead (priority, updated_at)
    WHERE status = 'open' AND assignee = 'agent' AND acceptance_criteria IS NOT NULL;

-- Appended, never rewritten.
CREATE TABLE note (
    bead    TEXT    NOT NULL REFERENCES bead (id),
    n       INTEGER NOT NULL,
    author  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    text    TEXT    NOT NULL,
    PRIMARY KEY (bead, n)
) STRICT, WITHOUT ROWID;

-- One row a run. The number is the fencing token: it only grows, and is never below the clock when it was
-- given, so that a rig that is restored to yesterday does not give it again.
CREATE TABLE attempt (
    number         INTEGER NOT NULL PRIMARY KEY,
    agent          TEXT    NOT NULL,
    bead           TEXT    NOT NULL,
    job            TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN
        ('claimed', 'starting', 'running', 'stopping',
         'done', 'exited', 'failed', 'timeout', 'lost', 'interrupted')),
    -- While stopping: the state it will end in.
    outcome        TEXT,
    reason         TEXT,
    exit_code      INTEGER,
    -- When the container was first asked in earnest; the start deadline counts from here.
    asked_at       INTEGER NOT NULL,
    -- While claimed: how often the container had no room, and when it is asked again.
    refusals       INTEGER NOT NULL DEFAULT 0,
    retry_at       INTEGER,
    accepted_at    INTEGER,
    last_seen      INTEGER,
    last_activity  INTEGER,
    -- While the container does not answer: since when, and how many questions went unanswered.
    suspect_since  INTEGER,
    failed_asks    INTEGER NOT NULL DEFAULT 0,
    -- While stopping: when the container is told to end it.
    stop_at        INTEGER,
    ended_at       INTEGER,
    CHECK ((ended_at IS NULL) = (state IN ('claimed', 'starting', 'running', 'stopping')))
) STRICT;

-- One run an agent at a time.
CREATE UNIQUE INDEX attempt_live ON attempt (agent) WHERE ended_at IS NULL;

-- The audit: what changed, who did it.
CREATE TABLE bead_event (
    seq    INTEGER NOT NULL PRIMARY KEY,
    bead   TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    event  TEXT    NOT NULL,
    old    TEXT,
    new    TEXT,
    data   TEXT
) STRICT;

CREATE INDEX bead_event_of ON bead_event (bead);
