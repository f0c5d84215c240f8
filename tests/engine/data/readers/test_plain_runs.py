"""Plain dialogues come in runs, with the places that they have one by one, and none is lost where a disk fails."""

import io
import json
from pathlib import Path

import pytest

from engine.data.readers import loaders
from engine.data.readers.items import Found, Refused
from engine.data.records.limits import Limits

_PLAIN = {"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]}
_NAMED = {"messages": [{"role": "user", "content": "a?", "name": "ann"}, {"role": "assistant", "content": "b"}]}
_ROWS = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]


def _file(*records: object) -> bytes:
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in records).encode()


def _pieces(raw: bytes) -> list:
    return list(loaders.read_pieces(Path("a.jsonl"), io.BytesIO(raw), Limits()))


def test_a_run_ends_with_whatever_is_no_plain_dialogue():
    raw = _file(_PLAIN, "", _PLAIN, "nothing", _PLAIN, _NAMED, *_ROWS, _PLAIN, _PLAIN)
    pieces = _pieces(raw)
    kinds = [len(piece) if isinstance(piece, list) else type(piece) for piece in pieces]
    assert kinds == [2, Refused, 1, Found, Found, Found, 1], "what follows rows may go on with them, so it comes singly"


@pytest.mark.parametrize("end", ["\n", ""])
def test_items_and_their_places_are_those_of_each_line_read_alone(end):
    raw = _file(*([_PLAIN] * 150), "nothing", _PLAIN, "", _PLAIN)[:-1] + end.encode()
    items = list(loaders.read(Path("a.jsonl"), io.BytesIO(raw), Limits()))
    lines = raw.split(b"\n")
    assert [item.line for item in items] == [number for number, line in enumerate(lines, 1) if line]
    for item in items:
        assert raw[item.start : item.end].rstrip(b"\n") == lines[item.line - 1]
        is_whole = raw[: item.end].endswith(b"\n")
        assert item.resume == ("lines", *((item.end, item.line + 1) if is_whole else (item.start, item.line)))


class _Failing(io.BytesIO):
    """A disk that fails behind so many bytes."""

    def __init__(self, raw: bytes, at: int) -> None:
        super().__init__(raw)
        self._at = at

    def readline(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= self._at:
            raise OSError(5, "Input/output error")
        return super().readline(size)


def test_what_was_read_before_a_disk_failed_is_handed_on():
    line = _file(_PLAIN)
    pieces = loaders.read_pieces(Path("a.jsonl"), _Failing(line * 100, at=len(line) * 70), Limits())
    assert [len(next(pieces)), len(next(pieces))] == [64, 6]
    with pytest.raises(OSError, match="Input/output error"):
        next(pieces)
