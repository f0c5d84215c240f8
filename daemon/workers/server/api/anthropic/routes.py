"""``/v1/messages``: the next turn of a conversation; ``/v1/messages/count_tokens``: how long its prompt is."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import JsonValue

from daemon.workers.server.answers import Result
from daemon.workers.server.api.answering.turn import ChatTurn, prompt_tokens
from daemon.workers.server.api.anthropic.asking import as_chat
from daemon.workers.server.api.anthropic.fields import ERRORS
from daemon.workers.server.api.anthropic.output import Blocks, Event
from daemon.workers.server.api.anthropic.schemas import CountBody, MessagesBody
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.generation import as_stream, in_one_piece
from daemon.workers.server.api.streaming import NAMED_EVENTS
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import MODEL, InferenceService


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/v1/messages", tags=["messages"])

    @routes.post("", openapi_extra=described(MessagesBody))
    async def create(http: Request) -> Response:
        body = await read(http, MessagesBody, service.body_limit)
        try:
            turn = await ChatTurn.begin(service, http, as_chat(body))
        except ApiError as error:
            raise error.renamed(ERRORS) from None
        message = _Message(turn, body.model or MODEL)
        if body.stream:
            seconds = service.settings.api.request_timeout_seconds
            return await as_stream(http, turn.answer, message.events(), seconds, NAMED_EVENTS)
        return await in_one_piece(turn.answer, message.whole, message.keep)

    @routes.post("/count_tokens", openapi_extra=described(CountBody))
    async def count(http: Request) -> JSONResponse:
        body = await read(http, CountBody, service.body_limit)
        return JSONResponse({"input_tokens": await prompt_tokens(service, http, as_chat(body))})

    return routes


class _Message:
    """One answer, and how it is written."""

    def __init__(self, turn: ChatTurn, model: str) -> None:
        self._turn = turn
        self._blocks = Blocks()
        self._id = f"msg_{uuid.uuid4().hex}"
        self._model = model

    async def keep(self, results: Sequence[Result]) -> None:
        """Have the answer learned, where the conversation log is in use."""
        await self._turn.log(self._id, results)

    def whole(self, results: list[Result]) -> dict[str, JsonValue]:
        """The answer in one piece."""
        (result,) = results
        reader = self._turn.use.reader()
        events = [*self._blocks.add([*reader.push(result.text), *reader.finish()]), *self._blocks.end()]
        del events  # nobody follows them
        return {**self._described, "content": self._blocks.written, **self._ended(result)}

    async def events(self) -> AsyncIterator[Mapping[str, JsonValue]]:
        """The events of a stream."""
        yield {"type": "message_start", "message": self._described}
        async for heard in self._turn.heard():
            for event in self._blocks.add(heard.parts):
                yield event
            if heard.ended_by is not None:
                for event in self._blocks.end():
                    yield event
                await self.keep(self._turn.results)
        ended = self._ended(self._turn.results[0])
        yield {"type": "message_delta", "delta": ended, "usage": self._usage}
        yield {"type": "message_stop"}

    @property
    def _described(self) -> Event:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage,
        }

    @property
    def _usage(self) -> Event:
        """Tokens so far; what was read for another request counts as read."""
        return {
            "input_tokens": self._turn.answer.prompt_tokens,
            "output_tokens": self._turn.answer.generated,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }

    def _ended(self, result: Result) -> Event:
        """Why the answer ended: one with calls waits for their results."""
        reasons = {"length": "max_tokens", "stop_string": "stop_sequence"}
        default = "tool_use" if self._blocks.calls else "end_turn"
        return {"stop_reason": reasons.get(result.ended_by, default), "stop_sequence": result.stop or None}
