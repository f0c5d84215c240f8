"""HTML in which programs keep what was said, as plain text."""

import re

from engine.data.records.text import unescaped

_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h\d|/tr|/pre)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def plain(markup: str) -> str:
    """The text of a piece of HTML, with a line end where a block ends."""
    return unescaped(_TAG.sub("", _BREAK.sub("\n", markup))).strip()
