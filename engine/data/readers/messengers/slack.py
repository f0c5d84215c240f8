"""Slack's export: a file for each day of a channel, in a folder or in the zip, and the names of people beside them.

Source: "Export data" of a workspace: ``users.json``, ``channels.json``, ``CHANNEL/2025-01-05.json`` with
``[{"type": "message", "user", "text", "ts", "thread_ts"}]``. A thread is a conversation of its own, however long it
rests. Joins, topics and deleted messages are what the program notes.
"""

import functools
import io
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pydantic import JsonValue

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume
from engine.data.readers.json_values import Value, Values
from engine.data.readers.messengers.export import any_of, beginning, document, in_order, names_of, number
from engine.data.readers.messengers.said import Said
from engine.data.readers.messengers.talks import format_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import unescaped
from engine.data.records.values import Record, child, records, string

PEOPLE = "users.json"
_MOST_PEOPLE_BYTES = 64 << 20
"""Of the list of people, whatever a record may be."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d\.json$")
_SAID = (None, "", "bot_message", "me_message", "thread_broadcast", "file_share", "file_comment", "reply_broadcast")
_ARRAY = re.compile(rb"\[\s*\{")
_TIMES = re.compile(rb'"ts"\s*:\s*"\d+(?:\.\d+)?"')
_MENTION = re.compile(r"<([@#!])([^|<>]+)(?:\|([^<>]*))?>")
_LINK = re.compile(r"<([^@#!<>|][^<>|]*)(?:\|([^<>]*))?>")


def _fits(head: Head) -> bool:
    start = beginning(head)
    is_message = b'"type":"message"' in start or b'"type": "message"' in start
    return is_message and _ARRAY.match(start) is not None and _TIMES.search(start) is not None


def _said_in(stream: BinaryIO, limits: Limits) -> list[Said]:
    messages = records(document(stream, limits))
    threads = {string(message.get("thread_ts")) for message in messages}
    said = (_said(message, threads, limits) for message in messages if message.get("subtype") in _SAID)
    return [replace(each, time=None) if each.talk else each for each in in_order(said)]


def _said(message: Record, threads: set[str], limits: Limits) -> Said:
    """A message; one that began a thread belongs to it. Pauses do not part a thread: it has no times."""
    profile, bot = child(message, "user_profile"), child(message, "bot_profile")
    ids = [string(message.get(key)) for key in ("user", "bot_id")]
    known = [name for each in ids for name in limits.names.people.get(each, ())]
    found: list[JsonValue] = [profile.get(key) for key in ("real_name", "display_name", "name")]
    found += [message.get("username"), bot.get("name")]
    time = string(message.get("ts"))
    thread = string(message.get("thread_ts")) or (time if time in threads else "")
    return Said(
        names_of((*known, *found, *ids), "?"),
        _readable(string(message.get("text")), limits),
        number(time),
        thread,
        has_media=any_of(message, ("files", "file")),
    )


def _readable(text: str, limits: Limits) -> str:
    """A text as people saw it: people and channels by name, links by what they are called."""

    def mentioned(found: re.Match[str]) -> str:
        mark, name, label = found.groups()
        known = limits.names.people.get(name, ())
        return f"{'' if mark == '#' and not label else '@' if mark != '#' else '#'}{label or (known or (name,))[0]}"

    text = _MENTION.sub(mentioned, text)
    return unescaped(_LINK.sub(lambda found: found[2] or found[1], text))


def with_people(limits: Limits, listing: bytes) -> Limits:
    """The limits, with the names of people from the text of ``users.json``."""
    return _with_names(limits, _people_in(listing, limits.record_bytes))


def _with_names(limits: Limits, people: Mapping[str, tuple[str, ...]]) -> Limits:
    return replace(limits, names=replace(limits.names, people=people)) if people else limits


@functools.lru_cache(maxsize=1)
def _people_in(listing: bytes, record_bytes: int) -> Mapping[str, tuple[str, ...]]:
    """The names of people by their ids, of those who can be read. All days of a workspace have the same listing."""
    limits = Limits(record_bytes)
    users = [user for value in Values(io.BytesIO(listing), limits) for user in _users_in(value, limits)]
    return {string(user.get("id")): _names(user) for user in users if string(user.get("id"))}


def _users_in(value: Value, limits: Limits) -> list[Record]:
    if value.kind != "value":
        return []
    try:
        return records([value.parse(limits)])
    except FormatError:
        return []


def with_people_beside(limits: Limits, path: Path) -> Limits:
    """The same, from the file that lies beside the folder of a channel whose day is at ``path``; as given without."""
    if _DAY.fullmatch(path.name) is None:
        return limits
    listing = path.parent.parent / PEOPLE
    try:
        found = listing.stat()
        if not stat.S_ISREG(found.st_mode):
            return limits
        return _with_names(limits, _people_at(listing, found.st_mtime_ns, found.st_size, limits.record_bytes))
    except OSError:
        return limits


@functools.lru_cache(maxsize=1)
def _people_at(listing: Path, changed: int, size: int, record_bytes: int) -> Mapping[str, tuple[str, ...]]:
    """The names in a file that was changed then and has so many bytes: it is read once, not for each day."""
    del changed, size
    with listing.open("rb") as file:
        return _people_in(file.read(_MOST_PEOPLE_BYTES), record_bytes)


def _names(user: Record) -> tuple[str, ...]:
    profile = child(user, "profile")
    values = [profile.get("real_name"), user.get("real_name"), profile.get("display_name"), user.get("name")]
    return names_of((*values, profile.get("email")), string(user.get("id")))


def _lists(head: Head) -> bool:
    """Whether these are the people or the channels of a workspace: they have an id, and say nothing."""
    start = beginning(head)[:4096]
    is_of_people = b'"team_id"' in start and b'"profile"' in start
    is_of_channels = b'"creator"' in start and b'"members"' in start
    return _ARRAY.match(start) is not None and (is_of_people or is_of_channels) and _TIMES.search(start) is None


def _refuse_list(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    del limits, resume
    size = stream.seek(0, io.SEEK_END)
    reason = (
        "Slack's list of people or channels: nobody says anything in it; their names are used in the days beside it"
    )
    yield Refused(reason, 0, 0, size, Resume(LISTS.name, 0, 1))


LISTS = Format("Slack's list", _lists, _refuse_list, may_grow=False)
FORMAT = format_of("Slack", "messages of Slack's export {user, text, ts}", _fits, _said_in)
