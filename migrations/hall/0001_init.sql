-- What a town knows of itself. Times are milliseconds since the epoch.

-- The rigs that it asks.
CREATE TABLE member (
    rig_id     TEXT    NOT NULL PRIMARY KEY,
    -- For people; none for a rig that is in no directory.
    name       TEXT,
    joined_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE convoy (
    id          TEXT    NOT NULL PRIMARY KEY,
    title       TEXT    NOT NULL,
    created_by  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether a bead is closed is its rig's to say, and is asked each time.
CREATE TABLE convoy_bead (
    convoy_id  TEXT NOT NULL REFERENCES convoy (id) ON DELETE CASCADE,
    rig_id     TEXT NOT NULL,
    bead_id    TEXT NOT NULL,
    PRIMARY KEY (convoy_id, rig_id, bead_id)
) STRICT, WITHOUT ROWID;

-- What is set for all rigs of the town; there are secrets in it.
CREATE TABLE setting (
    name   TEXT NOT NULL PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
