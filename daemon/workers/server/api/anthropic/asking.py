"""A request of Anthropic's API as a chat."""

from collections.abc import Iterator, Sequence

from pydantic import JsonValue, ValidationError

from daemon.workers.server.api.anthropic.fields import ERRORS
from daemon.workers.server.api.anthropic.schemas import (
    ContentBlock,
    CountBody,
    MessageParam,
    MessagesBody,
    TextBlock,
    ToolChoiceParam,
    ToolParam,
)
from daemon.workers.server.api.bodies import explained
from daemon.workers.server.api.chat_schemas import ChatBody, ChatMessage, FunctionCall, ToolCallBody
from daemon.workers.server.api.schemas import SamplingBody
from daemon.workers.server.api.structure_schemas import ResponseFormat
from daemon.workers.server.api.tool_schemas import FunctionBody, NamedFunction, NamedTool, ToolBody, ToolChoice
from daemon.workers.server.errors import ApiError


def as_chat(body: CountBody) -> ChatBody:
    """The same request as a chat. A last message of the assistant is one that the answer goes on with.

    Raises:
        ApiError: 400, it asks for what does not fit together.
    """
    asked = body if isinstance(body, MessagesBody) else None
    config, choice = body.output_config, body.tool_choice
    try:
        messages = [] if not body.system else [ChatMessage(role="system", content=_text(body.system))]
        for message in body.messages:
            messages += _messages(message)
        if not messages or messages[-1].role == "system":
            raise ApiError(400, "invalid_value", "messages: they say nothing", param="messages")
        return ChatBody(
            **body.model_dump(include=set(SamplingBody.model_fields)),
            model=body.model,
            messages=messages,
            continue_final_message=messages[-1].role == "assistant" or None,
            max_tokens=asked.max_tokens if asked else None,
            stop=asked.stop_sequences if asked else None,
            stream=asked.stream if asked else None,
            timeout_seconds=asked.timeout_seconds if asked else None,
            response_format=_json(config.format.schema_) if config and config.format else None,
            tools=None if body.tools is None else [_tool(tool) for tool in body.tools],
            tool_choice=_choice(choice),
            parallel_tool_calls=not choice.disable_parallel_tool_use if choice else None,
            chat_template_kwargs=body.chat_template_kwargs,
        )
    except ValidationError as error:
        raise explained(error, ChatBody).renamed(ERRORS) from None


def _messages(message: MessageParam) -> Iterator[ChatMessage]:
    """One message; results of calls are messages of their own, and come first."""
    if isinstance(message.content, str):
        yield ChatMessage(role=message.role, content=message.content)
        return
    for block in message.content:
        if block.type == "tool_result":
            yield ChatMessage(role="tool", tool_call_id=block.tool_use_id, content=_text(block.content or ""))
    calls = [_call(block) for block in message.content if block.type == "tool_use"]
    text = "".join(block.text or "" for block in message.content)
    if calls or text:
        yield ChatMessage(role=message.role, content=text, tool_calls=calls or None)


def _call(block: ContentBlock) -> ToolCallBody:
    return ToolCallBody(id=block.id, function=FunctionCall(name=block.name or "", arguments=block.input))


def _json(schema: JsonValue) -> ResponseFormat:
    return ResponseFormat.model_validate({"type": "json_schema", "schema": schema})


def _tool(tool: ToolParam) -> ToolBody:
    told: dict[str, str] = {} if tool.description is None else {"description": tool.description}
    return ToolBody(type="function", function=FunctionBody(name=tool.name, parameters=tool.input_schema, **told))


def _choice(choice: ToolChoiceParam | None) -> ToolChoice | None:
    match choice:
        case None:
            return None
        case ToolChoiceParam(type="any"):
            return "required"
        case ToolChoiceParam(type="none"):
            return "none"
        case ToolChoiceParam(type="tool"):
            return NamedTool(type="function", function=NamedFunction(name=choice.name or ""))
    return "auto"


def _text(parts: str | Sequence[TextBlock]) -> str:
    return parts if isinstance(parts, str) else "".join(part.text for part in parts)
