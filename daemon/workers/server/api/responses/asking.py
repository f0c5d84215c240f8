"""A request of the Responses API as a chat."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pydantic import JsonValue, ValidationError

from daemon.workers.server.api.bodies import explained
from daemon.workers.server.api.chat_schemas import ChatBody, ChatMessage, FunctionCall, ToolCallBody
from daemon.workers.server.api.responses.fields import ERRORS
from daemon.workers.server.api.responses.schemas import InputItem, NamedFunctionTool, Parts, ResponsesBody
from daemon.workers.server.api.schemas import SamplingBody
from daemon.workers.server.api.tool_schemas import FunctionBody, NamedFunction, NamedTool, ToolBody, ToolChoice
from daemon.workers.server.chats.responses import Responses
from daemon.workers.server.errors import ApiError

_ITEM_ID = re.compile(r"(?:msg|fc)_([0-9a-f]{32})_([0-9]{1,4})")


def response_id(number: str) -> str:
    """The id of a response."""
    return f"resp_{number}"


def item_id(kind: str, number: str, index: int) -> str:
    """The id of an item: where it was said can be told from it."""
    return f"{kind}_{number}_{index}"


async def with_references(items: Sequence[InputItem], responses: Responses, owner: str) -> list[InputItem]:
    """The items, each that is only named by its id as the response said it that it is of.

    Raises:
        ApiError: 404, there is no such item.
    """
    outputs: dict[str, JsonValue] = {}  # each response is read once, however many of its items are named

    async def output_of(number: str) -> JsonValue:
        if number not in outputs:
            try:
                outputs[number] = (await responses.get(owner, response_id(number)))["output"]
            except ApiError as error:
                if error.status != 404:
                    raise
                outputs[number] = None
        return outputs[number]

    return [await _found(item, output_of) if item.type == "item_reference" else item for item in items]


async def _found(item: InputItem, output_of: Callable[[str], Awaitable[JsonValue]]) -> InputItem:
    named = _ITEM_ID.fullmatch(item.id or "")
    output = await output_of(named[1]) if named else None
    place = int(named[2]) if named else 0
    if not isinstance(output, list) or place >= len(output):
        message = f"there is no item {(item.id or '')[:100]!r}: it was never stored, or was deleted; send it whole"
        raise ApiError(404, "item_not_found", message, param="input")
    return InputItem.model_validate(output[place])


def messages_of(items: Iterable[InputItem]) -> list[ChatMessage]:
    """The items as messages: calls belong to the assistant's message before them."""
    messages: list[ChatMessage] = []
    for item in items:
        if item.type == "function_call":
            call = ToolCallBody(id=item.call_id, function=FunctionCall(name=item.name or "", arguments=item.arguments))
            if messages and messages[-1].role == "assistant":
                calls = [*(messages[-1].tool_calls or ()), call]
                messages[-1] = messages[-1].model_copy(update={"tool_calls": calls})
            else:
                messages.append(ChatMessage(role="assistant", tool_calls=[call]))
        elif item.type == "function_call_output":
            messages.append(ChatMessage(role="tool", tool_call_id=item.call_id, content=_text(item.output)))
        elif item.role is not None:
            messages.append(ChatMessage(role=item.role, content=_text(item.content)))
    return messages


def as_chat(body: ResponsesBody, messages: Sequence[ChatMessage]) -> ChatBody:
    """The same request as a chat of these messages.

    Raises:
        ApiError: 400, it asks for what does not fit together.
    """
    choice: ToolChoice | None
    if isinstance(body.tool_choice, NamedFunctionTool):
        choice = NamedTool(type="function", function=NamedFunction(name=body.tool_choice.name))
    else:
        choice = body.tool_choice
    try:
        return ChatBody(
            **body.model_dump(include=set(SamplingBody.model_fields)),
            model=body.model,
            messages=[*messages],
            max_tokens=body.max_output_tokens,
            stream=body.stream,
            logprobs=body.logprobs or None,
            top_logprobs=body.top_logprobs,
            response_format=body.text.format if body.text else None,
            tools=None if body.tools is None else [ToolBody(type="function", function=_plain(t)) for t in body.tools],
            tool_choice=choice,
            parallel_tool_calls=body.parallel_tool_calls,
            chat_template_kwargs=body.chat_template_kwargs,
            timeout_seconds=body.timeout_seconds,
        )
    except ValidationError as error:
        raise explained(error, ChatBody).renamed(ERRORS) from None


def _plain(tool: FunctionBody) -> FunctionBody:
    """What prompts say of a function."""
    return FunctionBody(**tool.model_dump(include=set(FunctionBody.model_fields), exclude_unset=True))


def _text(parts: Parts | None) -> str:
    return parts if isinstance(parts, str) else "".join(part.text for part in parts or ())
