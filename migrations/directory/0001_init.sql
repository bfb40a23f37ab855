-- What one user's directory holds. Times are milliseconds since the epoch.

CREATE TABLE town (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    owner_user_id  TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rig (
    id              TEXT    NOT NULL PRIMARY KEY,
    -- A town that has rigs cannot go.
    town_id         TEXT    NOT NULL REFERENCES town (id),
    name            TEXT    NOT NULL,
    git_url         TEXT,
    default_branch  TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX rig_of_town ON rig (town_id, created_at);
