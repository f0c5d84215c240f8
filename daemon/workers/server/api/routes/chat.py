"""``/v1/chat/completions``: the next turn of a conversation."""

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.answers import PendingAnswer, Result, finish_reason
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.chat_schemas import ChatBody
from daemon.workers.server.api.generation import as_stream, chunk_usage, in_one_piece, params_of
from daemon.workers.server.api.logprobs import ShownTokens, written
from daemon.workers.server.api.prompts import form_of, prompt_of, prompt_within, truncated, turns_of
from daemon.workers.server.api.tool_calls import delta_of
from daemon.workers.server.api.tool_use import ToolUse, constraint_with, tool_use
from daemon.workers.server.chats.sessions import Session
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import MODEL, InferenceService
from engine.data.samples import Message
from engine.inference.requests import Delta, EndedBy, Finished, Scored
from engine.tokenizers.base import Tokenizer


def router(service: InferenceService) -> APIRouter:
    """Make the router with the route of this module."""
    routes = APIRouter(tags=["generation"])

    @routes.post("/v1/chat/completions", openapi_extra=described(ChatBody))
    async def chat(http: Request) -> Response:
        body = await read(http, ChatBody, service.body_limit)
        spec = await service.prompt_spec()
        use = tool_use(body, spec.tokenizer)
        constraint = await constraint_with(use, body, service, spec)
        top_logprobs = (body.top_logprobs or 0) if body.logprobs else None
        params = params_of(body, service, spec, top_logprobs, body.token_limit, constraint)
        form = form_of(body, spec.tokenizer, http.state.ignored)
        said = turns_of(body.messages)
        session = None if body.session is None else await service.sessions.find(http.state.owner, body.session)
        room = spec.context - min(max(params.max_tokens, 1), spec.context // 2)
        if session is None:
            prompt = await prompt_of(spec.tokenizer, use.introduced(said), form)
        elif session.messages:
            prompt = await prompt_within(spec.tokenizer, use.introduced(session.messages), said, room, form)
        else:
            prompt = await prompt_within(spec.tokenizer, [], use.introduced(said), room, form)
        prompt = truncated(prompt, body.truncate_prompt_tokens, room)
        answer = service.ask(
            http,
            [prompt] * (body.n or 1),
            params,
            model=body.model,
            param="messages",
            streamed=bool(body.stream),
            seconds=body.timeout_seconds,
        )
        turn = _Turn(service, http.state.owner, body, said, session, spec.tokenizer, use)

        if body.stream:
            return await as_stream(answer, turn.chunks(answer), service.settings.api.request_timeout_seconds)
        return await in_one_piece(
            answer, lambda results: turn.whole(answer, results), lambda results: turn.keep(answer, results)
        )

    return routes


class _Turn:
    """One request, and how its choices are written."""

    def __init__(
        self,
        service: InferenceService,
        owner: str,
        body: ChatBody,
        said: Sequence[Message],
        session: Session | None,
        tokenizer: Tokenizer,
        use: ToolUse,
    ) -> None:
        self._service = service
        self._owner = owner
        self._body = body
        self._said = said
        self._session = session
        self._tokenizer = tokenizer
        self._use = use
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    def envelope(self, kind: str, answer: PendingAnswer, choices: list[JsonValue]) -> dict[str, JsonValue]:
        """An answer, or an event of a stream, around its choices."""
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._body.model or MODEL,
            "system_fingerprint": version_name(answer.version),
            "choices": choices,
        }

    def whole(self, answer: PendingAnswer, results: list[Result]) -> dict[str, JsonValue]:
        """The answer in one piece."""
        choices = [self._choice(index, result) for index, result in enumerate(results)]
        return {**self.envelope("chat.completion", answer, choices), "usage": answer.usage}

    def _choice(self, index: int, result: Result) -> JsonValue:
        said = self._use.read(result.text)
        message: dict[str, JsonValue] = {"role": "assistant", "content": said.content, "refusal": None}
        if said.calls:
            message |= {"content": said.content or None, "tool_calls": said.written_calls}
        return {
            "index": index,
            "message": message,
            "logprobs": self.logprobs(self._shown(result)),
            "finish_reason": _reason(result.ended_by, calls=bool(said.calls)),
        }

    async def keep(self, answer: PendingAnswer, results: Sequence[Result]) -> None:
        """Remember a single answer: in its session, and for the conversation log, where these are in use.

        Only answers of the assistant are learned; one that continues a message is learned together with it.

        Raises:
            ApiError: it cannot be remembered in its session. An answer that cannot be learned is not refused.
        """
        if len(results) != 1:
            return
        (result,) = results
        said, text = [message.plain for message in self._said], self._use.read(result.text).message.plain_content
        history: Sequence[Message] = ()
        if self._session is not None:
            history = self._session.messages
            await self._service.sessions.add(self._session, [*said, Message("assistant", text)], answer.version)
            self._service.metrics.session_turns.inc()
        if self._body.continue_final_message:
            *said, begun = said
            text = begun.content + text
            if begun.role != "assistant":
                return
        elif self._body.add_generation_prompt is False:
            return
        with contextlib.suppress(ApiError):  # it is in the log
            messages = [message.plain for message in self._use.introduced([*history, *said])]
            whole = result.ended_by != "length"
            await self._service.conversation_log.add(self._id, self._owner, messages, text, whole=whole)

    async def chunks(self, answer: PendingAnswer) -> AsyncIterator[Mapping[str, JsonValue]]:
        """The events of a stream: the role, the text piece by piece, the reason it ended, usage if asked for."""
        results = [Result() for _ in answer.prompts]
        shown = [ShownTokens(self._tokenizer) for _ in answer.prompts]
        readers = [self._use.reader() for _ in answer.prompts]
        for index in range(len(answer.prompts)):
            yield self._chunk(answer, index, {"role": "assistant", "content": "", "refusal": None})
        async for event in answer.events():
            index = event.sequence
            if isinstance(event, Delta):
                results[index].text += event.text
                ready = [token for _, token in shown[index].add(event.text, event.tokens)]
                deltas = [delta_of(part) for part in readers[index].push(event.text)]
                logprobs = self.logprobs(ready)
                for delta in deltas or ([{}] if ready else []):
                    yield self._chunk(answer, index, delta, logprobs=logprobs)
                    logprobs = None
            elif isinstance(event, Finished):
                for part in readers[index].finish():
                    yield self._chunk(answer, index, delta_of(part))
                results[index].ended_by = event.ended_by
                await self.keep(answer, results)
                reason = _reason(event.ended_by, calls=readers[index].calls > 0)
                yield self._chunk(answer, index, {}, reason=reason)
        if self._body.includes_usage:
            yield {**self.envelope("chat.completion.chunk", answer, []), "usage": answer.usage}

    def logprobs(self, tokens: Iterable[Scored]) -> JsonValue:
        """Tokens of the text with their log-probabilities, where they are asked for."""
        if not self._body.logprobs:
            return None
        scored: list[JsonValue] = [self._scored(token) for token in tokens if token.id not in self._tokenizer.specials]
        return {"content": scored, "refusal": None}

    def _shown(self, result: Result) -> Sequence[Scored]:
        """The tokens of an answer, without those that were cut off with a stop string."""
        return [token for _, token in ShownTokens(self._tokenizer).whole(result)]

    def _chunk(
        self,
        answer: PendingAnswer,
        index: int,
        delta: dict[str, JsonValue],
        *,
        logprobs: JsonValue = None,
        reason: str | None = None,
    ) -> dict[str, JsonValue]:
        choice: JsonValue = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return {**self.envelope("chat.completion.chunk", answer, [choice]), **chunk_usage(self._body, answer)}

    def _scored(self, token: Scored) -> dict[str, JsonValue]:
        top: list[JsonValue] = [self._named(other, logprob) for other, logprob in token.top]
        return {**self._named(token.id, token.logprob), "top_logprobs": top}

    def _named(self, token: int, logprob: float) -> dict[str, JsonValue]:
        data: list[JsonValue] = list(self._tokenizer.decode_bytes([token]))
        return {"token": written(self._tokenizer, token), "logprob": logprob, "bytes": data}


def _reason(ended_by: EndedBy, *, calls: bool) -> str:
    """Why an answer ended: an answer with calls waits for their results."""
    return "tool_calls" if calls and ended_by == "eos" else finish_reason(ended_by)
