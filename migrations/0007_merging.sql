-- Merges: what a review is merged into, what was heard of it, and how often it did not work.

-- The branch that a bead's work is on, the same in each of its runs, and its pull request.
ALTER TABLE bead ADD COLUMN branch TEXT;
ALTER TABLE bead ADD COLUMN pr_url TEXT;

-- SQLite changes no CHECK of a table that is there.
CREATE TABLE review_anew (
    id           TEXT    NOT NULL PRIMARY KEY,
    bead         TEXT    NOT NULL,
    agent        TEXT    NOT NULL,
    -- The run that handed it in, if one did.
    attempt      INTEGER,
    branch       TEXT    NOT NULL,
    pr_url       TEXT,
    summary      TEXT,
    -- `waiting`: the branch is pushed, and a person merges it.
    state        TEXT    NOT NULL CHECK (state IN
        ('pending', 'running', 'waiting', 'merged', 'conflict', 'failed')),
    -- Merges that were started: the fencing token. One that certainly never began does not count.
    attempts     INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    message      TEXT,
    commit_sha   TEXT,
    -- What it is merged into; NULL: the default branch of the remote.
    target       TEXT,
    -- When its merge was last known to be at work; NULL while nobody has confirmed that it began.
    seen_at      INTEGER,
    -- Back-off: no merge before.
    not_before   INTEGER,
    -- How often this start was asked for, and how often in a row there was no room for one.
    asks         INTEGER NOT NULL DEFAULT 0,
    refusals     INTEGER NOT NULL DEFAULT 0,
    -- Merges that never came back, and those that failed through no fault of the branch.
    recoveries   INTEGER NOT NULL DEFAULT 0,
    faults       INTEGER NOT NULL DEFAULT 0,
    -- The last start that was told that it may land.
    cleared      INTEGER,
    CHECK ((finished_at IS NULL) = (state IN ('pending', 'running', 'waiting'))),
    CHECK (state <> 'running' OR started_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

INSERT INTO review_anew (id, bead, agent, attempt, branch, pr_url, summary, state, attempts, created_at, started_at,
    finished_at, message, commit_sha)
SELECT id, bead, agent, attempt, branch, pr_url, summary, state, attempts, created_at, started_at, finished_at, message,
    commit_sha
FROM review;

DROP TABLE review;
ALTER TABLE review_anew RENAME TO review;

-- One open review a bead.
CREATE UNIQUE INDEX review_open ON review (bead) WHERE state IN ('pending', 'running', 'waiting');

-- Lists by state, and what the tick asks: what runs, since when, and what waits for its merge.
CREATE INDEX review_state ON review (state);
