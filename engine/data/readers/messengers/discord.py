"""Channels of Discord, as DiscordChatExporter writes them: JSON, CSV and plain text.

Source: the export formats of DiscordChatExporter. A bot is the assistant where no setting names anybody who speaks;
only JSON says who is a bot. Of replies, joins and pins, replies are said by somebody.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from engine.data.readers.head import Head
from engine.data.readers.messengers.export import any_of, beginning, document, in_order, names_of, seconds
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.readers.messengers.text_lines import text_lines
from engine.data.records.limits import FormatError, Limits
from engine.data.records.values import Record, child, is_record, records, string

_SAID = ("Default", "Reply", "ChatInputCommand", "0", "19", "20", None)
_BEGINS = re.compile(rb'\{\s*"(?:guild|channel)"\s*:\s*\{')
_CHANNEL = re.compile(rb'"(?:guild|channel)"\s*:\s*\{')
_HEADER = ("authorid", "author", "date", "content")
_RULE = re.compile(r"=+$")
_SPOKEN = re.compile(r"\[([^\]\n]{6,40})\] (.{1,100}?)(?: \(pinned\))?$")
_BLOCK = re.compile(r"\{(?:Attachments|Embed|Embeds|Reactions|Stickers|Forwarded Message)\}$")
_DATES = (
    *("%d-%b-%y %I:%M %p", "%d-%b-%Y %I:%M %p", "%m/%d/%Y %I:%M %p", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M"),
    *("%m/%d/%Y %H:%M", "%m/%d/%y %I:%M %p"),
)


def _is_json(head: Head) -> bool:
    start = beginning(head)
    is_channel = _BEGINS.match(start) is not None or (b'"isBot"' in start and _CHANNEL.search(start) is not None)
    return is_channel and b'"author"' in start and b'"messages"' in start


def _said_in_json(stream: BinaryIO, limits: Limits) -> list[Said]:
    export = document(stream, limits)
    messages = records(export.get("messages") if is_record(export) else None)
    return in_order(_said(message) for message in messages if message.get("type") in _SAID)


def _said(message: Record) -> Said:
    author = child(message, "author")
    return Said(
        names_of((author.get("name"), author.get("nickname"), author.get("id")), "?"),
        string(message.get("content")),
        seconds(message.get("timestamp")),
        has_media=any_of(message, ("attachments", "stickers")),
        is_bot=bool(author.get("isBot")),
    )


def _is_csv(head: Head) -> bool:
    first = head.lines_as_text[0].lower().replace('"', "") if head.lines else ""
    return tuple(first.split(",")[: len(_HEADER)]) == _HEADER


def _said_in_csv(stream: BinaryIO, limits: Limits) -> Iterator[Said]:
    csv.field_size_limit(limits.record_bytes)
    rows = csv.reader(f"{line}\n" for _, line in text_lines(stream, limits))
    try:
        next(rows, None)
        for row in rows:
            if len(row) >= len(_HEADER):
                number, author, date, content, *more = row
                has_media = bool(more and more[0].strip())
                yield Said(
                    names_of((author, number), "?"), content, _time(date), line=rows.line_num, has_media=has_media
                )
    except csv.Error as error:
        raise FormatError(f"the table cannot be read: {error}") from None


def _is_text(head: Head) -> bool:
    lines = [line.decode("utf-8", "replace").strip() for line in head.lines[:4]]
    return len(lines) == 4 and bool(_RULE.match(lines[0])) and lines[1].startswith("Guild: ")


def _said_in_text(stream: BinaryIO, limits: Limits) -> Iterator[Said]:
    """A head of two rules, then messages: a line with date and name, and the text on the lines that follow."""
    rules = 0
    heading: tuple[str, str, int] | None = None
    text: list[str] = []
    for number, line in text_lines(stream, limits):
        is_rule = _RULE.match(line) is not None and len(line) >= 20
        found = _SPOKEN.match(line)
        date = _time(found[1]) if found else None
        if rules < 2:
            rules += is_rule
        elif (found and date is not None) or is_rule:
            yield from _written(heading, text)
            heading = (found[1], found[2], number) if found else None
            text = []
        else:
            text.append(line)
    yield from _written(heading, text)


def _written(heading: tuple[str, str, int] | None, lines: Iterable[str]) -> Iterator[Said]:
    if heading is None:
        return
    date, name, number = heading
    said: list[str] = []
    is_block = has_media = False
    for line in lines:
        if _BLOCK.match(line):
            is_block = True
            has_media = has_media or line in ("{Attachments}", "{Stickers}")
        if not is_block:
            said.append(line)
    yield Said((name,), "\n".join(said).strip("\n"), _time(date), line=number, has_media=has_media)


def _time(date: str) -> float | None:
    if (found := seconds(date)) is not None:
        return found
    for form in _DATES:
        try:
            return datetime.strptime(date.strip(), form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None


JSON = format_of("Discord", "a channel of Discord {channel, messages}", _is_json, _said_in_json)
CSV = format_of("Discord CSV", "a table (CSV) of a channel of Discord", _is_csv, _said_in_csv)
TEXT = format_of("Discord text", "a channel of Discord as text", _is_text, _said_in_text)
