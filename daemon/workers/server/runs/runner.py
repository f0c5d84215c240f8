"""The jobs that this server computes: generate, score and chat, from their rows to their results.

The rows are the supervisor's. A job is claimed when its version is in memory, and only then; one whose version finds no
room stays queued. Whatever was queued when the server came up is taken up.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Mapping
from typing import Protocol

from control.answers import Json
from control.job_answers import Job
from daemon import background, log
from daemon.job import ANSWERS
from daemon.workers.server.errors import ApiError
from daemon.workers.server.runs.port import End, JobPort
from engine.inference.versions.preparing import NotNowError, UnfitVersionError

_AT_ONCE = 8
"""Jobs under way: those of one version share its iterations."""
_BEAT_SECONDS = 5.0
_ROOM_SECONDS = 2.0
"""Until it is looked again whether there is room for a version; the end of any job makes it look at once."""
_GATHER_SECONDS = 0.5
"""From the news of a queued job to the look at the rows: many jobs are one look, and most of them are known by then."""
_MOST_ROWS = 1000
_AGAIN_SECONDS = 1.0
"""Until the supervisor is told again what it did not hear."""
_NUMBER = re.compile(r"[0-9]{1,18}")
_logger = log.get(__name__)


class BusyError(Exception):
    """A job cannot be computed now, and can be soon."""


class Computer(Protocol):
    """What computes a job: `daemon.workers.server.api.runs.computing.RunComputer`."""

    async def result(self, job: Job, version: int) -> dict[str, Json]:
        """What the job asks for.

        Raises:
            ApiError: it cannot be computed.
            BusyError: not now.
        """
        ...


class Visitors(Protocol):
    """What has versions in memory: `daemon.workers.server.guests.Guests`."""

    def holds(self, version: int) -> bool:
        """Whether it is in memory."""
        ...

    def serves(self, version: int) -> bool:
        """Whether it is in memory whatever jobs ask for."""
        ...

    async def ready(self, version: int) -> bool:
        """Have it in memory. False: there is no room now."""
        ...

    def idle(self, version: int) -> None:
        """No job uses it now."""
        ...


class JobRunner:
    """Carries out jobs. `run` is the task; everything happens in the event loop."""

    def __init__(self, jobs: JobPort, guests: Visitors, computer: Computer, stopping: threading.Event) -> None:
        self._jobs = jobs
        self._guests = guests
        self._computer = computer
        self._stopping = stopping
        self._pending: dict[int, Job] = {}
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._loading: asyncio.Task[None] | None = None
        self._stir = asyncio.Event()
        self._news = asyncio.Event()
        self._ended: dict[int, asyncio.Event] = {}

    def take(self, job: Job) -> None:
        """Carry out a job that was queued just now, if it is of a kind that the server computes."""
        if job["kind"] in ANSWERS and job["state"] == "queued" and job["id"] not in self._under_way:
            self._pending[job["id"]] = job
            self._stir.set()

    def look(self) -> None:
        """Look for queued jobs: the supervisor says that there are some."""
        self._news.set()

    async def wait(self, number: int, seconds: float) -> None:
        """Return when a job of this server has ended, or after ``seconds``."""
        if number not in self._pending and number not in self._under_way:
            return
        ended = self._ended.setdefault(number, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()

    async def run(self) -> None:
        """Carry out jobs until the task is cancelled."""
        looking = background.begin(self._look(), "look for queued jobs")
        try:
            while True:
                self._stir.clear()
                if not self._stopping.is_set():
                    self._begin()
                await self._stir.wait()
        finally:
            for task in (looking, *self._under_way.values(), *([self._loading] if self._loading else [])):
                task.cancel()

    async def _look(self) -> None:
        """Take up what is queued: before the start of this server, by others, or again after an attempt was lost."""
        while True:
            await self._news.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._news.clear()
            try:
                for kind in sorted(ANSWERS):
                    for job in await self._jobs.find(kind=kind, state="queued", limit=_MOST_ROWS):
                        self.take(job)
            except ApiError:  # the supervisor is away
                self._news.set()

    def _begin(self) -> None:
        """Begin what can be, in order; what serves is not held up by what has to be loaded."""
        blocked = False
        for job in sorted(self._pending.values(), key=lambda job: (-job["priority"], job["id"])):
            version = version_of(job)
            if len(self._under_way) >= _AT_ONCE:
                return
            if version is None or self._guests.serves(version) or (not blocked and self._guests.holds(version)):
                del self._pending[job["id"]]
                task = background.begin(self._carry_out(job, version), f"job {job['id']}")
                self._under_way[job["id"]] = task
            elif not blocked:
                blocked = True
                if self._loading is None:
                    self._loading = background.begin(self._load(version), f"load version {version}")

    async def _load(self, version: int) -> None:
        """Have a version in memory, or its jobs fail where it never can be."""
        try:
            if not await self._guests.ready(version):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ROOM_SECONDS):
                        await self._stir.wait()
        except (UnfitVersionError, NotNowError) as error:
            for job in [job for job in self._pending.values() if version_of(job) == version]:
                del self._pending[job["id"]]
                background.begin(self._refuse(job, str(error)), f"refuse job {job['id']}")
        finally:
            self._loading = None
            self._stir.set()

    async def _refuse(self, job: Job, reason: str) -> None:
        """Fail a job that no attempt can help."""
        if (attempt := await self._claim(job)) is not None:
            await self._deliver(job, attempt, "failed", "raised", error=reason)
        self._tell(job["id"])

    async def _carry_out(self, job: Job, version: int | None) -> None:
        again = False
        try:
            if version is None:
                await self._refuse(job, "the job names no version")
                return
            attempt = await self._claim(job)
            if attempt is not None:
                await self._compute(job, attempt, version)
        except ApiError as error:  # the supervisor is away
            _logger.warning("a job cannot be claimed now", job=job["id"], reason=error.message)
            again = True
        finally:
            self._under_way.pop(job["id"], None)
            if version is not None:
                self._guests.idle(version)
            if again:
                self._pending[job["id"]] = job
                asyncio.get_running_loop().call_later(_ROOM_SECONDS, self._stir.set)
            else:
                self._tell(job["id"])
            self._stir.set()

    async def _claim(self, job: Job) -> int | None:
        """Begin an attempt; none where the job is not queued any more."""
        try:
            return (await self._jobs.claim(job["id"]))["attempt"]
        except ApiError as error:
            if error.status in {404, 409}:
                return None
            raise

    async def _compute(self, job: Job, attempt: int, version: int) -> None:
        """One attempt, from its claim to its end; heartbeats go out beside it, and bring word of a cancellation."""
        work = asyncio.create_task(self._result(job, version), name=f"job {job['id']}")
        try:
            while not (await asyncio.wait([work], timeout=_BEAT_SECONDS))[0]:
                if await self._is_cancelled(job, attempt):
                    work.cancel()
                    await self._deliver(job, attempt, "cancelled", "cancelled")
                    return
            await self._deliver(job, attempt, "completed", "completed", result=work.result())
        except (UnfitVersionError, NotNowError) as error:
            await self._deliver(job, attempt, "failed", "raised", error=str(error))
        except ApiError as error:
            if not self._stopping.is_set():  # otherwise the next server takes it up
                await self._deliver(job, attempt, "failed", "raised", error=error.message)
        except Exception as error:
            _logger.exception("a job failed", job=job["id"], kind=job["kind"])
            await self._deliver(job, attempt, "failed", "raised", error=f"the server failed: {type(error).__name__}")
        finally:
            work.cancel()

    async def _result(self, job: Job, version: int) -> dict[str, Json]:
        """What the job asks for, however often its version has to be loaded for it.

        Raises:
            ApiError: it cannot be computed.
            UnfitVersionError, NotNowError: its version cannot be loaded any more.
        """
        while True:
            try:
                return await self._computer.result(job, version)
            except BusyError as error:
                _logger.info("a job waits", job=job["id"], reason=str(error))
                await asyncio.sleep(_ROOM_SECONDS)
                await self._guests.ready(version)

    async def _is_cancelled(self, job: Job, attempt: int) -> bool:
        """Whether the job was asked to end.

        Raises:
            ApiError: 409, this is not its current attempt any more.
        """
        try:
            return await self._jobs.beat(job["id"], attempt, {})
        except ApiError as error:
            if error.status == 409:
                raise
            return False  # the supervisor is away, and knows that this server works on it

    async def _deliver(
        self,
        job: Job,
        attempt: int,
        state: End,
        cause: str,
        *,
        result: Mapping[str, Json] | None = None,
        error: str | None = None,
    ) -> None:
        """Say how an attempt ended, as often as it takes the supervisor to hear it: nobody else ends it.

        A result that the supervisor does not take, as one that is too large, fails the job.
        """
        while True:
            try:
                await self._jobs.finish(job["id"], attempt, state, cause=cause, result=result, error=error)
                return
            except ApiError as refusal:
                if refusal.status != 503:
                    _logger.warning("the end of a job is not wanted", job=job["id"], reason=refusal.message)
                    if state != "completed" or refusal.status in {404, 409}:
                        return
                    state, cause, result = "failed", "raised", None
                    error = f"its result cannot be kept: {refusal.message}"
                    continue
                if self._stopping.is_set():
                    return  # the supervisor queues it again when this process has ended
            await asyncio.sleep(_AGAIN_SECONDS)

    def _tell(self, number: int) -> None:
        """Wake those who wait for the job."""
        if (ended := self._ended.pop(number, None)) is not None:
            ended.set()


def version_of(job: Job) -> int | None:
    """The version that a job asks for."""
    named = job["request"].get("version")
    return int(named) if isinstance(named, str) and _NUMBER.fullmatch(named) else None
