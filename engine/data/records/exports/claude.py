"""Claude's ``conversations.json``: ``chat_messages`` with a sender, text and blocks of content.

Source: the data export of claude.ai (Settings, Privacy, Export data). Blocks of other types than text are thoughts
and tools at work.
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.values import Record, records, string, texts
from engine.data.records.limits import Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.samples import Dialogue


def _fits(record: Record) -> bool:
    return isinstance(record.get("chat_messages"), list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    messages = records(record["chat_messages"])
    return dialogue_of([_turn(message, number) for number, message in enumerate(messages, 1)], limits)


def _turn(message: Record, number: int) -> Turn:
    return Turn(role_of(message.get("sender"), number), texts(message.get("content")) or string(message.get("text")))


SHAPE = RecordShape("Claude's export {chat_messages}", _fits, _parse)
