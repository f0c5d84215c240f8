"""LobeChat: all messages in one list, each naming its session and its topic; the sessions have the instructions.

Source: "Export" of LobeChat (``{"exportType", "state": {"sessions", "topics", "messages"}}``, since version 1.50
``{"mode": "pglite", "data": {...}}``).
"""

from collections.abc import Sequence

from engine.data.records.collections.conversations import samples_of
from engine.data.records.dialogue import Turn
from engine.data.records.limits import FormatError, Limits
from engine.data.records.messages import turn_of
from engine.data.records.order import Row, placed
from engine.data.records.shape import Parsed, RecordShape
from engine.data.records.values import Record, child, records, string


def _stored(record: Record) -> Record:
    """What holds the messages; empty where this is not such an export."""
    key = "state" if "exportType" in record else "data" if "mode" in record else ""
    return child(record, key)


def _fits(record: Record) -> bool:
    return isinstance(_stored(record).get("messages"), list)


def _parse(record: Record, limits: Limits) -> Sequence[Parsed]:
    stored = _stored(record)
    talks: dict[tuple[str, str], list[Record]] = {}
    for message in records(stored["messages"]):
        talk = string(message.get("sessionId")), string(message.get("topicId"))
        talks.setdefault(talk, []).append(message)
    instructions = {string(each.get("id")): _instructions(each) for each in records(stored.get("sessions"))}
    return [
        parsed
        for (session, _), messages in talks.items()
        for parsed in _conversation(messages, instructions.get(session, []), limits)
    ]


def _instructions(session: Record) -> list[Turn]:
    return [Turn("system", string(child(session, "config").get("systemRole")))]


def _conversation(messages: Sequence[Record], opening: Sequence[Turn], limits: Limits) -> Sequence[Parsed]:
    try:
        return samples_of([_row(message, number) for number, message in enumerate(messages, 1)], limits, opening)
    except FormatError as error:
        return [error]


def _row(message: Record, number: int) -> Row:
    turn = turn_of(message, number)
    return placed(message, [turn._replace(weight=0) if message.get("error") else turn])


SHAPE = RecordShape("LobeChat's exports {state: {sessions, messages}}", _fits, _parse, ("exportType", "mode"))
