"""How a file is laid out, decided by its beginning."""

import re

from engine.data.formats import transcript
from engine.data.formats.items import FormatError, Layout, Limits
from engine.data.formats.json_values import parse
from engine.data.formats.lines import END_OF_UTTERANCE
from engine.data.formats.text import UTF8_MARK, clean

HEAD = 1 << 20
"""Bytes that decide."""

_TEXT_HEAD = 1 << 16

_LOOKED_AT = 16
_LOOKS_LIKE_JSON = re.compile(rb'\[[\s\[]*(?:["\]{]|\Z)|\{\s*(?:["}]|\Z)')
_GOES_ON = re.compile(rb"[\[{,:]\s*\Z")
_CONTINUES = re.compile(rb"\s*[,:\]}]")


def layout_of(head: bytes, limits: Limits) -> Layout:
    """The layout of a file that begins with ``head``: its first `HEAD` bytes, or all of it."""
    head = head.removeprefix(UTF8_MARK).lstrip()
    lines = [line for line in head.splitlines() if line.strip()][:_LOOKED_AT]
    if not lines:
        return "plain"
    if _LOOKS_LIKE_JSON.match(head):
        return "lines" if _is_json_lines(lines, limits) else "document"
    if sum(_is_record(line, limits) for line in lines[1:]) > len(lines) // 2:
        return "lines"  # JSON lines whose first is damaged
    text = clean(head[:_TEXT_HEAD].decode("utf-8", errors="replace"))
    if END_OF_UTTERANCE in lines[0].decode("utf-8", errors="replace"):
        return "utterances"
    return "plain" if transcript.speakers_of(text) is None else "transcript"


def _is_json_lines(lines: list[bytes], limits: Limits) -> bool:
    """A line is a whole record, or is damaged in a way that no document could be."""
    first, *others = lines
    if _is_record(first, limits):
        return bool(others) or not first.startswith(b"[")  # one long array is better read element by element
    may_be_document = _GOES_ON.search(first) or (others and _CONTINUES.match(others[0]))
    return not may_be_document and any(_is_record(line, limits) for line in others)


def _is_record(line: bytes, limits: Limits) -> bool:
    try:
        return isinstance(parse(line, limits), dict | list)
    except FormatError:
        return False
