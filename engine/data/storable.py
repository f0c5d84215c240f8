"""Text that strangers wrote (in a file, or as its name), made fit to be stored, logged, sent and shown.

Everything that quotes such text goes through here: SQLite and JSON take no lone surrogate, C strings end at NUL, and
control characters steer the terminal of whoever reads them.
"""

import os
import re
from pathlib import Path

LONGEST = 500
"""Characters of a reason that are kept."""

_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls, C0 and C1
    "\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators, and what turns the direction of writing
    "\ud800-\udfff]"  # lone surrogates
)


def storable(text: str, longest: int = LONGEST) -> str:
    """``text`` as one line of at most ``longest`` characters, with what is unfit as Python would escape it."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _UNFIT.sub(lambda found: repr(found.group())[1:-1], text)[: 2 * longest]


def storable_lines(text: str, longest: int) -> str:
    """The same for text of several lines, of which the end is kept: where a trace says what happened."""
    return "\n".join(storable(line) for line in text[-longest:].splitlines())


def storable_path(path: Path) -> str:
    """A path as text, whatever bytes its name has; those that are not UTF-8 are ``\\xff``."""
    return storable(os.fsencode(path).decode("utf-8", errors="backslashreplace"), longest=8192)
