"""Continue's sessions: a history of messages, each with the pieces of files that were put before it.

Source: `continuedev/continue`, core/index.d.ts (``~/.continue/sessions/*.json``: ``{"sessionId", "history":
[{"message": {"role", "content"}, "contextItems": [{"content"}]}]}``). The model saw these pieces, so they are part of
what the person asked.
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import Limits
from engine.data.records.messages import turns_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, is_record, records, string
from engine.data.samples import Dialogue

_NAMES = {"toolCalls": "tool_calls", "toolCallId": "tool_call_id"}


def _fits(record: Record) -> bool:
    history = records(record.get("history"))
    return bool(history) and all(is_record(each.get("message")) and "contextItems" in each for each in history)


def _parse(record: Record, limits: Limits) -> Dialogue:
    return dialogue_of([turn for each in records(record["history"]) for turn in _turns(each)], limits)


def _turns(item: Record) -> list[Turn]:
    """The turns of an item.

    Raises:
        FormatError: there is a picture in it.
    """
    message = {_NAMES.get(key, key): value for key, value in child(item, "message").items()}
    if message.get("role") == "thinking":
        return []
    turns = turns_of([message])
    given = [string(each.get("content")) for each in records(item["contextItems"])]
    if turns and turns[0].role == "user":
        turns[0] = turns[0]._replace(content="\n\n".join([*filter(None, given), turns[0].content]))
    return turns


SHAPE = RecordShape("Continue's sessions {history: [{message, contextItems}]}", _fits, _parse, ("history",))
