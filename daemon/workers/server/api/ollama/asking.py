"""A request of Ollama's API as a chat."""

from collections.abc import Iterable, Iterator

from pydantic import JsonValue, ValidationError

from daemon.workers.server.api.bodies import explained
from daemon.workers.server.api.chat_schemas import ChatBody, ChatMessage, FunctionCall, ToolCallBody
from daemon.workers.server.api.ollama.fields import ERRORS
from daemon.workers.server.api.ollama.schemas import (
    AnswerBody,
    GenerateBody,
    OllamaChatBody,
    OllamaMessage,
    OllamaOptions,
)
from daemon.workers.server.api.schemas import NO_LIMIT
from daemon.workers.server.api.structure_schemas import ResponseFormat
from daemon.workers.server.api.tool_schemas import ToolBody

_SAME = {"temperature", "top_k", "top_p", "min_p", "presence_penalty", "frequency_penalty", "seed", "stop"}
"""Options that chats have under the same name."""
_CALLED = {"name", "arguments"}


def chat_of(body: OllamaChatBody) -> ChatBody:
    """The same request as a chat.

    Raises:
        ApiError: 400, it asks for what does not fit together.
    """
    return _as_chat(body, _messages(body.messages or ()), body.tools)


def generation_of(body: GenerateBody) -> ChatBody:
    """The same request as a chat of one message; the rest as `chat_of`."""
    opening = [ChatMessage(role="system", content=body.system)] if body.system else []
    return _as_chat(body, [*opening, ChatMessage(role="user", content=body.prompt)])


def _as_chat(body: AnswerBody, messages: Iterable[ChatMessage], tools: list[ToolBody] | None = None) -> ChatBody:
    options = body.options or OllamaOptions()
    limit = options.num_predict
    try:
        asked = {
            **options.model_dump(include=_SAME),
            "model": body.model,
            "messages": [*messages],
            "tools": tools,
            "stream": body.stream,
            "max_tokens": limit if limit is None or limit >= 0 else NO_LIMIT,
            "repetition_penalty": options.repeat_penalty,
            "response_format": _structure(body.format),
            "logprobs": body.logprobs,
            "top_logprobs": body.top_logprobs,
            "chat_template_kwargs": body.chat_template_kwargs,
        }
        return ChatBody.model_validate(asked)
    except ValidationError as error:
        raise explained(error, ChatBody).renamed(ERRORS) from None


def _messages(messages: Iterable[OllamaMessage]) -> Iterator[ChatMessage]:
    """Calls have no ids here: a result is that of the first call to its tool that waits for one."""
    waiting: list[tuple[str, str]] = []
    for number, message in enumerate(messages):
        calls = [
            ToolCallBody(
                id=f"call_{number}_{place}", function=FunctionCall(**call.function.model_dump(include=_CALLED))
            )
            for place, call in enumerate(message.tool_calls or ())
        ]
        waiting += [(call.function.name, call.id or "") for call in calls]
        answered = None
        if message.role == "tool":
            answered = next((each for each in waiting if message.tool_name in (None, each[0])), None)
            waiting = [each for each in waiting if each is not answered]
        yield ChatMessage(
            role=message.role,
            content=message.content,
            name=message.tool_name,
            tool_calls=calls or None,
            tool_call_id=answered and answered[1],
        )


def _structure(asked: str | dict[str, JsonValue] | None) -> ResponseFormat | None:
    if not asked and not isinstance(asked, dict):
        return None
    if isinstance(asked, str):
        return ResponseFormat(type="json_object")
    return ResponseFormat.model_validate({"type": "json_schema", "schema": asked})
