"""What clients may send of conversations: to be answered, and to be counted in tokens."""

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from daemon.workers.server.api.fields import MESSAGE, REQUEST, Rules
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.schemas import MAX_CHOICES, GenerationBody
from daemon.workers.server.api.tool_schemas import NamedTool, ToolBody, ToolChoice, Tools

SESSION = r"^[A-Za-z0-9._~-]{1,64}$"
"""Names of sessions."""


class TextPart(RequestBody):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class FunctionCall(RequestBody):
    """What a tool is called with: ``arguments`` is JSON, mostly as a string."""

    name: str
    arguments: JsonValue = None


class ToolCallBody(RequestBody):
    """A call in the history of a chat."""

    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionCall


class ChatMessage(RequestBody):
    """One message of a conversation."""

    rules: ClassVar[Rules] = MESSAGE

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[TextPart], Field(fail_fast=True)] | None = None
    name: str | None = Field(None, description="The speaker's name; used if the model's chat template reads it.")
    tool_calls: Annotated[list[ToolCallBody], Field(max_length=MAX_CHOICES, fail_fast=True)] | None = Field(
        None, description="Calls that were made, rendered by the model's chat template, else one line of JSON each."
    )
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if isinstance(self.content, list):
            yield from ((f"content.{place}", part) for place, part in enumerate(self.content))
        yield from ((f"tool_calls.{place}", call) for place, call in enumerate(self.tool_calls or ()))

    @field_validator("content", mode="before")
    @classmethod
    def _parts_are_text(cls, given: JsonValue) -> JsonValue:
        for part in given if isinstance(given, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and kind != "text":
                raise ValueError(f"a part of type {kind[:40]!r}: this model reads text only")
        return given

    @property
    def calls(self) -> list[ToolCallBody]:
        """Calls to tools, also where only the old ``function_call`` is sent."""
        old = [] if self.function_call is None else [ToolCallBody(function=self.function_call)]
        return self.tool_calls or old

    @property
    def text(self) -> str:
        """The content as one text: its parts joined."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class ChatForm(RequestBody):
    """How messages become a prompt."""

    add_generation_prompt: bool | None = Field(
        None, description="Whether to open the assistant's turn at the end; true by default."
    )
    continue_final_message: bool | None = Field(
        None, description="Go on with the last message instead of answering it."
    )
    tools: Tools | None = Field(None, description="Tools that the answer may call.")
    chat_template_kwargs: dict[str, JsonValue] | None = Field(
        None, description="Variables of an imported model's chat template, such as enable_thinking."
    )

    @model_validator(mode="after")
    def _ends_in_one_way(self) -> "ChatForm":
        if self.continue_final_message and self.add_generation_prompt:
            raise ValueError("continue_final_message: leave out add_generation_prompt, or send false")
        return self


def named_parts(name: str, parts: Iterable[RequestBody]) -> Iterator[tuple[str, RequestBody]]:
    """The objects of a list, each with its place."""
    return ((f"{name}.{place}", part) for place, part in enumerate(parts))


def _tools(tools: Iterable[ToolBody] | None) -> Iterator[tuple[str, RequestBody]]:
    for place, tool in enumerate(tools or ()):
        yield f"tools.{place}", tool
        yield f"tools.{place}.function", tool.function


class ChatBody(GenerationBody, ChatForm):
    """The body of ``/v1/chat/completions``."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000, fail_fast=True)]
    session: Annotated[str, Field(pattern=SESSION)] | None = Field(
        None, description="The server remembers what was said: messages are only those that are new."
    )
    tool_choice: ToolChoice | None = Field(
        None, description="Whether tools are called: none, auto, required, or the tool to call; auto by default."
    )
    parallel_tool_calls: bool | None = Field(
        None, description="Whether an answer may contain several calls; true by default."
    )
    logprobs: bool | None = Field(None, description="The log-probability of each token.")
    top_logprobs: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None, description="How many of the likeliest tokens to return in each place."
    )

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        yield from super().parts()
        yield from named_parts("messages", self.messages or ())
        yield from _tools(self.tools)
        if isinstance(self.tool_choice, NamedTool):
            yield "tool_choice", self.tool_choice
            yield "tool_choice.function", self.tool_choice.function

    @model_validator(mode="after")
    def _can_be_called(self) -> "ChatBody":
        names = [tool.function.name for tool in self.tools or ()]
        if len(set(names)) < len(names):
            raise ValueError("tools: two have the same name")
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice: there are no tools to call")
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise ValueError("tool_choice: it names none of the tools")
        if self.min_tokens and (self.tool_choice == "required" or isinstance(self.tool_choice, NamedTool)):
            raise ValueError("min_tokens: an answer that must call a tool ends where its calls do; leave it out")
        if names and self.tool_choice != "none" and self.ignore_eos:
            raise ValueError("ignore_eos: an answer that calls tools ends where its calls do; leave it out")
        return self

    @model_validator(mode="after")
    def _can_be_answered(self) -> "ChatBody":
        if self.session is not None and (self.n or 1) > 1:
            raise ValueError("n: a session goes on from one answer: leave it out")
        if self.session is not None and (self.continue_final_message or self.add_generation_prompt is False):
            raise ValueError("session: it is answered: leave out continue_final_message and add_generation_prompt")
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs: send logprobs true as well")
        return self


class TokenizeBody(ChatForm):
    """The body of ``/tokenize``: a text, or a conversation."""

    rules: ClassVar[Rules] = REQUEST

    prompt: str | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000, fail_fast=True)] | None = None
    add_special_tokens: bool = True
    return_token_strs: bool = False

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        yield from named_parts("messages", self.messages or ())
        yield from _tools(self.tools)

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "TokenizeBody":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("either prompt or messages")
        return self
