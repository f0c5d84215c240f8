"""Calls that stand in the text of the turns, as Hermes, Qwen and their kin write them.

    system     ... <tools> descriptions as JSON </tools> ...
    assistant  <tool_call> {"name": ..., "arguments": ...} </tool_call>
    tool       <tool_response> ... </tool_response>

They become tools, calls and results, so that the chat template of whatever model learns them writes them in its own
way. Where any of them cannot be read, or words stand behind a call, the dialogue stays the text that it is.

Source: NousResearch's data set hermes-function-calling-v1, and texts made by Qwen's chat template.
"""

import ast
import json
import re
from collections.abc import Sequence

from pydantic import JsonValue

from engine.data.records.calls.tools import call_of, tools_of
from engine.data.records.limits import FormatError
from engine.data.records.turn import Turn
from engine.data.samples import ToolCall

MARKS = ("<tool_call>", "<tool_response>", "<tools>")
_PREAMBLE = re.compile(r"You are a function calling AI model\.|# Tools\s+You may call one or more functions")
"""How what such a system turn says of tools begins; instructions of the user's own stand before it."""
_LISTED = re.compile(r"<tools>\s*(?=[\[{])")


class _NoCallsError(ValueError):
    """A part of the dialogue is not in this form."""


def with_calls(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The turns with what is written in their texts as tools, calls and results; as they are where that is not so."""
    if not any("<tool_call>" in turn.content for turn in turns if turn.role == "assistant"):
        return turns
    has_tools = any(turn.tools for turn in turns)
    try:
        return [read for turn in turns for read in _read(turn, has_tools=has_tools)]
    except _NoCallsError:
        return turns


def _read(turn: Turn, *, has_tools: bool) -> list[Turn]:
    if turn.role == "system" and "<tools>" in turn.content:
        return [_introduced(turn, has_tools=has_tools)]
    if turn.role == "assistant" and "<tool_call>" in turn.content:
        return [_called(turn)]
    if turn.role in ("user", "tool") and "<tool_response>" in turn.content:
        return _results(turn)
    return [turn]


def _introduced(turn: Turn, *, has_tools: bool) -> Turn:
    preamble = _PREAMBLE.search(turn.content)
    listed = _LISTED.search(turn.content, preamble.end()) if preamble else None
    if preamble is None or listed is None:
        raise _NoCallsError
    written = turn.content[listed.end() :].partition("</tools>")[0].strip()
    tools = tools_of(written if written.startswith("[") else f"[{','.join(written.splitlines())}]")
    if tools is None:
        tools = tools_of(_literal(written))
    if not tools:
        raise _NoCallsError
    return turn._replace(content=turn.content[: preamble.start()].strip(), tools=None if has_tools else [*tools])


def _called(turn: Turn) -> Turn:
    said, *rest = turn.content.split("<tool_call>")
    calls = _closed(rest, "</tool_call>")
    return turn._replace(content=said.rstrip(), tool_calls=turn.tool_calls + tuple(_call(call) for call in calls))


def _closed(parts: Sequence[str], end: str) -> list[str]:
    """What stands in each part before its end."""
    closed = [part.partition(end) for part in parts]
    if any(not mark or behind.strip() for _, mark, behind in closed):
        raise _NoCallsError
    return [inner.strip() for inner, _, _ in closed]


def _call(written: str) -> ToolCall:
    try:
        return call_of(_literal(written), 0)
    except FormatError:
        raise _NoCallsError from None


def _results(turn: Turn) -> list[Turn]:
    said, *rest = turn.content.split("<tool_response>")
    if said.strip():
        raise _NoCallsError
    return [turn._replace(role="tool", content=result) for result in _closed(rest, "</tool_response>")]


def _literal(written: str) -> JsonValue:
    """JSON, or what Python writes for it; null where it is neither."""
    try:
        value: JsonValue = json.loads(written)
    except (ValueError, RecursionError):
        try:
            value = json.loads(json.dumps(ast.literal_eval(written)))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None
    return value
