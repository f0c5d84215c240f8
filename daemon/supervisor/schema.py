"""The tables of ``thord.db``, as a list of migrations: ``user_version`` counts how many have been applied."""

import sqlite3

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
)


class NewerSchemaError(Exception):
    """The database was written by a later thord than this one."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema, each migration in one transaction with its number.

    Raises:
        NewerSchemaError: it is ahead of this program.
    """
    (applied,) = connection.execute("PRAGMA user_version").fetchone()
    if applied > len(MIGRATIONS):
        raise NewerSchemaError(f"its schema is {applied}, this thord knows {len(MIGRATIONS)}; install the newer thord")
    for number, script in enumerate(MIGRATIONS[applied:], start=applied + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
