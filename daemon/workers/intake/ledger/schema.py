"""The tables of ``conversations.db``, as the steps that made them (`daemon.sqlite`)."""

MIGRATIONS = (
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY,
        identity BLOB NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('new', 'assigned', 'learned', 'held_out', 'set_aside')),
        cycle INTEGER,                          -- that it is assigned to, or was learned in
        tries INTEGER NOT NULL DEFAULT 0,
        turns INTEGER NOT NULL,                 -- 0: plain text
        learn_from INTEGER NOT NULL DEFAULT 0,  -- turns before it are learned as part of an earlier conversation
        point INTEGER NOT NULL,                 -- where its hash falls, for random samples
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
        source INTEGER NOT NULL REFERENCES sources (id),
        line INTEGER NOT NULL,
        added_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX conversations_new ON conversations (id) WHERE state = 'new';
    CREATE INDEX conversations_assigned ON conversations (cycle, id) WHERE state = 'assigned';
    CREATE INDEX conversations_learned ON conversations (point) WHERE state = 'learned';
    CREATE INDEX conversations_held_out ON conversations (point) WHERE state = 'held_out';

    CREATE TABLE forms (
        identity BLOB PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE sources (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        layout TEXT NOT NULL, offset INTEGER NOT NULL, line INTEGER NOT NULL,  -- where to read on
        mark BLOB NOT NULL,                     -- sum of what lies around that place: it only grew
        tail BLOB, tail_length INTEGER, tail_start INTEGER, tail_stored BLOB,  -- see growth.Tail
        read_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX sources_by_inode ON sources (inode, device);

    CREATE TABLE refusals (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        file TEXT NOT NULL,
        line INTEGER NOT NULL,                  -- 0: the whole file
        reason TEXT NOT NULL,
        copy TEXT NOT NULL,                     -- path of what was refused; empty where nothing could be read
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        source INTEGER NOT NULL REFERENCES sources (id),
        start INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX refusals_by_source ON refusals (source, start);
    CREATE INDEX refusals_by_sum ON refusals (sha256);

    CREATE TABLE cycles (
        cycle INTEGER PRIMARY KEY,
        outcome TEXT CHECK (outcome IN ('learned', 'returned')),  -- null: not settled
        sha256 TEXT,                            -- of its snapshot; null: not written yet
        assigned_at TEXT NOT NULL,
        settled_at TEXT
    ) STRICT;
    CREATE TABLE examples (                     -- what a cycle learns from and is judged on, as it was when assigned
        cycle INTEGER NOT NULL REFERENCES cycles (cycle),
        position INTEGER NOT NULL,
        origin TEXT NOT NULL CHECK (origin IN ('new', 'replay', 'held_out')),
        conversation INTEGER NOT NULL REFERENCES conversations (id),
        learn_from INTEGER NOT NULL,
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
        PRIMARY KEY (cycle, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX examples_by_conversation ON examples (conversation);

    CREATE TABLE counts (state TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO counts VALUES
        ('new', 0), ('assigned', 0), ('learned', 0), ('held_out', 0), ('set_aside', 0), ('quarantined', 0);
    CREATE TRIGGER conversation_added AFTER INSERT ON conversations BEGIN
        UPDATE counts SET number = number + 1 WHERE state = NEW.state;
    END;
    CREATE TRIGGER conversation_removed AFTER DELETE ON conversations BEGIN
        UPDATE counts SET number = number - 1 WHERE state = OLD.state;
    END;
    CREATE TRIGGER conversation_moved AFTER UPDATE OF state ON conversations WHEN OLD.state <> NEW.state BEGIN
        UPDATE counts SET number = number - 1 WHERE state = OLD.state;
        UPDATE counts SET number = number + 1 WHERE state = NEW.state;
    END;
    CREATE TRIGGER refusal_added AFTER INSERT ON refusals BEGIN
        UPDATE counts SET number = number + 1 WHERE state = 'quarantined';
    END;
    CREATE TRIGGER refusal_removed AFTER DELETE ON refusals BEGIN
        UPDATE counts SET number = number - 1 WHERE state = 'quarantined';
    END;
    """,
    """
    CREATE INDEX conversations_learned_by_stratum ON conversations (cycle, source, point) WHERE state = 'learned';
    """,
    """
    CREATE TABLE suspects (                     -- files during whose reading the intake died, see suspects.py
        path BLOB PRIMARY KEY,
        device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        deaths INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE refusals ADD COLUMN trace TEXT NOT NULL DEFAULT '';  -- where reading it raised what nobody expected
    """,
    """
    CREATE TABLE held_out_openings (            -- besides those held out by their hash, see holding_out.py
        opening BLOB PRIMARY KEY                -- Conversation.group
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE sources ADD COLUMN added INTEGER NOT NULL DEFAULT 0;       -- conversations that were new with it
    ALTER TABLE sources ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0;  -- and those that were known
    """,
    """
    ALTER TABLE examples ADD COLUMN validates INTEGER NOT NULL DEFAULT 0;  -- not trained on in this cycle, validated on
    ALTER TABLE conversations ADD COLUMN note TEXT;     -- why it is set aside
    CREATE INDEX conversations_set_aside ON conversations (source) WHERE state = 'set_aside';
    """,
    """
    -- Samples instead of conversations: with their kind, and held where no objective learns that kind yet.
    CREATE TABLE samples_with_kind (
        id INTEGER PRIMARY KEY,
        identity BLOB NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('dialogue', 'text', 'preference', 'labelled')),
        state TEXT NOT NULL CHECK (state IN ('new', 'assigned', 'learned', 'held_out', 'set_aside', 'held')),
        cycle INTEGER,                          -- that it is assigned to, or was learned in
        tries INTEGER NOT NULL DEFAULT 0,
        note TEXT,                              -- why it is set aside
        turns INTEGER NOT NULL,                 -- of a dialogue; 0 for other kinds
        learn_from INTEGER NOT NULL DEFAULT 0,  -- turns before it are learned as part of an earlier dialogue
        point INTEGER NOT NULL,                 -- where its hash falls, for random samples
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
        source INTEGER NOT NULL REFERENCES sources (id),
        line INTEGER NOT NULL,
        added_at TEXT NOT NULL
    ) STRICT;
    INSERT INTO samples_with_kind
        SELECT id, identity, CASE turns WHEN 0 THEN 'text' ELSE 'dialogue' END, state, cycle, tries, note, turns,
               learn_from, point, segment, offset, length, source, line, added_at
        FROM conversations ORDER BY id;
    DROP TABLE conversations;
    ALTER TABLE samples_with_kind RENAME TO conversations;  -- the name by which other tables refer to it,
    ALTER TABLE conversations RENAME TO samples;            -- which follow when it changes
    CREATE UNIQUE INDEX samples_by_identity ON samples (identity);
    CREATE INDEX samples_new ON samples (id) WHERE state = 'new';
    CREATE INDEX samples_assigned ON samples (cycle, id) WHERE state = 'assigned';
    CREATE INDEX samples_learned ON samples (point) WHERE state = 'learned';
    CREATE INDEX samples_learned_by_stratum ON samples (cycle, source, point) WHERE state = 'learned';
    CREATE INDEX samples_held_out ON samples (point) WHERE state = 'held_out';
    CREATE INDEX samples_set_aside ON samples (source) WHERE state = 'set_aside';

    ALTER TABLE forms RENAME TO aliases;
    ALTER TABLE aliases RENAME COLUMN conversation TO sample;
    ALTER TABLE examples RENAME COLUMN conversation TO sample;
    ALTER TABLE sources RENAME COLUMN layout TO format;
    ALTER TABLE sources RENAME COLUMN mark TO fingerprint;
    ALTER TABLE sources ADD COLUMN held INTEGER NOT NULL DEFAULT 0;  -- samples that are kept, learned by nothing yet

    CREATE TABLE counts_by_kind (
        state TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (state, kind)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO counts_by_kind SELECT state, '', number FROM counts WHERE state = 'quarantined';
    INSERT INTO counts_by_kind
        SELECT states.column1, kinds.column1, 0
        FROM (VALUES ('new'), ('assigned'), ('learned'), ('held_out'), ('set_aside'), ('held')) AS states,
             (VALUES ('dialogue'), ('text'), ('preference'), ('labelled')) AS kinds;
    INSERT OR REPLACE INTO counts_by_kind SELECT state, kind, count(*) FROM samples GROUP BY state, kind;
    DROP TRIGGER refusal_added;
    DROP TRIGGER refusal_removed;
    DROP TABLE counts;
    ALTER TABLE counts_by_kind RENAME TO counts;
    CREATE TRIGGER refusal_added AFTER INSERT ON refusals BEGIN
        UPDATE counts SET number = number + 1 WHERE state = 'quarantined';
    END;
    CREATE TRIGGER refusal_removed AFTER DELETE ON refusals BEGIN
        UPDATE counts SET number = number - 1 WHERE state = 'quarantined';
    END;
    CREATE TRIGGER sample_added AFTER INSERT ON samples BEGIN
        UPDATE counts SET number = number + 1 WHERE state = NEW.state AND kind = NEW.kind;
    END;
    CREATE TRIGGER sample_removed AFTER DELETE ON samples BEGIN
        UPDATE counts SET number = number - 1 WHERE state = OLD.state AND kind = OLD.kind;
    END;
    CREATE TRIGGER sample_moved AFTER UPDATE OF state ON samples WHEN OLD.state <> NEW.state BEGIN
        UPDATE counts SET number = number - 1 WHERE state = OLD.state AND kind = OLD.kind;
        UPDATE counts SET number = number + 1 WHERE state = NEW.state AND kind = NEW.kind;
    END;
    """,
    """
    -- What a file was read as, known before or not.
    ALTER TABLE sources ADD COLUMN dialogues INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sources ADD COLUMN turns INTEGER NOT NULL DEFAULT 0;       -- of its dialogues
    ALTER TABLE sources ADD COLUMN texts INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sources ADD COLUMN preferences INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sources ADD COLUMN labelled INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE forgotten (
        identity BLOB PRIMARY KEY,              -- of a sample, or of a beginning of it
        whole INTEGER NOT NULL,                 -- what begins with it is forgotten as well
        at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE forgettings (                  -- those that were carried out, each once
        forgetting INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        samples INTEGER NOT NULL,
        was_held_out INTEGER NOT NULL,          -- any of them
        cycles TEXT NOT NULL,                   -- that had any of them, each with whether it trained on it, as JSON
        sources TEXT NOT NULL                   -- the files that they were read from, as JSON
    ) STRICT;
    ALTER TABLE sources ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;  -- samples in it that are not learned again
    """,
    """
    DROP TRIGGER sample_added;  -- what is added is counted by whoever adds it: once for some hundred samples
    """,
    """
    -- The same table, checked by OR: for each row that is inserted, SQLite builds an index of every list behind IN.
    -- Without an index of identities: aliases has that of every sample, and each once.
    CREATE TABLE samples_checked_by_or (
        id INTEGER PRIMARY KEY,
        identity BLOB NOT NULL,
        kind TEXT NOT NULL
            CHECK (kind = 'dialogue' OR kind = 'text' OR kind = 'preference' OR kind = 'labelled'),
        state TEXT NOT NULL
            CHECK (state = 'new' OR state = 'assigned' OR state = 'learned' OR state = 'held_out'
                OR state = 'set_aside' OR state = 'held'),
        cycle INTEGER,                          -- that it is assigned to, or was learned in
        tries INTEGER NOT NULL DEFAULT 0,
        note TEXT,                              -- why it is set aside
        turns INTEGER NOT NULL,                 -- of a dialogue; 0 for other kinds
        learn_from INTEGER NOT NULL DEFAULT 0,  -- turns before it are learned as part of an earlier dialogue
        point INTEGER NOT NULL,                 -- where its hash falls, for random samples
        segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
        source INTEGER NOT NULL REFERENCES sources (id),
        line INTEGER NOT NULL,
        added_at TEXT NOT NULL
    ) STRICT;
    INSERT INTO samples_checked_by_or SELECT * FROM samples ORDER BY id;
    DROP TABLE samples;
    ALTER TABLE samples_checked_by_or RENAME TO samples;
    CREATE INDEX samples_new ON samples (id) WHERE state = 'new';
    CREATE INDEX samples_assigned ON samples (cycle, id) WHERE state = 'assigned';
    CREATE INDEX samples_learned ON samples (point) WHERE state = 'learned';
    CREATE INDEX samples_learned_by_stratum ON samples (cycle, source, point) WHERE state = 'learned';
    CREATE INDEX samples_held_out ON samples (point) WHERE state = 'held_out';
    CREATE INDEX samples_set_aside ON samples (source) WHERE state = 'set_aside';
    CREATE TRIGGER sample_removed AFTER DELETE ON samples BEGIN
        UPDATE counts SET number = number - 1 WHERE state = OLD.state AND kind = OLD.kind;
    END;
    CREATE TRIGGER sample_moved AFTER UPDATE OF state ON samples WHEN OLD.state <> NEW.state BEGIN
        UPDATE counts SET number = number - 1 WHERE state = OLD.state AND kind = OLD.kind;
        UPDATE counts SET number = number + 1 WHERE state = NEW.state AND kind = NEW.kind;
    END;
    """,
    """
    DROP INDEX IF EXISTS samples_by_identity;  -- aliases has the identity of every sample, and each once
    """,
)
