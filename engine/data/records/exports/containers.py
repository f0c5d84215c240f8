"""Objects that hold conversations instead of being one: an envelope around an array, or conversations by id.

Sources: BetterChatGPT (``{"chats": [...], "version"}``), Open WebUI (``{"chat": {...}}``), data sets with
``{"data": [...]}`` around their records, and ``{"id": [messages], ...}``.
"""

from collections.abc import Callable, Sequence
from functools import partial

from engine.data.records import messages
from engine.data.records.exports.values import Record, child, items
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.samples import Sample

_LISTS = ("chats", "data", "conversations", "threads", "sessions", "dialogs", "dialogues", "examples", "rows", "items")
Parse = Callable[[Record, Limits], Sequence[Sample]]
"""What parses a record inside an envelope."""


def shapes(parse: Parse) -> tuple[RecordShape, ...]:
    """The shapes, of which the records inside go to ``parse``."""
    return (
        RecordShape("{id: messages}", _is_by_id, _parse_by_id),
        RecordShape("{chats | data: [conversations]}", _is_list, partial(_parse_list, parse)),
        RecordShape("Open WebUI's {chat}", _is_chat, partial(_parse_chat, parse)),
    )


def _is_by_id(record: Record) -> bool:
    return bool(record) and all(messages.is_message_list(value) for value in record.values())


def _parse_by_id(record: Record, limits: Limits) -> Sequence[Sample]:
    return [messages.parse(value, limits) for value in record.values()]


def _key_of_list(record: Record) -> str:
    """The key of the array of conversations; empty where there is none."""
    for key in _LISTS:
        inner = items(record.get(key))
        if inner and isinstance(inner[0], dict) and not messages.is_message(inner[0]):
            return key
    return ""


def _is_list(record: Record) -> bool:
    return bool(_key_of_list(record))


def _parse_list(parse: Parse, record: Record, limits: Limits) -> Sequence[Sample]:
    key = _key_of_list(record)
    found: list[Sample] = []
    for number, each in enumerate(items(record[key]), 1):
        if not isinstance(each, dict):
            raise FormatError(f"'{key}' must hold objects; element {number} is something else")
        try:
            found += parse(each, limits)
        except FormatError as error:
            raise FormatError(f"'{key}', element {number}: {error}") from None
    return found


def _is_chat(record: Record) -> bool:
    return isinstance(record.get("chat"), dict)


def _parse_chat(parse: Parse, record: Record, limits: Limits) -> Sequence[Sample]:
    return parse(child(record, "chat"), limits)
