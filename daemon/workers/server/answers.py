"""The event loop's side of the engine: events of all requests come in, each answer reads its own."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue
from starlette.types import Receive

from control.paths import version_name
from daemon.workers.runtime import Channel
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import Metrics
from engine.inference.engine import Engine
from engine.inference.requests import (
    Bound,
    CandidatesScored,
    Delta,
    EndedBy,
    Event,
    Failed,
    FailureKind,
    Finished,
    GenerationParams,
    PromptScored,
    PromptSummed,
    Request,
    Scored,
)

_FAILURES: dict[FailureKind, tuple[int, str]] = {
    "too_long": (400, "context_length_exceeded"),
    "version_gone": (503, "no_version"),
    "drained": (503, "version_replaced"),
    "timeout": (504, "timeout"),
    "no_memory": (503, "out_of_memory"),
    "structure": (400, "structure_failed"),
    "internal": (500, "model_failed"),
    "stopping": (503, "stopping"),
}


class ClientGoneError(Exception):
    """Nobody waits for this answer any more."""


class Dispatcher:
    """The engine's listener: carries events from its thread to the event loop, one wake-up an iteration."""

    def __init__(self, loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
        self._loop = loop
        self._channel = channel

    def happened(self, events: Sequence[tuple[Request, Event]]) -> None:
        """Take events of the engine to the loop; called in the engine's thread."""
        self._channel.advance("answering")
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process is about to exit
            self._loop.call_soon_threadsafe(_hand_out, events)
        # Awake, the loop may still wait for this very processor: who wakes often for a little at a time uses up what
        # the scheduler (EEVDF) allows it for interrupting, and would stand until the next tick: 4 ms, ten tokens.
        os.sched_yield()

    def idle(self) -> None:
        """Note that the engine has nothing to do; called in the engine's thread."""
        self._channel.idle()


def _hand_out(events: Sequence[tuple[Request, Event]]) -> None:
    for request, event in events:
        request.receive(event)


def finish_reason(ended_by: EndedBy) -> Literal["stop", "length"]:
    """Why an answer ended, as OpenAI's API has it: by itself, or at a limit."""
    return "length" if ended_by == "length" else "stop"


@dataclass
class Result:
    """What became of one sequence."""

    text: str = ""
    tokens: list[Scored] = field(default_factory=list)
    prompt_scores: list[Scored] = field(default_factory=list)
    hidden_sums: list[float] = field(default_factory=list)
    candidate_logprobs: tuple[float, ...] = ()
    ended_by: EndedBy = "length"
    stop: str = ""
    generated: int = 0
    cached_tokens: int = 0

    @property
    def finish_reason(self) -> str:
        """Why the sequence ended, in the words of OpenAI's API."""
        return finish_reason(self.ended_by)


class PendingAnswer:
    """One request on its way through the engine. Close it: a client that has gone must free its rows.

    Attributes:
        prompts: token ids of each sequence's prompt.
        version: what makes the answer; known after `begin` or `whole`.
        cached_tokens: for each prompt, how many of its tokens had been read for another request.
        first_text_seconds: from its submission to the first text.
    """

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        prompts: list[list[int]],
        params: GenerationParams,
        *,
        client: str,
        pin: int | None,
        streamed: bool,
        seconds: float,
    ) -> None:
        self.prompts = prompts
        self.version = 0
        self._generated: dict[int, int] = {}
        self.cached_tokens: dict[int, int] = {}
        self._engine = engine
        self._metrics = metrics
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._first: Event | None = None
        self._open = len(prompts)
        self._watcher: asyncio.Task[None] | None = None
        self.first_text_seconds = 0.0
        self._submitted_at = self._last_delta_at = time.monotonic()
        self._request = Request(
            prompts,
            params,
            self._events.put_nowait,
            client=client,
            pin=pin,
            streamed=streamed,
            deadline=time.monotonic() + seconds,
        )
        engine.submit(self._request)

    def watch(self, receive: Receive) -> None:
        """Give the answer up as soon as its client goes away. The request's body must have been read."""
        self._watcher = asyncio.create_task(self._wait_for_disconnect(receive))

    async def begin(self) -> None:
        """Wait until something of the answer is there; from then on its version is certain.

        Raises:
            ApiError: it failed before.
            ClientGoneError: its client went away.
        """
        self._first = await self._next()

    async def events(self) -> AsyncIterator[PromptScored | Delta | Finished]:
        """All events after `begin`, until every sequence has ended; the rest as `begin`."""
        while self._open:
            event = self._first or await self._next()
            self._first = None
            if isinstance(event, PromptScored | Delta | Finished):
                if isinstance(event, Delta):
                    self._generated[event.sequence] = event.generated
                if isinstance(event, Finished):
                    self._open -= 1
                    self._count(event.sequence, event.generated, event.cached_tokens)
                yield event

    async def whole(self) -> list[Result]:
        """The finished sequences, all made by `version`; the rest as `begin`."""
        await self.begin()
        results = [Result() for _ in self.prompts]
        open_sequences = len(results)
        event = self._first
        while True:
            if isinstance(event, Bound):  # it began anew on another version
                results, open_sequences = [Result() for _ in self.prompts], len(results)
            elif isinstance(event, PromptScored):
                results[event.sequence].prompt_scores += event.tokens
            elif isinstance(event, PromptSummed):
                before = results[event.sequence].hidden_sums or [0.0] * len(event.sums)
                results[event.sequence].hidden_sums = [a + b for a, b in zip(before, event.sums, strict=True)]
            elif isinstance(event, CandidatesScored):
                results[event.sequence].candidate_logprobs = event.logprobs
            elif isinstance(event, Delta):
                results[event.sequence].text += event.text
                results[event.sequence].tokens += event.tokens
            elif isinstance(event, Finished):
                results[event.sequence].ended_by = event.ended_by
                results[event.sequence].stop = event.stop
                results[event.sequence].generated = event.generated
                results[event.sequence].cached_tokens = event.cached_tokens
                open_sequences -= 1
            if not open_sequences:
                break
            event = await self._next(also_bound=True)
        self._open = 0
        for index, result in enumerate(results):
            self._count(index, result.generated, result.cached_tokens)
        return results

    def close(self) -> None:
        """Stop what the engine still computes for it: nobody wants more."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self._open:
            self._engine.cancel(self._request)

    @property
    def generated(self) -> int:
        """Tokens generated so far; of an answer in one piece, once it is whole."""
        return sum(self._generated.values())

    @property
    def seconds(self) -> float:
        """Since its submission."""
        return time.monotonic() - self._submitted_at

    @property
    def prompt_tokens(self) -> int:
        """Tokens read: each prompt once, however many answers it got."""
        return sum(len(prompt) for prompt in {id(prompt): prompt for prompt in self.prompts}.values())

    @property
    def usage(self) -> dict[str, JsonValue]:
        """The numbers of tokens read and generated, as OpenAI's API has them."""
        read = self.prompt_tokens
        return {
            "prompt_tokens": read,
            "completion_tokens": self.generated,
            "total_tokens": read + self.generated,
            "prompt_tokens_details": {"cached_tokens": sum(self.cached_tokens.values())},
        }

    async def _next(self, *, also_bound: bool = False) -> Event:
        while True:
            event = await self._events.get()
            if event is None:
                self._metrics.disconnects.inc()
                raise ClientGoneError
            if isinstance(event, Failed):
                self._open = 0
                status, code = _FAILURES[event.kind]
                raise ApiError(status, code, event.message, retry_after=1 if status == 503 else None)
            if isinstance(event, Delta):
                self._measure()
            if isinstance(event, Bound):
                self.version = event.version
                self._metrics.queue_seconds.observe(event.queued_seconds)
                if not also_bound:
                    continue
            return event

    def _measure(self) -> None:
        now = time.monotonic()
        if self._last_delta_at == self._submitted_at:
            self.first_text_seconds = now - self._submitted_at
            self._metrics.first_token_seconds.observe(self.first_text_seconds)
        elif len(self.prompts) == 1:
            self._metrics.between_tokens_seconds.observe(now - self._last_delta_at)
        self._last_delta_at = now

    def _count(self, sequence: int, generated: int, cached_tokens: int) -> None:
        self._generated[sequence] = generated
        prompt = id(self.prompts[sequence])
        before = self.cached_tokens.get(prompt, cached_tokens)
        self.cached_tokens[prompt] = min(before, cached_tokens)  # the rest was read just once
        self._metrics.cached_prompt_tokens.inc(cached_tokens)
        self._metrics.prompt_tokens.inc(len(self.prompts[sequence]))
        self._metrics.generated_tokens.labels(version_name(self.version)).inc(generated)

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._events.put_nowait(None)
