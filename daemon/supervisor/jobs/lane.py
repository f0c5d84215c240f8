"""The lane of jobs that one worker of this host carries out: one at a time, the highest priority first.

A lane claims a job, has its work done in a task of its own, and reports how that ended. It breaks the work off where
the job was cancelled, where its attempt was given up (the time limit), and where a cycle is to train first.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from daemon import background, log
from daemon.job import REMOTE, UNDER_WAY, JobKind, JobState
from daemon.messages import FromWorker, PhaseProgress, TrainProgress, WorkerName
from daemon.settings.jobs import JobSettings
from daemon.supervisor.jobs.attempts import FailedError
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.jobs.turns import Turns
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError, Workers, WorkerUnavailableError
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.errors import NotClaimableError, StaleAttemptError
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.records import Version
from daemon.supervisor.store.store import Store, StoreUnavailableError

_logger = log.get(__name__)
_CANCELLED, _GIVES_WAY, _GIVEN_UP = "cancelled", "stopped", "given up"
_BROKEN_OFF = {
    _CANCELLED: Report("cancelled", "cancelled"),
    _GIVES_WAY: Report("put_back", "stopped", "it stopped at a checkpoint, for a cycle to train first"),
}
"""What is reported of work that was broken off, by the reason. Of an attempt that was given up nothing is."""
_NOT_FOR_CLIENTS = {"kind", "cycle", "job", "to"}


@dataclass(frozen=True)
class Done:
    """What the work of a job came to; ``candidate`` is the version it published."""

    result: Mapping[str, JsonValue]
    candidate: Version | None = None


class Work(Protocol):
    """How jobs of one kind are done. Whatever was done before is found done when it is repeated."""

    async def __call__(self, job: Job, attempt: int, on_message: Callable[[FromWorker], None], /) -> Done:
        """Do it, and hand on what the worker says meanwhile.

        Raises:
            FailedError: it cannot be done.
            CommandFailedError, WorkerLostError, WorkerUnavailableError: as for `Workers.run`.
        """
        ...


class Lane:
    """Carries out jobs with one worker, until it is closed.

    Args:
        worker: who does the work.
        works: how each kind of job is done.
        jobs: where jobs are claimed and reported.
        store: where they are.
        workers: the worker processes.
        settings: gives ``[jobs]`` as it is now.
        degradations: is told of what stops the lane.
        log_of: where attempts at a job are logged.
        turns: whose turn it is at the worker; null: nobody else wants it.
    """

    def __init__(
        self,
        worker: WorkerName,
        works: Mapping[JobKind, Work],
        jobs: Jobs,
        store: Store,
        workers: Workers,
        settings: Callable[[], JobSettings],
        degradations: Degradations,
        *,
        log_of: Callable[[int], Path],
        turns: Turns | None = None,
    ) -> None:
        self._worker = worker
        self._works = works
        self._jobs = jobs
        self._store = store
        self._workers = workers
        self._settings = settings
        self._degradations = degradations
        self._log_of = log_of
        self._turns = turns
        self._news = asyncio.Event()
        self._task: asyncio.Task[Done] | None = None
        self._why = ""
        self._drive_task: asyncio.Task[None] | None = None
        self.current: Job | None = None
        jobs.watch.subscribe(self._changed)

    def start(self) -> None:
        """Begin with what is queued."""
        self._drive_task = background.begin(self._drive(), f"jobs of the {self._worker}", self._failed)

    async def close(self) -> None:
        """Stop working. The job under way stays as it is, and is queued again at the next start."""
        if self._drive_task is not None:
            self._drive_task.cancel()
            await asyncio.gather(self._drive_task, return_exceptions=True)

    def wake(self) -> None:
        """Look at what is queued: the settings may have changed."""
        self._news.set()

    async def _drive(self) -> None:
        while True:
            self._news.clear()
            job = await self._next()
            if job is None:
                await self._news.wait()
            elif self._turns is None:
                await self._carry_out(job)
            else:
                async with self._turns.job(job.priority, lambda: self._break_off(_GIVES_WAY)):
                    if (best := await self._next()) is not None:  # others may have come while it waited
                        await self._carry_out(best)

    async def _next(self) -> Job | None:
        is_elsewhere = frozenset() if self._settings().run_here else REMOTE
        kinds = [kind for kind in self._works if kind not in is_elsewhere]
        if not kinds:
            return None
        return await retry_until_stored(lambda: self._store.next_job(kinds), self._degradations)

    async def _carry_out(self, job: Job) -> None:
        """One attempt at a job, from its claim to its report."""
        log_file = self._log_of(job.id)
        offset = log_file.stat().st_size if log_file.exists() else 0
        try:
            job, attempt = await retry_until_stored(
                lambda: self._jobs.claim(
                    job.id, host=self._jobs.host, worker=self._worker, pid=None, log_offset=offset
                ),
                self._degradations,
            )
        except NotClaimableError:
            return  # cancelled, or somebody else was faster
        self.current, self._why = job, ""
        with log.bound(job=job.id):
            try:
                done, report = await self._work(job, attempt.number)
            finally:
                self.current = None
            if report is not None:
                with contextlib.suppress(StaleAttemptError):  # it was given up just now
                    await self._jobs.finish(job.id, attempt.number, report, candidate=done.candidate if done else None)

    async def _work(self, job: Job, attempt: int) -> tuple[Done | None, Report | None]:
        """What the work came to, and what to report of it; null: nothing, for the attempt was given up."""
        hear = self._listener(job.id, attempt)
        self._task = asyncio.create_task(self._works[job.kind](job, attempt, hear), name=f"job {job.id}")
        if self._why:
            self._task.cancel()
        try:
            done = await self._task
        except asyncio.CancelledError:
            if (me := asyncio.current_task()) is None or me.cancelling():
                raise  # the lane itself shall stop; the row stays as it is
            return None, _BROKEN_OFF.get(self._why)
        except WorkerLostError as error:
            return None, Report("failed", error.cause, str(error), retry=True)
        except WorkerUnavailableError as error:
            return None, Report("failed", "lost", str(error), retry=True)
        except CommandFailedError as error:
            cause = "out of memory" if error.out_of_memory else "raised"
            return None, Report("failed", cause, str(error), retry=error.retry)
        except FailedError as error:
            return None, Report("failed", "raised", str(error))
        except Exception as error:
            _logger.exception("a job failed in a way nobody expected")
            return None, Report("failed", "raised", f"internal error: {error!r}; see the log: thorctl logs")
        else:
            return done, Report("completed", "completed", result=done.result)
        finally:
            self._task = None

    def _listener(self, job: int, attempt: int) -> Callable[[FromWorker], None]:
        """Notes how far an attempt came, and at first which process works on it."""
        is_known = False

        def hear(message: FromWorker) -> None:
            nonlocal is_known
            progress = _progress(message)
            if progress is None:
                return
            if not is_known and (pid := self._workers.pid(self._worker)) is not None:
                is_known = True
                background.begin(self._note_pid(job, attempt, pid), "process of a job")
            background.begin(self._note_progress(job, attempt, progress), "progress of a job")

        return hear

    async def _note_pid(self, job: int, attempt: int, pid: int) -> None:
        with contextlib.suppress(StaleAttemptError, StoreUnavailableError):  # then it stays unknown
            await self._store.set_attempt_pid(job, attempt, pid)

    async def _note_progress(self, job: int, attempt: int, progress: Mapping[str, JsonValue]) -> None:
        with contextlib.suppress(StaleAttemptError):  # it was given up just now
            await self._jobs.beat(job, attempt, progress)

    def _changed(self, job: Job, progress: Mapping[str, JsonValue] | None) -> None:
        if progress is not None:
            return
        if job.state is JobState.QUEUED:
            self._news.set()
        elif self.current is not None and job.id == self.current.id:
            if job.state is JobState.CANCELLING:
                self._break_off(_CANCELLED)
            elif job.state not in UNDER_WAY:
                self._break_off(_GIVEN_UP)

    def _break_off(self, why: str) -> None:
        if self.current is not None and not self._why:
            self._why = why
            if self._task is not None:
                self._task.cancel()

    def _failed(self, error: BaseException) -> None:
        _logger.error("jobs cannot be carried out", worker=self._worker, exc_info=error)
        self._degradations.begin("jobs", f"an internal error stops jobs until thord is restarted: {error!r}")


def _progress(message: FromWorker) -> dict[str, JsonValue] | None:
    """What a message says about how far a job came; null: nothing."""
    if not isinstance(message, TrainProgress | PhaseProgress):
        return None
    found: dict[str, JsonValue] = message.model_dump(mode="json", exclude=_NOT_FOR_CLIENTS, exclude_none=True)
    return {"activity": "training", **found} if isinstance(message, TrainProgress) else found
