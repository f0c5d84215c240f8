"""The formats of files, in the order in which they are asked whether a file is theirs; the last one takes the rest.

A new format is a module with a `FORMAT`, and a line here.
"""

from engine.data.readers import document, json_lines, plain_text, transcript, utterances
from engine.data.readers.format import Format
from engine.data.readers.head import Head

FORMATS: tuple[Format, ...] = (
    json_lines.FORMAT,
    document.FORMAT,
    utterances.FORMAT,
    transcript.FORMAT,
    plain_text.FORMAT,
)

_BY_NAME = {each.name: each for each in FORMATS}


def recognise(head: Head) -> Format:
    """The format of a file that begins with ``head``."""
    return next(each for each in FORMATS if each.fits(head))


def find(name: str) -> Format | None:
    """The format with this name; none where this thord knows no such format."""
    return _BY_NAME.get(name)
