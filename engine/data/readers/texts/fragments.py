"""What is left of a file that was cut, or was pasted into another: its beginning does not tell what it is."""

import itertools
import re

from engine.data.readers.head import Head, share
from engine.data.records.written.transcripts import share_of_turns

_LOOKED_AT = 8192
_MEMBER = re.compile(
    r"""(?m)(?:[{,]\s{0,16}|^\s{0,16})(["'])[\w.$-]{1,40}\1\s?:\s?(?:["'\[{\d-]|true|false|null|None)"""
)
_OF_JSON = re.compile(
    r"""\s*(?:[\[\]{},]+$|"[^"\n]*",?$|-?[\d.]+,?$|.*["'][\w.$-]{1,40}["']\s?:\s|.*["'][\]}]{1,8},?$|.*\},?$)"""
)
_FENCED = re.compile(
    r"""(?:```|~~~)[ \t]*(?:(?:jsonl?|json5|ndjson)[ \t]*\n\s*[\[{]|\n\s*[\[{]\s*["'{\[])""", re.IGNORECASE
)
_TAG = re.compile(r"</?[A-Za-z][\w:-]{0,30}(?:\s[^<>]{0,300})?/?>")
_CELLS = re.compile(r'",(?:"|,)|\A"?(?:user|assistant|system|human|gpt|bot)"?\t\S')
_FEWEST_TAGS = 5
_SENT = re.compile(
    r"\[?\d{1,4}[./-]\d{1,2}[./-]\d{1,4},? \d{1,2}:\d\d(?::\d\d)?[^\w\n]{0,4}(?:[AaPp][Mm])?\]?(?: -)? [^:\n]{1,40}: "
)
_QUOTED_LINE = re.compile(r">[ \t]?\S")


def is_of_json(head: Head) -> bool:
    """A piece of JSON or of Python's literals, or such a document behind a fence or a comment."""
    text = head.text[:_LOOKED_AT]
    if _FENCED.match(text):
        return True
    return _MEMBER.search(text) is not None and share(head.lines_as_text, _OF_JSON.match) >= 0.5


def is_of_page(head: Head) -> bool:
    """Text of which a good part is tags."""
    text = head.text[:_LOOKED_AT]
    tags = [match[0] for match in _TAG.finditer(text)] if "<" in text else []
    return len(tags) >= _FEWEST_TAGS and sum(map(len, tags)) >= 0.3 * len(text)


def is_of_table(head: Head) -> bool:
    """Lines with cells in quotes, or behind the names of speakers."""
    return share(head.lines_as_text, _CELLS.search) >= 0.3


def is_of_messenger(head: Head) -> bool:
    """Lines that begin with a day, a time and a name."""
    return share(head.lines_as_text, _SENT.match) >= 0.4


def is_of_transcript(head: Head) -> bool:
    """Lines by which known speakers begin a turn, though the whole is no transcript."""
    return share_of_turns(head.text[:_LOOKED_AT]) >= 0.25


def is_of_prompts(head: Head) -> bool:
    """Lines behind '>', each with an answer under it, as llama.cpp prints a chat."""
    lines = head.text[:_LOOKED_AT].split("\n")
    answered = sum(
        _QUOTED_LINE.match(one) is not None and bool(other.strip()) and not other.startswith(">")
        for one, other in itertools.pairwise(lines)
    )
    return answered >= 2 and _QUOTED_LINE.match(lines[0]) is not None and answered >= 0.3 * len(head.lines)
