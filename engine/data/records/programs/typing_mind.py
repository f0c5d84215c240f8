"""Chats of TypingMind, where several models may answer one question side by side.

Source: "Export" of TypingMind (``{"data": {"chats": [{"chatID", "messages": [{"role", "content"}]}]}}``; answers side
by side are one message ``{"type": "tm_multi_responses", "responses": [{"model", "messages": [...]}]}``). It does not
say which of them the person liked. Branches that were left stand in ``threads`` of a message.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.records import messages
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, is_record, items, records, string
from engine.data.samples import Dialogue

_SIDE_BY_SIDE = "tm_multi_responses"


def _fits(record: Record) -> bool:
    return "chatID" in record and isinstance(record.get("messages"), list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    said = [each for message in items(record["messages"]) for each in _messages(message)]
    return messages.parse_openai({**record, "messages": said}, limits)


def _messages(message: JsonValue) -> Sequence[JsonValue]:
    """The message, or those of the only model that answered.

    Raises:
        FormatError: several models answered.
    """
    if not is_record(message) or message.get("type") != _SIDE_BY_SIDE:
        return [message]
    answers = [each for each in records(message.get("responses")) if records(each.get("messages"))]
    if len(answers) > 1:
        models = ", ".join(string(each.get("model")) or "a model" for each in answers)[:120]
        raise FormatError(
            f"TypingMind: {len(answers)} models answered side by side ({models}): it does not say which answer counts"
        )
    return [each for answer in answers for each in records(answer["messages"])]


SHAPE = RecordShape("TypingMind's chats {chatID, messages}", _fits, _parse, ("chatID",))
