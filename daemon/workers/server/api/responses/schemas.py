"""What clients may send to ``/v1/responses``."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from daemon.workers.server.api.chat_schemas import named_parts
from daemon.workers.server.api.fields import Rules
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.responses.fields import ITEM, RESPONSES, TEXT
from daemon.workers.server.api.schemas import Finite, Limit, Metadata, SamplingBody, StreamOptions
from daemon.workers.server.api.structure_schemas import ResponseFormat
from daemon.workers.server.api.tool_schemas import MOST_TOOLS, FunctionBody

LOGPROBS = "message.output_text.logprobs"
"""In ``include``: the log-probability of each token."""
MOST_ITEMS = 10_000
_NEEDED = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "item_reference": ("id",),
    "reasoning": (),
}
"""The kinds of items that can be read, and what each must have."""


class InputPart(RequestBody):
    """A part of an item's content."""

    rules: ClassVar[Rules] = ITEM

    type: Literal["input_text", "output_text", "text"]
    text: str


Parts = str | Annotated[list[InputPart], Field(fail_fast=True)]


class InputItem(RequestBody):
    """One item of the input: a message, a call, the result of one, or the id of an item of an earlier response."""

    rules: ClassVar[Rules] = ITEM

    type: Literal["message", "function_call", "function_call_output", "item_reference", "reasoning"] = "message"
    id: str | None = None
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: Parts | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: Parts | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        for name, parts in (("content", self.content), ("output", self.output)):
            if isinstance(parts, list):
                yield from named_parts(name, parts)

    @field_validator("content", "output", mode="before")
    @classmethod
    def _parts_are_text(cls, given: JsonValue) -> JsonValue:
        for part in given if isinstance(given, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and kind not in {"input_text", "output_text", "text", "reasoning_text"}:
                raise ValueError(f"a part of type {kind[:40]!r}: this model reads text only")
        return given

    @model_validator(mode="before")
    @classmethod
    def _reasoning_is_not_read(cls, given: JsonValue) -> JsonValue:
        return {"type": "reasoning"} if isinstance(given, dict) and given.get("type") == "reasoning" else given

    @model_validator(mode="after")
    def _is_whole(self) -> "InputItem":
        for name in _NEEDED[self.type]:
            if getattr(self, name) is None:
                raise ValueError(f"{name} is missing")
        return self


class ToolKind(RequestBody):
    """What a tool is; read before all else of it."""

    type: Literal["function"]


class FunctionTool(FunctionBody, ToolKind):
    """A function that an answer may call."""


class NamedFunctionTool(RequestBody):
    """The function that must be called."""

    type: Literal["function"]
    name: str


class TextFormat(ResponseFormat):
    """What the text of an answer must look like."""

    name: str | None = None
    description: str | None = None
    strict: bool | None = Field(None, description="Has no effect: an answer always keeps to its schema.")


class TextOptions(RequestBody):
    """The field ``text``."""

    rules: ClassVar[Rules] = TEXT

    format: TextFormat | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if self.format is not None:
            yield "format", self.format


class ResponsesBody(SamplingBody):
    """The body of ``/v1/responses``."""

    rules: ClassVar[Rules] = RESPONSES

    input: str | Annotated[list[InputItem], Field(min_length=1, max_length=MOST_ITEMS, fail_fast=True)]
    model: str | None = Field(None, description="The model, or one of its versions: thor@000012, thor@previous.")
    instructions: str | None = Field(None, description="The system message; not remembered for the next response.")
    previous_response_id: str | None = Field(None, description="Go on from this response.")
    store: bool | None = Field(None, description="Remember the response, to go on from it; true by default.")
    stream: bool | None = Field(None, description="Send the answer as it is made.")
    stream_options: StreamOptions | None = None
    max_output_tokens: Limit | None = Field(None, description="Longest answer; without it it may fill the context.")
    top_logprobs: Annotated[int, Field(ge=0, le=100)] | None = None
    include: list[str] | None = Field(None, description=f"{LOGPROBS}: the log-probability of each token.")
    text: TextOptions | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MOST_TOOLS, fail_fast=True)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunctionTool | None = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: where the context is full, the oldest turns are left out; otherwise that is a 400."
    )
    metadata: Metadata | None = Field(None, description="Sent back.")
    chat_template_kwargs: dict[str, JsonValue] | None = None
    timeout_seconds: Annotated[Finite, Field(gt=0)] | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if isinstance(self.input, list):
            yield from named_parts("input", self.input)
        yield from named_parts("tools", self.tools or ())
        for name, part in (("text", self.text), ("stream_options", self.stream_options)):
            if part is not None:
                yield name, part
        if isinstance(self.tool_choice, NamedFunctionTool):
            yield "tool_choice", self.tool_choice

    @property
    def items(self) -> list[InputItem]:
        """The input as items."""
        return [InputItem(role="user", content=self.input)] if isinstance(self.input, str) else self.input

    @property
    def logprobs(self) -> bool:
        """The log-probability of each token is asked for."""
        return LOGPROBS in (self.include or ())

    @model_validator(mode="after")
    def _asks_for_what_it_wants_of_tokens(self) -> "ResponsesBody":
        if self.top_logprobs and not self.logprobs:
            raise ValueError(f'top_logprobs: send include ["{LOGPROBS}"] as well')
        return self
