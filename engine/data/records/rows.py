"""Rows of tables of messages: each row is a turn, or an exchange, and may say of which conversation it is, and when.

| row                                             | is                                                          |
|-------------------------------------------------|-------------------------------------------------------------|
| a message (`engine.data.records.messages`)      | its turn                                                    |
| {prompt, response, conversation id}             | a question and its answer (`llm logs --json`)               |
| {is_user, mes}, {user_name, character_name}     | a line of SillyTavern's chats, and the header of one        |
| {sessionId, type, message}                      | a line of a session of Claude Code; other types are its own |
"""

from pydantic import JsonValue

from engine.data.records import messages
from engine.data.records.dialogue import Turn, system_turn
from engine.data.records.exports.values import Record, child, is_record, records, string
from engine.data.records.order import Row, placed
from engine.data.samples import ToolCall

_CONVERSATION = (
    "message_tree_id",
    *(
        f"{of}{end}"
        for of in ("conversation", "session", "thread", "chat", "dialog", "dialogue")
        for end in ("_id", "Id", "ID", "_uuid", "")
    ),
)
"""Where rows say of which conversation they are."""


def is_row(value: JsonValue) -> bool:
    """Whether this is a row of such a table."""
    return is_record(value) and (
        messages.is_message(value)
        or _is_exchange(value)
        or _is_silly_line(value)
        or _is_silly_header(value)
        or _is_session_line(value)
    )


def row_of(record: Record, number: int) -> Row:
    """A row; ``number`` is that of its first turn in the conversation, for messages.

    Raises:
        FormatError: it is a row, but its speaker is unknown, or it holds something other than text.
    """
    if _is_session_line(record):
        return _session_row(record, number)
    if _is_silly_header(record):
        return Row((), begins=True)
    if _is_silly_line(record):
        is_hidden = bool(record.get("is_system"))
        turn = Turn("user" if record["is_user"] else "assistant", string(record["mes"]))
        return Row(() if is_hidden else (turn,))
    if messages.is_message(record):
        return placed(record, [messages.turn_of(record, number)])
    asked, answered = string(record["prompt"]), string(record["response"])
    turns = [*system_turn(record.get("system"), None)] if number == 1 else []
    return placed(record, [*turns, Turn("user", asked), Turn("assistant", answered)])


def conversation_of(record: Record) -> str:
    """What the conversation of a row is called, by the key and the id; empty where it does not say."""
    for key in _CONVERSATION:
        value = record.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return f"{key} {value}"
    return ""


def _is_exchange(record: Record) -> bool:
    said = isinstance(record.get("prompt"), str) and isinstance(record.get("response"), str)
    return said and bool(conversation_of(record))


def _is_silly_header(record: Record) -> bool:
    return "user_name" in record and "character_name" in record and "mes" not in record


def _is_silly_line(record: Record) -> bool:
    return "is_user" in record and isinstance(record.get("mes"), str)


def _is_session_line(record: Record) -> bool:
    return "type" in record and (("sessionId" in record and "uuid" in record) or "leafUuid" in record)


def _session_row(record: Record, number: int) -> Row:
    """A line of Claude Code: thoughts, side chains and what the program notes for itself are left out."""
    message = child(record, "message")
    is_own = record["type"] not in ("user", "assistant") or record.get("isSidechain") or record.get("isMeta")
    if is_own or not message:
        return Row(())
    parts = records(message.get("content"))
    results = [part for part in parts if part.get("type") == "tool_result"]
    if results:
        return Row(tuple(_result(part, number) for part in results))
    calls = tuple(
        ToolCall(string(part.get("name")), part.get("input"), string(part.get("id")))
        for part in parts
        if part.get("type") == "tool_use"
    )
    content = message.get("content")
    if isinstance(content, list):
        own = ("thinking", "redacted_thinking", "tool_use")
        content = [part for part in content if not (is_record(part) and part.get("type") in own)]
    turn = messages.turn_of({"role": message.get("role"), "content": content}, number)
    return Row((turn._replace(tool_calls=calls),))


def _result(part: Record, number: int) -> Turn:
    content = part.get("content")
    said = messages.turn_of({"role": "tool", "content": content}, number)
    return said._replace(tool_call_id=string(part.get("tool_use_id")))
