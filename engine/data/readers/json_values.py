"""JSON that strangers wrote: limits are checked on the bytes before anything is parsed.

`Values` cuts a document of any length into its values in bounded memory, the elements of an outermost array one by
one, so that a broken element does not cost the rest.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from pydantic import JsonValue

from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import decode

_CHUNK = 1 << 18
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STRUCTURE = re.compile(rb'["{}\[\]]')
_SCALAR = re.compile(rb"[^\s,\[\]{}\"]+")
_BLANKS = re.compile(rb"(?:[ \t\r\n\x1e]|\xef\xbb\xbf)*+")
"""Blanks, and what stands before a document or a record: a byte order mark, a record separator."""


def _integer(digits: str) -> int | float:
    """Numbers longer than anybody means become floats: Python refuses to read thousands of digits."""
    return int(digits) if len(digits) <= 64 else float(digits)


_STRING_OR_LAST_COMMA = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|,(?=[ \t\r\n]*+[\]}])', re.DOTALL)
"""A comma behind the last element is no JSON, and people leave it there. A string that does not end is passed whole."""


def _without_comma(found: re.Match[str]) -> str:
    return "" if found[0] == "," else found[0]


_DECODER = json.JSONDecoder(parse_int=_integer, strict=False)


def parse(raw: bytes, limits: Limits, offset: int = 0) -> JsonValue:
    """One JSON value; ``offset`` is where in the file it starts.

    NaN, repeated keys, of which the last one counts, and commas behind a last element pass.

    Raises:
        FormatError: it breaks a limit, is not UTF-8 or not JSON.
    """
    _check_limits(raw, limits)
    text = decode(raw, offset)
    try:
        return _decoded(text)
    except json.JSONDecodeError as error:
        if (mended := _STRING_OR_LAST_COMMA.sub(_without_comma, text)) != text:
            with contextlib.suppress(json.JSONDecodeError):
                return _decoded(mended)
        place = f"column {error.colno}" if error.lineno == 1 else f"its line {error.lineno}, column {error.colno}"
        raise FormatError(f"not valid JSON: {error.msg} at {place}") from None


def _decoded(text: str) -> JsonValue:
    value: JsonValue = _DECODER.decode(text)
    return value


def _check_limits(raw: bytes, limits: Limits) -> None:
    if len(raw) > limits.record_bytes:
        raise FormatError(too_large(len(raw), limits))
    opened = raw.count(b"[") + raw.count(b"{")
    if opened <= limits.depth:
        return
    depth = containers = 0
    for match in _STRING_OR_BRACKET.finditer(raw):
        first = raw[match.start()]
        if first in b"[{":
            depth += 1
            containers += 1
            if depth > limits.depth:
                raise FormatError(f"nested deeper than {limits.depth} levels")
            if containers > limits.containers:
                raise FormatError(f"more than {limits.containers} objects and arrays in one record")
        elif first in b"]}":
            depth -= 1


def too_large(size: int, limits: Limits) -> str:
    """Why a record of ``size`` bytes is refused."""
    return (
        f"a record of {size} bytes is larger than data.max_record_megabytes allows "
        f"({limits.record_bytes >> 20} MB): raise it, or cut the record"
    )


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the document, or the border of an outermost array.

    Attributes:
        problem: why it cannot be parsed; ``raw`` is then what there is of it, or empty.
    """

    kind: Literal["open", "close", "value", "broken"]
    raw: bytes
    start: int
    end: int
    line: int
    problem: str = ""

    def parse(self, limits: Limits) -> JsonValue:
        """What it is.

        Raises:
            FormatError: as `parse`, or the document broke here.
        """
        if self.problem:
            raise FormatError(self.problem)
        return parse(self.raw, limits, self.start)


class Values:
    """The values of one document, in order, with outermost arrays opened up."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._data = b""
        self._at = 0
        self._base = 0
        self._line = 1

    def __iter__(self) -> Iterator[Value]:
        """Yield ``open``, ``value``..., ``close`` for an array, ``value`` for anything else.

        ``broken`` comes last, where the text ceases to be JSON.
        """
        array: tuple[int, int] | None = None
        while (first := self._next_visible()) is not None:
            start, line = self._base + self._at, self._line
            if array is None and first == ord("["):
                self._take(self._at + 1)
                array = (start, line)
                yield Value("open", b"", start, start + 1, line)
            elif array is not None and first in b",]":
                self._take(self._at + 1)
                if first == ord("]"):
                    array = None
                    yield Value("close", b"", start, start + 1, line)
            elif first in b'{["' and (array is not None or first == ord("{")):
                value = self._balanced(start, line)
                yield value
                if value.kind == "broken":
                    return
            elif array is not None and (scalar := _SCALAR.match(self._data, self._at)):
                raw = scalar.group()
                self._take(scalar.end())
                yield Value("value", raw, start, self._base + self._at, line)
            else:
                yield Value("broken", b"", start, self._skip_all(), line, "no JSON value begins here")
                return
        if array is not None:
            start, line = array
            end = self._base + self._at
            yield Value("broken", b"", end, end, self._line, f"the array that begins in line {line} is never closed")

    def _next_visible(self) -> int | None:
        while True:
            blank = _BLANKS.match(self._data, self._at)
            self._take(blank.end() if blank else self._at)
            if self._at < len(self._data):
                if len(self._data) - self._at < 64:  # a number must not be seen in halves
                    self._more()
                return self._data[self._at]
            if not self._more():
                return None

    def _more(self) -> bool:
        chunk = self._stream.read(_CHUNK)
        self._base += self._at
        self._data = self._data[self._at :] + chunk
        self._at = 0
        return bool(chunk)

    def _take(self, to: int) -> bytes:
        """Move on to ``to``, counting lines; what was passed over."""
        passed = self._data[self._at : to]
        self._line += passed.count(b"\n")
        self._at = to
        return passed

    def _skip_all(self) -> int:
        self._take(len(self._data))
        while self._more():
            self._take(len(self._data))
        return self._base + self._at

    def _balanced(self, start: int, line: int) -> Value:
        """A string, object or array up to its end, kept only while it is within the limit."""
        kept: list[bytes] = []
        size = depth = 0
        in_string = escaped = ended = False
        while not ended:
            position = self._at
            if escaped and position < len(self._data):
                position += 1
                escaped = False
            while position < len(self._data) and not ended:
                if in_string:
                    position = _string_end(self._data, position)
                    if position == len(self._data):
                        break
                    if self._data[position] == ord("\\"):  # the last byte of this chunk
                        escaped = True
                    else:
                        in_string = False
                        ended = depth == 0
                    position += 1
                    continue
                match = _STRUCTURE.search(self._data, position)
                if match is None:
                    position = len(self._data)
                    break
                position = match.end()
                match self._data[match.start()]:
                    case 0x22:
                        in_string = True
                    case 0x5B | 0x7B:
                        depth += 1
                        if depth > self._limits.depth:  # nobody means this: what follows is not worth a look
                            problem = f"nested deeper than {self._limits.depth} levels"
                            return Value("broken", b"", start, self._skip_all(), line, problem)
                    case _:
                        depth -= 1
                        ended = depth == 0
            passed = self._take(position)
            size += len(passed)
            if size <= self._limits.record_bytes:
                kept.append(passed)
            else:
                kept.clear()
            if not ended and not self._more():
                problem = f"cut off: the file ends inside the value that begins in line {line}"
                return Value("broken", b"".join(kept), start, self._base + self._at, line, problem)
        end = self._base + self._at
        if size > self._limits.record_bytes:
            return Value("value", b"", start, end, line, too_large(size, self._limits))
        return Value("value", b"".join(kept), start, end, line)


def _string_end(data: bytes, position: int) -> int:
    match = _IN_STRING.match(data, position)
    return match.end() if match else position
