"""Claude's ``conversations.json``: ``chat_messages`` with a sender, text and blocks of content.

Source: the data export of claude.ai (Settings, Privacy, Export data). Blocks of other types than text are thoughts
and tools at work.
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import in_order, placed
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, records, string, texts
from engine.data.samples import Dialogue


def _fits(record: Record) -> bool:
    return isinstance(record.get("chat_messages"), list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    messages = enumerate(records(record["chat_messages"]), 1)
    said = in_order([placed(message, [_turn(message, number)]) for number, message in messages])
    return dialogue_of([turn for row in said for turn in row.turns], limits)


def _turn(message: Record, number: int) -> Turn:
    """What somebody wrote, with the text of what was attached, which the model saw too.

    Raises:
        FormatError: a file is attached whose text is not there.
    """
    attached = {string(each.get("file_name")): string(each.get("extracted_content")) for each in _attachments(message)}
    unread = [name for each in records(message.get("files")) if not attached.get(name := string(each.get("file_name")))]
    if unread:
        raise FormatError(f"turn {number}: file {unread[0][:80]!r} is attached: only text can be learned")
    text = texts(message.get("content")) or string(message.get("text"))
    return Turn(role_of(message.get("sender"), number), "\n\n".join([*filter(None, attached.values()), text]))


def _attachments(message: Record) -> list[Record]:
    return records(message.get("attachments"))


SHAPE = RecordShape("Claude's export {chat_messages}", _fits, _parse, ("chat_messages",))
