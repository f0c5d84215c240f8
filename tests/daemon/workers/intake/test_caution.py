"""No file stops the intake: not what it holds, not how it is called, not what reading it does to the process."""

import json
import os
import queue
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control import paths as places
from daemon.settings.data import DataSettings
from daemon.settings.sections import Tables
from daemon.workers.intake.file_reader import FileReader
from daemon.workers.intake.now_reading import NowReading
from daemon.workers.intake.parsing.parser import Parser
from daemon.workers.intake.worker import Intake
from daemon.workers.runtime import Context
from engine.data.readers import loaders
from engine.data.storable import LONGEST, storable, storable_path

SMALL_FILES = DataSettings(max_record_megabytes=1, max_file_megabytes=1)

_text = st.text(st.characters(codec=None), max_size=20)
"""Lone surrogates, NUL and controls are among its characters."""
_key = st.sampled_from(
    "messages role content conversations from value prompt completion chosen rejected label text instruction".split()
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text | _key, inner, max_size=3),
    max_leaves=8,
)
_name = st.binary(min_size=1, max_size=30).filter(lambda name: name not in {b".", b".."} and not {0, 47} & {*name})


@given(st.text(st.characters(codec=None)))
def test_what_is_storable_can_be_stored_sent_and_shown(text):
    kept = storable(text)
    assert kept.encode().decode() == kept
    assert len(kept) <= 2 * LONGEST
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in kept)
    assert sqlite3.connect(":memory:").execute("SELECT ?", (kept,)).fetchone() == (kept,)
    assert storable(kept) == kept


@pytest.fixture(scope="module")
def reading(new_shelf):
    shelf = new_shelf()
    note = NowReading(shelf.folder / "note", "1 1.0")
    yield shelf, FileReader(shelf.ledger, SMALL_FILES, note, Parser(), lambda: None)
    assert note.left() is None
    shelf.ledger.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=_name, content=st.binary(max_size=300) | _json.map(lambda value: json.dumps(value).encode()))
def test_any_content_under_any_name_is_read_or_refused_in_words(reading, name, content):
    shelf, reader = reading
    file = shelf.folder / os.fsdecode(name)
    try:
        file.write_bytes(content)
    except OSError:
        return  # the test's own files have such names
    with shelf.ledger.transaction():
        tally = reader.read(file, anew=True)
    rows = shelf.database.execute("SELECT file, reason FROM refusals").fetchall()
    assert json.dumps(rows, ensure_ascii=False).encode()
    assert not any(character < " " for row in rows for text in row for character in text)
    assert [file for file, _ in rows].count(storable_path(file)) == tally.quarantined
    file.unlink()


def test_a_key_that_no_database_takes(intake):
    (intake.inbox / "chats" / "a.json").write_text('{"\\ud800\\u001b[31m": 1}')
    intake.scan()
    assert "\\ud800\\x1b[31m" in intake.refusals()["a.json"]


class _OneRound:
    """A channel whose intake does what is due and ends."""

    grace_seconds = 0.0

    def __init__(self) -> None:
        self.commands: queue.Queue[None] = queue.Queue()
        self.commands.put(None)
        self.stopping = threading.Event()

    def send(self, message) -> None: ...

    def ready(self) -> None: ...

    def advance(self, activity: str) -> None: ...

    def idle(self) -> None:
        self.stopping.set()


@pytest.fixture
def one_round(tmp_path):
    """Runs an intake in this process, until nothing is due; its refusals by file name."""
    paths = places.at_home(tmp_path)
    tables = Tables.model_validate({"data": {"settle_seconds": 0.01}})

    def run() -> dict[str, tuple[str, str]]:
        Intake(Context("intake", paths, tables, _OneRound(), ())).run()
        rows = sqlite3.connect(paths.ledger).execute("SELECT file, reason, trace FROM refusals")
        return {Path(file).name: (reason, trace) for file, reason, trace in rows}

    run.chats = paths.inbox / "chats"
    run.chats.mkdir(parents=True)
    return run


def _write(folder, *names: str) -> None:
    for name in names:
        (folder / name).write_text(f"Human: what is {name}?\nAssistant: a file\n")
        os.utime(folder / name, (1, 1))


def test_a_file_whose_reading_raises_is_set_aside_with_the_trace_and_others_are_read(one_round, monkeypatch):
    read = loaders.read_pieces

    def fragile(path, stream, limits, resume=None, *, is_corpus=False):
        if path.name == "b":
            raise MemoryError("no room\ud800")
        return read(path, stream, limits, resume, is_corpus=is_corpus)

    monkeypatch.setattr(loaders, "read_pieces", fragile)
    _write(one_round.chats, "a", "b", "c")
    refused = one_round()
    assert set(refused) == {"b"}
    reason, trace = refused["b"]
    assert reason.startswith("reading it failed: MemoryError: no room\\ud800")
    assert "fragile" in trace
    counts = dict(
        sqlite3.connect(one_round.chats.parents[1] / "conversations.db").execute(
            "SELECT state, sum(number) FROM counts GROUP BY state"
        )
    )
    assert counts["new"] + counts["held_out"] == 2


def test_a_file_that_kills_the_intake_twice_is_set_aside_until_it_changes(one_round, monkeypatch):
    """The process is not killed here: what it would leave is put back, since nothing runs after a death."""
    note = one_round.chats.parents[1] / "intake.reading"
    read, left = loaders.read_pieces, []

    def deadly(path, stream, limits, resume=None, *, is_corpus=False):
        if path.name == "b" and "poison" in path.read_text():
            left.append(note.read_bytes())
            raise KeyboardInterrupt
        return read(path, stream, limits, resume, is_corpus=is_corpus)

    monkeypatch.setattr(loaders, "read_pieces", deadly)
    _write(one_round.chats, "a", "b", "c")
    (one_round.chats / "b").write_text("poison")
    os.utime(one_round.chats / "b", (1, 1))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            one_round()
        note.write_bytes(left[-1])
    refused = one_round()
    assert len(left) == 2, "it was not taken again"
    assert refused["b"][0].startswith("reading it ended the intake")
    assert "quarantine retry" in refused["b"][0]
    assert one_round() == refused
    _write(one_round.chats, "b")
    os.utime(one_round.chats / "b", (2, 2))
    assert one_round() == {}
