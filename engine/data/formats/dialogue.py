"""Turns of any shape put together into a conversation: cleaned, blank ones left out, checked."""

import json
from collections.abc import Iterable

from pydantic import JsonValue

from engine.data.conversation import Conversation, Message, Role
from engine.data.formats.items import FormatError, Limits
from engine.data.formats.text import clean

Turn = tuple[Role, str]
"""Who speaks and what, as a file has it: not yet cleaned, perhaps blank."""


def conversation_of(turns: Iterable[Turn], limits: Limits) -> Conversation:
    """A dialogue of these turns.

    Raises:
        FormatError: no assistant turn, or too many turns.
    """
    cleaned = ((role, clean(content)) for role, content in turns)
    messages = tuple(Message(role, content) for role, content in cleaned if content)
    if not any(message.role == "assistant" for message in messages):
        raise FormatError("no assistant turn with words in it: there is no answer to learn")
    if len(messages) > limits.turns:
        raise FormatError(f"{len(messages)} turns are more than the {limits.turns} that one conversation may have")
    return Conversation(messages=messages)


def system_turn(system: JsonValue, tools: JsonValue) -> list[Turn]:
    """The turn that opens a dialogue with instructions, the tools that may be called, or both; none without either.

    Raises:
        FormatError: the instructions are no text.
    """
    if system is not None and not isinstance(system, str):
        raise FormatError(f"'system' must be a string, not {kind_of(system)}")
    parts = [system] if system else []
    if tools and tools != "[]":
        parts.append(f"Tools:\n{tools if isinstance(tools, str) else compact(tools)}")
    return [("system", "\n\n".join(parts))] if parts else []


def compact(value: JsonValue) -> str:
    """JSON in one line, as it appears inside a turn."""
    return json.dumps(value, ensure_ascii=False)


def string_of(record: dict[str, JsonValue], *names: str) -> str:
    """The text under the first of ``names`` that is there; missing and null are empty.

    Raises:
        FormatError: it is no text.
    """
    for name in names:
        value = record.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            raise FormatError(f"'{name}' must be a string, not {kind_of(value)}")
    return ""


def kind_of(value: JsonValue) -> str:
    """What a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"
