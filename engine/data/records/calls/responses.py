"""Items of OpenAI's Responses in the form of messages.

| item                                            | becomes                                          |
|-------------------------------------------------|--------------------------------------------------|
| {type: message, role, content}                  | itself                                           |
| {type: function_call, call_id, name, arguments} | a call of the assistant's turn before it, if any |
| {type: custom_tool_call, call_id, name, input}  | the same, with the text as the argument `input`  |
| {type: local_shell_call, call_id, action}       | the same, of the tool `local_shell`              |
| {type: function_call_output, call_id, output}   | a turn of the tool, as custom_tool_call_output   |
| {type: reasoning}, calls of the server's tools  | nothing                                          |

Source: the API reference of OpenAI's Responses, whose input and output are lists of such items.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.records.values import Record, is_record, items, string

_CALL, _CUSTOM, _SHELL = "function_call", "custom_tool_call", "local_shell_call"
_CALLS = (_CALL, _CUSTOM, _SHELL)
_RESULTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")
_OWN = ("reasoning", "web_search_call", "file_search_call", "code_interpreter_call")
"""What OpenAI's server keeps for itself."""


def is_item(value: JsonValue) -> bool:
    """Whether this is an item that is no message."""
    return is_record(value) and "role" not in value and value.get("type") in (*_CALLS, *_RESULTS, *_OWN)


def in_messages(listed: Sequence[JsonValue]) -> list[JsonValue]:
    """The list with its items as messages; as it is where all of them are messages."""
    if not any(map(is_item, listed)):
        return [*listed]
    found: list[JsonValue] = []
    for each in listed:
        if not is_record(each) or not is_item(each):
            found.append(each)
        elif each["type"] in _RESULTS:
            found.append({"role": "tool", "tool_call_id": each.get("call_id"), "content": each.get("output")})
        elif each["type"] in _CALLS:
            _add_call(found, each)
    return found


def _add_call(messages: list[JsonValue], item: Record) -> None:
    call: Record = {"id": item.get("call_id"), "function": _function(item)}
    last = messages[-1] if messages else None
    if is_record(last) and string(last.get("role")) == "assistant":
        messages[-1] = {**last, "tool_calls": [*items(last.get("tool_calls")), call]}
    else:
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})


def _function(item: Record) -> Record:
    if item["type"] == _CUSTOM:
        return {"name": item.get("name"), "arguments": {"input": item.get("input")}}
    if item["type"] == _SHELL:
        return {"name": "local_shell", "arguments": item.get("action")}
    return {"name": item.get("name"), "arguments": item.get("arguments")}
