"""``/v1/responses``: the next turn of a conversation, which the server may remember."""

import itertools
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import JsonValue

from daemon.workers.server.answers import Result
from daemon.workers.server.api.answering.turn import ChatTurn
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.chat_schemas import ChatMessage
from daemon.workers.server.api.generation import as_stream, in_one_piece
from daemon.workers.server.api.prompts import turns_of
from daemon.workers.server.api.responses.asking import as_chat, messages_of, response_id, with_references
from daemon.workers.server.api.responses.fields import ERRORS
from daemon.workers.server.api.responses.output import Happening, Output, Status
from daemon.workers.server.api.responses.schemas import ResponsesBody
from daemon.workers.server.api.streaming import NAMED_EVENTS
from daemon.workers.server.chats.responses import Earlier
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import MODEL, InferenceService
from engine.data.samples import Message
from engine.inference.requests import EndedBy


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/v1/responses", tags=["responses"])

    @routes.post("", openapi_extra=described(ResponsesBody))
    async def create(http: Request) -> Response:
        body = await read(http, ResponsesBody, service.body_limit)
        owner: str = http.state.owner
        name = body.previous_response_id
        earlier = None if name is None else await service.responses.find(owner, name)
        messages = messages_of(await with_references(body.items, service.responses, owner))
        if not messages:
            raise ApiError(400, "invalid_value", "input: it says nothing", param="input")
        turn = await _begun(service, http, body, messages, earlier)
        response = _Response(service, owner, body, turn, turns_of(messages), earlier)
        if body.stream:
            seconds = service.settings.api.request_timeout_seconds
            return await as_stream(http, turn.answer, response.events(), seconds, NAMED_EVENTS)
        return await in_one_piece(turn.answer, response.whole, response.keep)

    @routes.get("/{name}")
    async def get(http: Request, name: str) -> JSONResponse:
        return JSONResponse(await service.responses.get(http.state.owner, name))

    @routes.delete("/{name}")
    async def delete(http: Request, name: str) -> JSONResponse:
        await service.responses.delete(http.state.owner, name)
        return JSONResponse({"id": name, "object": "response", "deleted": True})

    return routes


async def _begun(
    service: InferenceService,
    http: Request,
    body: ResponsesBody,
    messages: Sequence[ChatMessage],
    earlier: Earlier | None,
) -> ChatTurn:
    """Ask the engine.

    Raises:
        ApiError: it cannot be answered: 400, 404, 429 or 503.
    """
    before = [] if earlier is None else [*earlier.messages]
    if body.instructions:
        first = (before or turns_of(messages[:1]))[0]
        if first.role == "system":  # most templates take one
            before, messages = (before[1:], messages) if before else ([], messages[1:])
            before.insert(0, first._replace(content=f"{body.instructions}\n\n{first.content}"))
        else:
            before.insert(0, Message("system", body.instructions))
    drops_oldest = body.truncation == "auto"
    if drops_oldest:
        before, messages = [*before, *turns_of(messages[:-1])], messages[-1:]
    if not messages:
        raise ApiError(400, "invalid_value", "input: it asks nothing", param="input")
    chat = as_chat(body, messages)
    try:
        return await ChatTurn.begin(service, http, chat, before, drops_oldest=drops_oldest)
    except ApiError as error:
        raise error.renamed(ERRORS) from None


class _Response:
    """One response, and how it is written."""

    def __init__(
        self,
        service: InferenceService,
        owner: str,
        body: ResponsesBody,
        turn: ChatTurn,
        said: Sequence[Message],
        earlier: Earlier | None,
    ) -> None:
        self._service = service
        self._owner = owner
        self._body = body
        self._turn = turn
        self._said = said
        self._earlier = earlier
        number = uuid.uuid4().hex
        self._id = response_id(number)
        self._output = Output(number)
        self._created = int(time.time())

    def whole(self, _: list[Result]) -> dict[str, JsonValue]:
        """The response in one piece, once it is kept."""
        return self._written

    async def keep(self, results: Sequence[Result]) -> None:
        """Put the response together, and remember it: for requests that follow it, and for the conversation log.

        Raises:
            ApiError: it cannot be remembered.
        """
        (result,) = results
        reader = self._turn.use.reader()
        parts = [*reader.push(result.text), *reader.finish()]
        logprobs = [] if reader.calls else self._turn.scored(self._turn.shown(result))
        for _ in itertools.chain(self._output.add(parts, logprobs), self._output.finish(_status(result.ended_by))):
            pass  # nobody follows it
        await self._remember(results)

    async def events(self) -> AsyncIterator[Mapping[str, JsonValue]]:
        """The events of a stream, numbered."""
        number = itertools.count()
        async for event in self._events():
            yield {**event, "sequence_number": next(number)}

    async def _events(self) -> AsyncIterator[Happening]:
        begun = self._described("in_progress")
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        try:
            async for heard in self._turn.heard():
                for event in self._output.add(heard.parts, self._turn.scored(heard.tokens)):
                    yield event
                if heard.ended_by is not None:
                    for event in self._output.finish(_status(heard.ended_by)):
                        yield event
                    await self._remember(self._turn.results)
            yield {"type": f"response.{self._written['status']}", "response": self._written}
        except ApiError as error:
            failed: JsonValue = {"code": "server_error", "message": error.message}
            yield {"type": "response.failed", "response": {**self._described("failed"), "error": failed}}

    async def _remember(self, results: Sequence[Result]) -> None:
        (result,) = results
        answer = self._turn.answer
        status = _status(result.ended_by)
        self._written = {**self._described(status), "usage": _usage(answer.usage)}
        if status == "incomplete":
            self._written["incomplete_details"] = {"reason": "max_output_tokens"}
        if self._body.store is not False:
            said = [*self._said, self._turn.spoken(result)]
            name, body = self._id, self._written
            await self._service.responses.add(self._owner, name, self._earlier, said, answer.version, body)
            self._service.metrics.session_turns.inc()
        await self._turn.log(self._id, results)

    def _described(self, status: str) -> dict[str, JsonValue]:
        """The response as it is now, with what was asked for."""
        body = self._body
        told = body.model_dump(
            include={"instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p"}
        )
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": body.model or MODEL,
            "output": [*self._output.items],
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "reasoning": {"effort": None, "summary": None},
            "store": body.store is not False,
            "text": {"format": _format(body), "verbosity": "medium"},
            "tool_choice": _choice(body),
            "tools": [tool.model_dump(include={*tool.model_fields_set, "type"}) for tool in body.tools or ()],
            "top_logprobs": body.top_logprobs or 0,
            "truncation": body.truncation or "disabled",
            "usage": None,
            "metadata": {**(body.metadata or {})},
            **told,
        }


def _status(ended_by: EndedBy) -> Status:
    return "incomplete" if ended_by == "length" else "completed"


def _format(body: ResponsesBody) -> JsonValue:
    given = body.text.format if body.text else None
    return {"type": "text"} if given is None else given.model_dump(by_alias=True, exclude_unset=True)


def _choice(body: ResponsesBody) -> JsonValue:
    choice = body.tool_choice or "auto"
    return choice if isinstance(choice, str) else choice.model_dump(exclude_unset=True)


def _usage(counted: Mapping[str, JsonValue]) -> JsonValue:
    """The numbers of a chat under the names that they have here."""
    cached = counted["prompt_tokens_details"]
    return {
        "input_tokens": counted["prompt_tokens"],
        "input_tokens_details": {**(cached if isinstance(cached, dict) else {}), "cache_write_tokens": 0},
        "output_tokens": counted["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counted["total_tokens"],
    }
