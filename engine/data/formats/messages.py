"""Lists of messages, as OpenAI (``role``, ``content``) and ShareGPT (``from``, ``value``) write them.

OpenAI content is a string or a list of ``{"type": "text", "text"}`` parts. A call to a tool is an assistant turn that
says ``{"name", "arguments"}``, one line a call.
"""

import contextlib
import json

from pydantic import JsonValue

from engine.data.conversation import Conversation
from engine.data.formats.dialogue import Turn, compact, conversation_of, kind_of, system_turn
from engine.data.formats.items import FormatError, Limits
from engine.data.formats.roles import role_of


def is_message(value: JsonValue) -> bool:
    """Whether this is one message by itself."""
    if not isinstance(value, dict):
        return False
    return ("role" in value and ("content" in value or "tool_calls" in value)) or ("from" in value and "value" in value)


def is_message_list(value: JsonValue) -> bool:
    """Whether this is a bare array of messages."""
    return isinstance(value, list) and bool(value) and is_message(value[0])


def parse(messages: JsonValue, limits: Limits, system: JsonValue = None, tools: JsonValue = None) -> Conversation:
    """A conversation from a list of messages, with instructions and tools from beside it.

    Raises:
        FormatError: it is no list of messages, or no dialogue.
    """
    return conversation_of([*system_turn(system, tools), *turns_of(messages)], limits)


def parse_openai(record: dict[str, JsonValue], limits: Limits) -> Conversation:
    """``{"messages": [...], "tools"?}``."""
    return parse(record["messages"], limits, record.get("system"), record.get("tools") or record.get("functions"))


def parse_sharegpt(record: dict[str, JsonValue], limits: Limits) -> Conversation:
    """``{"conversations": [...], "system"?, "tools"?}``; ``conversation`` does as well."""
    turns = record["conversations"] if "conversations" in record else record["conversation"]
    return parse(turns, limits, record.get("system"), record.get("tools"))


def turns_of(messages: JsonValue) -> list[Turn]:
    """The turns of a list of messages.

    Raises:
        FormatError: something in it is no message.
    """
    if not isinstance(messages, list):
        raise FormatError(f"messages must be an array, not {kind_of(messages)}")
    return [turn_of(message, number) for number, message in enumerate(messages, 1)]


def turn_of(message: JsonValue, number: int) -> Turn:
    """One message as a turn; ``number`` counts from 1.

    Raises:
        FormatError: it is no message, its role is unknown, or it holds what is no text.
    """
    if not isinstance(message, dict) or not is_message(message):
        seen = f"an object with {_keys(message)}" if isinstance(message, dict) else kind_of(message)
        raise FormatError(f"turn {number}: expected a message with role and content (or from and value), found {seen}")
    if "role" not in message:
        return role_of(message["from"], number), _content(message["value"], number)
    said = [_content(message.get("content"), number), *_calls(message, number)]
    return role_of(message["role"], number), "\n".join(part for part in said if part)


def _content(content: JsonValue, number: int) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise FormatError(f"turn {number}: content must be a string or a list of parts, not {kind_of(content)}")
    return "\n".join(_part(part, number) for part in content)


def _part(part: JsonValue, number: int) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and isinstance(text := part.get("text"), str):
        return text
    kind = part.get("type") if isinstance(part, dict) else kind_of(part)
    raise FormatError(f"turn {number}: a part of type {kind!r}: only text can be learned")


def _calls(message: dict[str, JsonValue], number: int) -> list[str]:
    calls = message.get("tool_calls") or ([{"function": call}] if (call := message.get("function_call")) else [])
    if not isinstance(calls, list):
        raise FormatError(f"turn {number}: tool_calls must be an array, not {kind_of(calls)}")
    return [_call(call, number) for call in calls]


def _call(call: JsonValue, number: int) -> str:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise FormatError(f"turn {number}: a tool call needs a function with a name")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        # Arguments that are no JSON stay the string they are: models write such, and the call was made with them.
        with contextlib.suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
    return compact({"name": function["name"], "arguments": arguments})


def _keys(record: dict[str, JsonValue]) -> str:
    return ", ".join(sorted(record)[:8])[:120] or "nothing in it"
