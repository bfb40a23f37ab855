-- While a run is silent: how long nobody could have seen it move, for the rig slept or the container did not answer.
ALTER TABLE attempt ADD COLUMN unwatched_ms INTEGER NOT NULL DEFAULT 0;
-- When its agent was last told that its work must move, and when a person was asked for help.
ALTER TABLE attempt ADD COLUMN nudged_at INTEGER;
ALTER TABLE attempt ADD COLUMN escalated_at INTEGER;
-- What it cost, in millionths of a dollar, if its report said so.
ALTER TABLE attempt ADD COLUMN cost_micros INTEGER;

-- What the bead's runs cost since a person last opened it, in millionths of a dollar.
ALTER TABLE bead ADD COLUMN cost_micros INTEGER NOT NULL DEFAULT 0;
-- When its starts were asked for that failed through the container's fault, and so do not count.
ALTER TABLE bead ADD COLUMN excused TEXT NOT NULL DEFAULT '[]';

-- The day on which it last had a run: an agent that is not used for long is forgotten.
ALTER TABLE agent ADD COLUMN used_at INTEGER;

-- In progress for an agent, and held by none: it goes back to the queue.
CREATE INDEX bead_orphan ON bead (updated_at)
    WHERE status = 'in_progress' AND assignee = 'agent' AND hooked_by IS NULL;

-- The rig's starts, if they fail: one row, written when a start fails and when the breaker opens, probes or closes.
CREATE TABLE breaker (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    -- [[asked_at, bead], …], the last ones
    failures   TEXT    NOT NULL,
    why        TEXT,
    opened_at  INTEGER,
    probe_at   INTEGER,
    CHECK ((opened_at IS NULL) = (probe_at IS NULL))
) STRICT;
