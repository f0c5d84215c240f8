"""The tables of ``thord.db``, as the steps that made them (`daemon.sqlite`)."""

MIGRATIONS = (
    """
    CREATE TABLE cycles (
        id              INTEGER PRIMARY KEY AUTOINCREMENT,
        state           TEXT    NOT NULL,
        reason          TEXT    NOT NULL,
        request         TEXT    NOT NULL,
        attempt         INTEGER NOT NULL,
        fruitless       INTEGER NOT NULL,
        furthest        INTEGER NOT NULL,
        conversations   INTEGER,
        replayed        INTEGER,
        held_out        INTEGER,
        snapshot_sha256 TEXT,
        base_version    INTEGER,
        version         INTEGER UNIQUE,
        incumbent       INTEGER,
        gate            TEXT,
        metrics         TEXT,
        outcome         TEXT,
        data_at_fault   INTEGER NOT NULL,
        settled         INTEGER NOT NULL,
        created_at      TEXT    NOT NULL,
        started_at      TEXT,
        ended_at        TEXT
    );
    CREATE UNIQUE INDEX one_cycle_at_a_time ON cycles (ended_at IS NULL) WHERE ended_at IS NULL;
    CREATE INDEX unsettled_cycles ON cycles (id) WHERE settled = 0;

    CREATE TABLE versions (
        number     INTEGER PRIMARY KEY,
        parent     INTEGER,
        cycle      INTEGER,
        state      TEXT    NOT NULL,
        created_at TEXT    NOT NULL,
        sha256     TEXT    NOT NULL,
        parameters INTEGER NOT NULL,
        metrics    TEXT    NOT NULL,
        previous   INTEGER,
        proven     INTEGER NOT NULL,
        note       TEXT
    );

    CREATE TABLE events (
        id   INTEGER PRIMARY KEY AUTOINCREMENT,
        at   TEXT NOT NULL,
        type TEXT NOT NULL,
        data TEXT NOT NULL
    );

    CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE versions ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE versions ADD COLUMN purged_at TEXT;
    ALTER TABLE versions ADD COLUMN purged_why TEXT;
    """,
    """
    ALTER TABLE cycles ADD COLUMN variation TEXT;   -- how it differs from those that came to nothing before it
    """,
    """
    ALTER TABLE versions ADD COLUMN base INTEGER;   -- of an adapter: the version whose weights it changes
    """,
)
