"""A model from elsewhere, a checkpoint or a folded adapter becomes a version, published by a trainer of its own."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from control.paths import Paths, version_name
from daemon.messages import Fold, Import, Imported, Layout
from daemon.supervisor.learning import versions
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError, Workers, WorkerUnavailableError
from daemon.supervisor.store.records import Version
from daemon.supervisor.store.store import Store
from engine import model_files
from engine.artifacts import ArtifactError


class ImportFailedError(Exception):
    """The model could not be taken over; the message says why."""


class FoldFailedError(Exception):
    """The adapter could not be merged into its base; the message says why."""


class Imports:
    """Gives the trainer a model to publish. A cycle that comes due meanwhile waits for the trainer."""

    def __init__(self, store: Store, workers: Workers, paths: Paths) -> None:
        self._store = store
        self._workers = workers
        self._paths = paths

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
        return await self._publish(
            lambda number: Import(version=number, layout=layout, folder=folder, generation=generation), {}
        )

    async def fold(self, number: int) -> Version:
        """Publish the adapter of version ``number``, merged into its base; the version it became, not in service yet.

        Raises:
            NoSuchRecordError: there is no such version.
            PurgedError: its weights are gone.
            FoldFailedError: it is not an adapter, or merging it would change its answers.
            CycleUnderWayError, WorkerLostError, WorkerUnavailableError, StoreUnavailableError: as `take`.
        """
        adapter = await self._store.whole_version(number)
        if adapter.base is None:
            raise FoldFailedError(
                f"version {version_name(number)} has weights of its own, not an adapter: there is nothing to fold"
            )
        try:
            return await self._publish(lambda new: Fold(version=new, adapter=number), adapter.metrics)
        except ImportFailedError as error:
            raise FoldFailedError(str(error)) from error

    async def _publish(self, command_for: Callable[[int], Import | Fold], metrics: Mapping[str, float]) -> Version:
        """Have the trainer publish a version whose quality is known to be ``metrics``."""
        highest = await asyncio.to_thread(versions.highest, self._paths)
        number = await self._store.reserve_version(highest)
        try:
            published = await self._published(command_for(number), metrics)
        except (ImportFailedError, WorkerLostError, WorkerUnavailableError):
            await self._store.release_version(number)
            raise
        await self._store.adopt_version(published)
        return await self._store.version(number)

    async def _published(self, command: Import | Fold, metrics: Mapping[str, float]) -> Version:
        try:
            answer = await self._workers.run("trainer", command, Imported, lambda _: None)
            found = await asyncio.to_thread(versions.published, self._paths, answer.version)
        except (CommandFailedError, ArtifactError) as error:
            raise ImportFailedError(str(error)) from error
        return found.model_copy(update={"metrics": dict(metrics)})  # not what its run came to, which nobody judged
