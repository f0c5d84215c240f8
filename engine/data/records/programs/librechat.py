"""LibreChat's conversations: messages with ``isCreatedByUser``, each naming its parent, or holding its children.

Source: LibreChat's "Export conversation" as JSON, with branches or without, recursive or flat.
"""

from engine.data.records.content.endings import is_broken_off
from engine.data.records.content.pictures import check_has_nothing_attached
from engine.data.records.content.ratings import verdict_in
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.tree import branch
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import Row, placed
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, records, string, texts
from engine.data.samples import Dialogue

_SYSTEM = ("promptPrefix", "system", "instructions")
"""Keys of instructions among the options of a conversation."""


def _fits(record: Record) -> bool:
    messages = records(record.get("messages"))
    return bool(messages) and all("isCreatedByUser" in message for message in messages)


def _parse(record: Record, limits: Limits) -> Dialogue:
    nodes: dict[str, Record] = {}
    waiting = records(record["messages"])[::-1]
    while waiting:
        message = waiting.pop()
        name = string(message.get("messageId"))
        if not name or name in nodes:
            raise FormatError("a message without a 'messageId' of its own: the turns cannot be put in order")
        nodes[name] = message
        waiting += records(message.get("children"))[::-1]
    options = child(record, "options")
    opening = [Turn("system", text) for key in _SYSTEM if (text := string(options.get(key)))][:1]
    messages = enumerate(branch({**nodes}, None, parent="parentMessageId"), 1)
    return dialogue_of([*opening, *(_turn(message, number) for number, message in messages)], limits)


def is_row(record: Record) -> bool:
    """Whether this is a line of the export as CSV."""
    return string(record.get("iscreatedbyuser")).lower() in ("true", "false") and "text" in record


def row_of(record: Record, number: int) -> Row:
    """A line of the export as CSV."""
    del number
    is_asked = string(record["iscreatedbyuser"]).lower() == "true"
    turn = Turn("user" if is_asked else "assistant", string(record["text"]), weight=0 if is_broken_off(record) else 1)
    return placed({"id": record.get("messageid"), "parent_id": record.get("parentmessageid"), "_": None}, [turn])


def _turn(message: Record, number: int) -> Turn:
    check_has_nothing_attached({} if message.get("isCreatedByUser") is False else message, number)
    is_whole = not is_broken_off(message) and verdict_in(message) is not False
    text = string(message.get("text")) or texts(message.get("content"))
    if "isCreatedByUser" not in message:
        raise FormatError("a message without 'isCreatedByUser': it does not say who speaks")
    return Turn("user" if message["isCreatedByUser"] else "assistant", text, weight=1 if is_whole else 0)


SHAPE = RecordShape("LibreChat's messages {isCreatedByUser, text}", _fits, _parse, ("messages",))
