"""The log of a run as server-sent events: each line's ``id`` is the position behind it, from where a stream resumes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from control.answers import Json
from control.job_answers import Job
from daemon.workers.server.api.runs.answers import run_id_of, status_of
from daemon.workers.server.runs.log_file import Chunk, Position
from daemon.workers.server.runs.logs import LogWatch, RunLogs

COMMENT_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies and clients see that the stream lives."""
SEND_SECONDS = 30.0
"""How long a client may leave what was sent unread."""
_KNOWN = frozenset({"at", "level", "event", "process", "worker", "logger", "exception", "stack"})
_LONGEST_VALUE = 200


def for_people(line: bytes) -> str:
    """A line of the log as people read it: ``[2024-11-27 10:30:00] what happened, key=value``. Any other as it is."""
    text = line.decode(errors="replace")
    try:
        said: Json = json.loads(text)
    except ValueError:
        return text
    if not isinstance(said, dict) or not isinstance(said.get("event"), str):
        return text
    at = str(said.get("at", ""))[:19].replace("T", " ")
    more = [f"{key}={_short(value)}" for key, value in said.items() if key not in _KNOWN]
    level = said.get("level")
    mark = f"{level}: " if level in {"warning", "error", "critical"} else ""
    return f"[{at}] {mark}" + ", ".join([str(said["event"]), *more]).replace("\n", " ").replace("\r", " ")


class LogStream(Response):
    """The lines of ``first``, then those that follow, until the run has ended and all are sent.

    Args:
        logs: has the log, and ends the stream when it is closed.
        job: the run.
        first: lines to begin with.
        follows: whether to wait for more.
        raw: lines as they are in the file.
    """

    media_type = "text/event-stream"

    def __init__(self, logs: RunLogs, job: Job, first: Chunk, *, follows: bool, raw: bool) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._logs = logs
        self._job = job
        self._first = first
        self._follows = follows
        self._raw = raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, until its end, or until its client has gone or reads nothing for `SEND_SECONDS`."""
        async with self._logs.watch(self._job) as watch:
            sending = asyncio.create_task(self._send(watch, send))
            leaving = asyncio.create_task(_gone(receive))
            try:
                await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    sending.result()
            finally:
                for task in (sending, leaving):
                    task.cancel()

    async def _send(self, watch: LogWatch, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEND_SECONDS) as limit:

                async def sent(message: dict[str, object]) -> None:
                    limit.reschedule(asyncio.get_running_loop().time() + SEND_SECONDS)
                    await send(message)
                    limit.reschedule(None)

                await sent({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for data in self._events(watch):
                    await sent({"type": "http.response.body", "body": data, "more_body": True})
                await sent({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self, watch: LogWatch) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        chunk = self._first
        if chunk.lines:
            yield self._written(chunk)
        place = chunk.end
        while self._follows and not self._logs.closed.is_set():
            seen, over = watch.changes, watch.is_over
            chunk = await watch.after(place)
            place = chunk.end
            if chunk.lines:
                yield self._written(chunk)
            if chunk.more:
                continue
            if over:
                yield self._done(watch, place)
                return
            if not await watch.changed(seen, COMMENT_SECONDS):
                yield b": still there\n\n"

    def _written(self, chunk: Chunk) -> bytes:
        """Lines as events, in one piece."""
        told = (
            (place, line.decode(errors="replace") if self._raw else for_people(line)) for place, line in chunk.lines
        )
        return "".join(f"id: {place}\ndata: {text}\n\n" for place, text in told).replace("\r", " ").encode()

    def _done(self, watch: LogWatch, place: Position | None) -> bytes:
        job = watch.job
        said = json.dumps({"run_id": run_id_of(job), "status": status_of(job), "state": job["state"]})
        named = "" if place is None else f"id: {place}\n"
        return f"{named}event: done\ndata: {said}\n\n".encode()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _as_it_is(line: bytes) -> str:
    return line.decode(errors="replace")


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
