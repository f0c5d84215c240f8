"""WhatsApp's "Export chat", of Android and iOS in any language, and chats that are written alike.

    31/12/2024, 22:45 - Ada: is the ford passable             [Android]
    [31.12.24, 22:45:01] Ada: is the ford passable            [iOS]
    [2024-12-31 22:45] Ada: is the ford passable              [signal-export]

A text goes on over the lines up to the next date. What the program itself writes begins with U+200E on iOS, has no
speaker on Android, or is one of the phrases below. The order of day and month is that in which time runs forward.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from engine.data.readers.head import BYTES as HEAD_BYTES
from engine.data.readers.head import Head
from engine.data.readers.messengers import phrases
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.readers.messengers.text_lines import text_lines
from engine.data.records.limits import Limits
from engine.data.records.names.settings import visible
from engine.data.records.roles import is_role
from engine.data.records.text import decode

_HALF = (
    r"(?:[AaPp]\.?[^\S\n]?[Mm]\.?|上午|下午|凌晨|早上|中午|晚上|오전|오후|午前|午後|[صم](?!\w)|[πμ]\.?μ\.?|SA|CH"
    r"|ÖÖ|ÖS|de\.|du\.)"
)
_STAMP = re.compile(
    r"\[?(?P<a>\d{1,4})[^\S\n]?(?P<part>[./-]|年)[^\S\n]?(?P<b>\d{1,2})[^\S\n]?(?:(?P=part)|月)[^\S\n]?(?P<c>\d{1,4})"
    rf"[.日]?,?[^\S\n](?P<before>{_HALF})?[^\S\n]?(?P<hour>\d\d?)[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?"
    rf"[^\S\n]?(?P<after>{_HALF})?(?:\][^\S\n]|[^\S\n]?[-\u2013][^\S\n])"
)
_AFTERNOON = ("p", "م", "μ", "下午", "晚上", "오후", "午後", "ch", "ös", "du.")
_LEVELS = frozenset("DEBUG INFO WARN WARNING ERROR FATAL CRITICAL TRACE NOTICE".split())
_MEDIA_NAME = re.compile(r"\S[^\n()]{0,80}\.\w{2,5} \([^()\n]{3,60}\)$")
_MARK = "\u200e"
_MARKS = "\u200e\u200f\u202a\u202b\u202c \n"
_LONGEST_NAME = 80
_ORDERS = ("dmy", "mdy", "ymd")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands behind one date: ``text`` without the speaker; nobody speaks in a notice."""

    stamp: "re.Match[str]"
    speaker: str
    text: str
    line: int


def _fits(head: Head) -> bool:
    lines = [line.decode("utf-8", "replace") for line in head.lines]
    entries = [entry for number, line in enumerate(lines) if (entry := _entry(line, number))]
    if not lines or _entry(lines[0], 0) is None or any(entry.speaker in _LEVELS for entry in entries):
        return False
    speakers = {entry.speaker for entry in entries if entry.speaker}
    return len(entries) > len(lines) // 4 and bool(speakers) and not all(map(is_role, speakers))


def _entry(line: str, number: int) -> _Entry | None:
    """What begins in a line; none where the line goes on with what began before."""
    line = line.lstrip("\ufeff\u200e\u200f\u202a\u202b")
    stamp = _STAMP.match(visible(line))
    if stamp is None:
        return None
    rest = _behind(line, len(stamp[0]))
    name, colon, text = rest.partition(": ")
    if not colon and rest.endswith(":"):
        name, colon = rest[:-1], ":"
    if not colon or len(name) > _LONGEST_NAME or phrases.is_notice(name):
        return _Entry(stamp, "", rest, number)
    return _Entry(stamp, visible(name).strip(), text, number)


def _behind(line: str, length: int) -> str:
    """A line without its first so many visible characters."""
    place = 0
    while length:
        length -= bool(visible(line[place]))
        place += 1
    return line[place:]


def _said_in(stream: BinaryIO, limits: Limits) -> Iterator[Said]:
    order = _order_in(stream, limits)
    entry: _Entry | None = None
    more: list[str] = []
    for number, line in text_lines(stream, limits):
        begun = _entry(line, number)
        if begun is None:
            more.append(line)
            continue
        yield from _said(entry, more, order)
        entry, more = begun, []
    yield from _said(entry, more, order)


def _said(entry: _Entry | None, more: Sequence[str], order: str) -> Iterator[Said]:
    """The message of an entry; nothing where nobody says it."""
    if entry is None or not entry.speaker:
        return
    first, lines, has_media = entry.text, list(more), False
    if first.startswith(_MARK) or phrases.is_deleted(first):
        if phrases.is_deleted(first) or not phrases.is_media(visible(first)):
            return
        first, has_media = "", True
    elif phrases.is_media(first) or _MEDIA_NAME.match(visible(first)):
        first, has_media = "", True
    text = phrases.without_edit_mark("\n".join([first, *lines])).strip("\n")
    yield Said((entry.speaker,), text.strip(_MARKS), _time(entry.stamp, order), line=entry.line, has_media=has_media)


def _order_in(stream: BinaryIO, limits: Limits) -> str:
    """The order of day, month and year in which time runs backwards least often at the beginning of the file."""
    stream.seek(0)
    lines = decode(stream.read(min(HEAD_BYTES, limits.record_bytes)).rpartition(b"\n")[0]).split("\n")
    stamps = [entry.stamp for number, line in enumerate(lines) if (entry := _entry(line, number))]
    return min(_ORDERS, key=lambda order: _disorder(stamps, order))


def _disorder(stamps: Sequence["re.Match[str]"], order: str) -> int:
    """Dates that do not exist in this order, or lie before the one above; nearby ones only in the likelier order."""
    times = [_time(stamp, order) for stamp in stamps]
    backwards = sum(one is not None and other is not None and other < one for one, other in itertools.pairwise(times))
    is_odd = any(stamp["part"] == "/" and bool(stamp["after"]) for stamp in stamps) != (order == "mdy")
    return 4 * (times.count(None) * 4 + backwards) + is_odd


def _time(stamp: "re.Match[str]", order: str) -> float | None:
    parts = dict(zip(order, (int(stamp["a"]), int(stamp["b"]), int(stamp["c"])), strict=True))
    year = parts["y"] + 2000 if parts["y"] < 100 else parts["y"]
    half = (stamp["before"] or stamp["after"] or "").lower()
    hour = int(stamp["hour"])
    if half:
        hour = hour % 12 + (12 if half.startswith(_AFTERNOON) else 0)
    try:
        return datetime(
            year, parts["m"], parts["d"], hour, int(stamp["minute"]), int(stamp["second"] or 0), tzinfo=UTC
        ).timestamp()
    except ValueError:
        return None


FORMAT = format_of("WhatsApp", "a WhatsApp chat", _fits, _said_in)
