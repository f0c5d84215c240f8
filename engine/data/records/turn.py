"""A message as a file has it."""

from typing import Literal, NamedTuple

from pydantic import JsonValue

from engine.data.samples import Role, ToolCall


class Turn(NamedTuple):
    """A message as a file has it: not yet cleaned, perhaps blank; the fields are those of `Message`."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    tool_call_id: str = ""
    weight: Literal[0, 1] = 1
    tools: JsonValue = None
