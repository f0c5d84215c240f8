"""The next turn of a dialogue: from a request to the engine, whichever API it came by, and back as parts of an answer.

Each API writes its requests as a `ChatBody`, so that all of them have the same fields, checks and limits.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from fastapi import Request
from pydantic import JsonValue

from daemon.workers.server.answers import PendingAnswer, Result
from daemon.workers.server.api.chat_schemas import ChatBody
from daemon.workers.server.api.generation import params_of
from daemon.workers.server.api.logprobs import ShownTokens, written
from daemon.workers.server.api.prompts import form_of, prompt_of, prompt_within, truncated, turns_of
from daemon.workers.server.api.tool_calls import Part
from daemon.workers.server.api.tool_use import ToolUse, constraint_with, tool_use
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import InferenceService
from engine.data.samples import Message
from engine.inference.requests import Delta, EndedBy, Finished, Scored
from engine.tokenizers.base import Tokenizer


@dataclass(frozen=True)
class Heard:
    """More of one answer of a stream.

    Attributes:
        index: which answer.
        parts: what it says.
        tokens: those whose text is certain now.
        ended_by: why it ended; null: it goes on.
    """

    index: int
    parts: Sequence[Part]
    tokens: Sequence[Scored] = ()
    ended_by: EndedBy | None = None


class ChatTurn:
    """One turn on its way through the engine. Whoever began it must close its answer.

    Attributes:
        body: what was asked.
        history: what was said before, as the server remembers it.
        said: what the client said now.
        answer: what comes from the engine.
        use: the tools that may be called.
        results: what a stream has said so far.
    """

    def __init__(
        self,
        service: InferenceService,
        http: Request,
        body: ChatBody,
        history: Sequence[Message],
        said: Sequence[Message],
        answer: PendingAnswer,
        tokenizer: Tokenizer,
        use: ToolUse,
    ) -> None:
        self.body = body
        self.history = history
        self.said = said
        self.answer = answer
        self.use = use
        self.results = [Result() for _ in answer.prompts]
        self._service = service
        self._owner: str = http.state.owner
        self._tokenizer = tokenizer

    @classmethod
    async def begin(
        cls,
        service: InferenceService,
        http: Request,
        body: ChatBody,
        history: Sequence[Message] = (),
        *,
        drops_oldest: bool = False,
    ) -> "ChatTurn":
        """Ask the engine. With ``drops_oldest`` as much of ``history`` is read as fits.

        Raises:
            ApiError: it cannot be answered: 400, 404, 429 or 503. Fields have the names of `ChatBody`.
        """
        spec = await service.prompt_spec(body.model)
        use = tool_use(body, spec.tokenizer)
        constraint = await constraint_with(use, body, service, spec)
        top_logprobs = (body.top_logprobs or 0) if body.logprobs else None
        params = params_of(body, service, spec, top_logprobs, body.token_limit, constraint)
        said = turns_of(body.messages)
        room = spec.context - min(max(params.max_tokens, 1), spec.context // 2)
        before, now = _introduced(use, history, said)
        form = form_of(body, spec.tokenizer, http.state.ignored)
        if drops_oldest:
            prompt = await prompt_within(spec.tokenizer, before, now, room, form)
        else:
            prompt = await prompt_of(spec.tokenizer, [*before, *now], form)
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
        return cls(service, http, body, history, said, answer, spec.tokenizer, use)

    async def heard(self) -> AsyncIterator[Heard]:
        """A stream, piece by piece; ``results`` keep up with it.

        Raises:
            ApiError: it failed.
        """
        shown = [ShownTokens(self._tokenizer) for _ in self.results]
        readers = [self.use.reader() for _ in self.results]
        async for event in self.answer.events():
            index = event.sequence
            if isinstance(event, Delta):
                self.results[index].text += event.text
                ready = [token for _, token in shown[index].add(event.text, event.tokens)]
                yield Heard(index, readers[index].push(event.text), ready)
            elif isinstance(event, Finished):
                self.results[index].ended_by, self.results[index].stop = event.ended_by, event.stop
                yield Heard(index, readers[index].finish(), (), event.ended_by)

    def spoken(self, result: Result) -> Message:
        """An answer as a turn of the dialogue."""
        return self.use.read(result.text).message

    async def log(self, name: str, results: Sequence[Result]) -> None:
        """Have a single answer, whose ``id`` is ``name``, learned, where the conversation log is in use.

        Only answers of the assistant are learned; one that continues a message is learned together with it. An answer
        that cannot be learned is not refused.
        """
        if len(results) != 1:
            return
        (result,) = results
        said, text = [message.plain for message in self.said], self.spoken(result).plain_content
        if self.body.continue_final_message:
            *said, begun = said
            text = begun.content + text
            if begun.role != "assistant":
                return
        elif self.body.add_generation_prompt is False:
            return
        messages = [message.plain for message in self.use.introduced([*self.history, *said])]
        whole = result.ended_by != "length"
        with contextlib.suppress(ApiError):  # it is in the log
            await self._service.conversation_log.add(name, self._owner, messages, text, whole=whole)

    def shown(self, result: Result) -> Sequence[Scored]:
        """The tokens of an answer, without those that were cut off with a stop string."""
        return [token for _, token in ShownTokens(self._tokenizer).whole(result)]

    def scored(self, tokens: Sequence[Scored]) -> list[JsonValue]:
        """Tokens of the text with their log-probabilities, where they are asked for."""
        if not self.body.logprobs:
            return []
        return [self._scored(token) for token in tokens if token.id not in self._tokenizer.specials]

    def _scored(self, token: Scored) -> dict[str, JsonValue]:
        top: list[JsonValue] = [self._named(other, logprob) for other, logprob in token.top]
        return {**self._named(token.id, token.logprob), "top_logprobs": top}

    def _named(self, token: int, logprob: float) -> dict[str, JsonValue]:
        data: list[JsonValue] = list(self._tokenizer.decode_bytes([token]))
        return {"token": written(self._tokenizer, token), "logprob": logprob, "bytes": data}


async def prompt_tokens(service: InferenceService, http: Request, body: ChatBody) -> int:
    """How many tokens the prompt of a request has.

    Raises:
        ApiError: as `ChatTurn.begin`.
    """
    tokenizer = (await service.prompt_spec(body.model)).tokenizer
    _, said = _introduced(tool_use(body, tokenizer), (), turns_of(body.messages))
    return len(await prompt_of(tokenizer, said, form_of(body, tokenizer, http.state.ignored)))


def _introduced(
    use: ToolUse, history: Sequence[Message], said: Sequence[Message]
) -> tuple[list[Message], Sequence[Message]]:
    """What was said before, and what is said now, with the tools in the turn that opens the dialogue."""
    return (use.introduced(history), said) if history else ([], use.introduced(said))
