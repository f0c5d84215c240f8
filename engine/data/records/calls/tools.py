"""Tools that a conversation may call, calls to them and their results, in the forms of several APIs.

| from      | tools                                | call                             | result                       |
|-----------|--------------------------------------|----------------------------------|------------------------------|
| OpenAI    | {type, function: {name, parameters}} | tool_calls, function_call        | role tool or function        |
| Anthropic | {name, input_schema}                 | part tool_use {name, input}      | part tool_result {content}   |
| Bedrock   | {toolSpec: {name, inputSchema: {json}}} | part {toolUse: {name, input}} | part {toolResult}         |
| Gemini    | {functionDeclarations: [...]}        | part {functionCall: {name, args}}| part {functionResponse}      |
| ShareGPT  | a list, or one written as a string   | from function_call, value JSON   | from observation             |

Arguments keep their types. What is written as a JSON string is what it says; a string that is no JSON stays one.
"""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from engine.data.records.limits import FormatError
from engine.data.records.values import string
from engine.data.samples import ToolCall

_DEEPEST_ARGUMENTS = 64
"""Levels of what is written as a string."""
_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")
_ARGUMENTS = ("arguments", "args", "input", "parameters")


def tools_of(tools: JsonValue) -> list[JsonValue] | None:
    """Descriptions of tools, each as it was written; none where this is not a list of them."""
    found = opened(tools)
    if isinstance(found, dict):
        found = [found]
    return found if isinstance(found, list) and all(isinstance(each, dict) for each in found) else None


def in_the_form_of_openai(tools: list[JsonValue]) -> list[JsonValue]:
    """The same in the form in which chat templates read them."""
    return [tool for each in tools if isinstance(each, dict) for tool in _described(each)]


def _described(tool: Mapping[str, JsonValue]) -> list[JsonValue]:
    several = tool.get("functionDeclarations", tool.get("function_declarations"))
    if isinstance(several, list):
        return [described for each in several if isinstance(each, dict) for described in _described(each)]
    if isinstance(specified := tool.get("toolSpec"), dict):
        given = specified.get("inputSchema")
        return _described({**specified, "inputSchema": given.get("json") if isinstance(given, dict) else given})
    schema = next((key for key in _SCHEMAS if key in tool), None)
    if "function" in tool or "name" not in tool or (schema is None and "description" not in tool):
        return [{**tool}]
    named: dict[str, JsonValue] = {key: tool[key] for key in ("name", "description") if key in tool}
    if schema is not None:
        named["parameters"] = tool[schema]
    return [{"type": "function", "function": named}]


def calls_of(message: Mapping[str, JsonValue], number: int) -> tuple[ToolCall, ...]:
    """The calls beside the content of message ``number``.

    Raises:
        FormatError: they are not a list of calls.
    """
    written = message.get("tool_calls") or ([{"function": call}] if (call := message.get("function_call")) else [])
    calls = opened(written)
    if not isinstance(calls, list):
        raise FormatError(f"turn {number}: tool_calls must be an array")
    return tuple(call_of(call, number) for call in calls)


def call_of(call: JsonValue, number: int) -> ToolCall:
    """One call, in any of the forms.

    Raises:
        FormatError: it does not name a function.
    """
    function = call.get("function", call) if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict) or not isinstance(name, str):
        raise FormatError(f"turn {number}: a tool call needs a function with a name")
    arguments = next((function[key] for key in _ARGUMENTS if key in function), None)
    return ToolCall(name, opened(arguments), string(call.get("id")))


def calls_in(text: str) -> tuple[ToolCall, ...]:
    """The calls that a text is, as JSON; none where it is something else, or a call has no arguments."""
    found = opened(text)
    calls = found if isinstance(found, list) else [found]
    if not all(isinstance(call, dict) and any(key in call for key in _ARGUMENTS) for call in calls):
        return ()
    try:
        return tuple(call_of(call, 0) for call in calls)
    except FormatError:
        return ()


def taken_apart(content: list[JsonValue]) -> tuple[list[JsonValue], tuple[ToolCall, ...], list[tuple[str, JsonValue]]]:
    """Parts of content without calls and results; the calls; of each result the id of its call, and what it gave."""
    rest: list[JsonValue] = []
    calls: list[ToolCall] = []
    results: list[tuple[str, JsonValue]] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, dict) and kind == "tool_use":
            calls.append(ToolCall(string(part.get("name")), part.get("input"), string(part.get("id"))))
        elif isinstance(part, dict) and kind == "tool_result":
            results.append((string(part.get("tool_use_id")), part.get("content")))
        elif isinstance(part, dict) and isinstance(use := part.get("toolUse"), dict):
            calls.append(ToolCall(string(use.get("name")), use.get("input"), string(use.get("toolUseId"))))
        elif isinstance(part, dict) and isinstance(result := part.get("toolResult"), dict):
            results.append((string(result.get("toolUseId")), _opened_parts(result.get("content"))))
        else:
            rest.append(part)
    return rest, tuple(calls), results


def _opened_parts(content: JsonValue) -> JsonValue:
    """Parts of a result of Bedrock, of which some are JSON."""
    if not isinstance(content, list):
        return content
    return [
        {"text": json.dumps(part["json"], ensure_ascii=False)} if isinstance(part, dict) and "json" in part else part
        for part in content
    ]


def opened(value: JsonValue) -> JsonValue:
    """What a string of JSON says; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        parsed: JsonValue = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if _is_deeper(parsed, _DEEPEST_ARGUMENTS) else parsed


def _is_deeper(value: JsonValue, levels: int) -> bool:
    """Whether objects and arrays are nested deeper: a string hides its nesting from the limits of a record."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)
