"""kill -9 of the process that parses, in the middle of a file of which a part is on disk: each row counts once."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from daemon.settings.sections import Tables
from daemon.workers.intake.file_reader import FileReader
from daemon.workers.intake.ledger import ledger as ledger_module
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.sources import Findings
from daemon.workers.intake.now_reading import NowReading
from daemon.workers.intake.parsing import parser as parsing
from daemon.workers.intake.parsing.parser import Parser
from engine.data.segments import Location

_ROWS, _TWICE, _BAD = 3000, 40, 30
_LONG = "and so on, " * 80
"""Makes a block larger than what the line between the processes holds: the parser is never far ahead."""


@pytest.fixture(autouse=True)
def _beside(monkeypatch):
    """Every file is parsed beside, every block is committed, and death is not that of the tests."""

    def leave(status):
        raise SystemExit(status)

    monkeypatch.setattr(parsing, "_LARGE", 0)
    monkeypatch.setattr(parsing, "leave", leave)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(ledger_module, "_MOST_WAITING_BYTES", 1)


def _lines() -> list[str]:
    """Rows of two shapes, some of them twice, some that cannot be read."""
    lines = [
        json.dumps(
            {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}{_LONG}"}]}
        )
        if n % 7
        else json.dumps({"prompt": f"{n}?", "completion": f"{n}{_LONG}"})
        for n in range(_ROWS)
    ]
    return [*lines[:1700], *["no record"] * _BAD, *lines[1700:], *lines[:_TWICE]]


def _read(folder: Path, file: Path, kill_at: int | None) -> Findings | None:
    """Read a file into the ledger as an intake does; null where the parser died, killed when so many blocks were in."""
    ledger, parser = Ledger.open(folder / "l.db", folder / "segments", folder / "quarantine"), Parser()
    taken = 0

    def advance() -> None:
        nonlocal taken
        if taken == kill_at:
            parser._other._process.kill()
        taken += 1

    reader = FileReader(ledger, Tables().data, NowReading(folder / "note", ""), parser, advance)
    try:
        with contextlib.suppress(SystemExit), ledger.transaction():
            return reader.read(file)
    finally:
        parser.stop()
        ledger.close()
    return None


@pytest.mark.parametrize("kill_at", [0, 1, 3])
def test_each_row_counts_once(tmp_path, kill_at):
    lines = _lines()
    file = tmp_path / "many.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    assert _read(tmp_path, file, kill_at) is None
    ledger = Ledger.open(tmp_path / "l.db", tmp_path / "segments", tmp_path / "quarantine")
    before = ledger.counts()
    assert 0 < before.new + before.held_out < _ROWS
    ledger.close()

    found = _read(tmp_path, file, None)

    assert found.added + before.new + before.held_out == _ROWS
    assert found.added + found.duplicates == _ROWS + _TWICE
    assert found.quarantined == _BAD
    ledger = Ledger.open(tmp_path / "l.db", tmp_path / "segments", tmp_path / "quarantine")
    rows = ledger._database.execute("SELECT line, segment, offset, length FROM samples ORDER BY line").fetchall()
    assert [line for line, *_ in rows] == [n for n, line in enumerate(lines[:-_TWICE], 1) if line != "no record"]
    asked = [ledger.samples.read(Location(*location)).messages[0].content for _, *location in rows]
    assert asked == [f"{number}?" for number in range(_ROWS)]
    ledger.close()
