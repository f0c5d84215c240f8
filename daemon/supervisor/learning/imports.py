"""Imports: a model from elsewhere, or a checkpoint, becomes a version, published by a trainer of its own."""

import asyncio
from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths
from daemon.messages import Failure, Import, Imported, Layout
from daemon.supervisor.learning import versions
from daemon.supervisor.learning.request_numbers import RequestNumbers
from daemon.supervisor.processes.ports import WorkerLostError, Workers, WorkerUnavailableError
from daemon.supervisor.store.records import Version, utc_now
from daemon.supervisor.store.store import Store
from engine import model_files


class ImportFailedError(Exception):
    """The model could not be taken over; the message says why."""


class Imports:
    """Gives the trainer a model to publish. A cycle that comes due meanwhile waits for the trainer."""

    def __init__(self, store: Store, workers: Workers, paths: Paths, numbers: RequestNumbers) -> None:
        self._store = store
        self._workers = workers
        self._paths = paths
        self._numbers = numbers

    async def take(self, folder: str, layout: Layout, generation: dict[str, JsonValue]) -> Version:
        """Publish the model in ``folder``; the version it became, which is not in service yet.

        ``generation`` counts in place of what the model says of sampling.

        Raises:
            CycleUnderWayError: the trainer may be busy for long.
            ImportFailedError: thord cannot import it.
            WorkerLostError: the trainer ended without an answer.
            WorkerUnavailableError: it is stopped, or failed.
            StoreUnavailableError: the disk is full or read-only.
        """
        if fault := await asyncio.to_thread(model_files.fault, Path(folder), layout):
            raise ImportFailedError(fault)
        highest = await asyncio.to_thread(versions.highest, self._paths)
        number = await self._store.reserve_version(highest)
        command = Import(
            request=self._numbers.next(), version=number, layout=layout, folder=folder, generation=generation
        )
        try:
            answer = await self._published(command)
        except (ImportFailedError, WorkerLostError, WorkerUnavailableError):
            await self._store.release_version(number)
            raise
        found = Version(
            number=number,
            parent=answer.parent,
            created_at=utc_now(),
            sha256=answer.sha256,
            parameters=answer.parameters,
        )
        await self._store.adopt_version(found)
        return await self._store.version(number)

    async def _published(self, command: Import) -> Imported:
        answer = await self._workers.run("trainer", command, lambda _: None)
        if isinstance(answer, Failure):
            raise ImportFailedError(answer.reason)
        if not isinstance(answer, Imported):
            raise ImportFailedError(f"the trainer answered with '{answer.kind}'")
        return answer
