"""The beginning of a file, by which its format is recognised."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

from engine.data.records.limits import Limits
from engine.data.records.text import UTF8_MARK, clean

BYTES = 1 << 20
"""How much of a file is looked at."""

_SMALL = 1 << 16
"""Most files are smaller: no room for `BYTES` is taken for them."""
_TEXT_BYTES = 1 << 16
_LINES = 16
_LOOKS_LIKE_JSON = re.compile(rb'\[[\s\[]*(?:["{]|\][\s\],]*\Z|\Z)|\{\s*(?:["}]|\Z)')


def read(stream: BinaryIO) -> bytes:
    """The first `BYTES` of a stream that stands at its beginning, or all of it."""
    raw = stream.read(_SMALL)
    return raw if len(raw) < _SMALL else raw + stream.read(BYTES - _SMALL)


@dataclass(frozen=True)
class Head:
    """The first `BYTES` of a file, or all of it; what is found out about them is found out once."""

    raw: bytes
    limits: Limits

    @cached_property
    def visible(self) -> bytes:
        """The bytes from the first visible character on."""
        return self.raw.removeprefix(UTF8_MARK).lstrip(b" \t\r\n\v\f\x1e")

    @cached_property
    def lines(self) -> list[bytes]:
        """The first lines that are not blank."""
        return [line for line in self.visible.splitlines() if line.strip()][:_LINES]

    @cached_property
    def lines_as_text(self) -> list[str]:
        """The same as text, without blanks at their ends; what is not UTF-8 is U+FFFD."""
        return [line.decode("utf-8", errors="replace").rstrip() for line in self.lines]

    @cached_property
    def looks_like_json(self) -> bool:
        """Whether it begins with a JSON object, or with an array of strings, arrays or objects."""
        return bool(self.lines) and _LOOKS_LIKE_JSON.match(self.visible) is not None

    @cached_property
    def text(self) -> str:
        """The beginning as clean text; what is not UTF-8 is U+FFFD."""
        return clean(self.visible[:_TEXT_BYTES].decode("utf-8", errors="replace"))


def share(lines: Sequence[str], fits: Callable[[str], object]) -> float:
    """How many of these lines fit, of all; 0 where there are none."""
    return sum(bool(fits(line)) for line in lines) / len(lines) if lines else 0.0
