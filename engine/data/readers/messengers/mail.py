"""Mail: mbox files and single messages (``.eml``). A thread is a conversation, however long it rests.

Sources: RFC 5322 and 6532, mboxrd (lines ``>From``), Google Takeout's mbox (``X-GM-THRID``). What is quoted, forwarded
or a signature was said elsewhere, and what a machine answers (``Auto-Submitted``) by nobody. What is attached is not
read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from engine.data.readers.head import Head
from engine.data.readers.messengers.export import names_of
from engine.data.readers.messengers.mail_text import body_of
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.records.limits import FormatError, Limits

if TYPE_CHECKING:
    from email.message import Message

_HEADER = re.compile(
    rb"(?:Return-Path|Received|Message-ID|Date|From|To|Cc|Subject|MIME-Version|Content-Type|Delivered-To|Reply-To"
    rb"|In-Reply-To|References|X-GM-THRID|X-Gmail-Labels|DKIM-Signature|List-[\w-]+):\s",
    re.IGNORECASE,
)
_BETWEEN = re.compile(rb"From \S+.*\d\d:\d\d")
_ID = re.compile(r"<[^<>\s]+>")
_MOST_TEXT = 256 << 20


def _fits(head: Head) -> bool:
    lines = head.lines
    names = {line.split(b":", 1)[0].lower() for line in lines if _HEADER.match(line)}
    return len(names) >= 3 or (len(names) >= 2 and bool(lines) and _BETWEEN.match(lines[0]) is not None)


def _said_in(stream: BinaryIO, limits: Limits) -> list[Said]:
    threads = _Threads()
    found: list[tuple[float, str, Said]] = []
    size, time = 0, 0.0
    for number, message in _messages_in(stream, limits):
        if (said := _said(message, number)) is None:
            continue
        size += len(said.text)
        if size > _MOST_TEXT:
            raise FormatError(f"more than {_MOST_TEXT >> 20} MB of text in one file of mail: split it")
        time = _time(message) or time  # one without a date comes after the one above it
        found.append((time, threads.add(message, number), said))
    found.sort(key=lambda each: each[0])
    return [replace(said, talk=threads.root(name)) for _, name, said in found]


def _messages_in(stream: BinaryIO, limits: Limits) -> Iterator[tuple[int, "Message[str, str]"]]:
    """Each message, with the line on which it begins; of what is attached to a large one, only the beginning."""
    stream.seek(0)
    raw, size, number, start = list[bytes](), 0, 0, 1
    is_after_blank = True
    while line := stream.readline(1 << 20):
        if is_after_blank and _BETWEEN.match(line):
            if raw:
                yield start, _parsed(raw)
            raw, size, start = [], 0, number + 1
        elif size < limits.record_bytes:
            raw.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
        is_after_blank = not line.strip()
        number += 1
    if raw:
        yield start, _parsed(raw)


def _parsed(raw: Iterable[bytes]) -> "Message[str, str]":
    from email import message_from_bytes

    return message_from_bytes(b"".join(raw).lstrip(b"\r\n"))


def _said(message: "Message[str, str]", number: int) -> Said | None:
    from email.utils import parseaddr

    if _header(message, "Auto-Submitted", "no").lower() != "no":
        return None
    name, address = parseaddr(_raw(message, "From"))  # before decoding: an encoded name may hold a comma
    return Said(names_of((_decoded(name), address), "?"), body_of(message) or _header(message, "Subject"), line=number)


def _header(message: "Message[str, str]", name: str, otherwise: str = "") -> str:
    return _decoded(_raw(message, name, otherwise))


def _raw(message: "Message[str, str]", name: str, otherwise: str = "") -> str:
    """A header as it is written, also in UTF-8 (RFC 6532), for which `email` only has question marks."""
    values = (f"{value}" for key, value in message.raw_items() if key.lower() == name.lower())
    return next(values, otherwise).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decoded(value: str) -> str:
    """What a header says; what is encoded otherwise than it says stays as it is."""
    from email.errors import MessageError
    from email.header import decode_header, make_header

    try:
        return " ".join(str(make_header(decode_header(value))).split())
    except (MessageError, LookupError, UnicodeError, ValueError):
        return value


def _time(message: "Message[str, str]") -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(_header(message, "Date")).timestamp()
    except (ValueError, OverflowError):
        return None


class _Threads:
    """Which message belongs to which thread: by Gmail's number, else by what it answers."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def add(self, message: "Message[str, str]", number: int) -> str:
        """One more message; its name, for `root`."""
        own: str = (_ID.findall(_header(message, "Message-ID")) or [f"line {number}"])[0]
        thread = _header(message, "X-GM-THRID")
        others = _ID.findall(f"{_header(message, 'References')} {_header(message, 'In-Reply-To')}")
        for other in [thread] if thread else others:
            one, two = self.root(own), self.root(other)
            if one != two:
                self._above[one] = two
        return own

    def root(self, name: str) -> str:
        """What all messages of its thread have in common."""
        while (above := self._above.get(name)) is not None:
            self._above[name] = self._above.get(above, above)
            name = above
        return name


FORMAT = format_of("mail", "mail (mbox)", _fits, _said_in)
