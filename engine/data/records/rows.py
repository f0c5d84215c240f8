"""Rows of tables of messages: each row is a turn, or an exchange, and may say of which conversation it is, and when.

| row                                             | is                                              |
|-------------------------------------------------|-------------------------------------------------|
| a message (`engine.data.records.messages`)      | its turn                                        |
| {prompt, response, conversation id}             | a question and its answer (`llm logs --json`)   |
| a line of SillyTavern, Claude Code, Codex       | a turn, a header, or the program's own          |
| a message of Botpress, an event of Rasa         | a turn, or the bot's own                        |
| a turn of Dialogflow                            | what was asked, and answered                    |
| a message of character.ai                       | a turn                                          |
| {session_id, message} of LangChain's histories  | its turn                                        |
| a request or a result of a batch                | what was asked, or answered                     |
"""

from collections.abc import Callable, Sequence

from pydantic import JsonValue

from engine.data.records import messages
from engine.data.records.apis import batches
from engine.data.records.content import langchain
from engine.data.records.desks import botpress, dialogflow, rasa
from engine.data.records.dialogue import Turn, system_turn
from engine.data.records.exports import character_ai
from engine.data.records.limits import FormatError
from engine.data.records.names.conversations import name_of, names_conversation, person_column
from engine.data.records.order import Row, placed
from engine.data.records.programs import librechat
from engine.data.records.sessions import claude_code, codex, silly_tavern
from engine.data.records.values import Record, is_record, string


def _message_row(record: Record, number: int) -> Row:
    return placed(record, messages.turns_in(record, number))


def _is_exchange(record: Record) -> bool:
    said = isinstance(record.get("prompt"), str) and isinstance(record.get("response"), str)
    return said and names_conversation(record)


def _exchange_row(record: Record, number: int) -> Row:
    del number
    turns = system_turn(record.get("system"), None)
    asked, answered = string(record["prompt"]), string(record["response"])
    return placed(record, [*turns, Turn("user", asked), Turn("assistant", answered)])


def _is_stored(record: Record) -> bool:
    """Whether this is a row of LangChain's ``SQLChatMessageHistory`` and its kin."""
    return "session_id" in record and is_record(message := record.get("message")) and langchain.is_dump(message)


def _stored_row(record: Record, number: int) -> Row:
    return placed(record, messages.turns_in(record["message"], number))


_KINDS: tuple[tuple[Callable[[Record], bool], Callable[[Record, int], Row]], ...] = (
    (claude_code.is_line, claude_code.row_of),
    (codex.is_line, codex.row_of),
    (silly_tavern.is_line, silly_tavern.row_of),
    (librechat.is_row, librechat.row_of),
    (_is_stored, _stored_row),
    (messages.is_message, _message_row),
    (_is_exchange, _exchange_row),
    (botpress.is_message, botpress.row_of),
    (rasa.is_event, rasa.row_of),
    (dialogflow.is_turn, dialogflow.row_of),
    (character_ai.is_message, character_ai.row_of),
    (batches.is_line, batches.row_of),
)
"""In the order in which they are asked whether a row is theirs."""


_KEYS = frozenset(
    (
        *("type", "leafUuid", "user_name", "is_user", "iscreatedbyuser", "role", "from", "sender", "speaker", "author"),
        *("record_type", "instructions"),
        *("prompt", "direction", "event", "session_id", "is_human", "src__is_human", "src", "candidates"),
        *(*dialogflow.KEYS, *batches.IDS),
    )
)
"""A row has at least one of these."""


def is_row(value: JsonValue) -> bool:
    """Whether this is a row of such a table."""
    return is_record(value) and not _KEYS.isdisjoint(value) and any(fits(value) for fits, _ in _KINDS)


def row_of(record: Record, number: int) -> Row:
    """A row; ``number`` is that of its first turn in the conversation, for messages.

    Raises:
        FormatError: it is none, its speaker is unknown, or it holds something other than text.
    """
    for fits, row in _KINDS:
        if fits(record):
            return row(record, number)
    raise FormatError(f"turn {number}: expected a message, found an object with {', '.join(sorted(record))[:120]}")


def conversation_of(record: Record) -> str:
    """What the conversation of a row is called, by the key and the id; empty where it does not say."""
    if silly_tavern.is_header(record) or codex.is_line(record):  # these name people and calls, not the conversation
        return ""
    if name := name_of(record):
        return name
    if rasa.is_event(record):
        return f"sender_id {record['sender_id']}"
    if dialogflow.is_turn(record) and (session := dialogflow.session_of(record)):
        return f"session {session}"
    return batches.id_of(record)


def check_is_asked(conversation: str, said: Sequence[Row]) -> None:
    """A conversation that rows name has a question.

    Raises:
        FormatError: nobody asks in it, so its question is missing, or the rows name their speakers.
    """
    if not conversation or any(turn.role == "user" for row in said for turn in row.turns):
        return
    if key := person_column(conversation):
        raise FormatError(f"answers without a question: '{key}' names who speaks; give each row a 'conversation_id'")
    if any(row.turns for row in said):
        raise FormatError(f"answers without a question: nobody asks in '{conversation[:80]}'")
