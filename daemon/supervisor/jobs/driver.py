"""The driver of jobs: takes one job at a time from its queue to its end, step by step.

Every step may be repeated: after a crash `resume` goes on with the unfinished job in the state its row has. A step that
is cut short is tried again, as `attempts` says; one that fails ends the job.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Generic, TypeVar

from daemon import background, log
from daemon.supervisor.jobs import attempts
from daemon.supervisor.jobs.attempts import FIRST_PAUSES, Cause, CutShortError, FailedError
from daemon.supervisor.jobs.queue import Ending, J, JobQueue, JobSteps
from daemon.supervisor.store.degradations import Degradations

_logger = log.get(__name__)
_Request = TypeVar("_Request", contravariant=True)


class Driver(Generic[J, _Request]):
    """Drives jobs of one kind. Nothing of a job lives here that its row does not have.

    Args:
        queue: where the jobs are kept.
        steps: how each is done.
        max_attempts: gives the number of attempts without progress after which a job fails.
        degradations: is told of what delays or stops jobs.
        changed: is called with the job before each step.
        ended: is called with a job that has ended.
        first_pauses: seconds before another attempt, by what cut the last one short.

    Attributes:
        current: the job under way.
    """

    def __init__(
        self,
        queue: JobQueue[J, _Request],
        steps: JobSteps[J],
        max_attempts: Callable[[], int],
        degradations: Degradations,
        *,
        changed: Callable[[J], None],
        ended: Callable[[J], None],
        first_pauses: Mapping[Cause, float] = FIRST_PAUSES,
    ) -> None:
        self.current: J | None = None
        self._queue = queue
        self._steps = steps
        self._max_attempts = max_attempts
        self._degradations = degradations
        self._changed = changed
        self._ended = ended
        self._first_pauses = first_pauses
        self._drive_task: asyncio.Task[None] | None = None
        self._step_task: asyncio.Task[J] | None = None

    async def resume(self) -> None:
        """Go on with the job that a crash or a stop left, if there is one. Call once at start."""
        self.current = await self._queue.claim()
        if self.current is not None:
            self._drive_in_background(self._resume(self.current))

    async def start(self, reason: str, request: _Request, *, noting: tuple[str, str] | None = None) -> J:
        """Queue a job and begin with it. ``noting`` keeps a single value in the same transaction.

        Raises:
            StoreUnavailableError: nothing was written.
        """
        self.current = await self._queue.put(reason, request, noting=noting)
        self._drive_in_background(self._drive(self.current))
        return self.current

    def interrupt(self) -> None:
        """Break off the step under way: its job was asked to end."""
        if self._step_task is not None:
            self._step_task.cancel()

    async def close(self) -> None:
        """Stop working. The unfinished job stays as it is and is resumed at the next start."""
        if self._drive_task is not None:
            self._drive_task.cancel()
            await asyncio.gather(self._drive_task, return_exceptions=True)

    # The drive ---------------------------------------------------------------------------------------------------

    def _drive_in_background(self, drive: Coroutine[None, None, None]) -> None:
        self._drive_task = background.begin(drive, f"driver of {self._steps.kind}s", self._failed)

    def _failed(self, error: BaseException) -> None:
        kinds = f"{self._steps.kind}s"
        _logger.error(f"the driver of {kinds} failed", exc_info=error)
        self._degradations.begin(kinds, f"an internal error stops {kinds} until thord is restarted: {error!r}")

    async def _resume(self, job: J) -> None:
        if job.has_begun:
            cut_short = CutShortError("thord was started again", Cause.RESTART, data_at_fault=False)
            job = await self._try_again(job, cut_short)
        await self._drive(job)

    async def _drive(self, job: J) -> None:
        """Take one job to its end, one step after the other."""
        while not job.is_final:
            self.current = job
            self._changed(job)
            with log.bound(**{self._steps.kind: job.id}):
                after = await self._one_step(job)
            if after.state != job.state:
                self._degradations.end(self._steps.kind)
            job = after
        self.current = None
        self._ended(job)

    async def _one_step(self, job: J) -> J:
        """One step in a task of its own, so that it can be cancelled while the drive goes on."""
        self._step_task = asyncio.create_task(self._work(job), name=f"{self._steps.kind} {job.id}, {job.state}")
        if self._queue.cancel_requested(job):
            self._step_task.cancel()
        try:
            return await self._step_task
        except asyncio.CancelledError:
            if (me := asyncio.current_task()) is None or me.cancelling():
                raise  # the drive itself shall stop; the row stays as it is
            return await self._cancel(job)
        finally:
            self._step_task = None

    async def _work(self, job: J) -> J:
        """What the state asks for, and what follows if it cannot be done."""
        try:
            return await self._steps.step(job)
        except CutShortError as error:
            return await self._try_again(job, error)
        except FailedError as error:
            ending = Ending(str(error), data_at_fault=error.data_at_fault, diverged=error.diverged)
            return await self._queue.finish(job, ending)

    async def _try_again(self, job: J, cut_short: CutShortError) -> J:
        """Count one more attempt after a pause, or fail where the last ones in a row led nowhere."""
        job = await self._queue.refresh(job)
        limit = self._max_attempts()
        if job.attempts_without_progress >= limit:
            why = f"{job.state} got no further in {limit} attempts; the last one: {cut_short}"
            return await self._queue.finish(job, Ending(why, data_at_fault=cut_short.data_at_fault))
        first = self._first_pauses[cut_short.cause]
        if pause := attempts.pause_seconds(first, job.attempts_without_progress):
            kind = self._steps.kind
            self._degradations.begin(kind, f"{kind} {job.id}: {cut_short}; it will be tried again")
            await asyncio.sleep(pause)
        return await self._queue.retry(job, str(cut_short))

    async def _cancel(self, job: J) -> J:
        job = await self._queue.refresh(job)
        if job.is_final or not self._steps.may_cancel(job):
            return job  # the step was over before it could be cancelled
        return await self._queue.finish(job, Ending(self._queue.cancel_requested(job), cancelled=True))
