"""What clients may send to ``/v1/messages``."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from daemon.workers.server.api.anthropic.fields import MESSAGES, OUTPUT_CONFIG, PART, TOOL
from daemon.workers.server.api.chat_schemas import named_parts
from daemon.workers.server.api.fields import Rules
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.schemas import Finite, SamplingBody
from daemon.workers.server.api.structure_schemas import Schema
from daemon.workers.server.api.tool_schemas import MOST_TOOLS, ToolName

_READ = frozenset({"text", "tool_use", "tool_result", "thinking", "redacted_thinking"})


class TextBlock(RequestBody):
    """A text."""

    rules: ClassVar[Rules] = PART

    type: Literal["text"]
    text: str


def _text_only(given: JsonValue, kinds: frozenset[str]) -> JsonValue:
    """Refuse blocks of other kinds by their name.

    Raises:
        ValueError: one is there.
    """
    for block in given if isinstance(given, list) else ():
        kind = block.get("type") if isinstance(block, dict) else None
        if isinstance(kind, str) and kind not in kinds:
            raise ValueError(f"a block of type {kind[:40]!r}: this model reads text only")
    return given


class ContentBlock(RequestBody):
    """A block of a message: a text, a call, or the result of one. Earlier thinking is not read."""

    rules: ClassVar[Rules] = PART

    type: Literal["text", "tool_use", "tool_result", "thinking", "redacted_thinking"]
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, JsonValue] | None = None
    tool_use_id: str | None = None
    content: str | Annotated[list[TextBlock], Field(fail_fast=True)] | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if isinstance(self.content, list):
            yield from named_parts("content", self.content)

    @field_validator("content", mode="before")
    @classmethod
    def _result_is_text(cls, given: JsonValue) -> JsonValue:
        return _text_only(given, frozenset({"text"}))

    @model_validator(mode="before")
    @classmethod
    def _thinking_is_not_read(cls, given: JsonValue) -> JsonValue:
        kind = given.get("type") if isinstance(given, dict) else None
        return {"type": kind} if kind in {"thinking", "redacted_thinking"} else given

    @model_validator(mode="after")
    def _is_whole(self) -> "ContentBlock":
        needed: dict[str, dict[str, object]] = {
            "text": {"text": self.text},
            "tool_use": {"id": self.id, "name": self.name, "input": self.input},
            "tool_result": {"tool_use_id": self.tool_use_id},
        }
        for name, value in needed.get(self.type, {}).items():
            if value is None:
                raise ValueError(f"{name} is missing")
        return self


class MessageParam(RequestBody):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str | Annotated[list[ContentBlock], Field(fail_fast=True)]

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if isinstance(self.content, list):
            yield from named_parts("content", self.content)

    @field_validator("content", mode="before")
    @classmethod
    def _is_text(cls, given: JsonValue) -> JsonValue:
        return _text_only(given, _READ)


class ToolParam(RequestBody):
    """A tool that an answer may call."""

    rules: ClassVar[Rules] = TOOL

    type: Literal["custom"] | None = None
    name: ToolName
    description: str | None = None
    input_schema: dict[str, JsonValue] = Field(description="The JSON schema of its arguments, an object.")


class ToolChoiceParam(RequestBody):
    """Whether tools are called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _names_a_tool(self) -> "ToolChoiceParam":
        if self.type == "tool" and self.name is None:
            raise ValueError("name is missing")
        return self


class OutputFormat(RequestBody):
    """JSON of a schema."""

    type: Literal["json_schema"]
    schema_: Schema = Field(alias="schema")


class OutputConfig(RequestBody):
    """The field ``output_config``."""

    rules: ClassVar[Rules] = OUTPUT_CONFIG

    format: OutputFormat | None = None


class CountBody(SamplingBody):
    """The body of ``/v1/messages/count_tokens``."""

    rules: ClassVar[Rules] = MESSAGES

    model: str | None = Field(None, description="The model, or one of its versions: thor@000012, thor@previous.")
    messages: Annotated[list[MessageParam], Field(min_length=1, max_length=10_000, fail_fast=True)]
    system: str | Annotated[list[TextBlock], Field(fail_fast=True)] | None = None
    tools: Annotated[list[ToolParam], Field(max_length=MOST_TOOLS, fail_fast=True)] | None = None
    tool_choice: ToolChoiceParam | None = None
    output_config: OutputConfig | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        yield from named_parts("messages", self.messages)
        yield from named_parts("tools", self.tools or ())
        if isinstance(self.system, list):
            yield from named_parts("system", self.system)
        for name, part in (("tool_choice", self.tool_choice), ("output_config", self.output_config)):
            if part is not None:
                yield name, part


class MessagesBody(CountBody):
    """The body of ``/v1/messages``."""

    max_tokens: Annotated[int, Field(ge=1, le=1 << 31)] = Field(description="Longest answer.")
    stop_sequences: Annotated[list[str], Field(max_length=16, fail_fast=True)] | None = None
    stream: bool | None = Field(None, description="Send the answer as it is made.")
    timeout_seconds: Annotated[Finite, Field(gt=0)] | None = None
