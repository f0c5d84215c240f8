"""Evaluations, one at a time: a cycle's own, and those a person asks for."""

import asyncio
import contextlib
from collections.abc import Iterator

from daemon import background
from daemon.messages import Evaluate, Evaluated
from daemon.supervisor.learning.promotion import Promotion
from daemon.supervisor.processes.ports import CommandFailedError, OnMessage, Workers
from daemon.supervisor.store.store import NoSuchRecordError, Store


class EvaluationFailedError(Exception):
    """The evaluator could not judge the version; the message says why."""


class Evaluations:
    """Gives the evaluator its work.

    Attributes:
        judging: versions that it measures because a person asked for it.
    """

    def __init__(self, store: Store, workers: Workers, promotion: Promotion) -> None:
        self._store = store
        self._workers = workers
        self._promotion = promotion
        self._one_at_a_time = asyncio.Lock()
        self._wanted = 0
        self._giving_way: asyncio.Task[Evaluated] | None = None
        self.judging: set[int] = set()

    async def run(self, command: Evaluate, on_message: OnMessage = lambda _: None) -> Evaluated:
        """Have the evaluator do one command; waits for another that is under way, unless that one gives way.

        ``on_message`` hears of progress.

        Raises:
            WorkerLostError: it ended without an answer.
            CommandFailedError: it could not be done.
        """
        self._wanted += 1
        if self._giving_way is not None:
            self._giving_way.cancel()
        try:
            async with self._one_at_a_time:
                return await self._workers.run("evaluator", command, Evaluated, on_message)
        finally:
            self._wanted -= 1

    async def run_when_idle(self, command: Evaluate) -> Evaluated | None:
        """The same for what nobody waits for: null where it gave way to a command of `run`.

        What it had measured until then is in `LikelihoodCache`. Raises as `run`.
        """
        async with self._one_at_a_time:
            if self._wanted:
                return None
            work = self._workers.run("evaluator", command, Evaluated, lambda _: None)
            task = background.begin(work, "an evaluation that gives way", on_failure=lambda _: None)
            self._giving_way = task
            try:
                await asyncio.wait([task])
            finally:
                self._giving_way = None
                task.cancel()  # where this itself is given up
                await asyncio.gather(task, return_exceptions=True)
            return None if task.cancelled() else task.result()

    async def judge(self, number: int | None, files: tuple[str, ...]) -> Evaluated:
        """Judge a version (null: the one in service) on files, or on what its own cycle held out.

        It is compared with the version in service, or with the baseline where it is that one itself.

        Raises:
            NoSuchRecordError: there is no such version, or none serves.
            PurgedError: its weights are gone.
            EvaluationFailedError: it could not be done.
            WorkerLostError: the evaluator ended without an answer.
        """
        serving = self._promotion.serving
        if number is None and serving is None:
            raise NoSuchRecordError("there is no version in service yet")
        version = await self._store.whole_version(serving if number is None and serving is not None else number or 0)
        command = Evaluate(
            version=version.number,
            incumbent=None if version.number == serving else serving,
            cycle=None if files else version.cycle,
            files=files,
        )
        try:
            with self.measuring(version.number):
                return await self.run(command)
        except CommandFailedError as error:
            raise EvaluationFailedError(str(error)) from error

    @contextlib.contextmanager
    def measuring(self, number: int) -> Iterator[None]:
        """Keep a version from being removed, inside a ``with``."""
        self.judging.add(number)
        try:
            yield
        finally:
            self.judging.discard(number)
