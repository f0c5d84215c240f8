"""``/v1/chat/completions``: the next turn of a conversation."""

import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.answers import Result, finish_reason
from daemon.workers.server.api.answering.turn import ChatTurn
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.chat_schemas import ChatBody
from daemon.workers.server.api.generation import as_stream, chunk_usage, in_one_piece
from daemon.workers.server.api.tool_calls import delta_of
from daemon.workers.server.chats.sessions import Session
from daemon.workers.server.service import MODEL, InferenceService
from engine.inference.requests import EndedBy, Scored


def router(service: InferenceService) -> APIRouter:
    """Make the router with the route of this module."""
    routes = APIRouter(tags=["generation"])

    @routes.post("/v1/chat/completions", openapi_extra=described(ChatBody))
    async def chat(http: Request) -> Response:
        body = await read(http, ChatBody, service.body_limit)
        session = None if body.session is None else await service.sessions.find(http.state.owner, body.session)
        history = () if session is None else session.messages
        turn = await ChatTurn.begin(service, http, body, history, drops_oldest=session is not None)
        choices = _Choices(service, turn, session)
        if body.stream:
            seconds = service.settings.api.request_timeout_seconds
            return await as_stream(http, turn.answer, choices.chunks(), seconds)
        return await in_one_piece(turn.answer, choices.whole, choices.keep)

    return routes


class _Choices:
    """How the answers to one request are written."""

    def __init__(self, service: InferenceService, turn: ChatTurn, session: Session | None) -> None:
        self._service = service
        self._turn = turn
        self._session = session
        self._body = turn.body
        self._answer = turn.answer
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    def whole(self, results: list[Result]) -> dict[str, JsonValue]:
        """The answer in one piece."""
        choices = [self._choice(index, result) for index, result in enumerate(results)]
        return {**self._envelope("chat.completion", choices), "usage": self._answer.usage}

    async def keep(self, results: Sequence[Result]) -> None:
        """Remember a single answer: in its session, and for the conversation log, where these are in use.

        Raises:
            ApiError: it cannot be remembered in its session.
        """
        if self._session is not None:
            said = [*self._turn.said, self._turn.spoken(results[0])]
            await self._service.sessions.add(self._session, said, self._answer.version)
            self._service.metrics.session_turns.inc()
        await self._turn.log(self._id, results)

    async def chunks(self) -> AsyncIterator[Mapping[str, JsonValue]]:
        """The events of a stream: the role, the text piece by piece, the reason it ended, usage if asked for."""
        calls = [0] * len(self._answer.prompts)
        for index in range(len(calls)):
            yield self._chunk(index, {"role": "assistant", "content": "", "refusal": None})
        async for heard in self._turn.heard():
            deltas = [delta_of(part) for part in heard.parts]
            calls[heard.index] += sum("tool_calls" in delta for delta in deltas)
            logprobs = self._logprobs(heard.tokens)
            for delta in deltas or ([{}] if heard.tokens else []):
                yield self._chunk(heard.index, delta, logprobs=logprobs)
                logprobs = None
            if heard.ended_by is not None:
                await self.keep(self._turn.results)
                reason = _reason(heard.ended_by, calls=calls[heard.index] > 0)
                yield self._chunk(heard.index, {}, reason=reason)
        if self._body.includes_usage:
            yield {**self._envelope("chat.completion.chunk", []), "usage": self._answer.usage}

    def _envelope(self, kind: str, choices: list[JsonValue]) -> dict[str, JsonValue]:
        """An answer, or an event of a stream, around its choices."""
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._body.model or MODEL,
            "system_fingerprint": version_name(self._answer.version),
            "choices": choices,
        }

    def _choice(self, index: int, result: Result) -> JsonValue:
        said = self._turn.use.read(result.text)
        message: dict[str, JsonValue] = {"role": "assistant", "content": said.content, "refusal": None}
        if said.calls:
            message |= {"content": said.content or None, "tool_calls": said.written_calls}
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(self._turn.shown(result)),
            "finish_reason": _reason(result.ended_by, calls=bool(said.calls)),
        }

    def _logprobs(self, tokens: Sequence[Scored]) -> JsonValue:
        return {"content": self._turn.scored(tokens), "refusal": None} if self._body.logprobs else None

    def _chunk(
        self, index: int, delta: dict[str, JsonValue], *, logprobs: JsonValue = None, reason: str | None = None
    ) -> dict[str, JsonValue]:
        choice: JsonValue = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return {**self._envelope("chat.completion.chunk", [choice]), **chunk_usage(self._body, self._answer)}


def _reason(ended_by: EndedBy, *, calls: bool) -> str:
    """Why an answer ended: an answer with calls waits for their results."""
    return "tool_calls" if calls and ended_by == "eos" else finish_reason(ended_by)
