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
    """
    CREATE TABLE jobs (
        id                     INTEGER PRIMARY KEY AUTOINCREMENT,
        kind                   TEXT    NOT NULL,
        run_id                 TEXT,
        state                  TEXT    NOT NULL,
        priority               INTEGER NOT NULL,
        queue                  TEXT    NOT NULL,
        user_id                INTEGER,
        owner                  TEXT    NOT NULL,
        promote                TEXT    NOT NULL,
        request                TEXT    NOT NULL,
        result                 TEXT,
        error                  TEXT,
        version                INTEGER,
        attempt                INTEGER NOT NULL,
        tries                  INTEGER NOT NULL,
        retries                INTEGER NOT NULL,
        retry_interval_seconds REAL    NOT NULL,
        retry_at               TEXT,
        time_limit_seconds     REAL    NOT NULL,
        idempotency_key        TEXT,
        fingerprint            TEXT    NOT NULL,
        progress               TEXT,
        log_offset             INTEGER NOT NULL,
        created_at             TEXT    NOT NULL,
        started_at             TEXT,
        ended_at               TEXT,
        expires_at             TEXT
    );
    CREATE UNIQUE INDEX one_run_of_a_name ON jobs (kind, run_id) WHERE kind IN ('train', 'tokenizer');
    CREATE UNIQUE INDEX one_job_of_a_key ON jobs (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
    CREATE INDEX jobs_of_a_run ON jobs (run_id, kind);
    CREATE INDEX jobs_of_an_owner ON jobs (owner, id);
    CREATE INDEX unfinished_jobs ON jobs (id) WHERE ended_at IS NULL;
    CREATE INDEX expiring_jobs ON jobs (expires_at) WHERE expires_at IS NOT NULL;

    CREATE TABLE attempts (
        job          INTEGER NOT NULL,
        number       INTEGER NOT NULL,
        host         TEXT    NOT NULL,
        worker       TEXT    NOT NULL,
        pid          INTEGER,
        started_at   TEXT    NOT NULL,
        last_beat_at TEXT    NOT NULL,
        progress     TEXT,
        ended_at     TEXT,
        cause        TEXT,
        log_offset   INTEGER NOT NULL,
        PRIMARY KEY (job, number)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX one_attempt_at_a_time ON attempts (job) WHERE ended_at IS NULL;
    """,
    """
    -- jobs that expire take their events with them
    CREATE INDEX events_of_jobs ON events (json_extract(data, '$.job')) WHERE type >= 'job.' AND type < 'job/';
    """,
)
