"""What clients may send to ``/api/...``."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field, JsonValue

from daemon.workers.server.api.chat_schemas import named_parts
from daemon.workers.server.api.fields import Rules
from daemon.workers.server.api.ollama.fields import MESSAGE, OLLAMA, OPTIONS
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.schemas import Finite, Several
from daemon.workers.server.api.tool_schemas import Tools

_Limit = Annotated[int, Field(ge=-2, le=1 << 31)]


class OllamaOptions(RequestBody):
    """The field ``options``: how an answer is made. What is left out is as the model says."""

    rules: ClassVar[Rules] = OPTIONS

    num_predict: _Limit | None = Field(None, description="Longest answer in tokens; -1 and -2: as the context allows.")
    temperature: Finite | None = None
    top_k: int | None = None
    top_p: Finite | None = None
    min_p: Finite | None = None
    repeat_penalty: Finite | None = None
    presence_penalty: Finite | None = None
    frequency_penalty: Finite | None = None
    seed: int | None = None
    stop: str | list[str] | None = None


class AnswerBody(RequestBody):
    """What chats and generations have in common."""

    rules: ClassVar[Rules] = OLLAMA

    model: str
    stream: bool = Field(True, description="Send the answer as it is made.")
    options: OllamaOptions | None = None
    format: Literal["", "json"] | dict[str, JsonValue] | None = Field(None, description="json, or a JSON schema.")
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=100)] | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if self.options is not None:
            yield "options", self.options


class CalledFunction(RequestBody):
    """What a tool was called with."""

    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class CallInHistory(RequestBody):
    """A call in the history of a chat."""

    function: CalledFunction


class OllamaMessage(RequestBody):
    """One message of a conversation."""

    rules: ClassVar[Rules] = MESSAGE

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: list[CallInHistory] | None = None
    tool_name: str | None = Field(None, validation_alias=AliasChoices("tool_name", "name"))


class OllamaChatBody(AnswerBody):
    """The body of ``/api/chat``."""

    messages: Annotated[list[OllamaMessage], Field(max_length=10_000, fail_fast=True)] | None = None
    tools: Tools | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        yield from super().parts()
        yield from named_parts("messages", self.messages or ())
        yield from named_parts("tools", self.tools or ())


class GenerateBody(AnswerBody):
    """The body of ``/api/generate``."""

    prompt: str = ""
    system: str | None = None


class EmbedBody(RequestBody):
    """The body of ``/api/embed``."""

    rules: ClassVar[Rules] = OLLAMA

    model: str
    input: str | Annotated[list[str], Several]
    truncate: bool = Field(True, description="Of a text that is too long its end is read; false: it is a 400.")
    dimensions: Annotated[int, Field(ge=1)] | None = Field(None, description="Must be those that the model has.")
    options: OllamaOptions | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if self.options is not None:
            yield "options", self.options


class ShowBody(RequestBody):
    """The body of ``/api/show``."""

    model: str = Field(validation_alias=AliasChoices("model", "name"))
    verbose: bool | None = None
