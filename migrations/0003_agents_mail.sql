-- What was said of an agent by a person, the patrol or itself; while it is marked it gets no work.
ALTER TABLE agent ADD COLUMN mark TEXT CHECK (mark IN ('blocked', 'dead', 'stalled'));

-- What an agent printed and which tools it used: one row a call, whatever the number of events in it, for a row
-- written costs a thousand rows read.
CREATE TABLE agent_event (
    agent   TEXT    NOT NULL,
    -- The number of the last event in it; those of an agent have no gaps.
    last    INTEGER NOT NULL,
    -- Bytes of all events that the agent ever sent before these, and of these: what is kept is a difference of
    -- two rows, never a sum over all.
    before  INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    -- [[type, at, data], …]
    events  TEXT    NOT NULL,
    PRIMARY KEY (agent, last)
) STRICT, WITHOUT ROWID;

-- Whoever sends need not be an agent of the rig, so nothing is referred to.
CREATE TABLE mail (
    to_agent      TEXT    NOT NULL,
    -- In the key, so that what waits is together and needs no index of its own.
    delivered     INTEGER NOT NULL CHECK (delivered IN (0, 1)),
    -- Only grows, and is never below the clock when it was given: no number comes twice, whatever was purged.
    n             INTEGER NOT NULL,
    from_agent    TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    delivered_at  INTEGER,
    PRIMARY KEY (to_agent, delivered, n),
    CHECK ((delivered = 1) = (delivered_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What makes a bead an escalation. Whether it is still open is the bead's to say.
CREATE TABLE escalation (
    seq              INTEGER NOT NULL PRIMARY KEY,
    bead             TEXT    NOT NULL UNIQUE,
    cause            TEXT,
    severity         TEXT    NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    created_at       INTEGER NOT NULL,
    -- How often it was reported.
    count            INTEGER NOT NULL DEFAULT 1,
    -- How often it was raised because nobody acknowledged it, and when that is looked at next; NULL: no more.
    bumps            INTEGER NOT NULL DEFAULT 0,
    next_at          INTEGER,
    acknowledged_at  INTEGER,
    acknowledged_by  TEXT,
    CHECK (acknowledged_at IS NULL OR next_at IS NULL)
) STRICT;

CREATE INDEX escalation_cause ON escalation (cause) WHERE cause IS NOT NULL;

CREATE INDEX escalation_next ON escalation (next_at) WHERE next_at IS NOT NULL;
