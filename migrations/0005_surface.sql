-- Answers to calls that carried an Idempotency-Key, for those who lost them. Numbered, so that the oldest are found
-- without an index on their time.
CREATE TABLE kept_answer (
    seq     INTEGER NOT NULL PRIMARY KEY,
    -- Caller, method, path and key in one text: one index, and so one row less for each call.
    name    TEXT    NOT NULL UNIQUE,
    at      INTEGER NOT NULL,
    -- Of the request's body.
    hash    TEXT    NOT NULL,
    status  INTEGER NOT NULL CHECK (status BETWEEN 200 AND 299),
    -- NULL: too large to be kept.
    body    TEXT
) STRICT;

-- Calls that were refused, in a ring.
CREATE TABLE refused_call (
    seq        INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    caller     TEXT    NOT NULL CHECK (caller IN ('operator', 'container', 'agent')),
    caller_id  TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    status     INTEGER NOT NULL CHECK (status BETWEEN 400 AND 499),
    code       TEXT    NOT NULL
) STRICT;
