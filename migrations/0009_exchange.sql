-- What was said in a conversation about a bead.
CREATE TABLE comment (
    bead    TEXT    NOT NULL REFERENCES bead (id),
    n       INTEGER NOT NULL,
    id      TEXT    NOT NULL,
    author  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    text    TEXT    NOT NULL,
    -- Of one that was imported: {"key": value, …}, what the file said and the columns do not hold.
    kept    TEXT    NOT NULL DEFAULT '{}',
    PRIMARY KEY (bead, n)
) STRICT, WITHOUT ROWID;

-- As above: metadata, the thread, the time to the nanosecond.
ALTER TABLE dependency ADD COLUMN kept TEXT NOT NULL DEFAULT '{}';

-- What an imported bead has that the columns do not hold: {"key": [what the rig would say, what the file said], …}.
-- As long as the rig would still say that, an export says what the file said.
CREATE TABLE imported (
    bead  TEXT NOT NULL PRIMARY KEY REFERENCES bead (id),
    kept  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Dependencies of imported beads that cannot be tied: the other bead is not here, or a circle would come of it. They
-- gate nothing, are exported as they came, and are tied when the other bead comes.
CREATE TABLE loose_dependency (
    bead        TEXT NOT NULL REFERENCES bead (id),
    depends_on  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    -- As it came.
    whole       TEXT NOT NULL,
    PRIMARY KEY (bead, depends_on, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX loose_dependency_of ON loose_dependency (depends_on);
