"""character.ai: histories of chats with a character, of its older and its newer pages.

Sources: the answers of character.ai, as its tools and extensions save them. Older: ``{"histories": [{"msgs": [{"src":
{"is_human"}, "text"}]}]}``, also one level deeper and beside the ``info`` of the character, and ``{"messages":
[{"src__is_human", "text"}]}``. Newer: ``{"turns": [{"author": {"is_human"}, "candidates": [{"raw_content"}],
"primary_candidate_id"}]}``, newest first. Answers that the person swiped away are left out.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import Row, in_order, placed
from engine.data.records.shape import Parsed, RecordShape
from engine.data.records.values import Record, child, is_record, items, records, string

_LISTS = ("msgs", "messages", "turns")


def is_message(value: JsonValue) -> bool:
    """Whether this is a message of such a chat."""
    return is_record(value) and (_is_old(value) or (is_record(value.get("author")) and "candidates" in value))


def _is_old(message: Record) -> bool:
    return "text" in message and ("src__is_human" in message or "is_human" in _source(message))


def _source(message: Record) -> Record:
    """Who speaks; some tools write it beside the text."""
    return child(message, "src") or message


def _talks(record: Record) -> list[list[JsonValue]]:
    """The messages of each chat."""
    listed = record.get("histories")
    if is_record(listed):
        listed = listed.get("histories")
    talks = [*items(listed)] if listed else [record]
    found = [each if isinstance(each, list) else _messages(each) for each in talks]
    return [talk for talk in found if talk and is_message(talk[0])]


def _messages(talk: JsonValue) -> list[JsonValue]:
    return next((items(talk[key]) for key in _LISTS if items(talk.get(key))), []) if is_record(talk) else []


def _fits(record: Record) -> bool:
    return bool(_talks(record))


def _parse(record: Record, limits: Limits) -> Sequence[Parsed]:
    found: list[Parsed] = []
    for number, talk in enumerate(_talks(record), 1):
        try:
            rows = [row_of(message, at) for at, message in enumerate(records(talk), 1)]
            if not child(record, "meta").get("next_token") and _is_newest_first(rows):
                rows.reverse()  # here, because the character speaks first: no question was cut off
            rows = in_order(rows)
            found.append(dialogue_of([turn for row in rows for turn in row.turns], limits))
        except FormatError as error:
            found.append(FormatError(f"history {number}: {error}"))
    return found


def _is_newest_first(rows: Sequence[Row]) -> bool:
    first, last = (rows[0].time, rows[-1].time) if rows else (None, None)
    return first is not None and last is not None and first > last


def row_of(message: Record, number: int) -> Row:
    """A message as a row.

    Raises:
        FormatError: it is a picture.
    """
    if message.get("image_rel_path"):
        raise FormatError(f"turn {number}: a picture: only text can be learned")
    if _is_old(message):
        is_human, text = message.get("src__is_human", _source(message).get("is_human")), string(message["text"])
    else:
        is_human, text = child(message, "author").get("is_human"), _chosen(message)
    if message.get("is_alternative") is True:
        return Row(())
    return placed(message, [Turn("user" if is_human is True else "assistant", text)])


def _chosen(turn: Record) -> str:
    """The text of the candidate that the person saw last."""
    candidates = records(turn.get("candidates"))
    primary = turn.get("primary_candidate_id")
    chosen = [each for each in candidates if each.get("candidate_id") == primary] or candidates[:1]
    return string(chosen[0].get("raw_content")) if chosen else ""


SHAPE = RecordShape("character.ai's histories {msgs | turns}", _fits, _parse, ("histories", *_LISTS))
