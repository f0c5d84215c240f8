"""A ledger of thord 0.1.0 is brought up to date with everything in it; one of a later thord is left alone."""

import sqlite3
from pathlib import Path

import pytest

from daemon import sqlite
from daemon.workers.intake.ledger import schema
from daemon.workers.intake.ledger.database import LedgerError, open_database
from daemon.workers.intake.ledger.ledger import Ledger
from engine.data.samples import Dialogue, Message, Text
from engine.data.segments import Segments

STEPS_ONCE = 6
"""Of thord 0.1.0."""


@pytest.fixture
def old(tmp_path):
    """A ledger of six steps: a dialogue that was learned and replayed, and a new text."""
    said = (Dialogue((Message("user", "q"), Message("assistant", "a"))), Text("prose"))
    segments = Segments(tmp_path / "segments")
    places = [segments.append(sample) for sample in said]
    segments.sync()
    segments.close()
    database = sqlite3.connect(tmp_path / "conversations.db", isolation_level=None)
    sqlite.migrate(database, schema.MIGRATIONS[:STEPS_ONCE])
    database.execute("PRAGMA foreign_keys = ON")
    database.execute(
        "INSERT INTO sources (id, path, device, inode, size, mtime_ns, layout, offset, line, mark, read_at, added)"
        " VALUES (7, x'2f66', 1, 2, 3, 4, 'lines', 50, 3, x'01', 'then', 2)"
    )
    for number, (sample, place, state, turns) in enumerate(
        zip(said, places, ("learned", "new"), (2, 0), strict=True), 1
    ):
        database.execute(
            "INSERT INTO conversations (id, identity, state, cycle, turns, point, segment, offset, length, source,"
            " line, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 7, ?, 'then')",
            (
                number, bytes.fromhex(sample.identity), state, 1 if state == "learned" else None, turns, number,
                place.segment, place.offset, place.length, number,
            ),
        )  # fmt: skip
        database.execute("INSERT INTO forms VALUES (?, ?)", (bytes.fromhex(sample.identity), number))
    database.execute("INSERT INTO cycles (cycle, outcome, assigned_at) VALUES (1, 'learned', 'then')")
    database.execute("INSERT INTO examples VALUES (1, 0, 'new', 1, 0, 1, 0, 40, 0)")
    database.execute(
        "INSERT INTO refusals (at, file, line, reason, copy, sha256, size, source, start)"
        " VALUES ('then', '/f', 1, 'why', '', '', 9, 7, 0)"
    )
    database.close()
    return said


def test_an_old_ledger_keeps_everything(old, tmp_path) -> None:
    ledger = Ledger.open(tmp_path / "conversations.db", tmp_path / "segments", tmp_path / "quarantine")
    counts = ledger.counts()
    assert (counts.learned, counts.new, counts.held, counts.quarantined) == (1, 1, 0, 1)
    assert counts.by_kind == {"dialogue": 1, "text": 1, "preference": 0, "labelled": 0}
    for sample, state in zip(old, ("learned", "new"), strict=True):
        row = ledger.samples.covering(sample.identity)
        assert row is not None
        assert row.state == state
        assert ledger.samples.read(row.location) == sample
    outcome = ledger.sources.outcome(Path("/f"), most_refusals=9)
    assert outcome is not None
    assert (outcome.found.added, outcome.found.held, outcome.found.quarantined, outcome.format) == (2, 0, 1, "lines")
    with ledger.transaction():
        ledger.assignments.settle(1, 3, learned=False, count_try=True)
    ledger.close()
    database = open_database(tmp_path / "conversations.db")
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    for wrong in (
        "INSERT INTO aliases VALUES (x'00', 99)",
        "UPDATE samples SET state = 'lost'",
        "UPDATE samples SET kind = 'rumour'",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(wrong)
    database.close()


def test_the_thord_before_refuses_the_newer_ledger_in_words(old, tmp_path, monkeypatch) -> None:
    del old
    file = tmp_path / "conversations.db"
    open_database(file).close()
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:STEPS_ONCE])
    with pytest.raises(LedgerError, match=r"written by a newer thord: its schema is \d+, this thord knows 6; install"):
        open_database(file)
