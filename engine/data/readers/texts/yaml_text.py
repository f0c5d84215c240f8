"""Conversations in YAML: the same records, rows and lists as in JSON, in a document or in several.

A text is taken for one where it begins like YAML, and a key of it names a known role, or a question with its answer.
Other YAML is refused as such (`engine.data.readers.texts.lookalikes`).
"""

import io
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers import document
from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume, of_whole
from engine.data.readers.json_values import too_large
from engine.data.readers.plain_runs import one_by_one
from engine.data.readers.texts.yaml_values import documents
from engine.data.records.limits import FormatError, Limits
from engine.data.records.names.settings import key
from engine.data.records.roles import is_role
from engine.data.records.text import clean, decode

_NAME = "YAML"
_FROM_START = Resume(_NAME, 0, 1)
_LOOKED_AT = 1 << 14
_KEY = r"[\"']?[\w-]{1,40}[\"']?:"
_BEFORE = r"(?:(?:#|---|%YAML)[^\n]*\n|[ \t]*\n)*"
_BEGINS = re.compile(
    rf"{_BEFORE}(?:- +{_KEY}[^\n]*\n(?:[ \t]*\n|[ \t]+[^\s-][^\n]*\n)*?[ \t]+(?:- )?[{{]?[ ]?{_KEY}"
    rf"|{_KEY}[ \t]*(?:#[^\n]*)?\n{_BEFORE}(?:[ \t]+\S|- )"
    rf"|- +\{{|---[ \t]*\n{_BEFORE}{_KEY}|(?:role|from):[ \t]+[^\n]*\n{_KEY})"
)
"""A list of objects, an object whose first key holds something on the next lines, or one in a document of its own."""
_OPEN = r"(?:- +)*[\"'{ ]*"
_WHO = re.compile(
    rf"(?m)^[ \t]*{_OPEN}(?:role|from|speaker|sender|author)[\"']?:[ \t]+"
    r"[\"']?([^\"'\n#,]{1,40}?)[\"']?[ \t]*(?:[#,].*)?$"
)
_WHAT = re.compile(rf"(?m)(?:^[ \t]*{_OPEN}|, *)[\"']?(?:content|value|text|message)[\"']?:")
_ASKED = re.compile(
    rf"(?m)^[ \t]*{_OPEN}(?:prompt|question|instruction|query|input|user|human)[\"']?:[^\n]*\n"
    r"(?:[ \t]*\n|[ \t]+[^\s][^\n]*\n)*?[ \t]*[\"']?(?:completion|answer|response|output|assistant|bot|gpt)[\"']?:"
)


def _fits(head: Head) -> bool:
    start = head.text[:_LOOKED_AT]
    if not _BEGINS.match(start):
        return False
    names = (match[1] for match in _WHO.finditer(start))
    is_said = any(is_role(name) or key(name) in head.limits.names.words for name in names)
    return (is_said and _WHAT.search(start) is not None) or _ASKED.search(start) is not None


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """Everything in its documents, each at the place of the whole file. When it changes it is read from its start."""
    del resume
    stream.seek(0)
    raw = stream.read(limits.record_bytes + 1)
    size = stream.seek(0, io.SEEK_END)
    if size > limits.record_bytes:
        yield Refused(too_large(size, limits), 0, 0, size, _FROM_START)
        return
    written, problem = io.BytesIO(), ""
    try:
        for value in documents(clean(decode(raw)), limits):
            if value is not None:
                written.write(json.dumps(value).encode() + b"\n")
    except FormatError as error:
        problem = f"the YAML cannot be read further: {error}"
    except ImportError:
        problem = "YAML, which needs an extra: pip install 'thord[yaml]', or convert it to JSON"
    for item in one_by_one(document.FORMAT.read(written, limits, _FROM_START)):
        yield of_whole(item, size, _FROM_START)
    if problem:
        yield Refused(problem, 0, 0, size, _FROM_START)


FORMAT = Format(_NAME, _fits, _read, may_grow=False)
