-- What a rig sets for itself. A setting is written as the environment of the deployment would have it.
CREATE TABLE config (
    name   TEXT NOT NULL PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Branches that wait to be merged. An id begins with the time at which it was given, so that ids sort by age.
CREATE TABLE review (
    id           TEXT    NOT NULL PRIMARY KEY,
    bead         TEXT    NOT NULL,
    agent        TEXT    NOT NULL,
    -- The run that handed it in, if one did.
    attempt      INTEGER,
    branch       TEXT    NOT NULL,
    pr_url       TEXT,
    summary      TEXT,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'merged', 'conflict', 'failed')),
    -- Merges that were started.
    attempts     INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    message      TEXT,
    commit_sha   TEXT,
    CHECK ((finished_at IS NULL) = (state IN ('pending', 'running'))),
    CHECK (state <> 'running' OR started_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- One open review a bead.
CREATE UNIQUE INDEX review_open ON review (bead) WHERE state IN ('pending', 'running');

-- Lists by state, and what the tick asks: what runs, and since when.
CREATE INDEX review_state ON review (state);

-- Steps that a bead is done in, one after the other.
CREATE TABLE molecule (
    id          TEXT    NOT NULL PRIMARY KEY,
    bead        TEXT    NOT NULL,
    -- [["title", "instructions"], …]
    steps       TEXT    NOT NULL,
    -- Of the step that is to be done, from 0; the number of steps when all are done.
    step        INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('active', 'completed')),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Beads that belong together. Which ones is kept on the beads; whether all are closed is counted, never kept.
CREATE TABLE convoy (
    id          TEXT    NOT NULL PRIMARY KEY,
    title       TEXT    NOT NULL,
    created_by  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE bead ADD COLUMN convoy TEXT;
ALTER TABLE bead ADD COLUMN molecule TEXT;
-- Merges of its work that conflicted since a person last opened it.
ALTER TABLE bead ADD COLUMN conflicts INTEGER NOT NULL DEFAULT 0;

CREATE INDEX bead_convoy ON bead (convoy) WHERE convoy IS NOT NULL;
