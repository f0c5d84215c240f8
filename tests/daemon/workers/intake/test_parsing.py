"""Files parsed beside the intake: what comes over is what would have been read here, and no death goes unnoticed."""

import contextlib
import dataclasses
import json
import os
import socket
from pathlib import Path

import pytest

from daemon.workers.intake.ledger.candidate import Candidate
from daemon.workers.intake.parsing import parser as parsing
from daemon.workers.intake.parsing.blocks import Block, Request, blocks_of
from daemon.workers.intake.parsing.parser import Parser, ParsingError
from engine.data.readers.items import Refused, Resume
from engine.data.records.limits import Limits


@pytest.fixture
def beside(monkeypatch):
    """A parser that asks another process, however small a file is, and whatever processors there are."""
    monkeypatch.setattr(parsing, "_LARGE", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    parser = Parser()
    yield parser
    parser.stop()


def _parsed(parser: Parser, request: Request) -> list[Block]:
    with request.path.open("rb") as file, contextlib.closing(parser.blocks(request, file.fileno())) as blocks:
        return list(blocks)


def _all_of(blocks: list[Block]) -> tuple[list[Candidate], list[Refused], Resume | None]:
    """What blocks hold together; where one ends and the next begins depends on how long it took."""
    candidates = [candidate for block in blocks for candidate in block.candidates]
    refusals = [refused for block in blocks for refused in block.refusals]
    return candidates, refusals, [block.resume for block in blocks if block.resume][-1]


def _written(folder: Path, number: int) -> Path:
    file = folder / "some.jsonl"
    records = ({"prompt": f"What is {each}?", "completion": f"It is {each}."} for each in range(number))
    file.write_text("".join(f"{json.dumps(record)}\nno record\n" for record in records))
    return file


def test_it_sends_what_would_be_read_here_of_one_file_after_the_other_and_of_one_that_grew(beside, tmp_path):
    file = _written(tmp_path, 1200)
    whole = Request(file, 3, Limits(), None)
    grown = Request(file, 3, Limits(), _parsed(beside, whole)[0].resume)
    for request in (whole, grown):
        with file.open("rb") as stream:
            here = list(blocks_of(request, stream))
        assert _all_of(_parsed(beside, request)) == _all_of(here)
    assert len(_all_of(_parsed(beside, whole))[0]) == 1200 > len(_all_of(here)[0])


def test_what_a_reader_raises_there_is_raised_here_with_its_trace(beside, tmp_path):
    file = _written(tmp_path, 1)
    broken = dataclasses.replace(Limits(), record_bytes="many")
    with pytest.raises(ParsingError, match="TypeError") as raised:
        _parsed(beside, Request(file, 3, broken, None))
    assert "blocks_of" in raised.value.__notes__[0]
    assert len(_parsed(beside, Request(file, 3, Limits(), None))[0].candidates) == 1, "it goes on with the next file"


def test_a_file_that_is_left_half_read_does_not_come_with_the_next_one(beside, tmp_path):
    file = _written(tmp_path, 3000)
    request = Request(file, 3, Limits(), None)
    with file.open("rb") as stream, contextlib.closing(beside.blocks(request, stream.fileno())) as blocks:
        assert next(blocks).candidates
    assert sum(len(block.candidates) for block in _parsed(beside, request)) == 3000


@pytest.fixture
def ended(monkeypatch):
    """The statuses with which the intake would have ended."""
    statuses = []

    def leave(status):
        statuses.append(status)
        raise SystemExit

    monkeypatch.setattr(parsing, "leave", leave)
    return statuses


def test_its_death_is_that_of_the_intake(beside, tmp_path, ended):
    request = Request(_written(tmp_path, 3000), 3, Limits(), None)
    with request.path.open("rb") as file, contextlib.suppress(SystemExit):
        for _ in beside.blocks(request, file.fileno()):
            beside._other._process.kill()
    assert ended == [1]


def test_so_is_its_death_in_the_middle_of_a_block(beside, tmp_path, ended):
    file = tmp_path / "long.jsonl"
    texts = ({"prompt": f"What is {each}?", "completion": f"{each} " * 300_000} for each in range(3))
    file.write_text("".join(f"{json.dumps(record)}\n" for record in texts))
    with file.open("rb") as stream, contextlib.suppress(SystemExit):
        blocks = beside.blocks(Request(file, 3, Limits(), None), stream.fileno())
        next(blocks)
        while len(beside._other._line.recv(8, socket.MSG_PEEK)) < 8:
            pass  # until more than the length of the next one is here; all of it does not fit
        beside._other._process.kill()
        next(blocks)
    assert ended == [1]


def test_where_it_died_between_two_files_another_one_takes_its_place(beside, tmp_path, ended):
    request = Request(_written(tmp_path, 10), 3, Limits(), None)
    first = _parsed(beside, request)
    beside._other._process.kill()
    beside._other._process.wait()
    assert _all_of(_parsed(beside, request)) == _all_of(first)
    assert ended == []
