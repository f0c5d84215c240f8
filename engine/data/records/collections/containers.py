"""Objects that hold conversations instead of being one: envelopes around arrays, and conversations by id.

Sources: BetterChatGPT (``{"chats": [...], "version"}``), data sets with ``{"data": [...]}`` around their records, the
rows of Hugging Face's dataset server (``{"rows": [{"row_idx", "row": {...}}]}``), lists of an API
(``{"object": "list", "data": [messages]}``), and ``{"id": [messages], ...}``.
"""

from collections.abc import Callable, Sequence
from functools import partial

from pydantic import JsonValue

from engine.data.records import messages
from engine.data.records.collections.conversations import conversations_in
from engine.data.records.dialogue import system_turn
from engine.data.records.limits import FormatError, Limits
from engine.data.records.names.conversations import person_column
from engine.data.records.rows import conversation_of, is_row
from engine.data.records.shape import Parsed, RecordShape
from engine.data.records.values import Record, child, is_record, items, records
from engine.data.samples import Text

_TABLES = ("data", "examples", "rows", "items", "train", "validation", "test", "samples", "records", "results")
"""Keys of arrays of records of any kind, also of plain texts."""
_TALKS = (
    *("chats", "conversations", "threads", "sessions", "dialogs", "dialogues", "requests", "entries", "tickets"),
    *("qa_pairs", "faq", "faqs", "pairs", "turns", "dialog", "dialogue", "history", "chat_history"),
    "chat_session_messages",
)
"""Keys of arrays of conversations, in which a text was said by somebody."""
LISTS = (*_TABLES, *_TALKS)
_MESSAGES = ("messages", "conversations", "conversation")
"""Keys of arrays of messages."""
_SINGLES = (
    *("chat", "conversation", "thread", "session", "ticket", "row", "record", "data", "result", "payload", "item"),
    *("values", "state", "chat-next-web-store"),
)
"""Keys of an object that is the conversation."""
_NO_IDS = frozenset(("prompt", "completion", "response", "answer", "chosen", "rejected", "messages", "input", "output"))
"""Keys of parts of one record."""
Parse = Callable[[Record, Limits], Sequence[Parsed]]
"""What parses a record inside an envelope."""


def shapes(parse: Parse) -> tuple[RecordShape, ...]:
    """The shapes, of which the records inside go to ``parse``."""
    return (
        RecordShape("{id: messages}", _is_by_id, partial(_parse_by_id, parse)),
        RecordShape("{chats | data: [conversations]}", _is_list, partial(_parse_list, parse), LISTS),
        RecordShape("{chat | conversation: {...}}", _is_single, partial(_parse_single, parse), _SINGLES),
    )


def _is_several(record: Record) -> bool:
    """Messages that name more than one conversation, or, under ``messages``, that are rows of another kind."""
    said = items(record.get(key := _listing(record)))
    is_other = len(_names(said)) > 1 or (key == "messages" and not messages.is_message_list(said))
    return bool(said) and is_other and holds_rows(said)


def _listing(record: Record) -> str:
    """The key of the list that may hold messages."""
    return next((key for key in _MESSAGES if isinstance(record.get(key), list)), "")


def holds_rows(value: Sequence[JsonValue]) -> bool:
    """Whether these are all rows of messages."""
    return all(map(is_row, value))


def _names(value: Sequence[JsonValue]) -> set[str]:
    """The conversations that messages name; what names only a person parts none."""
    found = {conversation_of(each) for each in value if is_record(each)}
    return {name for name in found if name and not person_column(name)}


def _parse_several(record: Record, limits: Limits) -> Sequence[Parsed]:
    return conversations_in(records(record[_listing(record)]), limits)


SEVERAL = RecordShape("{messages} of several conversations", _is_several, _parse_several, _MESSAGES)


def parse_messages(value: list[JsonValue], limits: Limits) -> Sequence[Parsed]:
    """An array of messages: of one conversation, or of several where they name them, with answers that people ranked.

    Raises:
        FormatError: it is one conversation, and cannot be learned.
    """
    is_ranked = any(is_record(each) and each.get("rank") is not None for each in value)
    if (is_ranked or len(_names(value)) > 1) and holds_rows(value):
        return conversations_in(records(value), limits)
    return [messages.parse(value, limits)]


def _said_by_id(value: JsonValue) -> JsonValue:
    """The messages of one conversation, which may be in an object."""
    return value.get("messages") if is_record(value) else value


def _is_by_id(record: Record) -> bool:
    is_of_lists = bool(record) and all(messages.is_message_list(_said_by_id(value)) for value in record.values())
    return is_of_lists and _NO_IDS.isdisjoint(key.lower() for key in record)


def _parse_by_id(parse: Parse, record: Record, limits: Limits) -> Sequence[Parsed]:
    found: list[Parsed] = []
    for key, value in record.items():
        try:
            found += parse(value, limits) if is_record(value) else parse_messages(items(value), limits)
        except FormatError as error:
            found.append(FormatError(f"'{key}': {error}"))
    return found


def _lists(record: Record) -> list[str]:
    """The keys of arrays of objects."""
    return [key for key in LISTS if any(map(is_record, items(record.get(key))))]


def _is_list(record: Record) -> bool:
    return bool(_lists(record))


def _parse_list(parse: Parse, record: Record, limits: Limits) -> Sequence[Parsed]:
    """Every element of every such array. One that is wrong costs itself."""
    found: list[Parsed] = []
    for key in _lists(record):
        value = [_row(each) for each in items(record[key])]
        if record.get("object") == "list" and _is_newest_first(value):
            value = _oldest_first(value)
        if holds_rows(value):
            opening = system_turn(record.get("system", record.get("system_prompt")), record.get("tools"))
            found += conversations_in(records(value), limits, opening)
            continue
        for number, each in enumerate(value, 1):
            found += _element(parse, each, f"'{key}', element {number}", limits, is_said=key in _TALKS)
    return found


def _is_newest_first(value: Sequence[JsonValue]) -> bool:
    """Whether a list of OpenAI's API is in its usual order: messages of one second would not tell by their times."""
    times = [each.get("created_at") for each in value if is_record(each)]
    first, last = times[0], times[-1]
    return isinstance(first, int) and isinstance(last, int) and first >= last


def _oldest_first(value: list[JsonValue]) -> list[JsonValue]:
    """The list turned round; answers whose question is on another page are context only."""
    said = value[::-1]
    asked = next((at for at, each in enumerate(said) if not is_record(each) or each.get("role") != "assistant"), 0)
    return [*({**each, "weight": 0} for each in records(said[:asked])), *said[asked:]]


def _row(element: JsonValue) -> JsonValue:
    """A row of the dataset server without its number around it."""
    inner = element.get("row") if is_record(element) and "row_idx" in element else None
    return inner if is_record(inner) else element


def _element(parse: Parse, element: JsonValue, place: str, limits: Limits, *, is_said: bool) -> Sequence[Parsed]:
    if not is_record(element):
        return [FormatError(f"{place}: not an object")]
    try:
        found = parse(element, limits)
        if is_said and any(isinstance(each, Text) for each in found):
            return [
                FormatError(f"{place}: a text that somebody said, but it does not say who: give 'role' and 'content'")
            ]
        return found
    except FormatError as error:
        return [FormatError(f"{place}: {error}")]


def _single(record: Record) -> str:
    """The key of the object that is the conversation; empty where there is none."""
    return next((key for key in _SINGLES if isinstance(record.get(key), dict)), "")


def _is_single(record: Record) -> bool:
    return bool(_single(record))


def _parse_single(parse: Parse, record: Record, limits: Limits) -> Sequence[Parsed]:
    return parse(child(record, _single(record)), limits)
