"""What clients may send of tools that a chat's answer may call, and whether it must."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, model_validator

from daemon.workers.server.api.fields import TOOL, Rules
from daemon.workers.server.api.request_body import RequestBody
from engine.inference.constraints.calls import Tool

MOST_TOOLS = 128
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,128}$")]


class FunctionBody(RequestBody):
    """A function that may be called."""

    rules: ClassVar[Rules] = TOOL

    name: ToolName
    description: str | None = None
    parameters: dict[str, JsonValue] | None = Field(None, description="The JSON schema of its arguments, an object.")

    @model_validator(mode="after")
    def _takes_an_object(self) -> "FunctionBody":
        if (self.parameters or {}).get("type", "object") != "object":
            raise ValueError("parameters: the type of a function's arguments must be object")
        return self


class ToolBody(RequestBody):
    """A tool that an answer may call."""

    type: Literal["function"]
    function: FunctionBody


class NamedFunction(RequestBody):
    """The name of a function."""

    name: str


class NamedTool(RequestBody):
    """The tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


Tools = Annotated[list[ToolBody], Field(max_length=MOST_TOOLS, fail_fast=True)]
ToolChoice = Literal["none", "auto", "required"] | NamedTool


def described(tools: Sequence[ToolBody]) -> list[JsonValue]:
    """Tools as prompts have them. ``strict`` is left out: it is no part of what is learned."""
    return [
        {"type": tool.type, "function": tool.function.model_dump(exclude_unset=True, exclude={"strict"})}
        for tool in tools
    ]


def callable_tools(tools: Sequence[ToolBody]) -> list[Tool]:
    """Tools as calls are held to them."""
    return [Tool(tool.function.name, tool.function.parameters or {}) for tool in tools]
