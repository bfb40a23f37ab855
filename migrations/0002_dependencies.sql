-- What waits for what. One type a pair. Only `blocks` gates; a bead's parent is a column of the bead.
CREATE TABLE dependency (
    bead        TEXT    NOT NULL REFERENCES bead (id),
    depends_on  TEXT    NOT NULL REFERENCES bead (id),
    kind        TEXT    NOT NULL CHECK (kind <> 'parent-child' AND length(kind) BETWEEN 1 AND 50),
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    PRIMARY KEY (bead, depends_on),
    CHECK (bead <> depends_on)
) STRICT, WITHOUT ROWID;

CREATE INDEX dependency_of ON dependency (depends_on);

-- Parents that never were.
UPDATE bead SET parent = NULL WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM bead);

-- Whether it waits for a bead that is not closed, its own or one of its ancestors'. Written out, so that what is
-- blocked is not in the queue, and the tick never passes over it.
ALTER TABLE bead ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1));

DROP INDEX bead_queue;

-- What an agent may take, in the order in which it is taken.
CREATE INDEX bead_queue ON bead (priority, updated_at)
    WHERE status = 'open' AND assignee = 'agent' AND acceptance_criteria IS NOT NULL AND blocked = 0;

-- What is put off until a time and then goes back to the queue.
CREATE INDEX bead_deferred ON bead (defer_until)
    WHERE status = 'deferred' AND assignee = 'agent' AND defer_until IS NOT NULL;

-- A bead's children, in the order in which they were made.
CREATE INDEX bead_children ON bead (parent, created_at) WHERE parent IS NOT NULL;

-- What waits for other beads, as it is listed.
CREATE INDEX bead_blocked ON bead (priority, created_at DESC) WHERE blocked = 1 AND finished = 0;
