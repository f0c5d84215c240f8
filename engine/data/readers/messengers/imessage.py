"""iMessage: the database of macOS (``chat.db``), and what imessage-exporter makes of it as text.

    Oct 17, 2021 10:31:49 PM (Read by you after 5 seconds)
    Ada
    is the ford passable

Sources: ``~/Library/Messages/chat.db``, whose times count from 2001, and the text export of imessage-exporter. Since
macOS 13 the words stand in ``attributedBody``, in Apple's typedstream. Replies stand in a text twice: indented below
what they answer, which is left out, and in their place. Whoever owns the database is called ``Me``.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from engine.data.readers.head import Head
from engine.data.readers.items import Item, Resume
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.readers.messengers.text_lines import text_lines
from engine.data.readers.plain_runs import one_by_one
from engine.data.readers.tables.sqlite_file import columns_of, missing_changes, opened
from engine.data.records.limits import FormatError, Limits

if TYPE_CHECKING:
    import sqlite3

_ME = "Me"
_MAGIC = b"SQLite format 3\x00"
_TABLES = (b"chat_message_join", b"attributedBody", b"is_from_me")
_ATTACHED = "\ufffc"
"""Where something is attached in a text."""
_NANOSECONDS = 1e12
"""Times from here on count nanoseconds."""
_OF_OTHERS = (("item_type", "0"), ("associated_message_type", "0, 2, 3"), ("is_system_message", "0"))
"""Columns by which what nobody writes is left out, with the values that stay: people who join, and taps on a text."""

_STAMP = re.compile(
    r"([A-Z][a-z]{2} \d\d, \d{4}) {1,2}(\d{1,2}:\d\d:\d\d [AP]M)(?: \((?:Read|Delivered|Sent|Edited)[^()\n]*\))?$"
)
_NOTICE = re.compile(r"[A-Z][a-z]{2} \d\d, \d{4} {1,2}\d{1,2}:\d\d:\d\d [AP]M \S")
_FILE = re.compile(r"(?:~?/|attachments/|[A-Za-z]:\\).*\.\w{2,5}$|Attachment missing!$")
_EDITED = re.compile(r"Edited .{1,60} later: (.*)$")
_OWN = re.compile(r"(?:This message responded to an earlier message\.|Sent with .{1,20})$")
_TAPS = ("Tapbacks:", "Reactions:")


def _is_database(head: Head) -> bool:
    return head.raw.startswith(_MAGIC) and all(name in head.raw for name in _TABLES)


def _said_in_database(stream: BinaryIO, limits: Limits) -> list[Said]:
    """Every message, chat by chat in the order of time."""
    import sqlite3

    del limits
    try:
        with opened(stream) as database:
            return [_said(*row) for row in _rows(database)]
    except (sqlite3.Error, UnicodeError) as error:
        raise FormatError(f"the SQLite database cannot be read further: {error}") from None


def _rows(database: "sqlite3.Connection") -> Iterator[tuple[object, ...]]:
    columns = columns_of(database, "message")
    wanted = [f"ifnull(message.{name}, 0) IN ({values})" for name, values in _OF_OTHERS if name in columns]
    attached = "message.cache_has_attachments" if "cache_has_attachments" in columns else "0"
    yield from database.execute(
        "SELECT chat_message_join.chat_id, message.text, message.attributedBody, message.is_from_me, message.date,"  # noqa: S608 - names of our own
        f" handle.id, {attached} FROM message JOIN chat_message_join ON chat_message_join.message_id = message.ROWID"
        f" LEFT JOIN handle ON handle.ROWID = message.handle_id WHERE {' AND '.join([*wanted, '1'])}"
        " ORDER BY chat_message_join.chat_id, message.date, message.ROWID"
    )


def _said(
    chat: object, text: object, body: object, is_mine: object, date: object, handle: object, attached: object
) -> Said:
    """A row as a message; one whose words cannot be read counts as something that was sent with it."""
    found = text if isinstance(text, str) and text else _text_in(body) if isinstance(body, bytes) else ""
    time = float(date) if isinstance(date, int) else None
    return Said(
        (_ME,) if is_mine else (str(handle or "?"),),
        found.replace(_ATTACHED, "").strip(),
        time / 1e9 if time is not None and time > _NANOSECONDS else time,
        str(chat),
        has_media=bool(attached) or _ATTACHED in found or (not found and isinstance(body, bytes)),
    )


def _text_in(body: bytes) -> str:
    """The words in a typedstream: the first string, behind its length; empty where there is none."""
    _, name, rest = body.partition(b"NSString")
    start = rest.find(b"+", 0, 16) + 1
    if not name or not start or start >= len(rest):
        return ""
    size, width = rest[start], {0x81: 2, 0x82: 4}.get(rest[start], 0)
    at = start + 1 + width
    length = int.from_bytes(rest[start + 1 : at], "little") if width else size
    return rest[at : at + length].decode("utf-8", "replace")


def _is_text(head: Head) -> bool:
    lines = head.lines_as_text
    is_headed = len(lines) >= 3 and (_STAMP.match(lines[0]) or _NOTICE.match(lines[0])) is not None
    return is_headed and any(map(_STAMP.match, lines)) and not _STAMP.match(lines[1])


def _said_in_text(stream: BinaryIO, limits: Limits) -> Iterator[Said]:
    heading: tuple[re.Match[str], int] | None = None
    lines: list[str] = []
    is_after_blank = True
    for number, line in text_lines(stream, limits):
        stamp = _STAMP.match(line) if is_after_blank else None
        if stamp or (is_after_blank and _NOTICE.match(line)):
            yield from _written(heading, lines)
            heading, lines = (stamp, number) if stamp else None, []
        else:
            lines.append(line)
        is_after_blank = not line.strip()
    yield from _written(heading, lines)


def _written(heading: "tuple[re.Match[str], int] | None", lines: list[str]) -> Iterator[Said]:
    """The message below a stamp: a name, then its lines, without what the program adds."""
    if heading is None or not lines:
        return
    stamp, number = heading
    said: list[str] = []
    has_media = is_tapped = False
    for line in lines[1:]:
        is_tapped = line in _TAPS or (is_tapped and bool(line.strip()))
        if is_tapped or line.startswith("    ") or _OWN.match(line):
            continue
        if edited := _EDITED.match(line):
            said = [edited[1]]
        elif _FILE.match(line):
            has_media = True
        else:
            said.append(line)
    yield Said((lines[0].strip(),), "\n".join(said).strip(), time_of(stamp[0]), line=number, has_media=has_media)


def time_of(stamp: str) -> float | None:
    """When imessage-exporter says that a message was sent, in seconds; none where it is no such stamp."""
    if not (found := _STAMP.match(stamp)):
        return None
    try:
        return datetime.strptime(f"{found[1]} {found[2]}", "%b %d, %Y %I:%M:%S %p").replace(tzinfo=UTC).timestamp()
    except ValueError:  # no day of a calendar
        return None


_MESSAGES = format_of("iMessage", "the messages of a Mac (chat.db)", _is_database, _said_in_database, seeks=True)


def _read_database(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    yield from missing_changes(stream, resume)
    yield from one_by_one(_MESSAGES.read(stream, limits, resume))


DATABASE = replace(_MESSAGES, read=_read_database)
TEXT = format_of("iMessage text", "a talk of iMessage as text", _is_text, _said_in_text)
