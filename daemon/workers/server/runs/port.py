"""Jobs of the supervisor, as the server sees them: the rows that it asks for, and those that it works on."""

import os
import socket
from collections.abc import Mapping
from typing import Literal, Protocol

from control.answers import Json
from control.job_answers import Claimed, Job, NewJob
from control.paths import Paths
from daemon.workers.server.supervisor_port import ControlSocket

End = Literal["completed", "failed", "cancelled"]
WORKER = "server"
"""The name under which the server works on jobs."""
_REFUSALS = {
    "bad_request": 422,
    "bad_settings": 422,
    "idempotency_conflict": 422,
    "not_found": 404,
    "run_exists": 409,
    "job_ended": 409,
    "not_claimable": 409,
    "stale_attempt": 409,
    "too_large": 413,
    "queue_full": 503,
}
"""What the supervisor refuses, by its codes, and the status that clients of the public API get for it."""


class JobPort(Protocol):
    """What the server asks of the supervisor about jobs.

    Each method raises ApiError: 404, 409, 413 or 422 as the supervisor says, 503 where it gave no answer.
    """

    async def submit(self, kind: str, asked: NewJob) -> Job:
        """Queue a job; with the idempotency key of an earlier one of the same body, that one."""
        ...

    async def find(
        self,
        *,
        kind: str,
        run_id: str | None = None,
        state: str | None = None,
        owner: str | None = None,
        before: int | None = None,
        limit: int = 1,
    ) -> list[Job]:
        """Jobs, newest first; with ``before`` those of smaller numbers."""
        ...

    async def get(self, number: int) -> Job:
        """One job, with its attempts."""
        ...

    async def cancel(self, number: int) -> Job:
        """Ask a job to end."""
        ...

    async def claim(self, number: int) -> Claimed:
        """Begin an attempt at a queued job."""
        ...

    async def beat(self, number: int, attempt: int, progress: Mapping[str, Json]) -> bool:
        """Show that an attempt lives; whether the job was asked to end."""
        ...

    async def finish(
        self, number: int, attempt: int, state: End, *, cause: str, result: Mapping[str, Json] | None, error: str | None
    ) -> Job:
        """End an attempt."""
        ...


class ControlJobs:
    """The `JobPort` over the control socket."""

    def __init__(self, paths: Paths) -> None:
        self._socket = ControlSocket(paths, at_once=256, threads=8, seconds=15.0)
        self._thord = self._socket.thord

    async def submit(self, kind: str, asked: NewJob) -> Job:
        """As `JobPort.submit`."""
        return await self._socket.ask(lambda: self._thord.submit_job(kind, **asked), _REFUSALS)

    async def find(
        self,
        *,
        kind: str,
        run_id: str | None = None,
        state: str | None = None,
        owner: str | None = None,
        before: int | None = None,
        limit: int = 1,
    ) -> list[Job]:
        """As `JobPort.find`."""
        jobs = self._thord.jobs
        return await self._socket.ask(
            lambda: jobs(kind=kind, run_id=run_id, state=state, owner=owner, before=before, limit=limit), _REFUSALS
        )

    async def get(self, number: int) -> Job:
        """As `JobPort.get`."""
        return await self._socket.ask(lambda: self._thord.job(number), _REFUSALS)

    async def cancel(self, number: int) -> Job:
        """As `JobPort.cancel`."""
        return await self._socket.ask(lambda: self._thord.cancel_job(number), _REFUSALS)

    async def claim(self, number: int) -> Claimed:
        """As `JobPort.claim`."""
        claim, host, pid = self._thord.claim_job, socket.gethostname(), os.getpid()
        return await self._socket.ask(lambda: claim(number, host=host, worker=WORKER, pid=pid), _REFUSALS)

    async def beat(self, number: int, attempt: int, progress: Mapping[str, Json]) -> bool:
        """As `JobPort.beat`."""
        return await self._socket.ask(lambda: self._thord.beat_job(number, attempt, progress), _REFUSALS)

    async def finish(
        self, number: int, attempt: int, state: End, *, cause: str, result: Mapping[str, Json] | None, error: str | None
    ) -> Job:
        """As `JobPort.finish`."""
        finish = self._thord.finish_job
        return await self._socket.ask(
            lambda: finish(number, attempt, state, cause=cause, result=result, error=error), _REFUSALS
        )
