"""The formats of files, in the order in which they are asked whether a file is theirs; the last one takes the rest.

A new format is a module with a `FORMAT`, and a line here.
"""

from engine.data.readers import (
    document,
    json_lines,
    lookalikes,
    plain_text,
    table,
    templated,
    transcript,
    utterances,
)
from engine.data.readers.format import Format
from engine.data.readers.head import Head

FORMATS: tuple[Format, ...] = (
    json_lines.FORMAT,
    document.FORMAT,
    utterances.FORMAT,
    templated.FORMAT,
    transcript.FORMAT,
    table.FORMAT,
    lookalikes.FORMAT,
    plain_text.FORMAT,
)

_BY_NAME = {each.name: each for each in FORMATS}


def recognise(head: Head, *, is_corpus: bool = False) -> Format:
    """The format of a file that begins with ``head``; in a corpus what is not of a known format is plain text."""
    return next(each for each in FORMATS if each.fits(head) and not (is_corpus and each is lookalikes.FORMAT))


def find(name: str) -> Format | None:
    """The format with this name; none where this thord knows no such format."""
    return _BY_NAME.get(name)
