"""The event loop's side of the engine: events of all requests come in, each answer reads its own."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue
from starlette.types import Receive

from daemon.workers.runtime import Channel
from daemon.workers.server.errors import ApiError
from daemon.workers.server.metrics import Metrics
from engine.inference.engine import Engine
from engine.inference.requests import (
    Bound,
    Event,
    Failed,
    FailureKind,
    Finished,
    Piece,
    PromptScored,
    PromptSummed,
    Request,
    Scored,
    Wish,
)

_FAILURES: dict[FailureKind, tuple[int, str]] = {
    "too_long": (400, "context_length_exceeded"),
    "version_gone": (503, "no_version"),
    "drained": (503, "version_replaced"),
    "timeout": (504, "timeout"),
    "no_memory": (503, "out_of_memory"),
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
        """Called in the engine's thread."""
        self._channel.advance("answering")
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process is about to exit
            self._loop.call_soon_threadsafe(_hand_out, events)
        # Awake, the loop may still wait for this very processor: who wakes often for a little at a time uses up what
        # the scheduler (EEVDF) allows it for interrupting, and would stand until the next tick: 4 ms, ten tokens.
        os.sched_yield()

    def idle(self) -> None:
        """Called in the engine's thread."""
        self._channel.idle()


def _hand_out(events: Sequence[tuple[Request, Event]]) -> None:
    for request, event in events:
        request.receive(event)


@dataclass
class Result:
    """What became of one sequence."""

    text: str = ""
    tokens: list[Scored] = field(default_factory=list)
    prompt_scores: list[Scored] = field(default_factory=list)
    hidden_sums: list[float] = field(default_factory=list)
    reason: str = ""
    generated: int = 0
    reused: int = 0


class Answer:
    """One request on its way through the engine. Close it: a client that has gone must free its rows.

    Attributes:
        prompts: token ids of each sequence's prompt.
        version: what makes the answer; known after `begin` or `whole`.
        reused: for each prompt, how many of its tokens had been read for another request.
    """

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        prompts: list[list[int]],
        wish: Wish,
        *,
        client: str,
        pin: int | None,
        streamed: bool,
        seconds: float,
    ) -> None:
        self.prompts = prompts
        self.version = 0
        self._generated: dict[int, int] = {}
        self.reused: dict[int, int] = {}
        self._engine = engine
        self._metrics = metrics
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._first: Event | None = None
        self._open = len(prompts)
        self._watcher: asyncio.Task[None] | None = None
        self._submitted_at = self._last_piece_at = time.monotonic()
        self._request = Request(
            prompts,
            wish,
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

    async def events(self) -> AsyncIterator[PromptScored | Piece | Finished]:
        """All events after `begin`, until every sequence has ended; the rest as `begin`."""
        while self._open:
            event = self._first or await self._next()
            self._first = None
            if isinstance(event, PromptScored | Piece | Finished):
                if isinstance(event, Piece):
                    self._generated[event.sequence] = event.generated
                if isinstance(event, Finished):
                    self._open -= 1
                    self._count(event)
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
            elif isinstance(event, Piece):
                results[event.sequence].text += event.text
                results[event.sequence].tokens += event.tokens
            elif isinstance(event, Finished):
                results[event.sequence].reason = event.reason
                results[event.sequence].generated = event.generated
                results[event.sequence].reused = event.reused
                open_sequences -= 1
            if not open_sequences:
                break
            event = await self._next(also_bound=True)
        self._open = 0
        for index, result in enumerate(results):
            self._count(Finished(index, "stop", result.generated, result.reused))
        return results

    def close(self) -> None:
        """Nothing more is wanted."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self._open:
            self._engine.cancel(self._request)

    @property
    def generated(self) -> int:
        """Tokens generated so far; of an answer in one piece, once it is whole."""
        return sum(self._generated.values())

    @property
    def prompt_tokens(self) -> int:
        """Tokens read: each prompt once, however many answers it got."""
        return sum(len(prompt) for prompt in {id(prompt): prompt for prompt in self.prompts}.values())

    @property
    def usage(self) -> dict[str, JsonValue]:
        """Tokens read and generated."""
        read = self.prompt_tokens
        return {
            "prompt_tokens": read,
            "completion_tokens": self.generated,
            "total_tokens": read + self.generated,
            "prompt_tokens_details": {"cached_tokens": sum(self.reused.values())},
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
            if isinstance(event, Piece):
                self._measure()
            if isinstance(event, Bound):
                self.version = event.version
                self._metrics.queue_seconds.observe(event.queued_seconds)
                if not also_bound:
                    continue
            return event

    def _measure(self) -> None:
        now = time.monotonic()
        if self._last_piece_at == self._submitted_at:
            self._metrics.first_token_seconds.observe(now - self._submitted_at)
        elif len(self.prompts) == 1:
            self._metrics.between_tokens_seconds.observe(now - self._last_piece_at)
        self._last_piece_at = now

    def _count(self, event: Finished) -> None:
        self._generated[event.sequence] = event.generated
        prompt = id(self.prompts[event.sequence])
        self.reused[prompt] = min(self.reused.get(prompt, event.reused), event.reused)  # the rest was read just once
        self._metrics.cached_prompt_tokens.inc(event.reused)
        self._metrics.prompt_tokens.inc(len(self.prompts[event.sequence]))
        self._metrics.generated_tokens.labels(f"{self.version:06d}").inc(event.generated)

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._events.put_nowait(None)
