"""LM Studio's conversations: each message has versions, of which one is selected, made of steps.

Source: ``*.conversation.json`` in LM Studio's folder of conversations.
"""

from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, records, string, texts
from engine.data.samples import Dialogue


def _fits(record: Record) -> bool:
    messages = records(record.get("messages"))
    return bool(messages) and all("versions" in message for message in messages)


def _parse(record: Record, limits: Limits) -> Dialogue:
    turns = [Turn("system", string(record.get("systemPrompt")))]
    for number, message in enumerate(records(record["messages"]), 1):
        versions, chosen = records(message["versions"]), message.get("currentlySelected")
        if not isinstance(chosen, int) or not 0 <= chosen < len(versions):
            raise FormatError(f"turn {number}: 'currentlySelected' names none of the versions")
        turns.append(_turn(versions[chosen], number))
    return dialogue_of(turns, limits)


def _turn(version: Record, number: int) -> Turn:
    blocks = records(version["steps"]) if "steps" in version else [version]
    said = (texts(block.get("content")) for block in blocks if child(block, "style").get("type") != "thinking")
    is_whole = not any(is_broken_off(block) for block in blocks)
    said_by = role_of(version.get("role"), number)
    return Turn(said_by, "\n".join(text for text in said if text), weight=1 if is_whole else 0)


SHAPE = RecordShape("LM Studio's messages {versions}", _fits, _parse, ("messages",))
